"""Event source mappings: DynamoDB Streams that call functions."""
import json
import re
import time

import pytest

from test_lambda import LOGS, create, lam, lines, package, refused, role, until  # noqa: F401

SEEN = package("import json\ndef handler(event, context):\n    print('seen', json.dumps(event))\n")
STREAM = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
READS = {"Version": "2012-10-17", "Statement": [
    LOGS["Statement"][0],
    {"Effect": "Allow", "Action": STREAM, "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:PutObject", "sqs:*", "kinesis:*"], "Resource": "*"},
]}


@pytest.fixture
def table(client):
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="things", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.get_waiter("table_exists").wait(TableName="things", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    arn = dynamodb.describe_table(TableName="things")["Table"]["LatestStreamArn"]

    def put(key, **more):
        dynamodb.put_item(TableName="things", Item={"k": {"S": key}, **more})

    put.arn, put.client = arn, dynamodb
    return put


@pytest.fixture
def reader(create, role):
    def reader(name="f", code=SEEN, **kw):
        return create(name, code=code, Role=role("reads-" + name, policy=READS), **kw)

    return reader


def settled(lam, uuid, state="Enabled"):
    found = until(lambda: lam.get_event_source_mapping(UUID=uuid)["State"] == state)
    assert found, lam.get_event_source_mapping(UUID=uuid)
    return lam.get_event_source_mapping(UUID=uuid)


def events(client, name, least, seconds=60):
    """The records that the function was given, at least so many."""
    logs = client("logs")

    def look():
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}", filterPattern="seen")
            found = [json.loads(e["message"].split("seen ", 1)[1]) for page in pages for e in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            found = []
        return found if sum(len(e["Records"]) for e in found) >= least else None

    found = until(look, seconds)
    assert found, f"{name} was not given {least} records"
    return found


def keys(calls):
    return [r["dynamodb"]["Keys"]["k"]["S"] for call in calls for r in call["Records"]]


def test_a_mapping_from_creation_to_deletion(lam, reader, table, account):
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    reader()
    made = lam.create_event_source_mapping(FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", Tags={"a": "1"})
    assert made.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    uuid = made.pop("UUID")
    assert re.fullmatch(r"[0-9a-f-]{36}", uuid) and made.pop("LastModified")
    assert made == {
        "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1,
        "EventSourceArn": table.arn, "FunctionArn": arn, "LastProcessingResult": "No records processed", "State": "Creating",
        "StateTransitionReason": "User action", "DestinationConfig": {"OnFailure": {}}, "MaximumRecordAgeInSeconds": -1,
        "BisectBatchOnFunctionError": False, "MaximumRetryAttempts": -1, "TumblingWindowInSeconds": 0, "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:{account}:event-source-mapping:{uuid}",
    }
    settled(lam, uuid)
    assert lam.list_tags(Resource=made["EventSourceMappingArn"])["Tags"] == {"a": "1"}
    message = refused("ResourceConflictException", lam.create_event_source_mapping, FunctionName="f", EventSourceArn=table.arn, StartingPosition="LATEST")
    assert message == (
        f'The event source arn (" {table.arn} ") and function (" f ") provided mapping already exists. Please update or delete the '
        f"existing mapping with UUID {uuid}"
    )
    listed = lam.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]
    assert [m["UUID"] for m in listed] == [uuid]
    assert lam.list_event_source_mappings(EventSourceArn=table.arn + "0")["EventSourceMappings"] == []
    changed = lam.update_event_source_mapping(UUID=uuid, BatchSize=5, Enabled=False)
    assert (changed["State"], changed["BatchSize"]) == ("Disabling", 5)
    settled(lam, uuid, "Disabled")
    assert lam.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    settled(lam, uuid)
    assert lam.update_event_source_mapping(UUID=uuid, MaximumRetryAttempts=3)["State"] == "Updating"
    assert lam.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"

    def gone():
        try:
            return lam.get_event_source_mapping(UUID=uuid) and None
        except lam.exceptions.ResourceNotFoundException as error:
            return error.response["Error"]["Message"]

    assert until(gone) == "The resource you requested does not exist."


def test_what_a_mapping_refuses(lam, reader, create, role, table, account):
    reader()
    create("blind", Role=role("blind"))
    make, invalid = lam.create_event_source_mapping, "InvalidParameterValueException"
    base = dict(FunctionName="f", EventSourceArn=table.arn, StartingPosition="LATEST")
    queue = f"arn:aws:sqs:us-east-1:{account}:none"
    for more, words in (
        ({"FunctionName": "none"}, "Function does not exist"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1}, f"Unsupported starting position for arn type: {table.arn}"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "no"}]}}, "Invalid filter pattern definition."),
        ({"DestinationConfig": {"OnSuccess": {"Destination": queue}}}, "Unsupported DestinationConfig parameter for given event source mapping type."),
        ({"EventSourceArn": table.arn[:-3] + "999"}, f"Stream not found: {table.arn[:-3]}999"),
        ({"EventSourceArn": f"arn:aws:kinesis:us-east-1:{account}:stream/none"}, f"Stream not found: arn:aws:kinesis:us-east-1:{account}:stream/none"),
        ({"EventSourceArn": "arn:aws:s3:::b"}, "Unrecognized event source."),
        ({"FunctionName": "blind"}, f"Cannot access stream {table.arn}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM."),
    ):
        assert refused(invalid, make, **{**base, **more}) == words
    for function, call in (("blind", "ReceiveMessage"), ("half", "DeleteMessage")):
        if function == "half":
            create("half", Role=role("half", policy={**READS, "Statement": [{"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": "*"}]}))
        message = refused(invalid, make, FunctionName=function, EventSourceArn=queue)
        assert message == f"The provided execution role does not have permissions to call {call} on SQS"
    stream = f"arn:aws:kinesis:us-east-1:{account}:stream/none"
    assert refused(invalid, make, FunctionName="blind", EventSourceArn=stream, StartingPosition="LATEST") == (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, ListShards, "
        "and ListStreams Actions on your stream in IAM."
    )
    assert refused(invalid, make, FunctionName="f") == "Unrecognized event source."
    message = refused(invalid, make, FunctionName="f", EventSourceArn=table.arn)
    assert message == "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
    message = refused(invalid, make, FunctionName="f", EventSourceArn=queue)
    assert message == (
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist."
    )
    message = refused(invalid, make, FunctionName="f", EventSourceArn=queue, BatchSize=11)
    assert message == "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    message = refused("ValidationException", make, **{**base, "BatchSize": 10_001})
    assert message == "1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000"
    assert refused("ResourceNotFoundException", lam.update_event_source_mapping, UUID="0" * 36) == "The resource you requested does not exist."


def test_changes_of_a_table_call_the_function(lam, reader, table, client):
    reader()
    table("before")
    lam.create_event_source_mapping(FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON")
    table("after", n={"N": "1"}, l={"L": [{"BOOL": True}, {"NULL": True}]})
    table.client.delete_item(TableName="things", Key={"k": {"S": "before"}})
    found = events(client, "f", 3)
    assert keys(found) == ["before", "after", "before"]
    records = [r for call in found for r in call["Records"]]
    assert [r["eventName"] for r in records] == ["INSERT", "INSERT", "REMOVE"]
    record = records[1]
    assert record["eventSource"] == "aws:dynamodb" and record["eventSourceARN"] == table.arn and record["awsRegion"] == "us-east-1"
    assert record["dynamodb"]["NewImage"] == {"k": {"S": "after"}, "n": {"N": "1"}, "l": {"L": [{"BOOL": True}, {"NULL": True}]}}
    assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES" and record["dynamodb"]["SequenceNumber"]
    mapping = lam.list_event_source_mappings()["EventSourceMappings"][0]
    assert until(lambda: lam.get_event_source_mapping(UUID=mapping["UUID"])["LastProcessingResult"] == "OK")


def test_filters_let_through_what_matches(lam, reader, table, client):
    reader()
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": [{"prefix": "a"}]}}}}
    uuid = lam.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table.arn, StartingPosition="LATEST",
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )["UUID"]
    settled(lam, uuid)
    time.sleep(1)  # LATEST begins when the stream is first looked at, which no answer tells.
    for key, kind in (("1", "apple"), ("2", "pear"), ("3", "avocado")):
        table(key, kind={"S": kind})
    assert keys(events(client, "f", 2)) == ["1", "3"]


def test_batches(lam, reader, table, client):
    reader()
    for n in range(7):
        table(str(n))
    lam.create_event_source_mapping(FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", BatchSize=3)
    found = events(client, "f", 7)
    assert keys(found) == [str(n) for n in range(7)]
    assert [len(call["Records"]) for call in found] == [3, 3, 1]


def test_a_poisonous_record_is_isolated_and_told(lam, reader, table, client, unique):
    s3 = client("s3")
    bucket = unique("failed")
    s3.create_bucket(Bucket=bucket)
    code = (
        "import json\n"
        "def handler(event, context):\n"
        "    keys = [r['dynamodb']['Keys']['k']['S'] for r in event['Records']]\n"
        "    if 'bad' in keys: raise Exception('bad')\n"
        "    print('seen', json.dumps(event))\n"
    )
    reader(code=package(code))
    for key in ("a", "b", "bad", "c"):
        table(key)
    lam.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    assert keys(events(client, "f", 3)) == ["a", "b", "c"]
    objects = until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    told = json.loads(s3.get_object(Bucket=bucket, Key=objects[0]["Key"])["Body"].read())
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted" and told["DDBStreamBatchInfo"]["batchSize"] == 1
    assert told["responseContext"]["functionError"] == "Unhandled" and told["DDBStreamBatchInfo"]["streamArn"] == table.arn
    assert json.loads(told["payload"])["Records"][0]["dynamodb"]["Keys"]["k"]["S"] == "bad"
    assert objects[0]["Key"].startswith("aws/lambda/")


def test_what_a_partial_answer_names_comes_again(lam, reader, table, client):
    code = (
        "import json, os\n"
        "def handler(event, context):\n"
        "    print('seen', json.dumps(event))\n"
        "    for r in event['Records']:\n"
        "        if r['dynamodb']['Keys']['k']['S'] == 'b' and not os.path.exists('/tmp/b'):\n"
        "            open('/tmp/b', 'w').close()\n"
        "            return {'batchItemFailures': [{'itemIdentifier': r['dynamodb']['SequenceNumber']}]}\n"
    )
    reader(code=package(code))
    for key in ("a", "b", "c"):
        table(key)
    lam.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    assert keys(events(client, "f", 5)) == ["a", "b", "c", "b", "c"]


def test_windows_carry_state(lam, reader, table, client):
    code = (
        "import json\n"
        "def handler(event, context):\n"
        "    count = event['state'].get('count', 0) + len(event['Records'])\n"
        "    print('window', json.dumps({'count': count, 'last': event['isFinalInvokeForWindow'], 'window': event['window']}))\n"
        "    return {'state': {'count': count}}\n"
    )
    reader(code=package(code))
    for key in ("a", "b", "c", "d"):
        table(key)
    lam.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", TumblingWindowInSeconds=1, BatchSize=2,
    )
    found = until(lambda: [m for m in lines(client, "f", "window", 1) if '"last": true' in m], 60)
    assert found
    ended = [json.loads(m.split("window ", 1)[1]) for m in found]
    assert until(lambda: sum(
        json.loads(m.split("window ", 1)[1])["count"] for m in lines(client, "f", "window", 1) if '"last": true' in m
    ) == 4, 60), ended


def test_a_window_whose_state_is_too_large_ends_early(lam, reader, table, client):
    code = (
        "import json\n"
        "def handler(event, context):\n"
        "    size, final = len(event['state'].get('text', '')), event['isFinalInvokeForWindow']\n"
        "    print('window', json.dumps({'size': size, 'records': len(event['Records']), 'final': final,\n"
        "        'early': event['isWindowTerminatedEarly']}))\n"
        "    return {'state': {'text': 'x' * (size + 600_000)}}\n"
    )
    reader(code=package(code))
    for key in ("a", "b", "c"):
        table(key)
    lam.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON", TumblingWindowInSeconds=900, BatchSize=1,
    )
    seen = lambda: [json.loads(m.split("window ", 1)[1]) for m in lines(client, "f", "window", 1)]
    assert until(lambda: len(seen()) >= 4, 60), seen()
    assert seen()[:4] == [
        {"size": 0, "records": 1, "final": False, "early": False},
        {"size": 600_000, "records": 1, "final": False, "early": False},
        {"size": 1_200_000, "records": 0, "final": True, "early": True},
        {"size": 0, "records": 1, "final": False, "early": False},
    ]


def test_a_mapping_goes_on_after_a_kill(new_cloud, tmp_path):
    from test_lambda import TRUST

    data = str(tmp_path / "data")
    cloud = new_cloud("--data", data)
    iam, lam, dynamodb = cloud.client("iam"), cloud.client("lambda"), cloud.client("dynamodb")
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(READS))
    lam.create_function(FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=arn, Code={"ZipFile": SEEN})
    dynamodb.create_table(
        TableName="things", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    stream = dynamodb.describe_table(TableName="things")["Table"]["LatestStreamArn"]
    uuid = lam.create_event_source_mapping(FunctionName="f", EventSourceArn=stream, StartingPosition="TRIM_HORIZON", BatchSize=1)["UUID"]
    settled(lam, uuid)
    for n in range(20):
        dynamodb.put_item(TableName="things", Item={"k": {"S": str(n)}})
    cloud.kill()
    cloud = new_cloud("--data", data)
    found = events(cloud.client, "f", 20)
    assert set(keys(found)) == {str(n) for n in range(20)}


def test_a_mapping_waits_for_a_function_that_is_gone(lam, reader, create, table, client):
    reader()
    role_arn = lam.get_function_configuration(FunctionName="f")["Role"]
    uuid = lam.create_event_source_mapping(FunctionName="f", EventSourceArn=table.arn, StartingPosition="TRIM_HORIZON")["UUID"]
    settled(lam, uuid)
    lam.delete_function(FunctionName="f")
    table("while-gone")
    result = lambda: lam.get_event_source_mapping(UUID=uuid)["LastProcessingResult"]  # noqa: E731
    assert until(lambda: result().startswith("PROBLEM: Function not found: ")), result()
    create("f", code=SEEN, Role=role_arn)
    assert keys(events(client, "f", 1)) == ["while-gone"]
    assert until(lambda: result() == "OK"), result()
