"""What a bucket policy must be, in S3's words, and the condition keys that other tests of policies leave out."""
import json
import uuid

import pytest
from botocore.config import Config

from s3_help import allow, code, form, later, opened, plain, policy_fields, refusal, refused, signed_v2, statement


@pytest.fixture
def grant(s3, bucket, their_account):
    """grant("s3:GetObject", StringEquals={…}): lets the other account do that."""
    def put(action, **condition):
        allow(s3, bucket, statement(bucket, action, {"AWS": their_account}, **condition))
    return put


@pytest.mark.parametrize("change, message", [
    ("", "Policies must be valid JSON and the first byte must be '{'"),
    ("[]", "Policies must be valid JSON and the first byte must be '{'"),
    ('{"a":', "This policy contains invalid Json"),
    ({"Statement": None}, "Missing required field Statement"),
    ({"Statement": []}, "Could not parse the policy: Statement is empty!"),
    ({"Version": "2013-01-01"}, "The policy must contain a valid version string"),
    ({"Effect": None}, "Missing required field Effect"), ({"Effect": "allow"}, "Invalid effect: allow"),
    ({"Principal": None}, "Missing required field Principal"), ({"Principal": "bob"}, "Invalid principal in policy"),
    ({"Principal": {"AWS": "bob"}}, "Invalid principal in policy"),
    ({"Principal": {"AWS": "arn:aws:iam::111122223333:user/nobody"}}, "Invalid principal in policy"),
    ({"Principal": {"AWS": "arn:aws:iam::111122223333:role/nobody"}}, "Invalid principal in policy"),
    ({"Principal": {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}},
     "Invalid principal in policy"),
    ({"Action": None}, "Missing required field Action"), ({"Action": "s3:Nonsense"}, "Policy has invalid action"),
    ({"Action": "s3:Nonsense*"}, "Policy has invalid action"), ({"Action": "sqs:SendMessage"}, "Policy has invalid action"),
    ({"Resource": None}, "Missing required field Resource"), ({"Resource": "*"}, "Policy has invalid resource"),
    ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
    ({"Resource": "BUCKET"}, "Action does not apply to any resource(s) in statement"),
    ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
    ({"Action": ["s3:GetObject", "s3:ListBucket"]}, "Action does not apply to any resource(s) in statement"),
    ({"Condition": {"StringEquals": {"s3:nonsense": "a"}}}, "Policy has an invalid condition key"),
    ({"Condition": {"StringEquals": {"nonsense": "a"}}}, "Policy has an invalid condition key"),
    ({"Condition": {"StringEquals": {"s3:prefix": "a"}}},
     "Conditions do not apply to combination of actions and resources in statement"),
    ({"Condition": {"Nearly": {"s3:authType": "a"}}}, "Invalid Condition type : Nearly"),
])
def test_what_is_no_bucket_policy(s3, bucket, account, change, message):
    text = change
    if isinstance(change, dict):
        one = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "s3:GetObject",
               "Resource": f"arn:aws:s3:::{bucket}/*"}
        document = {"Version": "2012-10-17", "Statement": [one]}
        for name, value in change.items():
            within = document if name in document else one
            value = f"arn:aws:s3:::{bucket}" if value == "BUCKET" else value
            within.update({name: value}) if value is not None else within.pop(name)
        text = json.dumps(document)
    error = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text)["Error"]
    assert (error["Code"], error["Message"]) == ("MalformedPolicy", message)


def test_actions_that_the_reference_lacks(s3, bucket, account):
    for action in ("s3:GetObjectAnnotation", "s3:PutObjectAnnotation", "s3:*", "s3:Get*", "s3:GetObjectVersion*"):
        allow(s3, bucket, statement(bucket, action, {"AWS": account}, StringLike={"s3:ResourceAccount": account}))
    for action in ("s3:GetObjectNonsense", "s3:Got*"):
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement(bucket, action, {"AWS": account})]})
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("MalformedPolicy", 400)


def test_long_policies(s3, bucket, account):
    long = [statement(bucket, principal={"AWS": account}, resource=f"arn:aws:s3:::{bucket}/{n:0120d}/*") for n in range(100)]
    text = json.dumps({"Version": "2012-10-17", "Statement": long}, indent=8)
    error = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text)["Error"]
    assert (error["Code"], error["Message"]) == (
        "MalformedPolicy", "Normalized policy document exceeds the maximum allowed size of 20480 bytes")
    # White space does not count.
    spaced = json.dumps({"Version": "2012-10-17", "Statement": long[:50]}, indent=8) + " " * 20_000
    s3.put_bucket_policy(Bucket=bucket, Policy=spaced)


def test_blocked_public_access_says_so(s3, bucket, account):
    who, arn = f"arn:aws:iam::{account}:root", f"arn:aws:s3:::{bucket}"
    public = json.dumps({"Version": "2012-10-17", "Statement": [statement(bucket, ["s3:GetObject"], resource=f"{arn}/*")]})
    message = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=public)["Error"]["Message"]
    assert message == (f'User: {who} is not authorized to perform: s3:PutBucketPolicy on resource: "{arn}" because public '
                       "policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for call, action, key, more in [(s3.put_bucket_acl, "s3:PutBucketAcl", "", {}),
                                    (s3.put_object_acl, "s3:PutObjectAcl", "/k", {"Key": "k"}),
                                    (s3.put_object, "s3:PutObject", "/k", {"Key": "k", "Body": b""})]:
        message = refusal(call, Bucket=bucket, ACL="public-read", **more)["Error"]["Message"]
        assert message == (f'User: {who} is not authorized to perform: {action} on resource: "{arn}{key}" because public ACLs '
                           "are prevented by the BlockPublicAcls setting in S3 Block Public Access.")


@pytest.mark.parametrize("condition, public", [
    ({}, True), ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False), ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
    ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, False), ({"StringLike": {"aws:SourceArn": "arn:aws:sns:*"}}, True),
    ({"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}, False), ({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}, True),
    ({"StringEquals": {"aws:Referer": "x"}}, True),
])
def test_what_public_means(s3, bucket, condition, public):
    s3.delete_public_access_block(Bucket=bucket)
    allow(s3, bucket, statement(bucket, **condition))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is public


def test_policies_can_deny_what_others_own(cloud, s3, bucket, other, account, their_account):
    opened(s3, bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    other.put_object_acl(Bucket=bucket, Key="theirs", ACL="public-read")
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"x"
    allow(s3, bucket, statement(bucket, "s3:GetObject", effect="Deny", resource=f"arn:aws:s3:::{bucket}/*"))
    assert plain(cloud, "GET", f"/{bucket}/theirs")[0] == 403
    assert refused(other.get_object, Bucket=bucket, Key="theirs") == ("AccessDenied", 403)


def test_writers_by_acl_say_what_the_acl_is(s3, bucket, other):
    opened(s3, bucket)
    own = s3.list_buckets()["Owner"]["ID"]
    their = other.list_buckets()["Owner"]["ID"]
    s3.put_bucket_acl(Bucket=bucket, GrantFullControl=f"id={own}", GrantWrite=f"id={their}")
    other.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("actions, condition, call, good, bad", [
    (["s3:PutObject"], {"Bool": {"s3:ObjectCreationOperation": "false"}}, "create_multipart_upload", {}, None),
    (["s3:PutObject"], {"Bool": {"s3:ObjectCreationOperation": "true"}}, "put_object", {}, None),
    (["s3:PutObject"], {"Bool": {"s3:ObjectCreationOperation": "false"}}, "put_object", None, {}),
    (["s3:PutObject"], {"StringLike": {"s3:x-amz-grant-full-control": "id=*"}}, "put_object",
     {"GrantFullControl": "OWNER"}, {}),
    (["s3:PutObject"], {"StringEquals": {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}}, "put_object",
     {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, {}),
    (["s3:PutObject"], {"StringEquals": {"s3:if-none-match": "*"}}, "put_object", {"IfNoneMatch": "*"}, {}),
    (["s3:GetObject"], {"StringEquals": {"s3:ResourceAccount": "OWN"}}, "get_object", {}, None),
    (["s3:GetObject"], {"StringEquals": {"s3:ResourceAccount": "111122223333"}}, "get_object", None, {}),
    (["s3:DeleteObject", "s3:GetObject"], {"Null": {"s3:if-match": "false"}}, "delete_object",
     {"IfMatch": "\"5d41402abc4b2a76b9719d911017c592\""}, {}),
    (["s3:ListBucketVersions"], {"NumericLessThanEquals": {"s3:max-keys": "3"}}, "list_object_versions", {"MaxKeys": 3},
     {"MaxKeys": 4}),
    (["s3:ListBucketVersions"], {"StringLike": {"s3:prefix": "a*"}}, "list_object_versions", {"Prefix": "ab"}, {"Prefix": "b"}),
    (["s3:PutBucketAcl"], {"StringEquals": {"s3:x-amz-acl": "private"}}, "put_bucket_acl", {"ACL": "private"},
     {"ACL": "authenticated-read"}),
    (["s3:PutInventoryConfiguration"], {"ForAllValues:StringEquals": {"s3:InventoryAccessibleOptionalFields": ["Size", "ETag"]}},
     "put_bucket_inventory_configuration", {"fields": ["Size"]}, {"fields": ["Size", "StorageClass"]}),
])
def test_keys_of_requests(s3, bucket, other, account, unique, grant, actions, condition, call, good, bad):
    opened(s3, bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    text = json.dumps(condition).replace("OWN\"", f'{account}"')
    grant([*actions, *(["s3:PutObjectAcl"] if "grant" in text else [])], **json.loads(text))
    keyed = "object" in call and "versions" not in call or "upload" in call

    def ask(more):
        given = {k: f"id={s3.list_buckets()['Owner']['ID']}" if v == "OWNER" else v for k, v in more.items()}
        fields = given.pop("fields", None)
        if fields:
            given.update(Id="i", InventoryConfiguration={
                "Id": "i", "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
                "OptionalFields": fields,
                "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV"}}})
        if keyed:
            given["Key"] = unique("k") if "IfNoneMatch" in given else "k"
        return {"Bucket": bucket, **given}

    if bad is not None:
        assert refused(getattr(other, call), **ask(bad)) == ("AccessDenied", 403)
    if good is not None:
        getattr(other, call)(**ask(good))


def test_keys_of_new_locks(s3, unique, other, their_account):
    import datetime
    name = unique("b")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=name, Key="k", Body=b"")
    until = lambda days: datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    lock = lambda days, mode="GOVERNANCE": {"Mode": mode, "RetainUntilDate": until(days)}
    put = lambda retention: dict(Bucket=name, Key="k", Retention=retention)
    grant = lambda **condition: allow(s3, name, statement(name, "s3:PutObjectRetention", {"AWS": their_account}, **condition))
    grant(NumericLessThanEquals={"s3:object-lock-remaining-retention-days": "10"})
    assert refused(other.put_object_retention, **put(lock(20))) == ("AccessDenied", 403)
    other.put_object_retention(**put(lock(5)))
    grant(StringEquals={"s3:object-lock-mode": "GOVERNANCE"})
    assert refused(other.put_object_retention, **put(lock(20, "COMPLIANCE"))) == ("AccessDenied", 403)
    other.put_object_retention(**put(lock(6)))
    allow(s3, name, statement(name, "s3:PutObjectLegalHold", {"AWS": their_account},
                              StringEquals={"s3:object-lock-legal-hold": "OFF"}))
    assert refused(other.put_object_legal_hold, Bucket=name, Key="k", LegalHold={"Status": "ON"}) == ("AccessDenied", 403)
    other.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "OFF"})


def test_keys_of_new_buckets(cloud, unique):
    iam, name = cloud.client("iam"), unique("user")
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = cloud.client("s3", key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    bucket = uuid.uuid4().hex

    def may(condition, **more):
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:CreateBucket", "s3:PutBucketOwnershipControls", "s3:TagResource"],
             "Resource": "*", "Condition": condition}]}))
        try:
            theirs.create_bucket(Bucket=bucket, **more)
        except theirs.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
            return False
        cloud.client("s3").delete_bucket(Bucket=bucket)
        return True

    here = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    assert may({"StringEquals": {"s3:LocationConstraint": "eu-west-1"}}, **here)
    assert not may({"StringEquals": {"s3:LocationConstraint": "us-west-2"}}, **here)
    assert may({"StringEquals": {"s3:x-amz-object-ownership": "ObjectWriter"}}, ObjectOwnership="ObjectWriter")
    assert not may({"StringEquals": {"s3:x-amz-object-ownership": "ObjectWriter"}}, ObjectOwnership="BucketOwnerPreferred")
    tagged = {"CreateBucketConfiguration": {"Tags": [{"Key": "team", "Value": "blue"}]}}
    assert may({"StringEquals": {"aws:RequestTag/team": "blue"}}, **tagged)
    assert not may({"StringEquals": {"aws:RequestTag/team": "red"}}, **tagged)


def test_keys_of_connections_and_signatures(cloud, s3, bucket, their_account):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    secure = cloud.session(their_account).client(
        "s3", endpoint_url=cloud.endpoint.replace("http:", "https:"), verify=False, config=Config(retries={"max_attempts": 0}))
    other = cloud.client("s3", account=their_account)
    grant = lambda **condition: allow(s3, bucket, statement(bucket, "s3:GetObject", {"AWS": their_account},
                                                            resource=f"arn:aws:s3:::{bucket}/*", **condition))
    grant(NumericGreaterThanEquals={"s3:TlsVersion": "1.2"})
    assert secure.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    grant(NumericLessThan={"s3:TlsVersion": "1.2"})
    assert refused(secure.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    grant(StringEquals={"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    grant(StringEquals={"s3:signatureversion": "AWS"})
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert signed_v2(cloud, "GET", f"/{bucket}/k", key=their_account)[0] == 200


def test_forms_have_a_type_of_their_own(cloud, s3, bucket, their_account):
    policy = {"expiration": later(), "conditions": [{"bucket": bucket}, {"key": "k"}]}
    post = lambda: plain(cloud, "POST", f"/{bucket}", *form(policy_fields(policy, {"key": "k"}, key=their_account)))
    grant = lambda kind: allow(s3, bucket, statement(bucket, "s3:PutObject", {"AWS": their_account},
                                                     resource=f"arn:aws:s3:::{bucket}/*", StringEquals={"s3:authType": kind}))
    grant("REST-HEADER")
    assert code(post()) == ("AccessDenied", 403)
    grant("POST")
    assert post()[0] == 204
    assert refused(cloud.client("s3", account=their_account).put_object, Bucket=bucket, Key="k", Body=b"") == (
        "AccessDenied", 403)


def test_old_signatures_in_new_regions(cloud, account, unique):
    name = unique("b")
    cloud.client("s3", account=account, region="eu-central-1").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    answer = signed_v2(cloud, "GET", f"/{name}", key=account)
    assert code(answer) == ("InvalidRequest", 400)
    assert b"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256." in answer[2]
