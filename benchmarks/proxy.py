"""What a request loses on its way through the manager: a long answer, and many short ones.

An engine that says nothing but zeros, in a process of its own, and a manager's proxy in front of it
in another. The reader is curl, which is faster than both; what is compared is the same reader with
and without the proxy between.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

GIGABYTE = 10**9
ROUNDS = 3
REQUESTS = 3_000
CONNECTIONS = 16

ENGINE = """
import asyncio, socket
from walkthroughs.swarm.http_protocol import serve

ZEROS = bytes(2**18)

async def app(scope, receive, send):
    size = int(scope["path"].rpartition("/")[2])
    length = (b"content-length", b"%d" % size)
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    while size > len(ZEROS):
        await send({"type": "http.response.body", "body": ZEROS, "more_body": True})
        size -= len(ZEROS)
    await send({"type": "http.response.body", "body": ZEROS[:size]})

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
asyncio.run(serve(app, listener, None))
"""

PROXY = """
import asyncio, socket, sys
from contextlib import contextmanager
from starlette.requests import Request
from walkthroughs.swarm.engine_api import EngineAPI
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.proxy import proxy
from walkthroughs.swarm.world import World

class Engine:
    def __init__(self, addr):
        self.api = EngineAPI(addr, World(), None)

    @contextmanager
    def talk(self):
        yield self.api

async def main():
    engine = Engine(sys.argv[1])

    async def app(scope, receive, send):
        answer = await proxy(engine, Request(scope, receive), scope["path"])
        await answer(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serve(app, listener, None)

asyncio.run(main())
"""


@contextmanager
def server(*command: str) -> Iterator[tuple[int, int]]:
    """Run a server; yield its process and its port, which it prints."""
    running = subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout
        found = re.search(r"http://[^:]+:(\d+)", running.stdout.readline())
        assert found, "the server did not start"
        yield running.pid, int(found[1])
    finally:
        running.kill()
        running.communicate()


def peak(pid: int) -> float:
    """Return the most memory that a process has had, in megabytes. (Linux)"""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0


def download(port: int, size: int = GIGABYTE) -> float:
    """Read a long answer; return megabytes a second."""
    command = ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/{size}"]
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    return size / 1e6 / (time.perf_counter() - begin)


def short(port: int) -> float:
    """Ask for two bytes again and again, on several connections; return requests a second."""
    request = b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
    wires = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    begin, count = time.perf_counter(), 0
    while count < REQUESTS:
        for wire in wires:
            wire.sendall(request)
        for wire in wires:
            assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")
            count += 1
    seconds = time.perf_counter() - begin
    for wire in wires:
        wire.close()
    return count / seconds


def main() -> None:
    """Print a line for each of both ways, and the ratio."""
    with ExitStack() as stack:
        _, engine = stack.enter_context(server(ENGINE))
        pid, manager = stack.enter_context(server(PROXY, f"127.0.0.1:{engine}"))
        download(manager, 1000)
        before = peak(pid)
        # Turn about, so that a slow moment of the machine meets both.
        speeds = [(download(engine), download(manager)) for _ in range(ROUNDS)]
        rates = [(short(engine), short(manager)) for _ in range(ROUNDS)]
        grown = peak(pid) - before
    direct, through = (max(each) for each in zip(*speeds, strict=True))
    alone, proxied = (max(each) for each in zip(*rates, strict=True))
    print(
        "an engine, and the same through the proxy       direct   proxied   ratio (at least 0.80)"
    )
    print(f"  1 GB, MB a second                        {direct:12,.0f} {through:9,.0f}", end="")
    print(f" {through / direct:7.2f}")
    print(f"  short answers a second                   {alone:12,.0f} {proxied:9,.0f}", end="")
    print(f" {proxied / alone:7.2f}")
    print(f"  memory of the proxy grew by {grown:.0f} MB")


if __name__ == "__main__":
    main()
