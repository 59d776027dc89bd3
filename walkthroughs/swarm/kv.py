"""A list in a key-value store: pkg/discovery/kv and libkv's store of Swarm v1.2.9.

| upstream                            | here                                   |
|-------------------------------------|----------------------------------------|
| libkv `store.Store`, `Locker`       | `Store`                                |
| libkv `NewStore`                    | `OpenStore`                            |
| `kv.Discovery`                      | `KV`                                   |
| `Initialize` for etcd, zk, consul   | `over`, once in each store's module    |
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol, TypeAlias

from walkthroughs.swarm.discovery import (
    DiscoveryError,
    Initialize,
    Options,
    Report,
    create_entries,
)
from walkthroughs.swarm.world import World, reason

PATH = "docker/swarm/nodes"
"""Where the addresses are, below the prefix of the URL."""

DEFAULT_PATH = "docker/nodes"
"""Where pkg/discovery puts them when `kv.path` is empty: Docker's own clusters."""

TLS_OPTIONS = ("kv.cacertfile", "kv.certfile", "kv.keyfile")

# In a class that has a method `list`, that word no longer means the type.
Values: TypeAlias = list[str]


class StoreError(Exception):
    """A store that could not be reached, or would not do it."""


class Store(Protocol):
    """What discovery and replication need of a store. Keys have no leading slash."""

    async def put(self, key: str, value: str, ttl: float) -> None:
        """Set a key, which goes away `ttl` seconds after the last time it was set."""
        ...

    async def list(self, directory: str) -> Values:
        """Return the values of the keys in a directory, sorted by key."""
        ...

    def watch_tree(self, directory: str) -> AsyncGenerator[Values, None]:
        """Yield that list, and all of it again whenever one of the keys changes.

        Make the directory if it is missing. Raise `StoreError` when the store goes.
        """
        ...

    def lock(
        self, key: str, value: str, ttl: float
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        """Wait until the key is free, and hold it with a value.

        Whoever dies holding it loses it after `ttl` seconds. The event is set if it
        was lost before the block has ended.
        """
        ...

    def watch(self, key: str) -> AsyncGenerator[str, None]:
        """Yield the value with which a key is held, and the next one at each change.

        It is "" while nobody holds it. Raise `StoreError` when the store goes.
        """
        ...


OpenStore: TypeAlias = Callable[
    [Sequence[str], ssl.SSLContext | None, Options, World], Store
]
"""Makes a store of the addresses of its servers; connects when it is used."""


class KV:
    """`etcd://host1:2379,host2:2379/prefix`, `zk://`, `consul://`."""

    def __init__(
        self, store: Store, path: str, heartbeat: float, ttl: float, world: World
    ) -> None:
        self.store = store
        self.path = path
        self.heartbeat = heartbeat
        self.ttl = ttl
        self.world = world

    async def watch(self) -> AsyncGenerator[Report, None]:
        """Yield the list at every change; when the store is gone, try for ever."""
        while True:
            try:
                async with aclosing(self.store.watch_tree(self.path)) as changes:
                    async for values in changes:
                        yield self._report(values)
            except StoreError as error:
                yield DiscoveryError(str(error))
            yield DiscoveryError("Unexpected watch error")
            await self.world.clock.sleep(self.heartbeat)

    def _report(self, values: Values) -> Report:
        self.world.log.debug(f"Watch triggered with {len(values)} nodes")
        try:
            return create_entries(values)
        except DiscoveryError as error:
            return error

    async def register(self, address: str) -> None:
        """Put the address under its own name, for the TTL; raise `DiscoveryError`."""
        try:
            await self.store.put(f"{self.path}/{address}", address, self.ttl)
        except StoreError as error:
            raise DiscoveryError(str(error)) from None


def over(open_store: OpenStore) -> Initialize:
    """Return the `Initialize` of a backend over one kind of store."""

    def initialize(
        uri: str, heartbeat: float, ttl: float, options: Options, world: World
    ) -> KV:
        servers, _, prefix = uri.partition("/")
        tls = client_tls(options)
        world.log.info(f"Initializing discovery {'with' if tls else 'without'} TLS")
        store = open_store(servers.split(","), tls, options, world)
        place = options.get("kv.path", PATH) or DEFAULT_PATH
        parts = f"{prefix}/{place}".split("/")
        return KV(store, "/".join(filter(None, parts)), heartbeat, ttl, world)

    return initialize


def client_tls(options: Options) -> ssl.SSLContext | None:
    """Return the TLS settings that options ask for; raise `DiscoveryError`."""
    files = [options.get(name, "") for name in TLS_OPTIONS]
    if not any(files):
        return None
    if not all(files):
        # The original goes on without TLS, and says so in one quiet line.
        raise DiscoveryError(f"{', '.join(TLS_OPTIONS)} must be given together")
    authority, certificate, key = files
    try:
        context = ssl.create_default_context(cafile=authority)
        # Without a password at hand, OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        why = f"cannot use {', '.join(files)}: {reason(error)}"
        raise DiscoveryError(why) from None
    return context
