"""Objects: metadata, ranges, conditions, checksums, tags, deletion."""
import base64
import datetime
import hashlib
import zlib

import pytest

from s3_help import code, md5, plain, quote, refusal, refused, restored, signed


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    import uuid
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def test_what_is_not_there(s3, bucket):
    answer = refusal(s3.get_object, Bucket=bucket, Key="none")
    assert answer["Error"]["Code"] == "NoSuchKey" and answer["Error"]["Key"] == "none"
    assert answer["Error"]["Message"] == "The specified key does not exist."
    assert refused(s3.head_object, Bucket=bucket, Key="none") == ("404", 404)
    for call in ("get_object_tagging", "get_object_acl", "delete_object_tagging"):
        assert refused(getattr(s3, call), Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize("key", ["a/../b", "/lead", "trail/", "//", ".", "..", "\u00e9", "e\u0301", "a\tb", "\x07", "?x=1", "a%2Fb",
                                 "#", "_ :+&=$;,@!*'()", "k" * 1024, " spaces "])
def test_keys_of_every_kind(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert refused(s3.get_object, Bucket=bucket, Key=key) == ("NoSuchKey", 404)


def test_metadata(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="m", Body=b"x", Metadata={"Meta1": "bar", "empty": "", "sp": "  a  b  "})
    got = s3.get_object(Bucket=bucket, Key="m")["Metadata"]
    assert got["meta1"] == "bar" and got["empty"] == "" and got["sp"].strip() == "a  b"
    s3.put_object(Bucket=bucket, Key="m", Body=b"x", Metadata={"other": "1"})
    assert s3.head_object(Bucket=bucket, Key="m")["Metadata"] == {"other": "1"}
    assert signed(cloud, "PUT", f"/{bucket}/u", {"x-amz-meta-a": "=?UTF-8?B?w6k=?="})[0] == 200
    assert signed(cloud, "HEAD", f"/{bucket}/u")[1]["x-amz-meta-a"] == "=?UTF-8?B?w6k=?="
    answer = refusal(s3.put_object, Bucket=bucket, Key="m", Body=b"", Metadata={"a": "b" * 2048})
    assert (answer["Error"]["Code"], answer["Error"]["MaxSizeAllowed"]) == ("MetadataTooLarge", "2048")


def test_headers_that_are_kept(s3, bucket):
    given = {"CacheControl": "public, max-age=14400", "ContentDisposition": "attachment; filename=x", "ContentEncoding": "gzip",
             "ContentLanguage": "de-DE", "ContentType": "text/plain; charset=utf-8"}
    s3.put_object(Bucket=bucket, Key="h", Body=b"x", Expires=datetime.datetime(2030, 1, 1), WebsiteRedirectLocation="/x", **given)
    got = s3.get_object(Bucket=bucket, Key="h")
    assert {k: got[k] for k in given} == given and got["WebsiteRedirectLocation"] == "/x"
    assert got["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT" and got["AcceptRanges"] == "bytes"
    assert got["ServerSideEncryption"] == "AES256" and "StorageClass" not in got and "VersionId" not in got
    s3.put_object(Bucket=bucket, Key="h", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="h")["ContentType"] == "binary/octet-stream"
    got = s3.get_object(Bucket=bucket, Key="h", ResponseCacheControl="no-cache", ResponseContentDisposition="bla",
                        ResponseContentEncoding="aaa", ResponseContentLanguage="esperanto", ResponseContentType="foo/bar",
                        ResponseExpires=datetime.datetime(2031, 1, 1))
    assert (got["CacheControl"], got["ContentDisposition"], got["ContentEncoding"], got["ContentLanguage"],
            got["ContentType"]) == ("no-cache", "bla", "aaa", "esperanto", "foo/bar")
    assert refused(s3.put_object, Bucket=bucket, Key="h", WebsiteRedirectLocation="x") == ("InvalidRedirectLocation", 400)


@pytest.mark.parametrize("asked, body, shown", [
    ("bytes=4-7", b"cont", "bytes 4-7/11"), ("bytes=4-", b"content", "bytes 4-10/11"), ("bytes=-7", b"content", "bytes 4-10/11"),
    ("bytes=0-100", b"testcontent", "bytes 0-10/11"), ("bytes=-100", b"testcontent", "bytes 0-10/11"),
    ("bytes=7-4", b"testcontent", None), ("bytes=x", b"testcontent", None), ("chars=1-2", b"testcontent", None),
    ("bytes=1-2,4-5", b"testcontent", None),
])
def test_ranges(s3, bucket, asked, body, shown):
    s3.put_object(Bucket=bucket, Key="r", Body=b"testcontent")
    for got in (s3.get_object(Bucket=bucket, Key="r", Range=asked), s3.head_object(Bucket=bucket, Key="r", Range=asked)):
        assert got.get("ContentRange") == shown and got["ContentLength"] == len(body)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)
    assert s3.get_object(Bucket=bucket, Key="r", Range=asked)["Body"].read() == body


def test_ranges_that_are_nowhere(s3, bucket):
    s3.put_object(Bucket=bucket, Key="r", Body=b"testcontent")
    s3.put_object(Bucket=bucket, Key="e", Body=b"")
    for key, asked, size in [("r", "bytes=40-50", "11"), ("r", "bytes=11-", "11"), ("r", "bytes=-0", "11"), ("e", "bytes=0-5", "0")]:
        answer = refusal(s3.get_object, Bucket=bucket, Key=key, Range=asked)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 416
        assert answer["Error"] == {"Code": "InvalidRange", "Message": "The requested range is not satisfiable",
                                   "ActualObjectSize": size, "RangeRequested": asked}


def test_conditions_of_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="c", Body=b"x")["ETag"]
    when = s3.head_object(Bucket=bucket, Key="c")["LastModified"]
    before, after = when - datetime.timedelta(hours=1), when + datetime.timedelta(hours=1)
    for call in (s3.get_object, s3.head_object):
        get = lambda **c: call(Bucket=bucket, Key="c", **c)
        fails = lambda **c: refused(call, Bucket=bucket, Key="c", **c)[1]
        for good in ({"IfMatch": etag}, {"IfMatch": etag.strip('"')}, {"IfNoneMatch": '"x"'}, {"IfModifiedSince": before},
                     {"IfUnmodifiedSince": after}, {"IfMatch": etag, "IfUnmodifiedSince": before}, {"IfModifiedSince": after}):
            get(**good)
        assert fails(IfMatch='"x"') == 412 and fails(IfUnmodifiedSince=before) == 412
        assert fails(IfNoneMatch=etag) == 304 and fails(IfModifiedSince=when) == 304
        assert fails(IfNoneMatch=etag, IfModifiedSince=before) == 304
    answer = refusal(s3.get_object, Bucket=bucket, Key="c", IfMatch='"x"')
    assert answer["Error"] == {"Code": "PreconditionFailed", "Condition": "If-Match",
                               "Message": "At least one of the pre-conditions you specified did not hold"}


def test_conditions_of_writes(s3, bucket, unique):
    key = unique("w")
    put = lambda **c: s3.put_object(Bucket=bucket, Key=key, Body=b"x", **c)
    fails = lambda **c: refused(s3.put_object, Bucket=bucket, Key=key, Body=b"x", **c)
    assert fails(IfMatch='"x"') == ("NoSuchKey", 404)
    etag = put(IfNoneMatch="*")["ETag"]
    assert fails(IfNoneMatch="*") == ("PreconditionFailed", 412)
    put(IfMatch=etag)
    assert fails(IfMatch='"x"') == ("PreconditionFailed", 412)
    assert fails(IfNoneMatch=etag) == ("NotImplemented", 501) and fails(IfMatch="*") == ("NotImplemented", 501)
    answer = refusal(s3.put_object, Bucket=bucket, Key=key, Body=b"", IfMatch=etag, IfNoneMatch="*")
    assert answer["Error"]["Code"] == "NotImplemented" and answer["Error"]["Header"] == "If-Match,If-None-Match"


def test_conditions_of_deletes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="d", Body=b"x")["ETag"]
    assert refused(s3.delete_object, Bucket=bucket, Key="d", IfMatch='"x"') == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=bucket, Key="d", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="d", Body=b"x")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "d", "ETag": '"x"'}]})
    assert done["Errors"][0]["Code"] == "PreconditionFailed"
    s3.delete_object(Bucket=bucket, Key="d", IfMatch="*")


def test_digests(cloud, s3, bucket):
    put = lambda value, body=b"bar": signed(cloud, "PUT", f"/{bucket}/md5", {"Content-MD5": value}, body)
    assert put(md5(b"bar"))[0] == 200
    assert code(put("rL0Y20xC+Fzt72VPzMSk2A==")) == ("BadDigest", 400)
    for bad in ("YWJyYWNhZGFicmE=", "", "x"):
        assert code(put(bad)) == ("InvalidDigest", 400), bad


def b64(value):
    return base64.b64encode(value).decode()


@pytest.mark.parametrize("name, value", [
    ("SHA256", lambda d: b64(hashlib.sha256(d).digest())), ("SHA1", lambda d: b64(hashlib.sha1(d).digest())),
    ("CRC32", lambda d: b64(zlib.crc32(d).to_bytes(4, "big"))),
])
def test_checksums(s3, bucket, name, value):
    body, member = b"a" * 1024, f"Checksum{name}"
    put = s3.put_object(Bucket=bucket, Key="s", Body=body, ChecksumAlgorithm=name, **{member: value(body)})
    assert put[member] == value(body) and put["ChecksumType"] == "FULL_OBJECT"
    assert member not in s3.head_object(Bucket=bucket, Key="s")
    head = s3.head_object(Bucket=bucket, Key="s", ChecksumMode="ENABLED")
    assert head[member] == value(body) and head["ChecksumType"] == "FULL_OBJECT"
    assert member not in s3.get_object(Bucket=bucket, Key="s", ChecksumMode="ENABLED", Range="bytes=0-5")
    facts = s3.get_object_attributes(Bucket=bucket, Key="s", ObjectAttributes=[
        "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"])
    assert facts["Checksum"] == {member: value(body), "ChecksumType": "FULL_OBJECT"}
    assert (facts["ETag"], facts["ObjectSize"], facts["StorageClass"]) == (put["ETag"].strip('"'), 1024, "STANDARD")
    assert "ObjectParts" not in facts and facts["LastModified"]
    assert refused(s3.put_object, Bucket=bucket, Key="s", Body=body, **{member: value(b"b")}) == ("BadDigest", 400)
    assert refused(s3.put_object, Bucket=bucket, Key="s", Body=body, **{member: "bad"}) == ("InvalidRequest", 400)
    copy = s3.copy_object(Bucket=bucket, Key="s2", CopySource=f"{bucket}/s")["CopyObjectResult"]
    assert copy[member] == value(body) and copy["ChecksumType"] == "FULL_OBJECT"


def test_what_some_sdks_spell_in_lower_case(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="low", Body=b"x")
    answer = signed(cloud, "GET", f"/{bucket}/low", {"x-amz-checksum-mode": "enabled"})
    assert answer[0] == 200 and "x-amz-checksum-crc32" in answer[1]


def test_attributes_that_are_none(s3, bucket):
    s3.put_object(Bucket=bucket, Key="s", Body=b"")
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="s", ObjectAttributes=["Wrong"]) == ("InvalidArgument", 400)
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="none", ObjectAttributes=["ETag"]) == ("NoSuchKey", 404)


def test_tags(cloud, s3, bucket):
    tags = lambda n: [{"Key": f"k{i}", "Value": f"v{i}"} for i in range(n)]
    assert s3.put_object(Bucket=bucket, Key="t", Body=b"", Tagging="a=1&b+c=%C3%A9&flag")
    assert s3.get_object_tagging(Bucket=bucket, Key="t")["TagSet"] == [
        {"Key": "a", "Value": "1"}, {"Key": "b c", "Value": "é"}, {"Key": "flag", "Value": ""}]
    assert s3.head_object(Bucket=bucket, Key="t")["TagCount"] == 3
    s3.put_object_tagging(Bucket=bucket, Key="t", Tagging={"TagSet": tags(10)})
    assert len(s3.get_object_tagging(Bucket=bucket, Key="t")["TagSet"]) == 10
    answer = refusal(s3.put_object_tagging, Bucket=bucket, Key="t", Tagging={"TagSet": tags(11)})
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("BadRequest", "Object tags cannot be greater than 10")
    s3.put_object_tagging(Bucket=bucket, Key="t", Tagging={"TagSet": [{"Key": "k" * 128, "Value": "v" * 256}]})
    for tag, why in [({"Key": "k" * 129, "Value": ""}, "The TagKey you have provided is invalid"),
                     ({"Key": "k", "Value": "v" * 257}, "The TagValue you have provided is invalid"),
                     ({"Key": "aws:k", "Value": ""}, "Your TagKey cannot be prefixed with aws:")]:
        answer = refusal(s3.put_object_tagging, Bucket=bucket, Key="t", Tagging={"TagSet": [tag]})
        assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("InvalidTag", why)
    assert s3.delete_object_tagging(Bucket=bucket, Key="t")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="t")["TagSet"] == []
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="t")
    assert refused(s3.put_object, Bucket=bucket, Key="t", Tagging="a=1&a=2") == ("InvalidArgument", 400)


def test_batches(cloud, s3, bucket):
    keys = ["x", "y", "z & <"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys + ["never"]]})
    assert [d["Key"] for d in done["Deleted"]] == keys + ["never"] and "Errors" not in done
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    many = [{"Key": f"k{i}"} for i in range(1001)]
    assert refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": many}) == ("MalformedXML", 400)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": many[:1000]})
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "x", "VersionId": "nonsense"}]})
    assert (done["Errors"][0]["Code"], done["Errors"][0]["VersionId"]) == ("NoSuchVersion", "nonsense")
    for body in (b"<Delete><Object></Delete>", b"<Delete></Delete>", b"nonsense"):
        assert code(signed(cloud, "POST", f"/{bucket}?delete", {"Content-MD5": md5(body)}, body)) == ("MalformedXML", 400)
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    assert code(signed(cloud, "POST", f"/{bucket}?delete", {}, body)) == ("InvalidRequest", 400)


def test_storage_classes(s3, bucket):
    for kind in ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"):
        s3.put_object(Bucket=bucket, Key="cl", Body=b"x", StorageClass=kind)
        assert s3.get_object(Bucket=bucket, Key="cl")["StorageClass"] == kind
    answer = refusal(s3.put_object, Bucket=bucket, Key="cl", Body=b"", StorageClass="FAST")
    assert (answer["Error"]["Code"], answer["Error"]["StorageClassRequested"]) == ("InvalidStorageClass", "FAST")
    s3.put_object(Bucket=bucket, Key="gl", Body=b"x", StorageClass="GLACIER")
    answer = refusal(s3.get_object, Bucket=bucket, Key="gl")
    assert (answer["Error"]["Code"], answer["Error"]["StorageClass"]) == ("InvalidObjectState", "GLACIER")
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="gl")
    assert refused(s3.restore_object, Bucket=bucket, Key="cl", RestoreRequest={"Days": 1}) == ("InvalidObjectState", 403)
    done = s3.restore_object(Bucket=bucket, Key="gl", RestoreRequest={"Days": 1})
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert restored(s3, bucket, "gl").startswith('ongoing-request="false", expiry-date="')
    assert s3.get_object(Bucket=bucket, Key="gl")["Body"].read() == b"x"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="gl", OptionalObjectAttributes=["RestoreStatus"])["Contents"][0]
    assert listed["RestoreStatus"]["IsRestoreInProgress"] is False and listed["RestoreStatus"]["RestoreExpiryDate"]


def test_folders_of_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="dir/")
    head = s3.head_object(Bucket=bucket, Key="dir/")
    assert head["ContentLength"] == 0 and head["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
