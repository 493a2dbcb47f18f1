"""Configurations of buckets: what they must be, how they come back, what they change."""
import base64
import hashlib
import hmac
import json
import struct
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from s3_help import restored


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def bucket(s3, unique):
    name = unique("conf")
    s3.create_bucket(Bucket=name)
    return name


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"], error


INVENTORY = {"Id": "one", "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
             "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::reports", "Format": "CSV"}}}
FAMILIES = {
    "inventory": ("InventoryConfiguration", INVENTORY, "IdMismatch"),
    "analytics": ("AnalyticsConfiguration", {"Id": "one", "StorageClassAnalysis": {}}, "MalformedXML"),
    "metrics": ("MetricsConfiguration", {"Id": "one", "Filter": {"Prefix": "a"}}, "MalformedXML"),
    "intelligent_tiering": ("IntelligentTieringConfiguration", {
        "Id": "one", "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]}, "MalformedXML"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_kept_configurations(s3, bucket, family):
    member, configuration, mismatch = FAMILIES[family]
    operation = lambda verb, suffix="configuration": getattr(s3, f"{verb}_bucket_{family}_{suffix}")
    assert refused(operation("get"), Bucket=bucket, Id="one")[:2] == (
        "NoSuchConfiguration", "The specified configuration does not exist.")
    operation("put")(Bucket=bucket, Id="one", **{member: configuration})
    assert operation("get")(Bucket=bucket, Id="one")[member] == configuration
    assert refused(operation("put"), Bucket=bucket, Id="two", **{member: configuration})[0] == mismatch
    operation("put")(Bucket=bucket, Id="two", **{member: {**configuration, "Id": "two"}})
    listed = operation("list", "configurations")(Bucket=bucket)
    assert [c["Id"] for c in listed[f"{member}List"]] == ["one", "two"] and listed["IsTruncated"] is False
    operation("delete")(Bucket=bucket, Id="one")
    assert refused(operation("delete"), Bucket=bucket, Id="one")[0] == "NoSuchConfiguration"


def test_an_inventory_goes_to_a_bucket(s3, bucket):
    wrong = json.loads(json.dumps(INVENTORY))
    wrong["Destination"]["S3BucketDestination"]["Bucket"] = "reports"
    assert refused(s3.put_bucket_inventory_configuration, Bucket=bucket, Id="one", InventoryConfiguration=wrong)[:2] == (
        "InvalidS3DestinationBucket", "Invalid bucket ARN.")


def notify(s3, bucket, kind, *arns, **more):
    key = {"Queue": "QueueArn", "Topic": "TopicArn", "LambdaFunction": "LambdaFunctionArn"}[kind]
    return refused(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration={
        f"{kind}Configurations": [
            {key: arn, "Events": [f"s3:ObjectCreated:{event}"], **more} for arn, event in zip(arns, ("Put", "Post", "Copy"))]})


def test_destinations_must_be_there(s3, bucket):
    queue = "arn:aws:sqs:us-east-1:000000000000:none"
    code, message, error = notify(s3, bucket, "Queue", queue)
    assert (code, message) == ("InvalidArgument", "Unable to validate the following destination configurations")
    assert (error["ArgumentName1"], error["ArgumentValue1"]) == (queue, "The destination queue does not exist")
    _, _, error = notify(s3, bucket, "Topic", *(f"arn:aws:sns:us-east-1:000000000000:{t}" for t in "ab"))
    assert error["ArgumentName2"].endswith(":b") and error["ArgumentValue2"] == "The destination topic does not exist"
    function = "arn:aws:lambda:us-east-1:000000000000:function:none"
    _, _, error = notify(s3, bucket, "LambdaFunction", function)
    assert (error["ArgumentName1"], error["ArgumentValue1"]) == (
        f"{function}, null", f"Not authorized to invoke function [{function}]")
    _, message, error = notify(s3, bucket, "Queue", "nonsense")
    assert (message, error["ArgumentName"], error["ArgumentValue"]) == ("The ARN could not be parsed", "QueueArn", "nonsense")


def test_so_many_destinations(s3, bucket):
    many = [{"QueueArn": f"arn:aws:sqs:us-east-1:000000000000:q{n}", "Events": ["s3:ObjectCreated:*"],
             "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{n:03}/"}]}}} for n in range(101)]
    put = lambda n: refused(s3.put_bucket_notification_configuration, Bucket=bucket,
                            NotificationConfiguration={"QueueConfigurations": many[:n]})
    assert put(100)[1] == "Unable to validate the following destination configurations"
    assert put(101)[:2] == (
        "TooManyConfigurations", "You are trying to create more than 100 notification configurations for this bucket.")


def test_skipped_validation_keeps_what_was_given(s3, bucket):
    arn = "arn:aws:lambda:us-east-1:000000000000:function:later"
    s3.put_bucket_notification_configuration(Bucket=bucket, SkipDestinationValidation=True, NotificationConfiguration={
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {
            "Key": {"FilterRules": [{"Name": "prefix", "Value": "a"}, {"Name": "suffix", "Value": "b"}]}}}]})
    [kept] = s3.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
    assert kept["Id"] and kept["Filter"]["Key"]["FilterRules"] == [
        {"Name": "Prefix", "Value": "a"}, {"Name": "Suffix", "Value": "b"}]
    code, message, _ = notify(s3, bucket, "LambdaFunction", arn, Events=["s3:Nonsense"])
    assert code in ("InvalidArgument", "MalformedXML")


def test_the_deprecated_forms_are_read(s3, bucket):
    s3.put_bucket_lifecycle(Bucket=bucket, LifecycleConfiguration={"Rules": [
        {"ID": "old", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 3},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 4}, "Transition": {"Days": 1, "StorageClass": "GLACIER"}}]})
    [rule] = s3.get_bucket_lifecycle(Bucket=bucket)["Rules"]
    assert rule["Transition"] == {"Days": 1, "StorageClass": "GLACIER"} and rule["Prefix"] == "logs/"
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Transitions"] == [{"Days": 1, "StorageClass": "GLACIER"}] and rule["Expiration"] == {"Days": 3}
    assert refused(s3.put_bucket_notification, Bucket=bucket, NotificationConfiguration={
        "QueueConfiguration": {"Queue": "arn:aws:sqs:us-east-1:000000000000:none", "Event": "s3:ObjectCreated:*"},
    })[1] == "Unable to validate the following destination configurations"
    s3.put_bucket_notification(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfiguration" not in s3.get_bucket_notification(Bucket=bucket)


def test_tags_of_the_bucket_decide_where_abac_is_on(cloud, s3, bucket, unique):
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Disabled"}
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    iam, name = cloud.client("iam"), unique("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}]}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = cloud.client("s3", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert refused(theirs.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Enabled"}
    assert theirs.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_restored_copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="cold", Body=b"brrr", StorageClass="GLACIER")
    assert refused(s3.get_object, Bucket=bucket, Key="cold")[0] == "InvalidObjectState"
    answer = s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.head_object(Bucket=bucket, Key="cold")["Restore"] == 'ongoing-request="true"'
    assert refused(s3.get_object, Bucket=bucket, Key="cold")[0] == "InvalidObjectState"
    again = refused(s3.restore_object, Bucket=bucket, Key="cold", RestoreRequest={"Days": 2})
    assert again[:2] == ("RestoreAlreadyInProgress", "Object restore is already in progress")
    [listed] = s3.list_objects_v2(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    assert listed["RestoreStatus"] == {"IsRestoreInProgress": True}
    assert 'ongoing-request="false", expiry-date="' in restored(s3, bucket, "cold")
    assert s3.get_object(Bucket=bucket, Key="cold")["Body"].read() == b"brrr"
    # One that is there already is kept for longer.
    answer = s3.restore_object(Bucket=bucket, Key="cold", RestoreRequest={"Days": 9})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200 and "RestoreOutputPath" not in answer
    assert s3.get_object(Bucket=bucket, Key="cold")["Body"].read() == b"brrr"
    [version] = s3.list_object_versions(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])["Versions"]
    assert version["RestoreStatus"]["IsRestoreInProgress"] is False and version["RestoreStatus"]["RestoreExpiryDate"]


def test_mfa_delete_demands_a_password(s3, bucket):
    enable = {"Status": "Enabled", "MFADelete": "Enabled"}
    denied = ("AccessDenied", "Mfa Authentication must be used for this request")
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=enable)[:2] == denied
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=enable,
                   MFA="arn:aws:iam::000000000000:mfa/none 123456")[0] == "NotDeviceOwnerError"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Disabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["MFADelete"] == "Disabled"


def password(seed, ahead=0):
    """What a virtual device shows. Source: RFC 6238."""
    digest = hmac.new(base64.b32decode(seed), struct.pack(">Q", int(time.time()) // 30 + ahead), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 10 ** 6:06}"


class Device:
    """A virtual device of an account. Every password counts once."""

    def __init__(self, iam, unique):
        user = unique("guard")
        iam.create_user(UserName=user)
        made = iam.create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]
        self.serial, self.seed = made["SerialNumber"], made["Base32StringSeed"]
        iam.enable_mfa_device(UserName=user, SerialNumber=self.serial, AuthenticationCode1=password(self.seed, -20),
                              AuthenticationCode2=password(self.seed, -19))
        self.used = -19

    def show(self):
        # The device's clock is late, so that there are passwords to come.
        self.used += 1
        return f"{self.serial} {password(self.seed, self.used)}"


def test_mfa_delete(cloud, s3, bucket, account, unique):
    iam = cloud.client("iam")
    devices = [Device(iam, unique) for _ in range(6)]
    show = lambda: devices.pop().show()
    denied = ("AccessDenied", "Mfa Authentication must be used for this request")
    admin = unique("admin")
    iam.create_user(UserName=admin)
    iam.put_user_policy(UserName=admin, PolicyName="all", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))
    key = iam.create_access_key(UserName=admin)["AccessKey"]
    theirs = cloud.client("s3", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    on = {"Status": "Enabled", "MFADelete": "Enabled"}
    # It is for the root user alone.
    assert refused(theirs.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=on, MFA=show())[0] == "AccessDenied"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=on, MFA=show())
    assert s3.get_bucket_versioning(Bucket=bucket)["MFADelete"] == "Enabled"
    versions = [s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"] for _ in range(3)]
    at = {"Bucket": bucket, "Key": "k", "VersionId": versions[0]}
    assert refused(s3.delete_object, **at)[:2] == denied
    assert refused(s3.delete_object, **at, MFA=devices[0].serial + " 000000")[0] == "TokenCodeInvalidError"
    once = show()
    assert s3.delete_object(**at, MFA=once)["VersionId"] == versions[0]
    assert refused(s3.delete_object, **{**at, "VersionId": versions[1]}, MFA=once)[0] == "TokenCodeInvalidError"
    wanted = {"Objects": [{"Key": "k", "VersionId": versions[1]}, {"Key": "other"}]}
    done = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert [(e["Code"], e["Message"]) for e in done["Errors"]] == [denied] and [d["Key"] for d in done["Deleted"]] == ["other"]
    assert len(s3.delete_objects(Bucket=bucket, Delete=wanted, MFA=show())["Deleted"]) == 2
    # A delete marker needs none; turning it off does.
    assert s3.delete_object(Bucket=bucket, Key="k")["DeleteMarker"]
    off = {"Status": "Enabled", "MFADelete": "Disabled"}
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=off)[:2] == denied
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=off, MFA=show())
    s3.delete_object(Bucket=bucket, Key="k", VersionId=versions[2])
