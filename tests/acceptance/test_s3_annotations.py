"""Annotations: named texts beside the versions of objects."""
import pytest

from s3_help import code, refusal, refused, signed


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def bucket(s3, unique):
    name = unique("notes")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    return name


@pytest.fixture
def put(s3, bucket):
    return lambda name, text="text", key="k", **more: s3.put_object_annotation(
        Bucket=bucket, Key=key, AnnotationName=name, AnnotationPayload=text.encode(), **more)


@pytest.fixture
def get(s3, bucket):
    def read(name, key="k", **more):
        answer = s3.get_object_annotation(Bucket=bucket, Key=key, AnnotationName=name, **more)
        return answer["AnnotationPayload"].read().decode(), answer
    return read


def names(s3, bucket, key="k", **more):
    return [a["AnnotationName"] for a in s3.list_object_annotations(Bucket=bucket, Key=key, **more).get("Annotations", [])]


@pytest.mark.parametrize("text", ["a", "é" * 20_000, "x" * (1 << 20)])
def test_the_whole_way(s3, bucket, put, get, text):
    made = put("a/b é", text)
    assert (made["Key"], made["AnnotationName"], made["ServerSideEncryption"]) == ("k", "a/b é", "AES256")
    shown, answer = get("a/b é", ChecksumMode="ENABLED")
    assert shown == text and answer["ETag"] == made["ETag"] and answer["ContentLength"] == len(text.encode())
    assert answer["ChecksumCRC32"] == made["ChecksumCRC32"] and answer["LastModified"]
    put("a/b é", "other")
    assert get("a/b é")[0] == "other"
    [listed] = s3.list_object_annotations(Bucket=bucket, Key="k")["Annotations"]
    assert (listed["AnnotationName"], listed["Size"], listed["ChecksumAlgorithm"]) == ("a/b é", 5, ["CRC32"])
    assert s3.delete_object_annotation(Bucket=bucket, Key="k", AnnotationName="a/b é")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert names(s3, bucket) == []
    assert refused(get, "a/b é") == ("NoSuchAnnotation", 404)
    s3.delete_object_annotation(Bucket=bucket, Key="k", AnnotationName="a/b é")


def test_pages(s3, bucket, put):
    for name in ("b", "a1", "a2", "a3"):
        put(name)
    first = s3.list_object_annotations(Bucket=bucket, Key="k", MaxAnnotationResults=2, AnnotationPrefix="a")
    assert [a["AnnotationName"] for a in first["Annotations"]] == ["a1", "a2"] and first["AnnotationCount"] == 2
    more = {"ContinuationToken": first["NextContinuationToken"], "AnnotationPrefix": "a"}
    assert names(s3, bucket, **more) == ["a3"]
    assert refused(s3.list_object_annotations, Bucket=bucket, Key="k", ContinuationToken="!")[0] == "InvalidArgument"
    assert refused(s3.list_object_annotations, Bucket=bucket, Key="k", AnnotationPrefix="p" * 513)[0] == "InvalidPrefix"


def test_what_is_wrong(cloud, s3, bucket, put):
    assert refused(put, "n" * 513) == ("AnnotationNameTooLong", 400)
    for name in ("aws-x", "AWSy", "s3x", "S3"):
        assert refused(put, name) == ("InvalidAnnotationName", 400), name
    assert refused(put, "n", "") == ("EntityTooSmall", 400)
    answer = refusal(put, "n", "x" * ((1 << 20) + 1))
    assert (answer["Error"]["Code"], answer["Error"]["MaxSizeAllowed"]) == ("EntityTooLarge", "1048576")
    assert code(signed(cloud, "PUT", f"/{bucket}/k?annotation&annotationName=n", body=b"\xff\xfe")) == ("UnsupportedMediaType", 415)
    assert refused(put, "n", key="none") == ("NoSuchKey", 404)
    assert refused(put, "n", ObjectIfMatch='"else"') == ("PreconditionFailed", 412)
    assert refused(put, "n", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==") == ("BadDigest", 400)
    s3.put_object(Bucket=bucket, Key="own", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    assert refused(put, "n", key="own") == ("InvalidRequest", 400)
    etag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    put("n", ObjectIfMatch=etag)
    assert refused(s3.delete_object_annotation, Bucket=bucket, Key="k", AnnotationName="n", ObjectIfMatch='"e"') == (
        "PreconditionFailed", 412)


def test_they_go_with_their_version_and_come_along_with_copies(s3, bucket, put, get):
    put("n", "one")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.copy_object(Bucket=bucket, Key="bare", CopySource=f"{bucket}/k", AnnotationDirective="EXCLUDE")
    assert get("n", "copy")[0] == "one" and names(s3, bucket, "bare") == []
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE")
    assert get("n")[0] == "one"
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert names(s3, bucket) == [] and get("n", "copy")[0] == "one"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put("null", "of the null version")
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"z")["VersionId"]
    assert put("new")["ObjectVersionId"] == new and names(s3, bucket) == ["new"]
    assert names(s3, bucket, VersionId="null") == ["null"] and get("null", VersionId="null")[0] == "of the null version"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=new)
    assert names(s3, bucket) == ["null"]
    s3.delete_object(Bucket=bucket, Key="k")
    assert refused(get, "null") == ("NoSuchKey", 404)


def test_they_are_sealed_and_locked_as_their_object_is(cloud, s3, unique):
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    bucket = unique("locked")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)
    at = {"Bucket": bucket, "Key": "k", "AnnotationName": "n"}
    assert s3.put_object_annotation(**at, AnnotationPayload=b"secret")["ServerSideEncryption"] == "aws:kms:dsse"
    assert s3.get_object_annotation(**at)["AnnotationPayload"].read() == b"secret"
    s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    assert refused(s3.delete_object_annotation, **at) == ("AccessDenied", 403)
    s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "OFF"})
    kms.disable_key(KeyId=key)
    assert refused(s3.get_object_annotation, **at)[0] == "KMS.DisabledException"
    s3.delete_object_annotation(**at)
