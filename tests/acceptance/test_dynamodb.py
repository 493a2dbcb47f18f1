"""DynamoDB through boto3: tables, items, indexes, transactions, streams."""
import threading
import time
import uuid

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError


@pytest.fixture()
def ddb(cloud):
    return cloud.client("dynamodb")


def resource(cloud):
    return cloud.session().resource("dynamodb", endpoint_url=cloud.endpoint)


def name(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def make(ddb, table=None, sort=None, **more):
    """A table with the key `pk` (S), and `sk` of a type."""
    table = table or name()
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    definitions = {"pk": "S"}
    if sort:
        keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
        definitions["sk"] = sort
    definitions.update(more.pop("definitions", {}))
    ddb.create_table(
        TableName=table, KeySchema=keys, BillingMode=more.pop("BillingMode", "PAY_PER_REQUEST"),
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": v} for k, v in definitions.items()], **more)
    ddb.get_waiter("table_exists").wait(TableName=table)
    return table


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def until(check, seconds=60):
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def gsi(index, hash_key, range_key=None, projection="ALL", **more):
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    if range_key:
        keys.append({"AttributeName": range_key, "KeyType": "RANGE"})
    return {"IndexName": index, "KeySchema": keys, "Projection": {"ProjectionType": projection, **more}}


def test_tables(ddb):
    table = name()
    made = ddb.create_table(
        TableName=table, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}, Tags=[{"Key": "a", "Value": "b"}],
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING" and made["ItemCount"] == 0
    scores = make(ddb, sort="N", definitions={"a": "B"}, GlobalSecondaryIndexes=[gsi("by-a", "a")])
    definitions = ddb.describe_table(TableName=scores)["Table"]["AttributeDefinitions"]
    assert [d["AttributeName"] for d in definitions] == ["a", "pk", "sk"]
    shown = ddb.describe_table(TableName=table)["Table"]
    assert shown["TableStatus"] == "ACTIVE"
    assert shown["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    assert "BillingModeSummary" not in shown and shown["DeletionProtectionEnabled"] is False
    assert ddb.describe_table(TableName=shown["TableArn"])["Table"]["TableId"] == shown["TableId"]
    assert ddb.list_tags_of_resource(ResourceArn=shown["TableArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refusal(
        ddb.create_table, TableName=table, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    ) == ("ResourceInUseException", f"Table already exists: {table}")
    ddb.update_table(TableName=table, DeletionProtectionEnabled=True)
    assert refusal(ddb.delete_table, TableName=table) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
    ddb.update_table(TableName=table, DeletionProtectionEnabled=False)
    code, message = refusal(
        ddb.update_table, TableName=table, ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6})
    assert code == "ValidationException" and message.startswith(
        "The provisioned throughput for the table will not change. The requested value equals the current value.")
    assert ddb.delete_table(TableName=table)["TableDescription"]["TableStatus"] == "DELETING"
    ddb.get_waiter("table_not_exists").wait(TableName=table)
    assert refusal(ddb.describe_table, TableName=table) == (
        "ResourceNotFoundException", f"Requested resource not found: Table: {table} not found")
    assert refusal(ddb.get_item, TableName=table, Key={"pk": {"S": "a"}}) == (
        "ResourceNotFoundException", "Requested resource not found")


@pytest.mark.parametrize("change, message", [
    ({"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
     "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
    ({"KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}]},
     "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. "
     "Keys: [x], AttributeDefinitions: [pk]"),
    ({"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "b", "AttributeType": "S"}]},
     "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of "
     "attributes defined in AttributeDefinitions"),
    ({"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
     "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
     "BillingMode is PAY_PER_REQUEST"),
    ({"BillingMode": "PROVISIONED"},
     "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when "
     "BillingMode is PROVISIONED"),
    ({"GlobalSecondaryIndexes": []},
     "One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty"),
    ({"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "SS"}]},
     "1 validation error detected: Value 'SS' at 'attributeDefinitions.1.member.attributeType' failed to satisfy "
     "constraint: Member must satisfy enum value set: [B, N, S]"),
])
def test_tables_that_cannot_be(ddb, change, message):
    arguments = dict(
        TableName=name(), KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    arguments.update(change)
    assert refusal(ddb.create_table, **arguments) == ("ValidationException", message)


def test_items(ddb):
    table = make(ddb, sort="N")
    item = {
        "pk": {"S": "a"}, "sk": {"N": "1"}, "text": {"S": ""}, "bytes": {"B": b"\0\1"}, "yes": {"BOOL": True},
        "nothing": {"NULL": True}, "list": {"L": [{"N": "1.50"}, {"M": {"x": {"SS": ["b", "a"]}}}]},
        "numbers": {"NS": ["3", "1"]}, "blobs": {"BS": [b"x"]},
    }
    put = ddb.put_item(TableName=table, Item=item, ReturnConsumedCapacity="TOTAL")
    assert put["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": 1.0} and "Attributes" not in put
    key = {"pk": {"S": "a"}, "sk": {"N": "1.0"}}
    got = ddb.get_item(TableName=table, Key=key, ReturnConsumedCapacity="INDEXES")
    assert got["ConsumedCapacity"] == {
        "TableName": table, "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}}
    assert got["Item"]["list"] == {"L": [{"N": "1.5"}, {"M": {"x": {"SS": ["a", "b"]}}}]}
    assert got["Item"]["bytes"] == {"B": b"\0\1"} and got["Item"]["text"] == {"S": ""}
    part = ddb.get_item(TableName=table, Key=key, ProjectionExpression="#l[1].x, yes",
                        ExpressionAttributeNames={"#l": "list"})
    assert part["Item"] == {"list": {"L": [{"M": {"x": {"SS": ["a", "b"]}}}]}, "yes": {"BOOL": True}}
    updated = ddb.update_item(
        TableName=table, Key=key, UpdateExpression="SET yes = :f, n = if_not_exists(n, :z) + :o REMOVE blobs",
        ExpressionAttributeValues={":f": {"BOOL": False}, ":z": {"N": "10"}, ":o": {"N": "1"}},
        ReturnValues="UPDATED_NEW")
    assert updated["Attributes"] == {"yes": {"BOOL": False}, "n": {"N": "11"}}
    assert refusal(
        ddb.update_item, TableName=table, Key=key, UpdateExpression="SET sk = :o",
        ExpressionAttributeValues={":o": {"N": "1"}},
    ) == ("ValidationException",
          "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key")
    with pytest.raises(ClientError) as caught:
        ddb.put_item(TableName=table, Item={**key, "x": {"S": "y"}}, ConditionExpression="attribute_not_exists(pk)",
                     ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Error"] == {
        "Code": "ConditionalCheckFailedException", "Message": "The conditional request failed"}
    assert caught.value.response["Item"]["n"] == {"N": "11"}
    deleted = ddb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")
    assert deleted["Attributes"]["pk"] == {"S": "a"}
    assert "Item" not in ddb.get_item(TableName=table, Key=key)
    assert "Attributes" not in ddb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")


@pytest.mark.parametrize("key, message", [
    ({"pk": {"S": "a"}}, "The provided key element does not match the schema"),
    ({"pk": {"S": "a"}, "sk": {"S": "1"}}, "The provided key element does not match the schema"),
    ({"pk": {"S": ""}, "sk": {"N": "1"}},
     "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string "
     "value. Key: pk"),
    ({"pk": {"S": "a" * 2049}, "sk": {"N": "1"}},
     "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"),
])
def test_keys_that_cannot_be(ddb, key, message):
    table = make(ddb, sort="N")
    assert refusal(ddb.get_item, TableName=table, Key=key) == ("ValidationException", message)


def test_items_that_cannot_be(ddb):
    table = make(ddb, definitions={"g": "N"}, GlobalSecondaryIndexes=[gsi("by-g", "g")])
    put = lambda **item: refusal(ddb.put_item, TableName=table, Item=item)
    assert put(x={"S": "a"})[1] == "One or more parameter values were invalid: Missing the key pk in the item"
    assert put(pk={"N": "1"})[1] == (
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N")
    assert put(pk={"S": "a"}, g={"S": "x"})[1] == (
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: N Actual: S IndexName: by-g")
    assert put(pk={"S": "a"}, x={"S": "x" * 410_000})[1] == "Item size has exceeded the maximum allowed size"
    deep = {"S": "x"}
    for _ in range(33):
        deep = {"L": [deep]}
    assert put(pk={"S": "a"}, x=deep)[0] == "ValidationException"


def test_queries(ddb):
    table = make(ddb, sort="N")
    for n in [-10, -1, 0, 1, 2, 10, 100, 1.5]:
        ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"N": str(n)}, "even": {"BOOL": n % 2 == 0}})
    ddb.put_item(TableName=table, Item={"pk": {"S": "b"}, "sk": {"N": "1"}})

    def ask(condition="pk = :p", **more):
        values = {":p": {"S": "a"}, **more.pop("values", {})}
        return ddb.query(TableName=table, KeyConditionExpression=condition, ExpressionAttributeValues=values, **more)

    numbers = lambda found: [float(item["sk"]["N"]) for item in found["Items"]]
    assert numbers(ask()) == [-10, -1, 0, 1, 1.5, 2, 10, 100]
    assert numbers(ask(ScanIndexForward=False)) == [100, 10, 2, 1.5, 1, 0, -1, -10]
    one = {"values": {":n": {"N": "1"}}}
    assert numbers(ask("pk = :p AND sk < :n", **one)) == [-10, -1, 0]
    assert numbers(ask("pk = :p AND sk <= :n", values={":n": {"N": "1"}})) == [-10, -1, 0, 1]
    assert numbers(ask("pk = :p AND sk > :n", values={":n": {"N": "1"}})) == [1.5, 2, 10, 100]
    assert numbers(ask("pk = :p AND sk >= :n", values={":n": {"N": "1"}})) == [1, 1.5, 2, 10, 100]
    assert numbers(ask("pk = :p AND sk BETWEEN :n AND :m", values={":n": {"N": "-1"}, ":m": {"N": "2"}})) == [
        -1, 0, 1, 1.5, 2]
    found = ask(FilterExpression="even = :t", values={":t": {"BOOL": True}}, Limit=5)
    assert (found["Count"], found["ScannedCount"]) == (2, 5) and found["LastEvaluatedKey"]["sk"] == {"N": "1.5"}
    rest = ask(ExclusiveStartKey=found["LastEvaluatedKey"])
    assert numbers(rest) == [2, 10, 100] and "LastEvaluatedKey" not in rest
    assert "Items" not in ask(Select="COUNT") and ask(Select="COUNT")["Count"] == 8
    backwards, key = [], {}
    while True:
        page = ask(ScanIndexForward=False, Limit=3, **key)
        backwards += numbers(page)
        if "LastEvaluatedKey" not in page:
            break
        key = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert backwards == [100, 10, 2, 1.5, 1, 0, -1, -10]
    assert refusal(ask, condition="sk = :n", values={":n": {"N": "1"}})[0] == "ValidationException"


def test_scans_by_segments(ddb):
    table = make(ddb)
    for n in range(60):
        ddb.put_item(TableName=table, Item={"pk": {"S": f"item {n}"}})
    seen = []
    for segment in range(4):
        key = {}
        while True:
            page = ddb.scan(TableName=table, Segment=segment, TotalSegments=4, Limit=7, **key)
            seen += [item["pk"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            key = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert len(seen) == 60 and set(seen) == {f"item {n}" for n in range(60)}
    whole = [item["pk"]["S"] for item in ddb.scan(TableName=table)["Items"]]
    assert whole == seen and whole != sorted(whole)
    assert refusal(ddb.scan, TableName=table, Segment=1)[1].startswith("The TotalSegments parameter is required")


def test_indexes(ddb):
    table = make(
        ddb, sort="S", definitions={"g": "S", "l": "N"},
        GlobalSecondaryIndexes=[gsi("all", "g"), gsi("keys", "g", "pk", "KEYS_ONLY")],
        LocalSecondaryIndexes=[gsi("local", "pk", "l", "INCLUDE", NonKeyAttributes=["x"])])
    for n in range(5):
        item = {"pk": {"S": "p"}, "sk": {"S": str(n)}, "l": {"N": str(10 - n)}, "x": {"S": "x"}, "y": {"S": "y"}}
        if n != 2:
            item["g"] = {"S": "G"}
        written = ddb.put_item(TableName=table, Item=item, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
        assert written["CapacityUnits"] == (4.0 if n != 2 else 2.0)
        assert written["LocalSecondaryIndexes"] == {"local": {"CapacityUnits": 1.0}}

    def ask(index, condition, values, **more):
        return ddb.query(TableName=table, IndexName=index, KeyConditionExpression=condition,
                         ExpressionAttributeValues=values, **more)

    found = ask("all", "g = :g", {":g": {"S": "G"}}, ReturnConsumedCapacity="INDEXES")
    assert found["Count"] == 4 and all("y" in item for item in found["Items"])
    assert found["ConsumedCapacity"] == {
        "TableName": table, "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"all": {"CapacityUnits": 0.5}}}
    assert ask("keys", "g = :g AND pk = :p", {":g": {"S": "G"}, ":p": {"S": "p"}})["Items"][0].keys() == {"g", "pk", "sk"}
    local = ask("local", "pk = :p AND l < :n", {":p": {"S": "p"}, ":n": {"N": "9"}})
    assert [item["l"]["N"] for item in local["Items"]] == ["6", "7", "8"]
    assert local["Items"][0].keys() == {"pk", "sk", "l", "x"}
    whole = ask("local", "pk = :p", {":p": {"S": "p"}}, Select="ALL_ATTRIBUTES", ConsistentRead=True)
    assert all("y" in item for item in whole["Items"])
    pages, key = [], {}
    while True:
        page = ask("all", "g = :g", {":g": {"S": "G"}}, Limit=2, **key)
        pages += [item["sk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        assert page["LastEvaluatedKey"].keys() == {"g", "pk", "sk"}
        key = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(pages) == ["0", "1", "3", "4"]
    ddb.update_item(TableName=table, Key={"pk": {"S": "p"}, "sk": {"S": "0"}}, UpdateExpression="REMOVE g")
    ddb.delete_item(TableName=table, Key={"pk": {"S": "p"}, "sk": {"S": "1"}})
    assert ask("all", "g = :g", {":g": {"S": "G"}})["Count"] == 2
    assert refusal(ask, index="all", condition="g = :g", values={":g": {"S": "G"}}, ConsistentRead=True)[1] == (
        "Consistent reads are not supported on global secondary indexes")
    assert refusal(ask, index="keys", condition="g = :g", values={":g": {"S": "G"}}, Select="ALL_ATTRIBUTES")[1] == (
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary "
        "index keys because its projection type is not ALL")
    assert refusal(ask, index="nope", condition="g = :g", values={":g": {"S": "G"}})[1] == (
        "The table does not have the specified index: nope")


def test_an_index_is_added_to_a_full_table(ddb):
    table = make(ddb)
    for n in range(150):
        ddb.put_item(TableName=table, Item={"pk": {"S": str(n)}, "g": {"N": str(n % 3)}})
    create = gsi("late", "g")
    shown = ddb.update_table(
        TableName=table, AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "N"}],
        GlobalSecondaryIndexUpdates=[{"Create": create}])["TableDescription"]
    assert shown["TableStatus"] == "UPDATING"
    assert shown["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    ready = lambda: ddb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    assert until(ready)
    found = ddb.query(TableName=table, IndexName="late", KeyConditionExpression="g = :g",
                      ExpressionAttributeValues={":g": {"N": "1"}})
    assert found["Count"] == 50
    ddb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "late"}}])
    assert "GlobalSecondaryIndexes" not in ddb.describe_table(TableName=table)["Table"]
    assert [d["AttributeName"] for d in ddb.describe_table(TableName=table)["Table"]["AttributeDefinitions"]] == ["pk"]


def test_batches(ddb):
    table = make(ddb)
    puts = [{"PutRequest": {"Item": {"pk": {"S": str(n)}, "n": {"N": str(n)}}}} for n in range(25)]
    assert ddb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}
    assert refusal(ddb.batch_write_item, RequestItems={table: [puts[0], puts[0]]})[1] == (
        "Provided list of item keys contains duplicates")
    keys = [{"pk": {"S": str(n)}} for n in range(30)]
    got = ddb.batch_get_item(RequestItems={table: {"Keys": keys, "ProjectionExpression": "n"}},
                             ReturnConsumedCapacity="TOTAL")
    assert len(got["Responses"][table]) == 25 and got["UnprocessedKeys"] == {}
    assert got["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 15.0}]
    assert refusal(ddb.batch_get_item, RequestItems={table: {"Keys": [keys[0], keys[0]]}})[1] == (
        "Provided list of item keys contains duplicates")
    deletes = [{"DeleteRequest": {"Key": key}} for key in keys[:25]]
    ddb.batch_write_item(RequestItems={table: deletes})
    assert ddb.scan(TableName=table)["Count"] == 0


def test_a_batch_gives_no_more_than_16_megabytes(ddb):
    table = make(ddb)
    large = "x" * (400 * 1024 - 100)
    for n in range(42):
        ddb.put_item(TableName=table, Item={"pk": {"S": str(n)}, "x": {"S": large}})
    keys = [{"pk": {"S": str(n)}} for n in range(42)]
    found = ddb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    got = found["Responses"][table]
    assert len(got) == 40 and sum(len(item["x"]["S"]) for item in got) <= 16 * 1024 * 1024
    assert found["UnprocessedKeys"][table]["ConsistentRead"] and found["UnprocessedKeys"][table]["Keys"] == keys[40:]


def test_transactions(ddb):
    table = make(ddb)
    put = lambda pk, **more: {"Put": {"TableName": table, "Item": {"pk": {"S": pk}}, **more}}
    token = uuid.uuid4().hex
    ddb.transact_write_items(TransactItems=[put("a"), put("b")], ClientRequestToken=token)
    ddb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    again = ddb.transact_write_items(
        TransactItems=[put("a"), put("b")], ClientRequestToken=token, ReturnConsumedCapacity="TOTAL")
    assert again["ConsumedCapacity"][0]["ReadCapacityUnits"] == 4.0
    assert "Item" not in ddb.get_item(TableName=table, Key={"pk": {"S": "a"}})
    assert refusal(ddb.transact_write_items, TransactItems=[put("a")], ClientRequestToken=token)[0] == (
        "IdempotentParameterMismatchException")
    with pytest.raises(ClientError) as caught:
        ddb.transact_write_items(TransactItems=[
            put("c"),
            put("b", ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        ])
    response = caught.value.response
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
                   "[None, ConditionalCheckFailed]"}
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": {"pk": {"S": "b"}}}]
    assert "Item" not in ddb.get_item(TableName=table, Key={"pk": {"S": "c"}})
    assert refusal(ddb.transact_write_items, TransactItems=[put("x"), put("x")])[1] == (
        "Transaction request cannot include multiple operations on one item")
    got = ddb.transact_get_items(TransactItems=[
        {"Get": {"TableName": table, "Key": {"pk": {"S": pk}}}} for pk in ("b", "nope")])
    assert got["Responses"] == [{"Item": {"pk": {"S": "b"}}}, {}]


def test_counters_lose_nothing(cloud):
    ddb = cloud.client("dynamodb", max_pool_connections=16)
    table = make(ddb)

    def add():
        for _ in range(50):
            ddb.update_item(TableName=table, Key={"pk": {"S": "hot"}}, UpdateExpression="ADD n :o",
                            ExpressionAttributeValues={":o": {"N": "1"}})

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ddb.get_item(TableName=table, Key={"pk": {"S": "hot"}})["Item"]["n"] == {"N": "400"}


def test_legacy_parameters(ddb):
    table = make(ddb, sort="N")
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    ddb.update_item(TableName=table, Key=key, AttributeUpdates={"n": {"Action": "ADD", "Value": {"N": "5"}}})
    found = ddb.query(TableName=table, KeyConditions={
        "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}, AttributesToGet=["n"])
    assert found["Items"] == [{"n": {"N": "5"}}]
    assert refusal(ddb.put_item, TableName=table, Item=key, Expected={"n": {"Exists": False}})[0] == (
        "ConditionalCheckFailedException")
    scanned = ddb.scan(TableName=table, ScanFilter={
        "n": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "4"}]}})
    assert scanned["Count"] == 1


def test_the_resource_layer(cloud):
    table = make(cloud.client("dynamodb"), sort="S")
    table = resource(cloud).Table(table)
    with table.batch_writer() as batch:
        for n in range(40):
            batch.put_item(Item={"pk": "a", "sk": f"{n:02}", "n": n})
    found = table.query(KeyConditionExpression=Key("pk").eq("a") & Key("sk").begins_with("1"),
                        FilterExpression=Attr("n").gte(15))
    assert [item["n"] for item in found["Items"]] == [15, 16, 17, 18, 19]


def test_policies_and_settings(ddb):
    table = make(ddb)
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    assert refusal(ddb.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"
    policy = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},'
              f'"Action":"dynamodb:GetItem","Resource":"{arn}"}}]}}')
    ddb.put_resource_policy(ResourceArn=arn, Policy=policy)
    assert ddb.get_resource_policy(ResourceArn=arn)["Policy"] == policy
    assert ddb.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    pitr = ddb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    shown = pitr["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert shown["PointInTimeRecoveryStatus"] == "ENABLED" and shown["RecoveryPeriodInDays"] == 35
    assert refusal(ddb.describe_continuous_backups, TableName=name())[0] == "TableNotFoundException"


def test_statements(ddb):
    table = make(ddb, sort="N", definitions={"g": "S", "l": "N"}, GlobalSecondaryIndexes=[gsi("by-g", "g")],
                 LocalSecondaryIndexes=[gsi("by-l", "pk", "l", "KEYS_ONLY")])
    run = lambda statement, *parameters, **more: ddb.execute_statement(
        Statement=statement.replace("@", f'"{table}"'), **({"Parameters": list(parameters)} if parameters else {}), **more)
    for n in range(5):
        assert run("INSERT INTO @ VALUE {'pk': 'a', 'sk': ?, 'g': 'G', 'n': 1}", {"N": str(n)})["Items"] == []
    assert refusal(run, statement="INSERT INTO @ VALUE {'pk': 'a', 'sk': 1}") == (
        "DuplicateItemException", "Duplicate primary key exists in table")
    found = run("SELECT sk FROM @ WHERE pk = 'a' AND sk > 2")
    assert found["Items"] == [{"sk": {"N": "3"}}, {"sk": {"N": "4"}}]
    assert len(ddb.execute_statement(Statement=f'SELECT * FROM "{table}"."by-g" WHERE g = \'G\'')["Items"]) == 5
    pages, token = [], {}
    while True:
        page = run("SELECT * FROM @ WHERE pk = 'a'", Limit=2, **token)
        pages += page["Items"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len(pages) == 5
    changed = run("UPDATE @ SET n = n + 5 WHERE pk = 'a' AND sk = 1 RETURNING ALL NEW *")
    assert changed["Items"][0]["n"] == {"N": "6"}
    assert refusal(run, statement="UPDATE @ SET n = 1 WHERE pk = 'nope' AND sk = 1")[0] == (
        "ConditionalCheckFailedException")
    assert run("DELETE FROM @ WHERE pk = 'a' AND sk = 1 RETURNING ALL OLD *")["Items"][0]["n"] == {"N": "6"}
    batch = ddb.batch_execute_statement(Statements=[
        {"Statement": f"SELECT * FROM \"{table}\" WHERE pk = 'a' AND sk = 0"},
        {"Statement": f"SELECT * FROM \"{table}\" WHERE pk = 'a'"}])["Responses"]
    assert batch[0]["Item"]["pk"] == {"S": "a"} and batch[1]["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError) as caught:
        ddb.execute_transaction(TransactStatements=[
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'b', 'sk': 1}}"},
            {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'a', 'sk': 0}}"}])
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == ["None", "DuplicateItem"]
    ddb.execute_transaction(TransactStatements=[
        {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': 'b', 'sk': 1}}"},
        {"Statement": f"UPDATE \"{table}\" SET n = 7 WHERE pk = 'a' AND sk = 0"}])
    read = ddb.execute_transaction(TransactStatements=[
        {"Statement": f"SELECT n FROM \"{table}\" WHERE pk = 'a' AND sk = 0"}])
    assert read["Responses"] == [{"Item": {"n": {"N": "7"}}}]
    again = dict(ClientRequestToken=str(uuid.uuid4()), TransactStatements=[
        {"Statement": f"UPDATE \"{table}\" SET n = n + 1 WHERE pk = 'a' AND sk = 0"},
        {"Statement": f"DELETE FROM \"{table}\" WHERE pk = 'z' AND sk = 0"}])
    assert [ddb.execute_transaction(**again)["Responses"] for _ in range(2)] == [[{}, {}]] * 2
    assert run("SELECT n FROM @ WHERE pk = 'a' AND sk = 0")["Items"] == [{"n": {"N": "8"}}]
    for pk in "cde":
        run("INSERT INTO @ VALUE {'pk': ?, 'sk': 1, 'l': 2, 'n': 3}", {"S": pk})
    for order, expected in (("pk", "abcde"), ("pk ASC", "abcde"), ("pk DESC", "edcba")):
        found = run(f"SELECT pk FROM @ WHERE pk IN ['d', 'a', 'e', 'c', 'b'] AND sk IN [0, 1] ORDER BY {order}")
        assert "".join(item["pk"]["S"] for item in found["Items"]) == expected
    for order, expected in (("ASC", "0234"), ("DESC", "4320")):
        found = run(f"SELECT sk FROM @ WHERE pk = 'a' AND (sk >= 3 OR sk IN [2, 0]) ORDER BY sk {order}")
        assert "".join(item["sk"]["N"] for item in found["Items"]) == expected
    # What a local index lacks is fetched from the table.
    found = ddb.execute_statement(Statement=f"SELECT n FROM \"{table}\".\"by-l\" WHERE pk = 'c' AND l = 2")
    assert found["Items"] == [{"n": {"N": "3"}}]
