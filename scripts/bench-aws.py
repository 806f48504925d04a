"""moto with AWS's latency and documented quotas.

Usage: bench-aws.py PORT PLAIN_PORT LATENCY_MS [unlimited]

`unlimited` throttles nothing, as on an account with higher throughput.

The script calls moto in its own process, because moto's server takes longer than its responses. PLAIN_PORT is moto without latency and
quotas. The script counts the requests on PORT; GET /counts on PLAIN_PORT returns the counts and resets them.
"""

import asyncio
import io
import json
import sys
import time

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

# Calls per second, and the burst after a pause, as documented or as measured by operators. Parameter Store's reads share a quota.
READS = "parameter reads"
SHARED = {"GetParameters": READS, "GetParameter": READS, "GetParametersByPath": READS, "DescribeParameters": READS}
QUOTAS = {
    READS: (40, 40),
    "PutParameter": (3, 15),
    "DeleteParameter": (5, 5),
    "ListTagsForResource": (5, 10),
    "DescribeTable": (50, 100),
    "DescribeTimeToLive": (10, 10),
    "DescribeContinuousBackups": (10, 10),
    "ListTagsOfResource": (10, 10),
    "CreateTable": (5, 5),
    "UpdateTable": (5, 5),
    "UpdateTimeToLive": (5, 5),
}
THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()

port, plain_port, latency = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000
unlimited = sys.argv[4:] == ["unlimited"]
buckets, counts = {}, {}
moto = DomainDispatcherApplication(create_backend_app)


def admitted(operation):
    quota = SHARED.get(operation, operation)
    if unlimited or quota not in QUOTAS:
        return True
    rate, burst = QUOTAS[quota]
    now = time.monotonic()
    tokens, at = buckets.get(quota, (burst, now))
    tokens = min(burst, tokens + (now - at) * rate)
    buckets[quota] = (tokens - 1 if tokens >= 1 else tokens, now)
    return tokens >= 1


async def read_message(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:] if line)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return lines[0], headers, body
    return lines[0], headers, await reader.readexactly(int(headers.get("content-length", 0)))


def ask_moto(first, headers, body):
    """Returns the status, the headers and the body of the response."""
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port), "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        **{"HTTP_" + key.upper().replace("-", "_"): value for key, value in headers.items() if key != "transfer-encoding"},
        "CONTENT_TYPE": headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
    }
    said = []
    answer = moto.get_application(environ)(environ, lambda status, answered, *_: said.extend((status, answered)))
    body = b"".join(answer)
    status, answered = said
    return status, {key.lower(): value for key, value in answered}, body


async def weather(first, headers, body):
    operation = headers.get("x-amz-target", "").rpartition(".")[2] or "form"
    counts[operation] = counts.get(operation, 0) + 1
    await asyncio.sleep(latency)
    if not admitted(operation):
        counts["throttled"] = counts.get("throttled", 0) + 1
        return "400 Bad Request", {"content-type": "application/x-amz-json-1.1"}, THROTTLED
    status, answered, answer = ask_moto(first, headers, body)
    # Ansible's module requires the table ID that AWS returns and moto does not.
    if operation in ("CreateTable", "DescribeTable", "UpdateTable") and b"TableId" not in answer:
        answer = answer.replace(b'"TableName"', b'"TableId": "00000000-0000-0000-0000-000000000000", "TableName"', 1)
    return status, answered, answer


async def plain(first, headers, body):
    if first.startswith("GET /counts"):
        answer = json.dumps(counts).encode()
        counts.clear()
        buckets.clear()
        return "200 OK", {}, answer
    return ask_moto(first, headers, body)


async def serve(reader, writer, respond):
    try:
        while True:
            status, answered, answer = await respond(*await read_message(reader))
            kept = "".join(f"{key}: {answered[key]}\r\n" for key in ("content-type", "x-amzn-requestid") if key in answered)
            writer.write(f"HTTP/1.1 {status}\r\n{kept}content-length: {len(answer)}\r\n\r\n".encode("latin-1") + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    for at, respond in ((port, weather), (plain_port, plain)):
        await asyncio.start_server(lambda reader, writer, respond=respond: serve(reader, writer, respond), "127.0.0.1", at, limit=2**20)
    await asyncio.Event().wait()


asyncio.run(main())
