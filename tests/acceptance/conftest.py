"""Starts the real binary on a free port for each worker; tests reach it with real clients.

CLOUDLET_BINARY names the binary (default: the release build of this checkout).
"""
import fcntl
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

import boto3
import pytest
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_TO_START = 60


def binary():
    named = os.environ.get("CLOUDLET_BINARY")
    if named:
        return named
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "cloudlet")


class Cloud:
    """A running cloud: `endpoint`, `port`, `pid`; `client()` and `session()` for any account and region."""

    def __init__(self, *options, env=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CLOUDLET_"))}
        environment.update(env or {})
        self.process = subprocess.Popen(
            [binary(), "start", "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        self.output, self.errors = [], []
        ready = threading.Event()

        def follow(stream, lines):
            for line in stream:
                lines.append(line)
                if "Ready." in line:
                    ready.set()
            ready.set()

        for stream, lines in ((self.process.stdout, self.output), (self.process.stderr, self.errors)):
            threading.Thread(target=follow, args=(stream, lines), daemon=True).start()
        ready.wait(SECONDS_TO_START)
        found = re.search(r"http://[^:\s]+:(\d+)", "".join(self.output))
        if not found:
            self.process.kill()
            raise RuntimeError(f"the cloud did not start: {''.join(self.output)} {''.join(self.errors)}")
        self.port = int(found.group(1))
        self.endpoint = f"http://localhost:{self.port}"
        self.pid = self.process.pid

    def session(self, account="000000000000", region="us-east-1", key=None, secret=None, token=None):
        key = key or ("test" if account == "000000000000" else account)
        return boto3.Session(key, secret or "test", token, region_name=region)

    def client(self, service, account="000000000000", region="us-east-1", key=None, secret=None, token=None, **config):
        config = Config(retries={"max_attempts": 0}, **config)
        session = self.session(account, region, key, secret, token)
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def environment(self, account="000000000000", region="us-east-1"):
        """The environment for command-line clients."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment.update(
            AWS_ENDPOINT_URL=self.endpoint, AWS_ACCESS_KEY_ID="test" if account == "000000000000" else account,
            AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION=region, AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_PAGER="", AWS_MAX_ATTEMPTS="1",
        )
        return environment

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait(60)


@pytest.fixture(scope="session")
def cloud():
    running = Cloud("--ephemeral")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def new_cloud():
    """Starts further clouds with options of their own, and ends them with the test."""
    started = []

    def start(*options, **kw):
        started.append(Cloud(*options, **kw))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.kill()


@pytest.fixture
def client(cloud, account):
    """client("s3"): a client of this test's own account."""
    return lambda service, **kw: cloud.client(service, **{"account": account, **kw})


_numbers = itertools.count(random.randrange(10**6) * 10**5)


@pytest.fixture
def account():
    """A fresh account, so that tests do not see each other."""
    return f"{(100_000_000_000 + next(_numbers)) % 10**12:012d}"


@pytest.fixture
def unique():
    """unique("photos"): a name nobody else has; bucket names are shared by all accounts."""
    return lambda prefix="t": f"{prefix}-{random.randrange(16**10):010x}"


@pytest.fixture
def s3(client):
    return client("s3")


@pytest.fixture
def bucket(s3, unique):
    """A new bucket of this test's own account."""
    name = unique("b")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def their_account(account):
    """Another account than this test's own."""
    return f"{(int(account) + 500_000) % 10**12:012d}"


@pytest.fixture
def other(cloud, their_account):
    """S3 as the other account sees it."""
    return cloud.client("s3", account=their_account)


@pytest.fixture
def aws(cloud, account):
    """aws("s3", "ls"): runs the real AWS CLI; gives the completed process."""

    def run(*arguments, check=True, input=None, timeout=120, **env):
        command = [str(pathlib.Path(sys.executable).parent / "aws"), *arguments]
        done = subprocess.run(
            command, env={**cloud.environment(account), **env}, input=input, capture_output=True, timeout=timeout
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(arguments)}: {done.stderr.decode()}")
        return done

    return run


@pytest.fixture(scope="session")
def packages():
    """The packages of `clients/package.json`, installed once for all runs; by whichever worker comes first."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("no Node.js here")
    wanted = (ROOT / "tests" / "acceptance" / "clients" / "package.json").read_text()
    home = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "test-npm"
    home.mkdir(parents=True, exist_ok=True)
    marker = home / "installed.json"
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != wanted:
            (home / "package.json").write_text(wanted)
            done = subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund"], cwd=home,
                                  capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                pytest.skip(f"npm could not install the libraries: {done.stderr[-300:]}")
            marker.write_text(wanted)
    return home
