"""Many clients over a few items while the program is killed and started again: every answer can be explained by some
order of the calls, and nothing that was acknowledged is lost."""
import random
import threading
import time
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from linearizability import REFUSED, UNKNOWN, Op, is_linearizable

PAIRS, WORKERS, KILLS, SECONDS = 3, 6, 2, 2.0
TABLE = "hot"


def op(start, end, *call, result=None):
    return Op(start, end, call, result)


def test_the_checker_finds_planted_anomalies():
    put = op(0, 1, "put", 0, 5)
    assert is_linearizable([put, op(2, 3, "read", 0, result=5)])
    assert is_linearizable([put, op(0.5, 3, "read", 0, result=None)]), "they overlap"
    assert not is_linearizable([put, op(2, 3, "read", 0, result=None)]), "a stale read, or a lost write"
    assert not is_linearizable([op(0, 5, "add", 0, result=1), op(1, 4, "add", 0, result=1)]), "a lost update"
    assert is_linearizable([op(0, 5, "add", 0, result=2), op(1, 4, "add", 0, result=1)])
    lost = op(0, 1, "put", 0, 7, result=UNKNOWN)
    late = op(0, 9, "put", 0, 7, result=UNKNOWN)
    assert is_linearizable([late, op(2, 3, "read", 0, result=None), op(4, 5, "read", 0, result=7)])
    assert not is_linearizable([lost, op(2, 3, "read", 0, result=None), op(4, 5, "read", 0, result=7)]), "too late"
    for seen in (7, None):
        assert is_linearizable([lost, op(2, 3, "read", 0, result=seen)]), "it may have happened or not"
    assert not is_linearizable([lost, op(2, 3, "read", 0, result=7), op(4, 5, "read", 0, result=None)]), "but not both"
    both = [op(0, 1, "put", 0, 1), op(2, 6, "move", result="done")]
    assert is_linearizable([*both, op(3, 4, "read both", result=(0, 1))])
    assert not is_linearizable([*both, op(3, 4, "read both", result=(0, None))]), "half a transaction"
    swap = [op(0, 1, "swap", 0, None, 1, result="done"), op(2, 3, "swap", 0, None, 2, result="done")]
    assert not is_linearizable(swap), "a condition that did not hold"
    refused = [op(0, 1, "swap", 0, None, 1, result="done"), op(2, 3, "swap", 0, 1, 2, result=REFUSED)]
    assert not is_linearizable(refused), "a condition that held"
    again = [op(0, 1, "put", 0, 1), op(2, 6, "put", 0, 1), op(2, 6, "delete", 0, result=1), op(7, 8, "read", 0, result=1)]
    assert is_linearizable(again), "the second one came after the deletion"
    many = [op(n, n + 3, "add", 0, result=n + 1) for n in range(300)]
    assert is_linearizable(many) and not is_linearizable([*many, op(400, 401, "read", 0, result=299)])


class Clients:
    """Workers that call whichever cloud is there now and write down what they asked and what they were told."""

    def __init__(self):
        self.client, self.up, self.over = None, threading.Event(), False
        self.histories = [[] for _ in range(PAIRS)]
        self.unexpected = []
        # Calls with a token that were answered, and how often one was asked again.
        self.insisted, self.again = 0, 0
        # When a program was dead for certain: what it was asked and did not answer happens no more after that.
        self.deaths = []

    def run(self, seed):
        choose = random.Random(seed)
        while not self.over:
            if not self.up.wait(0.1):
                continue
            pair = choose.randrange(PAIRS)
            call = self.invent(choose)
            start = time.monotonic()
            try:
                result = self.insist(pair, call) if call == ("move once",) else self.make(self.client, pair, call)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", [])]
                if code == "ConditionalCheckFailedException" or "ConditionalCheckFailed" in reasons:
                    result = REFUSED
                elif code in ("TransactionConflictException", "TransactionCanceledException"):
                    continue
                else:
                    self.unexpected.append((call, error))
                    continue
            except BotoCoreError:
                result = UNKNOWN
            if result is UNKNOWN and call[0].startswith("read"):
                continue
            if call == ("move once",):
                call = ("move",)
            self.histories[pair].append(Op(start, time.monotonic(), call, result))

    def insist(self, pair, call):
        """Asks with one token until there is an answer, across the death of the program: it is done once, or not."""
        token = str(uuid.uuid4())
        while True:
            try:
                done = self.make(self.client, pair, call, token)
                self.insisted += 1
                return done
            except BotoCoreError:
                if self.over:
                    return UNKNOWN
                self.again += 1
                time.sleep(0.05)
                self.up.wait(1)

    @staticmethod
    def invent(choose):
        at = choose.randrange(2)
        kind = choose.choice(
            ["read", "read", "read both", "put", "delete", "add", "add", "swap", "move", "move once", "move once"])
        return {
            "read": ("read", at), "read both": ("read both",), "put": ("put", at, choose.randrange(4)),
            "delete": ("delete", at), "add": ("add", at), "move": ("move",), "move once": ("move once",),
            "swap": ("swap", at, choose.choice([None, 0, 1, 2]), choose.randrange(4)),
        }[kind]

    @staticmethod
    def make(client, pair, call, token=None):
        kind, *arguments = call
        key = lambda at: {"pk": {"S": f"{pair}/{at}"}}
        number = lambda item: int(item["n"]["N"]) if item else None
        if kind == "read":
            return number(client.get_item(TableName=TABLE, Key=key(*arguments), ConsistentRead=True).get("Item"))
        if kind == "read both":
            gets = [{"Get": {"TableName": TABLE, "Key": key(at)}} for at in (0, 1)]
            return tuple(number(one.get("Item")) for one in client.transact_get_items(TransactItems=gets)["Responses"])
        if kind == "put":
            at, value = arguments
            client.put_item(TableName=TABLE, Item={**key(at), "n": {"N": str(value)}})
            return "done"
        if kind == "delete":
            return number(client.delete_item(
                TableName=TABLE, Key=key(*arguments), ReturnValues="ALL_OLD").get("Attributes"))
        one = {":one": {"N": "1"}}
        if kind == "add":
            return number(client.update_item(
                TableName=TABLE, Key=key(*arguments), UpdateExpression="ADD n :one", ExpressionAttributeValues=one,
                ReturnValues="UPDATED_NEW")["Attributes"])
        if kind == "swap":
            at, expected, value = arguments
            when = {"ConditionExpression": "attribute_not_exists(n)"} if expected is None else {
                "ConditionExpression": "n = :e", "ExpressionAttributeValues": {":e": {"N": str(expected)}}}
            client.put_item(TableName=TABLE, Item={**key(at), "n": {"N": str(value)}}, **when)
            return "done"
        less = {":less": {"N": "-1"}, ":none": {"N": "0"}}
        client.transact_write_items(TransactItems=[
            {"Update": {"TableName": TABLE, "Key": key(0), "UpdateExpression": "ADD n :less",
                        "ConditionExpression": "n > :none", "ExpressionAttributeValues": less}},
            {"Update": {"TableName": TABLE, "Key": key(1), "UpdateExpression": "ADD n :one",
                        "ExpressionAttributeValues": one}}], **({"ClientRequestToken": token} if token else {}))
        return "done"


def test_many_clients_and_a_program_that_is_killed(new_cloud, tmp_path):
    start = lambda: new_cloud("--data", str(tmp_path / "data"))
    connect = lambda cloud: cloud.client("dynamodb", max_pool_connections=2 * WORKERS, read_timeout=20)
    cloud = start()
    clients = Clients()
    clients.client = connect(cloud)
    clients.client.create_table(
        TableName=TABLE, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    clients.up.set()
    workers = [threading.Thread(target=clients.run, args=(seed,)) for seed in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(KILLS):
            time.sleep(SECONDS)
            cloud.kill()
            clients.deaths.append(time.monotonic())
            clients.up.clear()
            cloud = start()
            clients.client = connect(cloud)
            clients.up.set()
        time.sleep(SECONDS)
    finally:
        clients.over = True
        for worker in workers:
            worker.join(60)
    assert not clients.unexpected, clients.unexpected[:3]
    calls = sum(map(len, clients.histories))
    assert calls > 200, f"only {calls} calls were answered"
    assert clients.insisted > 10, f"only {clients.insisted} calls with a token were done"
    for pair, history in enumerate(clients.histories):
        for one in history:
            if one.result is UNKNOWN:
                one.end = next((death for death in clients.deaths if death > one.end), one.end)
        assert is_linearizable(history), f"no order explains what was seen of pair {pair}: {len(history)} calls"
        first = sorted(history, key=lambda op: op.start)[:50]
        assert not is_linearizable([*first, op(first[-1].end, first[-1].end + 1, "read", 0, result=10**6)])
    # The stream tells the same story: the images of an item follow from each other, and the last one is the item.
    streams = cloud.client("dynamodbstreams")
    arn = clients.client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    last = {}
    while True:
        page = streams.get_records(ShardIterator=iterator)
        if not page["Records"]:
            break
        for record in page["Records"]:
            of = record["dynamodb"]
            pk = of["Keys"]["pk"]["S"]
            assert last.get(pk) == of.get("OldImage"), pk
            last[pk] = of.get("NewImage")
        iterator = page["NextShardIterator"]
    for pk, image in last.items():
        assert clients.client.get_item(TableName=TABLE, Key={"pk": {"S": pk}}).get("Item") == image
