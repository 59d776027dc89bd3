"""Connections in memory: bytes, ends, resets, a cable that is pulled, a window."""

import asyncio
import json

import pytest

from walkthroughs.swarm.lab import Exchange, Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_wire import WINDOW, dial

HOST = "node-1:2375"
ASKED = b"POST /talk HTTP/1.1\r\nHost: node-1\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"


class Pipe:
    """An application that takes its connection over, and gives it to a test."""

    async def __call__(self, scope, receive, send):
        self.reader, self.writer = await scope["extensions"]["hijack"]()
        self.done = asyncio.Event()
        await self.done.wait()


def with_pipe(program):
    """Run `program(lab, near, far)`: both ends of a connection, as reader and writer."""

    async def whole():
        async with Lab() as lab:
            app = Pipe()
            lab.network.plug(HOST, app)
            reader, writer = await lab.world("me").transport.dial(HOST)
            writer.write(ASKED)
            await lab.run(0)
            result = await program(lab, (reader, writer), (app.reader, app.writer))
            app.done.set()
            return result

    return asyncio.run(whole())


def test_bytes_go_both_ways_and_in_order():
    async def program(lab, near, far):
        near[1].write(b"to ")
        near[1].writelines([b"the ", b"server"])
        far[1].write(b"to the client")
        return await far[0].readexactly(13), await near[0].readexactly(13)

    assert with_pipe(program) == (b"to the server", b"to the client")


def test_one_side_may_end_and_still_hear_the_other():
    async def program(lab, near, far):
        near[1].write(b"last words")
        near[1].write_eof()
        heard = await far[0].read()
        far[1].write(b"answer")
        return heard, await near[0].readexactly(6)

    assert with_pipe(program) == (b"last words", b"answer")


def test_who_closes_has_been_heard():
    async def program(lab, near, far):
        near[1].write(b"last words")
        near[1].close()
        await near[1].wait_closed()
        return await far[0].read()

    assert with_pipe(program) == b"last words"


def test_who_writes_to_somebody_who_has_left_is_told_so():
    async def program(lab, near, far):
        near[1].close()
        await lab.run(0)
        far[1].write(b"are you there?")
        await lab.run(0)
        with pytest.raises(ConnectionResetError) as error:
            await far[1].drain()
        return str(error.value)

    assert "onnection" in with_pipe(program)


def test_a_power_cut_breaks_a_connection():
    async def program(lab, near, far):
        far[1].write(b"half of an ans")
        lab.network.unplug(HOST)
        with pytest.raises(ConnectionResetError) as error:
            await near[0].readexactly(15)
        assert lab.network.calls[HOST] == set()
        return error.value.errno

    assert with_pipe(program) == 104


def test_a_pulled_cable_holds_what_is_said_until_it_is_put_back():
    async def program(lab, near, far):
        lab.network.freeze(HOST)
        near[1].write(b"question")
        far[1].write(b"news")
        heard = asyncio.create_task(near[0].readexactly(4)), asyncio.create_task(far[0].read(8))
        await lab.run(60)
        silent = [each.done() for each in heard]
        lab.network.thaw(HOST)
        await lab.run(0)
        return silent, [each.result() for each in heard]

    assert with_pipe(program) == ([False, False], [b"news", b"question"])


def test_who_sends_more_than_anybody_reads_has_to_wait():
    async def program(lab, near, far):
        near[1].transport.pause_reading()
        far[1].write(b"x" * (WINDOW + 1))
        waiting = asyncio.create_task(far[1].drain())
        await lab.run(1)
        before = waiting.done()
        near[1].transport.resume_reading()
        await near[0].readexactly(WINDOW + 1)
        await waiting
        return before

    assert with_pipe(program) is False


def test_nobody_answers_at_a_host_that_is_not_there():
    async def program():
        async with Lab() as lab:
            with pytest.raises(ConnectionRefusedError) as error:
                await lab.world("me").transport.dial(HOST)
            return str(error.value)

    assert asyncio.run(program()) == "[Errno 111] Connection refused"


def test_a_connection_to_a_frozen_host_is_made_when_it_thaws():
    async def program():
        async with Lab() as lab:
            lab.network.plug(HOST, Pipe())
            lab.network.freeze(HOST)
            lab.at(60, lab.network.thaw, HOST)
            task = asyncio.create_task(dial(lab.network, "me", HOST))
            await lab.run(59)
            assert not task.done()
            await lab.run(1)
            return task.done()

    assert asyncio.run(program())


def test_no_connection_outlives_its_lab():
    async def program():
        async with Lab() as lab:
            lab.network.plug(HOST, Pipe())
            ends = await lab.world("me").transport.dial(HOST)
            ends[1].write(ASKED)
            await lab.run(0)
            assert len(asyncio.all_tasks()) > 1
        return len(asyncio.all_tasks()), lab.network.calls

    assert asyncio.run(program()) == (1, {HOST: set()})


def test_a_connection_is_in_the_list_of_exchanges_with_its_first_answer():
    async def program():
        async with Lab() as lab:
            LabEngine(lab, "node-1", HOST).plug()
            for path, fields in [("_ping?a=1", ""), ("containers/no/attach", "Upgrade: tcp\r\n")]:
                reader, writer = await lab.world("me").transport.dial(HOST)
                method = "POST" if fields else "GET"
                writer.write(f"{method} /{path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
                await reader.readuntil(b"\r\n\r\n")
                writer.close()
                await lab.run(1)
            return lab.network.exchanges

    assert asyncio.run(program()) == [
        Exchange(0.0, "me", HOST, "GET", "/_ping", 200),
        Exchange(1.0, "me", HOST, "POST", "/containers/no/attach", 404),
    ]


def test_a_server_knows_who_talks_to_it_and_what_it_is_called():
    async def program():
        async with Lab() as lab:

            async def app(scope, receive, send):
                said = json.dumps([scope["client"], scope["server"]]).encode()
                length = [(b"content-length", b"%d" % len(said))]
                await send({"type": "http.response.start", "status": 200, "headers": length})
                await send({"type": "http.response.body", "body": said})

            lab.network.plug(HOST, app)
            reader, writer = await lab.world("me").transport.dial(HOST)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = await reader.read()
            writer.close()
            return json.loads(said.partition(b"\r\n\r\n")[2])

    assert asyncio.run(program()) == [["127.0.0.1", 123], ["node-1", 2375]]
