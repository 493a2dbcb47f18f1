"""Bucket policies and every condition that S3 knows."""
import json

import pytest

from s3_help import allow, code, form, plain, refusal, refused, relative, signed, signed_v2, statement


@pytest.fixture
def grant(s3, bucket, their_account):
    """grant("s3:GetObject", StringEquals={…}): lets the other account do that."""
    def put(action, effect="Allow", **condition):
        allow(s3, bucket, *([statement(bucket, principal={"AWS": their_account})] if effect == "Deny" else []),
              statement(bucket, action, {"AWS": their_account}, effect, **condition))
    return put


def test_the_policy_itself(s3, bucket, their_account):
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refused(s3.get_bucket_policy_status, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement(bucket, principal={"AWS": their_account})]})
    assert s3.put_bucket_policy(Bucket=bucket, Policy=text)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Version"] == "2012-10-17"
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert s3.delete_bucket_policy(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.delete_bucket_policy(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"Version": "2012-10-17", "Statement": []}'])
def test_texts_that_are_no_policy(s3, bucket, text):
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("MalformedPolicy", 400)


def test_statements_that_cannot_be(s3, bucket):
    for bad in [statement("another"), statement(bucket, "iam:GetUser"), statement(bucket, "s3:GetObject", resource=f"arn:aws:s3:::{bucket}x"),
                statement(bucket, effect="Maybe"), statement(bucket, principal={"AWS": "nobody"})]:
        text = json.dumps({"Version": "2012-10-17", "Statement": [bad]})
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("MalformedPolicy", 400), bad


def test_public_policies_are_blocked(cloud, s3, bucket, other):
    everybody = statement(bucket, ["s3:GetObject", "s3:ListBucket"])
    text = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("AccessDenied", 403)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 200 and plain(cloud, "GET", f"/{bucket}/none")[0] == 404
    other.get_object(Bucket=bucket, Key="k")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert plain(cloud, "GET", f"/{bucket}/k")[0] == 403
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    s3.get_object(Bucket=bucket, Key="k")


def test_lists_by_what_they_ask(other, grant, bucket):
    grant("s3:ListBucket", StringEquals={"s3:prefix": ["in/", ""], "s3:delimiter": "/"}, NumericLessThanEquals={"s3:max-keys": "5"})
    other.list_objects_v2(Bucket=bucket, Prefix="in/", Delimiter="/", MaxKeys=5)
    for asked in ({"Prefix": "out/", "Delimiter": "/", "MaxKeys": 5}, {"Prefix": "in/", "MaxKeys": 5},
                  {"Prefix": "in/", "Delimiter": "/", "MaxKeys": 6}, {"Prefix": "in/", "Delimiter": "/"}):
        assert refused(other.list_objects_v2, Bucket=bucket, **asked) == ("AccessDenied", 403), asked
        assert refused(other.list_objects, Bucket=bucket, **asked) == ("AccessDenied", 403), asked


def test_tags_that_are_there(s3, other, grant, bucket):
    s3.put_object(Bucket=bucket, Key="public", Body=b"x", Tagging="security=public&a=b")
    s3.put_object(Bucket=bucket, Key="private", Body=b"x", Tagging="security=private")
    s3.put_object(Bucket=bucket, Key="none", Body=b"x")
    actions = {"s3:GetObject": "get_object", "s3:GetObjectTagging": "get_object_tagging", "s3:GetObjectAcl": "get_object_acl"}
    for action, call in actions.items():
        grant(action, StringEquals={"s3:ExistingObjectTag/security": "public"})
        getattr(other, call)(Bucket=bucket, Key="public")
        assert refused(getattr(other, call), Bucket=bucket, Key="private") == ("AccessDenied", 403)
        assert refused(getattr(other, call), Bucket=bucket, Key="none") == ("AccessDenied", 403)
    grant("s3:PutObjectTagging", StringEquals={"s3:ExistingObjectTag/security": "public"})
    other.put_object_tagging(Bucket=bucket, Key="public", Tagging={"TagSet": [{"Key": "security", "Value": "private"}]})
    assert refused(other.put_object_tagging, Bucket=bucket, Key="public", Tagging={"TagSet": []}) == ("AccessDenied", 403)


def test_tags_that_are_asked_for(s3, other, grant, bucket):
    grant(["s3:PutObject", "s3:PutObjectTagging"], StringEquals={"s3:RequestObjectTag/a": "b"})
    other.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=b")
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"", Tagging="a=c") == ("AccessDenied", 403)
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"") == ("AccessDenied", 403)
    other.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}, {"Key": "x", "Value": ""}]})
    assert refused(other.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging={"TagSet": [{"Key": "x", "Value": ""}]}) == ("AccessDenied", 403)
    grant("s3:PutObjectTagging", **{"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": ["a", "b"]}})
    other.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "b", "Value": ""}]})
    assert refused(other.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging={"TagSet": [{"Key": "c", "Value": ""}]}) == ("AccessDenied", 403)


@pytest.mark.parametrize("condition, good, bad", [
    ({"StringEquals": {"s3:x-amz-storage-class": "STANDARD_IA"}}, {"StorageClass": "STANDARD_IA"}, {}),
    ({"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}, {"ServerSideEncryption": "AES256"}, {}),
    ({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}, {"ACL": "bucket-owner-full-control"}, {}),
    ({"Null": {"s3:if-none-match": "false"}}, {"IfNoneMatch": "*"}, {}),
    ({"StringLike": {"s3:x-amz-website-redirect-location": "/in/*"}}, {"WebsiteRedirectLocation": "/in/x"},
     {"WebsiteRedirectLocation": "/out"}),
])
def test_headers_of_a_write(other, grant, bucket, unique, condition, good, bad):
    grant(["s3:PutObject", "s3:PutObjectAcl"], **condition)
    other.put_object(Bucket=bucket, Key=unique("k"), Body=b"", **good)
    assert refused(other.put_object, Bucket=bucket, Key=unique("k"), Body=b"", **bad) == ("AccessDenied", 403)


def test_writes_that_must_be_encrypted(s3, other, grant, bucket):
    grant("s3:PutObject", "Deny", Null={"s3:x-amz-server-side-encryption": "true"})
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"") == ("AccessDenied", 403)
    other.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="AES256")


def test_copies(s3, other, grant, bucket):
    s3.put_object(Bucket=bucket, Key="public/k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="private/k", Body=b"x")
    grant(["s3:GetObject"])
    allow(s3, bucket, *json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"],
          statement(bucket, "s3:PutObject", json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"],
                    StringLike={"s3:x-amz-copy-source": f"{bucket}/public/*"},
                    StringEqualsIfExists={"s3:x-amz-metadata-directive": "COPY"}))
    other.copy_object(Bucket=bucket, Key="n", CopySource=f"{bucket}/public/k")
    assert refused(other.copy_object, Bucket=bucket, Key="n", CopySource=f"{bucket}/private/k") == ("AccessDenied", 403)
    assert refused(other.copy_object, Bucket=bucket, Key="n", CopySource=f"{bucket}/public/k",
                   MetadataDirective="REPLACE") == ("AccessDenied", 403)


def test_where_from_and_how(cloud, s3, bucket):
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    get = lambda **headers: plain(cloud, "GET", f"/{bucket}/k", headers)[0]
    allow(s3, bucket, statement(bucket, "s3:GetObject", StringLike={"aws:Referer": "http://www.example.com/*"}))
    assert (get(Referer="http://www.example.com/x"), get(Referer="http://evil.org"), get()) == (200, 403, 403)
    allow(s3, bucket, statement(bucket, "s3:GetObject", IpAddress={"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}))
    assert get() == 200
    allow(s3, bucket, statement(bucket, "s3:GetObject", IpAddress={"aws:SourceIp": "10.0.0.0/8"}))
    assert get() == 403
    allow(s3, bucket, statement(bucket, "s3:GetObject", Bool={"aws:SecureTransport": "false"}))
    assert get() == 200
    allow(s3, bucket, statement(bucket, "s3:GetObject", Bool={"aws:SecureTransport": "true"}))
    assert get() == 403
    allow(s3, bucket, statement(bucket, "s3:GetObject", StringEquals={"aws:UserAgent": "me"}))
    assert (get(**{"User-Agent": "me"}), get()) == (200, 403)


def test_versions(s3, other, grant, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    grant("s3:GetObject")
    assert refused(other.get_object, Bucket=bucket, Key="k", VersionId=first) == ("AccessDenied", 403)
    grant("s3:GetObjectVersion", StringEquals={"s3:VersionId": first})
    other.get_object(Bucket=bucket, Key="k", VersionId=first)
    assert refused(other.get_object, Bucket=bucket, Key="k", VersionId=second) == ("AccessDenied", 403)
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)


def test_how_it_was_signed(cloud, s3, bucket, grant, their_account):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    key = their_account
    by_url = {v: cloud.client("s3", account=key, signature_version=v) for v in ("s3", "s3v4")}
    url = {v: relative(cloud, c.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
           for v, c in by_url.items()}
    tried = lambda: (signed(cloud, "GET", f"/{bucket}/k", key=key)[0], signed_v2(cloud, "GET", f"/{bucket}/k", key=key)[0],
                     plain(cloud, "GET", url["s3v4"])[0], plain(cloud, "GET", url["s3"])[0])
    grant("s3:GetObject")
    assert tried() == (200, 200, 200, 200)
    grant("s3:GetObject", StringEquals={"s3:signatureversion": "AWS4-HMAC-SHA256"})
    assert tried()[:3] == (200, 403, 200)
    grant("s3:GetObject", StringEquals={"s3:authType": "REST-QUERY-STRING"})
    assert tried() == (403, 403, 200, 200)
    grant("s3:GetObject", NumericLessThan={"s3:signatureAge": "600000"})
    assert tried()[2] == 200


def test_deny_wins_over_the_owner(s3, bucket, account):
    allow(s3, bucket, statement(bucket, "s3:GetObject", effect="Deny"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("403", 403)


def test_nobody_locks_themselves_out(s3, bucket):
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    allow(s3, bucket, statement(bucket, effect="Deny"))
    assert refused(s3.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    s3.get_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    s3.list_objects_v2(Bucket=bucket)


def test_batches_are_decided_key_by_key(s3, other, grant, bucket, their_account):
    for key in ("a/1", "b/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    allow(s3, bucket, statement(bucket, "s3:DeleteObject", {"AWS": their_account}, resource=f"arn:aws:s3:::{bucket}/a/*"))
    done = other.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/1"}, {"Key": "b/1"}]})
    assert [d["Key"] for d in done["Deleted"]] == ["a/1"]
    assert [(e["Key"], e["Code"], e["Message"]) for e in done["Errors"]] == [("b/1", "AccessDenied", "Access Denied")]


def test_forms_are_decided_too(cloud, s3, bucket):
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    allow(s3, bucket, statement(bucket, ["s3:PutObject"], StringEquals={"s3:x-amz-storage-class": "STANDARD_IA"}))
    good = plain(cloud, "POST", f"/{bucket}", *form({"key": "k", "x-amz-storage-class": "STANDARD_IA"}))
    assert good[0] == 204
    assert code(plain(cloud, "POST", f"/{bucket}", *form({"key": "k"}))) == ("AccessDenied", 403)
