"""What S3 does by itself: access logs, replication."""
import json
import re
import time

import boto3
import pytest
from botocore.exceptions import ClientError

DEADLINE = 60


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


def until(look):
    deadline = time.time() + DEADLINE
    while time.time() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come in time")


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def bodies(s3, bucket, prefix=""):
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {o["Key"]: s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read().decode() for o in listed}


def log_policy(target):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
         "Resource": f"arn:aws:s3:::{target}/*"}]})


def test_requests_are_logged_to_the_target(s3, unique):
    source, target = unique("source"), unique("target")
    for bucket in (source, target):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=target, Policy=log_policy(target))
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "logs/"}})
    s3.put_object(Bucket=source, Key="a b/c", Body=b"hello")
    s3.get_object(Bucket=source, Key="a b/c")["Body"].read()
    with pytest.raises(ClientError):
        s3.get_object(Bucket=source, Key="missing")
    s3.list_objects_v2(Bucket=source)
    s3.get_bucket_versioning(Bucket=source)

    def lines():
        text = "".join(bodies(s3, target, "logs/").values())
        return text.splitlines() if "REST.GET.VERSIONING" in text else None

    lines = until(lines)
    fields = [re.findall(r'\[[^]]*\]|"[^"]*"|\S+', line) for line in lines]
    assert all(len(f) == 26 for f in fields), fields
    by = {(f[6], f[7]): f for f in fields}
    put, get = by["REST.PUT.OBJECT", "a%20b/c"], by["REST.GET.OBJECT", "a%20b/c"]
    owner = s3.list_buckets()["Owner"]["ID"]
    assert put[0] == owner and put[1] == source and put[4] == owner and put[3] == "127.0.0.1"
    assert put[8].startswith(f'"PUT /{source}/a%20b/c') and put[8].endswith(' HTTP/1.1"')
    assert put[9:11] == ["200", "-"] and put[12] == "5"
    assert get[9:13] == ["200", "-", "5", "5"] and get[19:22] == ["SigV4", "-", "AuthHeader"]
    missing = by["REST.GET.OBJECT", "missing"]
    assert missing[9:11] == ["404", "NoSuchKey"]
    assert ("REST.GET.BUCKET", "-") in by
    assert re.fullmatch(r"logs/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}", next(iter(bodies(s3, target, "logs/"))))


def test_logs_tell_of_forms_and_of_tls(cloud, s3, unique):
    from s3_help import form, later, plain, policy_fields
    source, target = unique("source"), unique("target")
    for bucket in (source, target):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=target, Policy=log_policy(target))
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "logs/"}})
    policy = {"expiration": later(), "conditions": [{"bucket": source}, {"key": "k"}]}
    assert plain(cloud, "POST", f"/{source}", *form(policy_fields(policy, {"key": "k"})))[0] == 204
    assert plain(cloud, "POST", f"/{source}", *form(policy_fields(policy, {"key": "other"})))[0] == 403
    secure = boto3.client("s3", endpoint_url=cloud.endpoint.replace("http:", "https:"), verify=False, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")
    secure.get_object(Bucket=source, Key="k")["Body"].read()

    def lines():
        text = "".join(bodies(s3, target, "logs/").values())
        return text.splitlines() if "REST.GET.OBJECT" in text and text.count("REST.POST.BUCKET") == 2 else None

    fields = [re.findall(r'\[[^]]*\]|"[^"]*"|\S+', line) for line in until(lines)]
    owner = s3.list_buckets()["Owner"]["ID"]
    good, bad = sorted((f for f in fields if f[6] == "REST.POST.BUCKET"), key=lambda f: f[9])
    assert (good[4], good[9:11], good[19:22]) == (owner, ["204", "-"], ["SigV2", "-", "-"])
    assert (bad[4], bad[9:11]) == (owner, ["403", "AccessDenied"])
    [got] = [f for f in fields if f[6] == "REST.GET.OBJECT"]
    assert got[20].startswith(("TLS_", "ECDHE-")) and got[23] in ("TLSv1.2", "TLSv1.3")


def test_logging_needs_a_target_of_the_same_owner(cloud, s3, unique):
    source, other = unique("source"), unique("other")
    s3.create_bucket(Bucket=source)
    cloud.client("s3", account="123123123123").create_bucket(Bucket=other)
    for target in (unique("none"), other):
        code, _ = refused(s3.put_bucket_logging, Bucket=source, BucketLoggingStatus={
            "LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}})
        assert code == "InvalidTargetBucketForLogging"
    for more, expected in (
            ({"TargetGrants": [{"Grantee": {"Type": "CanonicalUser", "ID": "nobody"}, "Permission": "READ"}]}, ("InvalidArgument", "Invalid id")),
            ({"TargetGrants": [{"Grantee": {"Type": "Group", "URI": "http://none"}, "Permission": "READ"}]},
             ("InvalidArgument", "Invalid group uri")),
            ({"TargetObjectKeyFormat": {}}, ("MalformedXML", None)),
            ({"TargetObjectKeyFormat": {"SimplePrefix": {}, "PartitionedPrefix": {}}}, ("MalformedXML", None))):
        code, message = refused(s3.put_bucket_logging, Bucket=source, BucketLoggingStatus={
            "LoggingEnabled": {"TargetBucket": source, "TargetPrefix": "", **more}})
        assert code == expected[0] and expected[1] in (None, message), more
    far = unique("far")
    cloud.client("s3", region="eu-west-1").create_bucket(
        Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert refused(s3.put_bucket_logging, Bucket=source, BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": far, "TargetPrefix": ""}}) == (
        "CrossLocationLoggingProhibitted", "Cross S3 location logging not allowed. ")


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


@pytest.fixture
def role(cloud, unique):
    """role(): the ARN of a role that may replicate everything; role(allowed=False): one that may do nothing."""
    iam = cloud.client("iam")

    def make(allowed=True):
        name = unique("replicator")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        if allowed:
            rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
                "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging", "s3:ReplicateObject", "s3:ReplicateDelete",
                "s3:ReplicateTags"]}]}
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(rights))
        return arn

    return make


@pytest.fixture
def pair(s3, unique):
    names = unique("from"), unique("to")
    for name in names:
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return names


def rule(target, **more):
    return {"ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Enabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{target}"}, **more}


def head(s3, bucket, key, **more):
    try:
        return s3.head_object(Bucket=bucket, Key=key, **more)
    except ClientError:
        return None


def status(s3, bucket, key, wanted):
    return until(lambda: (head(s3, bucket, key) or {}).get("ReplicationStatus") == wanted and head(s3, bucket, key))


def test_objects_are_replicated_with_all_they_have(s3, pair, role):
    source, target = pair
    s3.put_object(Bucket=source, Key="before", Body=b"x")
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role(), "Rules": [
        rule(target, Destination={"Bucket": f"arn:aws:s3:::{target}", "StorageClass": "STANDARD_IA"})]})
    put = s3.put_object(Bucket=source, Key="k", Body=b"hello" * 20000, Metadata={"a": "b"}, Tagging="t=1",
                        ContentType="text/x")
    original = status(s3, source, "k", "COMPLETED")
    replica = head(s3, target, "k")
    assert replica["ReplicationStatus"] == "REPLICA" and replica["VersionId"] == put["VersionId"]
    assert (replica["ETag"], replica["Metadata"], replica["ContentType"], replica["StorageClass"]) == (
        put["ETag"], {"a": "b"}, "text/x", "STANDARD_IA")
    assert replica["LastModified"] == original["LastModified"]
    assert s3.get_object_tagging(Bucket=target, Key="k")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert s3.get_object(Bucket=target, Key="k")["Body"].read() == b"hello" * 20000
    assert head(s3, target, "before") is None and "ReplicationStatus" not in head(s3, source, "before")
    s3.put_object_tagging(Bucket=source, Key="k", Tagging={"TagSet": [{"Key": "t", "Value": "2"}]})
    until(lambda: s3.get_object_tagging(Bucket=target, Key="k")["TagSet"] == [{"Key": "t", "Value": "2"}])
    upload = s3.create_multipart_upload(Bucket=source, Key="big")["UploadId"]
    part = s3.upload_part(Bucket=source, Key="big", UploadId=upload, PartNumber=1, Body=b"p" * 100_000)
    s3.complete_multipart_upload(Bucket=source, Key="big", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    status(s3, source, "big", "COMPLETED")
    assert s3.get_object(Bucket=target, Key="big")["Body"].read() == b"p" * 100_000
    marker = s3.delete_object(Bucket=source, Key="k")["VersionId"]
    until(lambda: [m["VersionId"] for m in s3.list_object_versions(Bucket=target, Prefix="k").get("DeleteMarkers", [])]
          == [marker])
    assert head(s3, target, "k") is None
    s3.delete_object(Bucket=source, Key="k", VersionId=put["VersionId"])
    assert s3.get_object(Bucket=target, Key="k", VersionId=put["VersionId"])["Body"].read() == b"hello" * 20000


def test_filters_decide_what_is_replicated(s3, pair, role):
    source, target = pair
    filtered = rule(target, Filter={"And": {"Prefix": "in/", "Tags": [{"Key": "go", "Value": "yes"}]}},
                    DeleteMarkerReplication={"Status": "Disabled"})
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role(), "Rules": [filtered]})
    s3.put_object(Bucket=source, Key="in/no", Body=b"")
    s3.put_object(Bucket=source, Key="out", Body=b"", Tagging="go=yes")
    s3.put_object(Bucket=source, Key="in/yes", Body=b"", Tagging="go=yes")
    status(s3, source, "in/yes", "COMPLETED")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=target)["Contents"]] == ["in/yes"]
    assert "ReplicationStatus" not in head(s3, source, "out")


def test_a_role_that_may_not_fails(s3, pair, role):
    source, target = pair
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role(allowed=False), "Rules": [rule(target)]})
    s3.put_object(Bucket=source, Key="k", Body=b"")
    status(s3, source, "k", "FAILED")
    assert head(s3, target, "k") is None


def test_another_account_must_let_the_role_in(cloud, s3, pair, role, unique):
    source, _ = pair
    other, arn, foreign = cloud.client("s3", account="123123123124", region="eu-west-1"), role(), unique("foreign")
    other.create_bucket(Bucket=foreign, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    other.put_bucket_versioning(Bucket=foreign, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": arn, "Rules": [rule(foreign)]})
    s3.put_object(Bucket=source, Key="one", Body=b"")
    status(s3, source, "one", "FAILED")
    other.put_bucket_policy(Bucket=foreign, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": ["s3:ReplicateObject", "s3:ReplicateDelete"],
         "Resource": f"arn:aws:s3:::{foreign}/*"}]}))
    s3.put_object(Bucket=source, Key="two", Body=b"x")
    status(s3, source, "two", "COMPLETED")
    assert other.head_object(Bucket=foreign, Key="two")["ReplicationStatus"] == "REPLICA"


def test_annotations_are_replicated(s3, pair, role):
    source, target = pair
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role(), "Rules": [rule(target)]})
    s3.put_object(Bucket=source, Key="k", Body=b"x")
    named = lambda bucket: {a["AnnotationName"]: a["ReplicationStatus"] for a in s3.list_object_annotations(
        Bucket=bucket, Key="k").get("Annotations", [])}
    for name in ("one", "two"):
        s3.put_object_annotation(Bucket=source, Key="k", AnnotationName=name, AnnotationPayload=f"text of {name}".encode())
    until(lambda: head(s3, target, "k") and named(target) == {"one": "REPLICA", "two": "REPLICA"})
    until(lambda: named(source) == {"one": "COMPLETED", "two": "COMPLETED"})
    text = lambda: s3.get_object_annotation(Bucket=target, Key="k", AnnotationName="one")["AnnotationPayload"].read()
    assert text() == b"text of one" and status(s3, source, "k", "COMPLETED")
    s3.put_object_annotation(Bucket=source, Key="k", AnnotationName="one", AnnotationPayload=b"new")
    s3.delete_object_annotation(Bucket=source, Key="k", AnnotationName="two")
    until(lambda: named(target) == {"one": "REPLICA"} and text() == b"new")
    # They follow an object that was copied with them.
    s3.copy_object(Bucket=source, Key="copy", CopySource=f"{source}/k")
    until(lambda: head(s3, target, "copy") and s3.list_object_annotations(Bucket=target, Key="copy")["AnnotationCount"] == 1)


def test_replication_configurations_are_checked(s3, pair, role, unique):
    source, target = pair
    arn, plain = role(), unique("plain")
    s3.create_bucket(Bucket=plain)

    def put(bucket, *rules):
        return refused(s3.put_bucket_replication, Bucket=bucket,
                       ReplicationConfiguration={"Role": arn, "Rules": list(rules)})

    assert put(plain, rule(target)) == (
        "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration")
    assert put(source, rule(plain)) == ("InvalidRequest", "Destination bucket must have versioning enabled.")
    assert put(source, rule(unique("none"))) == ("InvalidRequest", "Destination bucket must have versioning enabled.")
    tagged = rule(target, Filter={"Tag": {"Key": "a", "Value": "b"}})
    assert put(source, tagged)[1].startswith("Delete marker replication is not supported if any Tag filter is specified.")
    unranked = rule(target)
    del unranked["Priority"]
    assert put(source, unranked)[1].startswith("Priority must be specified for this version of Cross Region Replication")
    assert refused(s3.get_bucket_replication, Bucket=source) == (
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found")
    nameless = rule(target)
    del nameless["ID"]
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": arn, "Rules": [nameless]})
    assert s3.get_bucket_replication(Bucket=source)["ReplicationConfiguration"]["Rules"][0]["ID"]
    assert refused(s3.put_bucket_versioning, Bucket=source, VersioningConfiguration={"Status": "Suspended"})[0] == (
        "InvalidBucketState")
    s3.delete_bucket_replication(Bucket=source)
