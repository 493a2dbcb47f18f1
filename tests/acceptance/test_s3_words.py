"""What S3 says of requests that cannot be, word for word: code, status, message, elements beside them, headers."""
import re

import pytest

from s3_help import code, md5, signed


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture(scope="module")
def buckets(s3):
    import uuid
    plain, locked = (f"{kind}-{uuid.uuid4().hex[:12]}" for kind in ("b", "l"))
    s3.create_bucket(Bucket=plain)
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    for bucket in (plain, locked):
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    s3.put_object(Bucket=plain, Key="cold", Body=b"brr", StorageClass="DEEP_ARCHIVE")
    return plain, locked


RANGE = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets " \
        "of the first and last bytes to copy"
NUMBER = "Part number must be an integer between 1 and 10000, inclusive"
UPLOAD = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
LOCK = "Bucket is missing Object Lock Configuration"
DIGEST = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
XML = "The XML you provided was not well-formed or did not validate against our published schema"
VERSION = "Invalid version id specified"
PRECONDITION = "At least one of the pre-conditions you specified did not hold"
HEADER = "A header you provided implies functionality that is not implemented"
METHOD = "The specified method is not allowed against this resource."
MODE = {"x-amz-object-lock-mode": "GOVERNANCE"}
UNTIL = "x-amz-object-lock-retain-until-date"

# Method, path after the bucket, headers, body, status, code, message, further elements. `L` is the bucket with object lock.
CASES = [
    ("GET", "B/none", {}, b"", 404, "NoSuchKey", "The specified key does not exist.", {"Key": "none"}),
    ("GET", "B/k?versionId=abc", {}, b"", 400, "InvalidArgument", VERSION, {"ArgumentName": "versionId", "ArgumentValue": "abc"}),
    ("GET", "B/k?versionId=", {}, b"", 400, "InvalidArgument", "Version id cannot be the empty string", {}),
    ("GET", "B/k", {"range": "bytes=10-"}, b"", 416, "InvalidRange", "The requested range is not satisfiable",
     {"RangeRequested": "bytes=10-", "ActualObjectSize": "5"}),
    ("GET", "B/k?partNumber=2", {}, b"", 416, "InvalidPartNumber", "The requested partnumber is not satisfiable",
     {"PartNumberRequested": "2", "ActualPartCount": "1"}),
    ("GET", "B/k?partNumber=0", {}, b"", 400, "InvalidArgument", NUMBER, {"ArgumentName": "partNumber", "ArgumentValue": "0"}),
    ("GET", "B/k?partNumber=x", {}, b"", 400, "InvalidArgument", NUMBER, {"ArgumentName": "partNumber", "ArgumentValue": "x"}),
    ("GET", "B/k?partNumber=1", {"range": "bytes=0-1"}, b"", 400, "InvalidRequest",
     "Cannot specify both Range header and partNumber query parameter", {}),
    ("GET", "B/k", {"if-match": '"e"'}, b"", 412, "PreconditionFailed", PRECONDITION, {"Condition": "If-Match"}),
    ("GET", "B/k", {"if-unmodified-since": "Fri, 01 Jan 2010 00:00:00 GMT"}, b"", 412, "PreconditionFailed", PRECONDITION,
     {"Condition": "If-Unmodified-Since"}),
    ("GET", "B/cold", {}, b"", 403, "InvalidObjectState", "The operation is not valid for the object's storage class",
     {"StorageClass": "DEEP_ARCHIVE"}),
    ("GET", "B/k?torrent", {}, b"", 405, "MethodNotAllowed", METHOD, {"Method": "GET", "ResourceType": "TORRENT"}),
    ("GET", "B?session", {}, b"", 405, "MethodNotAllowed", METHOD, {"Method": "GET", "ResourceType": "SESSION"}),
    ("GET", "B/k?attributes", {}, b"", 400, "InvalidRequest",
     "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty", {}),
    ("GET", "B/k?attributes", {"x-amz-object-attributes": "Colour"}, b"", 400, "InvalidArgument", "Invalid attribute name specified.",
     {"ArgumentName": "x-amz-object-attributes", "ArgumentValue": "Colour"}),
    ("PUT", "B/k", {"x-amz-write-offset-bytes": "5"}, b"x", 501, "NotImplemented", HEADER, {"Header": "x-amz-write-offset-bytes"}),
    ("PUT", "B/k", {"if-none-match": '"e"'}, b"x", 501, "NotImplemented", HEADER, {"Header": "If-None-Match"}),
    ("PUT", "B/k", {"if-none-match": "*"}, b"x", 412, "PreconditionFailed", PRECONDITION, {"Condition": "If-None-Match"}),
    ("PUT", "B/k", {"if-match": '"e"'}, b"x", 412, "PreconditionFailed", PRECONDITION, {"Condition": "If-Match"}),
    ("PUT", "B/new", {"if-match": '"e"'}, b"x", 404, "NoSuchKey", "The specified key does not exist.", {"Key": "new"}),
    ("DELETE", "B/k", {"if-match": '"e"'}, b"", 412, "PreconditionFailed", PRECONDITION, {"Condition": "If-Match"}),
    ("DELETE", "B/none", {"if-match": "*"}, b"", 404, "NoSuchKey", "The specified key does not exist.", {"Key": "none"}),
    ("DELETE", "B/k", {"x-amz-bypass-governance-retention": "true"}, b"", 400, "InvalidArgument",
     "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.", {}),
    ("PUT", "B/" + "k" * 1025, {}, b"", 400, "KeyTooLongError", "Your key is too long", {"Size": "1025", "MaxSizeAllowed": "1024"}),
    ("PUT", "B/k", {"x-amz-meta-a": "b" * 2048}, b"", 400, "MetadataTooLarge",
     "Your metadata headers exceed the maximum allowed metadata size", {"Size": "2049", "MaxSizeAllowed": "2048"}),
    ("PUT", "B/k", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, b"x", 400, "BadDigest",
     "The Content-MD5 you specified did not match what we received.",
     {"ExpectedDigest": "d41d8cd98f00b204e9800998ecf8427e", "CalculatedDigest": "ndTkYSaMgDT1yFZOFVxnpg=="}),
    ("PUT", "B/k", {"content-md5": "x"}, b"x", 400, "InvalidDigest", "The Content-MD5 you specified was invalid.", {"Content-MD5": "x"}),
    ("PUT", "B/k", {"x-amz-checksum-crc32": "AAAAAA=="}, b"x", 400, "BadDigest",
     "The CRC32 you specified did not match the calculated checksum.", {}),
    ("PUT", "B/k", {"x-amz-checksum-sha512": "AAAA"}, b"x", 400, "InvalidRequest", "Value for x-amz-checksum-sha512 header is invalid.", {}),
    ("PUT", "B/k", {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": ""}, b"x", 400, "InvalidRequest",
     "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.", {}),
    ("PUT", "B/k", {"x-amz-sdk-checksum-algorithm": "SUM"}, b"x", 400, "InvalidRequest",
     "Value for x-amz-sdk-checksum-algorithm header is invalid.", {}),
    ("PUT", "B/k", {"x-amz-sdk-checksum-algorithm": "CRC32"}, b"x", 400, "InvalidRequest",
     "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.", {}),
    ("POST", "B/k?uploads", {"x-amz-checksum-algorithm": "SUM"}, b"", 400, "InvalidRequest",
     "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, "
     "SHA256]", {}),
    ("PUT", "B/k", {"x-amz-storage-class": "FAST"}, b"x", 400, "InvalidStorageClass", "The storage class you specified is not valid",
     {"StorageClassRequested": "FAST"}),
    ("PUT", "B/k", {"x-amz-server-side-encryption": "DES"}, b"x", 400, "InvalidArgument",
     "The encryption method specified is not supported", {"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": "DES"}),
    ("PUT", "B/k", {"x-amz-tagging": "="}, b"x", 400, "InvalidArgument",
     "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
     {"ArgumentName": "x-amz-tagging", "ArgumentValue": "="}),
    ("PUT", "B/k", {"x-amz-website-redirect-location": "x"}, b"x", 400, "InvalidRedirectLocation",
     "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.", {}),
    ("PUT", "B/k", {"x-amz-server-side-encryption-customer-algorithm": "DES"}, b"x", 400, "InvalidEncryptionAlgorithmError",
     "The Encryption request you specified is not valid. Supported value: AES256.", {"ArgumentValue": "DES"}),
    ("PUT", "B/k?partNumber=1", {}, b"x", 400, "InvalidArgument", "This operation does not accept partNumber without uploadId",
     {"ArgumentName": "partNumber", "ArgumentValue": "partNumber"}),
    ("PUT", "B/k?uploadId=u", {}, b"x", 405, "MethodNotAllowed", METHOD, {"Method": "PUT", "ResourceType": "UPLOAD"}),
    ("PUT", "B/k?uploadId=u&partNumber=1", {}, b"x", 404, "NoSuchUpload", UPLOAD, {"UploadId": "u"}),
    ("PUT", "B/k?uploadId=u&partNumber=10001", {}, b"x", 400, "InvalidArgument", NUMBER, {"ArgumentValue": "10001"}),
    ("GET", "B/k?uploadId=u", {}, b"", 404, "NoSuchUpload", UPLOAD, {"UploadId": "u"}),
    ("DELETE", "B/k?uploadId=u", {}, b"", 404, "NoSuchUpload", UPLOAD, {"UploadId": "u"}),
    ("POST", "B/k?uploadId=u", {}, b"", 400, "MalformedXML", XML, {}),
    ("POST", "B/k?uploadId=u", {}, b"<CompleteMultipartUpload/>", 400, "InvalidRequest", "You must specify at least one part", {}),
    ("POST", "B/k?uploadId=u", {"x-amz-mp-object-size": "size"}, b"<CompleteMultipartUpload/>", 400, "InvalidRequest",
     "Value for x-amz-mp-object-size header is invalid: 'size'", {}),
    ("POST", "B/k?uploadId=u", {}, b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>!"
     b"</ChecksumCRC32></Part></CompleteMultipartUpload>", 400, "InvalidArgument",
     "Invalid Base64 or multiple checksums present in request", {}),
    ("POST", "B/k?uploads", {"x-amz-checksum-type": "COMPOSITE"}, b"", 400, "InvalidRequest",
     "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.", {}),
    ("POST", "B/k?uploads", {"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"}, b"", 400, "InvalidRequest",
     "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.", {}),
    ("POST", "B/k?restore", {}, b"", 400, "MalformedXML", XML, {}),
    ("POST", "B/k?restore", {}, b"<RestoreRequest><Days>1</Days></RestoreRequest>", 403, "InvalidObjectState",
     "Restore is not allowed for the object's current storage class", {"StorageClass": "STANDARD"}),
    ("PUT", "B/c", {"x-amz-copy-source": "B"}, b"", 400, "InvalidArgument", "Invalid copy source object key",
     {"ArgumentName": "x-amz-copy-source"}),
    ("PUT", "B/c", {"x-amz-copy-source": "B/none"}, b"", 404, "NoSuchKey", "The specified key does not exist.", {"Key": "none"}),
    ("PUT", "B/k", {"x-amz-copy-source": "B/k"}, b"", 400, "InvalidRequest",
     "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, "
     "storage class, website redirect location or encryption attributes.", {}),
    ("PUT", "B/c", {"x-amz-copy-source": "B/k", "x-amz-metadata-directive": "KEEP"}, b"", 400, "InvalidArgument",
     "Unknown metadata directive.", {"ArgumentName": "x-amz-metadata-directive", "ArgumentValue": "KEEP"}),
    ("PUT", "B/c", {"x-amz-copy-source": "B/k", "x-amz-tagging-directive": "KEEP"}, b"", 400, "InvalidArgument",
     "Unknown tagging directive.", {"ArgumentName": "x-amz-tagging-directive", "ArgumentValue": "KEEP"}),
    ("PUT", "B/c", {"x-amz-copy-source": "B/k", "x-amz-copy-source-if-match": '"e"'}, b"", 412, "PreconditionFailed", PRECONDITION,
     {"Condition": "x-amz-copy-source-If-Match"}),
    ("PUT", "B/c", {"x-amz-copy-source": "B/cold"}, b"", 403, "InvalidObjectState",
     "Operation is not valid for the source object's storage class", {"StorageClass": "DEEP_ARCHIVE"}),
    ("PUT", "B/k?tagging", {}, b"", 400, "MissingRequestBodyError", "Request Body is empty", {}),
    ("PUT", "B/k?tagging", {}, b"<Tagging>", 400, "MalformedXML", XML, {}),
    ("PUT", "B/k?tagging", {}, b"<Tagging><TagSet><Tag><Key>a&amp;</Key><Value/></Tag></TagSet></Tagging>", 400, "InvalidTag",
     "The TagKey you have provided is invalid", {"TagKey": "a&amp;"}),
    ("PUT", "B/k?tagging", {}, b"<Tagging><TagSet><Tag><Key>a</Key><Value>&amp;</Value></Tag></TagSet></Tagging>", 400, "InvalidTag",
     "The TagValue you have provided is invalid", {"TagKey": "a", "TagValue": "&amp;"}),
    ("PUT", "B/k?retention", {}, b"<Retention/>", 400, "InvalidRequest", DIGEST, {}),
    ("PUT", "B/k?legal-hold", {"content-md5": md5(b"")}, b"", 400, "InvalidRequest", LOCK, {}),
    ("PUT", "L/k?retention", {"content-md5": md5(b"")}, b"", 400, "MalformedXML", XML, {}),
    ("PUT", "L/k?legal-hold", {"content-md5": md5(b"")}, b"", 400, "MalformedXML", XML, {}),
    ("GET", "L/k?retention", {}, b"", 404, "NoSuchObjectLockConfiguration",
     "The specified object does not have a ObjectLock configuration", {"Key": "k"}),
    ("GET", "B/k?retention", {}, b"", 400, "InvalidRequest", LOCK, {}),
    ("PUT", "L/k", {**MODE, UNTIL: "2020-01-01T00:00:00Z", "content-md5": md5(b"x")}, b"x", 400, "InvalidArgument",
     "The retain until date must be in the future!", {"ArgumentName": UNTIL, "ArgumentValue": "2020-01-01T00:00:00Z"}),
    ("PUT", "L/k", {**MODE, UNTIL: "tomorrow", "content-md5": md5(b"x")}, b"x", 400, "InvalidArgument",
     "The retain until date must be provided in ISO 8601 format", {"ArgumentName": UNTIL, "ArgumentValue": "tomorrow"}),
    ("PUT", "L/k", {**MODE, "content-md5": md5(b"x")}, b"x", 400, "InvalidArgument",
     "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied", {}),
    ("PUT", "L/k", {"x-amz-object-lock-legal-hold": "yes", "content-md5": md5(b"x")}, b"x", 400, "InvalidArgument",
     "Legal Hold must be either of 'ON' or 'OFF'", {"ArgumentName": "x-amz-object-lock-legal-hold", "ArgumentValue": "yes"}),
    ("PUT", "L/k", MODE, b"x", 400, "InvalidRequest",
     "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters", {}),
    ("POST", "B?delete", {}, b"<Delete/>", 400, "InvalidRequest", DIGEST, {}),
    ("POST", "B?delete", {"content-md5": md5(b"<Delete/>")}, b"<Delete/>", 400, "MalformedXML", XML, {}),
    ("GET", "B?max-keys=-1", {}, b"", 400, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647",
     {"ArgumentName": "maxKeys", "ArgumentValue": "-1"}),
    ("GET", "B?versions&max-keys=-1", {}, b"", 400, "InvalidArgument", "max-keys cannot be negative", {"ArgumentValue": "-1"}),
    ("GET", "B?versions&version-id-marker=v", {}, b"", 400, "InvalidArgument",
     "A version-id marker cannot be specified without a key marker.", {"ArgumentName": "version-id-marker"}),
    ("GET", "B?versions&key-marker=k&version-id-marker=v", {}, b"", 400, "InvalidArgument", VERSION, {}),
    ("GET", "B?list-type=2&continuation-token=", {}, b"", 400, "InvalidArgument", "The continuation token provided is incorrect",
     {"ArgumentName": "continuation-token"}),
    ("GET", "B?encoding-type=x", {}, b"", 400, "InvalidArgument", "Invalid Encoding Method specified in Request",
     {"ArgumentName": "encoding-type", "ArgumentValue": "x"}),
    ("GET", "B?uploads&key-marker=k&upload-id-marker=u", {}, b"", 400, "InvalidArgument", "Invalid uploadId marker",
     {"ArgumentName": "upload-id-marker", "ArgumentValue": "u"}),
]


@pytest.mark.parametrize("method, path, headers, body, status, named, message, more", CASES)
def test_words(cloud, buckets, method, path, headers, body, status, named, message, more):
    here = lambda text: re.sub(r"^[BL](?=[/?]|$)", lambda m: buckets["BL".index(m.group())], text)
    headers = {k: here(v) if k == "x-amz-copy-source" else v for k, v in headers.items()}
    answer = signed(cloud, method, f"/{here(path)}", headers, body)
    text = answer[2].decode()
    assert code(answer) == (named, status), text
    shown = message.replace(">", "&gt;")
    assert f"<Message>{shown}</Message>" in text, text
    for name, value in more.items():
        assert f"<{name}>{value}</{name}>" in text, text
    assert "<RequestId>" in text and "<HostId>" in text


def test_headers_of_refusals(cloud, buckets):
    plain = buckets[0]
    assert signed(cloud, "GET", f"/{plain}/k", {"range": "bytes=10-"})[1]["content-range"] == "bytes */5"
    assert signed(cloud, "PUT", f"/{plain}/k?uploadId=u", body=b"x")[1]["allow"] == "DELETE, POST, GET"
    for path in ("none", "k?versionId=abc"):
        status, headers, body = signed(cloud, "HEAD", f"/{plain}/{path}")
        assert status in (400, 404) and body == b"" and "content-type" not in headers
    # What GetObjectAttributes cannot read as a number it overlooks.
    asked = {"x-amz-object-attributes": "ETag,ObjectSize", "x-amz-max-parts": "many", "x-amz-part-number-marker": "-3"}
    assert signed(cloud, "GET", f"/{plain}/k?attributes", asked)[0] == 200


def test_ranges_of_copied_parts(cloud, s3, buckets):
    upload = s3.create_multipart_upload(Bucket=buckets[0], Key="p")["UploadId"]
    for given, message in (
            ("0-1", RANGE), ("bytes=0-", RANGE), ("bytes=-1", RANGE), ("bytes=a-b", RANGE), ("bytes=0-1,3-4", RANGE), ("bytes=3-1", RANGE),
            ("bytes=0-5", "Range specified is not valid for source object of size: 5")):
        answer = signed(cloud, "PUT", f"/{buckets[0]}/p?partNumber=1&uploadId={upload}",
                        {"x-amz-copy-source": f"{buckets[0]}/k", "x-amz-copy-source-range": given})
        assert code(answer) == ("InvalidArgument", 400) and f"<Message>{message}</Message>".encode() in answer[2], given
        assert f"<ArgumentName>x-amz-copy-source-range</ArgumentName><ArgumentValue>{given}</ArgumentValue>".encode() in answer[2]


DOCUMENTS = {
    "another root": b"<Other/>", "no XML": b"hello", "no end": b"<%(root)s><a>", "two roots": b"<%(root)s/><%(root)s/>",
    "too deep": b"<%(root)s>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</%(root)s>", "endless": b"<%(root)s>" * 100_000,
    "a document type": b'<!DOCTYPE a [<!ENTITY b "c">]><%(root)s>&b;</%(root)s>', "no character": b"<%(root)s>\0</%(root)s>",
    "no UTF-8": b"<%(root)s>\xff</%(root)s>", "JSON": b'{"a": 1}', "blank": b"  ", "a declaration": b'<?xml version="1.0"?>',
    "an entity": b"<%(root)s>&unknown;</%(root)s>", "another end": b"<%(root)s><a></b></%(root)s>",
    "twice the same attribute": b'<%(root)s a="1" a="2"></%(root)s>', "UTF-16": "<?xml version='1.0' encoding='UTF-16'?><%(root)s/>".encode("utf-16"),
    "entities of entities": b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;&b;&b;"><!ENTITY e "&d;&d;&d;&d;">]><%(root)s>&e;</%(root)s>',
    "an entity from elsewhere": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><%(root)s>&b;</%(root)s>',
}


@pytest.mark.parametrize("method, path, root", [
    ("PUT", "/k?tagging", "Tagging"), ("PUT", "/k?retention", "Retention"), ("PUT", "/k?legal-hold", "LegalHold"),
    ("POST", "/k?restore", "RestoreRequest"), ("POST", "/k?uploadId=UPLOAD", "CompleteMultipartUpload"), ("POST", "?delete", "Delete"),
    ("PUT", "/k?encryption", "ObjectEncryption"), ("PUT", "?object-lock", "ObjectLockConfiguration"),
    ("PUT", "?tagging", "Tagging"), ("PUT", "?versioning", "VersioningConfiguration"), ("PUT", "?logging", "BucketLoggingStatus"),
    ("PUT", "?lifecycle", "LifecycleConfiguration"), ("PUT", "?cors", "CORSConfiguration"), ("PUT", "?website", "WebsiteConfiguration"),
    ("PUT", "?replication", "ReplicationConfiguration"), ("PUT", "?notification", "NotificationConfiguration"),
    ("PUT", "?encryption", "ServerSideEncryptionConfiguration"), ("PUT", "?requestPayment", "RequestPaymentConfiguration"),
    ("PUT", "?accelerate", "AccelerateConfiguration"), ("PUT", "?ownershipControls", "OwnershipControls"),
    ("PUT", "?publicAccessBlock", "PublicAccessBlockConfiguration"), ("PUT", "?abac", "AbacStatus"),
    ("PUT", "?inventory&id=i", "InventoryConfiguration"), ("PUT", "?analytics&id=i", "AnalyticsConfiguration"),
    ("PUT", "?metrics&id=i", "MetricsConfiguration"), ("PUT", "?intelligent-tiering&id=i", "IntelligentTieringConfiguration"),
    ("PUT", "?acl", "AccessControlPolicy"), ("PUT", "/k?acl", "AccessControlPolicy"),
    ("PUT", "-new", "CreateBucketConfiguration"), ("POST", "/k?select&select-type=2", "SelectObjectContentRequest")])
def test_documents_of_any_shape(cloud, s3, buckets, method, path, root):
    locked = buckets[1]
    path = path.replace("UPLOAD", s3.create_multipart_upload(Bucket=locked, Key="k")["UploadId"])
    for kind, document in DOCUMENTS.items():
        document = document.replace(b"%(root)s", root.encode())
        answer = signed(cloud, method, f"/{locked}{path}", {"content-md5": md5(document)}, document)
        # Of ACLs it is said under a code of their own.
        assert code(answer) == ("MalformedACLError" if "acl" in path else "MalformedXML", 400), (kind, answer)


@pytest.mark.parametrize("body", [b"<!DOCTYPE a><a/>", b"\xff", b"", b"<a/>", b"[]", b"{" * 10_000])
def test_policies_that_are_no_documents(cloud, buckets, body):
    answer = signed(cloud, "PUT", f"/{buckets[0]}?policy", {}, body)
    assert code(answer) == ("MalformedPolicy", 400), answer


NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def test_what_documents_are_forgiven(cloud, s3, buckets):
    """Any namespace, a prefix, comments, CDATA and elements that nobody knows; what is there twice is refused or the last counts."""
    plain = buckets[0]
    tag = "<TagSet><Tag><Key>a</Key><Value>%s</Value></Tag></TagSet>"
    for document, value in [
            (f"<Tagging {NS}>{tag % 1}</Tagging>", "1"), (f"<Tagging>{tag % 2}</Tagging>", "2"),
            (f'<Tagging xmlns="http://elsewhere/">{tag % 3}</Tagging>', "3"), (f"<!-- a --><Tagging>{tag % 4}<!-- b --></Tagging>", "4"),
            (f'<?xml version="1.0" encoding="UTF-8"?>\n<Tagging>\n  {tag % 5}\n</Tagging>\n', "5"),
            (f"<Tagging>{tag % '<![CDATA[=6=]]>'}</Tagging>", "=6="), (f"<Tagging>{tag % '&#x37;+'}</Tagging>", "7+"),
            (f"\ufeff<Tagging>{tag % 8}</Tagging>", "8")]:
        body = document.encode()
        assert signed(cloud, "PUT", f"/{plain}/k?tagging", {"content-md5": md5(body)}, body)[0] == 200, document
        assert s3.get_object_tagging(Bucket=plain, Key="k")["TagSet"] == [{"Key": "a", "Value": value}]
    s3.delete_object_tagging(Bucket=plain, Key="k")


def test_lists_that_are_too_long(cloud, buckets):
    plain = buckets[0]
    for path, document in [
            ("?delete", "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>"),
            ("?lifecycle", "<LifecycleConfiguration>" + "<Rule><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule>" * 1001
             + "</LifecycleConfiguration>")]:
        body = document.encode()
        method = "PUT" if path == "?lifecycle" else "POST"
        assert code(signed(cloud, method, f"/{plain}{path}", {"content-md5": md5(body)}, body)) == ("MalformedXML", 400), path
