"""The load generator of scripts/bench-broker: it sends signed requests of a client repeatedly while they are valid."""

import argparse
import asyncio
import http.server
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

MANIFEST = """[aws]
region = "us-east-1"
[profiles.dev]
policy = "policy.yaml"
[tables.approvals]
[tables.breakglass]
[tables.sessions]
[broker.roles]
dev = "arn:aws:iam::123456789012:role/dev"
"""
POLICY = """version: "1"
rules:
  - name: developers
    effect: allow
    conditions: { profiles: [dev], users: [alice] }
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Recorder(http.server.BaseHTTPRequestHandler):
    """Records a request of a client, and returns an unusable response."""

    body = b""

    def do_POST(self):
        Recorder.body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Bench:
    def __init__(self, sentinel, folder):
        self.sentinel, self.folder = sentinel, folder
        (folder / "sentinel.toml").write_text(MANIFEST)
        (folder / "policy.yaml").write_text(POLICY)
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
        self.run("apply", "--yes", "--local=aws")
        self.port, self.named = free_port(), free_port()
        recorder = http.server.ThreadingHTTPServer(("127.0.0.1", self.named), Recorder)
        threading.Thread(target=recorder.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.named}"
        broker = [sentinel, "broker", "--local=aws", "--listen", f"127.0.0.1:{self.port}", "--url", url]
        broker += ["--log-file", "broker.log", "--rate", "1000000"]
        self.broker = subprocess.Popen(broker, cwd=folder, env=self.environment, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.05)
        self.signed_at = 0.0

    def run(self, *args):
        return subprocess.run([self.sentinel, *args], cwd=self.folder, env=self.environment, capture_output=True, check=False)

    def question(self):
        """Returns a request whose identity is still valid for a while."""
        if time.monotonic() - self.signed_at > 40:
            url = f"http://127.0.0.1:{self.named}"
            self.run("credentials", "--profile", "dev", "--aws-profile", "alice", "--local=aws", "--broker", url)
            self.signed_at = time.monotonic()
        body = Recorder.body
        head = f"POST /v1/credentials HTTP/1.1\r\nhost: broker\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def memory(self):
        """Returns the resident memory of the broker in MB: current and peak."""
        status = pathlib.Path(f"/proc/{self.broker.pid}/status").read_text()
        kilobytes = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return int(kilobytes["VmRSS"]) / 1024, int(kilobytes["VmHWM"]) / 1024

    def processor(self):
        """Returns the processor time of the broker so far, in seconds."""
        fields = pathlib.Path(f"/proc/{self.broker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.broker.terminate()
        self.broker.wait()


async def ask(reader, writer, request):
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = await reader.readexactly(int(length.split(b":")[1]))
    return head.startswith(b"HTTP/1.1 200") and b'"released"' in body


async def load(bench, rate, seconds, connections):
    """Sends requests at a fixed rate over open connections. A late request is measured from its scheduled time."""
    request = bench.question()
    times, failed = [], 0
    began = time.perf_counter()
    count = int(rate * seconds)
    due = iter(range(count))

    async def client():
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        for number in due:
            at = began + number / rate
            wait = at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if not await ask(reader, writer, request):
                failed += 1
            times.append(time.perf_counter() - at)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return sorted(times), failed, time.perf_counter() - began


async def flood(port, request, connections):
    """Opens connections until the process ends: some send a byte a second, some nothing, some half a request, and some all but the last
    byte of the longest body."""
    longest = 16 << 10
    incomplete = f"POST /v1/credentials HTTP/1.1\r\nhost: broker\r\ncontent-length: {longest}\r\n\r\n".encode() + b"x" * (longest - 1)

    async def slow(number):
        while True:
            # Spread over a second, so that they are a steady load.
            await asyncio.sleep(random.random())
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                if number % 4 == 0:
                    writer.write(request[: len(request) // 2])
                if number % 4 == 2:
                    writer.write(incomplete)
                for at in range(60):
                    if number % 4 == 1:
                        writer.write(request[at : at + 1])
                    await asyncio.sleep(1)
                    if reader.at_eof():
                        break
                writer.close()
            except OSError:
                pass

    await asyncio.gather(*(slow(number) for number in range(connections)))


def flood_process(*args):
    """The flood in a process of its own, so that it delays the broker's answers alone and not the client that measures them."""
    asyncio.run(flood(*args))


def percentile(times, part):
    """Returns a percentile in milliseconds."""
    return times[min(len(times) - 1, int(len(times) * part))] * 1000


def shown(times):
    return f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms, longest {times[-1] * 1000:.1f} ms"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sentinel", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--flood", type=int, default=2000)
    args = parser.parse_args()
    # In memory, so that no disk is measured.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = pathlib.Path(tempfile.mkdtemp(dir=memory))
    bench = Bench(args.sentinel, folder)
    try:
        await load(bench, 50, 1, 4)
        before = bench.processor()
        times, failed, took = await load(bench, args.rate, args.seconds, args.connections)
        used = bench.processor() - before
        now, most = bench.memory()
        print(f"{args.rate} decisions a second for {args.seconds} s: {len(times) / took:.0f} a second, {failed} not released")
        print(f"  {shown(times)}")
        print(f"  the broker used {used / took * 100:.0f}% of a core, and {now:.0f} MB of memory ({most:.0f} at most)")
        limits = {
            "every request is granted": failed == 0,
            f"{args.rate} decisions a second": len(times) / took > 0.99 * args.rate,
            "p99 under 20 ms": percentile(times, 0.99) < 20,
            "60 MB of memory": most < 60,
        }
        alone, failed, _ = await load(bench, 20, 15, 1)
        print(f"a good client alone: {shown(alone)}, {failed} not released")
        flooding = multiprocessing.Process(target=flood_process, args=(bench.port, bench.question(), args.flood), daemon=True)
        flooding.start()
        await asyncio.sleep(3)
        bench.signed_at = 0.0
        amid, failed, _ = await load(bench, 20, 15, 1)
        print(f"the same amid {args.flood} slow connections: {shown(amid)}, {failed} not released; {bench.memory()[1]:.0f} MB at most")
        flooding.terminate()
        flooding.join()
        limits["a good client is answered amid the flood"] = failed == 0
        limits["the flood adds at most 50 ms at p99"] = percentile(amid, 0.99) < percentile(alone, 0.99) + 50
    finally:
        bench.close()
        shutil.rmtree(folder)
    missed = [name for name, is_met in limits.items() if not is_met]
    for name in missed:
        print(f"missed: {name}")
    sys.exit(1 if missed else 0)


if sys.platform == "linux":
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
if __name__ == "__main__":
    asyncio.run(main())
