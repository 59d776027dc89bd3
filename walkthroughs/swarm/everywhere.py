"""One order to many engines: what the loops of cluster/swarm/cluster.go have in common.

| upstream, in methods of `Cluster`         | here                                |
|-------------------------------------------|-------------------------------------|
| `sync.WaitGroup`                          | `together`                          |
| errors, joined with line ends             | `every`                             |
| the callbacks of `Pull`, `Load`, `Import` | `told`                              |
| `isErrorLoadImageOsMismatch`              | `MISMATCH`                          |
| `io.MultiWriter`, over `io.Pipe`s         | `Tee`, `Branch`                     |
| the rest of `Load` and `Import`           | `hand_out`                          |
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias, TypeVar

from walkthroughs.swarm.cluster import Callback, ClusterError, Message, Source
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.orders import Progress

T = TypeVar("T")

IN_FLIGHT = 8
"""Chunks of an archive that a quick engine may be ahead of a slow one."""

MISMATCH = re.compile("cannot load (.+) image on (.+)")


async def every(
    engines: Iterable[Engine], order: Callable[[Engine], Awaitable[T]]
) -> list[T]:
    """Give an order to engines at the same time, once to each; return the answers.

    Raise `ClusterError` with a line for each engine that refuses, when all have done
    or refused.
    """
    asked = list(dict.fromkeys(engines))
    answers = await asyncio.gather(*map(order, asked), return_exceptions=True)
    done: list[T] = []
    refused: list[str] = []
    for engine, answer in zip(asked, answers, strict=True):
        if isinstance(answer, EngineError):
            refused.append(f"{engine.name}: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            done.append(answer)
    if refused:
        raise ClusterError("\n".join(refused))
    return done


async def told(
    engine: Engine,
    callback: Callback,
    order: Callable[[Progress], Awaitable[None]],
    verb: str = "",
) -> None:
    """Give a long order to an engine; tell of each line, and how it ended.

    With a verb, an image for another system is no error but a line that says so.
    """
    try:
        await order(lambda line: callback(Message(engine.name, line)))
    except EngineError as error:
        if verb and (mismatch := MISMATCH.search(str(error))):
            why = "image is for {} and engine is running {}".format(*mismatch.groups())
            line: JSON = {"status": f"{verb} skipped because {why}"}
            callback(Message(engine.name, line, success=True))
        else:
            callback(Message(engine.name, error=str(error)))
    else:
        callback(Message(engine.name, success=True))


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all at the same time; when one raises, end the others, and raise that."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


class Branch:
    """One reader's chunks of a source."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue(IN_FLIGHT)
        """None is the end."""

    def __aiter__(self) -> "Branch":
        return self

    async def __anext__(self) -> bytes:
        if (chunk := await self.chunks.get()) is None:
            raise StopAsyncIteration
        return chunk


class Tee:
    """Hands a source on to several readers, at the pace of the slowest."""

    def __init__(self) -> None:
        self._branches: list[Branch] = []

    def open(self) -> Branch:
        """Return what to read from; open all before the first chunk."""
        branch = Branch()
        self._branches.append(branch)
        return branch

    def close(self, branch: Branch) -> None:
        """Give up, or have read all: the others do not wait for this reader."""
        self._branches.remove(branch)
        # If the source waits for room in it, there is some now.
        while not branch.chunks.empty():
            branch.chunks.get_nowait()

    async def pump(self, source: Source) -> None:
        """Hand on all of a source; raise what it raises, and leave the end open."""
        async for chunk in source:
            await self._put(chunk)
        await self._put(None)

    async def _put(self, chunk: bytes | None) -> None:
        for branch in list(self._branches):
            await branch.chunks.put(chunk)


Order: TypeAlias = Callable[[Engine, Source, Progress], Awaitable[None]]


async def hand_out(
    engines: Iterable[Engine],
    source: Source,
    order: Order,
    verb: str,
    callback: Callback,
) -> None:
    """Give a long order to engines that all read the source, while it comes in."""
    tee = Tee()

    async def hand(engine: Engine, branch: Branch) -> None:
        try:
            await told(engine, callback, lambda p: order(engine, branch, p), verb)
        finally:
            tee.close(branch)

    hands = [hand(engine, tee.open()) for engine in engines]
    await together([*hands, tee.pump(source)])
