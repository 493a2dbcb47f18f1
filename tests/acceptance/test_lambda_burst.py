"""A burst of uploads, each of which calls a function: none is lost and none invented, also when the cloud dies meanwhile."""
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from test_lambda import LOGS, TRUST, package

# What is promised is 10,000; `CLOUDLET_BURST=10000` asks for them.
COUNT = int(os.environ.get("CLOUDLET_BURST", "1000"))


def set_up(cloud):
    iam, lam, s3 = (cloud.client(name) for name in ("iam", "lambda", "s3"))
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(LOGS))
    code = package("import time\ndef handler(e, c):\n    time.sleep(0.02)\n    print('key', e['Records'][0]['s3']['object']['key'])\n")
    arn = lam.create_function(FunctionName="f", Runtime="python3.11", Role=role, Handler="index.handler", Code={"ZipFile": code}, Timeout=30)["FunctionArn"]
    lam.get_waiter("function_active_v2").wait(FunctionName="f")
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=5)
    lam.add_permission(FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::burst")
    s3.create_bucket(Bucket="burst")
    s3.put_bucket_notification_configuration(
        Bucket="burst",
        NotificationConfiguration={"LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )


def seen(cloud):
    logs = cloud.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/f", filterPattern="key")
        return [e["message"].split()[1] for page in pages for e in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def wait_for(cloud, least, seconds=120 + COUNT // 20):
    end = time.monotonic() + seconds
    while len(set(seen(cloud))) < least and time.monotonic() < end:
        time.sleep(0.1 + COUNT / 20_000)
    return seen(cloud)


def test_a_burst_survives_the_death_of_the_cloud(new_cloud, tmp_path):
    data = str(tmp_path / "data")
    cloud = new_cloud("--data", data)
    set_up(cloud)
    s3 = cloud.client("s3", max_pool_connections=16)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket="burst", Key=f"{n:05}", Body=b"x"), range(COUNT)))
    # In the middle of it, twice.
    for least in (COUNT // 10, COUNT // 2):
        wait_for(cloud, least)
        cloud.kill()
        cloud = new_cloud("--data", data)
    keys = wait_for(cloud, COUNT)
    assert sorted(set(keys)) == [f"{n:05}" for n in range(COUNT)]
    # What was under way when the cloud died is delivered again, and nothing else is.
    assert len(keys) <= COUNT + 2 * 8


def test_a_burst_without_death_runs_each_once(new_cloud):
    cloud = new_cloud("--ephemeral")
    set_up(cloud)
    s3 = cloud.client("s3", max_pool_connections=16)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket="burst", Key=f"{n:05}", Body=b"x"), range(COUNT)))
    assert sorted(wait_for(cloud, COUNT)) == [f"{n:05}" for n in range(COUNT)]
