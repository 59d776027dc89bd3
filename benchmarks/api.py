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
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from benchmarks.hub import cpu_seconds
from benchmarks.placement import BODY, engines, resident, running, wait_for

CONNECTIONS = 16
SECONDS, ROUNDS = 2.0, 3
FEW, MANY = 100, 1_000
CONTAINERS = 1_000
CREATES = 500

OURS = (sys.executable, "-m", "walkthroughs.swarm")


class Speed(NamedTuple):
    """Answers in a second, and in a second that the manager computed."""

    wall: float
    cpu: float


class Manager(NamedTuple):
    """A manager that runs."""

    pid: int
    port: int


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


def create(manager: Manager, clients: int, count: int) -> Speed:
    """Create containers, which become more from round to round."""
    request = written("POST", "/containers/create", json.dumps(BODY).encode())
    begin, computed = time.perf_counter(), cpu_seconds(manager.pid)
    count = asyncio.run(flood(manager.port, request, clients, count))
    took, computed = time.perf_counter() - begin, cpu_seconds(manager.pid) - computed
    return Speed(count / took, count / max(computed, 0.01))


def median(speeds: list[Speed]) -> Speed:
    walls, cpus = zip(*speeds, strict=True)
    return Speed(statistics.median(walls), statistics.median(cpus))


def measured(managers: list[Manager]) -> Iterator[tuple[str, float, list[Speed]]]:
    """Yield what was asked, the ratio that is wanted, and how fast each manager answered."""
    questions = {
        f"GET /_ping, {CONNECTIONS} connections": ("/_ping", 0.5),
        f"GET /containers/json, {CONTAINERS:,} of them": ("/containers/json?all=1", 2.0),
    }
    for each in managers:
        create(each, 1, CONTAINERS)
    for what, (path, wanted) in questions.items():
        rounds = [[speed(each, path) for each in managers] for _ in range(ROUNDS)]
        yield what, wanted, [*map(median, columns(rounds))]
    for clients in 1, CONNECTIONS:
        rounds = [[create(each, clients, CREATES) for each in managers] for _ in range(ROUNDS)]
        what = "one after the other" if clients == 1 else f"{clients} clients"
        yield f"POST /containers/create, {what}", 0.7, [*map(median, columns(rounds))]


def columns(rounds: list[list[Speed]]) -> list[list[Speed]]:
    return [list(each) for each in zip(*rounds, strict=True)]


def show(what: str, wanted: float, speeds: list[Speed]) -> None:
    """Print a line of the table, with the ratios if there is something beside."""
    ours, *theirs = speeds
    line = f"  {what:<42} {ours.wall:9,.0f}/s {ours.cpu:9,.0f}/s"
    for each in theirs:
        line += f" {each.wall:9,.0f}/s {each.cpu:9,.0f}/s"
        line += f" {ours.wall / each.wall:6.2f} {ours.cpu / each.cpu:6.2f}  ({wanted:g})"
    print(line)


def programs() -> list[tuple[str, ...]]:
    """Return the commands of our manager, and of the original's if it is known."""
    reference = os.environ.get("REF_SWARM")
    return [OURS, (reference,)] if reference else [OURS]


def few() -> None:
    """Print what managers of a hundred engines carry."""
    with ExitStack() as stack:
        managers = [stack.enter_context(managing(each, FEW)) for each in programs()]
        for what, wanted, speeds in measured(managers):
            show(what, wanted, speeds)


def many() -> None:
    """Print what managers of a thousand engines tell, and the memory that they take."""
    with ExitStack() as stack:
        managers = [stack.enter_context(managing(each, MANY)) for each in programs()]
        rounds = [[speed(each, "/info") for each in managers] for _ in range(ROUNDS)]
        show(f"GET /info, {MANY:,} engines", 1.0, [*map(median, columns(rounds))])
        sizes = [resident(each.pid) for each in managers]
        line = "  ".join(f"{size / 2**20:,.0f} MiB" for size in sizes)
        ratio = f"  {sizes[0] / sizes[-1]:.2f}  (at most 2)" if len(sizes) > 1 else ""
        print(f"  memory with {MANY:,} engines: {line}{ratio}")


def main() -> None:
    """Print all of it."""
    print("the API: answers in a second, and in a second that the manager computes")
    beside = "the original: both, ratios (wanted)" if len(programs()) > 1 else ""
    print(f"  {'':<42} {'ours':>11} {'computed':>11}   {beside}")
    few()
    many()
    if len(programs()) == 1:
        print("  the original's is not measured: REF_SWARM does not name it")


if __name__ == "__main__":
    main()
