"""CopyObject: onto itself, across buckets and accounts, directives, conditions, versions."""
import datetime

import pytest

from s3_help import opened, refusal, refused


def test_onto_itself(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "1"}, ContentType="text/plain")
    answer = refusal(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/k")
    assert answer["Error"]["Code"] == "InvalidRequest" and answer["Error"]["Message"] == (
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
        "metadata, storage class, website redirect location or encryption attributes.")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"b": "2"})
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["ContentType"]) == ({"b": "2"}, "binary/octet-stream")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "STANDARD_IA"


def test_onto_itself_where_encryption_is_configured(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k")


def test_what_comes_along(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"m": "1"}, ContentType="text/css", Tagging="t=1",
                  StorageClass="STANDARD_IA", WebsiteRedirectLocation="/r", CacheControl="no-cache")
    done = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"}, Metadata={"n": "2"})
    assert done["CopyObjectResult"]["ETag"] and done["CopyObjectResult"]["LastModified"] and done["ServerSideEncryption"]
    got = s3.get_object(Bucket=bucket, Key="b")
    assert (got["Metadata"], got["ContentType"], got["CacheControl"], got["TagCount"]) == ({"m": "1"}, "text/css", "no-cache", 1)
    assert "StorageClass" not in got and "WebsiteRedirectLocation" not in got and got["Body"].read() == b"x"
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"/{bucket}/a", TaggingDirective="REPLACE", Tagging="u=2&v=3",
                   MetadataDirective="REPLACE", ContentType="x/y")
    got = s3.head_object(Bucket=bucket, Key="c")
    assert (got["Metadata"], got["ContentType"]) == ({}, "x/y") and "CacheControl" not in got
    assert [t["Key"] for t in s3.get_object_tagging(Bucket=bucket, Key="c")["TagSet"]] == ["u", "v"]


def test_sources_that_are_not_there(s3, bucket, unique):
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{unique('none')}/k") == ("NoSuchBucket", 404)
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/none") == ("NoSuchKey", 404)
    assert refused(s3.copy_object, Bucket=unique("none"), Key="k", CopySource=f"{bucket}/none") == ("NoSuchBucket", 404)
    for bad in (bucket, "/", f"{bucket}/"):
        assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=bad) == ("InvalidArgument", 400)
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/a", MetadataDirective="X") == (
        "InvalidArgument", 400)
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/a", TaggingDirective="X") == (
        "InvalidArgument", 400)


def test_from_others(cloud, s3, bucket, unique):
    other, theirs = cloud.client("s3", account="410987654321"), unique("b")
    other.create_bucket(Bucket=theirs)
    other.put_object(Bucket=theirs, Key="k", Body=b"x")
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{theirs}/k") == ("AccessDenied", 403)
    opened(other, theirs)
    other.put_object_acl(Bucket=theirs, Key="k", GrantRead=f"id={s3.list_buckets()['Owner']['ID']}")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{theirs}/k", ExpectedSourceBucketOwner="410987654321")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{theirs}/k",
                   ExpectedSourceBucketOwner="000000000009") == ("AccessDenied", 403)
    assert refused(s3.copy_object, Bucket=theirs, Key="k", CopySource=f"{bucket}/k") == ("AccessDenied", 403)


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    when = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    hour = datetime.timedelta(hours=1)
    copy = lambda **c: s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a", **c)
    for good in ({"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": "x"}, {"CopySourceIfModifiedSince": when - hour},
                 {"CopySourceIfUnmodifiedSince": when + hour},
                 {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": when - hour}):
        copy(**good)
    for bad in ({"CopySourceIfMatch": "x"}, {"CopySourceIfNoneMatch": etag}, {"CopySourceIfModifiedSince": when},
                {"CopySourceIfUnmodifiedSince": when - hour}, {"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": when - hour}):
        assert refused(copy, **bad) == ("PreconditionFailed", 412), bad
    assert refused(copy, IfNoneMatch="*") == ("PreconditionFailed", 412)
    copy(IfMatch=s3.head_object(Bucket=bucket, Key="b")["ETag"])


@pytest.mark.parametrize("key", [" ", "_", "__", "?versionId", "foo?bar", "a+b c/é%", "#", "&=", "a//b"])
def test_names_of_every_kind(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.copy_object(Bucket=bucket, Key="copy" + key, CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy" + key)["Body"].read() == key.encode()


def test_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    done = s3.copy_object(Bucket=bucket, Key="n", CopySource={"Bucket": bucket, "Key": "k", "VersionId": first})
    assert done["CopySourceVersionId"] == first and done["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="n")["Body"].read() == b"1"
    # An older version may be made current again.
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k", "VersionId": first})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert refused(s3.copy_object, Bucket=bucket, Key="n", CopySource=f"{bucket}/k") == ("NoSuchKey", 404)
    assert refused(s3.copy_object, Bucket=bucket, Key="n", CopySource=f"{bucket}/k?versionId={marker}") == ("InvalidRequest", 400)
    assert refused(s3.copy_object, Bucket=bucket, Key="n", CopySource=f"{bucket}/k?versionId=nonsense") == (
        "InvalidArgument", 400)


def test_large_and_empty_ones(s3, bucket):
    for size in (0, 40_000, 3 << 20):
        body = bytes(range(256)) * (size // 256)
        etag = s3.put_object(Bucket=bucket, Key="a", Body=body)["ETag"]
        assert s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")["CopyObjectResult"]["ETag"] == etag
        s3.delete_object(Bucket=bucket, Key="a")
        assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == body


def test_customer_keys(s3, bucket):
    one = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"1" * 32}
    of_source = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": b"1" * 32}
    s3.put_object(Bucket=bucket, Key="a", Body=b"secret", **one)
    assert refused(s3.copy_object, Bucket=bucket, Key="b", CopySource=f"{bucket}/a") == ("InvalidRequest", 400)
    done = s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a", **of_source)
    assert done["ServerSideEncryption"] == "AES256" and s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"secret"
    two = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"2" * 32}
    done = s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a", **of_source, **two)
    assert done["SSECustomerAlgorithm"] == "AES256" and done["SSECustomerKeyMD5"]
    assert s3.get_object(Bucket=bucket, Key="c", **two)["Body"].read() == b"secret"
    assert refused(s3.get_object, Bucket=bucket, Key="c", **one) == ("AccessDenied", 403)
    assert refused(s3.get_object, Bucket=bucket, Key="b", **one) == ("InvalidRequest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="c", SSECustomerAlgorithm="AES", SSECustomerKey=b"2" * 32) == (
        "InvalidEncryptionAlgorithmError", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="c", SSECustomerAlgorithm="AES256", SSECustomerKey=b"2") == (
        "InvalidArgument", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="c", SSECustomerAlgorithm="AES256") == ("InvalidArgument", 400)
