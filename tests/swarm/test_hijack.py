"""Connections that stop being HTTP: between a client and an engine of this process."""

import asyncio
import contextlib
import re

import pytest
from starlette.requests import Request

from tests.swarm.serving import (
    connected,
    descriptors,
    one_answer,
    quiet,
    run,
    serving,
    talking,
    until,
)
from tests.swarm.test_http_protocol import reset
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.handler import HTTPError, http_error, status_of
from walkthroughs.swarm.hijack import Hijacked
from walkthroughs.swarm.world import World

ATTACH = b"POST /attach?stdin=1 HTTP/1.1\r\nHost: swarm\r\n"
UPGRADE = ATTACH + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


@contextlib.asynccontextmanager
async def pipe(script):
    """Serve an engine whose every answer may be a pipe; yield the port, and the engine."""
    async with talking(script) as engine:

        async def app(scope, receive, send):
            request = Request(scope, receive)
            query = request.scope["query_string"].decode()
            answer = Hijacked(engine, World(), f"{scope['path']}?{query}")
            try:
                await answer(scope, receive, send)
            except (HTTPError, ClusterError) as error:
                await http_error(str(error), status_of(error))(scope, receive, send)

        async with serving(app, world=quiet()[0]) as port:
            yield port, engine


def engine_that(answer, then):
    """Return a script: read a request, answer, and go on with both ends."""

    async def script(reader, writer):
        script.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await then(reader, writer)

    script.heads = []
    return script


async def copy(reader, writer):
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()


async def after_the_end(reader, writer):
    """Say nothing until all is heard."""
    said = await reader.read()
    writer.write(b"%d bytes" % len(said))


async def listen(reader, writer):
    await reader.read()


async def nothing(reader, writer):
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [SWITCH, RAW])
def test_both_sides_hear_each_other_and_the_head_is_the_engines(answer):
    async def work():
        script = engine_that(answer + b"$ ", copy)
        async with pipe(script) as (port, _), connected(port) as (reader, writer):
            writer.write(UPGRADE)
            assert await reader.readexactly(len(answer) + 2) == answer + b"$ "
            writer.write(b"ls\n")
            assert await reader.readexactly(3) == b"ls\n"
            writer.write_eof()
            assert await reader.read() == b""

    run(work())


def test_an_engine_is_told_of_the_wish_and_of_its_own_address():
    async def work():
        script = engine_that(SWITCH, copy)
        async with pipe(script) as (port, engine), connected(port) as (reader, writer):
            writer.write(UPGRADE.replace(b"\r\n\r\n", b"\r\nX-Mine: a\r\n\r\n"))
            await reader.readexactly(len(SWITCH))
            lines = set(script.heads[0].lower().split(b"\r\n"))
        assert {
            b"post /attach?stdin=1 http/1.1",
            f"host: {engine.addr}".encode(),
            b"connection: upgrade",
            b"upgrade: tcp",
            b"x-mine: a",
        } <= lines

    run(work())


def test_who_has_said_all_still_hears_the_rest():
    async def work():
        async with (
            pipe(engine_that(SWITCH, after_the_end)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(UPGRADE + b"early")
            await reader.readexactly(len(SWITCH))
            writer.write(b" and late")
            writer.write_eof()
            assert await reader.read() == b"14 bytes"

    run(work())


def test_what_a_client_says_before_the_answer_is_not_lost():
    async def work():
        async with (
            pipe(engine_that(RAW, after_the_end)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(ATTACH + b"\r\nGET / HTTP/1.1\r\n\r\n")
            writer.write_eof()
            assert await reader.read() == RAW + b"18 bytes"

    run(work())


def test_an_engine_that_has_said_all_ends_it_whatever_the_client_does():
    async def hang_up(reader, writer):
        writer.write(b"bye")

    async def work():
        async with (
            pipe(engine_that(SWITCH, hang_up)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(UPGRADE)
            assert await reader.read() == SWITCH + b"bye"

    run(work())


@pytest.mark.parametrize("status", [b"404 Not Found", b"409 Conflict"])
def test_a_refusal_is_http_and_the_next_request_is_ours(status):
    async def work():
        refusal = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        script = engine_that(refusal % status, nothing)
        async with pipe(script) as (port, engine), connected(port) as (reader, writer):
            for _ in range(2):
                writer.write(UPGRADE)
                assert await one_answer(reader) == (int(status[:3]), b"{}")
            # Each has had a connection of its own: what follows a refusal is for us to read.
            assert len(engine.tasks) == len(script.heads) == 2

    run(work())


def test_an_answer_in_chunks_is_http():
    async def work():
        chunks = RAW.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        script = engine_that(chunks + b"2\r\nhi\r\n0\r\n\r\n", nothing)
        async with pipe(script) as (port, _), connected(port) as (reader, writer):
            writer.write(ATTACH + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head
            assert await reader.readexactly(12) == b"2\r\nhi\r\n0\r\n\r\n"

    run(work())


def test_a_body_goes_to_the_engine_before_the_pipe():
    async def work():
        async def then(reader, writer):
            writer.write(await reader.readexactly(14) + b"|" + await reader.read())

        script = engine_that(SWITCH, then)
        async with pipe(script) as (port, _), connected(port) as (reader, writer):
            content = b'{"Tty": false}'
            fields = b"Content-Length: %d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" % 14
            writer.write(ATTACH + fields + content + b"stdin")
            writer.write_eof()
            assert await reader.read() == SWITCH + content + b"|stdin"

    run(work())


def test_an_engine_that_is_not_there_is_an_error_and_its_health_knows():
    async def work():
        async with pipe(nothing) as (port, engine), connected(port) as (reader, writer):
            engine.addr = "127.0.0.1:1"
            writer.write(UPGRADE)
            status, body = await one_answer(reader)
            where = "Cannot connect to the Docker daemon at tcp://127.0.0.1:1"
            assert status == 500
            assert body.decode().startswith(where)
            assert [type(error).__name__ for error in engine.errors] == ["ConnectionFailed"]

    run(work())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101", b"nonsense\r\n\r\n"])
def test_half_an_answer_is_an_error(said):
    async def hang_up(reader, writer):
        pass

    async def work():
        async with (
            pipe(engine_that(said, hang_up)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(UPGRADE)
            status, body = await one_answer(reader)
            assert status == 500
            assert re.match(b"(half an answer|the engine has closed)", body)

    run(work())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_client_that_is_reset_leaves_nothing(at_once):
    async def work():
        async with pipe(engine_that(b"" if at_once else SWITCH, listen)) as (port, _):
            before = descriptors()
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(UPGRADE)
                if not at_once:
                    await reader.readexactly(len(SWITCH))
                reset(writer)
            await until(lambda: descriptors() == before)

    run(work())


def test_a_client_that_is_reset_ends_a_silent_pipe():
    async def work():
        ended = asyncio.Event()

        async def silent(reader, writer):
            await reader.read()
            ended.set()

        async with pipe(engine_that(SWITCH, silent)) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPGRADE)
            await reader.readexactly(len(SWITCH))
            reset(writer)
            await ended.wait()

    run(work())


def test_an_engine_that_vanishes_ends_the_pipe():
    async def vanish(reader, writer):
        await reader.read(1)
        reset(writer)

    async def work():
        async with (
            pipe(engine_that(SWITCH, vanish)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(UPGRADE)
            await reader.readexactly(len(SWITCH))
            writer.write(b"x")
            assert await reader.read() == b""

    run(work())


def test_a_hundred_megabytes_go_each_way():
    size = 100 * 2**20

    async def work():
        async with (
            pipe(engine_that(SWITCH, copy)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(UPGRADE)
            await reader.readexactly(len(SWITCH))

            async def feed():
                for _ in range(100):
                    writer.write(b"x" * 2**20)
                    await writer.drain()
                writer.write_eof()

            feeding, got = asyncio.create_task(feed()), 0
            while data := await reader.read(2**20):
                got += len(data)
            await feeding
            assert got == size

    run(work())


def test_neither_side_may_run_ahead_of_the_other():
    async def work():
        written = 0

        async def flood(reader, writer):
            nonlocal written
            while True:
                writer.write(b"x" * 2**20)
                await writer.drain()
                written += 1

        async with pipe(engine_that(SWITCH, flood)) as (port, _), connected(port) as (_, writer):
            writer.write(UPGRADE)
            await until(lambda: written)
            before = 0
            while before != written:
                before = written
                for _ in range(50):
                    await asyncio.sleep(0)
            assert written < 40

    run(work())
