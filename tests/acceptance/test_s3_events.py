"""The events of S3, as a function sees them."""
import io
import json
import time
import zipfile

import pytest

FUNCTION = """
import boto3, json, os, uuid
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        s3.put_object(Bucket=os.environ["SEEN"], Key=uuid.uuid4().hex, Body=json.dumps(record).encode())
"""


@pytest.fixture(scope="module")
def told(cloud):
    """A bucket whose every event is written down: (client, bucket, events(n))."""
    s3, iam, functions = cloud.client("s3"), cloud.client("iam"), cloud.client("lambda")
    bucket, seen, name = f"told-{cloud.port}", f"seen-{cloud.port}", f"scribe-{cloud.port}"
    for b in (bucket, seen):
        s3.create_bucket(Bucket=b)
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{seen}/*"}]}))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as z:
        z.writestr("app.py", FUNCTION)
    arn = functions.create_function(FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=role, Timeout=60,
                                    Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"SEEN": seen}})["FunctionArn"]
    functions.add_permission(FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction",
                             Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{bucket}")
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [
        {"Id": "all", "LambdaFunctionArn": arn, "Events": [
            "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put", "s3:ObjectRestore:*",
            "s3:LifecycleExpiration:*"]}]})

    def events(count):
        deadline = time.time() + 90
        while time.time() < deadline:
            keys = [o["Key"] for o in s3.list_objects_v2(Bucket=seen).get("Contents", [])]
            if len(keys) >= count:
                records = [json.loads(s3.get_object(Bucket=seen, Key=k)["Body"].read()) for k in keys]
                for key in keys:
                    s3.delete_object(Bucket=seen, Key=key)
                return {r["eventName"]: r for r in records}
            time.sleep(0.1)
        raise AssertionError(f"of {count} events {len(keys)} came")

    return s3, bucket, events


def test_each_kind_of_event_tells_its_own(told):
    s3, bucket, events = told
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    put = s3.put_object(Bucket=bucket, Key="a b", Body=b"12345")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b"})
    s3.put_object_tagging(Bucket=bucket, Key="a b", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket=bucket, Key="a b")
    s3.put_object_acl(Bucket=bucket, Key="a b", ACL="private")
    s3.delete_object(Bucket=bucket, Key="copy")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"p")
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    by = events(7)
    assert set(by) == {"ObjectCreated:Put", "ObjectCreated:Copy", "ObjectTagging:Put", "ObjectTagging:Delete",
                       "ObjectAcl:Put", "ObjectRemoved:Delete", "ObjectCreated:CompleteMultipartUpload"}
    etag = put["ETag"].strip('"')
    created = by["ObjectCreated:Put"]
    assert created["eventSource"] == "aws:s3" and created["awsRegion"] == "us-east-1" and created["eventVersion"] == "2.1"
    assert created["s3"]["configurationId"] == "all" and created["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    assert created["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert created["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    tell = lambda name: {k: v for k, v in by[name]["s3"]["object"].items() if k != "sequencer"}
    assert tell("ObjectCreated:Put") == {"key": "a+b", "size": 5, "eTag": etag}
    for name in ("ObjectTagging:Put", "ObjectTagging:Delete", "ObjectAcl:Put"):
        assert by[name]["s3"]["object"] == {"key": "a+b", "eTag": etag} and by[name]["eventVersion"] == "2.3"
    assert tell("ObjectRemoved:Delete") == {"key": "copy"} and by["ObjectRemoved:Delete"]["s3"]["object"]["sequencer"]


def test_versions_and_restores(told):
    s3, bucket, events = told
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put = s3.put_object(Bucket=bucket, Key="cold", Body=b"123", StorageClass="GLACIER")
    s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 1})
    marker = s3.delete_object(Bucket=bucket, Key="cold")
    by = events(4)
    assert set(by) == {"ObjectCreated:Put", "ObjectRestore:Post", "ObjectRestore:Completed",
                       "ObjectRemoved:DeleteMarkerCreated"}
    assert by["ObjectCreated:Put"]["s3"]["object"]["versionId"] == put["VersionId"]
    done = by["ObjectRestore:Completed"]
    assert done["glacierEventData"]["restoreEventData"]["lifecycleRestoreStorageClass"] == "GLACIER"
    assert done["requestParameters"]["sourceIPAddress"] == "s3.amazonaws.com"
    assert "glacierEventData" not in by["ObjectRestore:Post"]
    made = by["ObjectRemoved:DeleteMarkerCreated"]["s3"]["object"]
    assert made["versionId"] == marker["VersionId"] and made["eTag"] == "d41d8cd98f00b204e9800998ecf8427e"
