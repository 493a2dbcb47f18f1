"""Encryption that is changed on objects that are there, and its two layers; what only directory buckets have."""
import pytest

from s3_help import allow, code, refusal, refused, signed, statement

MIB = 1024 * 1024


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


def update(s3, bucket, key, arn, **more):
    bucket_key = {"BucketKeyEnabled": True} if more.pop("bucket_key", False) else {}
    return s3.update_object_encryption(
        Bucket=bucket, Key=key, ObjectEncryption={"SSEKMS": {"KMSKeyArn": arn, **bucket_key}}, **more)


@pytest.mark.parametrize("size", [0, 10, 20_000, 200_000])
def test_an_objects_encryption_is_updated(s3, kms, bucket, key, size):
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, Metadata={"a": "b"}, Tagging="x=y")
    before = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    update(s3, bucket, "k", key)
    after = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert after["Body"].read() == body and after["ETag"] == put["ETag"] and after["Metadata"] == {"a": "b"}
    assert (after["ServerSideEncryption"], after["SSEKMSKeyId"]) == ("aws:kms", key) and after["TagCount"] == 1
    assert after["LastModified"] == before["LastModified"] and after["ChecksumCRC32"] == before["ChecksumCRC32"]
    other = kms.create_key()["KeyMetadata"]["Arn"]
    update(s3, bucket, "k", other, bucket_key=True)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    again = s3.get_object(Bucket=bucket, Key="k")
    assert again["Body"].read() == body and (again["SSEKMSKeyId"], again["BucketKeyEnabled"]) == (other, True)
    if size:
        assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=3-7")["Body"].read() == body[3:8]


def test_parts_and_versions_are_updated(s3, bucket, key):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    at = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**at, PartNumber=n, Body=body)["ETag"]}
             for n, body in ((2, b"a" * 5 * MIB), (7, b"b" * 9))]
    made = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts})
    s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    update(s3, bucket, "k", key, VersionId=made["VersionId"])
    got = s3.get_object(Bucket=bucket, Key="k", VersionId=made["VersionId"])
    assert got["Body"].read() == b"a" * 5 * MIB + b"b" * 9
    assert (got["ETag"], got["ServerSideEncryption"]) == (made["ETag"], "aws:kms")
    second = s3.get_object(Bucket=bucket, Key="k", VersionId=made["VersionId"], PartNumber=2)
    assert second["Body"].read() == b"b" * 9 and second["PartsCount"] == 2
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def test_keys_of_customers_can_be_blocked(s3, bucket):
    own = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="before", Body=b"x", **own)
    block = lambda kind: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"BlockedEncryptionTypes": {"EncryptionType": [kind]}}]})
    block("SSE-C")
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule == {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False,
                    "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    for call, more in (("put_object", {"Body": b"x"}), ("create_multipart_upload", {}),
                       ("copy_object", {"CopySource": f"{bucket}/before", "CopySourceSSECustomerAlgorithm": "AES256",
                                        "CopySourceSSECustomerKey": "k" * 32})):
        error = refusal(getattr(s3, call), Bucket=bucket, Key="k", **own, **more)["Error"]
        assert error["Code"] == "AccessDenied" and error["Message"].endswith(
            f'is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::{bucket}/k" because this bucket has blocked upload '
            "requests that specify Server Side Encryption with Customer provided keys (SSE-C). Please specify a different "
            "server-side encryption type"), call
    # What is there can still be read, and other encryption is taken.
    assert s3.get_object(Bucket=bucket, Key="before", **own)["Body"].read() == b"x"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    block("NONE")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **own)


def test_encryption_that_cannot_be_updated(cloud, s3, unique, bucket, key):
    locked = unique("locked")
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")
    answer = refusal(update, s3, locked, "k", key)["Error"]
    assert answer["Code"] == "AccessDenied" and "protected by S3 Object Lock" in answer["Message"]
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="own", Body=b"x", **secret)
    s3.put_object(Bucket=bucket, Key="dual", Body=b"x", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    for name in ("own", "dual"):
        answer = refusal(update, s3, bucket, name, key)["Error"]
        assert answer["Code"] == "InvalidRequest" and "encryption type DSSE-KMS or SSE-C" in answer["Message"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    foreign = "arn:aws:kms:us-east-1:999999999999:key/00000000-0000-0000-0000-000000000000"
    answer = refusal(update, s3, bucket, "k", foreign)["Error"]
    assert answer["Code"] == "AccessDenied" and "owned by the same account as the bucket" in answer["Message"]
    assert refused(update, s3, bucket, "k", foreign.replace("999999999999", "000000000000"))[0] == "KMS.NotFoundException"
    assert refused(update, s3, bucket, "none", key) == ("NoSuchKey", 404)
    for document, words in (
            ("<ObjectEncryption/>", b"require a valid new encryption type"),
            ("<ObjectEncryption><SSE-S3/></ObjectEncryption>", b"require a valid new encryption type"),
            ("<ObjectEncryption><SSE-KMS/></ObjectEncryption>", b"require an AWS KMS key Amazon Resource Name"),
            ("<ObjectEncryption><SSE-KMS><KMSKeyArn>alias/of-some-key-or-other</KMSKeyArn></SSE-KMS></ObjectEncryption>",
             b"require a valid AWS KMS key Amazon Resource Name")):
        answer = signed(cloud, "PUT", f"/{bucket}/k?encryption", body=document.encode())
        assert code(answer) == ("InvalidRequest", 400) and words in answer[2], document


@pytest.mark.parametrize("size", [10, 200_000])
def test_two_layers(s3, bucket, key, size):
    body = bytes(range(256)) * (size // 256 + 1)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    assert put["ServerSideEncryption"] == "aws:kms:dsse"
    got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=5-20")
    assert got["Body"].read() == body[5:21] and got["ServerSideEncryption"] == "aws:kms:dsse"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


def test_wrong_keys_of_customers(s3, bucket):
    secret = lambda c: {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": c * 32}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **secret("a"))
    answer = refusal(s3.get_object, Bucket=bucket, Key="k", **secret("b"))
    assert (answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (
        "AccessDenied", "Requests specifying Server Side Encryption with Customer provided keys must provide the correct "
        "secret key.", 403)
    answer = refusal(s3.get_object, Bucket=bucket, Key="k")
    assert answer["Error"]["Message"].startswith("The object was stored using a form of Server Side Encryption.")


def test_directory_buckets_and_what_is_theirs(cloud, s3, bucket):
    assert s3.list_directory_buckets()["Buckets"] == []
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    for call, more in (("create_session", {}), ("rename_object", {"Key": "a", "RenameSource": "b"})):
        assert refused(getattr(s3, call), Bucket=bucket, **more) == ("MethodNotAllowed", 405)
        assert refused(getattr(s3, call), Bucket=bucket + "x", **more) == ("NoSuchBucket", 404)
    answer = refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"x", WriteOffsetBytes=0)
    assert (answer["Error"]["Code"], answer["Error"]["Header"]) == ("NotImplemented", "x-amz-write-offset-bytes")
    assert refused(s3.get_object, Bucket=bucket, Key="a") == ("NoSuchKey", 404)


def test_who_pays_is_told(cloud, s3, bucket, account):
    """`x-amz-request-charged` stands in the answer to every request that somebody else pays for."""
    s3.delete_public_access_block(Bucket=bucket)
    allow(s3, bucket, statement(bucket))
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    theirs = cloud.client("s3", account=account)
    pays = {"Bucket": bucket, "RequestPayer": "requester"}
    k = {**pays, "Key": "k"}
    assert refused(theirs.put_object, Bucket=bucket, Key="k", Body=b"x") == ("AccessDenied", 403)
    charged = lambda answer: answer["RequestCharged"] == "requester"
    assert charged(theirs.put_object(**k, Body=b"x" * 5 * MIB))
    for call, more in (("get_object", {}), ("head_object", {}), ("get_object_attributes", {"ObjectAttributes": ["ETag"]}),
                       ("get_object_acl", {}), ("copy_object", {"CopySource": f"{bucket}/k", "MetadataDirective": "REPLACE"})):
        assert charged(getattr(theirs, call)(**k, **more)), call
    for call in ("list_objects", "list_objects_v2", "list_object_versions", "list_multipart_uploads"):
        assert charged(getattr(theirs, call)(**pays)), call
    begun = theirs.create_multipart_upload(**k)
    assert charged(begun)
    upload = {**k, "UploadId": begun["UploadId"]}
    part = theirs.upload_part(**upload, PartNumber=1, Body=b"x")
    copied = theirs.upload_part_copy(**upload, PartNumber=2, CopySource=f"{bucket}/k")
    assert charged(part) and charged(copied) and charged(theirs.list_parts(**upload))
    parts = [{"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]}]
    assert charged(theirs.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))
    assert charged(theirs.abort_multipart_upload(**k, UploadId=theirs.create_multipart_upload(**k)["UploadId"]))
    theirs.put_object(**{**k, "Key": "cold"}, Body=b"", StorageClass="GLACIER")
    assert charged(theirs.restore_object(**{**k, "Key": "cold"}, RestoreRequest={"Days": 1}))
    assert charged(theirs.delete_objects(**pays, Delete={"Objects": [{"Key": "cold"}]})) and charged(theirs.delete_object(**k))
