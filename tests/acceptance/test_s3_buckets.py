"""Buckets: names, places, owners, settings."""
import re

import pytest

from s3_help import code, plain, refusal, refused, signed


@pytest.mark.parametrize("name", ["aa", "a" * 64, "Upper-case", "under_score", "192.168.5.123", "a..b", "-ab", "ab-", "a b",
                                  "xn--ab", "ab-s3alias", "ab--x-s3"])
def test_bad_names(cloud, name):
    from s3_help import quote
    assert code(signed(cloud, "PUT", f"/{quote(name)}")) == ("InvalidBucketName", 400)


def test_names_that_are_good(s3, unique):
    for name in (unique("0a") + ".dot", unique("x") * 3, "1" + unique("2")):
        s3.create_bucket(Bucket=name[:63].rstrip("-."))


def test_creating_it_again(cloud, s3, bucket, unique):
    # The first region forgives its owner, as it always has.
    again = s3.create_bucket(Bucket=bucket)
    assert again["Location"] == f"/{bucket}" and again["BucketArn"] == f"arn:aws:s3:::{bucket}"
    other = cloud.client("s3", account="210987654321")
    answer = refusal(other.create_bucket, Bucket=bucket)
    assert answer["Error"]["Code"] == "BucketAlreadyExists" and answer["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert answer["Error"]["BucketName"] == bucket


def test_creating_it_again_resets_its_acl(s3, unique):
    name = unique("b")
    s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_acl(Bucket=name, ACL="public-read")
    assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 2
    s3.create_bucket(Bucket=name)
    assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 1


def test_places(cloud, account, s3, unique):
    name = unique("b")
    made = s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert made["Location"] == f"http://{name}.s3.amazonaws.com/"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    there = cloud.client("s3", account=account, region="eu-central-1")
    head = there.head_bucket(Bucket=name)
    assert (head["BucketRegion"], head["AccessPointAlias"]) == ("eu-central-1", False)
    for constraint in ("us-east-1", "moon-1", "eu-west-11"):
        answer = refusal(s3.create_bucket, Bucket=unique("b"), CreateBucketConfiguration={"LocationConstraint": constraint})
        assert answer["Error"]["Code"] == "InvalidLocationConstraint"
        assert answer["Error"]["LocationConstraint"] == constraint
    answer = refusal(there.create_bucket, Bucket=unique("b"))
    assert answer["Error"]["Message"] == (
        "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")


def test_documents_that_say_nothing(cloud, s3, bucket, unique):
    for body in (b"<CreateBucketConfiguration/>", b"<Other/>"):
        assert code(signed(cloud, "PUT", f"/{unique('b')}", {}, body)) == ("MalformedXML", 400)
    redirect = {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {}}]}
    assert refused(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration=redirect) == ("MalformedXML", 400)


def test_the_old_name_of_ireland(cloud, account, s3, unique):
    name = unique("b")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "EU"})
    there = cloud.client("s3", account=account, region="eu-west-1")
    assert there.head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"
    assert there.get_bucket_location(Bucket=name)["LocationConstraint"] == "EU"
    # It is the same place, as whoever makes it again is told.
    assert refused(there.create_bucket, Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}) == (
        "BucketAlreadyOwnedByYou", 409)
    assert there.get_bucket_location(Bucket=name)["LocationConstraint"] == "EU"


def test_an_account_has_names_of_its_own(cloud, account, s3, unique):
    name = f"{unique('b')[:20]}-{account}-us-east-1-an"
    made = s3.create_bucket(Bucket=name, BucketNamespace="account-regional")
    assert made["Location"] == f"/{name}" and [b["Name"] for b in s3.list_buckets(Prefix=name)["Buckets"]] == [name]
    for wrong in (unique("b"), f"b-{account}-eu-west-1-an", "b-000000000001-us-east-1-an", f"-{account}-us-east-1-an"):
        assert refused(s3.create_bucket, Bucket=wrong, BucketNamespace="account-regional") == ("InvalidBucketName", 400)
    for wrong in (f"c-{account}-us-east-1-an", "anything-an"):
        assert refused(s3.create_bucket, Bucket=wrong) == ("InvalidBucketName", 400)


def test_listing_buckets(s3, unique):
    names = sorted(unique(p) for p in ("aa", "ab", "b", "c"))
    for name in names:
        s3.create_bucket(Bucket=name)
    whole = s3.list_buckets()
    assert [b["Name"] for b in whole["Buckets"]] == names
    assert len(whole["Owner"]["ID"]) == 64 and "DisplayName" not in whole["Owner"]
    assert "BucketRegion" not in whole["Buckets"][0] and "ContinuationToken" not in whole
    first = s3.list_buckets(MaxBuckets=3)
    assert [b["Name"] for b in first["Buckets"]] == names[:3] and first["Buckets"][0]["BucketRegion"] == "us-east-1"
    rest = s3.list_buckets(MaxBuckets=3, ContinuationToken=first["ContinuationToken"])
    assert [b["Name"] for b in rest["Buckets"]] == names[3:] and "ContinuationToken" not in rest
    assert [b["Name"] for b in s3.list_buckets(Prefix="a")["Buckets"]] == names[:2]
    assert s3.list_buckets(BucketRegion="eu-west-1")["Buckets"] == []
    assert refused(s3.list_buckets, MaxBuckets=10001) == ("InvalidArgument", 400)
    answer = refusal(s3.list_buckets, BucketRegion="moon-1")["Error"]
    assert (answer["Code"], answer["Message"]) == ("InvalidArgument", "Argument value moon-1 is not a valid AWS Region")


def test_what_is_not_there(s3, unique):
    name = unique("none")
    for call in ("list_objects", "list_objects_v2", "delete_bucket", "get_bucket_acl", "get_bucket_location",
                 "list_object_versions", "list_multipart_uploads"):
        answer = refusal(getattr(s3, call), Bucket=name)
        assert answer["Error"]["Code"] == "NoSuchBucket" and answer["Error"]["BucketName"] == name
    assert refused(s3.put_object, Bucket=name, Key="k", Body=b"") == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket=name) == ("404", 404)


def test_full_buckets_stay(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    answer = refusal(s3.delete_bucket, Bucket=bucket)
    assert (answer["Error"]["Code"], answer["Error"]["BucketName"]) == ("BucketNotEmpty", bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.delete_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.delete_bucket, Bucket=bucket) == ("NoSuchBucket", 404)


def test_expected_owners(s3, bucket, account):
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    assert refused(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="000000000001") == ("AccessDenied", 403)
    answer = refusal(s3.get_bucket_acl, Bucket=bucket, ExpectedBucketOwner="abc")
    assert answer["Error"]["Code"] == "InvalidBucketOwnerAWSAccountID"


def test_tags_of_buckets(s3, bucket):
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)
    tags = [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    put = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    for bad, why in [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "Cannot provide multiple Tags with the same key"),
        ([{"Key": "aws:x", "Value": "1"}], "System tags cannot be added/updated by requester"),
        ([{"Key": "k" * 129, "Value": "1"}], "The TagKey you have provided is invalid"),
        ([{"Key": "k", "Value": "v" * 257}], "The TagValue you have provided is invalid"),
    ]:
        answer = refusal(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": bad})
        assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("InvalidTag", why)
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_ownership_controls(s3, unique):
    name = unique("b")
    s3.create_bucket(Bucket=name)
    of = lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert of() == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    assert of() == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    s3.delete_bucket_ownership_controls(Bucket=name)
    assert refused(s3.get_bucket_ownership_controls, Bucket=name) == ("OwnershipControlsNotFoundError", 404)
    assert refused(s3.put_bucket_ownership_controls, Bucket=name,
                   OwnershipControls={"Rules": [{"ObjectOwnership": "Mine"}]}) == ("MalformedXML", 400)


def test_public_access_is_blocked_from_the_start(cloud, account, s3, bucket):
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block) == {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
    assert all(block.values())
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False,
                     "RestrictPublicBuckets": False}
    # As the reference writes it.
    body = b"<PublicAccessBlockConfiguration><BlockPublicAcls>TRUE</BlockPublicAcls><IgnorePublicAcls>False</IgnorePublicAcls>" \
           b"<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    assert signed(cloud, "PUT", f"/{bucket}?publicAccessBlock", body=body, key=account)[0] == 200
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False,
                     "RestrictPublicBuckets": True}
    answer = refusal(s3.put_public_access_block, Bucket=bucket, PublicAccessBlockConfiguration={})["Error"]
    assert (answer["Code"], answer["Message"]) == ("InvalidRequest", "Must specify at least one configuration.")
    assert s3.delete_public_access_block(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_public_access_block, Bucket=bucket) == ("NoSuchPublicAccessBlockConfiguration", 404)


def test_small_settings(s3, bucket, unique):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    assert refused(s3.put_bucket_request_payment, Bucket=bucket,
                   RequestPaymentConfiguration={"Payer": "Nobody"}) == ("MalformedXML", 400)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    assert refused(s3.put_bucket_accelerate_configuration, Bucket=bucket,
                   AccelerateConfiguration={"Status": "Fast"}) == ("MalformedXML", 400)
    dotted = unique("a.b")
    s3.create_bucket(Bucket=dotted)
    assert refused(s3.put_bucket_accelerate_configuration, Bucket=dotted,
                   AccelerateConfiguration={"Status": "Enabled"}) == ("InvalidRequest", 400)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"} and rule["BucketKeyEnabled"] is False


def test_requesters_pay(cloud, s3, bucket, account):
    other = cloud.client("s3", account="310987654321")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    from s3_help import allow, statement
    allow(s3, bucket, statement(bucket, principal={"AWS": "310987654321"}))
    assert "RequestCharged" not in other.get_object(Bucket=bucket, Key="k")
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert other.get_object(Bucket=bucket, Key="k", RequestPayer="requester")["RequestCharged"] == "requester"
    assert "RequestCharged" not in s3.get_object(Bucket=bucket, Key="k")


def test_times_have_milliseconds(cloud, account, bucket, s3):
    s3.put_object(Bucket=bucket, Key="2009-10-12T17:50:30Z", Body=b"")
    for path, names in [("/?x-id=ListBuckets", ["CreationDate"]), (f"/{bucket}?list-type=2", ["LastModified"]),
                        (f"/{bucket}?versions", ["LastModified"])]:
        status, headers, body = signed(cloud, "GET", path, key=account)
        assert status == 200 and headers["content-type"] == "application/xml"
        for name in names:
            assert re.search(rf"<{name}>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z</{name}>".encode(), body)
        if "list" in path:
            assert b"<Key>2009-10-12T17:50:30Z</Key>" in body


def test_strangers_are_told_where_it_is(cloud, bucket):
    other = cloud.client("s3", account="510987654321")
    answer = refusal(other.head_bucket, Bucket=bucket)["ResponseMetadata"]
    assert (answer["HTTPStatusCode"], answer["HTTPHeaders"]["x-amz-bucket-region"]) == (403, "us-east-1")


def test_anonymous_callers_are_told_nothing(cloud, bucket):
    answer = plain(cloud, "GET", f"/{bucket}")
    assert code(answer) == ("AccessDenied", 403)
    request = answer[1]["x-amz-request-id"]
    assert f"<RequestId>{request}</RequestId>".encode() in answer[2] and b"<HostId>" in answer[2]
