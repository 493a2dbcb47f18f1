"""The command line as a user meets it."""
import json
import os
import subprocess

import pytest

from conftest import binary


@pytest.fixture
def run(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CLOUDLET_"))}
    environment.update(XDG_DATA_HOME=str(tmp_path / "data"), XDG_RUNTIME_DIR=str(tmp_path), HOME=str(tmp_path))

    def run(*arguments, **env):
        return subprocess.run(
            [binary(), *arguments], capture_output=True, text=True, timeout=90, env={**environment, **env}, cwd=tmp_path
        )

    return run


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_help_names_every_command(run):
    text = run("--help").stdout
    for command in "start stop status env demo doctor snapshot reset logs ca completions".split():
        assert f"\n  {command} " in text
    assert "CLOUDLET_PORT" in run("start", "--help").stdout


def test_a_life(run, tmp_path):
    port = str(free_port())
    assert run("status", "--port", port).returncode == 1
    started = run("start", "--detach", "--port", port)
    assert started.returncode == 0, started.stderr
    try:
        assert "running on" in run("status", "--port", port).stdout
        environment = dict(
            line.removeprefix("export ").split("=", 1)
            for line in run("env", "--port", port).stdout.splitlines()
            if line.startswith("export ")
        )
        assert environment["AWS_ENDPOINT_URL"] == f"http://localhost:{port}"
        import boto3

        s3 = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="a", Body=b"x" * 100_000)
        assert run("snapshot", "save", "one", "--port", port).returncode == 0
        assert "one" in run("snapshot", "list").stdout
        assert run("reset", "--port", port).returncode == 0
        assert s3.list_buckets()["Buckets"] == []
        loaded = run("snapshot", "load", "one", "--port", port)
        assert loaded.returncode == 0, loaded.stderr
        assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"x" * 100_000

        taken = run("start", "--port", port, "--ephemeral")
        assert taken.returncode == 1 and "is taken by cloudlet (process" in taken.stderr
        second = run("start", "--port", "0")
        assert second.returncode == 1 and "process" in second.stderr
    finally:
        assert run("stop", "--port", port).returncode == 0
    again = run("start", "--detach", "--port", port)
    assert again.returncode == 0, again.stderr
    try:
        assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"x" * 100_000
    finally:
        assert run("stop", "--port", port).returncode == 0


def test_configuration_file_and_localstack_variables(run, tmp_path):
    port = free_port()
    (tmp_path / "cloudlet.toml").write_text(f"port = {port}\nephemeral = true\n")
    started = run("start", "--detach", ENFORCE_IAM="1")
    assert started.returncode == 0, started.stderr
    try:
        assert f"localhost:{port}" in run("status").stdout
    finally:
        assert run("stop").returncode == 0
    (tmp_path / "cloudlet.toml").write_text("prot = 1\n")
    wrong = run("status")
    assert wrong.returncode == 1 and "unknown field" in wrong.stderr


def test_other_addresses_have_no_well_known_key(new_cloud, tmp_path):
    cloud = new_cloud("--listen", "0.0.0.0", "--data", str(tmp_path / "d"))
    import botocore.exceptions

    with pytest.raises(botocore.exceptions.ClientError) as refused:
        cloud.client("sts").get_caller_identity()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"
    words = "".join(cloud.output).split()
    pairs = dict(w.split("=", 1) for w in words if w.startswith("AWS_"))
    sts = cloud.client("sts", key=pairs["AWS_ACCESS_KEY_ID"], secret=pairs["AWS_SECRET_ACCESS_KEY"])
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


def test_completions(run):
    for shell in ("bash", "zsh", "fish"):
        assert "cloudlet" in run("completions", shell).stdout


def test_doctor_says_what_is_there(run):
    out = run("doctor", "--port", str(free_port()))
    assert out.returncode == 0, out.stdout
    assert "python" in out.stdout


def test_doctor_verifies_every_object(new_cloud, tmp_path):
    data = tmp_path / "data"
    cloud = new_cloud("--data", str(data))
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="checked")
    s3.put_bucket_versioning(Bucket="checked", VersioningConfiguration={"Status": "Enabled"})
    for size in (0, 10, 10_000, 100_000):
        for _ in range(2):
            s3.put_object(Bucket="checked", Key=f"k{size}", Body=b"x" * size)
    upload = s3.create_multipart_upload(Bucket="checked", Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(Bucket="checked", Key="parts", UploadId=upload, PartNumber=number,
                              Body=b"p" * (5 << 20), ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket="checked", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})

    def doctor():
        options = ["--data", str(data), "--port", str(cloud.port)]
        return subprocess.run([binary(), "doctor", "--verify", *options], capture_output=True, text=True, timeout=120)

    done = doctor()
    assert done.returncode == 0 and "9 objects" in done.stdout, done
    assert cloud.stop() == 0
    done = doctor()
    assert done.returncode == 0 and "9 objects" in done.stdout, done
    blobs = sorted((p for p in (data / "blobs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    with open(blobs[0], "r+b") as file:
        file.seek(500)
        file.write(b"!")
    with open(blobs[-1], "r+b") as file:
        file.truncate(1000)
    done = doctor()
    assert done.returncode == 1 and "2 of 9 objects are damaged" in done.stdout, done
    assert "checked/k100000?versionId=" in done.stdout and "checked/parts?versionId=" in done.stdout
