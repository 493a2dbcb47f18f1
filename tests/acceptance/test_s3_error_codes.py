"""Every error code that AWS documents for S3: a request that gives it, the test that holds it, or why it cannot occur.

Source: S3 API Reference, "Error responses", and the errors of the API's model. What cannot occur is said in docs/s3.md.
"""
import json
import pathlib
import re
import socket
import uuid

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import test_s3_configurations
from s3_help import code, form, md5, opened, plain, policy_fields, relative, signed, statement

OTHER = "610987654321"
XML = "The XML you provided was not well-formed or did not validate against our published schema"
METHOD = "The specified method is not allowed against this resource."
PRECONDITION = "At least one of the pre-conditions you specified did not hold"
MISMATCH = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
FIELD = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
KMS = {"x-amz-server-side-encryption": "aws:kms"}
UNTIL = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}


class Place:
    """Buckets of all kinds: `B` plain, `L` with object lock, `E` in Europe, `O` of another account, `A` with ACLs."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.s3, self.kms, self.iam = cloud.client("s3"), cloud.client("kms"), cloud.client("iam")
        self.names = {letter: f"codes-{letter.lower()}-{uuid.uuid4().hex[:10]}" for letter in "BLEOAV"}
        self.s3.create_bucket(Bucket=self.names["B"])
        self.s3.create_bucket(Bucket=self.names["L"], ObjectLockEnabledForBucket=True)
        self.s3.create_bucket(Bucket=self.names["E"], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.s3.create_bucket(Bucket=self.names["V"])
        cloud.client("s3", account=OTHER).create_bucket(Bucket=self.names["O"])
        self.s3.create_bucket(Bucket=self.names["A"])
        opened(self.s3, self.names["A"])
        self.s3.put_bucket_policy(Bucket=self.names["A"], Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            statement(self.names["A"], action="s3:GetBucketPolicy", principal={"AWS": OTHER})]}))
        for key, more in (("k", {}), ("cold", {"StorageClass": "GLACIER"}), ("tiered", {"StorageClass": "INTELLIGENT_TIERING"})):
            self.s3.put_object(Bucket=self.names["B"], Key=key, Body=b"hello", **more)
        self.s3.put_object(Bucket=self.names["L"], Key="k", Body=b"hello")
        self.s3.put_object(Bucket=self.names["A"], Key="open", Body=b"hello", ACL="public-read")

    def named(self, text):
        return re.sub(r"\b([BLEOAV])(?=[/?]|$)", lambda m: self.names[m.group(1)], text)

    def ask(self, method, path, headers=None, body=b"", **signing):
        headers = {k: self.named(v) if k == "x-amz-copy-source" else v for k, v in (headers or {}).items()}
        return signed(self.cloud, method, f"/{self.named(path)}", headers, body, **signing)

    def presigned(self, call="put_object", **more):
        client = self.cloud.client("s3", signature_version="s3v4")
        return relative(self.cloud, client.generate_presigned_url(call, Params={"Bucket": self.names["B"], "Key": "p", **more}))

    def raw(self, head, body=b""):
        """A presigned upload by hand, whose sender says no more after what there is of the body."""
        with socket.create_connection(("localhost", self.cloud.port), timeout=30) as line:
            line.sendall(f"PUT {self.presigned()} HTTP/1.1\r\nHost: localhost:{self.cloud.port}\r\n"
                         f"Connection: close\r\n{head}\r\n".encode() + body)
            if body:
                line.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := line.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), {}, body

    def parts(self, *bodies):
        upload = self.s3.create_multipart_upload(Bucket=self.names["B"], Key="m")["UploadId"]
        tags = [self.s3.upload_part(Bucket=self.names["B"], Key="m", UploadId=upload, PartNumber=n, Body=body)["ETag"]
                for n, body in enumerate(bodies, 1)]
        return upload, tags

    def complete(self, upload, parts):
        body = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in parts)
        return self.ask("POST", f"B/m?uploadId={upload}", {}, f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode())

    def post(self, fields, **more):
        headers, body = form(fields, **more)
        return plain(self.cloud, "POST", f"/{self.names['B']}", headers, body)

    def mfa(self, serial_and_code):
        body = b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
        return self.ask("PUT", "V?versioning", {"x-amz-mfa": serial_and_code, "content-md5": md5(body)}, body)

    def document(self, path, body, **headers):
        return self.ask("PUT", path, {"content-md5": md5(body), **headers}, body)


@pytest.fixture(scope="module")
def place(cloud):
    return Place(cloud)


def asks(method, path, headers=None, body=b"", **signing):
    return lambda p: p.ask(method, path, headers, body, **signing)


def puts(path, body, **headers):
    return lambda p: p.document(path, body, **headers)


def small_parts(p):
    upload, (one, two) = p.parts(b"x", b"y")
    return p.complete(upload, [(1, one), (2, two)])


def parts_out_of_order(p):
    upload, (one, two) = p.parts(b"x", b"y")
    return p.complete(upload, [(2, two), (1, one)])


def parts_that_are_not_there(p):
    upload, (one,) = p.parts(b"x")
    return p.complete(upload, [(2, one)])


def key_of(p, **how):
    made = p.kms.create_key(**how)["KeyMetadata"]
    return made["KeyId"]


def disabled_key(p):
    key = key_of(p)
    p.kms.disable_key(KeyId=key)
    return p.ask("PUT", "B/s", {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": key}, b"x")


def dying_key(p):
    key = key_of(p)
    p.kms.schedule_key_deletion(KeyId=key)
    return p.ask("PUT", "B/s", {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": key}, b"x")


def key_that_signs(p):
    key = key_of(p, KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
    return p.ask("PUT", "B/s", {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": key}, b"x")


def borrowed_key(p):
    given = p.cloud.client("sts").get_session_token()["Credentials"]
    return p.ask("GET", "B", {"x-amz-security-token": "token"}, key=given["AccessKeyId"], secret=given["SecretAccessKey"])


def other_body(p):
    """A request with another body than the one that was signed."""
    request = AWSRequest("PUT", f"{p.cloud.endpoint}/{p.names['B']}/x", data=b"x")
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    return plain(p.cloud, "PUT", f"/{p.names['B']}/x", dict(request.headers), b"y")


def restored_twice(p):
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    p.s3.put_object(Bucket=p.names["B"], Key="frozen", Body=b"x", StorageClass="DEEP_ARCHIVE")
    p.ask("POST", "B/frozen?restore", {}, body)
    return p.ask("POST", "B/frozen?restore", {}, body)


def logs_to_europe(p):
    where = f"<LoggingEnabled><TargetBucket>{p.names['E']}</TargetBucket><TargetPrefix/></LoggingEnabled>"
    return p.document("B?logging", f"<BucketLoggingStatus>{where}</BucketLoggingStatus>".encode())


def new_device(p):
    name = f"d{uuid.uuid4().hex[:10]}"
    return p.mfa(p.iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"] + " 123456")


def wrong_password(p):
    return p.mfa(test_s3_configurations.Device(p.iam, lambda prefix: f"{prefix}-{uuid.uuid4().hex[:8]}").serial + " 000000")


def full_form(p):
    fields = {"key": "f", **{f"x-amz-meta-{n}": "x" * 1000 for n in range(25)}}
    return p.post(fields)


def policy_of_a_form(p, document):
    return p.post(policy_fields(document, {"key": "f"}))


def anonymously(method, path, headers=None, body=None):
    return lambda p: plain(p.cloud, method, f"/{p.named(path)}", headers, body)


def versioning_of_the_locked(p):
    return p.document("L?versioning", b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")


SETTINGS = "<%s xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>%s</%s>"
ACL = ("<AccessControlPolicy><Owner><ID>%(id)s</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi='http://www.w3.org/2001/"
       "XMLSchema-instance' xsi:type='%(type)s'>%(who)s</Grantee><Permission>%(what)s</Permission></Grant></AccessControlList>"
       "</AccessControlPolicy>")


def acl(p, **how):
    owner = p.s3.list_buckets()["Owner"]["ID"]
    filled = {"id": owner, "type": "CanonicalUser", "who": f"<ID>{owner}</ID>", "what": "READ", **how}
    return p.document("A?acl", (ACL % filled).encode())


# The code, its status, its message (as AWS words it), further elements of the body, and a request that gives it.
REACHED = [
    ("AccessControlListNotSupported", 400, "The bucket does not allow ACLs", {}, asks("PUT", "B?acl", {"x-amz-acl": "public-read"})),
    ("AccessDenied", 403, "Access Denied", {}, anonymously("GET", "B/k")),
    ("AccessForbidden", 403, "CORSResponse: CORS is not enabled for this bucket.", {"Method": "GET", "ResourceType": "BUCKET"},
     anonymously("OPTIONS", "B", {"Origin": "http://a.org", "Access-Control-Request-Method": "GET"})),
    ("AccessForbidden", 403, "CORSResponse: Bucket not found", {"Method": "PUT", "ResourceType": "OBJECT"},
     anonymously("OPTIONS", "codes-none/k", {"Origin": "http://a.org", "Access-Control-Request-Method": "PUT"})),
    ("AnnotationNameTooLong", 400, None, {}, asks("PUT", f"B/k?annotation&annotationName={'n' * 513}", {}, b"x")),
    ("AuthorizationHeaderMalformed", 400, None, {}, anonymously("GET", "B", {"Authorization": "AWS4-HMAC-SHA256 x"})),
    ("AuthorizationQueryParametersError", 400, None, {}, anonymously("GET", "B/k?X-Amz-Algorithm=AWS4-HMAC-SHA256")),
    ("BadDigest", 400, "The Content-MD5 you specified did not match what we received.",
     {"ExpectedDigest": "d41d8cd98f00b204e9800998ecf8427e", "CalculatedDigest": "ndTkYSaMgDT1yFZOFVxnpg=="},
     asks("PUT", "B/x", {"content-md5": md5(b"")}, b"x")),
    ("BadRequest", 400, "Insufficient information. Origin request header needed.", {}, anonymously("OPTIONS", "B")),
    ("BucketAlreadyExists", 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the "
     "system. Please select a different name and try again.", {"BucketName": "O"}, asks("PUT", "O")),
    ("BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it.",
     {"BucketName": "E"}, asks("PUT", "E", region="eu-west-1",
                               body=b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>")),
    ("BucketNotEmpty", 409, "The bucket you tried to delete is not empty", {"BucketName": "B"}, asks("DELETE", "B")),
    # The documented spelling is AWS's documentation's alone.
    ("CrossLocationLoggingProhibitted", 403, "Cross S3 location logging not allowed. ", {"TargetBucketLocation": "eu-west-1"},
     logs_to_europe),
    ("DeviceNotActiveError", 400, "The device is not currently active.", {}, new_device),
    ("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size",
     {"ProposedSize": "5368709121", "MaxSizeAllowed": "5368709120"}, lambda p: p.raw("Content-Length: 5368709121\r\n")),
    ("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size",
     {"ProposedSize": "1", "MinSizeAllowed": "5242880", "PartNumber": "1"}, small_parts),
    ("IllegalLocationConstraintException", 400, "The eu-west-1 location constraint is incompatible for the region specific endpoint "
     "this request was sent to.", {},
     asks("PUT", "new-in-europe", region="eu-west-2",
          body=b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>")),
    ("IllegalVersioningConfigurationException", 400, "The Versioning element must be specified", {},
     puts("B?versioning", b"<VersioningConfiguration/>")),
    ("IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header", {},
     lambda p: p.raw("Content-Length: 10\r\n", b"half")),
    ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.", {"AWSAccessKeyId": "AKIANOBODY"},
     asks("GET", "B", key="AKIANOBODY")),
    ("InvalidAccessPointAliasError", 400, "The specified access point alias name is not valid.", {}, asks("GET", "mine-abcdef-s3alias")),
    ("InvalidAnnotationName", 400, None, {}, asks("PUT", "B/k?annotation&annotationName=", {}, b"x")),
    ("InvalidArgument", 400, "Argument maxKeys must be an integer between 0 and 2147483647",
     {"ArgumentName": "maxKeys", "ArgumentValue": "-1"}, asks("GET", "B?max-keys=-1")),
    ("InvalidBucketAclWithBlockPublicAccessError", 400, "Bucket cannot have public ACLs set with BlockPublicAccess enabled", {},
     asks("PUT", "codes-new", {"x-amz-acl": "public-read", "x-amz-object-ownership": "ObjectWriter"})),
    ("InvalidBucketAclWithObjectOwnership", 400, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting", {},
     asks("PUT", "codes-new", {"x-amz-acl": "public-read"})),
    ("InvalidBucketName", 400, "The specified bucket is not valid.", {"BucketName": "a..b"}, asks("PUT", "a..b")),
    ("InvalidBucketOwnerAWSAccountID", 400, "The value of the expected bucket owner parameter must be an AWS Account ID... [me]", {},
     asks("GET", "B", {"x-amz-expected-bucket-owner": "me"})),
    ("InvalidBucketState", 409, "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.", {},
     versioning_of_the_locked),
    ("InvalidDigest", 400, "The Content-MD5 you specified was invalid.", {"Content-MD5": "x"}, asks("PUT", "B/x", {"content-md5": "x"}, b"x")),
    ("InvalidEncryptionAlgorithmError", 400, "The Encryption request you specified is not valid. Supported value: AES256.",
     {"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": "DES"},
     asks("PUT", "B/x", {"x-amz-server-side-encryption-customer-algorithm": "DES"}, b"x")),
    ("InvalidLocationConstraint", 400, "The specified location-constraint is not valid", {"LocationConstraint": "moon-1"},
     asks("PUT", "codes-new", body=b"<CreateBucketConfiguration><LocationConstraint>moon-1</LocationConstraint></CreateBucketConfiguration>")),
    ("InvalidObjectState", 403, "The operation is not valid for the object's storage class", {"StorageClass": "GLACIER"},
     asks("GET", "B/cold")),
    ("InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
     "entity tag may not match the part's entity tag.", {"PartNumber": "2"}, parts_that_are_not_there),
    ("InvalidPartNumber", 416, "The requested partnumber is not satisfiable", {}, asks("GET", "B/k?partNumber=2")),
    ("InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number.", {},
     parts_out_of_order),
    ("InvalidPolicyDocument", 400, None, {}, lambda p: policy_of_a_form(p, "nonsense")),
    ("InvalidPrefix", 400, None, {}, asks("GET", f"B/k?annotation&annotation-prefix={'n' * 513}")),
    ("InvalidRange", 416, "The requested range is not satisfiable", {"RangeRequested": "bytes=9-", "ActualObjectSize": "5"},
     asks("GET", "B/k", {"range": "bytes=9-"})),
    ("InvalidRequest", 400, "You must specify at least one part", {},
     asks("POST", "B/k?uploadId=u", {}, b"<CompleteMultipartUpload/>")),
    ("InvalidStorageClass", 400, "The storage class you specified is not valid", {"StorageClassRequested": "FAST"},
     asks("PUT", "B/x", {"x-amz-storage-class": "FAST"}, b"x")),
    ("InvalidTag", 400, "The TagKey you have provided is invalid", {"TagKey": "&amp;"},
     puts("B?tagging", b"<Tagging><TagSet><Tag><Key>&amp;</Key><Value/></Tag></TagSet></Tagging>")),
    ("InvalidTargetBucketForLogging", 400, "The target bucket for logging does not exist", {"TargetBucket": "codes-none"},
     puts("B?logging", b"<BucketLoggingStatus><LoggingEnabled><TargetBucket>codes-none</TargetBucket><TargetPrefix/></LoggingEnabled>"
          b"</BucketLoggingStatus>")),
    ("InvalidToken", 400, "The provided token is malformed or otherwise invalid.", {"Token-0": "token"},
     borrowed_key),
    ("InvalidURI", 400, "Couldn't parse the specified URI.", {}, anonymously("GET", "B/%ff")),
    ("KMS.DisabledException", 400, None, {}, disabled_key),
    ("KMS.InvalidKeyUsageException", 400, None, {}, key_that_signs),
    ("KMS.KMSInvalidStateException", 400, None, {}, dying_key),
    ("KMS.NotFoundException", 400, None, {},
     asks("PUT", "B/s", {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": "11111111-2222-3333-4444-555555555555"}, b"x")),
    ("KeyTooLongError", 400, "Your key is too long", {"Size": "1025", "MaxSizeAllowed": "1024"}, asks("PUT", f"B/{'k' * 1025}")),
    ("MalformedACLError", 400, XML, {}, lambda p: acl(p, what="DANCE")),
    ("MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data.", {},
     anonymously("POST", "B", {"Content-Type": "multipart/form-data; boundary=x"}, b"nonsense")),
    ("MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'", {}, puts("B?policy", b"nonsense")),
    ("MalformedXML", 400, XML, {}, puts("B?tagging", b"<Tagging>")),
    ("MaxMessageLengthExceeded", 400, "Your request was too big.", {"MaxMessageLengthBytes": str(16 << 20)},
     lambda p: puts("B?tagging", b"<Tagging>" + b" " * (16 << 20))(p)),
    ("MaxPostPreDataLengthExceeded", 400, "Your POST request fields preceding the upload file were too large.", {}, full_form),
    ("MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size", {"Size": "2049", "MaxSizeAllowed": "2048"},
     asks("PUT", "B/x", {"x-amz-meta-a": "b" * 2048}, b"x")),
    ("MethodNotAllowed", 405, METHOD, {"Method": "GET", "ResourceType": "BUCKETPOLICY"}, asks("GET", "A?policy", key=OTHER)),
    ("MissingContentLength", 411, "You must provide the Content-Length HTTP header.", {}, lambda p: p.raw("")),
    ("MissingRequestBodyError", 400, "Request Body is empty", {}, puts("B?tagging", b"")),
    ("MissingSecurityHeader", 400, "Your request was missing a required header", {"MissingHeaderName": "x-amz-acl"},
     asks("PUT", "A?acl")),
    ("NoLoggingStatusForKey", 400, "There is no such thing as a logging status sub-resource for a key.", {}, asks("GET", "B/k?logging")),
    ("NoSuchAnnotation", 404, None, {}, asks("GET", "B/k?annotation&annotationName=none")),
    ("NoSuchBucket", 404, "The specified bucket does not exist", {"BucketName": "codes-none"}, asks("GET", "codes-none")),
    ("NoSuchBucketPolicy", 404, "The bucket policy does not exist", {"BucketName": "B"}, asks("GET", "B?policy")),
    ("NoSuchCORSConfiguration", 404, "The CORS configuration does not exist", {"BucketName": "B"}, asks("GET", "B?cors")),
    ("NoSuchConfiguration", 404, "The specified configuration does not exist.", {}, asks("GET", "B?metrics&id=none")),
    ("NoSuchKey", 404, "The specified key does not exist.", {"Key": "none"}, asks("GET", "B/none")),
    ("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist", {"BucketName": "B"}, asks("GET", "B?lifecycle")),
    ("NoSuchObjectLockConfiguration", 404, "The specified object does not have a ObjectLock configuration", {"Key": "k"},
     asks("GET", "L/k?retention")),
    ("NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found", {"BucketName": "A"},
     asks("GET", "A?publicAccessBlock")),
    ("NoSuchTagSet", 404, "The TagSet does not exist", {"BucketName": "B"}, asks("GET", "B?tagging")),
    ("NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
     "completed.", {"UploadId": "u"}, asks("DELETE", "B/k?uploadId=u")),
    ("NoSuchVersion", 404, "The specified version does not exist.", {"Key": "k", "VersionId": "3HL4kqCxf3vjVBH40Nrjfkd3HL4kqCxf"},
     asks("GET", "L/k?versionId=3HL4kqCxf3vjVBH40Nrjfkd3HL4kqCxf")),
    ("NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration", {"BucketName": "B"},
     asks("GET", "B?website")),
    ("NotDeviceOwnerError", 400, "The device that generated the token is not owned by the authenticated user.", {},
     lambda p: p.mfa("arn:aws:iam::000000000000:mfa/none 123456")),
    ("NotImplemented", 501, "A header you provided implies functionality that is not implemented",
     {"Header": "x-amz-write-offset-bytes"}, asks("PUT", "B/x", {"x-amz-write-offset-bytes": "5"}, b"x")),
    ("ObjectAlreadyInActiveTierError", 403, "This action is not allowed against this storage tier.", {},
     asks("POST", "B/tiered?restore", {}, b"<RestoreRequest><Days>1</Days></RestoreRequest>")),
    ("ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket", {"BucketName": "B"},
     asks("GET", "B?object-lock")),
    ("OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found", {"BucketName": "V"},
     lambda p: (p.ask("DELETE", "V?ownershipControls"), p.ask("GET", "V?ownershipControls"))[1]),
    ("PermanentRedirect", 301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
     "future requests to this endpoint.", {"Bucket": "E"}, asks("GET", "E")),
    ("PreconditionFailed", 412, PRECONDITION, {"Condition": "If-Match"}, asks("GET", "B/k", {"if-match": '"other"'})),
    ("ReplicationConfigurationNotFoundError", 404, "The replication configuration was not found", {"BucketName": "B"},
     asks("GET", "B?replication")),
    ("RequestHeaderSectionTooLarge", 400, "Your request header section exceeds the maximum allowed size.", {"MaxSizeAllowed": "8192"},
     asks("GET", "B/k", {"x-anything": "x" * 8192})),
    ("RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large.",
     {"MaxAllowedSkewMilliseconds": "900000"},
     anonymously("GET", "B", {"Authorization": "AWS test:x", "Date": "Wed, 07 Jul 2010 21:53:04 GMT"})),
    ("RequestTorrentOfBucketError", 400, "Requesting the torrent file of a bucket is not permitted.", {}, asks("GET", "B?torrent")),
    ("RestoreAlreadyInProgress", 409, "Object restore is already in progress", {}, restored_twice),
    ("SignatureDoesNotMatch", 403, MISMATCH, {"AWSAccessKeyId": "test"}, asks("GET", "B", secret="wrong")),
    ("TokenCodeInvalidError", 400, "The serial number and/or token code you provided is not valid.", {}, wrong_password),
    ("UnexpectedContent", 400, "This request does not support content", {},
     lambda p: p.document("A?acl", b"<AccessControlPolicy><Owner><ID>x</ID></Owner></AccessControlPolicy>", **{"x-amz-acl": "private"})),
    ("UnresolvableGrantByEmailAddress", 400, "The e-mail address you provided does not match any account on record.",
     {"EmailAddress": "nobody@example.com"},
     lambda p: acl(p, type="AmazonCustomerByEmail", who="<EmailAddress>nobody@example.com</EmailAddress>")),
    ("UnsupportedMediaType", 415, None, {}, asks("PUT", "B/k?annotation&annotationName=n", {}, b"\xff")),
    ("XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed.", {},
     other_body),
]


@pytest.mark.parametrize("name, status, message, more, ask", REACHED, ids=[case[0] for case in REACHED])
def test_a_request_that_is_refused_so(place, name, status, message, more, ask):
    answer = ask(place)
    text = answer[2].decode()
    assert re.search(r"<Code>([\w.]+)</Code>", text) and re.search(r"<Code>([\w.]+)</Code>", text).group(1) == name, text
    assert answer[0] == status, text
    found = re.search(r"<Message>([^<]*)</Message>", text).group(1)
    if message is None:
        assert found, text
    else:
        assert found.replace("&apos;", "'").replace("&quot;", '"') == message, text
    for element, value in more.items():
        assert f"<{element}>{place.names.get(value, value)}</{element}>" in text, text
    assert re.search(r"<RequestId>[0-9A-Z]{16}</RequestId>", text) and re.search(r"<HostId>[\w+/=]+</HostId>", text), text
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>'), text


def test_what_was_not_modified(place):
    tag = place.s3.head_object(Bucket=place.names["B"], Key="k")["ETag"]
    status, headers, body = place.ask("GET", "B/k", {"if-none-match": tag})
    assert (status, body, headers["etag"]) == (304, b"", tag)


# What AWS documents under one name and answers under another, which is the one here.
BY_ANOTHER_NAME = {
    "CrossLocationLoggingProhibited": "CrossLocationLoggingProhibitted",
    "IncorrectNumberOfFilesInPostRequest": "InvalidArgument",
    "MaxPostPreDataLengthExceededError": "MaxPostPreDataLengthExceeded",
    "ObjectNotInActiveTierError": "InvalidObjectState",
    "RequestIsNotMultiPartContent": "PreconditionFailed",
    "UserKeyMustBeSpecified": "InvalidArgument",
}


def test_names_that_only_the_documentation_uses(place):
    assert code(place.post({"key": "f"}, file=False)) == ("InvalidArgument", 400)
    answer = place.post({"acl": "private"})
    assert code(answer) == ("InvalidArgument", 400) and f"<Message>{FIELD}</Message>".encode() in answer[2].replace(b"&apos;", b"'")
    answer = place.ask("POST", "B")
    assert code(answer) == ("PreconditionFailed", 412)
    assert code(place.ask("PUT", "B/copy", {"x-amz-copy-source": "B/cold"})) == ("InvalidObjectState", 403)


# What needs more than one request, a clock or a fault: the tests that hold it.
ELSEWHERE = {
    "AnnotationLimitExceeded": ("services/s3/src/tests/errors.rs", "AnnotationLimitExceeded"),
    "ConditionalRequestConflict": ("tests/acceptance/test_s3_raw.py", "ConditionalRequestConflict"),
    "ExpiredToken": ("crates/edge/tests/asked.rs", "ExpiredToken"),
    "InternalError": ("services/s3/src/tests/errors.rs", "InternalError"),
    "NotModified": ("tests/acceptance/test_s3_error_codes.py", "test_what_was_not_modified"),
    "OperationAborted": ("services/s3/src/tests/errors.rs", "OperationAborted"),
    "RequestTimeout": ("crates/edge/tests/door.rs", "RequestTimeout"),
    "ServiceUnavailable": ("services/s3/src/tests/errors.rs", "ServiceUnavailable"),
    "TooManyBuckets": ("services/s3/src/tests/buckets.rs", "TooManyBuckets"),
}

# All that AWS documents for S3's own API, but those of S3 Select.
DOCUMENTED = """
    AccessControlListNotSupported AccessDenied AccessPointAlreadyOwnedByYou AccountProblem AllAccessDisabled
    AmbiguousGrantByEmailAddress AnnotationLimitExceeded AnnotationNameTooLong AuthorizationHeaderMalformed
    AuthorizationQueryParametersError BadDigest BucketAlreadyExists BucketAlreadyOwnedByYou BucketHasAccessPointsAttached
    BucketNotEmpty ClientTokenConflict ConditionalRequestConflict ConnectionClosedByRequester CredentialsNotSupported
    CrossLocationLoggingProhibited DeviceNotActiveError EncryptionTypeMismatch EndpointNotFound EntityTooLarge EntityTooSmall
    ExpiredToken IdempotencyParameterMismatch IllegalLocationConstraintException IllegalVersioningConfigurationException
    IncompleteBody IncorrectEndpoint IncorrectNumberOfFilesInPostRequest InlineDataTooLarge InternalError InvalidAccessKeyId
    InvalidAccessPoint InvalidAccessPointAliasError InvalidAddressingHeader InvalidAnnotationName InvalidArgument
    InvalidBucketAclWithObjectOwnership InvalidBucketName InvalidBucketOwnerAWSAccountID InvalidBucketState InvalidDigest
    InvalidEncryptionAlgorithmError InvalidHostHeader InvalidHttpMethod InvalidLocationConstraint InvalidObjectState InvalidPart
    InvalidPartOrder InvalidPayer InvalidPolicyDocument InvalidPrefix InvalidRange InvalidRegion InvalidRequest InvalidSOAPRequest
    InvalidSecurity InvalidSessionException InvalidSignature InvalidStorageClass InvalidTag InvalidTargetBucketForLogging
    InvalidToken InvalidURI InvalidWriteOffset KMS.DisabledException KMS.InvalidKeyUsageException KMS.KMSInvalidStateException
    KMS.NotFoundException KeyTooLongError MalformedACLError MalformedPOSTRequest MalformedPolicy MalformedXML
    MaxMessageLengthExceeded MaxPostPreDataLengthExceededError MetadataTooLarge MethodNotAllowed MissingAttachment
    MissingAuthenticationToken MissingContentLength MissingRequestBodyError MissingSecurityElement MissingSecurityHeader
    NoLoggingStatusForKey NoSuchAccessPoint NoSuchAnnotation NoSuchAsyncRequest NoSuchBucket NoSuchBucketPolicy
    NoSuchCORSConfiguration NoSuchKey NoSuchLifecycleConfiguration NoSuchMultiRegionAccessPoint NoSuchObjectLockConfiguration
    NoSuchTagSet NoSuchUpload NoSuchVersion NoSuchWebsiteConfiguration NotDeviceOwnerError NotImplemented NotModified NotSignedUp
    ObjectAlreadyInActiveTierError ObjectLockConfigurationNotFoundError ObjectNotInActiveTierError OperationAborted
    OwnershipControlsNotFoundError PermanentRedirect PermanentRedirectControlError PreconditionFailed Redirect
    ReplicationConfigurationNotFoundError RequestHeaderSectionTooLarge RequestIsNotMultiPartContent RequestTimeTooSkewed
    RequestTimeout RequestTorrentOfBucketError ResponseInterrupted RestoreAlreadyInProgress
    ServerSideEncryptionConfigurationNotFoundError ServiceUnavailable SignatureDoesNotMatch SlowDown TagPolicyException
    TemporaryRedirect TokenCodeInvalidError TokenRefreshRequired TooManyAccessPoints TooManyBuckets
    TooManyMultiRegionAccessPointregionsError TooManyMultiRegionAccessPoints TooManyParts UnauthorizedAccessError UnexpectedContent
    UnexpectedIPError UnresolvableGrantByEmailAddress UnsupportedArgument UnsupportedMediaType UnsupportedSignature
    UserKeyMustBeSpecified
""".split()


def test_every_documented_code_is_accounted_for():
    root = pathlib.Path(__file__).resolve().parents[2]
    for name, (path, text) in ELSEWHERE.items():
        assert text in (root / path).read_text(), name
    guide = (root / "docs" / "s3.md").read_text()
    absent = guide.split("## Errors that cannot occur")[1].split("\n## ")[0]
    absent = set(re.findall(r"`([A-Za-z.]+)`", absent))
    held = {case[0] for case in REACHED} | set(ELSEWHERE) | set(BY_ANOTHER_NAME)
    assert set(DOCUMENTED) - held == absent, set(DOCUMENTED) - held ^ absent
