"""Which of several managers is the primary: docker/leadership, and cli/manage.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `Candidate`, `RunForElection`, `campaign` | `Candidate`, `run_for_election`     |
| `Resign`, `Stop`                          | the end of its task                 |
| `Follower`, `FollowElection`              | `Follower`, `follow_election`       |
| `statusHandler.Status`, its first lines   | `role`                              |
| `setupReplication`                        | `Replication.run`                   |
| `run`                                     | `Replication.term`                  |
| `follow`                                  | `Replication.follow`, `learn`       |

A **term** is the time from an election until the lock is somebody else's to take.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.types import ASGIApp

from walkthroughs.swarm.cluster import Cluster
from walkthroughs.swarm.engine import Spawn
from walkthroughs.swarm.everywhere import together
from walkthroughs.swarm.handler import Pairs
from walkthroughs.swarm.kv import Store, StoreError
from walkthroughs.swarm.replica import Replica
from walkthroughs.swarm.watchdog import Watchdog
from walkthroughs.swarm.world import World

LEADER_ELECTION_PATH = "docker/swarm/leader"
"""Where the primary's address is, below the prefix of the discovery's URL."""

DEFAULT_RECOVER_TIME = 10.0
"""Seconds until a store is tried again that was not there."""

Term: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""What a candidate does when it is elected, and when it is so no more."""


class Candidate:
    """One who wants to be the primary, and for how long the others believe it."""

    def __init__(self, store: Store, key: str, node: str, ttl: float) -> None:
        self.store = store
        self.key = key
        self.node = node
        self.ttl = ttl
        self.leader = False

    def rival(self, leader: str) -> str:
        """Return a leader's address; "" for our own, which a former term has left."""
        return "" if leader == self.node else leader

    async def run_for_election(self, term: Term) -> None:
        """Wait to be elected, spend the term in `term()`, and run again; never end.

        To cancel it is to resign. Raise `StoreError`.
        """
        while True:
            # They end in reverse: nobody else has the lock before the term is over.
            async with self.store.lock(self.key, self.node, self.ttl) as lost, term():
                self.leader = True
                try:
                    await lost.wait()
                finally:
                    self.leader = False


class Follower:
    """One who wants to know who is the primary."""

    def __init__(self, store: Store, key: str) -> None:
        self.store = store
        self.key = key
        self.leader = ""
        """The address of the primary; "" if there is none, or nobody knows."""

    async def follow_election(self) -> AsyncGenerator[str, None]:
        """Yield who is the primary, and who is next, "" for nobody.

        Raise `StoreError` when the store is gone.
        """
        async with aclosing(self.store.watch(self.key)) as leaders:
            async for leader in leaders:
                yield leader
        what = "Leader Election: watch leader channel closed"
        raise StoreError(f"{what}, the store may be unavailable...")


def role(candidate: Candidate, follower: Follower) -> Pairs:
    """Return the first lines of `docker info`: who answers, and who is asked to act."""
    if candidate.leader:
        return [("Role", "primary")]
    return [("Role", "replica"), ("Primary", candidate.rival(follower.leader))]


@dataclass
class Replication:
    """A manager that is the primary when it is elected, and else its replica."""

    candidate: Candidate
    follower: Follower
    primary: ASGIApp
    replica: Replica
    set_handler: Callable[[ASGIApp], None]
    cluster: Cluster
    world: World
    spawn: Spawn
    """Starts the tasks of the watchdog; they end with the term."""

    async def run(self) -> None:
        """Run for election, and follow it, until cancelled; that is to resign."""
        self.set_handler(self.replica)
        await together([self.recover(self.campaign), self.recover(self.follow)])

    async def recover(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do a work again and again, with a pause when the store is gone."""
        while True:
            try:
                await work()
            except StoreError as error:
                self.world.log.error(str(error))
            await self.world.clock.sleep(DEFAULT_RECOVER_TIME)

    async def campaign(self) -> None:
        await self.candidate.run_for_election(self.term)

    @asynccontextmanager
    async def term(self) -> AsyncGenerator[None, None]:
        """Act as the primary."""
        tasks: set[asyncio.Task[None]] = set()

        def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            task = self.spawn(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            return task

        watchdog = Watchdog(self.cluster, self.world, spawn)
        self.world.log.info("Leader Election: Cluster leadership acquired")
        self.learn(self.candidate.node)
        self.replica.set_primary(self.candidate.node)
        self.cluster.register_event_handler(watchdog.handle)
        self.set_handler(self.primary)
        try:
            yield
        finally:
            self.set_handler(self.replica)
            self.cluster.unregister_event_handler(watchdog.handle)
            self.replica.set_primary(self.candidate.rival(self.follower.leader))
            self.world.log.info("Leader Election: Cluster leadership lost")
            # Nor may it go on with what it has begun: another has a watchdog, too.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self) -> None:
        async with aclosing(self.follower.follow_election()) as leaders:
            async for leader in leaders:
                self.learn(leader)
                if not self.candidate.leader:
                    self.replica.set_primary(self.candidate.rival(leader))

    def learn(self, leader: str) -> None:
        """Remember who is the primary, and say so if it is another."""
        if leader and leader != self.follower.leader:
            self.world.log.info(f"New leader elected: {leader}")
        self.follower.leader = leader
