"""Web identities and SAML through boto3, with providers that the test runs itself."""
import base64
import datetime
import hashlib
import http.server
import json
import os
import ssl
import threading
import time
import xml.etree.ElementTree as ET

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def self_signed(key, name):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )


class Provider:
    """An OpenID Connect provider on a port of this machine."""

    def __init__(self, tls=None):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.wide = ec.generate_private_key(ec.SECP521R1())
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                documents = {
                    "/.well-known/openid-configuration": {"issuer": provider.url, "jwks_uri": provider.url + "/keys"},
                    "/keys": provider.keys(),
                }
                found = documents.get(self.path)
                body = json.dumps(found).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys(self):
        r, e = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        w = self.wide.public_key().public_numbers()
        return {"keys": [
            {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": number(r.n), "e": number(r.e)},
            {"kty": "EC", "kid": "w", "crv": "P-521", "x": b64(w.x.to_bytes(66, "big")), "y": b64(w.y.to_bytes(66, "big"))},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(e.x.to_bytes(32, "big")), "y": b64(e.y.to_bytes(32, "big"))},
        ]}

    def token(self, alg="RS256", kid=None, key=None, **claims):
        now = int(time.time())
        claims = {"iss": self.url, "aud": "app", "sub": "user-1", "iat": now, "exp": now + 600, **claims}
        head = {"alg": alg, "typ": "JWT", "kid": kid or {"RS256": "r", "ES256": "e", "ES512": "w"}[alg]}
        signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        if alg == "RS256":
            signature = (key or self.rsa).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            own, hash, size = (self.ec, hashes.SHA256(), 32) if alg == "ES256" else (self.wide, hashes.SHA512(), 66)
            r, s = utils.decode_dss_signature((key or own).sign(signed.encode(), ec.ECDSA(hash)))
            signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return f"{signed}.{b64(signature)}"


@pytest.fixture
def provider():
    running = Provider()
    yield running
    running.server.shutdown()


@pytest.fixture
def nobody(cloud):
    """STS without any credentials."""
    return cloud.session().client(
        "sts", endpoint_url=cloud.endpoint, config=__import__("botocore.config").config.Config(
            signature_version=UNSIGNED, retries={"max_attempts": 0}))


def trusting(iam, account, provider_arn, action="sts:AssumeRoleWithWebIdentity", actions=(), **condition):
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": provider_arn}, "Action": [action, *actions],
        "Condition": condition}]}
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(trust))
    return f"arn:aws:iam::{account}:role/web"


def test_a_token_of_a_registered_provider(client, cloud, account, provider, nobody):
    iam = client("iam")
    issuer = provider.url.split("://")[1]
    arn = iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=["app"])["OpenIDConnectProviderArn"]
    role = trusting(iam, account, arn, actions=["sts:TagSession"], StringEquals={
        f"{issuer}:aud": "app", f"{issuer}:sub": "user-1"})
    assume = dict(RoleArn=role, RoleSessionName="session")
    for alg in ("RS256", "ES256", "ES512"):
        got = nobody.assume_role_with_web_identity(WebIdentityToken=provider.token(alg), **assume)
        assert got["SubjectFromWebIdentityToken"] == "user-1" and got["Audience"] == "app" and got["Provider"] == arn
        assert got["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/web/session"
        keys = got["Credentials"]
        me = cloud.client("sts", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], token=keys["SessionToken"])
        assert me.get_caller_identity()["Arn"] == got["AssumedRoleUser"]["Arn"]

    def refusal(**claims):
        return refused(nobody.assume_role_with_web_identity, WebIdentityToken=provider.token(**claims), **assume)

    assert refusal(sub="user-2") == ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert refusal(aud="other") == ("InvalidIdentityToken", "Incorrect token audience")
    assert refusal(iss="https://elsewhere.test") == (
        "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://elsewhere.test")
    code, message = refusal(exp=int(time.time()) - 10)
    assert code == "ExpiredTokenException" and message.startswith("Token expired: current date/time ")
    stranger = rsa.generate_private_key(65537, 2048)
    assert refusal(key=stranger)[0] == "InvalidIdentityToken"
    assert refusal(kid="unknown") == (
        "InvalidIdentityToken",
        "Couldn't retrieve verification key from your identity provider,  please reference "
        "AssumeRoleWithWebIdentity documentation for requirements")
    assert refused(nobody.assume_role_with_web_identity, WebIdentityToken="abcd", **assume) == (
        "InvalidIdentityToken",
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    missing = {**assume, "RoleArn": f"arn:aws:iam::{account}:role/none"}
    assert refused(nobody.assume_role_with_web_identity, WebIdentityToken=provider.token(), **missing) == (
        "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    tagged = provider.token(**{"https://aws.amazon.com/tags": {
        "principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}})
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue", f"{issuer}:sub": "user-1"}}}]}
    iam.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=json.dumps(policy))
    for token, allowed in ((tagged, True), (provider.token(), False)):
        keys = nobody.assume_role_with_web_identity(WebIdentityToken=token, **assume)["Credentials"]
        theirs = cloud.client("iam", account=account, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"],
                              token=keys["SessionToken"])
        if allowed:
            theirs.list_users()
        else:
            assert refused(theirs.list_users)[0] == "AccessDenied"


def test_a_provider_over_tls_is_known_by_its_thumbprint(client, account, nobody, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key, "localhost")
    (tmp_path / "pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    provider = Provider(tls)
    iam = client("iam")
    arn = iam.create_open_id_connect_provider(
        Url=provider.url, ClientIDList=["app"], ThumbprintList=["0" * 40])["OpenIDConnectProviderArn"]
    role = trusting(iam, account, arn)
    assume = dict(RoleArn=role, RoleSessionName="session", WebIdentityToken=provider.token())
    assert refused(nobody.assume_role_with_web_identity, **assume) == (
        "InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
    iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=arn, ThumbprintList=[certificate.fingerprint(hashes.SHA1()).hex()])
    assert nobody.assume_role_with_web_identity(**assume)["Provider"] == arn
    provider.server.shutdown()

    # Somebody in between cannot borrow the known certificate: a signature that cannot be checked vouches for nothing.
    liar = ed25519.Ed25519PrivateKey.generate()
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    forged = (
        x509.CertificateBuilder().subject_name(name).issuer_name(certificate.subject).public_key(stranger.public_key())
        .serial_number(7).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).sign(liar, None))
    (tmp_path / "forged").write_bytes(
        stranger.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + forged.public_bytes(serialization.Encoding.PEM) + certificate.public_bytes(serialization.Encoding.PEM))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "forged")
    between = Provider(tls)
    arn = iam.create_open_id_connect_provider(
        Url=between.url, ClientIDList=["app"], ThumbprintList=[certificate.fingerprint(hashes.SHA1()).hex()])[
        "OpenIDConnectProviderArn"]
    iam.delete_role(RoleName="web")
    role = trusting(iam, account, arn)
    assert refused(nobody.assume_role_with_web_identity, RoleArn=role, RoleSessionName="session",
                   WebIdentityToken=between.token()) == (
        "InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
    between.server.shutdown()


def instant(seconds=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


def assertion(key, role, provider, issuer="https://idp.test", tamper=None, name="ann@idp.test", issued=0, whole=False):
    """A signed SAML response, Base64-encoded."""
    ds = "http://www.w3.org/2000/09/xmldsig#"

    def signature(element, id):
        digest = base64.b64encode(hashlib.sha256(ET.canonicalize(element).encode()).digest()).decode()
        info = (
            f'<ds:SignedInfo xmlns:ds="{ds}">'
            '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
            f'<ds:Reference URI="#{id}"><ds:Transforms>'
            '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
            '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>'
            '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>")
        value = base64.b64encode(
            key.sign(ET.canonicalize(info).encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
        return f'<ds:Signature xmlns:ds="{ds}">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>'

    saml = "https://aws.amazon.com/SAML/Attributes"
    inner = (
        f'<saml:Issuer>{issuer}</saml:Issuer>{{signature}}<saml:Subject>'
        '<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">ann</saml:NameID>'
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<saml:SubjectConfirmationData NotOnOrAfter="{instant(300)}" Recipient="https://signin.aws.amazon.com/saml"/>'
        f'</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{instant(-60)}" '
        f'NotOnOrAfter="{instant(300)}"><saml:AudienceRestriction><saml:Audience>urn:amazon:webservices</saml:Audience>'
        '</saml:AudienceRestriction></saml:Conditions><saml:AttributeStatement>'
        f'<saml:Attribute Name="{saml}/Role"><saml:AttributeValue>{role},{provider}</saml:AttributeValue>'
        f'</saml:Attribute><saml:Attribute Name="{saml}/RoleSessionName"><saml:AttributeValue>{name}'
        f'</saml:AttributeValue></saml:Attribute><saml:Attribute Name="{saml}/PrincipalTag:team">'
        '<saml:AttributeValue>a &amp; b</saml:AttributeValue></saml:Attribute><saml:Attribute Name="2.5.4.42">'
        '<saml:AttributeValue>Ann</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>')
    head = f'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a" IssueInstant="{instant(issued)}" Version="2.0">'
    bare = head + inner.replace("{signature}", "") + "</saml:Assertion>"
    signed = bare if whole else head + inner.replace("{signature}", signature(bare, "_a")) + "</saml:Assertion>"
    envelope = (
        '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" Version="2.0" '
        f'IssueInstant="{instant()}"><samlp:Status><samlp:StatusCode '
        f'Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{{signature}}{signed}</samlp:Response>')
    text = envelope.replace("{signature}", signature(envelope.replace("{signature}", ""), "_r") if whole else "")
    if tamper:
        text = tamper(text)
    return base64.b64encode(text.encode()).decode()


def metadata_of(key):
    """The metadata document of a provider that signs with this key."""
    shown = base64.b64encode(self_signed(key, "idp").public_bytes(serialization.Encoding.DER)).decode()
    return (
        '<?xml version="1.0"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.test">'
        '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing">'
        f'<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{shown}</X509Certificate>'
        '</X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Location="https://idp.test/sso" '
        'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"/></IDPSSODescriptor></EntityDescriptor>'
    ).ljust(1000)


def test_an_assertion_of_a_registered_provider(client, cloud, account, nobody):
    key = rsa.generate_private_key(65537, 2048)
    metadata = metadata_of(key)
    iam = client("iam")
    arn = iam.create_saml_provider(Name="idp", SAMLMetadataDocument=metadata)["SAMLProviderArn"]
    assert arn == f"arn:aws:iam::{account}:saml-provider/idp"
    assert refused(iam.create_saml_provider, Name="bad", SAMLMetadataDocument="<a/>".ljust(1000)) == (
        "InvalidInput", "Could not parse metadata")
    assert [p["Arn"] for p in iam.list_saml_providers()["SAMLProviderList"]] == [arn]
    assert iam.get_saml_provider(SAMLProviderArn=arn)["SAMLMetadataDocument"] == metadata
    assert refused(iam.get_saml_provider, SAMLProviderArn=arn + "x") == (
        "NoSuchEntity", f"Manifest not found for arn {arn}x")
    role = trusting(iam, account, arn, "sts:AssumeRoleWithSAML", ["sts:TagSession"],
                    StringEquals={"SAML:aud": "https://signin.aws.amazon.com/saml", "saml:givenName": "Ann"})
    assume = dict(RoleArn=role, PrincipalArn=arn)
    for whole in (False, True):
        got = nobody.assume_role_with_saml(SAMLAssertion=assertion(key, role, arn, whole=whole), **assume)
        assert got["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/web/ann@idp.test"
        assert (got["Subject"], got["SubjectType"], got["Issuer"], got["Audience"]) == (
            "ann", "persistent", "https://idp.test", "https://signin.aws.amazon.com/saml")
        assert got["NameQualifier"] == base64.b64encode(
            hashlib.sha1(f"https://idp.test{account}/idp".encode()).digest()).decode()
    keys = got["Credentials"]
    me = cloud.client("sts", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], token=keys["SessionToken"])
    assert me.get_caller_identity()["Arn"] == got["AssumedRoleUser"]["Arn"]

    def refusal(**kw):
        return refused(nobody.assume_role_with_saml, SAMLAssertion=assertion(key, role, arn, **kw), **assume)

    bad = ("InvalidIdentityToken", "Response signature invalid")
    assert refusal(tamper=lambda text: text.replace("ann@idp.test", "eve@idp.test")) == bad
    # A second assertion beside the signed one does not take its place.
    def wrap(text):
        start, end = text.index("<saml:Assertion"), text.index("</saml:Assertion>") + len("</saml:Assertion>")
        forged = text[start:end].replace('ID="_a"', 'ID="_b"').replace("ann@idp.test", "eve@idp.test")
        return text[:start] + forged.replace("{", "") + f"<x>{text[start:end]}</x>" + text[end:]
    assert refusal(tamper=wrap)[0] == "InvalidIdentityToken"
    assert refusal(issuer="https://other.test") == (
        "InvalidIdentityToken", "Issuer not present in specified provider")
    assert refusal(issued=-600) == (
        "ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
    assert refusal(name="a b") == (
        "InvalidIdentityToken", "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    assert refused(nobody.assume_role_with_saml, SAMLAssertion="AAAA", **assume)[0] == "InvalidIdentityToken"
    stranger = rsa.generate_private_key(65537, 2048)
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=assertion(stranger, role, arn), **assume) == bad
    other = {**assume, "RoleArn": f"arn:aws:iam::{account}:role/none"}
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=assertion(key, role, arn), **other) == (
        "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
    iam.delete_saml_provider(SAMLProviderArn=arn)
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=assertion(key, role, arn), **assume) == (
        "InvalidIdentityToken", "Specified provider doesn't exist")


def encrypted(response, public, cipher="aes256-cbc", transport="rsa-oaep-mgf1p", beside=False):
    """The same response with its assertion encrypted for a key (XML Encryption 1.1)."""
    xenc, ds = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2000/09/xmldsig#"
    xenc11 = "http://www.w3.org/2009/xmlenc11#"
    text = base64.b64decode(response).decode()
    start, end = text.index("<saml:Assertion"), text.index("</saml:Assertion>") + len("</saml:Assertion>")
    plain, secret = text[start:end].encode(), os.urandom(int(cipher[3:6]) // 8)
    if cipher.endswith("gcm"):
        nonce = os.urandom(12)
        content, cipher_uri = nonce + AESGCM(secret).encrypt(nonce, plain, None), xenc11 + cipher
    else:
        count = 16 - len(plain) % 16
        iv, padded = os.urandom(16), plain + os.urandom(count - 1) + bytes([count])
        sealer = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
        content, cipher_uri = iv + sealer.update(padded) + sealer.finalize(), xenc + cipher
    sha256 = transport == "rsa-oaep"
    mask = hashes.SHA256() if sha256 else hashes.SHA1()
    digest = hashes.SHA256() if sha256 else hashes.SHA1()
    wrapped = public.encrypt(secret, padding.OAEP(padding.MGF1(mask), digest, None))
    method = (f'<xenc:EncryptionMethod Algorithm="{xenc11}rsa-oaep"><ds:DigestMethod xmlns:ds="{ds}" '
              f'Algorithm="{xenc}sha256"/><m:MGF xmlns:m="{xenc11}" Algorithm="{xenc11}mgf1sha256"/>'
              '</xenc:EncryptionMethod>') if sha256 else f'<xenc:EncryptionMethod Algorithm="{xenc}rsa-oaep-mgf1p"/>'
    value = lambda data: (f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(data).decode()}</xenc:CipherValue>"
                          "</xenc:CipherData>")
    carried = f'<xenc:EncryptedKey xmlns:xenc="{xenc}">{method}{value(wrapped)}</xenc:EncryptedKey>'
    info = "" if beside else f'<ds:KeyInfo xmlns:ds="{ds}">{carried}</ds:KeyInfo>'
    sealed = (f'<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData '
              f'xmlns:xenc="{xenc}" Type="{xenc}Element"><xenc:EncryptionMethod Algorithm="{cipher_uri}"/>{info}'
              f"{value(content)}</xenc:EncryptedData>{carried if beside else ''}</saml:EncryptedAssertion>")
    return base64.b64encode((text[:start] + sealed + text[end:]).encode()).decode()


def test_encrypted_assertions_are_opened_with_the_keys_of_the_provider(client, account, nobody):
    key, first, second = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    pem = lambda key, form: key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    iam = client("iam")
    assert refused(iam.create_saml_provider, Name="x", SAMLMetadataDocument=metadata_of(key),
                   AssertionEncryptionMode="Required")[0] == "InvalidInput"
    assert refused(iam.create_saml_provider, Name="x", SAMLMetadataDocument=metadata_of(key),
                   AddPrivateKey="not a key") == ("InvalidInput", "Invalid private key.")
    arn = iam.create_saml_provider(
        Name="idp", SAMLMetadataDocument=metadata_of(key), AssertionEncryptionMode="Allowed",
        AddPrivateKey=pem(first, serialization.PrivateFormat.TraditionalOpenSSL))["SAMLProviderArn"]
    role = trusting(iam, account, arn, "sts:AssumeRoleWithSAML", ["sts:TagSession"])
    assume = dict(RoleArn=role, PrincipalArn=arn)
    signed = assertion(key, role, arn)
    public = first.public_key()
    for cipher, transport, beside in (
            ("aes128-cbc", "rsa-oaep-mgf1p", False), ("aes192-cbc", "rsa-oaep-mgf1p", False),
            ("aes256-cbc", "rsa-oaep", True), ("aes128-gcm", "rsa-oaep", False), ("aes256-gcm", "rsa-oaep-mgf1p", True)):
        sealed = encrypted(signed, public, cipher, transport, beside)
        assert nobody.assume_role_with_saml(SAMLAssertion=sealed, **assume)["Subject"] == "ann", cipher

    # Another's key does not open it, and a rotation keeps the old key beside the new one.
    other = encrypted(signed, second.public_key())
    failed = ("InvalidIdentityToken", "Failed to decrypt the SAML assertion.")
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=other, **assume) == failed
    iam.update_saml_provider(SAMLProviderArn=arn, AddPrivateKey=pem(second, serialization.PrivateFormat.PKCS8))
    for sealed in (other, encrypted(signed, public)):
        nobody.assume_role_with_saml(SAMLAssertion=sealed, **assume)
    assert refused(iam.update_saml_provider, SAMLProviderArn=arn, AddPrivateKey=pem(
        key, serialization.PrivateFormat.PKCS8)) == ("LimitExceeded", "Private key limit of 2 is reached.")
    keys = iam.get_saml_provider(SAMLProviderArn=arn)["PrivateKeyList"]
    assert len(keys) == 2 and all(k["KeyId"] and k["Timestamp"] for k in keys)

    # What is inside must be signed, and what is changed on the way opens no more.
    stranger = encrypted(assertion(second, role, arn), public)
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=stranger, **assume) == (
        "InvalidIdentityToken", "Response signature invalid")
    text = base64.b64decode(encrypted(signed, public, "aes256-gcm"))
    at = text.rindex(b"</xenc:CipherValue>") - 40
    changed = base64.b64encode(text[:at] + bytes([text[at] ^ 1]) + text[at + 1:]).decode()
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=changed, **assume)[0] == "InvalidIdentityToken"

    iam.update_saml_provider(SAMLProviderArn=arn, AssertionEncryptionMode="Required")
    assert refused(nobody.assume_role_with_saml, SAMLAssertion=signed, **assume)[0] == "InvalidIdentityToken"
    assert refused(iam.update_saml_provider, SAMLProviderArn=arn, RemovePrivateKey="A" * 22)[0] == "NoSuchEntity"
    assert refused(iam.update_saml_provider, SAMLProviderArn=arn) == (
        "InvalidInput",
        "Unable to update identity provider. No updates are defined for metadata or encryption assertion.")


def test_older_sessions_can_be_revoked(client, cloud, account):
    iam, sts = client("iam"), client("sts")
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}]}
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(allow))

    def session():
        keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/r", RoleSessionName="session")["Credentials"]
        return cloud.client("iam", account=account, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"],
                            token=keys["SessionToken"])

    old = session()
    old.list_users()
    revoke = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": instant(60)}}}]}
    iam.put_role_policy(RoleName="r", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps(revoke))
    assert refused(old.list_users)[1].endswith("with an explicit deny in an identity-based policy")
    revoke["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = instant(-60)
    iam.put_role_policy(RoleName="r", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps(revoke))
    session().list_users()
