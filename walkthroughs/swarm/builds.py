"""Which engine a build is on, for the requests that must follow it: build.go.

| upstream, `cluster/swarm/build.go`        | here                                |
|-------------------------------------------|-------------------------------------|
| `buildSyncer`                             | `BuildSyncer`                       |
| `waitSessionNode`, `waitBuildNode`        | `wait_session_node`, `wait_build_node` |
| `startBuild`                              | `start_build`                       |
| `cleanupDelay`                            | `CLEANUP_DELAY`                     |

A **session** is a connection on which the client answers what a build asks of it: for
files, for secrets. It has an id, and so has each build.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.world import Clock, within

CLEANUP_DELAY = 3600.0
"""Seconds that a build is remembered after its end."""


class Build(NamedTuple):
    """A build that runs, or ended not long ago."""

    session_id: str
    """"" for none."""
    engine_id: str


class BuildSyncer:
    """Holds requests back until the build that they belong to has an engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._builds: dict[str, Build] = {}
        self._ended: deque[tuple[float, str]] = deque()
        self._sessions_asked: set[str] = set()
        self._started = asyncio.Event()

    def _forget(self) -> None:
        # Whoever looks first cleans up: no timer has to outlive the build.
        oldest = self._clock.monotonic() - CLEANUP_DELAY
        while self._ended and self._ended[0][0] <= oldest:
            _, build_id = self._ended.popleft()
            self._builds.pop(build_id, None)

    def _of_build(self, build_id: str) -> str | None:
        self._forget()
        build = self._builds.get(build_id)
        return build.engine_id if build else None

    def _of_session(self, session_id: str) -> str | None:
        self._forget()
        # An empty id is no id: builds without a session have nothing in common.
        for build in self._builds.values() if session_id else ():
            if build.session_id == session_id:
                return build.engine_id
        return None

    def start_build(
        self, session_id: str, build_id: str, engine_id: str
    ) -> tuple[str, Callable[[], None]]:
        """Return the engine to build on, and what to call when the build has ended.

        That is the engine of the session, if it has one already, else the one given.
        Raise ClusterError for a build that is known.
        """
        if self._of_build(build_id) is not None:
            raise ClusterError("build already started")
        engine_id = self._of_session(session_id) or engine_id
        self._builds[build_id] = Build(session_id, engine_id)
        # Wakes whoever waits, and stays down for whoever comes after.
        self._started.set()
        self._started.clear()

        def clean() -> None:
            self._ended.append((self._clock.monotonic(), build_id))

        return engine_id, clean

    async def _wait(
        self, find: Callable[[str], str | None], key: str, timeout: float
    ) -> str:
        async def found() -> str:
            while (engine_id := find(key)) is None:
                await self._started.wait()
            return engine_id

        try:
            return await within(timeout, found(), self._clock)
        except TimeoutError:
            raise ClusterError("timeout waiting for build to start") from None

    async def wait_build_node(self, build_id: str, timeout: float) -> str:
        """Return the engine of a build, as soon as it has one.

        Raise ClusterError when it has none after `timeout` seconds.
        """
        return await self._wait(self._of_build, build_id, timeout)

    async def wait_session_node(self, session_id: str, timeout: float) -> str:
        """Return the engine of a session's builds, as soon as one has started.

        Raise ClusterError after `timeout` seconds, and at once if somebody waits
        already: a session is one connection.
        """
        if (engine_id := self._of_session(session_id)) is not None:
            return engine_id
        if session_id in self._sessions_asked:
            why = f"already waiting on node for session {session_id}"
            raise ClusterError(why)
        self._sessions_asked.add(session_id)
        try:
            return await self._wait(self._of_session, session_id, timeout)
        finally:
            self._sessions_asked.discard(session_id)
