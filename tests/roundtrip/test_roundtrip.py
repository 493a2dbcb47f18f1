"""botocore's serializer feeds our parser and our serializer feeds botocore's parser, for every served operation.

The values are made from botocore's own model, the same ones in every run.
"""

import base64
import io
import json
import pathlib
import re
import urllib.parse

import botocore.awsrequest
import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest

from echo import decode
from values import Maker, as_json, canonical

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST_MODELS = ROOT / "crates/wire/tests/api/models"
TEST_APIS = ["json", "rest_json", "rest_xml", "query", "ec2", "cbor"]
# Our names for the protocols, by botocore's.
PROTOCOLS = {
    "json": None,
    "rest-json": "RestJson1",
    "rest-xml": "RestXml",
    "query": "AwsQuery",
    "ec2": "Ec2Query",
    "smithy-rpc-v2-cbor": "RpcV2Cbor",
}


def served(name):
    lines = (ROOT / "apis" / name / "operations.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line[0].isspace() and not line.startswith("#")]


def without_news(model, name):
    """botocore's model without the members that came after ours was taken from it: `cargo xtask models` catches up."""
    ours = json.loads((ROOT / "models" / f"{name}.json").read_text())["shapes"]
    for shape, of in model["shapes"].items():
        if "members" in of and shape in ours:
            known = ours[shape].get("members", {})
            of["members"] = {member: to for member, to in of["members"].items() if member in known}
    return model


def real_models():
    loader = botocore.loaders.Loader()
    for path in sorted((ROOT / "apis").iterdir()):
        if (path / "operations.txt").exists():
            newest = without_news(loader.load_service_model(path.name, "service-2"), path.name)
            model = botocore.model.ServiceModel(newest, path.name)
            known = set(model.operation_names)
            yield path.name, model, [name for name in served(path.name) if name in known]


def test_models():
    shared = json.loads((TEST_MODELS / "shapes.json").read_text())
    for name in TEST_APIS:
        model = json.loads((TEST_MODELS / f"{name}.json").read_text())
        model["shapes"] = {**shared, **model["shapes"]}
        model = botocore.model.ServiceModel(model, f"test-{name}")
        names = [n for n in model.operation_names if not n.startswith("Unserved")]
        yield f"test_{name}", model, names


test_models.__test__ = False


def every_case():
    for name, model, operations in [*real_models(), *test_models()]:
        protocols = model.metadata.get("protocols") or [model.metadata["protocol"]]
        for protocol in protocols:
            for operation in operations:
                yield pytest.param(name, model, operation, protocol, id=f"{name}-{protocol}-{operation}")


CASES = list(every_case())


def request_of(model, operation, protocol, params):
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    asked = serializer.serialize_to_request(params, operation)
    botocore.awsrequest.prepare_request_dict(asked, endpoint_url="http://localhost:4566")
    request = botocore.awsrequest.create_request_object(asked).prepare()
    url = urllib.parse.urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    headers = {}
    for key, value in request.headers.items():
        headers[key] = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    # Directory buckets have a signing name of their own, which the endpoint rules say and the model does not.
    directory = model.service_name == "s3" and operation.name == "ListDirectoryBuckets"
    return {
        "service": "s3express" if directory else model.signing_name,
        "method": request.method,
        "path": url.path or "/",
        "query": url.query,
        "headers": headers,
        "host": url.hostname,
        "body": base64.b64encode(body).decode(),
    }


def stream_member(shape):
    """The member that is a stream, if any."""
    for name, member in (shape.members if shape else {}).items():
        if member.serialization.get("streaming"):
            return name
    return None


def lossy(protocol, level):
    """The values that a protocol cannot tell from an absent member."""
    if protocol in ("json", "smithy-rpc-v2-cbor"):
        return ()
    return ([], {}, None, "", b"") if level == 2 else ([], {}, None, b"")


@pytest.mark.parametrize("name, model, operation, protocol", CASES)
def test_requests(echo, name, model, operation, protocol):
    op = model.operation_model(operation)
    shape = op.input_shape
    for level in (0, 1, 1, 2):
        params = Maker(f"{name}.{operation}.in.{level}", level).structure(shape) if shape else {}
        payload = params.get(stream_member(shape)) if shape else None
        got = echo.ask(do="read", **request_of(model, op, protocol, params))
        assert "error" not in got, (got["error"], params)
        assert got["operation"] == operation
        expected = {k: v for k, v in params.items() if k != (stream_member(shape) if shape else None)}
        if shape:
            drop = lossy(protocol, level)
            found = got["input"]
            if "ContentLength" not in expected:
                # botocore's HTTP layer adds the header that S3's model also has as a member.
                found.pop("ContentLength", None)
            assert canonical(shape, found, drop) == canonical(shape, expected, drop)
        if payload is not None:
            assert base64.b64decode(got["stream"]) == payload


@pytest.mark.parametrize("name, model, operation, protocol", CASES)
def test_answers(echo, name, model, operation, protocol):
    op = model.operation_model(operation)
    shape = op.output_shape
    if op.has_event_stream_output:
        pytest.skip("event streams are compared in the crate's own tests")
    parser = botocore.parsers.create_parser(protocol)
    for level in (0, 1, 1, 2):
        output = Maker(f"{name}.{operation}.out.{level}", level, output=True).structure(shape) if shape else {}
        streamed = stream_member(shape) if shape else None
        stream = output.pop(streamed, None) if streamed else None
        asked = {"do": "write", "service": name, "operation": operation, "protocol": ours(model, protocol)}
        asked["output"] = as_json(shape, output) if shape else {}
        if stream is not None:
            asked["stream"] = base64.b64encode(stream).decode()
        got = echo.ask(**asked)
        body = decode(got)
        response = {
            "status_code": got["status"],
            "headers": botocore.awsrequest.HeadersDict(got["headers"]),
            "body": io.BytesIO(body) if op.has_streaming_output else body,
            "context": {"operation_name": operation},
        }
        assert got["status"] < 300
        parsed = parser.parse(response, shape)
        metadata = parsed.pop("ResponseMetadata", {})
        if shape is not None:
            assert metadata["RequestId"]
        if op.has_streaming_output:
            payload = shape.serialization["payload"]
            parsed[payload] = parsed[payload].read()
        if name == "s3" and operation == "GetBucketLocation":
            # botocore reads this one in a handler of its own.
            found = re.search(rb"<LocationConstraint[^>]*>([^<]+)<", body)
            parsed = {"LocationConstraint": found.group(1).decode()} if found else {}
        if stream is not None:
            assert parsed.pop(streamed) == stream
        if op.http.get("method") == "HEAD":
            output = {k: v for k, v in output.items() if shape.members[k].serialization.get("location")}
        if shape:
            drop = lossy(protocol, level)
            for member in shape.members:
                location = shape.members[member].serialization.get("location")
                name_on_wire = shape.members[member].serialization.get("name", "").lower()
                if location == "statusCode" or (location == "header" and name_on_wire == "content-type"):
                    # Always there on the wire, given or not.
                    parsed.pop(member, None) if member not in output else None
                if member == shape.serialization.get("payload") and member not in output:
                    assert parsed.pop(member, None) in (None, "", b"", {})
            assert canonical(shape, parsed, drop) == canonical(shape, output, drop)


def ours(model, protocol):
    if protocol == "json":
        return "AwsJson10" if model.metadata.get("jsonVersion") == "1.0" else "AwsJson11"
    return PROTOCOLS[protocol]


@pytest.mark.parametrize("name, model, operation, protocol", CASES)
def test_errors(echo, name, model, operation, protocol):
    op = model.operation_model(operation)
    parser = botocore.parsers.create_parser(protocol)
    for error in [*op.error_shapes, None]:
        code = error.error_code if error is not None else "SomethingElse"
        message = "it's <gone> & \"lost\" é"
        got = echo.ask(
            do="fail", service=name, protocol=ours(model, protocol), code=code, status=409, message=message
        )
        response = {
            "status_code": got["status"],
            "headers": botocore.awsrequest.HeadersDict(got["headers"]),
            "body": decode(got),
            "context": {"operation_name": operation},
        }
        parsed = parser.parse(response, op.output_shape)
        assert parsed["Error"]["Code"] == code
        assert parsed["Error"]["Message"] == message
        assert parsed["ResponseMetadata"]["RequestId"]
        assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 409
