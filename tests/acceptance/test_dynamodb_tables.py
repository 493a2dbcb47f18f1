"""DynamoDB through boto3: what belongs to tables beside items. Global tables of both versions, destinations, throughput
that is enforced, exports that go on after a restart, backups that deleted tables leave, space that comes back."""
import gzip
import json
import random
import time

import pytest
from botocore.exceptions import ClientError

from test_dynamodb import gsi, make, name, refusal, until

BOTH = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.fixture()
def ddb(client):
    return client("dynamodb")


def test_global_tables_of_the_first_version(client, ddb):
    table, there = name("global"), client("dynamodb", region="eu-west-1")
    group = [{"RegionName": "us-east-1"}, {"RegionName": "eu-west-1"}]
    missing = ("GlobalTableNotFoundException", f"Global table not found: Global table with name: '{table}' does not exist.")
    assert refusal(ddb.describe_global_table, GlobalTableName=table) == missing
    assert refusal(ddb.update_global_table, GlobalTableName=table, ReplicaUpdates=[]) == missing
    assert refusal(ddb.describe_global_table_settings, GlobalTableName=table) == missing
    make(ddb, table, StreamSpecification=BOTH)
    assert refusal(ddb.create_global_table, GlobalTableName=table, ReplicationGroup=group)[0] == "TableNotFoundException"
    make(there, table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    assert refusal(ddb.create_global_table, GlobalTableName=table, ReplicationGroup=group)[0] == "ValidationException"
    there.delete_table(TableName=table)
    make(there, table, StreamSpecification=BOTH)
    made = ddb.create_global_table(GlobalTableName=table, ReplicationGroup=group)["GlobalTableDescription"]
    assert made["GlobalTableStatus"] == "CREATING" and made["GlobalTableArn"].endswith(f":global-table/{table}")
    shown = ddb.describe_global_table(GlobalTableName=table)["GlobalTableDescription"]
    assert shown["GlobalTableStatus"] == "ACTIVE"
    assert [replica["RegionName"] for replica in shown["ReplicationGroup"]] == ["us-east-1", "eu-west-1"]
    assert ddb.describe_table(TableName=table)["Table"]["GlobalTableVersion"] == "2017.11.29"
    assert refusal(ddb.create_global_table, GlobalTableName=table, ReplicationGroup=group)[0] == (
        "GlobalTableAlreadyExistsException")
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}})
    there.put_item(TableName=table, Item={"pk": {"S": "b"}})
    for one in (ddb, there):
        assert until(lambda: one.scan(TableName=table)["Count"] == 2)
    assert ddb.list_global_tables()["GlobalTables"] == [{"GlobalTableName": table, "ReplicationGroup": group}]
    assert ddb.list_global_tables(RegionName="ap-south-1")["GlobalTables"] == []
    settings = ddb.update_global_table_settings(GlobalTableName=table, ReplicaSettingsUpdate=[
        {"RegionName": "eu-west-1", "ReplicaTableClass": "STANDARD_INFREQUENT_ACCESS"}])["ReplicaSettings"]
    assert settings[1]["ReplicaTableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert refusal(ddb.update_global_table, GlobalTableName=table,
                   ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])[0] == "ReplicaAlreadyExistsException"
    assert refusal(ddb.update_global_table, GlobalTableName=table,
                   ReplicaUpdates=[{"Delete": {"RegionName": "sa-east-1"}}])[0] == "ReplicaNotFoundException"
    left = ddb.update_global_table(GlobalTableName=table, ReplicaUpdates=[{"Delete": {"RegionName": "eu-west-1"}}])
    assert [r["RegionName"] for r in left["GlobalTableDescription"]["ReplicationGroup"]] == ["us-east-1"]
    there.put_item(TableName=table, Item={"pk": {"S": "c"}})
    assert there.scan(TableName=table)["Count"] == 3, "it is a table of its own again"
    scaling = ddb.describe_table_replica_auto_scaling(TableName=table)["TableAutoScalingDescription"]
    assert scaling["Replicas"][0]["ReplicaProvisionedReadCapacityAutoScalingSettings"] == {"AutoScalingDisabled": True}


def test_a_kinesis_stream_that_does_not_exist(ddb, account):
    table, arn = make(ddb), f"arn:aws:kinesis:us-east-1:{account}:stream/changes"
    shown = lambda: ddb.describe_kinesis_streaming_destination(TableName=table)["KinesisDataStreamDestinations"]
    assert shown() == []
    assert refusal(ddb.disable_kinesis_streaming_destination, TableName=table, StreamArn=arn)[0] == (
        "ResourceNotFoundException")
    begun = ddb.enable_kinesis_streaming_destination(TableName=table, StreamArn=arn, EnableKinesisStreamingConfiguration={
        "ApproximateCreationDateTimePrecision": "MILLISECOND"})
    assert (begun["DestinationStatus"], begun["TableName"]) == ("ENABLING", table)
    (one,) = shown()
    assert one["DestinationStatus"] == "ENABLE_FAILED" and arn in one["DestinationStatusDescription"]
    code, message = refusal(ddb.disable_kinesis_streaming_destination, TableName=table, StreamArn=arn)
    assert code == "ValidationException" and "must be ACTIVE to perform DISABLE operation." in message
    assert refusal(ddb.enable_kinesis_streaming_destination, TableName=name(), StreamArn=arn)[0] == (
        "ResourceNotFoundException")


def test_throughput_that_is_enforced(new_cloud):
    ddb = new_cloud("--ephemeral", "--enforce-throughput").client("dynamodb")
    units = lambda n: {"ReadCapacityUnits": n, "WriteCapacityUnits": n}
    table = make(
        ddb, BillingMode="PROVISIONED", ProvisionedThroughput=units(10), definitions={"g": "S"},
        GlobalSecondaryIndexes=[{**gsi("by-g", "g"), "ProvisionedThroughput": units(1)}])
    big = {"x": {"S": "x" * 380_000}}
    put = lambda **item: ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, **item})
    put(g={"S": "g"}, **big)
    with pytest.raises(ClientError) as caught:
        put(g={"S": "h"})
    error = caught.value.response
    assert error["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert "one or more global secondary indexes" in error["Error"]["Message"]
    assert error["ThrottlingReasons"][0]["reason"] == "IndexWriteProvisionedThroughputExceeded"
    for n in range(10):
        try:
            ddb.put_item(TableName=table, Item={"pk": {"S": f"no index {n}"}, **big})
        except ClientError as error:
            assert error.response["Error"]["Message"] == (
                "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
                "provisioning level with the UpdateTable API.")
            break
    else:
        pytest.fail("3,000 units were left, and ten times 371 were taken")
    assert refusal(ddb.batch_write_item, RequestItems={table: [{"PutRequest": {"Item": {"pk": {"S": "b"}}}}]})[0] == (
        "ProvisionedThroughputExceededException")
    with pytest.raises(ClientError) as caught:
        ddb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": {"pk": {"S": "b"}}}}])
    assert caught.value.response["CancellationReasons"][0]["Code"] == "ProvisionedThroughputExceeded"
    insert = f"INSERT INTO \"{table}\" VALUE {{'pk': 'c'}}"
    assert refusal(ddb.execute_statement, Statement=insert)[0] == "ProvisionedThroughputExceededException"
    (one,) = ddb.batch_execute_statement(Statements=[{"Statement": insert}])["Responses"]
    assert one["Error"]["Code"] == "ProvisionedThroughputExceeded"
    other = make(ddb, OnDemandThroughput={"MaxWriteRequestUnits": 1})
    ddb.put_item(TableName=other, Item={"pk": {"S": "a"}, **big})
    assert refusal(ddb.put_item, TableName=other, Item={"pk": {"S": "b"}}) == (
        "ThrottlingException", "Throughput exceeds the maximum OnDemandThroughput configured on table or index")


def fill(ddb, table, count=100, size=10):
    for first in range(0, count, 25):
        ddb.batch_write_item(RequestItems={table: [
            {"PutRequest": {"Item": {"pk": {"S": str(n)}, "x": {"S": "x" * size}}}} for n in range(first, first + 25)]})


def test_exports_go_on_after_the_death_of_the_process(new_cloud, tmp_path):
    one = new_cloud("--data", str(tmp_path / "data"))
    ddb, s3, bucket = one.client("dynamodb"), one.client("s3"), name("bucket")
    s3.create_bucket(Bucket=bucket)
    table = make(ddb)
    fill(ddb, table, 500, 2000)
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    begun = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket)["ExportDescription"]
    one.kill()
    two = new_cloud("--data", str(tmp_path / "data"))
    ddb, s3 = two.client("dynamodb"), two.client("s3")
    shown = lambda: ddb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
    assert until(lambda: shown()["ExportStatus"] != "IN_PROGRESS")
    done = shown()
    assert (done["ExportStatus"], done.get("ItemCount"), done["ExportType"]) == ("COMPLETED", 500, "FULL_EXPORT"), done.get("FailureMessage")
    read = lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    summary = json.loads(read(done["ExportManifest"]))
    assert summary["itemCount"] == 500 and summary["exportType"] == "FULL_EXPORT" and "exportFromTime" not in summary
    files = [json.loads(line) for line in read(summary["manifestFilesS3Key"]).splitlines()]
    lines = [line for file in files for line in gzip.decompress(read(file["dataFileS3Key"])).splitlines()]
    assert len(lines) == sum(file["itemCount"] for file in files) == 500
    held = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"] if "/data/" in one["Key"]}
    assert held == {file["dataFileS3Key"] for file in files}, "nothing is left of the first attempt"
    short = {"ExportFromTime": time.time() - 60, "ExportToTime": time.time()}
    assert refusal(ddb.export_table_to_point_in_time, TableArn=arn, S3Bucket=bucket, ExportType="INCREMENTAL_EXPORT",
                   IncrementalExportSpecification=short)[0] == "ValidationException"
    early = {"ExportFromTime": time.time() - 7200, "ExportToTime": time.time() - 3600}
    assert refusal(ddb.export_table_to_point_in_time, TableArn=arn, S3Bucket=bucket, ExportType="INCREMENTAL_EXPORT",
                   IncrementalExportSpecification=early)[0] == "InvalidExportTimeException"


def test_restores_go_on_after_the_death_of_the_process(new_cloud, tmp_path):
    one = new_cloud("--data", str(tmp_path / "data"))
    ddb = one.client("dynamodb")
    table, restored = make(ddb), name()
    fill(ddb, table, 2000, 2000)
    backup = ddb.create_backup(TableName=table, BackupName="backup")["BackupDetails"]["BackupArn"]
    ddb.restore_table_from_backup(TargetTableName=restored, BackupArn=backup)
    one.kill()
    ddb = new_cloud("--data", str(tmp_path / "data")).client("dynamodb")
    creating = lambda: ddb.describe_table(TableName=restored)["Table"]["TableStatus"] == "CREATING"  # noqa: E731
    assert restored in ddb.list_tables()["TableNames"]
    again = refusal(ddb.restore_table_from_backup, TargetTableName=restored, BackupArn=backup)[0]
    assert again == "TableAlreadyExistsException"
    # It may end at any time; what is refused until then is asked for only where it does no harm if it has ended.
    error = ddb.exceptions.ClientError
    if creating():
        try:
            ddb.update_table(TableName=restored, DeletionProtectionEnabled=True)
            assert not creating()
        except error as why:
            assert why.response["Error"]["Code"] == "ResourceInUseException"
    ddb.get_waiter("table_exists").wait(TableName=restored, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert ddb.scan(TableName=restored, Select="COUNT")["Count"] > 0
    pages = ddb.get_paginator("scan").paginate(TableName=restored, Select="COUNT")
    assert sum(page["Count"] for page in pages) == 2000
    assert ddb.delete_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"


def test_a_table_goes_through_ion(client, ddb, unique):
    s3, bucket, table = client("s3"), unique("ion"), make(ddb)
    s3.create_bucket(Bucket=bucket)
    items = [
        {"pk": {"S": "all"}, "n": {"N": "-1.50"}, "big": {"N": "6E+20"}, "b": {"B": b"\x00//\xff"}, "t": {"BOOL": True},
         "no": {"NULL": True}, "l": {"L": [{"S": "a\n\"b\" 'c'"}, {"M": {"a b": {"L": []}}}]}, "ss": {"SS": ["x", "y"]},
         "ns": {"NS": ["1", "2.5"]}, "bs": {"BS": [b"\x01"]}, "e": {"S": ""}},
        {"pk": {"S": "é"}}]
    for item in items:
        ddb.put_item(TableName=table, Item=item)
    held = {item["pk"]["S"]: item for item in ddb.scan(TableName=table)["Items"]}
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    begun = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, ExportFormat="ION")["ExportDescription"]
    shown = lambda: ddb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
    assert until(lambda: shown()["ExportStatus"] == "COMPLETED")
    assert shown()["ExportFormat"] == "ION"
    summary = json.loads(s3.get_object(Bucket=bucket, Key=shown()["ExportManifest"])["Body"].read())
    assert summary["outputFormat"] == "ION" and summary["itemCount"] == 2
    (file,) = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"] if "/data/" in one["Key"]]
    assert file.endswith(".ion.gz")
    lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=file)["Body"].read()).decode().splitlines()
    assert len(lines) == 2 and all(line.startswith("$ion_1_0 {") for line in lines)
    deep = "$ion_1_0 {Item:{pk:\"deep\",l:" + "[" * 100_000 + "]" * 100_000 + "}}"
    s3.put_object(Bucket=bucket, Key="in/1.ion", Body="\n".join([*lines, "nonsense", deep, ""]).encode())
    copy = name()
    imported = ddb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "in/"}, InputFormat="ION", TableCreationParameters={
            "TableName": copy, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]})["ImportTableDescription"]
    there = lambda: ddb.describe_import(ImportArn=imported["ImportArn"])["ImportTableDescription"]
    assert until(lambda: there()["ImportStatus"] != "IN_PROGRESS")
    assert (there()["ImportStatus"], there()["ImportedItemCount"], there()["ErrorCount"]) == ("COMPLETED", 2, 2)
    assert {item["pk"]["S"]: item for item in ddb.scan(TableName=copy)["Items"]} == held


def test_a_deleted_table_with_recovery_leaves_a_backup(ddb):
    table = make(ddb)
    fill(ddb, table, 25)
    recovery = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    ddb.delete_table(TableName=table)
    assert ddb.list_backups(TableName=table)["BackupSummaries"] == []
    (left,) = ddb.list_backups(TableName=table, BackupType="SYSTEM")["BackupSummaries"]
    assert left["BackupName"] == f"{table}$DeletedTableBackup" and left["BackupType"] == "SYSTEM"
    days = (left["BackupExpiryDateTime"] - left["BackupCreationDateTime"]).days
    assert days == 35
    begun = ddb.restore_table_from_backup(TargetTableName=table, BackupArn=left["BackupArn"])["TableDescription"]
    assert begun["TableStatus"] == "CREATING" and begun["RestoreSummary"]["RestoreInProgress"]
    ddb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    assert not ddb.describe_table(TableName=table)["Table"]["RestoreSummary"]["RestoreInProgress"]
    assert ddb.scan(TableName=table)["Count"] == 25
    ddb.delete_backup(BackupArn=left["BackupArn"])
    assert ddb.scan(TableName=table)["Count"] == 25


def test_dax_gets_a_clear_answer(client):
    code, message = refusal(client("dax").describe_clusters)
    assert "not implemented" in message.lower() and "dax" in message.lower(), (code, message)


def zstd(data):
    """One frame with one raw block. Source: RFC 8878."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + (len(data) << 3 | 1).to_bytes(3, "little") + data


def test_imports_say_what_is_wrong(client, ddb, unique):
    s3, logs, bucket = client("s3"), client("logs"), unique("import")
    s3.create_bucket(Bucket=bucket)
    lines = b'{"Item":{"pk":{"S":"a"}}}\n{"Item":{"other":{"S":"a"}}}\nnonsense\n{"Item":{"pk":{"S":"b"}}}\n'
    s3.put_object(Bucket=bucket, Key="in/one.json.zst", Body=zstd(lines))
    creation = lambda table: {
        "TableName": table, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}
    table = name()
    asked = dict(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "in/"}, InputFormat="DYNAMODB_JSON", ClientToken="token",
        InputCompressionType="ZSTD", TableCreationParameters=creation(table))
    begun = ddb.import_table(**asked)["ImportTableDescription"]
    shown = lambda arn: ddb.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert until(lambda: shown(begun["ImportArn"])["ImportStatus"] != "IN_PROGRESS")
    done = shown(begun["ImportArn"])
    assert (done["ImportStatus"], done["ImportedItemCount"], done["ProcessedItemCount"], done["ErrorCount"]) == (
        "COMPLETED", 2, 4, 2), done
    assert done["CloudWatchLogGroupArn"].endswith(":log-group:/aws-dynamodb/imports:*")
    stream = begun["ImportArn"].rsplit("/", 1)[1]
    events = logs.get_log_events(logGroupName="/aws-dynamodb/imports", logStreamName=stream, startFromHead=True)["events"]
    said = [json.loads(event["message"]) for event in events]
    assert [one["itemS3Pointer"] for one in said] == [
        {"bucket": bucket, "key": "in/one.json.zst", "itemIndex": at} for at in (1, 2)]
    assert said[0]["errorMessages"] == ["One or more parameter values were invalid: Missing the key pk in the item"]
    assert ddb.import_table(**asked)["ImportTableDescription"]["ImportArn"] == begun["ImportArn"]
    assert refusal(ddb.import_table, **{**asked, "TableCreationParameters": creation(name())})[0] == (
        "ImportConflictException")
    nowhere = {**asked, "ClientToken": "other", "TableCreationParameters": creation(name()),
               "S3BucketSource": {"S3Bucket": unique("nowhere")}}
    begun = ddb.import_table(**nowhere)["ImportTableDescription"]
    assert until(lambda: shown(begun["ImportArn"])["ImportStatus"] != "IN_PROGRESS")
    assert (shown(begun["ImportArn"])["ImportStatus"], shown(begun["ImportArn"])["FailureCode"]) == (
        "FAILED", "S3NoSuchBucket")


def test_a_deleted_table_gives_its_space_back(new_cloud, tmp_path):
    data = tmp_path / "data"
    ddb = new_cloud("--data", str(data)).client("dynamodb")
    # Journals are of a fixed size: they are not what a table takes.
    held = lambda: sum(f.stat().st_size for f in data.rglob("*") if f.is_file() and f.suffix != ".jnl")
    table, kept = make(ddb), make(ddb)
    before = held()
    items = [{"PutRequest": {"Item": {"pk": {"S": str(n)}, "x": {"B": random.randbytes(390_000)}}}} for n in range(25)]
    for n in range(3):
        for at, item in enumerate(items):
            item["PutRequest"]["Item"]["pk"]["S"] = f"{n}-{at}"
        ddb.batch_write_item(RequestItems={table: items})
    ddb.put_item(TableName=kept, Item={"pk": {"S": "kept"}})
    assert held() > before + 15_000_000
    ddb.delete_table(TableName=table)
    assert until(lambda: held() < before + 6_000_000), (before, held())
    assert ddb.scan(TableName=kept)["Count"] == 1
