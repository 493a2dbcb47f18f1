"""S3 through clients that are not AWS's own. Those that are not installed are skipped."""
import os
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize("version", [[], ["--signature-v2"]], ids=["v4", "v2"])
def test_s3cmd(cloud, unique, tmp_path, version):
    program = pathlib.Path(sys.executable).parent / "s3cmd"
    if not program.exists():
        pytest.skip("s3cmd is not installed")
    place = f"localhost:{cloud.port}"
    options = [f"--host={place}", f"--host-bucket={place}", "--no-ssl", "--access_key=test", "--secret_key=test",
               f"--config={os.devnull}", *version]

    def run(*arguments):
        done = subprocess.run([sys.executable, str(program), *options, *arguments], capture_output=True, text=True,
                              timeout=120, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)})
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "a b+é").write_bytes(b"small")
    (tmp_path / "big").write_bytes(os.urandom(6 << 20))
    bucket = f"s3://{unique('b')}"
    run("mb", bucket)
    run("put", "--multipart-chunk-size-mb=5", "big", f"{bucket}/")
    run("sync", "dir/", f"{bucket}/dir/")
    assert "a b+é" in run("ls", "--recursive", bucket)
    run("cp", f"{bucket}/big", f"{bucket}/copy")
    run("get", f"{bucket}/copy", "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()
    run("modify", "--add-header=Content-Type:text/x", f"{bucket}/copy")
    assert "text/x" in run("info", f"{bucket}/copy")
    run("rb", "--recursive", "--force", bucket)


def test_minio_client(cloud, unique):
    minio = pytest.importorskip("minio")
    import io
    client = minio.Minio(f"localhost:{cloud.port}", access_key="test", secret_key="test", secure=False, region="us-east-1")
    name = unique("b")
    client.make_bucket(bucket_name=name)
    client.put_object(bucket_name=name, object_name="a b/é+", data=io.BytesIO(b"hello"), length=5)
    client.put_object(bucket_name=name, object_name="long", data=io.BytesIO(b"x" * (6 << 20)), length=-1, part_size=5 << 20)
    assert client.get_object(bucket_name=name, object_name="a b/é+").data == b"hello"
    assert {o.object_name for o in client.list_objects(bucket_name=name, recursive=True)} == {"a b/é+", "long"}
    assert client.stat_object(bucket_name=name, object_name="long").size == 6 << 20


def test_s3fs(cloud, unique):
    s3fs = pytest.importorskip("s3fs")
    files = s3fs.S3FileSystem(key="test", secret="test", client_kwargs={"endpoint_url": cloud.endpoint})
    name = unique("b")
    files.mkdir(name)
    files.pipe(f"{name}/a/b", b"hello")
    assert files.ls(name) == [f"{name}/a"] and files.cat(f"{name}/a/b") == b"hello"
    files.mv(f"{name}/a/b", f"{name}/c")
    files.rm(name, recursive=True)
    assert not files.exists(name)


def test_arrow(cloud, unique):
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.fs
    import pyarrow.parquet
    files = pyarrow.fs.S3FileSystem(access_key="test", secret_key="test", endpoint_override=cloud.endpoint, region="us-east-1",
                                    allow_bucket_creation=True)
    name = unique("b")
    files.create_dir(name)
    table = pyarrow.table({"a": list(range(1000))})
    pyarrow.parquet.write_table(table, f"{name}/t.parquet", filesystem=files)
    assert pyarrow.parquet.read_table(f"{name}/t.parquet", filesystem=files).equals(table)
