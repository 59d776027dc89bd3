"""The lab: a clock that is told the time, a network of applications, tasks that end."""

import asyncio
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse

from walkthroughs.swarm.lab import EPOCH, Exchange, Lab, VirtualClock, settle
from walkthroughs.swarm.world import ticker, within


def run(program):
    return asyncio.run(program)


async def note(clock, seconds, notes, name=None):
    """Sleep, and note when and who."""
    await clock.sleep(seconds)
    notes.append((clock.now, name))


# The clock


def test_the_clock_stands_still_until_it_is_told():
    clock = VirtualClock()
    assert (clock.time(), clock.monotonic()) == (EPOCH, 0)
    run(clock.advance(90))
    assert (clock.time(), clock.monotonic()) == (EPOCH + 90, 90)


def test_an_hour_of_heartbeats_takes_no_time_and_all_of_the_beats():
    async def program():
        async with Lab() as lab:
            ticks = []

            async def beat():
                async for time in ticker(lab.clock, 60):
                    ticks.append(time)

            lab.start("node", beat())
            await lab.run(3600)
            return ticks

    assert run(program()) == [60.0 * minute for minute in range(1, 61)]


def test_sleepers_rise_in_the_order_of_their_time():
    async def program():
        async with Lab() as lab:
            notes = []
            for seconds in (3, 1, 2):
                lab.start(f"{seconds}", note(lab.clock, seconds, notes, seconds))
            await lab.run(3)
            return notes

    assert run(program()) == [(1, 1), (2, 2), (3, 3)]


def test_of_two_that_are_due_together_who_lay_down_first_rises_first():
    async def program():
        async with Lab() as lab:
            notes = []
            for name in "cab":
                lab.start(name, note(lab.clock, 1, notes, name))
            await lab.run(1)
            return notes

    assert run(program()) == [(1, "c"), (1, "a"), (1, "b")]


def test_a_sleeper_has_done_all_it_can_before_the_next_one_rises():
    async def program():
        async with Lab() as lab:
            notes = []

            async def busy():
                await lab.clock.sleep(1)
                for turn in range(10):
                    await asyncio.sleep(0)
                    notes.append(turn)

            lab.start("busy", busy())
            lab.start("next", note(lab.clock, 1, notes))
            await lab.run(1)
            return notes

    assert run(program()) == [*range(10), (1, None)]


def test_who_sleeps_again_within_the_time_rises_again():
    async def program():
        async with Lab() as lab:
            notes = []

            async def twice():
                await note(lab.clock, 1, notes)
                await note(lab.clock, 0, notes)
                await note(lab.clock, 1, notes)
                await note(lab.clock, 1, notes)

            lab.start("twice", twice())
            await lab.run(2.5)
            return notes

    assert run(program()) == [(1, None), (1, None), (2, None)]


def test_a_sleep_of_less_than_nothing_ends_now():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("past", note(lab.clock, -5, notes))
            await lab.run(0)
            return notes

    assert run(program()) == [(0, None)]


def test_a_sleeper_that_is_cancelled_holds_up_nobody():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("first", note(lab.clock, 1, notes, "first"))
            lab.start("second", note(lab.clock, 2, notes, "second"))
            await lab.run(0)
            await lab.stop("first")
            await lab.run(2)
            return notes

    assert run(program()) == [(2, "second")]


def test_a_time_limit_works_on_this_clock():
    async def program():
        async with Lab() as lab:
            trouble = []

            async def limited():
                try:
                    await within(5, lab.clock.sleep(10), lab.clock)
                except TimeoutError:
                    trouble.append(lab.clock.now)

            lab.start("limited", limited())
            await lab.run(20)
            return trouble

    assert run(program()) == [5]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), max_size=4), max_size=12), st.integers(0, 40))
def test_many_sleepers_rise_as_a_sorted_list_says(programs, until):
    async def program():
        async with Lab() as lab:
            notes = []

            async def several(name, pauses):
                for pause in pauses:
                    await note(lab.clock, pause, notes, name)

            for name, pauses in enumerate(programs):
                lab.start(f"{name}", several(name, pauses))
            await lab.run(until)
            return notes, lab.clock.now

    expected = sorted(
        (sum(pauses[: index + 1]), name)
        for name, pauses in enumerate(programs)
        for index in range(len(pauses))
        if sum(pauses[: index + 1]) <= until
    )
    notes, now = run(program())
    assert now == until
    assert [time for time, _ in notes] == [time for time, _ in expected]
    assert sorted(notes) == expected


# When everyone waits


def test_settle_lets_a_chain_of_futures_come_to_its_end():
    async def program():
        loop = asyncio.get_running_loop()
        links = [loop.create_future() for _ in range(50)]

        async def pass_on(before, after):
            await before
            after.set_result(None)

        tasks = [loop.create_task(pass_on(*pair)) for pair in pairwise(links)]
        links[0].set_result(None)
        await settle()
        assert all(task.done() for task in tasks)

    run(program())


def test_settle_sees_through_callbacks_and_queues():
    async def program():
        async with Lab() as lab:
            queue, notes = asyncio.Queue(), []

            async def consume():
                while True:
                    notes.append(await queue.get())

            lab.start("consumer", consume())
            await settle()
            asyncio.get_running_loop().call_soon(queue.put_nowait, "called")
            queue.put_nowait("put")
            await settle()
            return notes

    assert run(program()) == ["put", "called"]


def test_settle_does_not_wait_for_a_task_that_waits():
    async def program():
        async with Lab() as lab:
            lab.start("forever", asyncio.Event().wait())
            await settle()
            assert not lab.tasks["forever"].done()

    run(program())


def test_a_lab_works_inside_another_running_program():
    async def program():
        async def elsewhere():
            await asyncio.Event().wait()

        other = asyncio.create_task(elsewhere())
        notes = []
        async with Lab() as lab:
            lab.start("node", note(lab.clock, 1, notes))
            await asyncio.create_task(lab.run(1))
        assert not other.done()
        other.cancel()
        return notes

    assert run(program()) == [(1, None)]


# The programs


def test_what_a_program_raises_comes_out_of_run():
    async def program():
        async with Lab() as lab:

            async def fail():
                await lab.clock.sleep(1)
                raise ValueError("a bug")

            notes = []
            lab.start("sound", note(lab.clock, 2, notes))
            lab.start("faulty", fail())
            with pytest.raises(ValueError, match=r"\Aa bug\Z"):
                await lab.run(3)
            # Time has passed for the others all the same, and it is raised once.
            assert (lab.clock.now, notes) == (3, [(2, None)])
            await lab.run(1)

    run(program())


def test_a_program_that_has_ended_makes_room_for_another_of_its_name():
    async def program():
        async with Lab() as lab:
            notes = []
            for _ in range(2):
                lab.start("node", note(lab.clock, 1, notes))
                await lab.run(1)
            return notes

    assert run(program()) == [(1, None), (2, None)]


def test_two_programs_of_one_name_are_refused():
    async def program():
        async with Lab() as lab:
            lab.start("node", lab.clock.sleep(1))
            with pytest.raises(ValueError, match=r"\Anode is running\Z"):
                lab.start("node", lab.clock.sleep(1))

    run(program())


def test_a_program_that_is_stopped_may_finish_what_it_must():
    async def program():
        async with Lab() as lab:
            notes = []

            async def careful():
                try:
                    await lab.clock.sleep(100)
                finally:
                    await asyncio.sleep(0)
                    notes.append(lab.clock.now)

            lab.start("careful", careful())
            await lab.run(5)
            await lab.stop("careful")
            return notes

    assert run(program()) == [5]


def test_no_task_is_left_when_a_lab_is_closed():
    async def program():
        lab = Lab()
        for number in range(10):
            lab.start(f"{number}", lab.clock.sleep(number))
        await lab.run(5)
        await lab.close()
        return asyncio.all_tasks() - {asyncio.current_task()}, lab.tasks

    assert run(program()) == (set(), {})


def test_a_lab_is_closed_when_its_block_ends_with_an_error():
    async def program():
        async def fail():
            async with Lab() as lab:
                lab.start("node", lab.clock.sleep(1))
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(program()) == set()


def test_chance_has_the_seed_of_the_lab():
    def draw(seed):
        return [Lab(seed).world("node").random.random() for _ in range(2)]

    assert draw(1) == draw(1) != draw(2)


# The network


def test_a_request_goes_to_the_application_at_that_address():
    async def program():
        async with Lab() as lab:
            lab.network.apps["a:80"] = PlainTextResponse("plain")
            lab.network.apps["a:443"] = PlainTextResponse("secure")
            lab.network.apps["[::1]:99"] = JSONResponse({"v": 6})
            said = []
            for url in ("http://a/x?y=z", "https://a", "http://[::1]:99/"):
                async with lab.world("me").client(url) as client:
                    said.append((await client.get(url)).text)
            return said, lab.network.exchanges

    assert run(program()) == (
        ["plain", "secure", '{"v":6}'],
        [
            Exchange(0.0, "me", "a:80", "GET", "/x", 200),
            Exchange(0.0, "me", "a:443", "GET", "/", 200),
            Exchange(0.0, "me", "[::1]:99", "GET", "/", 200),
        ],
    )


def test_where_nobody_listens_the_connection_is_refused_as_by_a_kernel():
    async def program():
        async with Lab() as lab, lab.world("me").client("http://hub:1") as client:
            with pytest.raises(httpx2.ConnectError) as caught:
                await client.post("/x")
            return str(caught.value), caught.value.__cause__, lab.network.exchanges

    message, cause, exchanges = run(program())
    assert message == "[Errno 111] Connection refused"
    assert isinstance(cause, ConnectionRefusedError)
    assert exchanges == [Exchange(0.0, "me", "hub:1", "POST", "/x", 0)]


def test_an_application_that_raises_answers_500():
    async def broken(scope, receive, send):
        raise RuntimeError("a bug in the server")

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:1"] = broken
            async with lab.world("me").client("http://hub:1") as client:
                return (await client.get("/")).status_code

    assert run(program()) == 500


def test_an_exchange_has_the_time_at_which_it_began():
    async def program():
        async with Lab() as lab:

            async def slow(scope, receive, send):
                await lab.clock.sleep(5)
                await PlainTextResponse("at last")(scope, receive, send)

            async def ask():
                await lab.clock.sleep(1)
                async with lab.world("me").client("http://hub:1") as client:
                    await client.get("/")

            lab.network.apps["hub:1"] = slow
            lab.start("me", ask())
            await lab.run(5)
            before = list(lab.network.exchanges)
            await lab.run(1)
            return before, lab.network.exchanges

    assert run(program()) == ([], [Exchange(1.0, "me", "hub:1", "GET", "/", 200)])
