"""Mappings of DynamoDB Streams in all their settings, each seen to its end; and loops that are broken."""
import json
import time

from test_lambda import LOGS, create, lam, lines, package, refused, role, until  # noqa: F401
from test_lambda_mappings import READS, SEEN, events, keys, reader, settled, table  # noqa: F401


def mapped(lam, table, position="TRIM_HORIZON", **kw):
    return lam.create_event_source_mapping(FunctionName="f", EventSourceArn=table.arn, StartingPosition=position, **kw)["UUID"]


def result(lam, uuid):
    return lam.get_event_source_mapping(UUID=uuid)["LastProcessingResult"]


def test_several_batches_of_a_shard_at_once(lam, reader, table, client):
    code = (
        "import json, time\n"
        "def handler(event, context):\n"
        "    begin = time.time()\n"
        "    time.sleep(0.5)\n"
        "    key = event['Records'][0]['dynamodb']['Keys']['k']['S']\n"
        "    print('span', json.dumps([key, begin, time.time(), len(event['Records'])]))\n"
    )
    reader(code=package(code), Timeout=30)
    for n in range(24):
        table(str(n))
    mapped(lam, table, ParallelizationFactor=4, BatchSize=1)
    found = lines(client, "f", "span", 60, 24)
    spans = [json.loads(line.split("span ", 1)[1]) for line in found]
    assert sorted(int(s[0]) for s in spans) == list(range(24))
    together = max(sum(1 for other in spans if other[1] <= at < other[2]) for _, at, _, _ in spans)
    assert 1 < together <= 4, spans


def test_records_of_one_key_stay_in_order_however_many_run(lam, reader, table, client):
    reader()
    for n in range(20):
        table(str(n % 2), n={"N": str(n)})
    mapped(lam, table, ParallelizationFactor=10, BatchSize=2)
    found = events(client, "f", 20)
    records = [r["dynamodb"] for call in found for r in call["Records"]]
    for key in ("0", "1"):
        numbers = [int(r["NewImage"]["n"]["N"]) for r in records if r["Keys"]["k"]["S"] == key]
        assert sorted(numbers) == [n for n in range(20) if n % 2 == int(key)]


def test_retries_are_counted_and_then_it_goes_on(lam, reader, table, client):
    code = (
        "def handler(event, context):\n"
        "    key = event['Records'][0]['dynamodb']['Keys']['k']['S']\n"
        "    print('tried', key)\n"
        "    if key == 'bad': raise Exception('no')\n"
    )
    reader(code=package(code))
    table("bad")
    table("good")
    uuid = mapped(lam, table, BatchSize=1, MaximumRetryAttempts=2)
    found = lines(client, "f", "tried", 60, 4)
    assert [line.split("tried ", 1)[1].strip() for line in found] == ["bad"] * 3 + ["good"]
    assert until(lambda: result(lam, uuid) == "OK"), result(lam, uuid)


def test_a_problem_is_told_while_it_lasts(lam, reader, table, client):
    reader(code=package("def handler(event, context):\n    raise Exception('no')\n"))
    table("a")
    uuid = mapped(lam, table)
    assert until(lambda: result(lam, uuid) == "PROBLEM: Function call failed"), result(lam, uuid)
    lam.update_function_code(FunctionName="f", ZipFile=SEEN)
    assert keys(events(client, "f", 1)) == ["a"]
    assert until(lambda: result(lam, uuid) == "OK"), result(lam, uuid)


def test_off_and_on_again_nothing_is_lost(lam, reader, table, client):
    reader()
    uuid = mapped(lam, table)
    settled(lam, uuid)
    table("before")
    events(client, "f", 1)
    assert until(lambda: result(lam, uuid) == "OK"), result(lam, uuid)
    lam.update_event_source_mapping(UUID=uuid, Enabled=False)
    settled(lam, uuid, "Disabled")
    table("meanwhile")
    lam.update_event_source_mapping(UUID=uuid, Enabled=True)
    settled(lam, uuid)
    table("after")
    assert keys(events(client, "f", 3)) == ["before", "meanwhile", "after"]


def test_a_source_that_vanishes(lam, reader, table, client):
    reader()
    uuid = mapped(lam, table)
    settled(lam, uuid)
    table("a")
    events(client, "f", 1)
    table.client.delete_table(TableName="things")
    shown = lam.get_event_source_mapping(UUID=uuid)
    assert shown["State"] == "Enabled" and shown["EventSourceArn"] == table.arn
    assert lam.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert until(lambda: lam.list_event_source_mappings()["EventSourceMappings"] == [])


def test_filters_under_a_key(lam, reader, table, client, account):
    reader()
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    criteria = {"Filters": [{"Pattern": json.dumps({"eventName": ["REMOVE"]})}]}
    missing = key[:-12] + "0" * 12
    message = refused(
        "InvalidParameterValueException", lam.create_event_source_mapping, FunctionName="f", EventSourceArn=table.arn,
        StartingPosition="LATEST", FilterCriteria=criteria, KMSKeyArn=missing,
    )
    assert "KMS Exception: NotFoundException" in message
    uuid = mapped(lam, table, FilterCriteria=criteria, KMSKeyArn=key)
    shown = lam.get_event_source_mapping(UUID=uuid)
    assert shown["FilterCriteria"] == criteria and shown["KMSKeyArn"] == key and "FilterCriteriaError" not in shown
    client("kms").disable_key(KeyId=key)
    shown = lam.get_event_source_mapping(UUID=uuid)
    assert "FilterCriteria" not in shown and shown["FilterCriteriaError"]["ErrorCode"] == "DisabledException"


def test_a_loop_through_a_bucket_is_broken(lam, create, client, unique, account):
    bucket = unique("loop")
    s3 = client("s3")
    s3.create_bucket(Bucket=bucket)
    code = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        "    key = event['Records'][0]['s3']['object']['key']\n"
        "    print('round', key)\n"
        f"    boto3.client('s3').put_object(Bucket='{bucket}', Key=str(int(key) + 1), Body=b'x')\n"
    )
    may = {"Version": "2012-10-17", "Statement": [LOGS["Statement"][0], {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
    create(code=package(code), Timeout=60, MemorySize=256)
    client("iam").put_role_policy(RoleName="function", PolicyName="p", PolicyDocument=json.dumps(may))
    lam.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{bucket}")
    arn = lam.get_function(FunctionName="f")["Configuration"]["FunctionArn"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
        "LambdaFunctionConfigurations": [{"Events": ["s3:ObjectCreated:*"], "LambdaFunctionArn": arn}]})
    s3.put_object(Bucket=bucket, Key="1", Body=b"x")
    assert len(lines(client, "f", "round", 120, 16)) == 16
    assert until(lambda: any(o["Key"] == "17" for o in s3.list_objects_v2(Bucket=bucket)["Contents"]))
    time.sleep(2)  # What would come after the sixteenth would come at once.
    assert len(lines(client, "f", "round")) == 16
