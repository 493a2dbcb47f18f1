"""What S3 says of configurations that cannot be, and of heads that sign nothing: word for word."""
import datetime
import json
import re

import pytest

from s3_help import code, form, later, plain, policy_fields, refusal, refused, relative, signed


DAY = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
RULE = {"Status": "Enabled", "Filter": {"Prefix": "p/"}}
MOVE = lambda days, kind="GLACIER": {"Days": days, "StorageClass": kind}
XML = "The XML you provided was not well-formed or did not validate against our published schema"


@pytest.mark.parametrize("rules, code, message", [
    ([{**RULE, "Expiration": {"Days": 0}}], "InvalidArgument", "'Days' for Expiration action must be a positive integer"),
    ([{**RULE, "Expiration": {"Date": DAY + datetime.timedelta(hours=1)}}], "InvalidArgument", "'Date' must be at midnight GMT"),
    ([{**RULE, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}], "MalformedXML", XML),
    ([{**RULE, "Expiration": {}}], "MalformedXML", XML), ([{**RULE, "Status": "enabled", "Expiration": {"Days": 1}}], "MalformedXML", XML),
    ([{"Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML", XML),
    ([{**RULE, "Prefix": "", "Expiration": {"Days": 1}}], "MalformedXML", XML),
    ([RULE], "InvalidRequest", "At least one action needs to be specified in a rule"),
    ([{**RULE, "ID": "x" * 256, "Expiration": {"Days": 1}}], "InvalidArgument", "ID length should not exceed allowed limit of 255"),
    ([{**RULE, "ID": "a", "Expiration": {"Days": 1}}] * 2, "InvalidArgument",
     "Rule ID must be unique. Found same ID for more than one rule"),
    ([{**RULE, "Expiration": {"Days": 1}}, {"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}], "InvalidRequest",
     "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."),
    ([{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}, {**RULE, "Expiration": {"Days": 1}}], "InvalidRequest",
     "Filter element can only be used in Lifecycle V2."),
    ([{"Status": "Enabled", "Prefix": p, "Expiration": {"Days": 1}} for p in ("", "a")], "InvalidRequest",
     "Found overlapping prefixes '' and 'a' for same action type 'Expiration'"),
    ([{"Status": "Enabled", "Prefix": "", "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}}],
     "InvalidRequest", "NewerNoncurrentVersions element can only be used in Lifecycle V2."),
    ([{**RULE, "NoncurrentVersionExpiration": {}}], "MalformedXML", XML),
    ([{**RULE, "NoncurrentVersionExpiration": {"NoncurrentDays": 0}}], "InvalidArgument",
     "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"),
    ([{**RULE, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 0}}], "InvalidArgument",
     "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer"),
    ([{**RULE, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}], "InvalidArgument",
     "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"),
    ([{"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}],
     "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags."),
    ([{"Status": "Enabled", "Filter": {"ObjectSizeGreaterThan": 1}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}],
     "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Object Size."),
    ([{"Status": "Enabled", "Filter": {"ObjectSizeGreaterThan": 1}, "Expiration": {"ExpiredObjectDeleteMarker": True}}],
     "InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Object Size."),
    ([{"Status": "Enabled", "Filter": {"ObjectSizeLessThan": 0}, "Expiration": {"Days": 1}}], "InvalidRequest",
     "'ObjectSizeLessThan' should be between 1 and 1099511627776000."),
    ([{"Status": "Enabled", "Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}}, "Expiration": {"Days": 1}}],
     "InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."),
    ([{"Status": "Enabled", "Filter": {"Prefix": "a", "ObjectSizeGreaterThan": 5}, "Expiration": {"Days": 1}}], "MalformedXML", XML),
    ([{"Status": "Enabled", "Filter": {"And": {"Prefix": "a"}}, "Expiration": {"Days": 1}}], "MalformedXML", XML),
    ([{"Status": "Enabled", "Filter": {"And": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}}, "Expiration": {"Days": 1}}],
     "InvalidRequest", "Duplicate Tag Keys are not allowed."),
    ([{**RULE, "Transitions": [MOVE(29, "STANDARD_IA")]}], "InvalidArgument",
     "'Days' in Transition action must be greater than or equal to 30 for storageClass 'STANDARD_IA'"),
    ([{**RULE, "Transitions": [MOVE(90), MOVE(180)]}], "InvalidRequest",
     "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '(prefix=p/)'"),
    ([{**RULE, "Transitions": [MOVE(90), {"Date": DAY, "StorageClass": "DEEP_ARCHIVE"}]}], "InvalidRequest",
     "Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for filter '(prefix=p/)'"),
    ([{**RULE, "Expiration": {"Days": 180}, "Transitions": [{"Date": DAY, "StorageClass": "GLACIER"}]}], "InvalidRequest",
     "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter '(prefix=p/)'"),
    ([{**RULE, "Expiration": {"Days": 90}, "Transitions": [MOVE(90)]}], "InvalidArgument",
     "'Days' in the Expiration action for filter '(prefix=p/)' must be greater than 'Days' in the Transition action"),
    ([{**RULE, "Transitions": [MOVE(60), MOVE(60, "STANDARD_IA")]}], "InvalidArgument",
     "'Days' in the 'Transition' action for StorageClass 'GLACIER' for filter '(prefix=p/)' must be greater than 'Days' in the "
     "'Transition' action for StorageClass 'STANDARD_IA' for filter '(prefix=p/)'"),
    ([{**RULE, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}], "InvalidArgument",
     "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be less than or equal to 100"),
    ([], "MalformedXML", XML),
])
def test_lifecycle_rules_that_cannot_be(s3, bucket, rules, code, message):
    error = refusal(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": rules})["Error"]
    assert (error["Code"], error["Message"]) == (code, message)


@pytest.mark.parametrize("change, code, message", [
    ({"AllowedMethods": ["get"]}, "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is get"),
    ({"AllowedMethods": []}, "MalformedXML", XML), ({"AllowedOrigins": []}, "MalformedXML", XML),
    ({"AllowedOrigins": ["http://*.*.org"]}, "InvalidRequest", 'AllowedOrigin "http://*.*.org" can not have more than one wildcard.'),
    ({"AllowedHeaders": ["x-*-*"]}, "InvalidRequest", 'AllowedHeader "x-*-*" can not have more than one wildcard.'),
    ({"AllowedHeaders": ["x y"]}, "InvalidRequest", 'AllowedHeader "x y" contains invalid character.'),
    ({"ExposeHeaders": ["é"]}, "InvalidRequest", 'ExposeHeader "é" contains invalid character.'),
    ({"ExposeHeaders": ["x-*"]}, "InvalidRequest",
     'ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for ExposeHeader.'),
    ({"ID": "x" * 256}, "InvalidArgument", "ID length should not exceed allowed limit of 255"),
])
def test_cors_rules_that_cannot_be(s3, bucket, change, code, message):
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], **change}
    error = refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})["Error"]
    assert (error["Code"], error["Message"]) == (code, message)


def test_lifecycle_rules_come_back_with_ids(s3, bucket):
    put = s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
        {**RULE, "Expiration": {"Days": 3}}, {"ID": "second rule", "Status": "Enabled", "Filter": {"Prefix": "p/"}, "Expiration": {"Days": 3}}]})
    assert put["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    first, second = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert re.fullmatch(r"[A-Za-z0-9+/]{48}", first["ID"]) and first["Filter"] == {"Prefix": "p/"}
    assert f'rule-id="{first["ID"]}"' in s3.put_object(Bucket=bucket, Key="p/k", Body=b"")["Expiration"]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [second]})
    assert 'rule-id="second rule"' in s3.head_object(Bucket=bucket, Key="p/k")["Expiration"]
    assert refusal(s3.put_bucket_lifecycle_configuration, Bucket=bucket, TransitionDefaultMinimumObjectSize="small",
                   LifecycleConfiguration={"Rules": [second]})["Error"]["Code"] == "InvalidRequest"


@pytest.mark.parametrize("region, constraint, code", [
    ("eu-west-1", None, "IllegalLocationConstraintException"), ("eu-west-1", "us-east-1", "IllegalLocationConstraintException"),
    ("eu-west-1", "us-west-2", "IllegalLocationConstraintException"), ("eu-west-1", "moon-1", "IllegalLocationConstraintException"),
    ("us-east-1", "us-east-1", "InvalidLocationConstraint"), ("us-east-1", "moon-1", "InvalidLocationConstraint"),
])
def test_places_that_cannot_be(cloud, account, unique, region, constraint, code):
    s3 = cloud.client("s3", account=account, region=region)
    more = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    error = refusal(s3.create_bucket, Bucket=unique("b"), **more)["Error"]
    assert error["Code"] == code
    if code.startswith("Illegal"):
        assert error["Message"] == (f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific "
                                    "endpoint this request was sent to.")


@pytest.mark.parametrize("query, message", [
    ("max-buckets=0", "Argument max-buckets must be an integer between 1 and 10000"),
    ("max-buckets=10001", "Argument max-buckets must be an integer between 1 and 10000"),
    ("max-buckets=x", "Provided max-buckets not an integer or within integer range"),
    ("continuation-token=zz", "The continuation token provided is incorrect"),
])
def test_pages_of_buckets_that_cannot_be(cloud, query, message):
    answer = signed(cloud, "GET", f"/?{query}")
    assert code(answer) == ("InvalidArgument", 400) and f"<Message>{message}</Message>".encode() in answer[2]


@pytest.mark.parametrize("kind", ["inventory", "analytics", "metrics", "intelligent-tiering"])
def test_configurations_without_an_id(cloud, bucket, account, kind):
    answer = signed(cloud, "DELETE", f"/{bucket}?{kind}", key=account)
    assert code(answer) == ("InvalidConfigurationId", 400)
    assert b"<Message>The specified configuration id is invalid.</Message>" in answer[2]


def test_another_owner_is_expected(s3, bucket):
    for call, more in [("get_bucket_acl", {}), ("list_objects_v2", {}), ("get_bucket_versioning", {}), ("get_bucket_policy", {}),
                       ("get_bucket_tagging", {}), ("get_bucket_cors", {}), ("get_bucket_website", {}), ("get_bucket_logging", {}),
                       ("get_bucket_lifecycle_configuration", {}), ("get_bucket_encryption", {}), ("get_bucket_notification_configuration", {}),
                       ("get_bucket_replication", {}), ("get_bucket_request_payment", {}), ("get_bucket_accelerate_configuration", {}),
                       ("get_object_lock_configuration", {}), ("get_public_access_block", {}), ("get_bucket_ownership_controls", {}),
                       ("get_bucket_policy_status", {}), ("get_bucket_location", {}), ("head_bucket", {}), ("delete_bucket", {}),
                       ("list_object_versions", {}), ("list_multipart_uploads", {}), ("list_bucket_inventory_configurations", {}),
                       ("put_object", {"Key": "k", "Body": b""}), ("delete_object", {"Key": "k"}), ("get_object", {"Key": "k"})]:
        code_, status = refused(getattr(s3, call), Bucket=bucket, ExpectedBucketOwner="111122223333", **more)
        assert status == 403 and code_ in ("AccessDenied", "403"), call
        error = refusal(getattr(s3, call), Bucket=bucket, ExpectedBucketOwner="abc", **more)["Error"]
        assert error["Code"] in ("InvalidBucketOwnerAWSAccountID", "400"), call
        if error["Code"] != "400":
            assert error["Message"] == "The value of the expected bucket owner parameter must be an AWS Account ID... [abc]"


@pytest.mark.parametrize("change, name, message", [
    ({"Events": ["s3:Nonsense"]}, "Event", "A specified event is not supported for notifications."),
    ({"Filter": {"Key": {"FilterRules": [{"Name": "middle", "Value": "x"}]}}}, "FilterRule.Name",
     "filter rule name must be either prefix or suffix"),
    ({"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": ""}]}}}, "FilterRule.Value", "filter value cannot be empty"),
    ({"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "x"}] * 2}}}, "FilterRule.Name",
     "Cannot specify more than one prefix rule in a filter."),
    ({"LambdaFunctionArn": "arn:aws:lambda:us-west-2:000000000000:function:f"}, "region",
     "The notification destination service region is not valid for the bucket location constraint"),
    ({"LambdaFunctionArn": "f"}, "LambdaFunctionArn", "The ARN could not be parsed"),
])
def test_notifications_that_cannot_be(s3, bucket, change, name, message):
    one = {"LambdaFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f", "Events": ["s3:ObjectCreated:*"], **change}
    error = refusal(s3.put_bucket_notification_configuration, Bucket=bucket,
                    NotificationConfiguration={"LambdaFunctionConfigurations": [one]})["Error"]
    assert (error["Code"], error["Message"], error["ArgumentName"]) == ("InvalidArgument", message, name)


def test_default_encryption_that_cannot_be(s3, bucket):
    put = lambda *rules: refusal(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [*rules]})["Error"]
    by = lambda **more: {"ApplyServerSideEncryptionByDefault": more}
    assert put()["Code"] == put({})["Code"] == put(by(SSEAlgorithm="ROT13"))["Code"] == "MalformedXML"
    error = put(by(SSEAlgorithm="AES256", KMSMasterKeyID="k"))
    assert (error["Code"], error["Message"], error["ArgumentName"]) == (
        "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        "ApplyServerSideEncryptionByDefault")


def test_event_bridge_can_be_turned_on(s3, bucket):
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_preflights_name_what_they_are_about(cloud, bucket):
    ask = {"Origin": "http://a.org", "Access-Control-Request-Method": "PUT"}
    for path, what in (("", b"BUCKET"), ("/k", b"OBJECT")):
        answer = plain(cloud, "OPTIONS", f"/{bucket}{path}", ask)
        assert code(answer) == ("AccessForbidden", 403)
        assert b"<Method>PUT</Method><ResourceType>" + what + b"</ResourceType>" in answer[2]


def test_many_cors_rules(s3, bucket):
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule] * 100})
    error = refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": [rule] * 101})["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidRequest", "The number of CORS rules should not exceed allowed limit of 100 rules.")


PARSING = "Error parsing the X-Amz-Credential parameter; "


@pytest.mark.parametrize("change, code_, message", [
    (("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS5"), "AuthorizationQueryParametersError",
     'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"'),
    (("X-Amz-Expires=100&", ""), "AuthorizationQueryParametersError",
     "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
     "X-Amz-SignedHeaders, and X-Amz-Expires parameters."),
    (("aws4_request", "aws4"), "AuthorizationQueryParametersError",
     PARSING + 'incorrect terminal "aws4". This endpoint uses "aws4_request".'),
    ((r"%2F\d{8}%2F", "%2F2020%2F"), "AuthorizationQueryParametersError",
     PARSING + 'incorrect date format "2020". This date in the credential must be in the format "yyyyMMdd".'),
    ((r"X-Amz-Credential=[^&]*", "X-Amz-Credential=x"), "AuthorizationQueryParametersError",
     PARSING + 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'),
    ((r"X-Amz-Date=[^&]*", "X-Amz-Date=2020"), "AuthorizationQueryParametersError",
     "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""),
    ((r"X-Amz-Credential=[^%]*", "X-Amz-Credential=nobody"), "InvalidAccessKeyId",
     "The AWS Access Key Id you provided does not exist in our records."),
])
def test_presigned_urls_that_are_none(cloud, account, bucket, change, code_, message):
    import html
    client = cloud.client("s3", account=account, signature_version="s3v4")
    url = relative(cloud, client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=100))
    answer = plain(cloud, "GET", re.sub(*change, url))
    assert code(answer)[0] == code_ and message in html.unescape(answer[2].decode()), answer


def test_presigned_urls_that_are_over(cloud, account, bucket):
    client = cloud.client("s3", account=account, signature_version="s3v4")
    url = relative(cloud, client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=100))
    old = re.sub(r"%2F\d{8}%2F", "%2F20200101%2F", re.sub(r"X-Amz-Date=[^&]*", "X-Amz-Date=20200101T000000Z", url))
    answer = plain(cloud, "GET", old)
    assert code(answer) == ("AccessDenied", 403)
    for part in ("<Message>Request has expired</Message>", "<X-Amz-Expires>100</X-Amz-Expires>", "<Expires>2020-01-01T00:01:40Z</Expires>",
                 "<ServerTime>"):
        assert part.encode() in answer[2]


@pytest.mark.parametrize("header, message", [
    ("AWS4-HMAC-SHA256", "the authorization header requires three components: Credential, SignedHeaders, and Signature."),
    ("AWS4-HMAC-SHA256 x", 'the authorization component "x" is malformed.'),
    ("AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=0",
     'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'),
    ("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4, SignedHeaders=host, Signature=0",
     'incorrect terminal "aws4". This endpoint uses "aws4_request".'),
    ("AWS4-HMAC-SHA256 Credential=test/2026/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
     'incorrect date format "2026". This date in the credential must be in the format "yyyyMMdd".'),
])
def test_authorizations_that_are_none(cloud, bucket, header, message):
    import html
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    answer = plain(cloud, "GET", f"/{bucket}/k", {"Authorization": header, "x-amz-date": now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    assert code(answer) == ("AuthorizationHeaderMalformed", 400)
    assert f"The authorization header is malformed; {message}" in html.unescape(answer[2].decode())


FIELDS = {"key": "k", "Content-Type": "text/plain"}


def conditions(bucket, *more):
    return {"expiration": later(), "conditions": [{"bucket": bucket}, {"key": "k"}, {"Content-Type": "text/plain"}, *more]}


@pytest.mark.parametrize("document, fields, message", [
    (lambda b: conditions(b), {"x-amz-meta-a": "b"}, "Invalid according to Policy: Extra input fields: x-amz-meta-a"),
    (lambda b: conditions(b, ["eq", "$acl", "private"]), {"acl": "public-read"},
     'Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]'),
    (lambda b: conditions(b, ["starts-with", "$acl", "pub"]), {"acl": "private"},
     'Invalid according to Policy: Policy Condition failed: ["starts-with", "$acl", "pub"]'),
    (lambda b: {**conditions(b), "expiration": "2020-01-01T00:00:00Z"}, {}, "Invalid according to Policy: Policy expired."),
    (lambda b: {**conditions(b), "expiration": "soon"}, {}, "Invalid Policy: Invalid 'expiration' value: 'soon'"),
    (lambda b: {"conditions": []}, {}, "Invalid Policy: Policy missing expiration."),
    (lambda b: {"expiration": later()}, {}, "Invalid Policy: Policy missing conditions."),
    (lambda b: "nonsense", {}, "Invalid Policy: Invalid JSON."),
    (lambda b: conditions(b, {}), {},
     "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
    (lambda b: conditions(b, {"acl": "private", "x": "y"}), {},
     "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
    (lambda b: conditions(b, {"acl": 1}), {}, "Invalid Policy: Invalid Simple-Condition: value must be a string."),
])
def test_forms_are_refused_in_words(cloud, bucket, account, document, fields, message):
    import html
    answer = plain(cloud, "POST", f"/{bucket}", *form(policy_fields(document(bucket), {**FIELDS, **fields}, key=account)))
    assert f"<Message>{message}</Message>" in html.unescape(answer[2].decode())


def test_every_kind_of_form_field(cloud, s3, bucket, account):
    import base64
    import hashlib
    data = b"hello"
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    fields = {**FIELDS, "x-amz-storage-class": "STANDARD_IA", "Cache-Control": "no-cache", "Content-Disposition": "inline",
              "Content-Encoding": "x", "Content-Language": "de", "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
              "x-amz-website-redirect-location": "/x", "x-amz-checksum-sha256": digest, "x-amz-checksum-algorithm": "SHA256",
              "x-amz-meta-a": "b", "success_action_status": "200"}
    open_ = [["starts-with", f"${name}", ""] for name in fields if name not in FIELDS]
    post = lambda **more: plain(cloud, "POST", f"/{bucket}", *form(
        policy_fields(conditions(bucket, *open_), {**fields, **more}, key=account), data))
    status, headers, body = post()
    assert (status, body, headers["x-amz-checksum-sha256"]) == (200, b"", digest)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["StorageClass"], head["CacheControl"], head["ContentDisposition"], head["ContentEncoding"], head["ContentLanguage"],
            head["WebsiteRedirectLocation"], head["ChecksumSHA256"], head["Metadata"]) == (
        "STANDARD_IA", "no-cache", "inline", "x", "de", "/x", digest, {"a": "b"})
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    assert code(post(**{"x-amz-checksum-sha256": wrong}))[1] == 400
    assert code(post(**{"x-amz-storage-class": "WARM"})) == ("InvalidStorageClass", 400)
    # Neither a status nor an address that is none: nothing is asked for.
    assert post(success_action_status="404")[0] == 204


def test_presigned_posts_of_boto3(cloud, s3, bucket, account):
    client = cloud.client("s3", account=account, signature_version="s3v4")
    made = client.generate_presigned_post(bucket, "in/${filename}", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60)
    path = relative(cloud, made["url"]).rstrip("/") or f"/{bucket}"
    status, headers, _ = plain(cloud, "POST", path, *form(made["fields"], b"hello", name="a b.txt"))
    assert (status, headers["location"].endswith("/in%2Fa%20b.txt")) == (204, True)
    assert s3.get_object(Bucket=bucket, Key="in/a b.txt")["Body"].read() == b"hello"
    answer = plain(cloud, "POST", path, *form(made["fields"], b"x" * 11))
    assert code(answer) == ("EntityTooLarge", 400)
    for name, value in (("ProposedSize", "11"), ("MaxSizeAllowed", "10")):
        assert f"<{name}>{value}</{name}>".encode() in answer[2]
    for missing in ("x-amz-credential", "x-amz-signature", "x-amz-algorithm", "x-amz-date"):
        left = {k: v for k, v in made["fields"].items() if k != missing}
        assert code(plain(cloud, "POST", path, *form(left, b"hello"))) == ("InvalidArgument", 400), missing
