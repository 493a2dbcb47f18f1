"""Functions with the libraries that people package: AWS's SDK for durable functions, Powertools for AWS Lambda."""
import importlib.util
import io
import json
import os
import zipfile

import pytest

from test_lambda import create, invoke, lam, refused, role, until  # noqa: F401

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def package(source, *modules):
    """The function with modules of the environment that the tests run in, which must be there."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
        for module in modules:
            found = importlib.util.find_spec(module)
            if found is None:
                pytest.skip(f"{module} is not installed")
            if not found.submodule_search_locations:
                archive.write(found.origin, os.path.basename(found.origin))
                continue
            [top] = found.submodule_search_locations
            for folder, _, files in os.walk(top):
                for name in files:
                    if not name.endswith(".pyc"):
                        path = os.path.join(folder, name)
                        archive.write(path, os.path.join(module, os.path.relpath(path, top)))
    return buffer.getvalue()


DURABLE = """
from aws_durable_execution_sdk_python import durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration

@durable_step
def add(step, a, b):
    return a + b

@durable_execution
def handler(event, context):
    first = context.step(add(event['n'], 1), name='first')
    context.wait(Duration.from_seconds(1), name='pause')
    second = context.step(add(first, 10))
    branches = context.parallel([lambda c: c.step(add(1, 1)), lambda c: c.step(add(2, 2))], name='branches')
    items = context.map([1, 2, 3], lambda c, item, index, all: c.step(add(item, index)), name='items')
    child = context.run_in_child_context(lambda c: c.step(add(5, 5)), name='child')
    other = context.invoke(event['other'], {'asked': child}, name='other')
    callback = context.create_callback(name='approval')
    return [second, branches.get_results(), items.get_results(), child, other, callback.result()]
"""


def finished(lam, event):
    """What the durable function made of the event, without what its callback was told."""
    began = lam.invoke(FunctionName="f", Qualifier="$LATEST", InvocationType="Event", Payload=json.dumps(event))
    arn = began["DurableExecutionArn"]
    events = lambda: lam.get_durable_execution_history(DurableExecutionArn=arn)["Events"]  # noqa: E731
    [callback] = until(lambda: [e for e in events() if e["EventType"] == "CallbackStarted"], 60)
    lam.send_durable_execution_callback_success(
        CallbackId=callback["CallbackStartedDetails"]["CallbackId"], Result=json.dumps("yes")
    )
    assert until(lambda: lam.get_durable_execution(DurableExecutionArn=arn)["Status"] != "RUNNING", 60)
    shown = lam.get_durable_execution(DurableExecutionArn=arn)
    assert shown["Status"] == "SUCCEEDED", shown
    kinds = {e.get("SubType") for e in events()}
    assert {"Step", "Wait", "Parallel", "ParallelBranch", "Map", "MapIteration", "RunInChildContext"} <= kinds
    *most, approval = json.loads(shown["Result"])
    assert approval in ("yes", '"yes"')
    return most


def test_the_sdk_for_durable_functions(lam, create, role, account):
    code = package(DURABLE, "aws_durable_execution_sdk_python")
    create("other")
    create(
        code=code, Role=role("durable", policy=EVERYTHING), Timeout=60, MemorySize=512,
        DurableConfig={"ExecutionTimeout": 300, "RetentionPeriodInDays": 1},
    )
    event = {"n": 1, "other": f"arn:aws:lambda:us-east-1:{account}:function:other:$LATEST"}
    assert finished(lam, event) == [12, [2, 4], [1, 3, 5], 10, {"asked": 10}]


DURABLE_JAVASCRIPT = """
const { withDurableExecution } = require('@aws/durable-execution-sdk-js');

exports.handler = withDurableExecution(async (event, context) => {
    let tries = 0;
    const first = await context.step('first', async () => {
        if (++tries < 2) throw new Error('not yet');
        return event.n + tries;
    }, { retryStrategy: (error, attempt) => ({ shouldRetry: attempt < 3, delay: { seconds: 1 } }) }).catch((e) => -1);
    await context.wait('pause', { seconds: 1 });
    const second = await context.step(async () => event.n + 10);
    const branches = await context.parallel('branches', [(c) => c.step(async () => 2), (c) => c.step(async () => 4)]);
    const items = await context.map('items', [1, 2, 3], async (c, item, index) => c.step(async () => item + index));
    const child = await context.runInChildContext('child', async (c) => c.step(async () => 10));
    const other = await context.invoke('other', event.other, { asked: child });
    const [approval] = await context.createCallback('approval', { timeout: { minutes: 4 } });
    return [first, second, branches.getResults(), items.getResults(), child, other, await approval];
});
"""


def test_the_sdk_for_durable_functions_in_javascript(lam, create, role, account, packages):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.js", DURABLE_JAVASCRIPT)
        for module in ["@aws", "@aws-sdk", "@smithy", "tslib", "bowser"]:
            for path in (packages / "node_modules" / module).rglob("*"):
                if path.suffix in (".js", ".json") and not {"dist-es", "dist-types"} & set(path.parts):
                    archive.write(path, path.relative_to(packages))
    create("other")
    create(
        code=buffer.getvalue(), Runtime="nodejs22.x", Role=role("durable", policy=EVERYTHING), Timeout=60,
        MemorySize=512, DurableConfig={"ExecutionTimeout": 300, "RetentionPeriodInDays": 1},
    )
    event = {"n": 1, "other": f"arn:aws:lambda:us-east-1:{account}:function:other:$LATEST"}
    assert finished(lam, event) == [-1, 11, [2, 4], [1, 3, 5], 10, {"asked": 10}]


POWERTOOLS = """
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, idempotent

logger = Logger(service='shop')
metrics = Metrics(namespace='shop', service='shop')
store = DynamoDBPersistenceLayer(table_name='done')
calls = 0

@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
@idempotent(persistence_store=store)
def handler(event, context):
    global calls
    calls += 1
    logger.info('selling')
    metrics.add_metric(name='Sold', unit=MetricUnit.Count, value=1)
    return {'calls': calls, 'parameter': parameters.get_parameter('/price'), 'secret': parameters.get_secret('key')}
"""


def test_powertools(lam, create, role, client):
    code = package(POWERTOOLS, "aws_lambda_powertools", "jmespath", "typing_extensions")
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="done", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    client("ssm").put_parameter(Name="/price", Value="7", Type="String")
    client("secretsmanager").create_secret(Name="key", SecretString="s")
    create(code=code, Role=role("tools", policy=EVERYTHING), Timeout=60, MemorySize=512)
    expected = {"calls": 1, "parameter": "7", "secret": "s"}
    assert invoke(lam, event={"order": 1})[1] == expected
    # The same order again is not sold again.
    assert invoke(lam, event={"order": 1})[1] == expected
    assert invoke(lam, event={"order": 2})[1]["calls"] == 2
    [item] = [i for i in dynamodb.scan(TableName="done")["Items"] if '"calls": 1' in i["data"]["S"]]
    assert item["status"]["S"] == "COMPLETED"
