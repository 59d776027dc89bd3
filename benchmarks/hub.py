"""What the hub carries, beside a uvicorn application that answers a constant.

One process serves, this one asks: registrations as the original sends them, on open connections,
several at a time. The robust figure is requests for each second that the server computes; the two
processes share the machine's cores, and only one of them is measured.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

CONNECTIONS = 16
SECONDS = 3.0
ROUNDS = 3
NODES = 1_000

CONSTANT = """
import asyncio, socket
import uvicorn

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, lifespan="off", log_config=None, log_level="critical")
asyncio.run(uvicorn.Server(config).serve([listener]))
"""


class Load(NamedTuple):
    """Requests, and the seconds that passed and that the server computed meanwhile."""

    requests: int
    wall: float
    cpu: float


@contextmanager
def server(*command: str) -> Iterator[tuple[int, int]]:
    """Run a server; yield its process and its port, which it prints."""
    running = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout
        found = None
        for line in running.stdout:
            if found := re.search(r"http://[^:]+:(\d+)", line):
                break
        assert found, "the server did not start"
        yield running.pid, int(found[1])
    finally:
        running.kill()
        running.communicate()


def cpu_seconds(pid: int) -> float:
    """Return the seconds that a process has computed so far. (Linux)"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def registration(token: str, number: int) -> bytes:
    """Return the bytes that the original's `join` sends."""
    address = f"10.0.{number // 250}.{number % 250}:2375"
    head = (
        f"POST /v1/clusters/{token}?ttl=180 HTTP/1.1\r\nHost: hub\r\nUser-Agent: Go-http-client/1.1"
    )
    kind = f"Content-Type: application/json\r\nContent-Length: {len(address)}"
    return f"{head}\r\n{kind}\r\nAccept-Encoding: gzip\r\n\r\n{address}".encode()


def load(pid: int, port: int, token: str) -> Load:
    """Register a thousand nodes over and over, for some seconds."""
    requests = [registration(token, number) for number in range(NODES)]
    wires = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    count, begin, computed = 0, time.perf_counter(), cpu_seconds(pid)
    while time.perf_counter() < begin + SECONDS:
        for wire in wires:
            wire.sendall(requests[count % NODES])
            count += 1
        for wire in wires:
            answer = wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 204 "), answer
    wall, cpu = time.perf_counter() - begin, cpu_seconds(pid) - computed
    for wire in wires:
        wire.close()
    return Load(count, wall, cpu)


def new_cluster(port: int) -> str:
    """Return the token of a new cluster."""
    return httpx2.post(f"http://127.0.0.1:{port}/v1/clusters", trust_env=False).text


def best(measured: list[Load]) -> Load:
    """Return the run in which the server computed least for a request."""
    return min(measured, key=lambda each: each.cpu / each.requests)


def main() -> None:
    """Print requests a second, and a second of computing, for three servers."""
    hub = ("-m", "walkthroughs.swarm", "hub", "--host", "127.0.0.1:0")
    with (
        tempfile.TemporaryDirectory() as folder,
        server("-c", CONSTANT) as constant,
        server(*hub) as memory,
        server(*hub, "--data", f"{folder}/hub.db") as file,
    ):
        servers = {
            "a constant": (*constant, "none"),
            "hub, in memory": (*memory, new_cluster(memory[1])),
            "hub, --data": (*file, new_cluster(file[1])),
        }
        rounds: dict[str, list[Load]] = {name: [] for name in servers}
        # Turn about, so that a slow moment of the machine meets all three.
        for _ in range(ROUNDS):
            for name, where in servers.items():
                rounds[name].append(load(*where))
    show({name: best(measured) for name, measured in rounds.items()})


def show(loads: dict[str, Load]) -> None:
    """Print a table; the ratio is to the constant, in computing."""
    bare = loads["a constant"]
    print("registrations             a second   a CPU second (at least 2,000)   cost, constant = 1")
    for name, each in loads.items():
        ratio = each.cpu / each.requests / (bare.cpu / bare.requests)
        speed, rate = each.requests / each.wall, each.requests / each.cpu
        print(f"  {name:<18} {speed:14,.0f} {rate:14,.0f} {ratio:34.2f}")


if __name__ == "__main__":
    main()
