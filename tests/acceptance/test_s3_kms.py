"""SSE-KMS: objects under keys of KMS, with the keys' own policies, through real clients."""
import base64
import json
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def kms(cloud):
    return cloud.client("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def bucket(s3, unique):
    name = unique("sealed")
    s3.create_bucket(Bucket=name)
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("size", [0, 10, 20_000, 200_000])
def test_an_object_under_a_key(s3, bucket, key, size):
    body = b"x" * size
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key) and "BucketKeyEnabled" not in put
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body and (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", key)
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["ContentLength"]) == ("aws:kms", key, size)
    if size:
        assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=3-7")["Body"].read() == b"xxxxx"


def test_names_of_keys_and_what_is_wrong_with_them(cloud, s3, kms, bucket, key, unique):
    alias = f"alias/{unique('a')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    for name in (key, key.rsplit("/", 1)[1], alias):
        put = s3.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=name)
        assert put["SSEKMSKeyId"] == key
    managed = s3.put_object(Bucket=bucket, Key="m", Body=b"1", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    assert kms.describe_key(KeyId=managed)["KeyMetadata"]["KeyManager"] == "AWS"

    def put(name, **more):
        return refused(s3.put_object, Bucket=bucket, Key="x", Body=b"", SSEKMSKeyId=name, **{"ServerSideEncryption": "aws:kms", **more})

    assert put("not-a-key") == ("KMS.NotFoundException", "Invalid keyId 'not-a-key'")
    assert put("arn:aws:kms:eu-west-1:000000000000:key/x")[0] == "KMS.NotFoundException"
    assert put(key, ServerSideEncryption="AES256")[0] == "InvalidArgument"
    assert refused(s3.put_object, Bucket=bucket, Key="x", Body=b"", ServerSideEncryption="aws:kms",
                   SSEKMSEncryptionContext="nonsense")[0] == "InvalidArgument"
    kms.disable_key(KeyId=key)
    assert put(key)[0] == "KMS.DisabledException"
    assert refused(s3.get_object, Bucket=bucket, Key="k")[0] == "KMS.DisabledException"
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(s3.get_object, Bucket=bucket, Key="k")[0] == "KMS.KMSInvalidStateException"


def test_the_buckets_default_and_copies(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key="plain", Body=b"before")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}]})
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == ("aws:kms", key, True)
    plain = s3.put_object(Bucket=bucket, Key="aes", Body=b"1", ServerSideEncryption="AES256")
    assert plain["ServerSideEncryption"] == "AES256" and s3.get_object(Bucket=bucket, Key="plain")["ServerSideEncryption"] == "AES256"
    copy = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "plain"})
    assert (copy["ServerSideEncryption"], copy["SSEKMSKeyId"]) == ("aws:kms", key)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"before"
    back = s3.copy_object(Bucket=bucket, Key="back", CopySource={"Bucket": bucket, "Key": "copy"}, ServerSideEncryption="AES256")
    assert back["ServerSideEncryption"] == "AES256" and back["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=bucket, Key="plain")["ETag"]
    dual = s3.put_object(Bucket=bucket, Key="d", Body=b"1", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    assert dual["ServerSideEncryption"] == "aws:kms:dsse" and s3.get_object(Bucket=bucket, Key="d")["Body"].read() == b"1"


def test_multipart_uploads(s3, bucket, key):
    begun = s3.create_multipart_upload(Bucket=bucket, Key="big", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert (begun["ServerSideEncryption"], begun["SSEKMSKeyId"]) == ("aws:kms", key)
    bodies, parts = [b"a" * (5 << 20), b"b" * 100], []
    for number, body in enumerate(bodies, 1):
        part = s3.upload_part(Bucket=bucket, Key="big", UploadId=begun["UploadId"], PartNumber=number, Body=body)
        assert (part["ServerSideEncryption"], part["SSEKMSKeyId"]) == ("aws:kms", key)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    done = s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=begun["UploadId"], MultipartUpload={"Parts": parts})
    assert done["SSEKMSKeyId"] == key
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"".join(bodies)
    assert s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={(5 << 20) - 2}-{(5 << 20) + 1}")["Body"].read() == b"aabb"


def test_the_keys_policy_and_context_decide(cloud, s3, kms, bucket, key, unique):
    iam, name = cloud.client("iam"), unique("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = cloud.client("s3", key=pair["AccessKeyId"], secret=pair["SecretAccessKey"])
    context = base64.b64encode(json.dumps({"team": "blue"}).encode()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, SSEKMSEncryptionContext=context)
    code, message = refused(theirs.get_object, Bucket=bucket, Key="k")
    assert code == "AccessDenied" and "kms:Decrypt" in message
    assert refused(theirs.put_object, Bucket=bucket, Key="x", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)[0] == "AccessDenied"
    iam.put_user_policy(UserName=name, PolicyName="kms", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": {"StringEquals": {
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/k", "kms:EncryptionContext:team": "blue",
            "kms:ViaService": "s3.us-east-1.amazonaws.com"}}}]}))
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="other", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, SSEKMSEncryptionContext=context)
    assert refused(theirs.get_object, Bucket=bucket, Key="other")[0] == "AccessDenied"


def test_a_bucket_key_is_bound_to_the_bucket_and_ends_with_its_key(cloud, s3, kms, bucket, key, unique):
    iam, name = cloud.client("iam"), unique("user")
    iam.create_user(UserName=name)

    def allow(resource):
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": {"StringEquals": {
                "kms:EncryptionContext:aws:s3:arn": resource}}}]}))

    pair = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = cloud.client("s3", key=pair["AccessKeyId"], secret=pair["SecretAccessKey"])
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True)
    allow(f"arn:aws:s3:::{bucket}/k")
    assert refused(theirs.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"
    allow(f"arn:aws:s3:::{bucket}")
    got = theirs.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"1" and got["BucketKeyEnabled"]
    kms.disable_key(KeyId=key)
    assert refused(theirs.get_object, Bucket=bucket, Key="k")[0] == "KMS.DisabledException"


def test_sealed_objects_are_replicated_where_the_rule_says_so(cloud, s3, key, kms, unique):
    iam, source, target = cloud.client("iam"), unique("from"), unique("to")
    for name in (source, target):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    other, role = kms.create_key()["KeyMetadata"]["Arn"], unique("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:*", "kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"}]}))
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": arn, "Rules": [
        {"ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""}, "DeleteMarkerReplication": {"Status": "Disabled"},
         "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
         "Destination": {"Bucket": f"arn:aws:s3:::{target}", "EncryptionConfiguration": {"ReplicaKmsKeyID": other}}}]})
    s3.put_object(Bucket=source, Key="k", Body=b"y" * 50_000, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    deadline = time.time() + 60
    while s3.head_object(Bucket=source, Key="k").get("ReplicationStatus") == "PENDING" and time.time() < deadline:
        time.sleep(0.1)
    assert s3.head_object(Bucket=source, Key="k")["ReplicationStatus"] == "COMPLETED"
    got = s3.get_object(Bucket=target, Key="k")
    assert got["Body"].read() == b"y" * 50_000 and got["SSEKMSKeyId"] == other
    s3.put_object_annotation(Bucket=source, Key="k", AnnotationName="note", AnnotationPayload=b"z" * 30_000)
    replicas = lambda: s3.list_object_annotations(Bucket=target, Key="k").get("AnnotationCount")
    while not replicas() and time.time() < deadline:
        time.sleep(0.1)
    note = s3.get_object_annotation(Bucket=target, Key="k", AnnotationName="note")
    assert note["AnnotationPayload"].read() == b"z" * 30_000 and note["ReplicationStatus"] == "REPLICA"


def test_reading_takes_no_word_on_encryption(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    add = lambda params, **_: params["headers"].update({"x-amz-server-side-encryption": "aws:kms"})
    s3.meta.events.register("before-call.s3.GetObject", add)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == (
        "InvalidArgument", "x-amz-server-side-encryption header is not supported for this operation.")
