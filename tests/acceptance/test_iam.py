"""IAM through boto3 and the CLI: what a role may not do is refused, in AWS's words."""
import json

import boto3
import pytest
from botocore.exceptions import ClientError

TRUST_ACCOUNT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}],
}


def allow(actions, resources, **more):
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def role(client):
    """role(policy): a role whose trust policy names this account, with an inline policy; gives its ARN."""
    iam = client("iam")
    made = []

    def make(policy, name=None):
        name = name or f"role-{len(made)}"
        trust = json.dumps({**TRUST_ACCOUNT, "Statement": [{
            **TRUST_ACCOUNT["Statement"][0],
            "Principal": {"AWS": client("sts").get_caller_identity()["Account"]},
        }]})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        if policy:
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy)
        made.append(name)
        return arn

    return make


@pytest.fixture
def assumed(cloud, client, account):
    """assumed(arn, "s3"): a client under a session of the role."""

    def make(arn, service, **kw):
        got = client("sts").assume_role(RoleArn=arn, RoleSessionName="session", **kw)["Credentials"]
        return cloud.client(
            service, account=account, key=got["AccessKeyId"], secret=got["SecretAccessKey"], token=got["SessionToken"]
        )

    return make


def test_a_role_reads_one_bucket_and_writes_nothing(client, role, assumed, unique, account):
    photos, thumbs = unique("photos"), unique("thumbs")
    s3 = client("s3")
    for bucket in (photos, thumbs):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=photos, Key="cat.jpg", Body=b"meow")
    arn = role(allow("s3:GetObject", f"arn:aws:s3:::{photos}/*"), "reader")
    limited = assumed(arn, "s3")
    assert limited.get_object(Bucket=photos, Key="cat.jpg")["Body"].read() == b"meow"
    code, message = refused(limited.put_object, Bucket=thumbs, Key="cat.jpg", Body=b"x")
    assert code == "AccessDenied"
    assert message == (
        f"User: arn:aws:sts::{account}:assumed-role/reader/session is not authorized to perform: s3:PutObject on "
        f'resource: "arn:aws:s3:::{thumbs}/cat.jpg" because no identity-based policy allows the s3:PutObject action'
    )
    # What is granted later counts at once, and an explicit deny wins over it.
    client("iam").attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    limited.put_object(Bucket=thumbs, Key="cat.jpg", Body=b"x")
    deny = json.loads(allow("s3:PutObject", "*"))
    deny["Statement"][0]["Effect"] = "Deny"
    client("iam").put_role_policy(RoleName="reader", PolicyName="no", PolicyDocument=json.dumps(deny))
    code, message = refused(limited.put_object, Bucket=thumbs, Key="cat.jpg", Body=b"x")
    assert message.endswith("with an explicit deny in an identity-based policy"), message


def test_session_policies_narrow(client, role, assumed, unique):
    bucket = unique("b")
    client("s3").create_bucket(Bucket=bucket)
    arn = role(allow("s3:*", "*"))
    assumed(arn, "s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    narrowed = assumed(arn, "s3", Policy=allow("s3:GetObject", "*"))
    assert narrowed.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    code, message = refused(narrowed.put_object, Bucket=bucket, Key="k", Body=b"y")
    assert message.endswith("because no session policy allows the s3:PutObject action"), message


def test_a_user_works_with_its_own_key_until_it_is_deleted(cloud, client, account):
    iam = client("iam")
    iam.create_user(UserName="ann", Path="/team/")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = {"account": account, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    me = cloud.client("sts", **ann).get_caller_identity()
    assert me["Arn"] == f"arn:aws:iam::{account}:user/team/ann"
    code, message = refused(cloud.client("iam", **ann).list_users)
    assert code == "AccessDenied"
    assert message == (
        f"User: arn:aws:iam::{account}:user/team/ann is not authorized to perform: iam:ListUsers on resource: "
        f"arn:aws:iam::{account}:user/ because no identity-based policy allows the iam:ListUsers action"
    )
    own = allow("iam:GetUser", f"arn:aws:iam::{account}:user/team/${{aws:username}}")
    iam.put_user_policy(UserName="ann", PolicyName="self", PolicyDocument=own)
    assert cloud.client("iam", **ann).get_user()["User"]["UserName"] == "ann"
    wrong = cloud.client("sts", account=account, key=key["AccessKeyId"], secret="not the secret")
    assert refused(wrong.get_caller_identity)[0] == "SignatureDoesNotMatch"
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(cloud.client("sts", **ann).get_caller_identity)[0] == "InvalidClientTokenId"


def test_documents_come_back_as_they_went(client, role):
    document = allow("s3:GetObject", "arn:aws:s3:::ä b/+%&<>*")
    role(document, "r")
    iam = client("iam")
    assert iam.get_role_policy(RoleName="r", PolicyName="inline")["PolicyDocument"] == json.loads(document)
    assert iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"


def test_refusals_have_awss_codes_and_words(client, role):
    iam = client("iam")
    role(None, "r")
    trust = json.dumps(TRUST_ACCOUNT)
    assert refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust) == (
        "EntityAlreadyExists", "Role with name r already exists.")
    assert refused(iam.get_role, RoleName="none") == ("NoSuchEntity", "The role with name none cannot be found.")
    assert refused(iam.create_role, RoleName="a/b", AssumeRolePolicyDocument=trust) == (
        "ValidationError",
        "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the "
        "following: +=,.@_-")
    assert refused(iam.create_role, RoleName="x", AssumeRolePolicyDocument="{}")[0] == "MalformedPolicyDocument"
    for path in ("x", "/x", "/a b/"):
        assert refused(iam.create_user, UserName="u", Path=path) == (
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters.")
    assert "UserName" not in iam.get_user()["User"] and "Path" not in iam.get_user()["User"]
    unchecked = client("iam", parameter_validation=False)
    code, message = refused(unchecked.create_role, RoleName="x" * 65, AssumeRolePolicyDocument=trust)
    assert code == "ValidationError" and message.startswith("1 validation error detected: Value '"), message
    assert refused(client("iam").get_user, UserName="nobody")[1] == "The user with name nobody cannot be found."


def test_pages_through_paginators(client, role):
    for i in range(7):
        role(None, f"role-{i}")
    pages = list(client("iam").get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Roles"]) for page in pages] == [3, 3, 1]


def test_a_marker_is_good_for_the_list_that_gave_it(client, role):
    iam = client("iam")
    for name in ("a", "b"):
        role(None, name)
        iam.create_user(UserName=name)
    marker = iam.list_roles(MaxItems=1)["Marker"]
    assert [r["RoleName"] for r in iam.list_roles(Marker=marker)["Roles"]] == ["b"]
    for call, bad in ((iam.list_users, marker), (iam.list_roles, "AAAA"), (iam.list_roles, "Yg"),
                      (iam.list_roles, marker[:-2]), (iam.list_role_tags, marker)):
        kw = {"RoleName": "a"} if call == iam.list_role_tags else {}
        assert refused(call, Marker=bad, **kw) == ("ValidationError", "Invalid Marker"), (call, bad)


def test_arns_that_are_no_policys(client, role):
    iam = client("iam")
    role(None, "r")
    for arn in ("arn:aws:iam:aws:policy/AdministratorAccess", "AdministratorAccess-and-more", "arn:aws:s3:::policy/abcdefg",
                "arn:aws:iam::aws:role/AdministratorAccess"):
        for call, kw in ((iam.attach_role_policy, dict(RoleName="r", PolicyArn=arn)), (iam.get_policy, dict(PolicyArn=arn)),
                         (iam.detach_role_policy, dict(RoleName="r", PolicyArn=arn)),
                         (iam.put_role_permissions_boundary, dict(RoleName="r", PermissionsBoundary=arn))):
            assert refused(call, **kw) == ("InvalidInput", f"ARN {arn} is not valid."), (call, arn)
    elsewhere = "arn:aws-cn:iam::aws:policy/AdministratorAccess"
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=elsewhere) == (
        "ValidationError", "Invalid ARN partition")


def test_the_simulator(client, role):
    arn = role(allow("sqs:*", "*"), "r")
    results = client("iam").simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["sqs:SendMessage", "sns:Publish"])["EvaluationResults"]
    assert [(r["EvalActionName"], r["EvalDecision"]) for r in results] == [
        ("sqs:SendMessage", "allowed"), ("sns:Publish", "implicitDeny")]


def test_the_simulator_tells_what_decided_and_where(client, account):
    iam = client("iam")
    document = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":'
        '{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}')
    ask = dict(PolicyInputList=[document], ActionNames=["dynamodb:CreateBackup"])

    def when(time):
        entry = {"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": [time], "ContextKeyType": "date"}
        return iam.simulate_custom_policy(**ask, ContextEntries=[entry])["EvaluationResults"][0]

    result = when("2019-04-25T11:00:00Z")
    assert (result["EvalDecision"], result["EvalResourceName"]) == ("allowed", "*")
    assert result["MatchedStatements"] == [{
        "SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "IAM Policy",
        "StartPosition": {"Line": 1, "Column": 38}, "EndPosition": {"Line": 1, "Column": 167}}]
    assert when("2014-04-25T11:00:00Z")["EvalDecision"] == "implicitDeny"
    assert iam.simulate_custom_policy(**ask)["EvaluationResults"][0]["MissingContextValues"] == ["aws:CurrentTime"]

    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=allow("s3:*", "*"))
    boundary = iam.create_policy(PolicyName="b", PolicyDocument=allow("s3:Get*", "*"))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=boundary)
    ask = dict(PolicySourceArn=f"arn:aws:iam::{account}:user/ann", ActionNames=["s3:GetObject", "s3:PutObject"],
               ResourceArns=["arn:aws:s3:::b/k"])
    get, put = iam.simulate_principal_policy(**ask)["EvaluationResults"]
    assert get["EvalDecision"] == "allowed" and put["EvalDecision"] == "implicitDeny"
    assert get["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert put["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert "user_ann_p" in [m["SourcePolicyId"] for m in get["MatchedStatements"]]
    assert get["ResourceSpecificResults"][0]["EvalResourceName"] == "arn:aws:s3:::b/k"
    without = iam.simulate_principal_policy(**ask, PolicyExclusionList=[{"PolicyType": "permission-boundary"}])
    assert [r["EvalDecision"] for r in without["EvaluationResults"]] == ["allowed", "allowed"]
    levels = [{"ServiceControlPolicyInputList": [allow("*", "*")]}, {"ServiceControlPolicyInputList": [allow("s3:*", "*")]}]
    results = iam.simulate_custom_policy(
        PolicyInputList=[allow("*", "*")], ActionNames=["s3:GetObject", "sqs:SendMessage"],
        OrderedOrganizationPolicyInputList=levels)["EvaluationResults"]
    assert [(r["EvalDecision"], r["OrganizationsDecisionDetail"]["AllowedByOrganizations"]) for r in results] == [
        ("allowed", True), ("implicitDeny", False)]
    assert refused(iam.simulate_custom_policy, PolicyInputList=["{}"], ActionNames=["s3:GetObject"])[0] == "InvalidInput"


def test_instance_profiles_and_waiters(client, role):
    iam = client("iam")
    role(None, "r")
    iam.create_instance_profile(InstanceProfileName="p")
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    assert iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Roles"][0]["RoleName"] == "r"
    assert refused(iam.delete_role, RoleName="r") == (
        "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")


def test_account_summary_report_and_details(client, role):
    iam = client("iam")
    role(allow("s3:*", "*"), "r")
    iam.create_user(UserName="ann")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1
    details = iam.get_account_authorization_details()
    assert details["RoleDetailList"][0]["RolePolicyList"][0]["PolicyName"] == "inline"
    assert iam.generate_credential_report()["State"] == "STARTED"
    lines = iam.get_credential_report()["Content"].decode().splitlines()
    assert lines[0].startswith("user,arn,user_creation_time,password_enabled")
    assert [line.split(",")[0] for line in lines[1:]] == ["<root_account>", "ann"]


def test_the_cli(aws):
    made = aws("iam", "create-role", "--role-name", "cli", "--assume-role-policy-document", json.dumps(TRUST_ACCOUNT))
    assert json.loads(made.stdout)["Role"]["RoleName"] == "cli"
    failed = aws("iam", "get-role", "--role-name", "none", check=False)
    assert b"(NoSuchEntity)" in failed.stderr and failed.returncode
