"""Who is told what happens; what becomes of a slow reader was measured with the original."""

import asyncio
from contextlib import aclosing

import pytest

from walkthroughs.swarm.events import QUEUE_LIMIT, APIEventHandler, Event, EventHandlers


def event(number):
    return Event("engine-1", {"status": "start", "from": "redis", "time": number})


def number(event):
    return event.raw["time"]


def test_an_event_tells_what_and_of_whom():
    assert (event(1).status, event(1).origin) == ("start", "redis")
    network = Event("engine-1", {"Type": "network", "Action": "create"})
    assert (network.status, network.origin) == ("", "")
    assert (Event("engine-1", {"status": None, "from": None}).status) == ""


def test_every_handler_is_told_in_the_order_of_registration():
    handlers, told = EventHandlers(), []
    handlers.register_event_handler(lambda event: told.append(("first", number(event))))
    handlers.register_event_handler(lambda event: told.append(("second", number(event))))
    handlers.handle(event(1))
    handlers.handle(event(2))
    assert told == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_a_handler_is_registered_once():
    handlers, told = EventHandlers(), []
    # A new object at each look, as methods are, and equal to the last one.
    handlers.register_event_handler(told.append)
    with pytest.raises(ValueError, match=r"^event handler already set$"):
        handlers.register_event_handler(told.append)
    handlers.handle(event(1))
    assert told == [event(1)]


class Listener:
    def __init__(self):
        self.told = []

    def hear(self, event):
        self.told.append(event)


def test_a_method_of_an_object_is_one_handler():
    handlers, one, other = EventHandlers(), Listener(), Listener()
    handlers.register_event_handler(one.hear)
    handlers.register_event_handler(other.hear)
    handlers.unregister_event_handler(one.hear)
    handlers.handle(event(1))
    assert (one.told, other.told) == ([], [event(1)])


def test_a_handler_that_left_may_leave_again_and_come_back():
    handlers, listener = EventHandlers(), Listener()
    handlers.register_event_handler(listener.hear)
    handlers.unregister_event_handler(listener.hear)
    handlers.unregister_event_handler(listener.hear)
    handlers.handle(event(1))
    handlers.register_event_handler(listener.hear)
    handlers.handle(event(2))
    assert listener.told == [event(2)]


def test_a_handler_may_leave_while_it_is_told():
    handlers, told = EventHandlers(), []

    def once(event):
        told.append(("once", number(event)))
        handlers.unregister_event_handler(once)

    handlers.register_event_handler(once)
    handlers.register_event_handler(lambda event: told.append(("always", number(event))))
    handlers.handle(event(1))
    handlers.handle(event(2))
    assert told == [("once", 1), ("always", 1), ("always", 2)]


async def started(handler):
    """Return a task that reads a watch to its end, when it has begun to watch."""
    size = handler.size()

    async def read():
        async with aclosing(handler.watch()) as events:
            return [number(each) async for each in events]

    task = asyncio.create_task(read())
    while handler.size() == size:
        await asyncio.sleep(0)
    return task


def test_every_watch_is_told_everything_from_its_start_on():
    async def body():
        handler = APIEventHandler()
        handler(event(1))
        first = await started(handler)
        handler(event(2))
        second = await started(handler)
        handler(event(3))
        handler.close()
        return await first, await second

    assert asyncio.run(body()) == ([2, 3], [3])


def test_a_watch_that_is_left_is_told_no_more():
    async def body():
        handler = APIEventHandler()
        async with aclosing(handler.watch()) as events:
            step = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            handler(event(1))
            handler(event(2))
            first, sizes = await step, [handler.size()]
        handler(event(3))
        return number(first), [*sizes, handler.size()]

    assert asyncio.run(body()) == (1, [1, 0])


def test_a_watch_that_is_cancelled_is_told_no_more():
    async def body():
        handler = APIEventHandler()
        task = await started(handler)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), handler.size()

    assert asyncio.run(body()) == (True, 0)


def behind(count):
    """Return what a reader gets who did not read while so many events came, and was cut off."""

    async def body():
        handler = APIEventHandler()
        task = await started(handler)
        for each in range(1, count + 1):
            handler(event(each))
        cut = handler.size() == 0
        handler.close()
        return await task, cut

    return asyncio.run(body())


def test_a_reader_may_be_ten_thousand_events_behind():
    assert QUEUE_LIMIT == 10_000
    assert behind(QUEUE_LIMIT) == ([*range(1, QUEUE_LIMIT + 1)], False)


@pytest.mark.parametrize("more", [1, 2, 5000])
def test_a_reader_too_far_behind_is_cut_off_after_what_it_was_told_first(more):
    assert behind(QUEUE_LIMIT + more) == ([*range(1, QUEUE_LIMIT + 1)], True)


def test_a_slow_reader_costs_the_others_nothing():
    async def body():
        handler = APIEventHandler()
        slow = handler.watch()
        first = asyncio.ensure_future(anext(slow))
        await asyncio.sleep(0)
        fast = await started(handler)
        for each in range(1, QUEUE_LIMIT + 100):
            handler(event(each))
            if each % 100 == 0:
                await asyncio.sleep(0)
        sizes = handler.size()
        handler.close()
        await first
        await slow.aclose()
        return sizes, len(await fast)

    assert asyncio.run(body()) == (1, QUEUE_LIMIT + 99)


def test_close_ends_each_watch_after_what_it_was_told_before():
    async def body():
        handler = APIEventHandler()
        tasks = [await started(handler), await started(handler)]
        handler(event(1))
        handler.close()
        handler(event(2))
        return await asyncio.gather(*tasks), handler.size()

    assert asyncio.run(body()) == ([[1], [1]], 0)


def test_close_watch_queues_ends_watches_and_leaves_other_handlers():
    async def body():
        handlers, handler, listener = EventHandlers(), APIEventHandler(), Listener()
        handlers.register_event_handler(handler)
        handlers.register_event_handler(listener.hear)
        task = await started(handler)
        handlers.handle(event(1))
        handlers.close_watch_queues()
        handlers.handle(event(2))
        handlers.register_event_handler(handler)
        return await task, [*map(number, listener.told)]

    assert asyncio.run(body()) == ([1], [1, 2])
