"""S3 Select through boto3's event streams."""
import bz2
import gzip
import json

import pytest
from botocore.exceptions import ClientError, EventStreamError


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
