"""STS through boto3: sessions, their limits and their ends."""
import json

import pytest
from botocore.exceptions import ClientError


def trust(principal, **condition):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_who_am_i(cloud, client, account):
    assert client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:root"
    nobody = cloud.client("sts", account=account, key="AKIAIOSFODNN7EXAMPLE", secret="x" * 40)
    assert refused(nobody.get_caller_identity) == (
        "InvalidClientTokenId", "The security token included in the request is invalid.")


def test_a_partner_account_needs_the_external_id(cloud, client, account):
    partner = f"{(int(account) + 400_007) % 10**12:012d}"
    arn = client("iam").create_role(
        RoleName="partner",
        AssumeRolePolicyDocument=trust({"AWS": partner}, StringEquals={"sts:ExternalId": "42"}),
    )["Role"]["Arn"]
    theirs = cloud.client("sts", account=partner)
    code, message = refused(theirs.assume_role, RoleArn=arn, RoleSessionName="session")
    assert (code, message) == (
        "AccessDenied",
        f"User: arn:aws:iam::{partner}:root is not authorized to perform: sts:AssumeRole on resource: {arn}")
    got = theirs.assume_role(RoleArn=arn, RoleSessionName="session", ExternalId="42")
    assert got["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/partner/session"
    key = got["Credentials"]
    session = cloud.client(
        "sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"], token=key["SessionToken"], account=account)
    assert session.get_caller_identity()["Account"] == account


def test_tampered_and_foreign_tokens_are_refused(cloud, client, account):
    made = client("sts").get_session_token()["Credentials"]
    key, secret, token = made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]

    def identity(**kw):
        kw = {"key": key, "secret": secret, "token": token, "account": account, **kw}
        return cloud.client("sts", **kw).get_caller_identity()

    assert identity()["Account"] == account
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1:]
    for wrong in ({"token": changed}, {"token": token[:-8]}, {"token": "x"}, {"token": None}):
        with pytest.raises(ClientError) as caught:
            identity(**wrong)
        assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId", wrong


def test_durations(client):
    client("iam").create_role(
        RoleName="r", AssumeRolePolicyDocument=trust({"AWS": "*"}), MaxSessionDuration=3600)
    account = client("sts").get_caller_identity()["Account"]
    arn = f"arn:aws:iam::{account}:role/r"
    code, message = refused(
        client("sts").assume_role, RoleArn=arn, RoleSessionName="session", DurationSeconds=3601)
    assert (code, message) == (
        "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    unchecked = client("sts", parameter_validation=False)
    code, message = refused(unchecked.assume_role, RoleArn=arn, RoleSessionName="session", DurationSeconds=899)
    assert code == "ValidationError" and "greater than or equal to 900" in message


def test_a_federated_user_has_at_most_what_both_sides_allow(cloud, client, account, unique):
    bucket = unique("b")
    client("s3").create_bucket(Bucket=bucket)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]})
    made = client("sts").get_federation_token(Name="guest", Policy=policy)["Credentials"]
    s3 = cloud.client("s3", account=account, key=made["AccessKeyId"], secret=made["SecretAccessKey"],
                      token=made["SessionToken"])
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"")[0] == "AccessDenied"


def held(keys, account):
    return {"account": account, "key": keys["AccessKeyId"], "secret": keys["SecretAccessKey"],
            "token": keys["SessionToken"]}


def test_a_session_is_narrowed_step_by_step(cloud, client, account):
    iam, sts = client("iam"), client("sts")
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    document = lambda *actions: json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document("iam:*"))
    assert refused(sts.get_scoped_credentials, DurationSeconds=60)[0] == "InvalidSubjectCredentials"
    whole = sts.assume_role(RoleArn=arn, RoleSessionName="session", Policy=document("iam:List*", "iam:Get*"))
    scoped, keys = cloud.client("sts", **held(whole["Credentials"], account)), None
    for count, actions in enumerate((("iam:ListUsers", "iam:ListRoles"), ("iam:ListUsers", "iam:CreateUser")), 1):
        got = scoped.get_scoped_credentials(Policy=document(*actions))
        assert got["ScopedPoliciesCount"] == count
        assert got["SessionInfo"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/r/session"
        assert got["Credentials"]["Expiration"] == whole["Credentials"]["Expiration"]
        keys = got["Credentials"]
        scoped = cloud.client("sts", **held(keys, account))
    assert scoped.get_caller_identity()["Arn"] == whole["AssumedRoleUser"]["Arn"]
    narrow = cloud.client("iam", **held(keys, account))
    narrow.list_users()
    for call in (narrow.list_roles, lambda: narrow.create_user(UserName="u"), narrow.list_groups):
        code, message = refused(call)
        assert code == "AccessDenied" and "because no session policy allows" in message, message
    third = scoped.get_scoped_credentials(Policy=document("iam:ListUsers"), MinimumSessionTokenSize=2048)
    assert third["SessionTokenSize"] == len(third["Credentials"]["SessionToken"]) >= 2048
    last = cloud.client("sts", **held(third["Credentials"], account))
    assert refused(last.get_scoped_credentials, Policy=document("iam:ListUsers"))[0] == "AccessDenied"
    assert last.get_scoped_credentials(DurationSeconds=60)["ScopedPoliciesCount"] == 3
    assert refused(last.get_scoped_credentials, DurationSeconds=129600)[0] == "InsufficientSessionLifetime"
    assert refused(last.get_scoped_credentials)[0] == "ValidationError"
    assert refused(scoped.get_scoped_credentials, Policy="{}")[0] == "MalformedPolicyDocument"


def test_no_credentials_in_a_region_that_is_switched_off(cloud, client, account):
    arn = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    there = cloud.client("sts", account=account, region="af-south-1")
    there.assume_role(RoleArn=arn, RoleSessionName="session")
    settings = client("account")
    settings.enable_region(RegionName="af-south-1")
    settings.disable_region(RegionName="af-south-1")
    message = (f"STS is not activated in this region for account:{account}. Your account administrator can activate STS "
               "in this region using the IAM Console.")
    for call, kw in ((there.assume_role, dict(RoleArn=arn, RoleSessionName="session")), (there.get_session_token, {}),
                     (there.get_federation_token, dict(Name="guest"))):
        with pytest.raises(ClientError) as caught:
            call(**kw)
        assert caught.value.response["Error"]["Code"] == "RegionDisabledException"
        assert caught.value.response["Error"]["Message"] == message
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    there.get_caller_identity()
    client("sts").assume_role(RoleArn=arn, RoleSessionName="session")
    settings.enable_region(RegionName="af-south-1")
    there.assume_role(RoleArn=arn, RoleSessionName="session")


def test_sessions_of_users_call_iam_only_after_mfa(cloud, client, account):
    iam = client("iam")
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    mine = cloud.client("sts", account=account, key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    session = held(mine.get_session_token()["Credentials"], account)
    guest = held(mine.get_federation_token(Name="guest", PolicyArns=[
        {"arn": "arn:aws:iam::aws:policy/AdministratorAccess"}])["Credentials"], account)
    for keys in (session, guest):
        with pytest.raises(ClientError) as caught:
            cloud.client("iam", **keys).list_users()
        error = caught.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidClientTokenId", 403)
        assert error["Error"]["Message"] == "The security token included in the request is invalid"
        cloud.client("s3", **keys).list_buckets()
    assert refused(cloud.client("sts", **guest).get_federation_token, Name="other") == (
        "AccessDenied", "Cannot call GetFederationToken with session credentials")
