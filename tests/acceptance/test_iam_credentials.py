"""Certificates, keys and passwords that belong to users and accounts, through boto3."""
import base64
import datetime
import hmac
import struct
import time

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def key_pem(key, traditional=False):
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def certificate(key, name, issuer_key=None, issuer=None, days=30, ca=False):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def test_a_server_certificate_is_held_against_its_key_and_chain(client, rsa_key, account):
    iam = client("iam")
    ca_key = rsa.generate_private_key(65537, 2048)
    chain = certificate(ca_key, "the authority", ca=True)
    body = certificate(rsa_key, "example.test", ca_key, "the authority")
    made = iam.upload_server_certificate(
        ServerCertificateName="web", Path="/cloudfront/", CertificateBody=body, PrivateKey=key_pem(rsa_key, True),
        CertificateChain=chain, Tags=[{"Key": "a", "Value": "b"}])
    meta = made["ServerCertificateMetadata"]
    assert meta["Arn"] == f"arn:aws:iam::{account}:server-certificate/cloudfront/web"
    assert meta["ServerCertificateId"].startswith("ASCA") and len(meta["ServerCertificateId"]) == 21
    assert made["Tags"] == [{"Key": "a", "Value": "b"}]
    got = iam.get_server_certificate(ServerCertificateName="web")["ServerCertificate"]
    assert got["CertificateBody"] == body.strip() and got["CertificateChain"] == chain.strip()
    assert "PrivateKey" not in got

    other = ec.generate_private_key(ec.SECP256R1())
    upload = dict(ServerCertificateName="x", CertificateBody=body, PrivateKey=key_pem(rsa_key))
    assert refused(iam.upload_server_certificate, **{**upload, "PrivateKey": key_pem(other)})[0] == "KeyPairMismatch"
    assert refused(iam.upload_server_certificate, **{**upload, "CertificateBody": "junk"}) == (
        "MalformedCertificate", "Unable to parse certificate. Please ensure the certificate is in PEM format.")
    assert refused(iam.upload_server_certificate, **{**upload, "PrivateKey": "junk"})[0] == "MalformedCertificate"
    code, message = refused(
        iam.upload_server_certificate, **upload, CertificateChain=certificate(other, "nobody", ca=True))
    assert code == "MalformedCertificate" and message.endswith(
        "The index within the chain of the invalid certificate is: 0")
    assert refused(iam.upload_server_certificate, **{**upload, "ServerCertificateName": "web"}) == (
        "EntityAlreadyExists", "The Server Certificate with name web already exists.")
    ec_body = certificate(other, "curve.test")
    iam.upload_server_certificate(
        ServerCertificateName="curve", CertificateBody=ec_body, PrivateKey=key_pem(other, True))

    iam.update_server_certificate(ServerCertificateName="web", NewServerCertificateName="www", NewPath="/")
    listed = iam.list_server_certificates()["ServerCertificateMetadataList"]
    assert [c["ServerCertificateName"] for c in listed] == ["curve", "www"]
    assert iam.list_server_certificate_tags(ServerCertificateName="www")["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_server_certificate(ServerCertificateName="www", TagKeys=["a"])
    iam.delete_server_certificate(ServerCertificateName="www")
    assert refused(iam.get_server_certificate, ServerCertificateName="www") == (
        "NoSuchEntity", "The Server Certificate with name www cannot be found.")


def test_signing_certificates(client, rsa_key):
    iam = client("iam")
    iam.create_user(UserName="ann")
    body = certificate(rsa_key, "ann")
    made = iam.upload_signing_certificate(UserName="ann", CertificateBody=body)["Certificate"]
    assert made["Status"] == "Active" and made["UserName"] == "ann" and len(made["CertificateId"]) >= 24
    assert refused(iam.upload_signing_certificate, UserName="ann", CertificateBody=body)[0] == "DuplicateCertificate"
    old = certificate(rsa_key, "ann", days=-1)
    assert refused(iam.upload_signing_certificate, UserName="ann", CertificateBody=old)[0] == "InvalidCertificate"
    assert refused(iam.upload_signing_certificate, UserName="ann", CertificateBody="x")[0] == "MalformedCertificate"
    iam.update_signing_certificate(UserName="ann", CertificateId=made["CertificateId"], Status="Inactive")
    assert iam.list_signing_certificates(UserName="ann")["Certificates"][0]["Status"] == "Inactive"
    assert refused(iam.delete_user, UserName="ann") == (
        "DeleteConflict", "Cannot delete entity, must delete signing certificates first.")
    iam.delete_signing_certificate(UserName="ann", CertificateId=made["CertificateId"])
    assert refused(iam.delete_signing_certificate, UserName="ann", CertificateId=made["CertificateId"]) == (
        "NoSuchEntity", f"The Certificate with id {made['CertificateId']} cannot be found.")
    iam.delete_user(UserName="ann")


def test_ssh_public_keys(client, rsa_key):
    iam = client("iam")
    iam.create_user(UserName="ann")
    public = rsa_key.public_key()
    ssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    made = iam.upload_ssh_public_key(UserName="ann", SSHPublicKeyBody=ssh + " ann@example")["SSHPublicKey"]
    assert made["SSHPublicKeyId"].startswith("APKA") and made["Status"] == "Active"
    assert len(made["Fingerprint"]) == 47
    same = dict(UserName="ann", SSHPublicKeyId=made["SSHPublicKeyId"])
    assert iam.get_ssh_public_key(Encoding="PEM", **same)["SSHPublicKey"]["SSHPublicKeyBody"] == pem
    assert iam.get_ssh_public_key(Encoding="SSH", **same)["SSHPublicKey"]["SSHPublicKeyBody"] == ssh + " ann@example"
    assert refused(iam.upload_ssh_public_key, UserName="ann", SSHPublicKeyBody=pem)[0] == "DuplicateSSHPublicKey"
    short = b"".join(struct.pack(">I", len(p)) + p for p in (b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 64))
    weak = "ssh-rsa " + base64.b64encode(short).decode()
    assert refused(iam.upload_ssh_public_key, UserName="ann", SSHPublicKeyBody=weak)[0] == "InvalidPublicKey"
    assert refused(iam.upload_ssh_public_key, UserName="ann", SSHPublicKeyBody="ssh-rsa !")[0] == "InvalidPublicKey"
    assert refused(iam.upload_ssh_public_key, UserName="ann", SSHPublicKeyBody="hello")[0] == (
        "UnrecognizedPublicKeyEncoding")
    iam.update_ssh_public_key(Status="Inactive", **same)
    assert iam.list_ssh_public_keys(UserName="ann")["SSHPublicKeys"][0]["Status"] == "Inactive"
    iam.delete_ssh_public_key(**same)
    assert refused(iam.get_ssh_public_key, Encoding="SSH", **same) == (
        "NoSuchEntity", f"The Public Key with id {made['SSHPublicKeyId']} cannot be found.")


def test_service_specific_credentials(client, account):
    iam = client("iam")
    iam.create_user(UserName="ann")
    made = iam.create_service_specific_credential(UserName="ann", ServiceName="codecommit.amazonaws.com")
    made = made["ServiceSpecificCredential"]
    assert made["ServiceUserName"] == f"ann-at-{account}" and made["Status"] == "Active"
    assert made["ServiceSpecificCredentialId"].startswith("ACCA")
    same = dict(UserName="ann", ServiceSpecificCredentialId=made["ServiceSpecificCredentialId"])
    again = iam.reset_service_specific_credential(**same)["ServiceSpecificCredential"]
    assert again["ServicePassword"] != made["ServicePassword"]
    iam.update_service_specific_credential(Status="Inactive", **same)
    listed = iam.list_service_specific_credentials(UserName="ann")["ServiceSpecificCredentials"]
    assert [c["Status"] for c in listed] == ["Inactive"] and "ServicePassword" not in listed[0]
    assert refused(iam.create_service_specific_credential, UserName="ann", ServiceName="x.amazonaws.com") == (
        "NoSuchEntity", "No such service x.amazonaws.com is supported for Service Specific Credentials")
    assert refused(iam.create_service_specific_credential, UserName="none", ServiceName="codecommit.amazonaws.com") == (
        "NoSuchEntity", "The user with name none cannot be found.")
    key = iam.create_service_specific_credential(
        UserName="ann", ServiceName="bedrock.amazonaws.com", CredentialAgeDays=30)["ServiceSpecificCredential"]
    assert key["ServiceCredentialSecret"] and "ServicePassword" not in key and key["ExpirationDate"]
    iam.delete_service_specific_credential(**same)
    assert refused(iam.update_service_specific_credential, Status="Active", **same) == (
        "NoSuchEntity", f"No such credential {made['ServiceSpecificCredentialId']} exists")


def test_aliases_and_devices(client):
    iam = client("iam")
    for bad in ("Upper", "-begins", "ends-", "two--dashes", "under_score"):
        code, message = refused(client("iam", parameter_validation=False).create_account_alias, AccountAlias=bad)
        assert code == "ValidationError" and message.endswith("^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$"), bad
    iam.create_account_alias(AccountAlias="a-good-alias")
    assert iam.list_account_aliases()["AccountAliases"] == ["a-good-alias"]
    iam.delete_account_alias(AccountAlias="a-good-alias")

    iam.create_user(UserName="ann")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]
    seed = base64.b32decode(device["Base32StringSeed"])
    # The picture holds what an authenticator scans: whoever reads it has the seed.
    assert device["QRCodePNG"].startswith(b"\x89PNG\r\n\x1a\n") and device["QRCodePNG"].endswith(b"IEND\xaeB`\x82")

    def code(step):
        digest = hmac.new(seed, struct.pack(">Q", step), "sha1").digest()
        at = digest[-1] & 15
        return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"

    now = int(time.time()) // 30
    iam.enable_mfa_device(UserName="ann", SerialNumber=device["SerialNumber"], AuthenticationCode1=code(now - 1),
                          AuthenticationCode2=code(now))
    assert refused(iam.delete_virtual_mfa_device, SerialNumber=device["SerialNumber"]) == (
        "DeleteConflict", "MFA VirtualDevice in use. Must deactivate first.")
    assert refused(iam.delete_user, UserName="ann") == (
        "DeleteConflict", "Cannot delete entity, must delete MFA device first.")
    iam.deactivate_mfa_device(UserName="ann", SerialNumber=device["SerialNumber"])
    iam.delete_virtual_mfa_device(SerialNumber=device["SerialNumber"])
