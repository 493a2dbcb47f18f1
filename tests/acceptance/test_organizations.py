"""Organizations through boto3: a tree of accounts, and policies above them that bind every call."""
import json

import pytest
from botocore.exceptions import ClientError


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def scp(effect, actions, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": actions, "Resource": "*", **more}]})


@pytest.fixture
def organization(client):
    org = client("organizations")
    made = org.create_organization(FeatureSet="ALL")["Organization"]
    return org, made, org.list_roots()["Roots"][0]["Id"]


def create_account(org, name):
    begun = org.create_account(Email=f"{name}@example.com", AccountName=name)["CreateAccountStatus"]
    assert begun["State"] == "IN_PROGRESS"
    done = org.describe_create_account_status(CreateAccountRequestId=begun["Id"])["CreateAccountStatus"]
    assert done["State"] == "SUCCEEDED"
    return done["AccountId"]


def test_a_tree_of_accounts(client, organization, account):
    org, made, root = organization
    assert made["MasterAccountId"] == account and made["FeatureSet"] == "ALL"
    assert made["Arn"] == f"arn:aws:organizations::{account}:organization/{made['Id']}"
    assert org.describe_organization()["Organization"]["Id"] == made["Id"]
    assert refused(org.create_organization) == (
        "AlreadyInOrganizationException", "The provided account is already a member of an organization.")
    ou = org.create_organizational_unit(ParentId=root, Name="dev")["OrganizationalUnit"]
    assert ou["Arn"] == f"arn:aws:organizations::{account}:ou/{made['Id']}/{ou['Id']}"
    assert refused(org.create_organizational_unit, ParentId=root, Name="dev") == (
        "DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
    member = create_account(org, "worker")
    org.move_account(AccountId=member, SourceParentId=root, DestinationParentId=ou["Id"])
    assert org.list_parents(ChildId=member)["Parents"] == [{"Id": ou["Id"], "Type": "ORGANIZATIONAL_UNIT"}]
    assert org.list_children(ParentId=ou["Id"], ChildType="ACCOUNT")["Children"] == [{"Id": member, "Type": "ACCOUNT"}]
    assert [a["Id"] for a in org.list_accounts_for_parent(ParentId=root)["Accounts"]] == [account]
    pages = org.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 1})
    assert [a["Name"] for page in pages for a in page["Accounts"]] == ["management", "worker"]
    described = org.describe_account(AccountId=member)["Account"]
    assert described["Paths"] == [f"{made['Id']}/{root}/{ou['Id']}/{member}/"] and described["Status"] == "ACTIVE"
    assert refused(org.delete_organizational_unit, OrganizationalUnitId=ou["Id"])[0] == (
        "OrganizationalUnitNotEmptyException")
    assert refused(org.delete_organization)[0] == "OrganizationNotEmptyException"
    assert refused(org.describe_account, AccountId="999999999999") == (
        "AccountNotFoundException", "You specified an account that doesn't exist.")
    theirs = client("organizations", account=member)
    assert theirs.describe_organization()["Organization"]["Id"] == made["Id"]
    assert refused(theirs.list_accounts) == (
        "AccessDeniedException", "You don't have permissions to access this resource.")
    org.register_delegated_administrator(AccountId=member, ServicePrincipal="guardduty.amazonaws.com")
    assert [a["Id"] for a in org.list_delegated_administrators()["DelegatedAdministrators"]] == [member]
    assert len(theirs.list_accounts()["Accounts"]) == 2
    org.tag_resource(ResourceId=member, Tags=[{"Key": "team", "Value": "blue"}])
    assert org.list_tags_for_resource(ResourceId=member)["Tags"] == [{"Key": "team", "Value": "blue"}]
    org.remove_account_from_organization(AccountId=member)
    assert refused(theirs.describe_organization) == (
        "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    org.delete_organizational_unit(OrganizationalUnitId=ou["Id"])
    org.delete_organization()
    assert refused(org.list_roots)[0] == "AWSOrganizationsNotInUseException"


def test_service_control_policies_bind_even_the_root_user(client, cloud, organization, account):
    org, made, root = organization
    member = create_account(org, "member")
    deny = org.create_policy(Name="no-users", Description="", Type="SERVICE_CONTROL_POLICY",
                             Content=scp("Deny", "iam:CreateUser"))["Policy"]["PolicySummary"]
    assert deny["Arn"] == f"arn:aws:organizations::{account}:policy/{made['Id']}/service_control_policy/{deny['Id']}"
    attach = dict(PolicyId=deny["Id"], TargetId=member)
    assert refused(org.attach_policy, **attach) == (
        "PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
    enabled = org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")["Root"]
    assert enabled["PolicyTypes"] == [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]
    iam = client("iam", account=member)
    iam.create_user(UserName="before")
    org.attach_policy(**attach)
    assert refused(org.attach_policy, **attach)[0] == "DuplicatePolicyAttachmentException"
    assert refused(iam.create_user, UserName="after") == (
        "AccessDenied",
        f"User: arn:aws:iam::{member}:root is not authorized to perform: iam:CreateUser on resource: "
        f"arn:aws:iam::{member}:user/after with an explicit deny in a service control policy: {deny['Arn']}")
    # The management account is not bound, wherever the policy stands.
    org.attach_policy(PolicyId=deny["Id"], TargetId=root)
    client("iam").create_user(UserName="manager")
    org.detach_policy(PolicyId=deny["Id"], TargetId=root)
    org.detach_policy(**attach)
    iam.create_user(UserName="after")

    # Without the policy that allows everything, only what others allow remains.
    allow = org.create_policy(Name="iam-only", Description="d", Type="SERVICE_CONTROL_POLICY",
                              Content=scp("Allow", "iam:*"))["Policy"]["PolicySummary"]
    assert refused(org.detach_policy, PolicyId="p-FullAWSAccess", TargetId=member) == (
        "ConstraintViolationException",
        "You cannot remove the last policy attached to the specified target. You should have at least one attached "
        "at all times.")
    org.attach_policy(PolicyId=allow["Id"], TargetId=member)
    org.detach_policy(PolicyId="p-FullAWSAccess", TargetId=member)
    assert refused(client("s3", account=member).list_buckets) == (
        "AccessDenied",
        f"User: arn:aws:iam::{member}:root is not authorized to perform: s3:ListAllMyBuckets because no service "
        "control policy allows the s3:ListAllMyBuckets action")
    iam.list_users()
    listed = org.list_policies_for_target(TargetId=member, Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert [p["Id"] for p in listed] == [allow["Id"]]
    targets = org.list_targets_for_policy(PolicyId=allow["Id"])["Targets"]
    assert [(t["TargetId"], t["Type"], t["Name"]) for t in targets] == [(member, "ACCOUNT", "member")]
    assert refused(org.delete_policy, PolicyId=allow["Id"])[0] == "PolicyInUseException"
    org.disable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    client("s3", account=member).list_buckets()
    org.delete_policy(PolicyId=allow["Id"])


def test_roles_of_accounts_that_were_made_can_be_assumed(client, cloud, organization, account):
    org, made, root = organization
    member = create_account(org, "member")
    keys = client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
    theirs = cloud.client("iam", account=member, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"],
                          token=keys["SessionToken"])
    theirs.create_user(UserName="ann")
    # A bucket policy may ask for the organization.
    s3 = client("s3")
    bucket = f"org-{made['Id']}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": made["Id"]}}}]}))
    member_s3 = cloud.client("s3", account=member, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"],
                             token=keys["SessionToken"])
    assert member_s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    stranger = client("s3", account=f"{(int(account) + 400_003) % 10**12:012d}")
    assert refused(stranger.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"


def test_invitations(client, organization, account):
    org, made, root = organization
    guest = f"{(int(account) + 11) % 10**12:012d}"
    theirs = client("organizations", account=guest)
    sent = org.invite_account_to_organization(Target={"Id": guest, "Type": "ACCOUNT"}, Notes="hi")["Handshake"]
    assert sent["State"] == "OPEN" and sent["Action"] == "INVITE"
    assert refused(org.invite_account_to_organization, Target={"Id": guest, "Type": "ACCOUNT"})[0] == (
        "DuplicateHandshakeException")
    assert [h["Id"] for h in theirs.list_handshakes_for_account()["Handshakes"]] == [sent["Id"]]
    assert theirs.accept_handshake(HandshakeId=sent["Id"])["Handshake"]["State"] == "ACCEPTED"
    assert org.describe_account(AccountId=guest)["Account"]["JoinedMethod"] == "INVITED"
    assert refused(theirs.decline_handshake, HandshakeId=sent["Id"])[0] == "InvalidHandshakeTransitionException"
    theirs.leave_organization()
    assert refused(org.leave_organization)[0] == "MasterCannotLeaveOrganizationException"


def test_all_features_come_once_every_invited_account_agrees(cloud, client, account):
    org = client("organizations")
    org.create_organization(FeatureSet="CONSOLIDATED_BILLING")
    root = org.list_roots()["Roots"][0]["Id"]
    assert refused(org.enable_policy_type, RootId=root, PolicyType="TAG_POLICY")[0] == (
        "PolicyTypeNotAvailableForOrganizationException")
    guest = f"{(int(account) + 11) % 10**12:012d}"
    theirs = client("organizations", account=guest)
    invited = org.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": guest})["Handshake"]
    theirs.accept_handshake(HandshakeId=invited["Id"])
    begun = org.enable_all_features()["Handshake"]
    assert (begun["Action"], begun["State"]) == ("ENABLE_ALL_FEATURES", "REQUESTED")
    assert "/enable_all_features/" in begun["Arn"]
    assert refused(org.enable_all_features)[0] == "HandshakeConstraintViolationException"
    assert refused(org.accept_handshake, HandshakeId=begun["Id"])[0] == "InvalidHandshakeTransitionException"
    asked = [h for h in theirs.list_handshakes_for_account()["Handshakes"] if h["Action"] == "APPROVE_ALL_FEATURES"]
    theirs.accept_handshake(HandshakeId=asked[0]["Id"])
    assert org.describe_organization()["Organization"]["FeatureSet"] == "CONSOLIDATED_BILLING"
    assert org.accept_handshake(HandshakeId=begun["Id"])["Handshake"]["State"] == "ACCEPTED"
    assert org.describe_organization()["Organization"]["FeatureSet"] == "ALL"
    with pytest.raises(ClientError) as caught:
        org.enable_all_features()
    assert caught.value.response["Reason"] == "ORGANIZATION_ALREADY_HAS_ALL_FEATURES"


def test_the_management_account_knows_the_addresses_of_the_others(client, organization, account):
    org, _, _ = organization
    member = create_account(org, "worker")
    settings = client("account")
    assert settings.get_primary_email(AccountId=member)["PrimaryEmail"] == "worker@example.com"
    for unknown in (account, "999999999999"):
        assert refused(settings.get_primary_email, AccountId=unknown)[0] == "AccessDeniedException"


def test_what_the_policies_above_an_account_come_to(client, organization, account):
    org, _, root = organization
    unit = org.create_organizational_unit(ParentId=root, Name="dev")["OrganizationalUnit"]["Id"]
    member = create_account(org, "worker")
    org.move_account(AccountId=member, SourceParentId=root, DestinationParentId=unit)
    nothing = "EffectivePolicyNotFoundException"
    assert refused(org.describe_effective_policy, PolicyType="TAG_POLICY", TargetId=member)[0] == nothing
    org.enable_policy_type(RootId=root, PolicyType="TAG_POLICY")
    assert refused(org.describe_effective_policy, PolicyType="TAG_POLICY", TargetId=member)[0] == nothing
    cost = lambda value: json.dumps({"tags": {"cost": {"tag_value": value}}})
    for name, content, target in (("whole", cost({"@@assign": ["a"]}), root), ("dev", cost({"@@append": ["b"]}), unit)):
        policy = org.create_policy(Name=name, Description="", Type="TAG_POLICY", Content=content)["Policy"]
        org.attach_policy(PolicyId=policy["PolicySummary"]["Id"], TargetId=target)
    got = org.describe_effective_policy(PolicyType="TAG_POLICY", TargetId=member)["EffectivePolicy"]
    assert json.loads(got["PolicyContent"]) == {"tags": {"cost": {"tag_value": ["a", "b"]}}}
    assert (got["TargetId"], got["PolicyType"]) == (member, "TAG_POLICY")
    theirs = client("organizations", account=member)
    assert theirs.describe_effective_policy(PolicyType="TAG_POLICY")["EffectivePolicy"]["TargetId"] == member
    assert refused(theirs.describe_effective_policy, PolicyType="TAG_POLICY", TargetId=account)[0] == (
        "AccessDeniedException")
    own = org.describe_effective_policy(PolicyType="TAG_POLICY")["EffectivePolicy"]
    assert json.loads(own["PolicyContent"]) == {"tags": {"cost": {"tag_value": ["a"]}}}
    assert refused(org.describe_effective_policy, PolicyType="TAG_POLICY", TargetId="999999999999")[0] == (
        "TargetNotFoundException")


def test_invitations_by_address(client, organization, account):
    org, _, _ = organization
    guest = f"{(int(account) + 13) % 10**12:012d}"
    sent = org.invite_account_to_organization(Target={"Type": "EMAIL", "Id": f"root@{guest}.example.com"})["Handshake"]
    assert {"Id": f"root@{guest}.example.com", "Type": "EMAIL"} in sent["Parties"]
    theirs = client("organizations", account=guest)
    assert [h["Id"] for h in theirs.list_handshakes_for_account()["Handshakes"]] == [sent["Id"]]
    theirs.accept_handshake(HandshakeId=sent["Id"])
    assert guest in [a["Id"] for a in org.list_accounts()["Accounts"]]
    open_one = org.invite_account_to_organization(Target={"Type": "EMAIL", "Id": "nobody@example.org"})["Handshake"]
    assert open_one["State"] == "OPEN"
    for target in ({"Type": "EMAIL", "Id": "nobody"}, {"Type": "ACCOUNT", "Id": "nobody"}, {"Type": "ORGANIZATION", "Id": "o"}):
        assert refused(org.invite_account_to_organization, Target=target)[0] == "InvalidInputException"
