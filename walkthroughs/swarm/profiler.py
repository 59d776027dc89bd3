"""What a running manager is at: `/debug/pprof/`, with Python's own means.

| upstream, package `net/http/pprof`        | here                                |
|-------------------------------------------|-------------------------------------|
| `Index`, `Cmdline`                        | `index`, `command_line`             |
| `goroutine`                               | `tasks`: asyncio's                  |
| `threadcreate`                            | `threads`                           |
| `Profile`: samples, for `?seconds=30`     | `cpu`: every call, in cProfile      |
| `heap`: samples, since the start          | `heap`: tracemalloc, for `?seconds=30` |
"""

import asyncio
import cProfile
import io
import pstats
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from traceback import StackSummary, walk_stack
from types import FrameType
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from walkthroughs.swarm.handler import Context, HTTPError, int_value
from walkthroughs.swarm.proxy import Upload, unless_gone
from walkthroughs.swarm.world import Clock

SECONDS = 30
"""For which is watched, unless the URL says otherwise."""
LONGEST = 600
ROWS = 50
"""Of a table: what is most, or takes longest."""

ONWARD = {"cr_frame": "cr_await", "ag_frame": "ag_await", "gi_frame": "gi_yieldfrom"}
"""How a coroutine, and its relatives, name their frame and what they wait for."""


def index() -> str:
    """Return what there is."""
    return "".join(f"/debug/pprof/{name}\n" for name in PROFILES if name)


def command_line() -> str:
    """Return what the program was started with."""
    return "\0".join(sys.orig_argv)


def frames_of(awaited: Any) -> Iterator[FrameType]:
    """Yield the frame of a coroutine, and of what it waits for, and so on."""
    while name := next((name for name in ONWARD if hasattr(awaited, name)), None):
        yield getattr(awaited, name)
        awaited = getattr(awaited, ONWARD[name])


def stack(frames: Iterable[FrameType]) -> str:
    """Return what a traceback would say of frames."""
    found = StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    return "".join(found.format())


def tasks() -> str:
    """Return where tasks wait, and how many at each place."""
    everything = asyncio.all_tasks()
    places = Counter(stack(frames_of(task.get_coro())) for task in everything)
    most = sorted(places.items(), key=lambda each: (-each[1], each[0]))
    parts = [f"{number} at\n{place}" for place, number in most]
    return "\n".join([f"{len(everything)} tasks\n", *parts])


def threads() -> str:
    """Return where each thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts: list[str] = []
    for ident, frame in sys._current_frames().items():  # pyright: ignore
        inward = reversed([each for each, _ in walk_stack(frame)])
        parts.append(f"{names.get(ident, ident)} at\n{stack(inward)}")
    return "\n".join([f"{len(parts)} threads\n", *parts])


async def cpu(clock: Clock, seconds: float) -> str:
    """Return the calls of the next seconds; raise `HTTPError` if they are counted."""
    # Before Python 3.12, a second profile would silently end the first.
    if sys.getprofile():
        why = "cpu profiling already in use"
        raise HTTPError(500, f"Could not enable CPU profiling: {why}")
    calls = cProfile.Profile()
    calls.enable()
    try:
        await clock.sleep(seconds)
    finally:
        calls.disable()
    out = io.StringIO()
    pstats.Stats(calls, stream=out).sort_stats("cumulative").print_stats(ROWS)
    return out.getvalue()


async def heap(clock: Clock, seconds: float) -> str:
    """Return which lines allocate what is still there after the next seconds.

    Raise `HTTPError` if that is traced already.
    """
    if tracemalloc.is_tracing():
        raise HTTPError(500, "Could not trace allocations: they are traced already")
    tracemalloc.start()
    try:
        await clock.sleep(seconds)
        now, peak = tracemalloc.get_traced_memory()
        top = tracemalloc.take_snapshot().statistics("lineno")[:ROWS]
    finally:
        tracemalloc.stop()
    return "\n".join([f"{now:,} bytes, {peak:,} at most\n", *map(str, top), ""])


Look: TypeAlias = Callable[[], str]
Watch: TypeAlias = Callable[[Clock, float], Coroutine[Any, Any, str]]

LOOKS: dict[str, Look] = {
    "": index,
    "cmdline": command_line,
    "goroutine": tasks,
    "threadcreate": threads,
}
WATCHES: dict[str, Watch] = {"heap": heap, "profile": cpu}
PROFILES = [*LOOKS, *WATCHES]


async def profile(context: Context, request: Request) -> Response:
    """Show the profile that the route is called after; raise `HTTPError`."""
    name = request.scope["route"].rpartition("/")[2]
    if look := LOOKS.get(name):
        return PlainTextResponse(look())
    said = int_value(request, "seconds")
    seconds = min(said, LONGEST) if said > 0 else SECONDS
    watch = WATCHES[name](context.world.clock, seconds)
    # To watch slows a manager down: no longer than somebody wants to know.
    upload = Upload(request.scope, request.receive)
    return PlainTextResponse(await unless_gone(upload, watch))
