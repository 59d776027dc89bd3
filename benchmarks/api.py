"""What the API of a manager carries, beside the original's: `REF_SWARM` names its program.

Both are the real command, over engines that answer and run nothing, on loopback. They take turns,
and a figure is the median of their rounds. The load comes from `wrk`, where it is there, else from
a small loop of ours, which is slower than what it measures: then only ratios mean something.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, TypeAlias

from benchmarks.hub import cpu_seconds
from benchmarks.placement import BODY, engines, resident, running, wait_for

CONNECTIONS = 16
SECONDS, ROUNDS = 2.0, 3
FEW, MANY = 100, 1_000
CONTAINERS = 1_000
CREATES = 500

OURS = (sys.executable, "-m", "walkthroughs.swarm")

CREATE = """
wrk.method, wrk.body = "POST", '%s'
wrk.headers["Content-Type"] = "application/json"
"""


class Speed(NamedTuple):
    """Answers in a second, and in a second that the manager computed."""

    wall: float
    cpu: float


class Manager(NamedTuple):
    """A manager that runs."""

    pid: int
    port: int


Row: TypeAlias = tuple[str, Speed, Speed | None, float]
"""What was asked, how fast ours and the original's answered, and what the ratio should be."""


@contextmanager
def managing(program: tuple[str, ...], count: int) -> Iterator[Manager]:
    """Run a manager until it has registered its engines."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with engines(count) as there:
        where = ("-H", f"tcp://127.0.0.1:{port}", "nodes://" + ",".join(there))
        with running(*program, "manage", *where) as process:
            wait_for(process.stdout, "Registered Engine", count)
            yield Manager(process.pid, port)


async def ask(port: int, request: bytes, until: float, count: int) -> int:
    """Ask the same on one connection, for so long or so often; return how often."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = 0
    while asked < count and time.perf_counter() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 20"), head
        if length := re.search(rb"(?i)content-length: *(\d+)", head):
            await reader.readexactly(int(length[1]))
        else:
            # In chunks: Go does so for an answer that it does not hold whole.
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        asked += 1
    writer.close()
    return asked


async def flood(port: int, request: bytes, connections: int, count: int = sys.maxsize) -> int:
    """Ask on many connections; return how many answers there were."""
    until = time.perf_counter() + (SECONDS if count == sys.maxsize else 3600)
    share = count if count == sys.maxsize else count // connections
    asking = (ask(port, request, until, share) for _ in range(connections))
    return sum(await asyncio.gather(*asking))


def written(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: manager\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def fill(manager: Manager, count: int) -> None:
    """Create containers."""
    request = written("POST", "/containers/create", json.dumps(BODY).encode())
    asyncio.run(flood(manager.port, request, 1, count))


def answers(manager: Manager, path: str, connections: int) -> int:
    """Load a manager with one question for a while; return how often it has answered."""
    if not (wrk := shutil.which("wrk")):
        return asyncio.run(flood(manager.port, written("GET", path), connections))
    url = f"http://127.0.0.1:{manager.port}{path}"
    command = [wrk, "-t1", f"-c{connections}", f"-d{SECONDS:g}", "--timeout=30", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    return int(found[1])


def speed(manager: Manager, path: str, connections: int = CONNECTIONS) -> Speed:
    begin, computed = time.perf_counter(), cpu_seconds(manager.pid)
    count = answers(manager, path, connections)
    took, computed = time.perf_counter() - begin, cpu_seconds(manager.pid) - computed
    return Speed(count / took, count / max(computed, 0.01))


def creating(manager: Manager, clients: int) -> Speed:
    request = written("POST", "/containers/create", json.dumps(BODY).encode())
    begin, computed = time.perf_counter(), cpu_seconds(manager.pid)
    count = asyncio.run(flood(manager.port, request, clients, CREATES))
    took, computed = time.perf_counter() - begin, cpu_seconds(manager.pid) - computed
    return Speed(count / took, count / max(computed, 0.01))
