"""Versions, delete markers, object lock, lifecycle configurations."""
import datetime
import re

import pytest

from s3_help import code, md5, refusal, refused, signed

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def kept(s3, bucket):
    """A bucket with versions."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def locked(s3, unique):
    """A bucket with object lock."""
    name = unique("b")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def versions(s3, bucket):
    page = s3.list_object_versions(Bucket=bucket)
    return ([(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])],
            [(m["Key"], m["VersionId"], m["IsLatest"]) for m in page.get("DeleteMarkers", [])])


def test_states(s3, bucket):
    put = lambda **c: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=c)
    for status in ("Enabled", "Suspended", "Enabled"):
        put(Status=status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    assert refused(put, Status="enabled") == ("MalformedXML", 400)
    assert refused(put) == ("IllegalVersioningConfigurationException", 400)


def test_deletion(s3, kept):
    one, two = (s3.put_object(Bucket=kept, Key="k", Body=b)["VersionId"] for b in (b"1", b"2"))
    assert one != two and s3.get_object(Bucket=kept, Key="k")["VersionId"] == two
    marker = s3.delete_object(Bucket=kept, Key="k")
    assert marker["DeleteMarker"] is True and marker["VersionId"] not in (one, two)
    answer = refusal(s3.get_object, Bucket=kept, Key="k")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert answer["Error"]["Code"] == "NoSuchKey" and headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == marker["VersionId"]
    answer = refusal(s3.get_object, Bucket=kept, Key="k", VersionId=marker["VersionId"])
    assert (answer["Error"]["Code"], answer["Error"]["Method"], answer["Error"]["ResourceType"]) == (
        "MethodNotAllowed", "GET", "DeleteMarker")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    assert refused(s3.head_object, Bucket=kept, Key="k", VersionId=marker["VersionId"]) == ("405", 405)
    assert s3.get_object(Bucket=kept, Key="k", VersionId=one)["Body"].read() == b"1"
    assert versions(s3, kept) == ([("k", two, False), ("k", one, False)], [("k", marker["VersionId"], True)])
    gone = s3.delete_object(Bucket=kept, Key="k", VersionId=marker["VersionId"])
    assert gone["DeleteMarker"] is True and gone["VersionId"] == marker["VersionId"]
    assert s3.get_object(Bucket=kept, Key="k")["VersionId"] == two
    gone = s3.delete_object(Bucket=kept, Key="k", VersionId=two)
    assert gone["VersionId"] == two and "DeleteMarker" not in gone
    assert s3.get_object(Bucket=kept, Key="k")["Body"].read() == b"1"
    assert "not empty" in refusal(s3.delete_bucket, Bucket=kept)["Error"]["Message"]
    # What is not there gets a marker too.
    assert s3.delete_object(Bucket=kept, Key="never")["DeleteMarker"] is True


def test_versions_that_are_not_there(s3, kept):
    one = s3.put_object(Bucket=kept, Key="k", Body=b"")["VersionId"]
    other = s3.put_object(Bucket=kept, Key="o", Body=b"")["VersionId"]
    for call in ("get_object", "get_object_acl", "get_object_tagging"):
        answer = refusal(getattr(s3, call), Bucket=kept, Key="k", VersionId=other)
        assert (answer["Error"]["Code"], answer["Error"]["VersionId"], answer["Error"]["Key"]) == ("NoSuchVersion", other, "k")
        answer = refusal(getattr(s3, call), Bucket=kept, Key="k", VersionId="nonsense")
        assert answer["Error"]["Message"] == "Invalid version id specified" and answer["Error"]["ArgumentName"] == "versionId"
    assert s3.delete_object(Bucket=kept, Key="k", VersionId=other)["ResponseMetadata"]["HTTPStatusCode"] == 204
    s3.delete_object(Bucket=kept, Key="k", VersionId=one)
    assert refused(s3.get_object, Bucket=kept, Key="k", VersionId=one) == ("NoSuchVersion", 404)
    assert refused(s3.get_object, Bucket=kept, Key="k", VersionId="null") == ("NoSuchVersion", 404)


def test_suspension(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"null 1")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    assert versions(s3, bucket)[0] == [("k", one, True), ("k", "null", False)]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"null 1"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"null 2")
    assert "VersionId" not in put
    assert "VersionId" not in s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE")
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert versions(s3, bucket)[0] == [("k", "null", True), ("k", one, False)]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert (marker["VersionId"], marker["DeleteMarker"]) == ("null", True)
    assert versions(s3, bucket) == ([("k", one, False)], [("k", "null", True)])
    s3.put_object(Bucket=bucket, Key="k", Body=b"null 3")
    assert versions(s3, bucket) == ([("k", "null", True), ("k", one, False)], [])
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"one"


def test_batches(s3, kept):
    ids = [s3.put_object(Bucket=kept, Key="k", Body=b"")["VersionId"] for _ in range(2)]
    done = s3.delete_objects(Bucket=kept, Delete={"Objects": [{"Key": "k"}]})["Deleted"][0]
    assert done["DeleteMarker"] is True and "VersionId" not in done
    marker = done["DeleteMarkerVersionId"]
    done = s3.delete_objects(Bucket=kept, Delete={"Objects": [{"Key": "k", "VersionId": v} for v in [*ids, marker]]})
    shown = {d["VersionId"]: d for d in done["Deleted"]}
    assert set(shown) == {*ids, marker} and shown[marker]["DeleteMarker"] and "DeleteMarker" not in shown[ids[0]]
    assert versions(s3, kept) == ([], [])


def test_lock_of_buckets(s3, bucket, locked):
    get = lambda b: s3.get_object_lock_configuration(Bucket=b)["ObjectLockConfiguration"]
    put = lambda b, **c: s3.put_object_lock_configuration(Bucket=b, ObjectLockConfiguration=c)
    rule = lambda **r: {"DefaultRetention": r}
    assert get(locked) == {"ObjectLockEnabled": "Enabled"}
    assert refused(get, bucket) == ("ObjectLockConfigurationNotFoundError", 404)
    assert refused(put, bucket, ObjectLockEnabled="Enabled") == ("InvalidBucketState", 409)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put(bucket, ObjectLockEnabled="Enabled")
    for given in (rule(Mode="GOVERNANCE", Days=1), rule(Mode="COMPLIANCE", Years=1)):
        put(locked, ObjectLockEnabled="Enabled", Rule=given)
        assert get(locked)["Rule"] == given
    for bad in (rule(Mode="GOVERNANCE", Days=1, Years=1), rule(Mode="abc", Years=1), rule(Mode="governance", Days=1),
                rule(Mode="GOVERNANCE"), rule(Days=1)):
        assert refused(put, locked, ObjectLockEnabled="Enabled", Rule=bad) == ("MalformedXML", 400), bad
    for bad in (rule(Mode="GOVERNANCE", Days=0), rule(Mode="GOVERNANCE", Years=-1)):
        assert refused(put, locked, ObjectLockEnabled="Enabled", Rule=bad)[1] == 400
    assert refused(put, locked, ObjectLockEnabled="Disabled", Rule=rule(Mode="GOVERNANCE", Days=1)) == ("MalformedXML", 400)
    assert refused(s3.put_bucket_versioning, Bucket=locked, VersioningConfiguration={"Status": "Suspended"}) == (
        "InvalidBucketState", 409)


def test_default_retention(s3, locked):
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    s3.put_object(Bucket=locked, Key="k", Body=b"")
    head = s3.head_object(Bucket=locked, Key="k")
    left = head["ObjectLockRetainUntilDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert head["ObjectLockMode"] == "GOVERNANCE" and abs(left.total_seconds() - 86400) < 60


def test_retention(cloud, s3, bucket, locked):
    later = lambda days: (NOW + datetime.timedelta(days=days)).replace(microsecond=0)
    version = s3.put_object(Bucket=locked, Key="k", Body=b"x")["VersionId"]
    at = {"Bucket": locked, "Key": "k"}
    put = lambda mode, days, **m: s3.put_object_retention(**at, Retention={"Mode": mode, "RetainUntilDate": later(days)}, **m)
    assert refused(s3.get_object_retention, **at) == ("NoSuchObjectLockConfiguration", 404)
    put("GOVERNANCE", 2)
    got = s3.get_object_retention(**at)["Retention"]
    assert got == {"Mode": "GOVERNANCE", "RetainUntilDate": later(2)}
    raw = signed(cloud, "GET", f"/{locked}/k?retention")[2]
    assert re.search(rb"<RetainUntilDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</RetainUntilDate>", raw)
    put("GOVERNANCE", 3)
    assert refused(put, "GOVERNANCE", 1) == ("AccessDenied", 403)
    put("GOVERNANCE", 1, BypassGovernanceRetention=True)
    answer = refusal(s3.delete_object, **at, VersionId=version)
    assert answer["Error"]["Message"] == "Access Denied because object protected by object lock."
    done = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert [(e["Key"], e["VersionId"], e["Code"]) for e in done["Errors"]] == [("k", version, "AccessDenied")]
    s3.delete_object(**at)
    assert refused(put, "COMPLIANCE", 1) == ("NoSuchKey", 404)
    for bad in ({"Mode": "governance", "RetainUntilDate": later(1)}, {"Mode": "abc", "RetainUntilDate": later(1)},
                {"Mode": "GOVERNANCE"}, {"RetainUntilDate": later(1)}):
        assert refused(s3.put_object_retention, **at, VersionId=version, Retention=bad) == ("MalformedXML", 400)
    answer = refusal(s3.put_object_retention, **at, VersionId=version, Retention={
        "Mode": "GOVERNANCE", "RetainUntilDate": NOW - datetime.timedelta(days=1)})
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == (
        "InvalidArgument", "The retain until date must be in the future!")
    s3.delete_object(**at, VersionId=version, BypassGovernanceRetention=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for call, more in [("get_object_retention", {}), ("get_object_legal_hold", {}), ("put_object_legal_hold", {"LegalHold": {"Status": "ON"}}),
                       ("put_object_retention", {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": later(1)}})]:
        answer = refusal(getattr(s3, call), Bucket=bucket, Key="k", **more)
        assert (answer["Error"]["Code"], answer["Error"]["Message"]) == (
            "InvalidRequest", "Bucket is missing Object Lock Configuration")


def test_compliance_has_no_way_out(s3, locked, new_cloud):
    until = (NOW + datetime.timedelta(days=2)).replace(microsecond=0)
    put = s3.put_object(Bucket=locked, Key="k", Body=b"", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    at = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    assert refused(s3.delete_object, **at, BypassGovernanceRetention=True) == ("AccessDenied", 403)
    for mode, days in (("GOVERNANCE", 3), ("COMPLIANCE", 1)):
        wanted = {"Mode": mode, "RetainUntilDate": NOW + datetime.timedelta(days=days)}
        assert refused(s3.put_object_retention, **at, Retention=wanted, BypassGovernanceRetention=True) == ("AccessDenied", 403)
    s3.put_object_retention(**at, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until + datetime.timedelta(days=1)})


def test_legal_hold(cloud, s3, bucket, locked):
    version = s3.put_object(Bucket=locked, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")["VersionId"]
    at = {"Bucket": locked, "Key": "k"}
    assert s3.get_object_legal_hold(**at)["LegalHold"] == {"Status": "ON"}
    assert s3.head_object(**at)["ObjectLockLegalHoldStatus"] == "ON"
    assert refused(s3.delete_object, **at, VersionId=version, BypassGovernanceRetention=True) == ("AccessDenied", 403)
    assert refused(s3.put_object_legal_hold, **at, LegalHold={"Status": "abc"}) == ("MalformedXML", 400)
    s3.put_object_legal_hold(**at, LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(**at)["LegalHold"] == {"Status": "OFF"}
    s3.delete_object(**at, VersionId=version)
    s3.put_object(**at, Body=b"")
    assert refused(s3.get_object_legal_hold, **at) == ("NoSuchObjectLockConfiguration", 404)
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", ObjectLockLegalHoldStatus="ON") == ("InvalidRequest", 400)
    headers = {"x-amz-object-lock-legal-hold": "ON"}
    assert code(signed(cloud, "PUT", f"/{locked}/k", headers, b"x")) == ("InvalidRequest", 400)
    assert signed(cloud, "PUT", f"/{locked}/k", {**headers, "Content-MD5": md5(b"x")}, b"x")[0] == 200


def rule(**more):
    return {"ID": "rule", "Status": "Enabled", "Filter": {"Prefix": "in/"}, **more}


def test_lifecycle_as_it_is_kept(s3, bucket):
    put = lambda *rules, **m: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}, **m)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
    rules = [rule(Expiration={"Days": 1}), {"ID": "two", "Status": "Disabled", "Filter": {"And": {
        "Prefix": "x", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 5}},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 2, "NewerNoncurrentVersions": 3},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}]
    assert put(*rules)["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["Rules"] == rules and got["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    put(*rules, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    put({"Status": "Enabled", "Prefix": "", "Expiration": {"ExpiredObjectDeleteMarker": True}})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"]
    put(rule(Filter={}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}))
    assert s3.delete_bucket_lifecycle(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)


@pytest.mark.parametrize("bad, expected", [
    ([rule(ID="x" * 256, Expiration={"Days": 1})], "InvalidArgument"),
    ([rule(Expiration={"Days": 1}), rule(Expiration={"Days": 2})], "InvalidArgument"),
    ([rule(Status="enabled", Expiration={"Days": 1})], "MalformedXML"),
    ([rule(Expiration={"Days": 0})], "InvalidArgument"),
    ([rule(Expiration={"Date": datetime.datetime(2030, 1, 1, 12)})], "InvalidArgument"),
    ([rule()], "InvalidRequest"),
    ([{"ID": "r", "Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML"),
    ([rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True})], "MalformedXML"),
    ([rule(Transitions=[{"Days": 1, "StorageClass": "STANDARD_IA"}])], "InvalidArgument"),
    ([rule(Transitions=[{"Days": 1, "StorageClass": "FAST"}])], "MalformedXML"),
    ([rule(Transitions=[{"Days": 40, "StorageClass": "GLACIER"}], Expiration={"Days": 30})], "InvalidArgument"),
    ([rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})], "InvalidArgument"),
    ([rule(Filter={"Prefix": "a", "ObjectSizeLessThan": 1}, Expiration={"Days": 1})], "MalformedXML"),
])
def test_lifecycle_rules_that_cannot_be(s3, bucket, bad, expected):
    answer = refusal(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": bad})
    assert answer["Error"]["Code"] == expected


def test_when_it_will_expire(s3, bucket):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
        rule(Expiration={"Days": 1}), rule(ID="tagged", Filter={"Tag": {"Key": "a", "Value": "b"}}, Expiration={"Days": 9})]})
    said = s3.put_object(Bucket=bucket, Key="in/k", Body=b"")["Expiration"]
    assert re.fullmatch(r'expiry-date="\w{3}, \d\d \w{3} \d{4} 00:00:00 GMT", rule-id="rule"', said)
    assert s3.head_object(Bucket=bucket, Key="in/k")["Expiration"] == said
    assert s3.copy_object(Bucket=bucket, Key="in/copy", CopySource=f"{bucket}/in/k")["Expiration"] == said
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="out", Body=b"")
    assert 'rule-id="tagged"' in s3.put_object(Bucket=bucket, Key="out", Body=b"", Tagging="a=b")["Expiration"]
    begun = s3.create_multipart_upload(Bucket=bucket, Key="in/k")
    assert "AbortDate" not in begun
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
        rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2})]})
    begun = s3.create_multipart_upload(Bucket=bucket, Key="in/k")
    assert begun["AbortRuleId"] == "rule" and begun["AbortDate"] > NOW
    assert s3.list_parts(Bucket=bucket, Key="in/k", UploadId=begun["UploadId"])["AbortRuleId"] == "rule"
