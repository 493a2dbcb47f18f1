"""Fine-grained access: what policies can ask about a call on items."""
import json

import pytest
from botocore.exceptions import ClientError

ALL = {"TableName": "Scores"}


@pytest.fixture(scope="module")
def people(cloud):
    """A table of an account with a few items, and `people(policy)`: a client of a user with that policy."""
    account = "777000000001"
    ddb, iam = cloud.client("dynamodb", account=account), cloud.client("iam", account=account)
    ddb.create_table(
        **ALL, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "user", "KeyType": "HASH"}, {"AttributeName": "game", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("user", "game", "team")],
        GlobalSecondaryIndexes=[{"IndexName": "teams", "KeySchema": [{"AttributeName": "team", "KeyType": "HASH"}],
                                 "Projection": {"ProjectionType": "ALL"}}])
    for user in ("ann", "bob"):
        ddb.put_item(**ALL, Item={"user": {"S": user}, "game": {"S": "go"}, "team": {"S": "red"}, "wins": {"N": "1"},
                                  "secret": {"S": "x"}})
    made = iter(range(1000))

    def client(condition, effect="Allow"):
        name = f"u{next(made)}"
        iam.create_user(UserName=name)
        statements = [{"Effect": effect, "Action": "dynamodb:*", "Resource": "*", "Condition": condition}]
        if effect == "Deny":
            statements.append({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": statements}))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client("dynamodb", account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    return client


def allowed(call, **arguments):
    try:
        call(**arguments)
        return True
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise


def key(user, game="go"):
    return {"user": {"S": user}, "game": {"S": game}}


def test_only_ones_own_partition(people):
    ann = people({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ann"]}, "Null": {"dynamodb:LeadingKeys": "false"}})
    for user, may in (("ann", True), ("bob", False)):
        values = {":u": {"S": user}}
        write = {"PutRequest": {"Item": key(user, "x")}}
        assert allowed(ann.get_item, **ALL, Key=key(user)) is may
        assert allowed(ann.put_item, **ALL, Item=key(user, "y")) is may
        assert allowed(ann.delete_item, **ALL, Key=key(user, "y")) is may
        assert allowed(ann.update_item, **ALL, Key=key(user), UpdateExpression="ADD wins :o",
                       ExpressionAttributeValues={":o": {"N": "1"}}) is may
        assert allowed(ann.query, **ALL, KeyConditionExpression="#u = :u", ExpressionAttributeNames={"#u": "user"},
                       ExpressionAttributeValues=values) is may
        assert allowed(ann.query, **ALL, KeyConditions={
            "user": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": user}]}}) is may
        assert allowed(ann.batch_get_item, RequestItems={"Scores": {"Keys": [key("ann"), key(user, "z")]}}) is may
        assert allowed(ann.batch_write_item, RequestItems={"Scores": [write]}) is may
        assert allowed(ann.transact_get_items, TransactItems=[{"Get": {**ALL, "Key": key(user)}}]) is may
        assert allowed(ann.transact_write_items, TransactItems=[{"Delete": {**ALL, "Key": key(user, "x")}}]) is may
        assert allowed(ann.execute_statement, Statement=f"SELECT * FROM Scores WHERE \"user\" = '{user}'") is may
        assert allowed(ann.execute_statement, Statement=f"DELETE FROM Scores WHERE \"user\"='{user}' AND game='q'") is may
    assert not allowed(ann.scan, **ALL)
    assert not allowed(ann.execute_statement, Statement="SELECT * FROM Scores")
    assert not allowed(ann.query, **ALL, IndexName="teams", KeyConditionExpression="team = :t",
                       ExpressionAttributeValues={":t": {"S": "red"}})


def test_only_some_attributes(people):
    client = people({"ForAllValues:StringEquals": {"dynamodb:Attributes": ["user", "game", "wins"]},
                     "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES",
                                              "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]}})
    one = {":o": {"N": "1"}}
    assert allowed(client.get_item, **ALL, Key=key("ann"), ProjectionExpression="wins")
    assert not allowed(client.get_item, **ALL, Key=key("ann"))
    assert not allowed(client.get_item, **ALL, Key=key("ann"), ProjectionExpression="wins, #s",
                       ExpressionAttributeNames={"#s": "secret"})
    assert not allowed(client.get_item, **ALL, Key=key("ann"), AttributesToGet=["secret"])
    assert allowed(client.scan, **ALL, ProjectionExpression="wins", FilterExpression="wins >= :o",
                   ExpressionAttributeValues=one)
    assert not allowed(client.scan, **ALL, ProjectionExpression="wins", FilterExpression="secret = :o",
                       ExpressionAttributeValues=one)
    assert not allowed(client.scan, **ALL, Select="COUNT")
    update = {**ALL, "Key": key("ann"), "ExpressionAttributeValues": one}
    assert allowed(client.update_item, **update, UpdateExpression="ADD wins :o", ReturnValues="UPDATED_NEW")
    assert not allowed(client.update_item, **update, UpdateExpression="ADD wins :o", ReturnValues="ALL_NEW")
    assert not allowed(client.update_item, **update, UpdateExpression="SET secret = :o")
    assert not allowed(client.update_item, **update, UpdateExpression="SET wins = if_not_exists(secret, :o)")
    assert not allowed(client.update_item, **update, UpdateExpression="ADD wins :o", ConditionExpression="secret <> :o")
    assert not allowed(client.put_item, **ALL, Item={**key("ann"), "secret": {"S": "y"}})
    assert allowed(client.execute_statement, Statement="SELECT wins FROM Scores WHERE \"user\" = 'ann'")
    assert not allowed(client.execute_statement, Statement="SELECT * FROM Scores WHERE \"user\" = 'ann'")
    assert not allowed(client.execute_statement,
                       Statement="UPDATE Scores SET secret = 1 WHERE \"user\" = 'ann' AND game = 'go'")


def test_transactions_full_scans_and_consumed_capacity(people):
    alone = people({"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}, "Deny")
    put = {"Put": {**ALL, "Item": key("ann", "t")}}
    assert allowed(alone.put_item, **ALL, Item=key("ann", "t"))
    assert not allowed(alone.transact_write_items, TransactItems=[put])
    assert allowed(alone.transact_get_items, TransactItems=[{"Get": {**ALL, "Key": key("ann")}}])
    narrow = people({"Bool": {"dynamodb:FullTableScan": "true"}}, "Deny")
    assert allowed(narrow.execute_statement, Statement="SELECT * FROM Scores WHERE \"user\" = 'ann'")
    assert not allowed(narrow.execute_statement, Statement="SELECT * FROM Scores WHERE wins > 1")
    quiet = people({"StringEquals": {"dynamodb:ReturnConsumedCapacity": "NONE"}})
    assert allowed(quiet.get_item, **ALL, Key=key("ann"))
    assert not allowed(quiet.get_item, **ALL, Key=key("ann"), ReturnConsumedCapacity="TOTAL")


def test_replicas_are_made_by_those_who_may_make_them(cloud):
    account, table = "777000000002", "Everywhere"
    ddb, iam = cloud.client("dynamodb", account=account), cloud.client("iam", account=account)
    ddb.create_table(TableName=table, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                     AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    theirs = cloud.client("dynamodb", account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    region = "eu-west-1"
    for action, update in (("CreateTableReplica", "Create"), ("UpdateTable", "Update"), ("DeleteTableReplica", "Delete")):
        more = {"TableClassOverride": "STANDARD"} if update == "Update" else {}
        change = dict(TableName=table, ReplicaUpdates=[{update: {"RegionName": region, **more}}])
        may = [f"arn:aws:dynamodb:us-east-1:{account}:table/{table}"]
        for there in (False, True):
            statements = [{"Effect": "Allow", "Action": "dynamodb:UpdateTable", "Resource": may}]
            if there:
                arn = f"arn:aws:dynamodb:{region}:{account}:table/{table}"
                statements.append({"Effect": "Allow", "Action": f"dynamodb:{action}", "Resource": arn})
            iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": statements}))
            assert allowed(theirs.update_table, **change) == there, update
