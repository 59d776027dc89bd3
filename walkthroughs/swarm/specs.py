"""What an engine says of its machine, and where it is: a part of cluster/engine.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `updateSpecs`, what it reads of `/info`   | `Specs.read`, `engine_labels`       |
| `updateSpecs`, the time difference        | `clock_delta`                       |
| `TotalMemory`, `TotalCpus`                | `with_overcommit`                   |
| `net.ResolveIPAddr`                       | `resolve`                           |
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.engine_api import (
    REQUEST_TIMEOUT,
    ConnectionFailed,
    EngineError,
)
from walkthroughs.swarm.golang import split_host_port, unix_time
from walkthroughs.swarm.inventory import understood
from walkthroughs.swarm.world import Log, World, within

THRESHOLD = 2.0
"""Seconds by which an engine's clock may differ from ours."""

FACTS = {
    "storagedriver": "Driver",
    "kernelversion": "KernelVersion",
    "operatingsystem": "OperatingSystem",
    "ostype": "OSType",
}
"""Labels that every engine has, and where `/info` says their value."""


async def resolve(addr: str, world: World) -> str:
    """Return the IP address of an engine; raise `EngineError`."""
    if addr.startswith("unix://"):
        return ""
    try:
        host, _ = split_host_port(addr)
        if world.transport or is_ip(host):
            return host
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = await within(REQUEST_TIMEOUT, look_up, world.clock)
    except TimeoutError:
        raise ConnectionFailed(f"{addr}: no name server answers") from None
    except (OSError, ValueError) as error:
        raise ConnectionFailed(f"{addr}: {error}") from None
    # As in Go, the older of the two protocols where a host has both.
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def is_ip(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


class Specs(NamedTuple):
    """What `GET /info` is read for."""

    id: str
    """The id of the daemon, a bar, the address."""
    name: str
    cpus: int
    memory: int
    """Bytes."""
    time: float | None
    """Unix time on the engine's clock; None from an engine that does not tell."""
    facts: dict[str, str]
    stated: list[str]
    """The labels that the administrator gave to the engine, as `key=value`."""

    @classmethod
    def read(cls, info: JSON, addr: str) -> "Specs":
        """Read an answer to `GET /info`; raise `EngineError`."""
        with understood("itself"):
            if not info["NCPU"] or not info["MemTotal"]:
                raise EngineError(
                    "cannot get resources for this engine, make sure "
                    f"{addr} is a Docker Engine, not a Swarm manager"
                )
            at: str = info.get("SystemTime") or ""
            known = {label: info.get(field) for label, field in FACTS.items()}
            stated: list[object] = info.get("Labels") or []
            return cls(
                id=f"{info['ID']}|{addr}",
                name=str(info["Name"]),
                cpus=int(info["NCPU"]),
                memory=int(info["MemTotal"]),
                time=unix_time(at) if at else None,
                facts={label: str(fact) for label, fact in known.items() if fact},
                stated=[str(label) for label in stated],
            )


def engine_labels(
    facts: dict[str, str], stated: Iterable[str], who: str, log: Log
) -> dict[str, str]:
    """Return what constraints are about: the facts, and what the administrator says.

    `who` is the engine, in words for people. Raise `EngineError`.
    """
    labels = dict(facts)
    for label in stated:
        key, equals, value = label.partition("=")
        if not equals:
            raise EngineError(
                f"Engine {who} contains an invalid label ({label}) "
                'not formatted as "key=value".'
            )
        if key == "node":
            # `constraint:node==x` asks for a name, and would never see the label.
            log.warning(
                f"Engine {who} contains a label ({label}) with key of "
                '"node" which cannot be used in Swarm.'
            )
        elif key in labels:
            log.warning(
                f"Node {who} already contains a label ({labels[key]}) with key "
                f"({key}), and Engine's label ({value}) cannot override it."
            )
        else:
            labels[key] = value
    return labels


def clock_delta(engine_time: float | None, now: float) -> float:
    """Return the seconds by which our clock is ahead; 0 where it is not worth words."""
    delta = 0.0 if engine_time is None else now - engine_time
    return 0.0 if abs(delta) < THRESHOLD else delta


def with_overcommit(amount: int, percent: int) -> int:
    """Return an amount and what may be promised beyond it, rounded towards zero."""
    extra = amount * abs(percent) // 100
    return amount + extra if percent > 0 else amount - extra
