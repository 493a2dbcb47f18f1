"""DynamoDB over time and places: time to live, streams, backups, replicas, the death of the process."""
import time

from test_dynamodb import ddb, gsi, make, name, refusal, until  # noqa: F401


def test_time_to_live(ddb):
    table = make(ddb)
    enable = {"Enabled": True, "AttributeName": "ttl"}
    ddb.update_time_to_live(TableName=table, TimeToLiveSpecification=enable)
    assert ddb.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert refusal(ddb.update_time_to_live, TableName=table, TimeToLiveSpecification=enable)[1] == (
        "TimeToLive is already enabled")
    now = int(time.time())
    ddb.put_item(TableName=table, Item={"pk": {"S": "old"}, "ttl": {"N": str(now - 10)}})
    ddb.put_item(TableName=table, Item={"pk": {"S": "new"}, "ttl": {"N": str(now + 1000)}})
    assert until(lambda: ddb.scan(TableName=table)["Count"] == 1)


def test_streams(cloud, ddb):
    streams = cloud.client("dynamodbstreams")
    table = make(ddb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    arn = ddb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    assert streams.list_streams(TableName=table)["Streams"][0]["StreamArn"] == arn
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]
    assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    iterator = lambda kind, **more: streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind, **more)["ShardIterator"]
    latest = iterator("LATEST")
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": "2"}})
    ddb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    read = streams.get_records(ShardIterator=latest)
    assert [record["eventName"] for record in read["Records"]] == ["INSERT", "MODIFY", "REMOVE"]
    second = read["Records"][1]["dynamodb"]
    assert second["OldImage"]["n"] == {"N": "1"} and second["NewImage"]["n"] == {"N": "2"}
    assert second["Keys"] == {"pk": {"S": "a"}} and second["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert streams.get_records(ShardIterator=read["NextShardIterator"])["Records"] == []
    assert len(streams.get_records(ShardIterator=iterator("TRIM_HORIZON"))["Records"]) == 3
    at = iterator("AT_SEQUENCE_NUMBER", SequenceNumber=second["SequenceNumber"])
    assert len(streams.get_records(ShardIterator=at, Limit=1)["Records"]) == 1
    after = iterator("AFTER_SEQUENCE_NUMBER", SequenceNumber=second["SequenceNumber"])
    assert [record["eventName"] for record in streams.get_records(ShardIterator=after)["Records"]] == ["REMOVE"]
    ddb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    assert "NextShardIterator" not in streams.get_records(ShardIterator=after)


def test_global_tables(cloud, ddb):
    table = make(ddb)
    ddb.put_item(TableName=table, Item={"pk": {"S": "before"}})
    ddb.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    there = cloud.client("dynamodb", region="eu-west-1")
    assert until(lambda: there.scan(TableName=table)["Count"] == 1)
    there.put_item(TableName=table, Item={"pk": {"S": "x"}, "n": {"N": "1"}})
    assert until(lambda: "Item" in ddb.get_item(TableName=table, Key={"pk": {"S": "x"}}))
    ddb.delete_item(TableName=table, Key={"pk": {"S": "x"}})
    assert until(lambda: "Item" not in there.get_item(TableName=table, Key={"pk": {"S": "x"}}))
    assert ddb.describe_table(TableName=table)["Table"]["Replicas"][0]["RegionName"] == "eu-west-1"




def test_backups(ddb):
    table = make(ddb, sort="S", definitions={"g": "S"}, GlobalSecondaryIndexes=[gsi("by-g", "g")])
    ddb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    for n in range(10):
        ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"S": str(n)}, "g": {"S": "G"}})
    made = ddb.create_backup(TableName=table, BackupName="first")["BackupDetails"]
    assert ddb.describe_backup(BackupArn=made["BackupArn"])["BackupDescription"]["BackupDetails"]["BackupStatus"] == (
        "AVAILABLE")
    assert [b["BackupName"] for b in ddb.list_backups(TableName=table)["BackupSummaries"]] == ["first"]
    before = time.time()
    time.sleep(0.01)
    for n in range(10):
        ddb.put_item(TableName=table, Item={"pk": {"S": "b"}, "sk": {"S": str(n)}})
    ddb.delete_item(TableName=table, Key={"pk": {"S": "a"}, "sk": {"S": "0"}})
    restored = name()
    ddb.restore_table_from_backup(TargetTableName=restored, BackupArn=made["BackupArn"])
    wait = lambda table: ddb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    wait(restored)
    assert ddb.scan(TableName=restored)["Count"] == 10
    assert ddb.query(TableName=restored, IndexName="by-g", KeyConditionExpression="g = :g",
                     ExpressionAttributeValues={":g": {"S": "G"}})["Count"] == 10
    past = name()
    ddb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=past, RestoreDateTime=before)
    wait(past)
    assert ddb.scan(TableName=past)["Count"] == 10
    latest = name()
    ddb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=latest, UseLatestRestorableTime=True)
    wait(latest)
    assert ddb.scan(TableName=latest)["Count"] == 19
    ddb.delete_backup(BackupArn=made["BackupArn"])
    assert refusal(ddb.describe_backup, BackupArn=made["BackupArn"])[0] == "BackupNotFoundException"


def test_it_survives_the_death_of_the_process(new_cloud, tmp_path):
    one = new_cloud("--data", str(tmp_path / "data"))
    ddb = one.client("dynamodb")
    table = make(ddb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    for n in range(50):
        ddb.put_item(TableName=table, Item={"pk": {"S": str(n)}})
    one.kill()
    two = new_cloud("--data", str(tmp_path / "data"))
    ddb = two.client("dynamodb")
    assert ddb.scan(TableName=table)["Count"] == 50
    streams = two.client("dynamodbstreams")
    arn = ddb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    assert len(streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]) == 50
    ddb.put_item(TableName=table, Item={"pk": {"S": "after"}})
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    assert len(streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]) == 51


def test_a_table_goes_to_s3_and_comes_back(cloud, ddb):
    s3, bucket = cloud.client("s3"), name("bucket")
    s3.create_bucket(Bucket=bucket)
    table = make(ddb, sort="N")
    ddb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    for n in range(20):
        ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"N": str(n)}, "b": {"B": b"\0"}, "g": {"S": "G"}})
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    begun = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, S3Prefix="out")["ExportDescription"]
    assert begun["ExportStatus"] == "IN_PROGRESS"
    shown = lambda: ddb.describe_export(ExportArn=begun["ExportArn"])["ExportDescription"]
    assert until(lambda: shown()["ExportStatus"] != "IN_PROGRESS")
    done = shown()
    assert done["ExportStatus"] == "COMPLETED" and done["ItemCount"] == 20, done
    assert s3.get_object(Bucket=bucket, Key=done["ExportManifest"])["Body"].read()
    into = name()
    begun = ddb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "out/AWSDynamoDB/"}, InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP", TableCreationParameters={
            "TableName": into, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"},
                {"AttributeName": "g", "AttributeType": "S"}],
            "GlobalSecondaryIndexes": [gsi("by-g", "g")]})["ImportTableDescription"]
    shown = lambda: ddb.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]
    assert until(lambda: shown()["ImportStatus"] != "IN_PROGRESS")
    assert shown()["ImportStatus"] == "COMPLETED" and shown()["ImportedItemCount"] == 20, shown()
    assert ddb.query(TableName=into, IndexName="by-g", KeyConditionExpression="g = :g",
                     ExpressionAttributeValues={":g": {"S": "G"}})["Count"] == 20
    s3.put_object(Bucket=bucket, Key="csv/one.csv", Body=b'id,name,n\n1,"a, b",5\n2,c,\nx,d,6\n')
    into = name()
    begun = ddb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "csv/"}, InputFormat="CSV", TableCreationParameters={
            "TableName": into, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}]})["ImportTableDescription"]
    assert until(lambda: shown()["ImportStatus"] != "IN_PROGRESS")
    assert (shown()["ImportedItemCount"], shown()["ErrorCount"]) == (2, 1)
    assert ddb.get_item(TableName=into, Key={"id": {"N": "1"}})["Item"] == {
        "id": {"N": "1"}, "name": {"S": "a, b"}, "n": {"S": "5"}}
