"""Many accounts with AWS's latency, for scripts/bench.py: each has the desired state of the benchmark's manifest, or denies.

Usage: bench-accounts-aws.py PORT LATENCY_MS POLICIES [DENIED [HUNG [THROTTLED]]]

DENIED, HUNG and THROTTLED are comma-separated lists of account IDs: their roles cannot be assumed, their calls get no response, or
every second call is throttled. GET /counts returns the counts of requests and resets them.

It derives each response from the request and uses little CPU, because the benchmark measures the client.
"""

import asyncio
import json
import sys
import urllib.parse

port, latency, policies = int(sys.argv[1]), float(sys.argv[2]) / 1000, int(sys.argv[3])
denied, hung, throttled = (set(words.split(",")) for words in (sys.argv[4:] + ["", "", ""])[:3])
counts, turns = {}, {}

INDEXES = [("requester-index", "requester"), ("status-index", "status"), ("profile-index", "profile")]


def policy(number):
    return f'version: "1"\nrules:\n  - name: team-{number}\n    effect: allow\n    conditions: {{ users: [alice, bob] }}\n  - {{ name: rest, effect: deny }}\n'


VALUES = {f"/sentinel/policies/p{number}": json.dumps(policy(number)) for number in range(policies)}


def key(*names):
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"))]


TABLE = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "requester", "status", "profile")]
    + [{"AttributeName": "created_at", "AttributeType": "N"}],
    "KeySchema": key("id"), "TableStatus": "ACTIVE", "CreationDateTime": 1.7e9, "TableSizeBytes": 0, "ItemCount": 0,
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
    "DeletionProtectionEnabled": False,
    "GlobalSecondaryIndexes": [
        {"IndexName": index, "KeySchema": key(attribute, "created_at"), "Projection": {"ProjectionType": "ALL"}, "IndexStatus": "ACTIVE",
         "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}, "ItemCount": 0}
        for index, attribute in INDEXES
    ],
}
TABLE_TEXT = json.dumps(TABLE)[1:]


def of_sts(account, form):
    if form["Action"] == ["AssumeRole"]:
        account = form["RoleArn"][0].split(":")[4]
        if account in denied:
            return 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>"
        said = (
            f"<Credentials><AccessKeyId>ASIA{account}TEST</AccessKeyId><SecretAccessKey>test</SecretAccessKey>"
            "<SessionToken>test</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>"
            f"<AssumedRoleId>AROA:s</AssumedRoleId><Arn>arn:aws:sts::{account}:assumed-role/sentinel/s</Arn></AssumedRoleUser>")
    else:
        said = f"<Account>{account}</Account><Arn>arn:aws:sts::{account}:assumed-role/sentinel/s</Arn><UserId>AROA:s</UserId>"
    action = form["Action"][0]
    return 200, f"<{action}Response><{action}Result>{said}</{action}Result></{action}Response>"


def of_json(account, region, operation, body):
    if operation == "GetParameters":
        arn = f"arn:aws:ssm:{region}:{account}:parameter"
        found = ",".join(
            f'{{"Name":"{name}","Type":"String","Value":{VALUES[name]},"Version":1,"DataType":"text","LastModifiedDate":1.7e9,"ARN":"{arn}{name}"}}'
            for name in json.loads(body)["Names"])
        return f'{{"Parameters":[{found}],"InvalidParameters":[]}}'
    if operation == "DescribeTable":
        name = json.loads(body)["TableName"]
        return f'{{"Table":{{"TableName":"{name}","TableArn":"arn:aws:dynamodb:{region}:{account}:table/{name}",{TABLE_TEXT}}}'
    if operation == "DescribeTimeToLive":
        return '{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"expires_at"}}'
    if operation == "GetResources":
        return '{"ResourceTagMappingList":[],"PaginationToken":""}'
    raise SystemExit(f"{operation} is not among what a plan asks")


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.waiting = transport, b""

    def data_received(self, data):
        self.waiting += data
        head, between, rest = self.waiting.partition(b"\r\n\r\n")
        if not between:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if len(rest) < int(headers.get("content-length", 0)):
            return
        self.waiting = b""
        if lines[0].startswith("GET /counts"):
            self.send(200, json.dumps(counts))
            counts.clear()
            return
        _, _, scope = headers["authorization"].partition("Credential=")
        identity, _, region = scope.split("/")[:3]
        account = identity[4:16]
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        form = {} if operation else urllib.parse.parse_qs(rest.decode())
        operation = operation or form["Action"][0]
        counts[operation] = counts.get(operation, 0) + 1
        if account in hung:
            return
        if account in throttled and operation != "GetCallerIdentity":
            turns[account] = turns.get(account, 0) + 1
            if turns[account] % 2:
                counts["throttled"] = counts.get("throttled", 0) + 1
                return self.later(400, '{"__type":"ThrottlingException","message":"Rate exceeded"}')
        self.later(*(of_sts(account, form) if form else (200, of_json(account, region, operation, rest))))

    def later(self, status, text):
        asyncio.get_running_loop().call_later(latency, self.send, status, text)

    def send(self, status, text):
        kind = "text/xml" if text.startswith("<") else "application/x-amz-json-1.1"
        body = text.encode()
        self.transport.write(f"HTTP/1.1 {status} OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


async def main():
    await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


asyncio.run(main())
