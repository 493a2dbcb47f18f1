"""Libraries that people build on DynamoDB: models, sessions and locks, in Python and in JavaScript."""
import datetime
import json
import os
import pathlib
import subprocess
import uuid

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from decimal import Decimal

SCRIPTS = pathlib.Path(__file__).resolve().parent / "clients"


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture()
def resource(cloud):
    return boto3.resource("dynamodb", endpoint_url=cloud.endpoint, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")


def test_boto3_resources(resource):
    table = resource.create_table(
        TableName=name("res"), BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}])
    table.wait_until_exists()
    with table.batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
        for i in range(120):
            batch.put_item(Item={"pk": "a", "sk": i % 100, "n": Decimal("1.5"), "tags": {"x", "y"}, "raw": b"\x00\xff",
                                 "deep": {"list": [1, None, True, {"m": Decimal("1E-20")}]}})
    assert table.query(KeyConditionExpression=Key("pk").eq("a") & Key("sk").between(10, 19))["Count"] == 10
    found = table.query(KeyConditionExpression=Key("pk").eq("a") & Key("sk").lt(3), ScanIndexForward=False,
                        FilterExpression=Attr("deep.list[3].m").lt(1) & Attr("tags").contains("x") & ~Attr("zz").exists())
    assert [item["sk"] for item in found["Items"]] == [2, 1, 0]
    item = found["Items"][0]
    assert item["tags"] == {"x", "y"} and item["raw"].value == b"\x00\xff"
    assert item["deep"]["list"] == [1, None, True, {"m": Decimal("1E-20")}]
    changed = table.update_item(
        Key={"pk": "a", "sk": 1}, UpdateExpression="SET #n = #n + :one, deep.#l[0] = :zero REMOVE tags",
        ConditionExpression=Attr("n").eq(Decimal("1.5")) & Attr("raw").size().eq(2),
        ExpressionAttributeNames={"#n": "n", "#l": "list"}, ExpressionAttributeValues={":one": 1, ":zero": 0},
        ReturnValues="ALL_NEW")["Attributes"]
    assert changed["n"] == Decimal("2.5") and changed["deep"]["list"][0] == 0 and "tags" not in changed
    with pytest.raises(resource.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(Item={"pk": "a", "sk": 1}, ConditionExpression=Attr("pk").not_exists())
    pages = resource.meta.client.get_paginator("scan").paginate(TableName=table.name, PaginationConfig={"PageSize": 30})
    assert sum(len(page["Items"]) for page in pages) == 100
    table.load()
    assert table.table_status == "ACTIVE" and table.key_schema[1]["KeyType"] == "RANGE"
    table.delete()
    table.wait_until_not_exists()


def test_pynamodb(cloud, monkeypatch):
    attributes = pytest.importorskip("pynamodb.attributes", reason="pynamodb is not installed")
    from pynamodb.connection import Connection
    from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError
    from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
    from pynamodb.models import Model
    from pynamodb.transactions import TransactGet, TransactWrite
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    class ByView(GlobalSecondaryIndex):
        class Meta:
            index_name, projection, read_capacity_units, write_capacity_units = "by-view", AllProjection(), 1, 1
        view = attributes.NumberAttribute(hash_key=True)

    class Details(attributes.MapAttribute):
        colour = attributes.UnicodeAttribute(null=True)
        sizes = attributes.ListAttribute(of=attributes.NumberAttribute, null=True)

    class Thread(Model):
        class Meta:
            table_name, host, region = name("pynamo"), cloud.endpoint, "us-east-1"
            read_capacity_units = write_capacity_units = 1
        forum = attributes.UnicodeAttribute(hash_key=True)
        subject = attributes.UnicodeAttribute(range_key=True)
        views = attributes.NumberAttribute(default=0)
        view = attributes.NumberAttribute(default=1)
        tags = attributes.UnicodeSetAttribute(null=True)
        at = attributes.UTCDateTimeAttribute(null=True)
        details = Details(null=True)
        version = attributes.VersionAttribute()
        by_view = ByView()

    assert not Thread.exists()
    Thread.create_table(wait=True)
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    one = Thread("f", "s1", tags={"a", "b"}, at=at, details=Details(colour="red", sizes=[1, 2]))
    one.save()
    with Thread.batch_write() as batch:
        for i in range(40):
            batch.save(Thread("f", f"t{i:02}", views=i, view=2))
    got = Thread.get("f", "s1", consistent_read=True)
    assert (got.tags, got.at, got.details.sizes, got.version) == ({"a", "b"}, at, [1, 2], 1)
    got.update(actions=[Thread.views.add(5), Thread.details.colour.set("blue"), Thread.tags.delete({"a"})],
               condition=Thread.views == 0)
    assert (got.views, got.details.colour, got.tags, got.version) == (5, "blue", {"b"}, 2)
    with pytest.raises(PutError):
        one.save()
    assert [t.subject for t in Thread.query("f", Thread.subject.startswith("t0"), Thread.views > 5)] == [
        "t06", "t07", "t08", "t09"]
    assert Thread.count("f", Thread.subject.between("t10", "t19")) == 10
    assert len(list(Thread.by_view.query(2, limit=35, page_size=10))) == 35
    assert len(list(Thread.scan(Thread.views.is_in(1, 2, 3)))) == 3
    assert {t.subject for t in Thread.batch_get([("f", "s1"), ("f", "t01"), ("f", "none")])} == {"s1", "t01"}
    connection = Connection(region="us-east-1", host=cloud.endpoint)
    with TransactWrite(connection=connection) as write:
        write.save(Thread("g", "new"))
        write.update(Thread("f", "t01"), actions=[Thread.views.set(100)], condition=Thread.views == 1, add_version_condition=False)
    with TransactGet(connection=connection) as read:
        first, second = read.get(Thread, "g", "new"), read.get(Thread, "f", "t01")
    assert first.get().subject == "new" and second.get().views == 100
    with pytest.raises(TransactWriteError) as refused:
        with TransactWrite(connection=connection) as write:
            write.delete(Thread("g", "new"), condition=Thread.views == 7, add_version_condition=False)
    assert refused.value.cancellation_reasons[0].code == "ConditionalCheckFailed"
    Thread.get("g", "new").delete()
    with pytest.raises(DoesNotExist):
        Thread.get("g", "new")
    Thread.delete_table()


def test_locks(resource):
    locks = pytest.importorskip("python_dynamodb_lock.python_dynamodb_lock", reason="python-dynamodb-lock is not installed")
    table = name("locks")
    locks.DynamoDBLockClient.create_dynamodb_table(resource.meta.client, table_name=table)
    resource.meta.client.get_waiter("table_exists").wait(TableName=table)
    mine, theirs = (locks.DynamoDBLockClient(
        resource, table_name=table, lease_duration=datetime.timedelta(seconds=5),
        heartbeat_period=datetime.timedelta(seconds=1), safe_period=datetime.timedelta(seconds=4)) for _ in "ab")
    try:
        lock = mine.acquire_lock("key")
        with pytest.raises(locks.DynamoDBLockError) as refused:
            theirs.acquire_lock("key", retry_period=datetime.timedelta(seconds=0.1),
                                retry_timeout=datetime.timedelta(seconds=0.5))
        assert refused.value.code == locks.DynamoDBLockError.ACQUIRE_TIMEOUT
        lock.release(best_effort=False)
        theirs.acquire_lock("key", retry_timeout=datetime.timedelta(seconds=2)).release(best_effort=False)
    finally:
        mine.close(release_locks=False)
        theirs.close(release_locks=False)


def test_flask_sessions(resource):
    flask_session = pytest.importorskip("flask_session", reason="flask-session is not installed")
    from flask import Flask, session
    app = Flask("sessions")
    table = name("sessions")
    app.config.update(SESSION_TYPE="dynamodb", SESSION_DYNAMODB=resource, SESSION_DYNAMODB_TABLE=table, SECRET_KEY="x")
    flask_session.Session(app)

    @app.get("/")
    def count():
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    ann, bob = app.test_client(), app.test_client()
    assert [ann.get("/").text, ann.get("/").text, bob.get("/").text] == ["1", "2", "1"]
    assert resource.Table(table).scan()["Count"] == 2


@pytest.mark.parametrize("library", ["document", "electrodb", "toolbox", "sessions", "dynamoose", "onetable"])
def test_in_javascript(cloud, packages, library):
    script = packages / f"{library}.mjs"
    script.write_text((SCRIPTS / f"{library}.mjs").read_text())
    done = subprocess.run(["node", script], cwd=packages, capture_output=True, text=True, timeout=120, env={
        **cloud.environment(), "AWS_REGION": "us-east-1", "TABLE": name(library)})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"ok": library}
