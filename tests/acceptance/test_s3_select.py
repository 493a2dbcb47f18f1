"""S3 Select through boto3's event streams."""
import bz2
import gzip
import json

import pytest
from botocore.exceptions import ClientError, EventStreamError

from s3_help import code, opened, plain, signed


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def bucket(s3, unique):
    name = unique("select")
    s3.create_bucket(Bucket=name)
    return name


def select(s3, bucket, key, expression, source, target=None, **more):
    answer = s3.select_object_content(
        Bucket=bucket, Key=key, Expression=expression, ExpressionType="SQL", InputSerialization=source,
        OutputSerialization=target or {"JSON": {}}, **more)
    events = list(answer["Payload"])
    body = b"".join(e["Records"]["Payload"] for e in events if "Records" in e).decode()
    return body, [next(iter(e)) for e in events], events


ROWS = "id,name,price\n" + "".join(f"{n},thing {n},{n / 2}\n" for n in range(20_000))


def test_csv_of_any_size(s3, bucket):
    s3.put_object(Bucket=bucket, Key="rows", Body=ROWS)
    source = {"CSV": {"FileHeaderInfo": "USE"}}
    body, names, events = select(s3, bucket, "rows", "SELECT s.name, s.price FROM S3Object s WHERE s.id = '3'", source)
    assert [json.loads(line) for line in body.splitlines()] == [{"name": "thing 3", "price": "1.5"}]
    assert names == ["Records", "Stats", "End"]
    assert events[1]["Stats"]["Details"] == {
        "BytesScanned": len(ROWS), "BytesProcessed": len(ROWS), "BytesReturned": len(body)}
    body, names, _ = select(s3, bucket, "rows", "SELECT * FROM S3Object", source, {"CSV": {}},
                            RequestProgress={"Enabled": True})
    assert body == ROWS.split("\n", 1)[1] and "Progress" in names
    body, _, _ = select(s3, bucket, "rows", "SELECT COUNT(*), MAX(CAST(s.price AS FLOAT)) FROM S3Object s", source, {"CSV": {}})
    assert body == "20000,9999.5\n"
    body, _, _ = select(s3, bucket, "rows", "SELECT s._1 FROM S3Object s", {"CSV": {}}, {"CSV": {}},
                        ScanRange={"Start": 20, "End": 60})
    expected, at = [], 0
    for line in ROWS.splitlines(keepends=True):
        if 20 <= at <= 60:
            expected.append(line.split(",")[0])
        at += len(line)
    assert body.split() == expected


def test_json_and_gzip(s3, bucket):
    lines = "".join(json.dumps({"n": n, "tags": {"a": "x" * n}}) + "\n" for n in range(5))
    query = "SELECT s.n, s.tags.a FROM S3Object[*] s WHERE s.n >= 3"
    for kind, packed in (("GZIP", gzip.compress(lines.encode())), ("BZIP2", bz2.compress(lines.encode()))):
        s3.put_object(Bucket=bucket, Key=kind, Body=packed)
        source = {"JSON": {"Type": "LINES"}, "CompressionType": kind}
        body, _, events = select(s3, bucket, kind, query, source)
        assert [json.loads(line) for line in body.splitlines()] == [{"n": 3, "a": "xxx"}, {"n": 4, "a": "xxxx"}]
        details = events[-2]["Stats"]["Details"]
        assert (details["BytesScanned"], details["BytesProcessed"]) == (len(packed), len(lines))
        s3.put_object(Bucket=bucket, Key="cut", Body=packed[:-8])
        with pytest.raises(EventStreamError) as caught:
            select(s3, bucket, "cut", query, source)
        assert "TruncatedInput" in str(caught.value)
        # The object is not what the request says.
        s3.put_object(Bucket=bucket, Key="plain", Body=lines)
        with pytest.raises(EventStreamError) as caught:
            select(s3, bucket, "plain", query, source)
        assert "InvalidCompressionFormat" in str(caught.value) and f"{kind} is not applicable" in str(caught.value)


def test_numbers_and_columns_of_csv(s3, bucket):
    s3.put_object(Bucket=bucket, Key="t", Body='a;b;c\n1;"x;y";\n2;"he said ""hi""";3.5\n')
    source = {"CSV": {"FileHeaderInfo": "USE", "FieldDelimiter": ";"}}
    out = {"CSV": {"QuoteFields": "ALWAYS", "FieldDelimiter": "|", "RecordDelimiter": "\r\n"}}
    body, _, _ = select(s3, bucket, "t", "SELECT a, b, c FROM S3Object", source, out)
    assert body == '"1"|"x;y"|""\r\n"2"|"he said ""hi"""|"3.5"\r\n'
    body, _, _ = select(s3, bucket, "t", "SELECT SUM(CAST(a AS INT)) AS total, AVG(CAST(a AS FLOAT)) AS mean FROM S3Object", source)
    assert json.loads(body) == {"total": 3, "mean": 1.5}


def test_what_is_wrong(s3, bucket):
    s3.put_object(Bucket=bucket, Key="rows", Body=ROWS)
    with pytest.raises(ClientError) as caught:
        select(s3, bucket, "rows", "SELECT * FROM", {"CSV": {}})
    assert caught.value.response["Error"]["Code"] == "ParseUnexpectedToken"
    with pytest.raises(ClientError) as caught:
        select(s3, bucket, "none", "SELECT * FROM S3Object", {"CSV": {}})
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    for expression, refusal in (
            ("DELETE FROM S3Object", "ParseExpectedKeyword"), ("SELECT *", "ParseSelectMissingFrom"),
            ("SELECT * FROM S3Object ORDER BY 1", "UnsupportedSyntax"), ("SELECT FOO(1) FROM S3Object", "UnsupportedFunction"),
            ("SELECT CAST(1 AS BLOB) FROM S3Object", "InvalidDataType"), ("SELECT ~ FROM S3Object", "LexerInvalidOperator"),
            ("SELECT * FROM S3Object WHERE 'a", None), ("SELECT LOWER(1, 2) FROM S3Object", "EvaluatorInvalidArguments"),
            ("SELECT '" + "x" * 262144 + "' FROM S3Object", "ExpressionTooLong")):
        with pytest.raises(ClientError) as caught:
            select(s3, bucket, "rows", expression, {"CSV": {}})
        assert refusal is None or caught.value.response["Error"]["Code"] == refusal, expression
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    everything = "SELECT * FROM S3Object"
    for source, target, more, refusal in (
            ({"CSV": {"FileHeaderInfo": "SOME"}}, None, {}, "InvalidFileHeaderInfo"),
            ({"JSON": {"Type": "LIST"}}, None, {}, "InvalidJsonType"),
            ({"CSV": {}, "CompressionType": "ZIP"}, None, {}, "InvalidCompressionFormat"),
            ({}, None, {}, "InvalidDataSource"),
            ({"CSV": {}}, {"CSV": {"QuoteFields": "NEVER"}}, {}, "InvalidQuoteFields"),
            ({"CSV": {}, "CompressionType": "GZIP"}, None, {"ScanRange": {"Start": 1}}, "UnsupportedScanRangeInput"),
            ({"CSV": {}}, None, {"ScanRange": {"Start": 9, "End": 1}}, "InvalidScanRange")):
        with pytest.raises(ClientError) as caught:
            select(s3, bucket, "rows", everything, source, target, **more)
        assert caught.value.response["Error"]["Code"] == refusal, source
    with pytest.raises(ClientError) as caught:
        s3.select_object_content(Bucket=bucket, Key="rows", Expression=everything, ExpressionType="XPATH",
                                 InputSerialization={"CSV": {}}, OutputSerialization={"CSV": {}})
    assert caught.value.response["Error"]["Code"] == "InvalidExpressionType"
    with pytest.raises(EventStreamError) as caught:
        select(s3, bucket, "rows", "SELECT CAST(s.name AS INT) FROM S3Object s", {"CSV": {"FileHeaderInfo": "USE"}})
    assert "CastFailed" in str(caught.value)


def failure(s3, bucket, key, *more, **options):
    """The code that a query ends with, whether before its first event or after."""
    try:
        select(s3, bucket, key, *more, **options)
    except EventStreamError as ended:
        return ended.response["Error"]["Code"]
    except ClientError as refused_:
        return refused_.response["Error"]["Code"]


def test_files_and_requests_that_are_refused(cloud, s3, bucket):
    everything = "SELECT * FROM S3Object"
    for body, source, expression, refusal in (
            (b"a,b\n", {"CSV": {}}, "SELECT s.name FROM S3Object s", "InvalidColumnIndex"),
            (b"a,b\n1,2\n", {"CSV": {"FileHeaderInfo": "USE"}}, "SELECT s.name FROM S3Object s", "MissingHeaders"),
            (b"\xff\n", {"CSV": {}}, everything, "InvalidTextEncoding"), (b'"a\nb"\n', {"CSV": {}}, everything, "CSVEscapingRecordDelimiter"),
            (b'"a', {"CSV": {}}, everything, "CSVUnescapedQuote"),
            (b'"a', {"CSV": {"AllowQuotedRecordDelimiter": True}}, everything, "CSVParsingError"),
            (b"{", {"JSON": {"Type": "LINES"}}, everything, "JSONParsingError"), (b"x" * (1 << 20 | 1), {"CSV": {}}, everything, "OverMaxRecordSize"),
            (b"a", {"CSV": {"QuoteCharacter": "ab"}}, everything, "InvalidRequestParameter"),
            (b"a", {"CSV": {"RecordDelimiter": ""}}, everything, "InvalidRequestParameter"),
            (b"a", {"CSV": {}, "JSON": {"Type": "LINES"}}, everything, "ObjectSerializationConflict")):
        s3.put_object(Bucket=bucket, Key="bad", Body=body)
        assert failure(s3, bucket, "bad", expression, source) == refusal, body[:20]
    assert failure(s3, bucket, "bad", everything, {"CSV": {}}, {"CSV": {}, "JSON": {}}) == "ObjectSerializationConflict"
    path = f"/{bucket}/bad?select&select-type=2"
    send = lambda body, headers=None, do=signed: code(do(cloud, "POST", path, headers or {}, body.encode()))
    assert send("") == ("EmptyRequestBody", 400) and send("<SelectRequest>") == ("MalformedXML", 400)
    whole = ("<SelectRequest><Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType><InputSerialization>"
             "<CSV/></InputSerialization><OutputSerialization><CSV/></OutputSerialization></SelectRequest>")
    assert send(whole)[1] == 200 and send(whole, {"range": "bytes=0-1"}) == ("UnsupportedRangeHeader", 400)
    for element in ("Expression", "ExpressionType", "InputSerialization", "OutputSerialization"):
        assert send(whole.replace(f"<{element}>", "<Other>").replace(f"</{element}>", "</Other>")) == ("MissingRequiredParameter", 400)
    assert send(whole.replace("<OutputSerialization><CSV/>", "<OutputSerialization>")) == ("MissingRequiredParameter", 400)
    assert send(whole.replace("<CSV/></Input", "</Input")) == ("InvalidDataSource", 400)
    for class_, refusal in (("GLACIER", "UnsupportedStorageClass"), ("DEEP_ARCHIVE", "UnsupportedStorageClass"),
                            ("REDUCED_REDUNDANCY", "UnsupportedStorageClass"), ("STANDARD_IA", None), ("ONEZONE_IA", None)):
        s3.put_object(Bucket=bucket, Key="classy", Body=b"a\n", StorageClass=class_)
        assert failure(s3, bucket, "classy", everything, {"CSV": {}}) == refusal
    assert send(whole, do=plain) == ("AccessDenied", 403)
    opened(s3, bucket)
    s3.put_object_acl(Bucket=bucket, Key="bad", ACL="public-read")
    assert send(whole, do=plain) == ("UnauthorizedAccess", 401)


def test_objects_under_keys(s3, bucket):
    key = dict(SSECustomerAlgorithm="AES256", SSECustomerKey=b"k" * 32)
    s3.put_object(Bucket=bucket, Key="sealed", Body=ROWS, **key)
    body, _, _ = select(s3, bucket, "sealed", "SELECT COUNT(*) FROM S3Object", {"CSV": {}}, {"CSV": {}}, **key)
    assert body == "20001\n"
    assert failure(s3, bucket, "sealed", "SELECT * FROM S3Object", {"CSV": {}}) == "InvalidRequest"


def test_shapes_of_csv(s3, bucket):
    def ask(body, expression="SELECT * FROM S3Object", target=None, **source):
        s3.put_object(Bucket=bucket, Key="csv", Body=body)
        return select(s3, bucket, "csv", expression, {"CSV": source}, target or {"CSV": {}})[0]

    assert ask("h1,h2\n1,2\n", FileHeaderInfo="IGNORE") == "1,2\n" and ask("h1,h2\n1,2\n") == "h1,h2\n1,2\n"
    assert ask("h1,h2\n1,2\n", "SELECT _2, _1 FROM S3Object", FileHeaderInfo="IGNORE") == "2,1\n"
    assert ask("h 1,h2\n1,2\n", 'SELECT s."h 1" FROM S3Object s', FileHeaderInfo="USE") == "1\n"
    assert ask("a|b#c|d#", FieldDelimiter="|", RecordDelimiter="#") == "a,b\nc,d\n"
    assert ask("'a,b',c\n", QuoteCharacter="'") == '"a,b",c\n' and ask('"a\\"b"\n', QuoteEscapeCharacter="\\") == '"a""b"\n'
    assert ask("%x\na\n", Comments="%") == "a\n" and ask("#x\na\n") == "a\n"
    assert ask('"a\nb",c\n', AllowQuotedRecordDelimiter=True) == '"a\nb",c\n'
    assert ask("") == "" and ask("", "SELECT COUNT(*) FROM S3Object") == "0\n"
    assert ask("a,b\n", target={"CSV": {"QuoteFields": "ALWAYS", "QuoteCharacter": "'", "QuoteEscapeCharacter": "'"}}) == "'a','b'\n"
    assert ask("a,b\n", target={"JSON": {"RecordDelimiter": ";"}}) == '{"_1":"a","_2":"b"};'
    assert ask("A,b\n1,2\n", "SELECT * FROM S3Object", {"JSON": {}}, FileHeaderInfo="USE") == '{"A":"1","b":"2"}\n'


def test_ranges_of_a_scan(s3, bucket):
    lines = [f'{{"n":{n}}}\n' for n in range(100)]
    s3.put_object(Bucket=bucket, Key="lines", Body="".join(lines))
    starts = [sum(map(len, lines[:n])) for n in range(100)]
    size = sum(map(len, lines))
    for scan, first, last in (({"Start": 0, "End": 0}, 0, 0), ({"Start": 1, "End": size}, 1, None), ({"End": 50}, size - 50, None), ({"Start": 333}, 333, None)):
        body, _, _ = select(s3, bucket, "lines", "SELECT s.n FROM S3Object s", {"JSON": {"Type": "LINES"}}, ScanRange=scan)
        expected = [n for n, start in enumerate(starts) if start >= first and (last is None or start <= last)]
        assert [json.loads(line)["n"] for line in body.splitlines()] == expected, scan
    for scan in ({"Start": size}, {"Start": 5, "End": 4}):
        assert failure(s3, bucket, "lines", "SELECT * FROM S3Object", {"JSON": {"Type": "LINES"}}, ScanRange=scan) == "InvalidScanRange"
    assert failure(s3, bucket, "lines", "SELECT * FROM S3Object", {"JSON": {"Type": "DOCUMENT"}}, ScanRange={"Start": 1}) == "UnsupportedScanRangeInput"
