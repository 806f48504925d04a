"""AWS's weather on a good day, in front of an emulator: latency, and the quotas that AWS documents.

Usage: bench-proxy.py PORT EMULATOR_PORT LATENCY_MS

Counts what it passes on; GET /counts tells, and begins anew.
"""

import asyncio
import json
import sys
import time

# Calls a second, and at once after a pause. Parameter Store's reads share one. As documented, or as operators have measured.
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

port, emulator, latency = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000
buckets, counts = {}, {}


def admitted(operation):
    quota = SHARED.get(operation, operation)
    if quota not in QUOTAS:
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


async def forward(first, headers, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator)
    skipped = ("connection", "content-length", "transfer-encoding", "expect")
    kept = "".join(f"{key}: {value}\r\n" for key, value in headers.items() if key not in skipped)
    writer.write(f"{first}\r\n{kept}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode("latin-1") + body)
    status, answered, answer = await read_message(reader)
    writer.close()
    return status, answered, answer


async def serve(reader, writer):
    try:
        while True:
            first, headers, body = await read_message(reader)
            if first.startswith("GET /counts"):
                answer = json.dumps(counts).encode()
                counts.clear()
                buckets.clear()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
                continue
            target = headers.get("x-amz-target", "")
            operation = target.rpartition(".")[2] or "form"
            counts[operation] = counts.get(operation, 0) + 1
            await asyncio.sleep(latency)
            if admitted(operation):
                status, answered, answer = await forward(first, headers, body)
                # AWS gives each table an id, which Ansible's module wants, and moto does not.
                answer = answer.replace(b'"TableName"', b'"TableId": "00000000-0000-0000-0000-000000000000", "TableName"', 1) \
                    if operation in ("CreateTable", "DescribeTable", "UpdateTable") and b"TableId" not in answer else answer
            else:
                counts["throttled"] = counts.get("throttled", 0) + 1
                status, answered, answer = "HTTP/1.1 400 Bad Request", {"content-type": "application/x-amz-json-1.1"}, THROTTLED
            kept = "".join(
                f"{key}: {answered[key]}\r\n" for key in ("content-type", "x-amzn-requestid") if key in answered
            )
            writer.write(f"{status}\r\n{kept}content-length: {len(answer)}\r\n\r\n".encode("latin-1") + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


asyncio.run(main())
