"""No secret, token or key appears in what the cloud writes, however much it is told to write."""
import json

from botocore.exceptions import ClientError


def test_nothing_secret_is_ever_logged(new_cloud):
    cloud = new_cloud("--ephemeral", "--log", "trace")
    account = "123456789012"
    iam, sts = cloud.client("iam", account=account), cloud.client("sts", account=account)
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]})
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    password, changed = "Sup3r-secret-Passw0rd!", "Another-Passw0rd-42!"
    iam.create_login_profile(UserName="ann", Password=password)
    iam.update_login_profile(UserName="ann", Password=changed)
    credential = iam.create_service_specific_credential(UserName="ann", ServiceName="codecommit.amazonaws.com")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]
    session = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="the-external-id")["Credentials"]
    secrets = {
        "secret key": key["SecretAccessKey"], "password": password, "changed password": changed,
        "service password": credential["ServiceSpecificCredential"]["ServicePassword"],
        "seed": device["Base32StringSeed"].decode(),
        "session secret": session["SecretAccessKey"], "session token": session["SessionToken"],
    }
    # Success, refusal and failure all pass the log.
    ann = {"account": account, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    held = {"account": account, "key": session["AccessKeyId"], "secret": session["SecretAccessKey"],
            "token": session["SessionToken"]}
    calls = [
        lambda: cloud.client("sts", **ann).get_caller_identity(),
        lambda: cloud.client("sts", **held).get_caller_identity(),
        lambda: cloud.client("s3", **held).list_buckets(),
        lambda: cloud.client("s3", **{**held, "secret": "wrong"}).list_buckets(),
        lambda: cloud.client("lambda", **{**held, "token": session["SessionToken"][:-9] + "AAAAAAAA="}).list_functions(),
        lambda: cloud.client("iam", **ann).change_password(OldPassword=password, NewPassword=changed),
        lambda: iam.create_login_profile(UserName="ann", Password=password),
        lambda: cloud.client("iam", account=account, parameter_validation=False).update_login_profile(
            UserName="x" * 200, Password=changed),
    ]
    for call in calls:
        try:
            call()
        except ClientError:
            pass
    url = cloud.client("s3", **held).generate_presigned_url("list_buckets")
    import urllib.error
    import urllib.request
    try:
        urllib.request.urlopen(url)
    except urllib.error.HTTPError:
        pass
    cloud.stop()
    written = "".join(cloud.output + cloud.errors)
    assert "DEBUG" in written, "the log at its finest level should say more than nothing"
    for what, secret in secrets.items():
        assert secret not in written, f"the {what} is in the log"
        assert secret.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D") not in written, f"the {what}"
