"""Why a request was refused, and the least policy for what was done: the owner's commands."""
import json
import os
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import binary


def run(cloud, *arguments):
    environment = {**os.environ, "CLOUDLET_PORT": str(cloud.port)}
    done = subprocess.run([binary(), *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def worker(client, cloud, account):
    """A session of a role that may read and list queues and buckets, within a boundary."""
    iam = client("iam")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]}))
    iam.put_role_policy(RoleName="worker", PolicyName="wide", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    got = client("sts").assume_role(RoleArn=f"arn:aws:iam::{account}:role/worker", RoleSessionName="session")["Credentials"]
    return lambda service: cloud.client(
        service, account=account, key=got["AccessKeyId"], secret=got["SecretAccessKey"], token=got["SessionToken"])


def test_why_denied_names_the_statements(client, cloud, account, worker):
    iam = client("iam")
    boundary = iam.create_policy(PolicyName="edge", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}))
    iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=boundary["Policy"]["Arn"])
    with pytest.raises(ClientError) as caught:
        worker("s3").list_buckets()
    assert caught.value.response["Error"]["Message"].endswith(
        "because no permissions boundary allows the s3:ListAllMyBuckets action")
    text = run(cloud, "why-denied", caught.value.response["ResponseMetadata"]["RequestId"])
    assert "action    s3:ListAllMyBuckets" in text and "no permissions boundary allows" in text
    assert "Allow   wide, statement 1 (Sid All) (identity-based policy)" in text
    assert "s3:ListAllMyBuckets" in run(cloud, "why-denied")
    assert "No refusal is remembered" in run(cloud, "why-denied", "nonsense")


def test_the_least_policy_allows_what_was_done_and_no_more(client, cloud, account, worker, unique):
    bucket = unique("b")
    s3 = worker("s3")
    s3.create_bucket(Bucket=bucket)
    for i in range(30):
        s3.put_object(Bucket=bucket, Key=f"k/{i}", Body=b"x")
    s3.get_object(Bucket=bucket, Key="k/1")
    policy = json.loads(run(cloud, "iam", "generate-policy", "--for", f"arn:aws:iam::{account}:role/worker"))
    allowed = {(action, r) for s in policy["Statement"] for action in s["Action"] for r in s["Resource"]}
    assert allowed == {
        ("s3:CreateBucket", f"arn:aws:s3:::{bucket}"),
        ("s3:PutObject", f"arn:aws:s3:::{bucket}/*"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/k/1"),
    }
    # It is enough: with it alone the same calls succeed.
    iam = client("iam")
    iam.put_role_policy(RoleName="worker", PolicyName="wide", PolicyDocument=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="k/99", Body=b"x")
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket, Key="k/99")
    run(cloud, "iam", "generate-policy", "--for", "worker", "--account", account, "--since", "10m")


def test_identities_follow_reset_and_snapshots(new_cloud, tmp_path):
    cloud = new_cloud("--ephemeral")
    environment = {**os.environ, "CLOUDLET_PORT": str(cloud.port), "XDG_DATA_HOME": str(tmp_path)}

    def owner(*arguments):
        return subprocess.run([binary(), *arguments], env=environment, check=True, capture_output=True, timeout=60)

    iam = cloud.client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = cloud.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    session = ann.get_session_token()["Credentials"]
    temporary = cloud.client("sts", key=session["AccessKeyId"], secret=session["SecretAccessKey"],
                             token=session["SessionToken"])
    temporary.get_caller_identity()
    owner("snapshot", "save", "with-ann")
    owner("reset")
    for gone in (ann, temporary):
        with pytest.raises(ClientError) as caught:
            gone.get_caller_identity()
        assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    owner("snapshot", "load", "with-ann")
    assert ann.get_caller_identity()["Arn"].endswith("user/ann")
    assert temporary.get_caller_identity()["Arn"].endswith("user/ann")
