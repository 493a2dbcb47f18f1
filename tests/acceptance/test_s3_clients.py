"""S3 through clients that are not AWS's own. Those that are not installed are skipped."""
import os
import pathlib
import shutil
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


S3FS = """
import sys
import s3fs

endpoint, name = sys.argv[1:]
files = s3fs.S3FileSystem(key="test", secret="test", client_kwargs={"endpoint_url": endpoint})
files.mkdir(name)
files.pipe(f"{name}/a/b", b"hello")
assert files.ls(name) == [f"{name}/a"] and files.cat(f"{name}/a/b") == b"hello"
with files.open(f"{name}/big", "wb", block_size=5 << 20) as file:
    for _ in range(3):
        file.write(b"x" * (5 << 20))
with files.open(f"{name}/big", "rb") as file:
    file.seek(-3, 2)
    assert file.read() == b"xxx" and files.info(f"{name}/big")["size"] == 15 << 20
assert sorted(files.find(name)) == [f"{name}/a/b", f"{name}/big"] and files.glob(f"{name}/*/b") == [f"{name}/a/b"]
files.setxattr(f"{name}/a/b", colour="red")
assert files.metadata(f"{name}/a/b") == {"colour": "red"}
files.mv(f"{name}/a/b", f"{name}/c")
assert not files.exists(f"{name}/a/b")
try:
    files.cat(f"{name}/none")
    raise AssertionError("it is not there")
except FileNotFoundError:
    pass
files.rm(name, recursive=True)
files.invalidate_cache()
assert not files.exists(name)
"""


def test_s3fs(cloud, unique):
    python = pathlib.Path(sys.prefix).parent / "s3fs-venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("s3fs is not installed")
    done = subprocess.run([python, "-c", S3FS, cloud.endpoint, unique("b")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_rclone(cloud, unique, tmp_path):
    if not shutil.which("rclone"):
        pytest.skip("rclone is not installed")
    settings = tmp_path / "rclone.conf"
    settings.write_text(f"""[cloud]
type = s3
provider = Other
endpoint = {cloud.endpoint}
access_key_id = test
secret_access_key = test
region = us-east-1
force_path_style = true
chunk_size = 5Mi
upload_cutoff = 5Mi
""")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))}

    def run(*arguments):
        done = subprocess.run(["rclone", "--config", str(settings), *arguments], capture_output=True, text=True,
                              timeout=60, env=environment)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    here, bucket = tmp_path / "here", f"cloud:{unique('b')}"
    (here / "dir").mkdir(parents=True)
    (here / "dir" / "a b+é").write_bytes(b"small")
    (here / "big").write_bytes(os.urandom(12 << 20))
    run("mkdir", bucket)
    run("sync", str(here), bucket)
    listed = lambda: sorted(run("lsf", "-R", bucket).strip().split("\n"))
    assert listed() == ["big", "dir/", "dir/a b+é"]
    run("check", "--download", str(here), bucket)
    run("copyto", f"{bucket}/big", f"{bucket}/copy")
    run("copy", bucket, str(tmp_path / "back"))
    assert (tmp_path / "back" / "copy").read_bytes() == (here / "big").read_bytes()
    (here / "big").unlink()
    run("sync", str(here), bucket)
    assert listed() == ["dir/", "dir/a b+é"]
    run("purge", bucket)


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
