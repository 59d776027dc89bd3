"""A list on the command line: pkg/discovery/nodes of Swarm v1.2.9."""

import asyncio
from collections.abc import AsyncGenerator

from walkthroughs.swarm.discovery import (
    DiscoveryError,
    Entries,
    Entry,
    ErrNotImplemented,
    Options,
    Report,
    generate,
)
from walkthroughs.swarm.world import World


class Nodes:
    """`nodes://10.0.0.[1:3]:2375,example.com:2375`: fixed when the program starts."""

    def __init__(
        self, uri: str, heartbeat: float, ttl: float, options: Options, world: World
    ) -> None:
        addresses = [a for pattern in uri.split(",") for a in generate(pattern)]
        try:
            self.entries = Entries(map(Entry.parse, addresses))
        except DiscoveryError as error:
            hint = "please check you are using the correct discovery"
            raise DiscoveryError(f"{error}, {hint} (missing token:// ?)") from None

    async def watch(self) -> AsyncGenerator[Report, None]:
        """Yield the list once, and then nothing, for ever."""
        yield self.entries
        await asyncio.get_running_loop().create_future()

    async def register(self, address: str) -> None:
        raise ErrNotImplemented
