"""Functions that keep tenants apart, and aliases that share their calls out."""
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_lambda import create, lam, lines, invoke, package, refused, role  # noqa: F401

PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}
COUNTER = package(
    "import os\n"
    "count = 0\n"
    "def handler(event, context):\n"
    "    global count\n"
    "    count += 1\n"
    "    left = os.listdir('/tmp')\n"
    "    open('/tmp/' + context.tenant_id, 'w').close()\n"
    "    print('tenant', context.tenant_id)\n"
    "    return [context.tenant_id, count, left]\n"
)


def test_each_tenant_has_sandboxes_of_its_own(lam, create, client):
    made = create(code=COUNTER, TenancyConfig=PER_TENANT)
    assert made["TenancyConfig"] == PER_TENANT
    assert lam.get_function_configuration(FunctionName="f")["TenancyConfig"] == PER_TENANT
    calls = [invoke(lam, TenantId=tenant)[1] for tenant in ("blue", "red", "blue", "red")]
    assert calls == [["blue", 1, []], ["red", 1, []], ["blue", 2, ["blue"]], ["red", 2, ["red"]]]
    lam.invoke(FunctionName="f", InvocationType="Event", TenantId="later", Payload=b"{}")
    assert lines(client, "f", "later")
    events = list(lam.invoke_with_response_stream(FunctionName="f", TenantId="red")["EventStream"])
    assert json.loads(events[0]["PayloadChunk"]["Payload"]) == ["red", 3, ["red"]]


def test_what_tenants_do_not_go_with(lam, create, role):
    create(code=COUNTER, TenancyConfig=PER_TENANT)
    create("plain")
    for kind in ("RequestResponse", "Event", "DryRun"):
        message = refused("InvalidParameterValueException", lam.invoke, FunctionName="f", InvocationType=kind)
        assert message == (
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
        )
        message = refused("InvalidParameterValueException", lam.invoke, FunctionName="plain", TenantId="a", InvocationType=kind)
        assert message == (
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again."
        )
    refused("ValidationException", lam.invoke, FunctionName="f", TenantId="a!")
    refused("InvalidParameterValueException", lam.create_function_url_config, FunctionName="f", AuthType="NONE")
    refused("InvalidParameterValueException", lam.update_function_configuration, FunctionName="f", SnapStart={"ApplyOn": "PublishedVersions"}, Runtime="python3.12")
    lam.publish_version(FunctionName="f")
    refused(
        "InvalidParameterValueException", lam.put_provisioned_concurrency_config, FunctionName="f", Qualifier="1",
        ProvisionedConcurrentExecutions=1,
    )


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_node_knows_the_tenant(lam, create):
    code = package("exports.handler = async (event, context) => [context.tenantId, 'tenantId' in context];\n", "index.js")
    create(code=code, Runtime="nodejs20.x", TenancyConfig=PER_TENANT)
    assert invoke(lam, TenantId="blue")[1] == ["blue", True]


def test_an_alias_shares_its_calls_out(lam, create):
    for word in ("old", "new"):
        code = package(f"def handler(e, c):\n    return '{word} ' + c.function_version\n")
        if word == "old":
            create(code=code)
        else:
            lam.update_function_code(FunctionName="f", ZipFile=code)
            lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        lam.publish_version(FunctionName="f")
    lam.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}}
    )

    def call(_):
        answer, body = invoke(lam, Qualifier="live")
        assert body == {"1": "old 1", "2": "new 2"}[answer["ExecutedVersion"]]
        return answer["ExecutedVersion"]

    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(call, range(300)))
    # 90 are to be expected; six standard deviations beyond is once in half a billion runs.
    assert 42 <= drawn.count("2") <= 138, drawn.count("2")
