"""What a manager shows under /debug/pprof/."""

import asyncio
import sys
import threading
import tracemalloc

import pytest

from tests.swarm.managing import MANAGER, manager
from walkthroughs.swarm.router import new_primary

NAMES = ["", "cmdline", "goroutine", "threadcreate", "heap", "profile"]


def debugged(test):
    """Run a test on a manager of two engines that shows what it is at."""

    async def main():
        async with manager("node-1", "node-2") as managed:
            managed.context.debug = True
            managed.context.events_handler = managed.cluster.new_api_event_handler()
            managed.lab.network.plug(MANAGER, new_primary(managed.context))
            await test(managed)

    asyncio.run(main())


async def get(managed, path):
    answer = await managed.client.get(f"/debug/pprof/{path}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.text


async def watched(managed, path, seconds, work=None):
    """Return what an answer says that takes seconds, and do some work after one."""
    begin = managed.lab.clock.now
    asked = asyncio.ensure_future(get(managed, path))
    await managed.lab.run(1)
    assert not asked.done()
    if work:
        work()
    await managed.lab.run(seconds - 2)
    assert not asked.done()
    await managed.lab.run(1)
    assert managed.lab.clock.now - begin == seconds
    return await asked


def test_the_index_names_what_there_is():
    async def test(managed):
        text = await get(managed, "")
        assert text == "".join(f"/debug/pprof/{name}\n" for name in NAMES[1:])
        for name in NAMES[1:4]:
            assert await get(managed, name)

    debugged(test)


def test_another_name_is_an_unknown_path():
    async def test(managed):
        for path in ("block", "symbol", "trace", "heap/", "profile/x"):
            answer = await managed.client.get(f"/debug/pprof/{path}")
            assert (answer.status_code, answer.text) == (404, "404 page not found\n")

    debugged(test)


def test_the_command_line_has_nul_between_its_words():
    async def test(managed):
        assert (await get(managed, "cmdline")).split("\0") == sys.orig_argv

    debugged(test)


def test_tasks_of_a_running_manager_are_shown_where_they_wait():
    async def test(managed):
        text = await get(managed, "goroutine")
        first, *places = text.split("\n\n")
        numbers = [int(place.partition(" at\n")[0]) for place in places]
        assert first == f"{sum(numbers)} tasks"
        assert numbers == sorted(numbers, reverse=True)
        # Each of two engines is refreshed by a task, and they wait at the same place.
        (refreshing,) = (place for place in places if "in refresh_loop" in place)
        (discovering,) = (place for place in places if "in monitor_discovery" in place)
        assert refreshing.startswith("2 at\n")
        assert discovering.startswith("1 at\n")
        assert "in _pause" in refreshing

    debugged(test)


def test_a_task_is_shown_to_the_innermost_coroutine_it_waits_in():
    async def innermost(event):
        await event.wait()

    async def middle(event):
        await innermost(event)

    async def test(managed):
        event = asyncio.Event()
        tasks = [asyncio.ensure_future(middle(event)) for _ in range(3)]
        await asyncio.sleep(0)
        text = await get(managed, "goroutine")
        event.set()
        await asyncio.gather(*tasks)
        (place,) = (each for each in text.split("\n\n") if "innermost" in each)
        assert place.startswith("3 at\n")
        files = [line.rpartition("in ")[2] for line in place.splitlines() if "File" in line]
        assert files == ["middle", "innermost", "wait"]

    debugged(test)


def test_a_generator_that_a_task_waits_in_is_shown():
    async def test(managed):
        async def one(gate):
            await gate.wait()

        class Waiting:
            def __init__(self, gate):
                self.gate = gate

            def __await__(self):
                yield from one(self.gate).__await__()

        async def outer(gate):
            await Waiting(gate)

        gate = asyncio.Event()
        task = asyncio.ensure_future(outer(gate))
        await asyncio.sleep(0)
        text = await get(managed, "goroutine")
        gate.set()
        await task
        (place,) = (each for each in text.split("\n\n") if "in outer" in each)
        assert "in __await__" in place

    debugged(test)


def test_each_thread_is_shown_where_it_is():
    gate, begun = threading.Event(), threading.Event()

    def wait_at_the_gate():
        begun.set()
        gate.wait()

    async def test(managed):
        thread = threading.Thread(target=wait_at_the_gate, name="the other")
        thread.start()
        begun.wait()
        text = await get(managed, "threadcreate")
        gate.set()
        thread.join()
        first, *threads = text.split("\n\n")
        assert first == f"{len(threads)} threads"
        (place,) = (each for each in threads if each.startswith("the other at\n"))
        assert "in wait_at_the_gate" in place
        (main,) = (each for each in threads if each.startswith("MainThread at\n"))
        assert main.index("in debugged") < main.index("in threads")

    debugged(test)


def test_calls_are_counted_for_as_long_as_one_says():
    def a_call_of_this_test():
        return sum(range(10))

    async def test(managed):
        text = await watched(managed, "profile?seconds=10", 10, a_call_of_this_test)
        assert "function calls" in text
        assert "(a_call_of_this_test)" in text
        assert sys.getprofile() is None

    debugged(test)


@pytest.mark.parametrize("name", ["profile", "heap"])
@pytest.mark.parametrize("said", ["", "?seconds=0", "?seconds=-1", "?seconds=x"])
def test_they_are_so_for_half_a_minute_if_one_says_nothing(name, said):
    async def test(managed):
        assert await watched(managed, name + said, 30)

    debugged(test)


def test_nothing_is_watched_for_more_than_ten_minutes():
    async def test(managed):
        assert await watched(managed, "heap?seconds=601", 600)

    debugged(test)


def test_allocations_are_shown_by_the_line_that_made_them():
    kept = []

    async def test(managed):
        text = await watched(
            managed, "heap?seconds=10", 10, lambda: kept.append(bytearray(8 << 20))
        )
        first, _, largest, *_ = text.splitlines()
        assert first.endswith(" at most")
        assert int(first.partition(" ")[0].replace(",", "")) > 8 << 20
        assert "test_profiler.py" in largest
        assert "size=8192 KiB" in largest
        assert not tracemalloc.is_tracing()

    debugged(test)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("profile", "Could not enable CPU profiling: cpu profiling already in use\n"),
        ("heap", "Could not trace allocations: they are traced already\n"),
    ],
)
def test_two_do_not_watch_the_same_at_once(name, why):
    async def test(managed):
        first = asyncio.ensure_future(get(managed, f"{name}?seconds=10"))
        await managed.lab.run(0.5)
        second = asyncio.ensure_future(managed.client.get(f"/debug/pprof/{name}"))
        await managed.lab.run(0.5)
        assert second.done()
        assert (second.result().status_code, second.result().text) == (500, why)
        await managed.lab.run(9)
        assert await first
        assert await watched(managed, f"{name}?seconds=5", 5)

    debugged(test)


@pytest.mark.parametrize("name", ["profile", "heap"])
def test_nothing_is_watched_for_a_client_that_has_left(name):
    async def test(managed):
        asked = asyncio.ensure_future(get(managed, name))
        await managed.lab.run(1)
        assert sys.getprofile() or tracemalloc.is_tracing()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await managed.lab.run(1)
        assert sys.getprofile() is None
        assert not tracemalloc.is_tracing()

    debugged(test)
