"""What `docker info` shows of a cluster: `Info` of cluster/swarm/cluster.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `EngineSorter`, package `naturalsort`     | `natural`                           |
| `Cluster.Info`                            | `describe`, `describe_engine`       |
"""

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from weakref import WeakKeyDictionary

from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.golang import bytes_size
from walkthroughs.swarm.scheduler import Scheduler

KNOWN = WeakKeyDictionary[Engine, tuple[object, list[tuple[str, str]]]]()
"""What was told of an engine, and of which state of it. Forgotten with the engine."""


@lru_cache(10_000)
def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts node-9 before node-10, and numbers before letters."""
    parts: list[str] = re.findall("[0-9]+|[^0-9]+", name.replace(" ", ""))
    # Of 1 and 01, which are one number, the shorter is first.
    return [
        (int(part), len(part), "") if part[0].isdecimal() else (sys.maxsize, 0, part)
        for part in parts
    ]


def describe(
    scheduler: Scheduler, engines: Iterable[Engine]
) -> Iterator[tuple[str, str]]:
    """Yield pairs of a key and a value; the indentation is part of the key."""
    engines = sorted(engines, key=lambda each: natural(each.name))
    yield "Strategy", scheduler.strategy
    yield "Filters", scheduler.filters
    yield "Nodes", str(len(engines))
    for engine in engines:
        yield f" {engine.name or '(unknown)'}", engine.addr
        yield from remembered(engine)


def remembered(engine: Engine) -> list[tuple[str, str]]:
    """Return the lines of an engine, which are made anew when it has changed."""
    health = engine.health
    facts = (engine.inventory.revision, health.state, health.error, health.updated_at)
    known, lines = KNOWN.get(engine, (None, []))
    if known != facts:
        lines = [(f"  └ {key}", value) for key, value in describe_engine(engine)]
        KNOWN[engine] = facts, lines
    return lines


def describe_engine(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield what is told about one engine."""
    inventory = engine.inventory
    yield "ID", engine.id
    yield "Status", engine.health.state.value
    yield "Containers", count_containers(engine)
    yield "Reserved CPUs", f"{inventory.used_cpus} / {engine.total_cpus}"
    memory = bytes_size(inventory.used_memory), bytes_size(engine.total_memory)
    yield "Reserved Memory", " / ".join(memory)
    labels = (f"{key}={value}" for key, value in engine.labels.items())
    yield "Labels", ", ".join(sorted(labels))
    if engine.health.error:
        yield "Error", engine.health.error
    updated = datetime.fromtimestamp(engine.health.updated_at, UTC)
    yield "UpdatedAt", f"{updated:%Y-%m-%dT%H:%M:%SZ}"
    yield "ServerVersion", engine.version


def count_containers(engine: Engine) -> str:
    """Return `3 (2 Running, 0 Paused, 1 Stopped)`; `3` if that may be out of date."""
    containers = engine.inventory.containers.values()
    if not engine.is_healthy():
        return str(len(containers))
    paused = sum(each.paused for each in containers)
    running = sum(each.running and not each.paused for each in containers)
    stopped = len(containers) - paused - running
    states = f"{running} Running, {paused} Paused, {stopped} Stopped"
    return f"{len(containers)} ({states})"
