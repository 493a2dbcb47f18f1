"""Functions in other runtimes than Python, on whatever this machine has installed."""
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile

import botocore.exceptions
import pytest

from test_lambda import create, invoke, lam, lines, package, refused, role  # noqa: F401

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here")


@needs_node
def test_a_node_function(lam, create, client):
    source = "exports.handler = async (event, context) => { console.log('seen', event.a); return [event.a, context.functionName, process.env.AWS_EXECUTION_ENV]; };"
    create(code=package(source, name="index.js"), Runtime="nodejs20.x")
    assert invoke(lam, event={"a": "é"})[1] == ["é", "f", "AWS_Lambda_nodejs20.x"]
    (line,) = lines(client, "f", "seen")
    assert line.rstrip().endswith("\tINFO\tseen é")


@needs_node
def test_the_javascript_sdk_is_there(lam, create):
    source = "exports.handler = async () => { const AWS = require('aws-sdk'); return (await new AWS.STS({endpoint: process.env.AWS_ENDPOINT_URL}).getCallerIdentity().promise()).Arn; };"
    create(code=package(source, name="index.js"), Runtime="nodejs16.x", Timeout=30)
    assert ":assumed-role/function/f" in invoke(lam)[1]
    source = "exports.handler = async () => { const {STSClient, GetCallerIdentityCommand: Who} = require('@aws-sdk/client-sts'); return (await new STSClient({}).send(new Who({}))).Arn; };"
    create("g", package(source, name="index.js"), Runtime="nodejs22.x", Timeout=30)
    assert ":assumed-role/function/g" in invoke(lam, "g")[1]


@needs_node
def test_node_errors(lam, create):
    create(code=package("exports.handler = async () => { throw new TypeError('no'); };", name="index.js"), Runtime="nodejs22.x")
    answer, body = invoke(lam)
    assert answer["FunctionError"] == "Unhandled"
    assert (body["errorType"], body["errorMessage"], body["trace"][0]) == ("TypeError", "no", "TypeError: no")


@needs_node
def test_a_stream_comes_in_parts(lam, create):
    source = """
    export const handler = awslambda.streamifyResponse(async (event, stream) => {
        stream.setContentType('text/plain');
        for (const word of ['one', 'two', 'three']) {
            stream.write(word);
            await new Promise((done) => setTimeout(done, 20));
        }
        stream.end();
    });"""
    create(code=package(source, name="index.mjs"), Runtime="nodejs20.x")
    events = list(lam.invoke_with_response_stream(FunctionName="f", Payload=b"{}")["EventStream"])
    chunks = [e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e]
    assert chunks == [b"one", b"two", b"three"] and "InvokeComplete" in events[-1]
    assert lam.invoke(FunctionName="f", Payload=b"{}")["Payload"].read() == b"onetwothree"


needs_ruby = pytest.mark.skipif(not shutil.which("ruby"), reason="no Ruby here")
needs_java = pytest.mark.skipif(not shutil.which("javac"), reason="no JDK here")


@needs_ruby
def test_a_ruby_function(lam, create, client):
    source = "def handler(event:, context:)\n  puts \"seen #{event['a']}\"\n  raise ArgumentError, 'no' if event['fail']\n  [event['a'], context.function_name, ENV['AWS_EXECUTION_ENV']]\nend\n"
    create(code=package(source, name="index.rb"), Runtime="ruby3.3")
    assert invoke(lam, event={"a": "é"})[1] == ["é", "f", "AWS_Lambda_ruby3.3"]
    assert lines(client, "f", "seen")[0].rstrip() == "seen é"
    answer, body = invoke(lam, event={"fail": 1})
    assert answer["FunctionError"] == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("Function<ArgumentError>", "no")


@needs_java
@pytest.mark.parametrize("runtime", ["java17", "java25"])
def test_a_java_function(lam, create, tmp_path, runtime):
    (tmp_path / "Handler.java").write_text(
        "import java.util.*;\npublic class Handler {\n  public Object handle(Map<String, Object> event) {\n"
        "    if (event.containsKey(\"fail\")) throw new IllegalStateException(\"no\");\n"
        "    return List.of(event.get(\"a\"), System.getenv(\"AWS_EXECUTION_ENV\"));\n  }\n}\n"
    )
    subprocess.run(["javac", "--release", "17", "Handler.java"], cwd=tmp_path, check=True)
    code = package((tmp_path / "Handler.class").read_bytes(), name="Handler.class")
    create(code=code, Runtime=runtime, Handler="Handler::handle", MemorySize=512, Timeout=30)
    assert invoke(lam, event={"a": "é"})[1] == ["é", f"AWS_Lambda_{runtime}"]
    answer, body = invoke(lam, event={"fail": 1})
    assert answer["FunctionError"] == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("java.lang.IllegalStateException", "no")


def test_what_cannot_run_here_says_what_to_do(lam, role):
    lam.create_function(FunctionName="f", Role=role(), Runtime="dotnet8", Handler="A::B.C::D", Code={"ZipFile": package("")})
    with pytest.raises(botocore.exceptions.WaiterError):
        lam.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    made = lam.get_function_configuration(FunctionName="f")
    assert (made["State"], made["StateReasonCode"]) == ("Failed", "InvalidRuntime")
    assert "provided.al2023" in made["StateReason"]


# ---- container images ----

RUNTIME = r"""#!/bin/bash
api=/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\/}
while :; do
  exec 5<>$api
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&5
  length=0
  while IFS= read -r line <&5; do
    line=${line%$'\r'}
    [ -z "$line" ] && break
    case "${line,,}" in
      lambda-runtime-aws-request-id:*) id=${line#*: } ;;
      content-length:*) length=${line#*: } ;;
    esac
  done
  IFS= read -r -N "$length" body <&5
  exec 5>&-
  echo "an image saw $body"
  answer="{\"got\":$body,\"args\":\"$*\",\"cwd\":\"$PWD\",\"mine\":\"$MINE\"}"
  exec 5<>$api
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$id" "${#answer}" "$answer" >&5
  while read -r line <&5; do :; done
  exec 5>&-
done
"""


@pytest.fixture
def layout(tmp_path):
    """The folder of an OCI image layout with bash and a runtime in it."""

    def layout(name="image", mine="from the image"):
        root = tmp_path / name
        blobs = root / "blobs" / "sha256"
        blobs.mkdir(parents=True)

        def blob(data):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"digest": f"sha256:{digest}", "size": len(data), "mediaType": "application/octet-stream"}

        listed = subprocess.run(["ldd", "/bin/bash"], capture_output=True, text=True, check=True).stdout
        files = {w: open(w, "rb").read() for w in listed.split() + ["/bin/bash"] if w.startswith("/")}
        files["/app/run"] = RUNTIME.encode()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for path, data in files.items():
                info = tarfile.TarInfo(path.lstrip("/"))
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
        config = {"Entrypoint": ["/app/run"], "Cmd": ["app.handler"], "WorkingDir": "/app", "Env": ["PATH=/bin", f"MINE={mine}"]}
        layers = [blob(out.getvalue())]
        manifest = {"schemaVersion": 2, "config": blob(json.dumps({"os": "linux", "config": config}).encode()), "layers": layers}
        (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode())]}))
        return root

    return layout


def test_a_function_that_is_an_image(lam, role, layout, client):
    image = layout()
    made = lam.create_function(
        FunctionName="f", Role=role(), PackageType="Image", Code={"ImageUri": f"oci:{image}"}, Timeout=20,
        ImageConfig={"Command": ["other.handler"]},
    )
    assert made["PackageType"] == "Image" and "Runtime" not in made and "Handler" not in made
    assert made["ImageConfigResponse"] == {"ImageConfig": {"Command": ["other.handler"]}}
    assert (made["CodeSize"], len(made["CodeSha256"])) == (0, 64)
    lam.get_waiter("function_active_v2").wait(FunctionName="f")
    code = lam.get_function(FunctionName="f")["Code"]
    assert (code["RepositoryType"], code["ImageUri"]) == ("ECR", f"oci:{image}")
    body = invoke(lam, event=[1])[1]
    assert body == {"got": [1], "args": "other.handler", "cwd": "/app", "mine": "from the image"}
    assert lines(client, "f", "image")[0].startswith("an image saw [1]")

    lam.update_function_configuration(FunctionName="f", ImageConfig={"WorkingDirectory": "/bin"})
    lam.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert (invoke(lam)[1]["args"], invoke(lam)[1]["cwd"]) == ("app.handler", "/bin")
    lam.update_function_code(FunctionName="f", ImageUri=f"oci:{layout('newer', 'newer')}")
    lam.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert invoke(lam)[1]["mine"] == "newer"


def test_what_images_are_refused(lam, create):
    create()
    role = lam.get_function_configuration(FunctionName="f")["Role"]

    def make(code, **kw):
        return refused("InvalidParameterValueException", lam.create_function, FunctionName="g", Role=role, Code=code, **kw)

    words = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
    assert make({"ImageUri": "oci:/x"}, PackageType="Image", Runtime="python3.11") == words
    words = "Source image oci:/not/there does not exist. Provide a valid source image."
    assert make({"ImageUri": "oci:/not/there"}, PackageType="Image") == words
    words = "Please don't provide ImageUri when updating a function with packageType Zip."
    assert refused("InvalidParameterValueException", lam.update_function_code, FunctionName="f", ImageUri="oci:/x") == words


def test_a_shell_script_runs_as_a_custom_runtime(lam, create):
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, RUNTIME)
    create(code=source.getvalue(), Runtime="provided.al2023")
    assert invoke(lam, event={"a": 1})[1] == {"got": {"a": 1}, "args": "", "cwd": "/var/task", "mine": ""}
