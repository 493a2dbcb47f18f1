"""The functions' part of the benchmarks, with unmodified boto3: `functions.py PART ENDPOINT SERVER-PID COUNT` prints JSON.

latency  cold start (a function that has never run), warm invoke through boto3 and through raw HTTP
burst    COUNT uploads as fast as they go, each of which a function turns into a thumbnail
drain    COUNT events of a function that takes 10 ms of a processor, from the first one sent to the last one done
idle     what a warm function that nobody calls costs beyond what all share
"""
import concurrent.futures
import io
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from urllib.parse import urlsplit

import boto3
import botocore.auth
import botocore.awsrequest
from botocore.config import Config

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


class Cloud:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.session = boto3.Session("test", "test", region_name="us-east-1")

    def client(self, service):
        config = Config(max_pool_connections=64, retries={"max_attempts": 0}, read_timeout=900)
        return self.session.client(service, endpoint_url=self.endpoint, config=config)

    def role(self, name, *statements):
        iam = self.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.attach_role_policy(
            RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        )
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=document)
        return arn

    def function(self, name, role, files, **more):
        functions = self.client("lambda")
        more.setdefault("Runtime", f"python{VERSION}")
        made = functions.create_function(FunctionName=name, Role=role, Code={"ZipFile": zipped(files)}, **more)
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return made["FunctionArn"]


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return data.getvalue()


class Raw:
    """One kept connection and requests signed once: what an invocation costs without an SDK."""

    def __init__(self, cloud):
        self.cloud = cloud
        where = urlsplit(cloud.endpoint)
        self.socket = socket.create_connection((where.hostname, where.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def request(self, function):
        url = f"{self.cloud.endpoint}/2015-03-31/functions/{function}/invocations"
        asked = botocore.awsrequest.AWSRequest("POST", url, data=b"{}", headers={"content-type": "application/json"})
        botocore.auth.SigV4Auth(self.cloud.session.get_credentials(), "lambda", "us-east-1").add_auth(asked)
        sent = asked.prepare()
        lines = [f"POST {urlsplit(url).path} HTTP/1.1", f"host: {urlsplit(url).netloc}", "content-length: 2"]
        plain = lambda value: value.decode() if isinstance(value, bytes) else value
        lines += [f"{n}: {plain(v)}" for n, v in sent.headers.items() if n.lower() not in ("host", "content-length")]
        return "\r\n".join(lines).encode() + b"\r\n\r\n{}"

    def ask(self, request):
        """Milliseconds from the first byte out to the last byte in."""
        begun = time.perf_counter()
        self.socket.sendall(request)
        while b"\r\n\r\n" not in self.held:
            self.more()
        head, self.held = self.held.split(b"\r\n\r\n", 1)
        lower = head.lower()
        length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(self.held) < length:
            self.more()
        took = (time.perf_counter() - begun) * 1000
        body, self.held = self.held[:length], self.held[length:]
        if not head.startswith(b"HTTP/1.1 200") or b"x-amz-function-error" in lower:
            raise SystemExit(f"the invocation failed: {head.decode()}\n{body.decode()}")
        return took

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the server closed the connection")
        self.held += data


def summary(times):
    times = sorted(times)
    return {"p50_ms": statistics.median(times), "p99_ms": times[min(len(times) - 1, len(times) * 99 // 100)], "n": len(times)}


def latency(cloud, pid, count):
    role = cloud.role("latency")
    code = {"index.py": "def handler(event, context):\n    return event\n"}
    raw, functions = Raw(cloud), cloud.client("lambda")
    # The first function of all also waits for the SDK and the first interpreter; users do that once.
    cloud.function("first", role, code, Handler="index.handler")
    first = raw.ask(raw.request("first"))
    cold, with_boto3 = [], []
    for n in range(max(10, count // 25)):
        name = f"cold{n}"
        cloud.function(name, role, code, Handler="index.handler")
        cold.append(raw.ask(raw.request(name)))
    imports = {"index.py": "import boto3\ns3 = boto3.client('s3')\ndef handler(event, context):\n    return event\n"}
    for n in range(max(10, count // 50)):
        name = f"sdk{n}"
        cloud.function(name, role, imports, Handler="index.handler")
        with_boto3.append(raw.ask(raw.request(name)))
    node = []
    if shutil.which("node"):
        code = {"index.js": "exports.handler = async (event) => event;\n"}
        more = {"Handler": "index.handler", "Runtime": "nodejs20.x"}
        # The first of all waits for the SDK from npm.
        cloud.function("node", role, code, **more)
        raw = Raw(cloud)
        raw.ask(raw.request("node"))
        for n in range(max(10, count // 25)):
            cloud.function(f"node{n}", role, code, **more)
            node.append(raw.ask(raw.request(f"node{n}")))
    request = raw.request("first")
    for _ in range(20):
        raw.ask(request)
    warm_raw = [raw.ask(request) for _ in range(count)]
    warm_boto3 = []
    for n in range(count + 20):
        begun = time.perf_counter()
        functions.invoke(FunctionName="first", Payload=b"{}")["Payload"].read()
        if n >= 20:
            warm_boto3.append((time.perf_counter() - begun) * 1000)
    return {
        "first_of_all_ms": first,
        "cold": summary(cold),
        "cold_with_boto3": summary(with_boto3),
        "cold_node": summary(node) if node else None,
        "warm_raw": summary(warm_raw),
        "warm_boto3": summary(warm_boto3),
    }


THUMBNAIL = '''
import io, urllib.parse
import boto3
from PIL import Image

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket, key = record["s3"]["bucket"]["name"], urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        photo = Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        photo.thumbnail((100, 100))
        out = io.BytesIO()
        photo.save(out, "JPEG")
        s3.put_object(Bucket="burst-out", Key=key, Body=out.getvalue())
'''


class Memory(threading.Thread):
    """The most resident memory that the server had, and with its sandboxes, in MiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.server, self.all, self.processes, self.running = pid, 0.0, 0.0, 0, True

    def run(self):
        while self.running:
            members = family(self.pid)
            sizes = {member: self.proportional(member) for member in members}
            self.server = max(self.server, sizes.get(self.pid, 0.0))
            self.all = max(self.all, sum(sizes.values()))
            self.processes = max(self.processes, len(members))
            time.sleep(1)

    @staticmethod
    def proportional(pid):
        """Sandboxes share what they forked from, so each counts its share of it. In MiB."""
        try:
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0.0
        found = [line for line in rollup.splitlines() if line.startswith("Pss:")]
        return int(found[0].split()[1]) / 1024 if found else 0.0


def burst(cloud, pid, count):
    from PIL import Image

    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="burst-in")
    s3.create_bucket(Bucket="burst-out")
    role = cloud.role(
        "burst",
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::burst-in/*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::burst-out/*"},
    )
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--target", folder, "pillow"]
        subprocess.run(pip, check=True)
        root = pathlib.Path(folder)
        files = {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file() and "__pycache__" not in f.parts}
    files["index.py"] = THUMBNAIL
    arn = cloud.function("burst", role, files, Handler="index.handler", Timeout=60, MemorySize=512)
    functions = cloud.client("lambda")
    functions.put_function_concurrency(FunctionName="burst", ReservedConcurrentExecutions=8)
    functions.add_permission(
        FunctionName="burst", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::burst-in",
    )
    s3.put_bucket_notification_configuration(
        Bucket="burst-in",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    photo = io.BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(photo, "JPEG")
    memory = Memory(pid)
    memory.start()
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        put = lambda n: s3.put_object(Bucket="burst-in", Key=f"{n:05}.jpg", Body=photo.getvalue())
        list(pool.map(put, range(count)))
    uploaded = time.perf_counter() - begun
    deadline = time.monotonic() + 600
    while (made := sum(p["KeyCount"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="burst-out"))) < count:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    took = time.perf_counter() - begun
    memory.running = False
    memory.join()
    return {
        "uploads": count, "thumbnails": made, "upload_seconds": uploaded, "seconds": took, "per_second": made / took,
        "server_mib": memory.server, "with_sandboxes_mib": memory.all, "most_processes": memory.processes,
    }


def family(pid):
    """All processes below one, with itself, and their parents."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(pathlib.Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    members = {pid}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return members


def processor_seconds(pid):
    """What a process has used, with its children that are gone."""
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(words[n]) for n in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


WORK = """
import time


def handler(event, context):
    end = time.process_time() + 0.01
    while time.process_time() < end:
        pass
    print("done")
"""


def drain(cloud, pid, count):
    cloud.function("drain", cloud.role("drain"), {"index.py": WORK}, Handler="index.handler", Timeout=60)
    functions, logs = cloud.client("lambda"), cloud.client("logs")
    functions.invoke(FunctionName="drain", Payload=b"{}")
    own, server = time.process_time(), processor_seconds(pid)
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        # Unread answers would keep a connection each, until there are no more.
        send = lambda n: functions.invoke(FunctionName="drain", InvocationType="Event", Payload=b"{}")["Payload"].read()
        list(pool.map(send, range(count)))
    sent = time.perf_counter() - begun

    # Quiet once no sandbox uses a processor any more: looking at the logs would cost more than what is measured.
    def used():
        return sum(processor_seconds(member) for member in family(pid) - {pid})

    last, still = used(), time.perf_counter()
    while time.perf_counter() - still < 2:
        time.sleep(0.25)
        if (now := used()) != last:
            last, still = now, time.perf_counter()
    took = still - begun
    own, server = time.process_time() - own, processor_seconds(pid) - server
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/drain", filterPattern="done")
    done = sum(len(page["events"]) for page in pages) - 1
    ideal = count * 0.01 / os.cpu_count()
    return {
        "events": count, "done": done, "sent_seconds": sent, "seconds": took, "ideal_seconds": ideal, "times": took / ideal,
        "client_processor_seconds": own, "server_processor_seconds": server,
    }


def idle(cloud, pid, count):
    """`count` is not used: thirty are enough for an average."""
    role, functions = cloud.role("idle"), cloud.client("lambda")
    code = {"index.py": "def handler(event, context):\n    return event\n"}

    def memory(member, *names):
        try:
            rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            return 0.0
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.split(":")[0] in names) / 1024

    # The first one also brings what all share.
    cloud.function("first", role, code, Handler="index.handler")
    functions.invoke(FunctionName="first", Payload=b"{}")
    time.sleep(1)
    before, server = family(pid), memory(pid, "Pss")
    for n in range(30):
        cloud.function(f"idle{n}", role, code, Handler="index.handler")
        functions.invoke(FunctionName=f"idle{n}", Payload=b"{}")
    time.sleep(1)
    more = family(pid) - before
    private = sum(memory(member, "Private_Clean", "Private_Dirty") for member in more)
    return {"functions": 30, "processes": len(more), "sandbox_mib": private / 30, "server_mib": (memory(pid, "Pss") - server) / 30}


if __name__ == "__main__":
    part, endpoint, pid, count = sys.argv[1:]
    work = {"latency": latency, "burst": burst, "drain": drain, "idle": idle}[part]
    print(json.dumps(work(Cloud(endpoint), int(pid), int(count))))
