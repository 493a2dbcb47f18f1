"""IAM above one account: tokens for the world outside, root users of members, resource and service control policies,
and the global condition keys that organizations, services and connections give."""
import base64
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from test_organizations import create_account, organization, refused, scp  # noqa: F401 (a fixture)


def policy(*statements, **one):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements) or [one]})


def held(cloud, service, keys, account):
    return cloud.client(service, account=account, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"],
                        token=keys["SessionToken"])


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def fetched(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return json.load(answer)


def test_tokens_for_the_world_outside(client, cloud, account):
    iam, sts = client("iam"), client("sts")
    asked = dict(Audience=["https://api.example.com"], SigningAlgorithm="ES384")
    assert refused(sts.get_web_identity_token, **asked)[0] == "OutboundWebIdentityFederationDisabledException"
    assert refused(iam.get_outbound_web_identity_federation_info)[0] == "FeatureDisabled"
    issuer = iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    assert refused(iam.enable_outbound_web_identity_federation)[0] == "FeatureEnabled"
    info = iam.get_outbound_web_identity_federation_info()
    assert (info["IssuerIdentifier"], info["JwtVendingEnabled"]) == (issuer, True)

    told = fetched(f"{issuer}/.well-known/openid-configuration")
    assert told["issuer"] == issuer
    assert {key["alg"] for key in fetched(told["jwks_uri"])["keys"]} == {"RS256", "ES384"}

    got = sts.get_web_identity_token(**asked, Tags=[{"Key": "job", "Value": "7"}])
    said = claims(got["WebIdentityToken"])
    assert (said["iss"], said["aud"], said["sub"]) == (
        issuer, "https://api.example.com", f"arn:aws:iam::{account}:root")
    assert said["exp"] - said["iat"] == 300
    about = said["https://sts.amazonaws.com/"]
    assert (about["aws_account"], about["request_tags"]) == (account, {"job": "7"})
    assert refused(sts.get_web_identity_token, Audience=["a"], SigningAlgorithm="HS256")[0] == "ValidationError"

    # Whoever trusts the issuer can check the token: another account's STS does.
    other = f"{(int(account) + 400_005) % 10**12:012d}"
    theirs = client("iam", account=other)
    provider = theirs.create_open_id_connect_provider(
        Url=issuer, ClientIDList=["https://api.example.com"])["OpenIDConnectProviderArn"]
    role = theirs.create_role(RoleName="outside", AssumeRolePolicyDocument=policy(
        Effect="Allow", Principal={"Federated": provider}, Action="sts:AssumeRoleWithWebIdentity"))["Role"]["Arn"]
    for algorithm in ("RS256", "ES384"):
        token = sts.get_web_identity_token(Audience=["https://api.example.com"], SigningAlgorithm=algorithm)
        assumed = client("sts", account=other).assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="session", WebIdentityToken=token["WebIdentityToken"])
        assert assumed["SubjectFromWebIdentityToken"] == f"arn:aws:iam::{account}:root"

    # A token lives no longer than the session that asks for it.
    own = iam.create_role(RoleName="short", AssumeRolePolicyDocument=policy(
        Effect="Allow", Principal={"AWS": account}, Action="sts:AssumeRole"))["Role"]["Arn"]
    keys = sts.assume_role(RoleArn=own, RoleSessionName="session", DurationSeconds=900)["Credentials"]
    session = held(cloud, "sts", keys, account)
    assert refused(session.get_web_identity_token, **asked)[0] == "AccessDenied"
    iam.put_role_policy(RoleName="short", PolicyName="p", PolicyDocument=policy(
        Effect="Allow", Action="sts:GetWebIdentityToken", Resource="*",
        Condition={"ForAllValues:StringEquals": {"sts:IdentityTokenAudience": "https://api.example.com"},
                   "NumericLessThanEquals": {"sts:DurationSeconds": "3600"}}))
    assert claims(session.get_web_identity_token(**asked)["WebIdentityToken"])["sub"] == own
    assert refused(session.get_web_identity_token, Audience=["x"], SigningAlgorithm="RS256")[0] == "AccessDenied"
    assert refused(session.get_web_identity_token, **asked, Tags=[{"Key": "a", "Value": "b"}])[0] == "AccessDenied"
    assert refused(session.get_web_identity_token, **asked, DurationSeconds=3600)[0] == (
        "SessionDurationEscalationException")

    iam.disable_outbound_web_identity_federation()
    assert refused(iam.disable_outbound_web_identity_federation)[0] == "FeatureDisabled"
    with pytest.raises(urllib.error.HTTPError):
        fetched(f"{issuer}/.well-known/openid-configuration")
    assert iam.enable_outbound_web_identity_federation()["IssuerIdentifier"] == issuer


def test_root_users_of_members(client, cloud, organization, account, unique):
    org, made, root = organization
    iam, sts = client("iam"), client("sts")
    member = create_account(org, "member")
    assert refused(iam.list_organizations_features)[0] == "ServiceAccessNotEnabledException"
    assert refused(client("iam", account="345678901234").list_organizations_features)[0] == (
        "OrganizationNotFoundException")
    assert refused(client("iam", account=member).enable_organizations_root_sessions)[0] == (
        "AccountNotManagementOrDelegatedAdministratorException")
    org.enable_aws_service_access(ServicePrincipal="iam.amazonaws.com")
    unlock = dict(TargetPrincipal=member, DurationSeconds=900,
                  TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"})
    assert refused(sts.assume_root, **unlock) == (
        "AccessDenied", f"User: arn:aws:iam::{account}:root is not authorized to perform: sts:AssumeRoot on resource: "
        f"arn:aws:iam::{member}:root")
    iam.enable_organizations_root_credentials_management()
    on = iam.enable_organizations_root_sessions()
    assert on["OrganizationId"] == made["Id"] and on["EnabledFeatures"] == ["RootCredentialsManagement", "RootSessions"]

    # A policy that locks everybody out of a bucket is undone by its account's root user.
    bucket = unique("locked")
    theirs = client("s3", account=member)
    theirs.create_bucket(Bucket=bucket)
    theirs.put_bucket_policy(Bucket=bucket, Policy=policy(
        Effect="Deny", Principal="*", Action="s3:*",
        Resource=[f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]))
    keys = sts.assume_root(**unlock)["Credentials"]
    s3 = held(cloud, "s3", keys, member)
    assert held(cloud, "sts", keys, member).get_caller_identity()["Arn"] == f"arn:aws:iam::{member}:root"
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(s3.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    assert refused(held(cloud, "iam", keys, member).list_access_keys)[0] == "AccessDenied"

    # Policies can tell such a session from the root user itself.
    org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    only = org.create_policy(Name="only", Description="", Type="SERVICE_CONTROL_POLICY", Content=scp(
        "Deny", "s3:ListAllMyBuckets", Condition={"Null": {"aws:AssumedRoot": "true"}}))["Policy"]["PolicySummary"]["Id"]
    org.attach_policy(PolicyId=only, TargetId=member)
    assert refused(theirs.list_buckets)[0] == "AccessDenied"
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [bucket]
    org.detach_policy(PolicyId=only, TargetId=member)

    audit = {"arn": "arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"}
    keys = sts.assume_root(TargetPrincipal=f"arn:aws:iam::{member}:root", TaskPolicyArn=audit)["Credentials"]
    auditor = held(cloud, "iam", keys, member)
    assert auditor.list_access_keys()["AccessKeyMetadata"] == []
    assert refused(auditor.create_access_key)[0] == "AccessDenied"
    assert refused(sts.assume_root, TargetPrincipal="999999999999", TaskPolicyArn=audit)[0] == "AccessDenied"
    assert refused(sts.assume_root, TargetPrincipal=member, TaskPolicyArn={
        "arn": "arn:aws:iam::aws:policy/AdministratorAccess"})[0] == "ValidationError"
    assert iam.disable_organizations_root_sessions()["EnabledFeatures"] == ["RootCredentialsManagement"]
    assert refused(sts.assume_root, **unlock)[0] == "AccessDenied"
    assert iam.list_organizations_features()["EnabledFeatures"] == ["RootCredentialsManagement"]


def test_what_an_organization_uses(client, cloud, organization, account):
    org, made, root = organization
    iam = client("iam")
    member = create_account(org, "member")
    org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    few = org.create_policy(Name="few", Description="", Type="SERVICE_CONTROL_POLICY",
                            Content=scp("Allow", ["iam:*", "s3:*", "sts:*"]))["Policy"]["PolicySummary"]["Id"]
    org.attach_policy(PolicyId=few, TargetId=member)
    org.detach_policy(PolicyId="p-FullAWSAccess", TargetId=member)
    keys = client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
    held(cloud, "s3", keys, member).list_buckets()
    job = iam.generate_organizations_access_report(EntityPath=f"{made['Id']}/{root}/{member}")["JobId"]
    report = iam.get_organizations_access_report(JobId=job)
    assert report["JobStatus"] == "COMPLETED" and report["NumberOfServicesAccessible"] == 3
    by_name = {detail["ServiceNamespace"]: detail for detail in report["AccessDetails"]}
    assert sorted(by_name) == ["iam", "s3", "sts"]
    assert by_name["s3"]["TotalAuthenticatedEntities"] == 1 and by_name["s3"]["Region"] == "us-east-1"
    assert by_name["s3"]["EntityPath"] == f"{made['Id']}/{root}/{member}"
    assert "LastAuthenticatedTime" not in by_name["iam"] and report["NumberOfServicesNotAccessed"] == 2
    latest = iam.get_organizations_access_report(JobId=job, SortKey="LAST_AUTHENTICATED_TIME_DESCENDING", MaxItems=1)
    assert latest["AccessDetails"][0]["ServiceNamespace"] == "s3" and latest["IsTruncated"]
    assert refused(iam.generate_organizations_access_report, EntityPath="o-aaaaaaaaaa/r-bbbb")[0] == "InvalidInput"
    assert refused(iam.get_organizations_access_report, JobId="0" * 36)[0] == "NoSuchEntity"


def test_control_policies_are_inherited_level_by_level(client, cloud, organization, account):
    org, made, root = organization
    org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    outer = org.create_organizational_unit(ParentId=root, Name="outer")["OrganizationalUnit"]["Id"]
    inner = org.create_organizational_unit(ParentId=outer, Name="inner")["OrganizationalUnit"]["Id"]
    member = create_account(org, "member")
    org.move_account(AccountId=member, SourceParentId=root, DestinationParentId=inner)

    def made_policy(name, *content):
        return org.create_policy(Name=name, Description="", Type="SERVICE_CONTROL_POLICY",
                                 Content=scp(*content))["Policy"]["PolicySummary"]

    theirs = client("iam", account=member)
    theirs.list_users()
    # What one level does not allow, no other can give back.
    s3_only = made_policy("s3-only", "Allow", "s3:*")
    org.attach_policy(PolicyId=s3_only["Id"], TargetId=outer)
    org.detach_policy(PolicyId="p-FullAWSAccess", TargetId=outer)
    assert refused(theirs.list_users)[1].endswith("because no service control policy allows the iam:ListUsers action")
    client("s3", account=member).list_buckets()
    # A deny above binds whatever stands below; the account's own role is bound as its root user is.
    org.attach_policy(PolicyId="p-FullAWSAccess", TargetId=outer)
    theirs.list_users()
    none = made_policy("no-listing", "Deny", "iam:ListUsers")
    org.attach_policy(PolicyId=none["Id"], TargetId=root)
    message = f"with an explicit deny in a service control policy: {none['Arn']}"
    assert refused(theirs.list_users)[1].endswith(message)
    keys = client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
    assert refused(held(cloud, "iam", keys, member).list_users)[1].endswith(message)
    client("iam").list_users()
    # It follows the account when that moves.
    org.detach_policy(PolicyId=none["Id"], TargetId=root)
    org.attach_policy(PolicyId=none["Id"], TargetId=inner)
    assert refused(theirs.list_users)[1].endswith(message)
    org.move_account(AccountId=member, SourceParentId=inner, DestinationParentId=root)
    theirs.list_users()


def test_resource_control_policies_bind_strangers_and_members(client, cloud, organization, account, unique):
    org, made, root = organization
    member = create_account(org, "member")
    org.enable_policy_type(RootId=root, PolicyType="RESOURCE_CONTROL_POLICY")
    bucket = unique("rcp")
    s3 = client("s3", account=member)
    s3.create_bucket(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(
        Effect="Allow", Principal="*", Action="s3:GetObject", Resource=f"arn:aws:s3:::{bucket}/*"))
    stranger = client("s3", account=f"{(int(account) + 400_009) % 10**12:012d}")
    assert stranger.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    # Only the organization's identities may come in.
    perimeter = org.create_policy(
        Name="perimeter", Description="", Type="RESOURCE_CONTROL_POLICY", Content=policy(
            Effect="Deny", Principal="*", Action="s3:*", Resource="*", Condition={
                "StringNotEqualsIfExists": {"aws:PrincipalOrgID": made["Id"]},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}))["Policy"]["PolicySummary"]
    org.attach_policy(PolicyId=perimeter["Id"], TargetId=root)
    assert refused(stranger.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"
    assert client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    # The member's own users are told which policy it was.
    never = org.create_policy(
        Name="never", Description="", Type="RESOURCE_CONTROL_POLICY", Content=policy(
            Effect="Deny", Principal="*", Action="s3:DeleteObject", Resource="*"))["Policy"]["PolicySummary"]
    org.attach_policy(PolicyId=never["Id"], TargetId=member)
    code, message = refused(s3.delete_object, Bucket=bucket, Key="k")
    assert code == "AccessDenied" and "with an explicit deny in a resource control policy" in message
    org.detach_policy(PolicyId=never["Id"], TargetId=member)
    s3.delete_object(Bucket=bucket, Key="k")
    # STS is bound as well: nobody from outside may take on a role.
    org.detach_policy(PolicyId=perimeter["Id"], TargetId=root)
    role = client("iam", account=member).create_role(RoleName="open", AssumeRolePolicyDocument=policy(
        Effect="Allow", Principal={"AWS": "*"}, Action="sts:AssumeRole"))["Role"]["Arn"]
    outside = client("sts", account=f"{(int(account) + 400_009) % 10**12:012d}")
    outside.assume_role(RoleArn=role, RoleSessionName="s1")
    closed = org.create_policy(
        Name="closed", Description="", Type="RESOURCE_CONTROL_POLICY", Content=policy(
            Effect="Deny", Principal="*", Action="sts:AssumeRole", Resource="*", Condition={
                "StringNotEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}))["Policy"]["PolicySummary"]
    org.attach_policy(PolicyId=closed["Id"], TargetId=root)
    assert refused(outside.assume_role, RoleArn=role, RoleSessionName="s2")[0] == "AccessDenied"
    client("sts").assume_role(RoleArn=role, RoleSessionName="s3")


@pytest.fixture
def probe(client, cloud, account):
    """probe(condition, service): whether a role whose one permission has this condition may list the buckets."""
    iam, sts = client("iam"), client("sts")
    iam.create_role(RoleName="probe", Path="/team/", Tags=[{"Key": "team", "Value": "blue"}],
                    AssumeRolePolicyDocument=policy(Effect="Allow", Principal={"AWS": account}, Action=[
                        "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/team/probe", RoleSessionName="session",
                           Tags=[{"Key": "cost", "Value": "7"}], SourceIdentity="ann")["Credentials"]
    role_id = iam.get_role(RoleName="probe")["Role"]["RoleId"]

    def ask(**condition):
        iam.put_role_policy(RoleName="probe", PolicyName="p", PolicyDocument=policy(
            Effect="Allow", Action="s3:ListAllMyBuckets", Resource="*", Condition=condition))
        try:
            held(cloud, "s3", keys, account).list_buckets()
            return True
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            return False

    ask.role_id = role_id
    return ask


def test_every_global_condition_key_of_a_call(client, cloud, organization, account, probe):
    """Each key equals what it should, and is not something else. Source: IAM User Guide, "AWS global condition
    context keys"."""
    org, made, root = organization
    arn = f"arn:aws:iam::{account}:role/team/probe"
    texts = {
        "aws:PrincipalAccount": account,
        "aws:PrincipalArn": arn,
        "aws:PrincipalType": "AssumedRole",
        "aws:PrincipalOrgID": made["Id"],
        "aws:PrincipalTag/team": "blue",
        "aws:PrincipalTag/cost": "7",
        "aws:userid": f"{probe.role_id}:session",
        "aws:SourceIdentity": "ann",
        "aws:RequestedRegion": "us-east-1",
        "aws:ResourceAccount": account,
        "aws:ResourceOrgID": made["Id"],
        "sts:RoleSessionName": "session",
    }
    for key, value in texts.items():
        assert probe(StringEquals={key: value}), key
        assert not probe(StringNotEquals={key: value}), key
        assert probe(StringEquals={key.upper() if "/" not in key else key: value}), f"{key}, whatever its case"
    for key in ("aws:PrincipalOrgPaths", "aws:ResourceOrgPaths"):
        assert probe(**{"ForAnyValue:StringLike": {key: f"{made['Id']}/{root}/*"}}), key
        assert not probe(**{"ForAnyValue:StringLike": {key: f"{made['Id']}/r-none/*"}}), key
    for key, value in {"aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false",
                       "aws:SecureTransport": "false"}.items():
        assert probe(Bool={key: value}), key
        assert not probe(Bool={key: "true"}), key
    assert probe(IpAddress={"aws:SourceIp": ["127.0.0.0/8", "::1/128"]})
    assert not probe(NotIpAddress={"aws:SourceIp": ["127.0.0.0/8", "::1/128"]})
    assert probe(StringLike={"aws:UserAgent": "*Botocore*"})
    assert probe(DateGreaterThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"})
    assert not probe(DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"})
    assert probe(NumericGreaterThan={"aws:EpochTime": "1600000000"})
    assert probe(DateGreaterThan={"aws:TokenIssueTime": "2020-01-01T00:00:00Z"})
    assert probe(Bool={"aws:MultiFactorAuthPresent": "false"})
    absent = ["aws:MultiFactorAuthAge", "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:SourceArn",
              "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceVpc", "aws:SourceVpce",
              "aws:VpcSourceIp", "aws:FederatedProvider", "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList",
              "aws:username", "aws:referer", "aws:TagKeys", "aws:PrincipalTag/none", "aws:RequestTag/none",
              "aws:Ec2InstanceSourceVpc", "lambda:SourceFunctionArn"]
    for key in absent:
        assert probe(Null={key: "true"}), key
        assert not probe(StringEquals={key: "x"}), key
    assert probe(StringEqualsIfExists={"aws:SourceVpce": "vpce-1"})


def test_messages_of_refusals_name_the_kind_of_policy(client, cloud, account, unique):
    iam, sts, s3 = client("iam"), client("sts"), client("s3")
    bucket = unique("b")
    s3.create_bucket(Bucket=bucket)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy(
        Effect="Allow", Principal={"AWS": account}, Action="sts:AssumeRole"))
    role = f"arn:aws:iam::{account}:role/r"
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy(
        Effect="Allow", Action=["iam:*", "s3:*"], Resource="*"))

    def listing(**session):
        keys = sts.assume_role(RoleArn=role, RoleSessionName="session", **session)["Credentials"]
        return held(cloud, "iam", keys, account).list_users

    prefix = (f"User: arn:aws:sts::{account}:assumed-role/r/session is not authorized to perform: iam:ListUsers on resource: "
              f"arn:aws:iam::{account}:user/ ")
    listing()()
    narrow = policy(Effect="Allow", Action="s3:*", Resource="*")
    deny = policy({"Effect": "Allow", "Action": "*", "Resource": "*"},
                  {"Effect": "Deny", "Action": "iam:ListUsers", "Resource": "*"})
    assert refused(listing(Policy=narrow)) == (
        "AccessDenied", prefix + "because no session policy allows the iam:ListUsers action")
    assert refused(listing(Policy=deny)) == ("AccessDenied", prefix + "with an explicit deny in a session policy")
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=narrow)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=edge)
    assert refused(listing()) == (
        "AccessDenied", prefix + "because no permissions boundary allows the iam:ListUsers action")
    wall = iam.create_policy(PolicyName="wall", PolicyDocument=deny)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=wall)
    code, message = refused(listing())
    assert message.startswith(prefix + "with an explicit deny in a permissions boundary")
    iam.delete_role_permissions_boundary(RoleName="r")
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=deny)
    code, message = refused(listing())
    assert message.startswith(prefix + "with an explicit deny in an identity-based policy")
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=narrow)
    assert refused(listing()) == (
        "AccessDenied", prefix + "because no identity-based policy allows the iam:ListUsers action")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(
        Effect="Deny", Principal={"AWS": role}, Action="s3:ListBucket", Resource=f"arn:aws:s3:::{bucket}"))
    keys = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    code, message = refused(held(cloud, "s3", keys, account).list_objects_v2, Bucket=bucket)
    assert message == (
        f"User: arn:aws:sts::{account}:assumed-role/r/session is not authorized to perform: s3:ListBucket on resource: "
        f'"arn:aws:s3:::{bucket}" with an explicit deny in a resource-based policy')
