"""What placing a container costs, and what a manager of many engines needs.

- A placement: 10,000 containers on 1,000 engines, without any network. What the first thousand
  cost and what the last, and which part is whose.
- The lab: 1,000 engines in memory, until all are registered.
- A manager: 100 engines over loopback, one process for all of them, beside the original's manager,
  where `REF_SWARM` names its program. Ours is given requests in its own process, the original's has
  to be sent them, on one open connection. The robust figure is creates for each second that the
  manager computes.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.hub import cpu_seconds
from benchmarks.press import best
from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.filters import apply_filters
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import Cluster, new_cluster
from walkthroughs.swarm.nodes import Nodes
from walkthroughs.swarm.placement import Placement
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World

ENGINES, CONTAINERS, PART = 1_000, 10_000, 1_000
FEW, CREATES = 100, 1_000
FILTERS = list(filters.FILTERS)
BODY = {"Image": "busybox", "Cmd": ["sh"], "HostConfig": {"Memory": 1 << 20, "CpuShares": 1}}


def scheduler(world: World) -> Scheduler:
    """Return what a manager has that is told nothing else."""
    return Scheduler(strategies.new("spread", world.random), filters.new(FILTERS))


def address(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250}:2375"


def empty_cluster() -> Placement:
    """Return a thousand engines that nobody has to connect to."""
    world, cluster = Lab().world("manager"), Placement()
    cluster.world, cluster.scheduler, cluster.engines = world, scheduler(world), {}
    for number in range(ENGINES):
        where = address(number)
        engine = Engine(where, 0.05, EngineOptions(), world, None, asyncio.ensure_future)
        engine.id, engine.name = f"{number}|{where}", f"node-{number}"
        engine.cpus, engine.memory, engine.labels = 64, 64 << 30, {"storage": "ssd"}
        engine.health.validated()
        cluster.engines[engine.id] = engine
    return cluster


def reserve(cluster: Placement, number: int) -> float:
    """Place a container, and let its engine have it; return what the choice computed."""
    config = ContainerConfig.build(BODY)
    begin = time.process_time()
    reserved = cluster.reserve(config, f"c{number}")
    took = time.process_time() - begin
    raw = {"Id": f"{number:064x}", "Names": reserved.names, "Labels": config.labels}
    reserved.engine.inventory.put(Container(reserved.engine, config, raw, {"State": {}}))
    cluster.release(reserved)
    return took


def placing() -> None:
    """Print what a choice costs, with few containers and with many, and where it goes."""
    cluster = empty_cluster()
    took = [reserve(cluster, number) for number in range(CONTAINERS)]
    first, last = statistics.median(took[:PART]), statistics.median(took[-PART:])
    print(f"placing {CONTAINERS:,} containers on {ENGINES:,} engines")
    print(f"  of the first {PART:,}   {first * 1e3:6.2f} ms each (less than 1)")
    print(f"  of the last {PART:,}    {last * 1e3:6.2f} ms each, {last / first:.2f} of the first")
    config, nodes = ContainerConfig.build(BODY), cluster.list_nodes()
    chosen, chain = strategies.new("spread", cluster.world.random), filters.new(FILTERS)
    parts = {
        "list_nodes": best(cluster.list_nodes),
        "filters": best(lambda: apply_filters(chain, config, nodes, True)),
        "weights": best(lambda: chosen.rank_and_sort(config, nodes)),
        "the name": best(lambda: cluster.check_name_uniqueness("new")),
    }
    rest = max(0.0, last - sum(parts.values()))
    shares = ", ".join(f"{name} {part / last:.0%}" for name, part in parts.items())
    print(f"  of these: {shares}, the rest {rest / last:.0%}")


async def registered(cluster: Cluster, lab: Lab, count: int) -> float:
    """Return the seconds, of this machine's clock, until so many engines are registered."""
    begin = time.perf_counter()
    lab.start("manager", cluster.run())
    while len(cluster.engines) < count:
        await lab.run(0.1)
    return time.perf_counter() - begin


async def in_the_lab() -> float:
    async with Lab() as lab:
        for number in range(ENGINES):
            LabEngine(lab, f"node-{number}", address(number)).plug()
        world = lab.world("manager", stdout=io.StringIO())
        found = Nodes(",".join(map(address, range(ENGINES))), 60, 180, {}, world)
        cluster = new_cluster(scheduler(world), None, found, [], EngineOptions(), world)
        return await registered(cluster, lab, ENGINES)


class Measured(NamedTuple):
    """What one manager took; memory in bytes."""

    ready: float
    """Seconds from its start until all engines are registered."""
    took: float
    """Seconds for all creates, one after the other."""
    computed: float
    """Seconds that it computed meanwhile."""
    before: int
    """Without containers."""
    after: int


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has. (Linux)"""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process, with pipes; end it at the end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(stream: IO[str] | None, text: str, count: int = 1) -> None:
    """Read lines until so many have the text."""
    assert stream
    while count:
        line = stream.readline()
        assert line, f"ended before it said: {text}"
        count -= text in line


@contextmanager
def engines(count: int) -> Iterator[list[str]]:
    """Run fake engines; yield their addresses."""
    with running(sys.executable, "-m", "benchmarks.engines", str(count)) as process:
        assert process.stdout
        yield [f"127.0.0.1:{port}" for port in process.stdout.readline().split()]


def ours(count: int, creates: int) -> Measured:
    with engines(count) as there:
        begin = time.perf_counter()
        manage = (sys.executable, "-m", "benchmarks.placement", ",".join(there))
        with running(*manage) as process:
            wait_for(process.stdout, "Registered Engine", count)
            ready, before = time.perf_counter() - begin, resident(process.pid)
            assert process.stdin
            begin, computed = time.perf_counter(), cpu_seconds(process.pid)
            process.stdin.write(f"{creates}\n")
            process.stdin.flush()
            wait_for(process.stdout, "created")
            took, computed = time.perf_counter() - begin, cpu_seconds(process.pid) - computed
            return Measured(ready, took, computed, before, resident(process.pid))


async def manage(there: str) -> None:
    """Manage engines, create as many containers as standard input says, and wait."""
    world = World()
    cluster = new_cluster(
        scheduler(world), None, Nodes(there, 60, 180, {}, world), [], EngineOptions(), world
    )
    task = asyncio.create_task(cluster.run())
    loop = asyncio.get_running_loop()
    for number in range(int(await loop.run_in_executor(None, sys.stdin.readline))):
        await cluster.create_container(ContainerConfig.build(BODY), f"c{number}", {})
    print("created", flush=True)
    await task


def theirs(program: str, count: int, creates: int) -> Measured:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with engines(count) as there:
        begin = time.perf_counter()
        where = ("-H", f"tcp://127.0.0.1:{port}", "nodes://" + ",".join(there))
        with running(program, "manage", *where) as process:
            wait_for(process.stdout, "Registered Engine", count)
            ready, before = time.perf_counter() - begin, resident(process.pid)
            wire = http.client.HTTPConnection("127.0.0.1", port)
            begin, computed = time.perf_counter(), cpu_seconds(process.pid)
            for number in range(creates):
                text, kind = json.dumps(BODY), {"Content-Type": "application/json"}
                wire.request("POST", f"/containers/create?name=c{number}", text, kind)
                answer = wire.getresponse()
                assert answer.status == 201, answer.read()
                answer.read()
            took, computed = time.perf_counter() - begin, cpu_seconds(process.pid) - computed
            wire.close()
            return Measured(ready, took, computed, before, resident(process.pid))


def show(name: str, one: Measured, many: Measured) -> None:
    """Print a line of the table."""
    engine = (many.before - one.before) / (FEW - 1) / 1024
    container = (many.after - many.before) / CREATES / 1024
    sizes = f"{many.after / 2**20:8.1f} MiB {engine:9.1f} KiB {container:9.1f} KiB"
    speed = f"{CREATES / many.took:8.0f}/s {CREATES / many.computed:8.0f}/s"
    print(f"  {name:<14} {many.ready:7.2f} s {speed} {sizes}")


def main() -> None:
    """Print all of it."""
    placing()
    seconds = asyncio.run(in_the_lab())
    print(f"  {ENGINES:,} engines of the lab are registered in {seconds:.1f} s")
    head = "ready in  creates  a CPU second   memory     an engine   a container"
    print(f"a manager of {FEW} engines  {head}")
    show("ours", ours(1, 0), ours(FEW, CREATES))
    if not (program := os.environ.get("REF_SWARM")):
        print("  the original's is not measured: REF_SWARM does not name it")
        return
    show("the original's", theirs(program, 1, 0), theirs(program, FEW, CREATES))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(manage(sys.argv[1]))
    else:
        main()
