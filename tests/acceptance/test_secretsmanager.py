"""Secrets Manager through boto3: versions, their labels, rotation, replicas and refusals."""
import io
import json
import time
import uuid
import zipfile

import pytest
from botocore.exceptions import ClientError

MISSING = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


@pytest.fixture
def secrets(client):
    return client("secretsmanager")


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_secret_and_its_versions(secrets, account):
    made = secrets.create_secret(Name="app/db", SecretString="one", Description="d", Tags=[{"Key": "a", "Value": "b"}])
    assert made["ARN"].startswith(f"arn:aws:secretsmanager:us-east-1:{account}:secret:app/db-")
    assert len(made["ARN"].rsplit("-", 1)[1]) == 6 and made["Name"] == "app/db"
    got = secrets.get_secret_value(SecretId="app/db")
    assert (got["SecretString"], got["VersionStages"], got["VersionId"]) == ("one", ["AWSCURRENT"], made["VersionId"])
    put = secrets.put_secret_value(SecretId=made["ARN"], SecretBinary=b"\x00two")
    assert put["VersionStages"] == ["AWSCURRENT"]
    for name in ("app/db", made["ARN"], made["ARN"][:-7]):
        assert secrets.get_secret_value(SecretId=name)["SecretBinary"] == b"\x00two"
    assert secrets.get_secret_value(SecretId="app/db", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    described = secrets.describe_secret(SecretId="app/db")
    assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSPREVIOUS"], put["VersionId"]: ["AWSCURRENT"]}
    assert described["Tags"] == [{"Key": "a", "Value": "b"}] and described["Description"] == "d"
    assert "RotationEnabled" not in described and "KmsKeyId" not in described
    updated = secrets.update_secret(SecretId="app/db", Description="e")
    assert "VersionId" not in updated and secrets.describe_secret(SecretId="app/db")["Description"] == "e"
    pending = secrets.put_secret_value(SecretId="app/db", SecretString="three", VersionStages=["AWSPENDING"])
    assert secrets.get_secret_value(SecretId="app/db")["VersionId"] == put["VersionId"]
    assert "currently attached to version" in refused(
        secrets.update_secret_version_stage, SecretId="app/db", VersionStage="AWSCURRENT",
        MoveToVersionId=pending["VersionId"])[1]
    secrets.update_secret_version_stage(SecretId="app/db", VersionStage="AWSCURRENT",
                                        RemoveFromVersionId=put["VersionId"], MoveToVersionId=pending["VersionId"])
    versions = secrets.list_secret_version_ids(SecretId="app/db")["Versions"]
    assert {v["VersionId"]: v["VersionStages"] for v in versions} == {
        put["VersionId"]: ["AWSPREVIOUS"], pending["VersionId"]: ["AWSCURRENT", "AWSPENDING"]}
    assert versions[0]["KmsKeyIds"] == ["DefaultEncryptionKey"]
    assert len(secrets.list_secret_version_ids(SecretId="app/db", IncludeDeprecated=True)["Versions"]) == 3


def test_refusals(secrets):
    assert refused(secrets.get_secret_value, SecretId="nobody") == MISSING
    assert refused(secrets.describe_secret, SecretId="nobody") == MISSING
    assert refused(secrets.create_secret, Name="a b")[1].startswith("Invalid name. Must be a valid name containing")
    secrets.create_secret(Name="empty")
    assert refused(secrets.get_secret_value, SecretId="empty") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
    assert refused(secrets.create_secret, Name="empty") == (
        "ResourceExistsException", "The operation failed because the secret empty already exists.")
    assert refused(secrets.put_secret_value, SecretId="empty") == (
        "InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    secrets.put_secret_value(SecretId="empty", SecretString="x", VersionStages=["odd"])
    assert secrets.get_secret_value(SecretId="empty")["VersionStages"] == ["AWSCURRENT", "odd"]


def test_the_same_call_twice(secrets):
    token = str(uuid.uuid4())
    first = secrets.create_secret(Name="s", SecretString="x", ClientRequestToken=token)
    assert secrets.create_secret(Name="s", SecretString="x", ClientRequestToken=token)["ARN"] == first["ARN"]
    assert refused(secrets.create_secret, Name="s", SecretString="y", ClientRequestToken=token)[0] == (
        "ResourceExistsException")
    assert secrets.put_secret_value(SecretId="s", SecretString="x", ClientRequestToken=token)["VersionId"] == token
    assert refused(secrets.put_secret_value, SecretId="s", SecretString="y", ClientRequestToken=token) == (
        "ResourceExistsException",
        f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret "
        f"{first['ARN']}.")


def test_deletion(secrets):
    made = secrets.create_secret(Name="gone", SecretString="x")
    deleted = secrets.delete_secret(SecretId="gone", RecoveryWindowInDays=7)
    assert deleted["ARN"] == made["ARN"] and "DeletionDate" in deleted
    marked = ("InvalidRequestException",
              "You can't perform this operation on the secret because it was marked for deletion.")
    assert refused(secrets.get_secret_value, SecretId="gone") == marked
    assert refused(secrets.put_secret_value, SecretId="gone", SecretString="y") == marked
    assert refused(secrets.create_secret, Name="gone")[1] == (
        "You can't create this secret because a secret with this name is already scheduled for deletion.")
    assert "DeletedDate" in secrets.describe_secret(SecretId="gone")
    assert secrets.list_secrets()["SecretList"] == []
    assert len(secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1
    secrets.restore_secret(SecretId="gone")
    assert secrets.get_secret_value(SecretId="gone")["SecretString"] == "x"
    secrets.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    assert refused(secrets.get_secret_value, SecretId="gone") == MISSING
    assert secrets.create_secret(Name="gone")["ARN"] != made["ARN"]
    assert refused(secrets.delete_secret, SecretId="gone", RecoveryWindowInDays=6)[0] == "InvalidParameterException"
    assert refused(secrets.delete_secret, SecretId="gone", RecoveryWindowInDays=7,
                   ForceDeleteWithoutRecovery=True) == (
        "InvalidParameterException",
        "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")


def test_lists_and_batches(secrets):
    for name in ("dev/a", "dev/b", "prod/a"):
        secrets.create_secret(Name=name, SecretString=name, Description=f"The {name} thing",
                              Tags=[{"Key": "env", "Value": name[:3]}])

    def names(**kw):
        return [s["Name"] for s in secrets.list_secrets(**kw)["SecretList"]]

    assert names() == ["dev/a", "dev/b", "prod/a"]
    assert names(Filters=[{"Key": "name", "Values": ["dev"]}]) == ["dev/a", "dev/b"]
    assert names(Filters=[{"Key": "name", "Values": ["!dev"]}]) == ["prod/a"]
    assert names(Filters=[{"Key": "tag-value", "Values": ["pro"]}]) == ["prod/a"]
    assert names(Filters=[{"Key": "all", "Values": ["THING"]}], SortBy="name", SortOrder="desc") == [
        "prod/a", "dev/b", "dev/a"]
    first = secrets.list_secrets(MaxResults=2)
    assert len(first["SecretList"]) == 2
    assert len(secrets.list_secrets(MaxResults=2, NextToken=first["NextToken"])["SecretList"]) == 1
    got = secrets.batch_get_secret_value(SecretIdList=["dev/a", "nobody"])
    assert [v["SecretString"] for v in got["SecretValues"]] == ["dev/a"]
    assert got["Errors"] == [{"SecretId": "nobody", "ErrorCode": MISSING[0], "Message": MISSING[1]}]
    got = secrets.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["dev"]}])
    assert sorted(v["Name"] for v in got["SecretValues"]) == ["dev/a", "dev/b"]


def test_passwords(secrets):
    def password(**kw):
        return secrets.get_random_password(**kw)["RandomPassword"]

    assert len(password()) == 32 and len(password(PasswordLength=100)) == 100
    only = password(ExcludeLowercase=True, ExcludeUppercase=True, ExcludePunctuation=True)
    assert only.isdigit()
    assert not set("abcdefxyz") & set(password(PasswordLength=500, ExcludeCharacters="abcdefxyz"))
    four = password(PasswordLength=4)
    assert any(c.islower() for c in four) and any(c.isupper() for c in four) and any(c.isdigit() for c in four)
    assert refused(secrets.get_random_password, PasswordLength=3) == (
        "InvalidParameterException", "Password length is too short based on the required types.")


def test_values_are_encrypted_by_kms_with_the_callers_rights(cloud, client, secrets, account):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]
    secrets.create_secret(Name="own-key", SecretString="x", KmsKeyId=key["KeyId"])
    assert secrets.describe_secret(SecretId="own-key")["KmsKeyId"] == key["KeyId"]
    iam = client("iam")
    iam.create_user(UserName="reader")

    def allow(*actions):
        iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}))

    allow("secretsmanager:*")
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    theirs = cloud.client("secretsmanager", account=account, key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    assert refused(theirs.get_secret_value, SecretId="own-key") == (
        "AccessDeniedException", "Access to KMS is not allowed")
    allow("secretsmanager:*", "kms:Decrypt")
    assert theirs.get_secret_value(SecretId="own-key")["SecretString"] == "x"
    # The service's own key asks for no permission of KMS's.
    allow("secretsmanager:*")
    secrets.create_secret(Name="default-key", SecretString="y")
    assert theirs.get_secret_value(SecretId="default-key")["SecretString"] == "y"
    assert any(a["AliasName"] == "alias/aws/secretsmanager" and "TargetKeyId" in a
               for a in kms.list_aliases()["Aliases"])
    secrets.update_secret(SecretId="own-key", KmsKeyId="alias/aws/secretsmanager")
    assert theirs.get_secret_value(SecretId="own-key")["SecretString"] == "x"
    kms.disable_key(KeyId=key["KeyId"])
    assert secrets.get_secret_value(SecretId="own-key")["SecretString"] == "x"


def test_resource_policies(cloud, secrets, account):
    other = f"{(int(account) + 400_003) % 10**12:012d}"
    made = secrets.create_secret(Name="shared", SecretString="x")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": other}, "Action": "secretsmanager:*", "Resource": "*"}]})
    theirs = cloud.client("secretsmanager", account=other)
    assert refused(theirs.describe_secret, SecretId=made["ARN"])[0] == "AccessDeniedException"
    secrets.put_resource_policy(SecretId="shared", ResourcePolicy=policy)
    assert json.loads(secrets.get_resource_policy(SecretId="shared")["ResourcePolicy"]) == json.loads(policy)
    assert theirs.describe_secret(SecretId=made["ARN"])["Name"] == "shared"
    assert secrets.list_resource_policies(SecretId="shared")["ResourcePolicies"] == [{"PolicyName": "default"}]
    # AWS's own key is for its own account.
    assert refused(theirs.get_secret_value, SecretId=made["ARN"])[0] == "AccessDeniedException"
    public = policy.replace(other, "*")
    assert refused(secrets.put_resource_policy, SecretId="shared", ResourcePolicy=public,
                   BlockPublicPolicy=True)[0] == "PublicPolicyException"
    assert refused(secrets.put_resource_policy, SecretId="shared", ResourcePolicy="{")[0] == (
        "MalformedPolicyDocumentException")
    assert secrets.validate_resource_policy(ResourcePolicy=policy)["PolicyValidationPassed"] is True
    assert secrets.validate_resource_policy(ResourcePolicy=public)["PolicyValidationPassed"] is False
    assert refused(secrets.put_resource_policy, SecretId="shared", ResourcePolicy=policy, PolicyName="other")[0] == (
        "InvalidParameterException")
    locked = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": {"AWS": account}, "Action": "secretsmanager:PutResourcePolicy", "Resource": "*"}]})
    assert secrets.validate_resource_policy(SecretId="shared", ResourcePolicy=policy)["PolicyValidationPassed"] is True
    checked = secrets.validate_resource_policy(SecretId="shared", ResourcePolicy=locked)
    assert checked["PolicyValidationPassed"] is False and len(checked["ValidationErrors"]) == 1
    secrets.delete_resource_policy(SecretId="shared")
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="shared")
    assert secrets.list_resource_policies(SecretId="shared")["ResourcePolicies"] == []


def test_replicas(cloud, secrets, account):
    made = secrets.create_secret(Name="wide", SecretString="x", AddReplicaRegions=[{"Region": "eu-west-1"}])
    assert [r["Status"] for r in made["ReplicationStatus"]] == ["InSync"]
    there = cloud.client("secretsmanager", account=account, region="eu-west-1")
    [status] = secrets.describe_secret(SecretId="wide")["ReplicationStatus"]
    assert "LastAccessedDate" not in status
    assert there.get_secret_value(SecretId="wide")["SecretString"] == "x"
    [status] = secrets.describe_secret(SecretId="wide")["ReplicationStatus"]
    assert status["LastAccessedDate"] == there.describe_secret(SecretId="wide")["LastAccessedDate"]
    secrets.put_secret_value(SecretId="wide", SecretString="y")
    assert there.get_secret_value(SecretId="wide")["SecretString"] == "y"
    described = there.describe_secret(SecretId="wide")
    assert described["PrimaryRegion"] == "us-east-1"
    assert described["ARN"] == made["ARN"].replace("us-east-1", "eu-west-1")
    assert "replica" in refused(there.put_secret_value, SecretId="wide", SecretString="z")[1]
    assert "still has replica regions [eu-west-1]" in refused(secrets.delete_secret, SecretId="wide")[1]
    there.stop_replication_to_replica(SecretId="wide")
    there.put_secret_value(SecretId="wide", SecretString="own")
    taken = secrets.replicate_secret_to_regions(SecretId="wide", AddReplicaRegions=[{"Region": "eu-west-1"}])
    assert taken["ReplicationStatus"][0]["Status"] == "Failed"
    forced = secrets.replicate_secret_to_regions(
        SecretId="wide", AddReplicaRegions=[{"Region": "eu-west-1"}], ForceOverwriteReplicaSecret=True)
    assert forced["ReplicationStatus"][0]["Status"] == "InSync"
    assert there.get_secret_value(SecretId="wide")["SecretString"] == "y"
    tags = [{"Key": "a", "Value": "b"}]
    secrets.tag_resource(SecretId="wide", Tags=tags)
    secrets.update_secret(SecretId="wide", Description="of all")
    described = there.describe_secret(SecretId="wide")
    assert described["Tags"] == tags and described["Description"] == "of all"
    assert described["VersionIdsToStages"] == secrets.describe_secret(SecretId="wide")["VersionIdsToStages"]
    assert there.get_secret_value(SecretId="wide", VersionStage="AWSPREVIOUS")["SecretString"] == "x"
    assert refused(secrets.replicate_secret_to_regions, SecretId="wide", AddReplicaRegions=[{"Region": "us-east-1"}]) == (
        "InvalidParameterException", "Invalid replica region.")
    secrets.remove_regions_from_replication(SecretId="wide", RemoveReplicaRegions=["eu-west-1"])
    assert refused(there.get_secret_value, SecretId="wide") == MISSING


ROTATOR = """
import boto3, json

def handler(event, context):
    secrets = boto3.client("secretsmanager")
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert "AWSPENDING" in stages[token], stages
    secrets.tag_resource(SecretId=arn, Tags=[{"Key": step, "Value": "done"}])
    if step == "createSecret":
        value = secrets.get_random_password(PasswordLength=20)["RandomPassword"]
        secrets.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString="new:" + value,
                                 VersionStages=["AWSPENDING"])
    elif step == "testSecret":
        got = secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        assert got["SecretString"].startswith("new:") or got["SecretString"] == "to be tested"
    elif step == "finishSecret":
        [current] = [v for v, s in stages.items() if "AWSCURRENT" in s]
        secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                            RemoveFromVersionId=current)
"""


def test_a_replica_that_cannot_be_sealed_says_so(client, cloud, secrets, account):
    """A key of the other Region that is disabled: the primary changes, the replica tells why it did not."""
    there = cloud.client("kms", account=account, region="eu-west-1")
    key = there.create_key()["KeyMetadata"]["KeyId"]
    made = secrets.create_secret(Name="held", SecretString="1", AddReplicaRegions=[{"Region": "eu-west-1", "KmsKeyId": key}])
    assert made["ReplicationStatus"][0]["Status"] == "InSync" and made["ReplicationStatus"][0]["KmsKeyId"] == key
    there.disable_key(KeyId=key)
    secrets.put_secret_value(SecretId="held", SecretString="2")
    [status] = secrets.describe_secret(SecretId="held")["ReplicationStatus"]
    assert status["Status"] == "Failed" and "is disabled" in status["StatusMessage"]
    there.enable_key(KeyId=key)
    secrets.put_secret_value(SecretId="held", SecretString="3")
    assert secrets.describe_secret(SecretId="held")["ReplicationStatus"][0]["Status"] == "InSync"
    replica = cloud.client("secretsmanager", account=account, region="eu-west-1")
    assert replica.get_secret_value(SecretId="held")["SecretString"] == "3"
    assert replica.get_secret_value(SecretId="held", VersionStage="AWSPREVIOUS")["SecretString"] == "2"


def test_a_replica_in_another_account(cloud, secrets, account):
    other = f"{(int(account) + 400_003) % 10**12:012d}"
    theirs, kms = cloud.client("secretsmanager", account=other), cloud.client("kms", account=other)
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": [account, other]}, "Action": "kms:*", "Resource": "*"}]}))["KeyMetadata"]["Arn"]
    primary = secrets.create_secret(Name="main", SecretString="1")["ARN"]
    named = dict(Name="copy", CrossAccountPrimaryARN=primary)
    assert refused(theirs.create_secret, **named)[0] == "InvalidParameterException"
    assert refused(theirs.create_secret, **named, KmsKeyId=key, SecretString="x")[0] == "InvalidParameterException"
    replica = theirs.create_secret(**named, KmsKeyId=key)["ARN"]
    assert theirs.describe_secret(SecretId="copy")["CrossAccountPrimary"] == {
        "PrimarySecretARN": primary, "ReplicationStatus": "Pending"}
    ask = dict(SecretId="main", CrossAccountReplicaARN=replica)
    assert refused(secrets.associate_cross_account_replica, **ask) == (
        "InvalidRequestException", "The replica account is not in the same organization as the primary account.")
    made = secrets.associate_cross_account_replica(**ask, ReplicaRestriction="NoRestriction")
    assert made["ReplicationStatus"] == "InSync" and made["CrossAccountReplicaARN"] == replica
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "1"
    secrets.put_secret_value(SecretId="main", SecretString="2")
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "2"
    assert theirs.get_secret_value(SecretId="copy", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    assert secrets.describe_secret(SecretId="main")["CrossAccountReplicas"] == [
        {"ReplicaSecretARN": replica, "ReplicationStatus": "InSync"}]
    # A key that is disabled there does not stop the primary, and the status says so on both sides.
    kms.disable_key(KeyId=key)
    secrets.put_secret_value(SecretId="main", SecretString="3")
    [status] = secrets.describe_secret(SecretId="main")["CrossAccountReplicas"]
    assert status["ReplicationStatus"] == "Failed" and "is disabled" in status["StatusMessage"]
    assert theirs.describe_secret(SecretId="copy")["CrossAccountPrimary"]["ReplicationStatus"] == "Failed"
    kms.enable_key(KeyId=key)
    secrets.update_secret(SecretId="main", Description="again")
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "3"
    assert refused(theirs.put_secret_value, SecretId="copy", SecretString="x")[0] == "InvalidParameterException"
    for call, name in ((secrets.delete_secret, "main"), (theirs.delete_secret, "copy")):
        assert refused(call, SecretId=name)[0] == "InvalidRequestException"
    secrets.disassociate_cross_account_replica(**ask)
    assert refused(secrets.disassociate_cross_account_replica, **ask) == MISSING
    secrets.put_secret_value(SecretId="main", SecretString="4")
    assert theirs.describe_secret(SecretId="copy")["CrossAccountPrimary"]["ReplicationStatus"] == "Detached"
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "3"
    assert theirs.stop_replication_to_replica(SecretId="copy")["ARN"] == replica
    theirs.put_secret_value(SecretId="copy", SecretString="own")
    assert "CrossAccountPrimary" not in theirs.describe_secret(SecretId="copy")
    # Who was not named by the replica cannot fill it.
    secrets.create_secret(Name="stranger", SecretString="x")
    assert refused(secrets.associate_cross_account_replica, SecretId="stranger", CrossAccountReplicaARN=replica,
                   ReplicaRestriction="NoRestriction")[0] == "AccessDeniedException"


def rotator(client, code):
    """A rotation function that the service may invoke."""
    iam = client("iam")
    role = iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
    iam.put_role_policy(RoleName="rotator", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:*", "logs:*"],
                                                 "Resource": "*"}]}))
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", code)
    functions = client("lambda")
    made = functions.create_function(
        FunctionName="rotator", Runtime="python3.12", Handler="index.handler", Role=role["Role"]["Arn"],
        Code={"ZipFile": package.getvalue()}, Timeout=60)
    functions.get_waiter("function_active_v2").wait(FunctionName="rotator")
    return made["FunctionArn"]


def test_a_rotation_that_fails_stays_pending_and_is_taken_up_again(client, secrets):
    function = rotator(client, "def handler(event, context):\n    raise ValueError('not yet')\n")
    client("lambda").add_permission(FunctionName="rotator", StatementId="s", Action="lambda:InvokeFunction",
                                    Principal="secretsmanager.amazonaws.com")
    secrets.create_secret(Name="stuck", SecretString="old")
    ask = dict(SecretId="stuck", RotationLambdaARN=function, RotationRules={"ScheduleExpression": "rate(10 days)"})
    begun = secrets.rotate_secret(**ask)
    unfinished = ("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
    assert refused(secrets.rotate_secret, **ask) == unfinished
    stages = secrets.describe_secret(SecretId="stuck")["VersionIdsToStages"]
    assert stages[begun["VersionId"]] == ["AWSPENDING"]
    # Versions are listed that have a value.
    assert begun["VersionId"] not in [v["VersionId"] for v in secrets.list_secret_version_ids(SecretId="stuck")["Versions"]]
    assert secrets.get_secret_value(SecretId="stuck")["SecretString"] == "old"
    assert refused(secrets.get_secret_value, SecretId="stuck", VersionStage="AWSPENDING")[0] == "ResourceNotFoundException"
    # The function mends its ways, and the next call makes it try again, with the same version.
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", ROTATOR)
    functions = client("lambda")
    functions.update_function_code(FunctionName="rotator", ZipFile=package.getvalue())
    functions.get_waiter("function_updated_v2").wait(FunctionName="rotator")
    assert refused(secrets.rotate_secret, **ask) == unfinished
    deadline = time.time() + 60
    while time.time() < deadline:
        described = secrets.describe_secret(SecretId="stuck")
        if "LastRotatedDate" in described:
            break
        time.sleep(0.2)
    assert "AWSCURRENT" in described["VersionIdsToStages"][begun["VersionId"]], described
    # Once a rotation has succeeded, the expression is told in days, too.
    assert described["RotationRules"] == {"ScheduleExpression": "rate(10 days)", "AutomaticallyAfterDays": 10}
    assert "NextRotationDate" in described
    secrets.cancel_rotate_secret(SecretId="stuck")
    assert "LastRotatedDate" not in secrets.describe_secret(SecretId="stuck")


def test_rotation_through_all_four_steps(client, cloud, secrets, account):
    functions = client("lambda")
    function = rotator(client, ROTATOR)
    assert function == f"arn:aws:lambda:us-east-1:{account}:function:rotator"
    secrets.create_secret(Name="turning", SecretString="old", AddReplicaRegions=[{"Region": "eu-west-1"}])
    assert refused(secrets.rotate_secret, SecretId="turning") == (
        "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    ask = dict(SecretId="turning", RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30})
    assert refused(secrets.rotate_secret, **ask)[1].startswith(
        "Secrets Manager cannot invoke the specified Lambda function.")
    functions.add_permission(FunctionName="rotator", StatementId="s", Action="lambda:InvokeFunction",
                             Principal="secretsmanager.amazonaws.com")
    # The caller needs the permission to invoke it, too.
    iam = client("iam")
    iam.create_user(UserName="turner")
    iam.put_user_policy(UserName="turner", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}]}))
    access = iam.create_access_key(UserName="turner")["AccessKey"]
    turner = cloud.client("secretsmanager", account=account, key=access["AccessKeyId"], secret=access["SecretAccessKey"])
    code, message = refused(turner.rotate_secret, **ask)
    assert code == "AccessDeniedException" and "lambda:InvokeFunction" in message
    begun = secrets.rotate_secret(**ask)
    deadline = time.time() + 60
    while time.time() < deadline:
        described = secrets.describe_secret(SecretId="turning")
        if "LastRotatedDate" in described:
            break
        time.sleep(0.2)
    assert "AWSCURRENT" in described["VersionIdsToStages"][begun["VersionId"]], described
    assert described["RotationEnabled"] and described["RotationLambdaARN"] == function
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30} and "NextRotationDate" in described
    assert secrets.get_secret_value(SecretId="turning")["SecretString"].startswith("new:")
    assert secrets.get_secret_value(SecretId="turning", VersionStage="AWSPREVIOUS")["SecretString"] == "old"
    replica = cloud.client("secretsmanager", account=account, region="eu-west-1").describe_secret(SecretId="turning")
    assert replica["LastRotatedDate"] == described["LastRotatedDate"]
    wide = {"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"}
    assert refused(secrets.rotate_secret, SecretId="turning", RotationRules=wide)[0] == "InvalidParameterException"
    secrets.cancel_rotate_secret(SecretId="turning")
    assert secrets.describe_secret(SecretId="turning")["RotationEnabled"] is False
    # What begins later is only tested, with a version that goes again.
    secrets.create_secret(Name="later", SecretString="to be tested")
    secrets.rotate_secret(SecretId="later", RotationLambdaARN=function, RotateImmediately=False,
                          RotationRules={"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"})
    while time.time() < deadline + 60:
        described = secrets.describe_secret(SecretId="later")
        if described.get("Tags") and len(described["VersionIdsToStages"]) == 1:
            break
        time.sleep(0.2)
    assert described["Tags"] == [{"Key": "testSecret", "Value": "done"}]
    assert list(described["VersionIdsToStages"].values()) == [["AWSCURRENT"]]
    assert described["NextRotationDate"].timestamp() % 86400 == 16 * 3600 and "LastRotatedDate" not in described
    assert described["RotationRules"] == {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}


def test_what_the_service_itself_checks(client, secrets, account):
    secrets.create_secret(Name="checked", SecretString="x")
    # Bytes count, not characters.
    assert refused(secrets.put_secret_value, SecretId="checked", SecretString="é" * 40_000) == (
        "ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must "
        "have length less than or equal to 65536")
    assert refused(secrets.replicate_secret_to_regions, SecretId="checked", AddReplicaRegions=[{"Region": "mars-east-1"}]) == (
        "InvalidParameterException", "Invalid replica region.")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/nobody"}, "Action": "secretsmanager:*",
         "Resource": "*"}]})
    assert refused(secrets.put_resource_policy, SecretId="checked", ResourcePolicy=policy) == (
        "MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.")
    client("iam").create_user(UserName="nobody")
    secrets.put_resource_policy(SecretId="checked", ResourcePolicy=policy)
    bare = client("secretsmanager", parameter_validation=False)
    assert refused(bare.batch_get_secret_value, SecretIdList=[]) == (
        "ValidationException", "1 validation error detected: Value '[]' at 'secretIdList' failed to satisfy constraint: Member "
        "must have length greater than or equal to 1")


def test_an_update_makes_a_new_version_or_none(secrets):
    made = secrets.create_secret(Name="updated", SecretString="x")
    for value in ("x", "y"):
        assert refused(secrets.update_secret, SecretId="updated", SecretString=value, ClientRequestToken=made["VersionId"]) == (
            "ResourceExistsException",
            f"You can't use ClientRequestToken {made['VersionId']} because that value is already in use for a version of secret "
            f"{made['ARN']}.")


def test_a_new_key_takes_over_what_the_caller_may_seal_with_it(cloud, client, secrets, account):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    made = secrets.create_secret(Name="moving", SecretString="1")
    secrets.put_secret_value(SecretId="moving", SecretString="mine", VersionStages=["custom"])

    def keys():
        versions = secrets.list_secret_version_ids(SecretId="moving", IncludeDeprecated=True)["Versions"]
        return {",".join(v.get("VersionStages", [])): v["KmsKeyIds"] for v in versions}

    iam = client("iam")
    iam.create_user(UserName="mover")
    iam.put_user_policy(UserName="mover", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}]}))
    access = iam.create_access_key(UserName="mover")["AccessKey"]
    mover = cloud.client("secretsmanager", account=account, key=access["AccessKeyId"], secret=access["SecretAccessKey"])
    mover.update_secret(SecretId="moving", KmsKeyId=key)
    default = ["DefaultEncryptionKey"]
    assert secrets.describe_secret(SecretId="moving")["KmsKeyId"] == key
    assert keys() == {"AWSCURRENT": default, "custom": default}
    secrets.update_secret(SecretId="moving", KmsKeyId="alias/aws/secretsmanager")
    # With a new value at once: the version that was current is sealed again, too; other labels' versions stay as they are.
    updated = secrets.update_secret(SecretId="moving", KmsKeyId=key, SecretString="2")
    assert keys() == {"AWSPREVIOUS": [key], "AWSCURRENT": [key], "custom": default}
    assert secrets.get_secret_value(SecretId="moving", VersionId=made["VersionId"])["SecretString"] == "1"
    assert secrets.get_secret_value(SecretId="moving", VersionId=updated["VersionId"])["SecretString"] == "2"


def test_nobody_takes_permissions_from_himself_by_tags(cloud, client, secrets, account):
    secrets.create_secret(Name="tagged", SecretString="x", Tags=[{"Key": "team", "Value": "red"}])
    iam = client("iam")
    iam.create_user(UserName="red")
    iam.put_user_policy(UserName="red", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}]}))
    access = iam.create_access_key(UserName="red")["AccessKey"]
    red = cloud.client("secretsmanager", account=account, key=access["AccessKeyId"], secret=access["SecretAccessKey"])
    red.tag_resource(SecretId="tagged", Tags=[{"Key": "other", "Value": "1"}])
    assert refused(red.tag_resource, SecretId="tagged", Tags=[{"Key": "team", "Value": "blue"}])[0] == "AccessDeniedException"
    assert refused(red.untag_resource, SecretId="tagged", TagKeys=["team"])[0] == "AccessDeniedException"
    red.untag_resource(SecretId="tagged", TagKeys=["other"])
    assert secrets.describe_secret(SecretId="tagged")["Tags"] == [{"Key": "team", "Value": "red"}]
    secrets.untag_resource(SecretId="tagged", TagKeys=["team"])
