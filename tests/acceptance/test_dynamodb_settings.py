"""DynamoDB's tables as wholes: what cannot be made or changed, what is shown of it, and what the members of a global
table have in common."""
import time

import pytest

from test_dynamodb import gsi, make, name, refusal, until

PARAMETERS = "One or more parameter values were invalid: "
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}


@pytest.fixture()
def ddb(client):
    return client("dynamodb")


@pytest.mark.parametrize("more, message", [
    ({"GlobalSecondaryIndexes": [gsi("by-g", "g", projection="INCLUDE", NonKeyAttributes=["a", "a"])]},
     PARAMETERS + "Duplicate value in NonKeyAttributes: a"),
    ({"SSESpecification": {"KMSMasterKeyId": "alias/none"}},
     PARAMETERS + "KMSMasterKeyId cannot be specified when SSE is disabled"),
    ({"Tags": [{"Key": "<a>", "Value": "b"}]},
     PARAMETERS + "Tag keys and values can contain only letters, whitespace, numbers and the characters + - = . _ : / @. "
     "Key: <a>"),
    ({"LocalSecondaryIndexes": [{"IndexName": "l-1", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
        {"AttributeName": n, "KeyType": "HASH"} for n in ("pk", "g", "h")]}]},
     "1 validation error detected: Value '[KeySchemaElement(attributeName=pk, keyType=HASH), "
     "KeySchemaElement(attributeName=g, keyType=HASH), KeySchemaElement(attributeName=h, keyType=HASH)]' at "
     "'localSecondaryIndexes.1.member.keySchema' failed to satisfy constraint: Member must have length less than or equal "
     "to 2"),
    ({"OnDemandThroughput": {}},
     PARAMETERS + "At least one of MaxReadRequestUnits or MaxWriteRequestUnits must be specified in OnDemandThroughput"),
])
def test_tables_that_cannot_be_made(ddb, more, message):
    arguments = dict(
        TableName=name(), KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    if "GlobalSecondaryIndexes" in more:
        arguments["AttributeDefinitions"].append({"AttributeName": "g", "AttributeType": "S"})
    assert refusal(ddb.create_table, **arguments, **more) == ("ValidationException", message)


def test_keys_of_tables(client, ddb, account):
    missing = f"arn:aws:kms:us-east-1:{account}:key/11111111-2222-3333-4444-555555555555"
    table, sse = name(), lambda **more: {"SSEType": "KMS", "Enabled": True, **more}
    keys = dict(KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    code, message = refusal(ddb.create_table, TableName=table, SSESpecification=sse(KMSMasterKeyId=missing), **keys)
    assert code == "ValidationException" and message.startswith(f"{PARAMETERS}KMS validation error: ")
    make(ddb, table)
    off = {"Enabled": False}
    assert refusal(ddb.update_table, TableName=table, SSESpecification=off) == (
        "ValidationException", PARAMETERS + "Table is already encrypted by default")
    key = client("kms").create_key()["KeyMetadata"]
    changed = ddb.update_table(TableName=table, SSESpecification=sse(KMSMasterKeyId=key["KeyId"]))["TableDescription"]
    assert changed["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key["Arn"]}
    assert refusal(ddb.update_table, TableName=table, SSESpecification=sse(KMSMasterKeyId=key["Arn"])) == (
        "ValidationException", f"{PARAMETERS}Table is already encrypted with given KMSMasterKeyId: {key['Arn']}")
    backup = ddb.create_backup(TableName=table, BackupName="keys")["BackupDetails"]["BackupArn"]
    features = ddb.describe_backup(BackupArn=backup)["BackupDescription"]["SourceTableFeatureDetails"]
    assert features["SSEDescription"]["KMSMasterKeyArn"] == key["Arn"]
    assert "SSEDescription" not in ddb.update_table(TableName=table, SSESpecification=off)["TableDescription"]


def test_throughput_that_is_changed(ddb):
    table = make(ddb)
    change = lambda **more: ddb.update_table(TableName=table, **more)
    refused = lambda **more: refusal(ddb.update_table, TableName=table, **more)
    both = "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
    assert refused(BillingMode="PROVISIONED") == ("ValidationException", PARAMETERS + both)
    change(OnDemandThroughput={"MaxReadRequestUnits": 4})
    shown = change(OnDemandThroughput={"MaxWriteRequestUnits": 5})["TableDescription"]["OnDemandThroughput"]
    assert shown == {"MaxReadRequestUnits": 4, "MaxWriteRequestUnits": 5}
    change(WarmThroughput={"ReadUnitsPerSecond": 14000, "WriteUnitsPerSecond": 5000})
    assert refused(WarmThroughput={"ReadUnitsPerSecond": 13000}) == (
        "ValidationException", f"{PARAMETERS}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current "
        "WarmThroughput, decreasing WarmThroughput is not supported")
    change(WarmThroughput={"ReadUnitsPerSecond": 15000})
    shown = ddb.describe_table(TableName=table)["Table"]["WarmThroughput"]
    assert shown == {"ReadUnitsPerSecond": 15000, "WriteUnitsPerSecond": 5000, "Status": "ACTIVE"}


def test_indexes_that_are_changed(ddb):
    table = make(ddb, definitions={"g": "S"}, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS,
                 GlobalSecondaryIndexes=[{**gsi("by-g", "g"), "ProvisionedThroughput": UNITS}])
    change = lambda **update: dict(TableName=table, GlobalSecondaryIndexUpdates=[update])
    units = lambda read: {"ReadCapacityUnits": read, "WriteCapacityUnits": 5}
    update = lambda read: change(Update={"IndexName": "by-g", "ProvisionedThroughput": units(read)})
    assert refusal(ddb.update_table, **update(10**13)) == (
        "ValidationException", "Given value 10000000000000 for ReadCapacityUnits is out of bounds for index by-g")
    assert refusal(ddb.update_table, **change(Update={"IndexName": "by-g"}))[0] == "ValidationException"
    shown = ddb.update_table(TableName=table, ProvisionedThroughput=units(6))["TableDescription"]["ProvisionedThroughput"]
    assert shown == {"NumberOfDecreasesToday": 0, **UNITS}, "as it is until the table is active again"
    shown = ddb.describe_table(TableName=table)["Table"]["ProvisionedThroughput"]
    assert shown["ReadCapacityUnits"] == 6 and "LastIncreaseDateTime" in shown
    (index,) = ddb.update_table(**update(7))["TableDescription"]["GlobalSecondaryIndexes"]
    assert (index["IndexStatus"], index["ProvisionedThroughput"]["ReadCapacityUnits"]) == ("UPDATING", 5)
    (index,) = ddb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
    assert (index["IndexStatus"], index["ProvisionedThroughput"]["ReadCapacityUnits"]) == ("ACTIVE", 7)
    wide = {**gsi("wide", "g", projection="INCLUDE", NonKeyAttributes=[f"a{n}" for n in range(21)]), "ProvisionedThroughput": UNITS}
    assert refusal(ddb.update_table, **change(Create=wide))[0] == "ValidationException"
    (index,) = ddb.update_table(**change(Delete={"IndexName": "by-g"}))["TableDescription"]["GlobalSecondaryIndexes"]
    assert index["IndexStatus"] == "DELETING"
    assert "GlobalSecondaryIndexes" not in ddb.describe_table(TableName=table)["Table"]
    for n in range(0, 500, 25):
        ddb.batch_write_item(RequestItems={table: [
            {"PutRequest": {"Item": {"pk": {"S": str(n + m)}, "g": {"S": "G"}}}} for m in range(25)]})
    ddb.update_table(AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
                     **change(Create={**gsi("late", "g"), "ProvisionedThroughput": UNITS}))
    ddb.update_table(**change(Delete={"IndexName": "late"}))  # also while it is being filled
    assert "GlobalSecondaryIndexes" not in ddb.describe_table(TableName=table)["Table"]


def test_a_table_that_is_paid_for_in_another_way(ddb):
    table = make(ddb, definitions={"g": "S"}, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS,
                 GlobalSecondaryIndexes=[{**gsi("by-g", "g"), "ProvisionedThroughput": UNITS}])
    shown = ddb.update_table(TableName=table, BillingMode="PAY_PER_REQUEST")["TableDescription"]
    assert (shown["TableStatus"], shown["BillingModeSummary"]) == ("UPDATING", {"BillingMode": "PAY_PER_REQUEST"})
    (index,) = shown["GlobalSecondaryIndexes"]
    assert index["IndexStatus"] == "UPDATING" and shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    shown = ddb.describe_table(TableName=table)["Table"]
    assert shown["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"]
    for of in (shown, *shown["GlobalSecondaryIndexes"]):
        units = of["ProvisionedThroughput"]
        assert units.pop("LastDecreaseDateTime")
        assert units == {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}


def test_throughput_that_is_lowered_too_often(new_cloud):
    ddb = new_cloud("--ephemeral", "--enforce-throughput").client("dynamodb")
    nine = {"ReadCapacityUnits": 9, "WriteCapacityUnits": 9}
    table = make(ddb, BillingMode="PROVISIONED", ProvisionedThroughput=nine, definitions={"g": "S"},
                 GlobalSecondaryIndexes=[{**gsi("by-g", "g"), "ProvisionedThroughput": nine}])
    lower = lambda n: dict(TableName=table, ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": n})
    for n in (8, 7, 6, 5):
        ddb.update_table(**lower(n))
    code, message = refusal(ddb.update_table, **lower(4))
    assert code == "LimitExceededException" and message.startswith(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 "
        "decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. Number "
        "of decreases today: 4. Last decrease at ")
    ddb.update_table(**lower(10))
    index = lambda n: dict(TableName=table, GlobalSecondaryIndexUpdates=[{"Update": {
        "IndexName": "by-g", "ProvisionedThroughput": {"ReadCapacityUnits": n, "WriteCapacityUnits": 9}}}])
    for n in (8, 7, 6, 5):
        ddb.update_table(**index(n))
    assert refusal(ddb.update_table, **index(4))[0] == "LimitExceededException", "each index by itself"


def test_insights(ddb):
    table = make(ddb, sort="S", definitions={"g": "S"}, GlobalSecondaryIndexes=[gsi("by-g", "g")])
    insights = lambda **more: ddb.describe_contributor_insights(TableName=table, **more)
    assert "ContributorInsightsRuleList" not in insights()
    ddb.update_contributor_insights(TableName=table, ContributorInsightsAction="ENABLE")
    kinds = lambda shown: [rule.split("-")[1] for rule in shown["ContributorInsightsRuleList"]]
    assert kinds(insights()) == ["PKC", "SKC", "PKT", "SKT"]
    ddb.update_contributor_insights(TableName=table, IndexName="by-g", ContributorInsightsAction="ENABLE",
                                    ContributorInsightsMode="THROTTLED_KEYS")
    (rule,) = insights(IndexName="by-g")["ContributorInsightsRuleList"]
    assert rule.startswith(f"DynamoDBContributorInsights-PKT-{table}-by-g-")
    ddb.update_contributor_insights(TableName=table, ContributorInsightsAction="DISABLE")
    assert "ContributorInsightsRuleList" not in insights()


def test_policies_that_are_too_large_or_lock_out(ddb):
    table = make(ddb)
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    policy = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},'
              f'"Action":"dynamodb:GetItem","Resource":"{arn}"}}]}}')
    revision = ddb.put_resource_policy(ResourceArn=arn, Policy=policy, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    other = "Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id other, but {}."
    change = dict(ResourceArn=arn, Policy=policy, ExpectedRevisionId="other")
    assert refusal(ddb.put_resource_policy, **change) == ("PolicyNotFoundException", other.format(
        f"the policy associated to target table {table} has revision id {revision}"))
    ddb.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=revision)
    assert refusal(ddb.put_resource_policy, **change)[0] == "PolicyNotFoundException"
    assert refusal(ddb.put_resource_policy, ResourceArn=arn, Policy=policy + " " * 20_480)[0] == "LimitExceededException"
    nobody = policy.replace("111111111111", f"arn:aws:iam::{arn.split(':')[4]}:user/nobody")
    assert refusal(ddb.put_resource_policy, ResourceArn=arn, Policy=nobody) == (
        "ValidationException", "Invalid policy document: Invalid principal in policy")
    lockout = ('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"dynamodb:PutResourcePolicy",'
               f'"Resource":"{arn}"}}]}}')
    assert refusal(ddb.put_resource_policy, ResourceArn=arn, Policy=lockout)[0] == "ValidationException"
    ddb.put_resource_policy(ResourceArn=arn, Policy=lockout, ConfirmRemoveSelfResourceAccess=True)
    assert refusal(ddb.put_resource_policy, ResourceArn=arn, Policy=policy)[0] == "AccessDeniedException"
    ddb.delete_resource_policy(ResourceArn=arn)


def test_what_members_of_a_global_table_have_in_common(client, ddb):
    table, there = make(ddb, definitions={"g": "S"}, GlobalSecondaryIndexes=[gsi("by-g", "g")]), client("dynamodb", region="eu-west-1")
    replicas = lambda **update: dict(TableName=table, ReplicaUpdates=[update])
    local = "Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required."
    absent = "Update global table operation failed because one or more replicas were not part of the global table."
    for update, message in (
            ({"Create": {"RegionName": "us-east-1"}}, local), ({"Delete": {"RegionName": "us-east-1"}}, local),
            ({"Create": {"RegionName": "nowhere"}}, "The Region 'nowhere' is not valid."),
            ({"Delete": {"RegionName": "eu-west-1"}}, absent), ({"Update": {"RegionName": "eu-west-1"}}, absent)):
        assert refusal(ddb.update_table, **replicas(**update)) == ("ValidationException", message)
    assert refusal(ddb.update_table, TableName=table, ReplicaUpdates=[{}])[0] == "ValidationException"
    made = ddb.update_table(**replicas(Create={"RegionName": "eu-west-1", "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}))
    assert [replica["ReplicaStatus"] for replica in made["TableDescription"]["Replicas"]] == ["CREATING"]
    shown = ddb.describe_table(TableName=table)["Table"]
    (replica,) = shown["Replicas"]
    assert replica["ReplicaTableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert [index["IndexName"] for index in replica["GlobalSecondaryIndexes"]] == ["by-g"]
    theirs = lambda: there.describe_table(TableName=table)["Table"]
    assert theirs()["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS" and "TableClassSummary" not in shown
    assert refusal(ddb.update_table, **replicas(Create={"RegionName": "eu-west-1"})) == (
        "ValidationException", f"Failed to create a the new replica of table with name: '{table}' because one or more "
        "replicas already existed as tables.")
    assert refusal(ddb.update_table, TableName=table, StreamSpecification={"StreamEnabled": False})[0] == "ValidationException"
    there.put_item(TableName=table, Item={"pk": {"S": "a"}, "h": {"S": "H"}})
    there.update_table(TableName=table, AttributeDefinitions=[{"AttributeName": "h", "AttributeType": "S"}],
                       GlobalSecondaryIndexUpdates=[{"Create": gsi("by-h", "h")}])
    found = lambda one: one.query(TableName=table, IndexName="by-h", KeyConditionExpression="h = :h",
                                  ExpressionAttributeValues={":h": {"S": "H"}})["Count"]
    for one in (ddb, there):
        active = lambda: {i["IndexName"]: i["IndexStatus"] for i in one.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]}
        assert until(lambda: active() == {"by-g": "ACTIVE", "by-h": "ACTIVE"})
        assert until(lambda: found(one) == 1)
    ddb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    assert [index["IndexName"] for index in theirs()["GlobalSecondaryIndexes"]] == ["by-h"]
    ddb.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS, GlobalSecondaryIndexUpdates=[
        {"Update": {"IndexName": "by-h", "ProvisionedThroughput": UNITS}}])
    ddb.update_table(**replicas(Update={"RegionName": "eu-west-1", "ProvisionedThroughputOverride": {"ReadCapacityUnits": 7}}))
    units = theirs()["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (7, 5)
    ddb.update_table(TableName=table, ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6})
    units = theirs()["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (7, 6), "its own reads, and the common writes"
    (replica,) = ddb.describe_table(TableName=table)["Table"]["Replicas"]
    assert replica["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 7}
    ddb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    assert there.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    ddb.update_table(TableName=table, SSESpecification={"Enabled": True})
    assert theirs()["SSEDescription"]["SSEType"] == "KMS"
    there.update_table(TableName=table, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in ddb.describe_table(TableName=table)["Table"]
    there.update_table(TableName=table, DeletionProtectionEnabled=True)
    assert refusal(ddb.update_table, **replicas(Delete={"RegionName": "eu-west-1"}))[0] == "ValidationException"
    there.update_table(TableName=table, DeletionProtectionEnabled=False)
    gone = ddb.update_table(**replicas(Delete={"RegionName": "eu-west-1"}))["TableDescription"]
    assert gone["Replicas"] == [{"RegionName": "eu-west-1", "ReplicaStatus": "DELETING"}]
    assert refusal(there.describe_table, TableName=table)[0] == "ResourceNotFoundException"


def test_the_size_of_a_record(client, ddb):
    """The sizes that the Developer Guide shows of these very records."""
    streams = client("dynamodbstreams")
    table = name()
    ddb.create_table(TableName=table, KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                     AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "N"}],
                     StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    for message in ("New item!", "This item has changed"):
        ddb.put_item(TableName=table, Item={"Id": {"N": "101"}, "Message": {"S": message}})
    ddb.delete_item(TableName=table, Key={"Id": {"N": "101"}})
    arn = streams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    assert [record["dynamodb"]["SizeBytes"] for record in records] == [26, 59, 38]
    for record in records:
        assert (record["eventVersion"], record["eventSource"], record["awsRegion"]) == ("1.1", "aws:dynamodb", "us-east-1")
        assert len(record["eventID"]) == 32 and "userIdentity" not in record
        assert record["dynamodb"]["ApproximateCreationDateTime"].microsecond == 0


def test_no_more_than_a_megabyte_of_records(client, ddb):
    streams, table = client("dynamodbstreams"), make(ddb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    for n in range(5):
        ddb.put_item(TableName=table, Item={"pk": {"S": str(n)}, "x": {"S": "x" * 390_000}})
    arn = streams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    read = {"NextShardIterator": streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]}
    pages = []
    while sum(pages) < 5:
        read = streams.get_records(ShardIterator=read["NextShardIterator"])
        pages.append(len(read["Records"]))
    assert pages == [2, 2, 1]


def test_reading_streams(client, ddb):
    streams, table = client("dynamodbstreams"), make(ddb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    none = name()
    assert refusal(streams.list_streams, TableName=none) == (
        "ResourceNotFoundException", f"Requested resource not found: Table: {none} not found")
    arn = streams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = lambda kind, **more: dict(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
    ddb.put_item(TableName=table, Item={"pk": {"S": "first"}})
    between = int(time.time()) + 1  # boto3 sends whole seconds
    assert until(lambda: time.time() > between)
    ddb.put_item(TableName=table, Item={"pk": {"S": "second"}})
    at = streams.get_shard_iterator(**iterator("AT_TIMESTAMP", Timestamp=between))["ShardIterator"]
    assert [r["dynamodb"]["Keys"] for r in streams.get_records(ShardIterator=at)["Records"]] == [{"pk": {"S": "second"}}]
    early = streams.get_shard_iterator(**iterator("AT_TIMESTAMP", Timestamp=0))["ShardIterator"]
    assert len(streams.get_records(ShardIterator=early)["Records"]) == 2
    for more in ({}, {"Timestamp": time.time() + 60}):
        assert refusal(streams.get_shard_iterator, **iterator("AT_TIMESTAMP", **more))[0] == "ValidationException"
    assert refusal(streams.get_shard_iterator, **iterator("LATEST", Timestamp=between))[0] == "ValidationException"
    most = "1 validation error detected: Value '{}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {}"
    for call, more, limit in ((streams.list_streams, {}, 100), (streams.describe_stream, {"StreamArn": arn}, 100),
                              (streams.get_records, {"ShardIterator": early}, 1000)):
        assert refusal(call, Limit=limit + 1, **more) == ("ValidationException", most.format(limit + 1, limit))


def test_a_global_table_that_is_consistent_everywhere(client, ddb):
    there = client("dynamodb", region="us-west-2")
    strong = lambda table, *regions, witness=None: dict(
        TableName=table, MultiRegionConsistency="STRONG", ReplicaUpdates=[{"Create": {"RegionName": r}} for r in regions],
        **({"GlobalTableWitnessUpdates": [{"Create": {"RegionName": witness}}]} if witness else {}))
    full = make(ddb)
    ddb.put_item(TableName=full, Item={"pk": {"S": "a"}})
    table = make(ddb, definitions={"g": "S"}, GlobalSecondaryIndexes=[gsi("by-g", "g")])
    for arguments in (strong(table, "us-west-2"), strong(table, "us-west-2", "eu-west-1"), strong(full, "us-west-2", "us-east-2"),
                      {"TableName": table, "MultiRegionConsistency": "STRONG"}):
        assert refusal(ddb.update_table, **arguments)[0] == "ValidationException"
    ddb.update_table(**strong(table, "us-west-2", witness="us-east-2"))
    for one, other in ((ddb, "us-west-2"), (there, "us-east-1")):
        shown = one.describe_table(TableName=table)["Table"]
        assert shown["MultiRegionConsistency"] == "STRONG" and [r["RegionName"] for r in shown["Replicas"]] == [other]
        assert shown["GlobalTableWitnesses"] == [{"RegionName": "us-east-2", "WitnessStatus": "ACTIVE"}]
    key = {"pk": {"S": "a"}}
    for n in range(20):
        one, other = (ddb, there) if n % 2 else (there, ddb)
        changed = one.update_item(TableName=table, Key=key, UpdateExpression="SET g = :g ADD n :one", ReturnValues="UPDATED_NEW",
                                  ExpressionAttributeValues={":one": {"N": "1"}, ":g": {"S": f"G{n}"}})["Attributes"]
        assert changed["n"] == {"N": str(n + 1)}
        assert other.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["n"] == changed["n"], "at once"
        assert other.query(TableName=table, IndexName="by-g", KeyConditionExpression="g = :g",
                           ExpressionAttributeValues={":g": {"S": f"G{n}"}})["Count"] == 1
    there.delete_item(TableName=table, Key=key)
    assert "Item" not in ddb.get_item(TableName=table, Key=key)
    for call, arguments in (
            (ddb.transact_write_items, {"TransactItems": [{"Put": {"TableName": table, "Item": key}}]}),
            (ddb.transact_get_items, {"TransactItems": [{"Get": {"TableName": table, "Key": key}}]}),
            (ddb.update_time_to_live, {"TableName": table, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"}}),
            (ddb.delete_table, {"TableName": table}),
            (ddb.update_table, {"TableName": table, "ReplicaUpdates": [{"Delete": {"RegionName": "us-west-2"}}]}),
            (ddb.update_table, {"TableName": table, "DisassociationProtectionEnabled": False})):
        assert refusal(call, **arguments)[0] == "ValidationException", arguments
    ddb.update_table(TableName=table, ReplicaUpdates=[{"Delete": {"RegionName": "us-west-2"}}],
                     GlobalTableWitnessUpdates=[{"Delete": {"RegionName": "us-east-2"}}])
    shown = ddb.describe_table(TableName=table)["Table"]
    assert not {"MultiRegionConsistency", "GlobalTableWitnesses", "Replicas"} & set(shown)
    assert refusal(there.describe_table, TableName=table)[0] == "ResourceNotFoundException"
    deleted = ddb.delete_table(TableName=table)["TableDescription"]
    assert deleted["TableStatus"] == "DELETING" and not {"GlobalSecondaryIndexes", "WarmThroughput"} & set(deleted)


def test_a_replica_that_leaves_its_group_and_stays(client, ddb):
    table, there = make(ddb), client("dynamodb", region="eu-west-1")
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}})
    ddb.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    assert until(lambda: there.scan(TableName=table)["Count"] == 1)
    shown = there.describe_table(TableName=table)["Table"]
    assert shown["DisassociationProtectionEnabled"] and shown["MultiRegionConsistency"] == "EVENTUAL"
    away = dict(TableName=table, ReplicaUpdates=[{"Disassociate": {
        "RegionName": "eu-west-1", "DisassociationMode": "WAIT_FOR_REPLICATION"}}])
    assert refusal(there.update_table, **away)[0] == "ValidationException"
    assert refusal(ddb.update_table, **away)[0] == "ValidationException"
    there.update_table(TableName=table, DisassociationProtectionEnabled=False)
    there.update_table(**away)
    for one in (ddb, there):
        shown = one.describe_table(TableName=table)["Table"]
        assert "Replicas" not in shown and "DisassociationProtectionEnabled" not in shown
    there.put_item(TableName=table, Item={"pk": {"S": "b"}})
    assert (there.scan(TableName=table)["Count"], ddb.scan(TableName=table)["Count"]) == (2, 1)


def test_what_is_another_accounts(ddb, cloud, their_account):
    """Whoever knows the ARN of a table's backup, export or settings does not have them."""
    table, theirs = make(ddb), cloud.client("dynamodb", account=their_account)
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    backup = ddb.create_backup(TableName=table, BackupName="mine")["BackupDetails"]["BackupArn"]
    for call, arguments in (
            (theirs.describe_backup, {"BackupArn": backup}), (theirs.delete_backup, {"BackupArn": backup}),
            (theirs.restore_table_from_backup, {"BackupArn": backup, "TargetTableName": table}),
            (theirs.list_contributor_insights, {"TableName": arn}), (theirs.describe_table, {"TableName": arn}),
            (theirs.describe_export, {"ExportArn": f"{arn}/export/01795642443798-eb386f31"}),
            (theirs.describe_import, {"ImportArn": f"{arn}/import/01795642443798-eb386f31"})):
        assert refusal(call, **arguments)[0] == "AccessDeniedException", arguments
    assert theirs.list_backups(TableName=arn)["BackupSummaries"] == []
    assert ddb.describe_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
