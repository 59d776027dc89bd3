"""The lab: a clock that is told the time, a network of applications, tasks that end."""

import asyncio
import errno
import sys
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse

from walkthroughs.swarm.lab import (
    BUFFER,
    EPOCH,
    Exchange,
    Lab,
    VirtualClock,
    settle,
    settle_by_tasks,
)
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


@pytest.fixture(params=[settle, settle_by_tasks])
def quiet(request):
    """Both ways of knowing, of which a loop decides."""
    return request.param


def test_settle_lets_a_chain_of_futures_come_to_its_end(quiet):
    async def program():
        loop = asyncio.get_running_loop()
        links = [loop.create_future() for _ in range(50)]

        async def pass_on(before, after):
            await before
            after.set_result(None)

        tasks = [loop.create_task(pass_on(*pair)) for pair in pairwise(links)]
        links[0].set_result(None)
        await quiet()
        assert all(task.done() for task in tasks)

    run(program())


def test_settle_sees_through_callbacks_and_queues(quiet):
    async def program():
        async with Lab() as lab:
            queue, notes = asyncio.Queue(), []

            async def consume():
                while True:
                    notes.append(await queue.get())

            lab.start("consumer", consume())
            await quiet()
            asyncio.get_running_loop().call_soon(queue.put_nowait, "called")
            queue.put_nowait("put")
            await quiet()
            return notes

    assert run(program()) == ["put", "called"]


def test_settle_does_not_wait_for_a_task_that_waits(quiet):
    async def program():
        async with Lab() as lab:
            lab.start("forever", asyncio.Event().wait())
            await quiet()
            assert not lab.tasks["forever"].done()

    run(program())


def test_settle_sees_what_a_callback_starts_at_the_last_moment():
    async def program():
        loop, notes = asyncio.get_running_loop(), []

        def count_down(left):
            notes.append(left)
            if left:
                loop.call_soon(count_down, left - 1)

        loop.call_soon(count_down, 20)
        await settle()
        return notes

    assert run(program()) == [*range(20, -1, -1)]


def test_a_loop_that_hides_its_queue_is_asked_for_its_tasks():
    class Shy(asyncio.SelectorEventLoop):
        """Such as one of another make, or a browser's."""

        def __getattribute__(self, name):
            code = sys._getframe(1).f_code
            if name == "_ready" and code.co_name == "settle":
                raise AttributeError(name)
            return super().__getattribute__(name)

    async def program():
        async with Lab() as lab:
            notes = []
            for seconds in (3, 1, 2):
                lab.start(f"{seconds}", note(lab.clock, seconds, notes, seconds))
            await lab.run(3)
            return notes

    with asyncio.Runner(loop_factory=Shy) as runner:
        assert runner.run(program()) == [(1, 1), (2, 2), (3, 3)]


def test_a_thousand_sleepers_cost_no_more_than_their_turns(monkeypatch):
    def unasked():
        raise AssertionError("the clock has looked at every task")

    async def program():
        async with Lab() as lab:
            for number in range(1000):
                lab.start(f"idle {number}", asyncio.Event().wait())
                lab.start(f"{number}", lab.clock.sleep(number / 7))
            monkeypatch.setattr(asyncio, "all_tasks", unasked)
            await lab.run(1000)
            monkeypatch.undo()
            return lab.clock.now

    assert run(program()) == 1000


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


def test_an_action_is_called_at_its_second_plain_or_async():
    async def program():
        async with Lab() as lab:
            notes = []

            async def slowly(name):
                await note(lab.clock, 1, notes, name)

            lab.at(7, slowly, "later")
            lab.at(5, lambda *names: notes.append((lab.clock.now, names)), "a", "b")
            await lab.run(4)
            early = list(notes)
            await lab.run(10)
            return early, notes, lab.tasks

    assert run(program()) == ([], [(5, ("a", "b")), (8, "later")], {})


def test_an_action_for_a_second_that_has_passed_is_called_now():
    async def program():
        async with Lab() as lab:
            notes = []
            await lab.run(10)
            lab.at(5, lambda: notes.append(lab.clock.now))
            await lab.run(0)
            return notes

    assert run(program()) == [10]


def test_what_an_action_raises_comes_out_of_run():
    async def program():
        async with Lab() as lab:
            lab.at(5, int, "five")
            await lab.run(4)
            with pytest.raises(ValueError, match="five"):
                await lab.run(1)

    run(program())


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


# Answers that take their time


def count_up(lab, sent, until=None):
    """Return an application that sends a number each second, and notes its own end."""

    async def app(scope, receive, send):
        try:
            await send({"type": "http.response.start", "status": 200})
            number = 0
            while number != until:
                await send(
                    {"type": "http.response.body", "body": b"%d" % number, "more_body": True}
                )
                sent.append(number)
                await lab.clock.sleep(1)
                number += 1
            await send({"type": "http.response.body"})
        finally:
            sent.append("end")

    return app


async def read_all(lab, app, notes):
    """Read an answer as it comes, and note the time of each piece and of trouble."""
    lab.network.plug("hub:1", app)
    async with lab.world("me").client("http://hub:1") as client:
        try:
            async with client.stream("GET", "/") as response:
                notes.append((lab.clock.now, response.status_code))
                async for chunk in response.aiter_bytes():
                    notes.append((lab.clock.now, chunk.decode()))
            notes.append((lab.clock.now, "whole"))
        except httpx2.HTTPError as error:
            notes.append((lab.clock.now, repr(error), repr(error.__cause__)))


def alone():
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_an_answer_is_there_as_soon_as_its_first_piece_is():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("me", read_all(lab, count_up(lab, [], until=3), notes))
            await lab.run(10)
            assert alone()
            return notes, lab.network.exchanges

    notes, exchanges = run(program())
    assert notes == [(0, 200), (0, "0"), (1, "1"), (2, "2"), (3, "whole")]
    assert exchanges == [Exchange(0, "me", "hub:1", "GET", "/", 200)]


def test_who_reads_no_further_ends_the_work_of_the_application():
    async def program():
        async with Lab() as lab:
            sent = []
            lab.network.plug("hub:1", count_up(lab, sent))
            async with lab.world("me").client("http://hub:1") as client:
                async with client.stream("GET", "/"):
                    await lab.run(2)
                assert alone()
            return sent

    assert run(program()) == [0, 1, 2, "end"]


def test_who_gives_up_before_an_answer_ends_the_work_of_the_application():
    async def program():
        async with Lab() as lab:
            notes = []

            async def silent(scope, receive, send):
                try:
                    await asyncio.Event().wait()
                finally:
                    notes.append("end")

            lab.network.plug("hub:1", silent)
            async with lab.world("me").client("http://hub:1") as client:
                lab.start("me", client.get("/"))
                await lab.run(1)
                await lab.stop("me")
            assert alone()
            return notes, lab.network.exchanges

    assert run(program()) == (["end"], [Exchange(0, "me", "hub:1", "GET", "/", 0)])


def test_work_that_goes_on_after_the_answer_is_done_to_its_end():
    async def program():
        async with Lab() as lab:
            notes = []

            async def thorough(scope, receive, send):
                await PlainTextResponse("here")(scope, receive, send)
                await asyncio.sleep(0)
                while (message := await receive())["type"] != "http.disconnect":
                    notes.append(message["more_body"])

            lab.network.plug("hub:1", thorough)
            async with lab.world("me").client("http://hub:1") as client:
                notes.append((await client.get("/")).text)
            return notes

    assert run(program()) == [True, False, "here"]


def test_an_application_that_raises_in_the_middle_breaks_its_answer():
    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("a bug in the server")

    async def program():
        async with Lab() as lab:
            notes = []
            await read_all(lab, broken, notes)
            return notes

    error = "RemoteProtocolError('peer closed connection without sending complete message body')"
    assert run(program()) == [(0, 200), (0, "half"), (0, error, "None")]


def test_an_application_that_says_nothing_answers_500():
    async def mute(scope, receive, send):
        pass

    async def program():
        async with Lab() as lab:
            lab.network.plug("hub:1", mute)
            async with lab.world("me").client("http://hub:1") as client:
                response = await client.get("/")
                return response.status_code, response.content

    assert run(program()) == (500, b"")


def test_who_sends_faster_than_is_read_has_to_wait():
    async def program():
        async with Lab() as lab:
            sent = []

            async def eager(scope, receive, send):
                await send({"type": "http.response.start", "status": 200})
                for number in range(10 * BUFFER):
                    more = {"body": b"x", "more_body": True}
                    await send({"type": "http.response.body", **more})
                    sent.append(number)
                await send({"type": "http.response.body"})

            lab.network.plug("hub:1", eager)
            async with (
                lab.world("me").client("http://hub:1") as client,
                client.stream("GET", "/") as response,
            ):
                await lab.run(1)
                before = len(sent)
                return before, len(await response.aread())

    assert run(program()) == (BUFFER, 10 * BUFFER)


def test_a_request_may_come_in_pieces():
    async def program():
        async with Lab() as lab:
            pieces = []

            async def gather(scope, receive, send):
                more = True
                while more:
                    message = await receive()
                    more = message["more_body"]
                    pieces.append((lab.clock.now, message["body"]))
                await PlainTextResponse("thanks")(scope, receive, send)

            async def body():
                for piece in (b"one", b"two"):
                    yield piece
                    await lab.clock.sleep(1)

            async def ask():
                async with lab.world("me").client("http://hub:1") as client:
                    await client.post("/", content=body())

            lab.network.plug("hub:1", gather)
            lab.start("me", ask())
            await lab.run(5)
            return pieces

    assert run(program()) == [(0, b"one"), (1, b"two"), (2, b"")]


def test_the_rest_of_a_request_that_nobody_reads_is_closed():
    async def program():
        async with Lab() as lab:
            notes = []

            async def body():
                try:
                    while True:
                        yield b"more"
                finally:
                    notes.append("closed")

            async def impatient(scope, receive, send):
                await receive()
                await PlainTextResponse("enough")(scope, receive, send)

            lab.network.plug("hub:1", impatient)
            async with lab.world("me").client("http://hub:1") as client:
                notes.append((await client.post("/", content=body())).text)
            return notes

    assert run(program()) == ["closed", "enough"]


def test_an_answer_to_head_has_no_body():
    async def program():
        async with Lab() as lab:
            lab.network.plug("hub:1", PlainTextResponse("here"))
            async with lab.world("me").client("http://hub:1") as client:
                response = await client.head("/")
                return response.headers["content-length"], response.content

    assert run(program()) == ("4", b"")


# Power and cable


def test_a_power_cut_breaks_what_is_under_way_as_a_kernel_does():
    async def program():
        async with Lab() as lab:
            notes, sent = [], []
            lab.start("me", read_all(lab, count_up(lab, sent), notes))
            lab.at(1.5, lab.network.unplug, "hub:1")
            await lab.run(5)
            assert alone()
            with pytest.raises(httpx2.ConnectError):
                async with lab.world("me").client("http://hub:1") as client:
                    await client.get("/")
            return notes, sent

    notes, sent = run(program())
    error = f"ReadError('[Errno {errno.ECONNRESET}] Connection reset by peer')"
    cause = f"ConnectionResetError({errno.ECONNRESET}, 'Connection reset by peer')"
    assert notes == [(0, 200), (0, "0"), (1, "1"), (1.5, error, cause)]
    assert sent == [0, 1, "end"]


def test_a_power_cut_breaks_a_request_that_has_just_been_sent():
    async def program():
        async with Lab() as lab:
            notes = []
            task = asyncio.create_task(read_all(lab, count_up(lab, []), notes))
            while not lab.network.calls:
                await asyncio.sleep(0)
            lab.network.unplug("hub:1")
            await task
            return notes[0][1]

    assert run(program()) == "ReadError('[Errno 104] Connection reset by peer')"


def test_a_power_cut_of_one_host_leaves_the_others_alone():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("me", read_all(lab, count_up(lab, [], until=2), notes))
            await lab.run(0)
            lab.network.unplug("hub:2")
            await lab.run(5)
            return notes[-1]

    assert run(program()) == (2, "whole")


def test_behind_a_pulled_cable_it_is_silent_until_the_cable_is_back():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("me", read_all(lab, count_up(lab, [], until=4), notes))
            lab.at(1.5, lab.network.freeze, "hub:1")
            lab.at(10, lab.network.thaw, "hub:1")
            await lab.run(20)
            return notes

    numbers = [(0, "0"), (1, "1"), (10, "2"), (10, "3")]
    assert run(program()) == [(0, 200), *numbers, (10, "whole")]


def test_behind_a_pulled_cable_even_the_end_of_the_power_is_not_heard():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.start("me", read_all(lab, count_up(lab, []), notes))
            lab.at(1, lab.network.freeze, "hub:1")
            lab.at(2, lab.network.unplug, "hub:1")
            await lab.run(5)
            silent = len(notes)
            lab.network.thaw("hub:1")
            await lab.run(0)
            return silent, notes[-1][:2]

    error = "ReadError('[Errno 104] Connection reset by peer')"
    silent, last = run(program())
    assert (silent, last) == (2, (5, error))


def test_a_request_into_silence_ends_with_the_time_that_its_caller_has():
    async def program():
        async with Lab() as lab:
            lab.network.plug("hub:1", PlainTextResponse("here"))
            lab.network.freeze("hub:1")
            notes = []

            async def ask():
                async with lab.world("me").client("http://hub:1") as client:
                    with pytest.raises(httpx2.ConnectTimeout):
                        await client.get("/")
                    notes.append(lab.clock.now)

            lab.start("me", ask())
            await lab.run(60)
            return notes, lab.network.exchanges

    assert run(program()) == ([10], [Exchange(0, "me", "hub:1", "GET", "/", 0)])


def test_a_request_into_silence_arrives_when_the_cable_is_back():
    async def program():
        async with Lab() as lab:
            notes = []
            lab.network.freeze("hub:1")
            lab.network.freeze("hub:1")
            lab.start("me", read_all(lab, PlainTextResponse("here"), notes))
            lab.at(5, lab.network.thaw, "hub:1")
            lab.at(6, lab.network.thaw, "hub:1")
            await lab.run(60)
            return notes

    assert run(program()) == [(5, 200), (5, "here"), (5, "whole")]


def test_no_request_outlives_its_lab():
    async def forever(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await asyncio.Event().wait()

    async def program():
        async with Lab() as lab:
            lab.network.plug("hub:80", forever)
            async with lab.world("me").client("http://hub") as client:
                request = client.build_request("GET", "http://hub/")
                await client.send(request, stream=True)
                assert len(asyncio.all_tasks()) == 2
        return len(asyncio.all_tasks()), lab.network.calls

    assert run(program()) == (1, {"hub:80": set()})
