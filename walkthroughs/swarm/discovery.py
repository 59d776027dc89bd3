"""Who is in the cluster: pkg/discovery, which Swarm v1.2.9 shares with Docker.

| upstream                              | here                                    |
|---------------------------------------|-----------------------------------------|
| `Entry`, `Entries`, `CreateEntries`   | `Entry`, `Entries`, `create_entries`    |
| `Generate`                            | `generate`                              |
| `Watcher`, `Backend`                  | `Watcher`, `Backend`                    |
| the loop in `Watch` of `file`, `token`| `poll`                                  |
| `Backend.Initialize`                  | `Initialize`, mostly a class            |
| `Register`, `New`, `backends`         | `register`, `new`, `backends`           |
| `ErrNotSupported`, `ErrNotImplemented`| the same                                |
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from walkthroughs.swarm.golang import join_host_port, split_host_port
from walkthroughs.swarm.world import World, ticker

NUMBER = r"[-+]?[0-9]{1,18}"
LONGEST_RANGE = 65_536
"""Addresses; the original takes what fits into its memory."""


class DiscoveryError(Exception):
    """Something that discovery cannot do, or could not do this time."""


class ErrNotSupported(DiscoveryError):
    """No backend is registered for the scheme of a URL."""

    def __init__(self) -> None:
        super().__init__("discovery service not supported")


class ErrNotImplemented(DiscoveryError):
    """A backend can be read, and not be written to."""

    def __init__(self) -> None:
        super().__init__("not implemented in this discovery service")


@dataclass(frozen=True)
class Entry:
    """The address of an engine, in two texts."""

    host: str
    port: str

    @classmethod
    def parse(cls, address: str) -> "Entry":
        """Return the entry for `host:port`; raise `DiscoveryError`. (`NewEntry`)"""
        try:
            return cls(*split_host_port(address))
        except ValueError as error:
            raise DiscoveryError(str(error)) from None

    def __str__(self) -> str:
        return join_host_port(self.host, self.port)


class Entries(list[Entry]):
    """Entries in the order in which a backend gave them, repeats included."""

    def equals(self, other: "Entries") -> bool:
        """Tell whether these are the same entries in the same order."""
        return self == other

    def contains(self, entry: Entry) -> bool:
        return entry in self

    def diff(self, new: "Entries") -> tuple["Entries", "Entries"]:
        """Return what `new` adds to these entries, and what it removes from them."""
        ours, theirs = set(self), set(new)
        added = Entries(entry for entry in new if entry not in ours)
        removed = Entries(entry for entry in self if entry not in theirs)
        return added, removed

    def __repr__(self) -> str:
        return f"<Entries: {', '.join(map(str, self)) or 'none'}>"


def create_entries(addresses: Iterable[str]) -> Entries:
    """Return the entries for addresses, without empty ones.

    Raise `DiscoveryError` at the first that is not `host:port`.
    """
    return Entries(Entry.parse(address) for address in addresses if address)


def generate(pattern: str) -> list[str]:
    """Return the addresses that a pattern with one range `[from:to]` stands for.

    Both ends are included. Without a range of whole numbers, the pattern itself.
    Raise `DiscoveryError` for a range of more than `LONGEST_RANGE` addresses.
    """
    found = re.search(r"\[(.+):(.+)\]", pattern)
    if not found or not all(re.fullmatch(NUMBER, text) for text in found.groups()):
        return [pattern]
    first, last = map(int, found.groups())
    if last - first >= LONGEST_RANGE:
        raise DiscoveryError(f"{pattern}: more than {LONGEST_RANGE:,} addresses")
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [f"{before}{number}{after}" for number in range(first, last + 1)]


Report: TypeAlias = Entries | DiscoveryError
"""What a watch yields. Trouble is a value: it ends nothing, and removes nobody."""


class Watcher(Protocol):
    """Tells who is in the cluster, whenever that changes."""

    def watch(self) -> AsyncGenerator[Report, None]:
        """Yield all entries, each time they change, until the caller is cancelled.

        Use it inside `contextlib.aclosing`, so that leaving the loop ends it.
        """
        ...


class Backend(Watcher, Protocol):
    """A place where engines are listed, and can list themselves."""

    async def register(self, address: str) -> None:
        """Be in the list from now on, for the TTL; raise `DiscoveryError`."""
        ...


async def poll(
    fetch: Callable[[], Awaitable[Entries]], heartbeat: float, world: World
) -> AsyncGenerator[Report, None]:
    """Yield what `fetch` returns: at once, and at a heartbeat when it has changed.

    A watch for backends that can only be asked. An error is yielded each time.
    """
    current: Entries | None = None
    async with aclosing(ticker(world.clock, heartbeat)) as ticks:
        while True:
            try:
                entries = await fetch()
            except DiscoveryError as error:
                yield error
            else:
                if current is None or not entries.equals(current):
                    yield entries
                current = entries
            await anext(ticks)


Options: TypeAlias = Mapping[str, str]
"""The key=value pairs of `--discovery-opt`."""

Initialize: TypeAlias = Callable[[str, float, float, Options, World], Backend]
"""Makes a backend of: a URL without its scheme, heartbeat, TTL, options, world.

The two times are in seconds. It raises `DiscoveryError` for a URL it cannot use.
"""

backends: dict[str, Initialize] = {}


def register(scheme: str, backend: Initialize) -> None:
    """Make a backend available for a scheme, once; raise `DiscoveryError`."""
    if scheme in backends:
        raise DiscoveryError(f"scheme already registered {scheme}")
    backends[scheme] = backend


def parse(url: str) -> tuple[str, str]:
    """Return scheme and rest of a URL; the scheme of a bare list is `nodes`."""
    scheme, separator, rest = url.partition("://")
    return (scheme, rest) if separator else ("nodes", url)


def new(
    url: str, heartbeat: float, ttl: float, options: Options, world: World
) -> Backend:
    """Return the backend for a URL; raise `DiscoveryError`."""
    scheme, uri = parse(url)
    if scheme not in backends:
        raise ErrNotSupported
    world.log.debug("Initializing discovery service", name=scheme, uri=uri)
    return backends[scheme](uri, heartbeat, ttl, options, world)
