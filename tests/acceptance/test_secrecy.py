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
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from test_sts_federation import assertion, encrypted, metadata_of, self_signed
    idp = rsa.generate_private_key(65537, 2048)
    pem = idp.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()
    own = self_signed(idp, "server").public_bytes(serialization.Encoding.PEM).decode()
    iam.upload_server_certificate(ServerCertificateName="c", CertificateBody=own, PrivateKey=pem)
    provider = iam.create_saml_provider(
        Name="idp", SAMLMetadataDocument=metadata_of(idp), AssertionEncryptionMode="Allowed", AddPrivateKey=pem)["SAMLProviderArn"]
    said = assertion(idp, role, provider)
    sealed = encrypted(said, idp.public_key())
    federated = sts.get_federation_token(Name="guest")["Credentials"]
    scoped = cloud.client("sts", account=account, key=session["AccessKeyId"], secret=session["SecretAccessKey"],
                          token=session["SessionToken"]).get_scoped_credentials(DurationSeconds=60)["Credentials"]
    iam.enable_outbound_web_identity_federation()
    outbound = sts.get_web_identity_token(Audience=["x"], SigningAlgorithm="ES384")["WebIdentityToken"]
    secrets = {
        "server's key": pem.splitlines()[5], "assertion": said[200:260], "encrypted assertion": sealed[200:260],
        "federated secret": federated["SecretAccessKey"], "federated token": federated["SessionToken"],
        "scoped secret": scoped["SecretAccessKey"], "scoped token": scoped["SessionToken"],
        "web identity token": outbound,
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
        lambda: sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=said),
        lambda: sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider, SAMLAssertion=sealed),
        lambda: sts.assume_role_with_saml(RoleArn=role, PrincipalArn=provider + "x", SAMLAssertion=said),
        lambda: sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="session", WebIdentityToken=outbound),
        lambda: iam.upload_server_certificate(ServerCertificateName="d", CertificateBody=own[:-60], PrivateKey=pem),
        lambda: iam.update_saml_provider(SAMLProviderArn=provider, AddPrivateKey=pem[:-60]),
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


def test_no_key_plaintext_or_value_is_ever_logged(new_cloud, tmp_path):
    """The keys' own services: KMS, Secrets Manager, Parameter Store, and S3 as one that uses them."""
    import base64
    data = tmp_path / "data"
    cloud = new_cloud("--data", str(data), "--log", "trace")
    kms, secrets, ssm, s3 = (cloud.client(s) for s in ("kms", "secretsmanager", "ssm", "s3"))
    plain = "the plain text of a message"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=plain, EncryptionContext={"who": "ann"})["CiphertextBlob"]
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")["PrivateKeyPlaintext"]
    random = kms.generate_random(NumberOfBytes=32)["Plaintext"]
    hmac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    mac = kms.generate_mac(KeyId=hmac, Message=b"m", MacAlgorithm="HMAC_SHA_256")["Mac"]
    secrets.create_secret(Name="s", SecretString="first-secret-value", KmsKeyId=key)
    secrets.put_secret_value(SecretId="s", SecretBinary=b"second-secret-value")
    password = secrets.get_random_password(PasswordLength=40, ExcludePunctuation=True)["RandomPassword"]
    ssm.put_parameter(Name="p", Value="parameter-secret-value", Type="SecureString", KeyId=key)
    s3.create_bucket(Bucket="secrecy-kms")
    s3.put_object(Bucket="secrecy-kms", Key="o", Body=b"object-secret-value", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    calls = [
        lambda: kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"who": "ann"}),
        lambda: kms.decrypt(CiphertextBlob=sealed[:-1], EncryptionContext={"who": "ann"}),
        lambda: kms.encrypt(KeyId="alias/nobody", Plaintext=plain),
        lambda: kms.verify_mac(KeyId=hmac, Message=b"n", Mac=mac, MacAlgorithm="HMAC_SHA_256"),
        lambda: secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS"),
        lambda: secrets.create_secret(Name="s", SecretString="first-secret-value"),
        lambda: secrets.create_secret(Name="a b", SecretString="first-secret-value"),
        lambda: ssm.put_parameter(Name="p", Value="parameter-secret-value", Type="SecureString"),
        lambda: ssm.get_parameter(Name="p", WithDecryption=True),
        lambda: s3.get_object(Bucket="secrecy-kms", Key="o")["Body"].read(),
        lambda: kms.disable_key(KeyId=key),
        lambda: ssm.get_parameter(Name="p", WithDecryption=True),
        lambda: secrets.get_secret_value(SecretId="s"),
        lambda: s3.get_object(Bucket="secrecy-kms", Key="o"),
    ]
    for call in calls:
        try:
            call()
        except ClientError:
            pass
    cloud.stop()
    master = (data / "secrets" / "kms-master-key").read_bytes()
    written = "".join(cloud.output + cloud.errors)
    hidden = [plain.encode(), data_key, pair, random, mac, password.encode(), master, b"first-secret-value",
              b"second-secret-value", b"parameter-secret-value", b"object-secret-value"]
    for secret in hidden:
        forms = [base64.b64encode(secret).decode().rstrip("="), secret.hex(), str(list(secret))[1:-1]]
        if secret.isascii():
            forms.append(secret.decode())
        for form in forms:
            assert form not in written, form
    # Nor does it lie open on the disk: what is sealed there, only the master key opens.
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file() and path.name != "kms-master-key")
    for secret in hidden:
        assert secret not in stored
    for path in (data / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
