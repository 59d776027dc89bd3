"""The server: its answers byte for byte, its connections, and those who misuse them."""

import asyncio
import contextlib
import gc
import re
import resource
import socket
import struct
import tracemalloc

import pytest

from tests.conftest import THOROUGH
from tests.swarm.serving import (
    answering,
    body_of,
    connected,
    descriptors,
    one_answer,
    quiet,
    run,
    said,
    serving,
    until,
)
from walkthroughs.swarm.http_protocol import AbortHandler

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"
BAD = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n400 Bad Request"
)
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"


def test_an_answer_has_a_length_a_date_and_what_the_application_says():
    async def work():
        async with serving(answering(b"OK")) as port, connected(port) as (reader, writer):
            writer.write(GET)
            answer = await reader.readexactly(len(OK) + 37)
        date = rb"date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n"
        head, _, body = answer.partition(b"\r\n\r\n")
        assert re.fullmatch(rb"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + date, head + b"\r\n")
        assert body == b"OK"

    run(work())


def test_requests_that_come_at_once_are_answered_in_their_order():
    async def app(scope, receive, send):
        await answering(scope["query_string"])(scope, receive, send)

    async def work():
        async with serving(app) as port:
            asked = [b"GET /?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(300)]
            async with connected(port) as (reader, writer):
                writer.write(b"".join(asked))
                for number in range(300):
                    assert await one_answer(reader) == (200, b"%d" % number)

    run(work())


def test_what_is_no_request_is_refused_after_the_answers_to_those_before():
    async def work():
        async with serving(answering(b"OK")) as port:
            assert await said(port, GET + b"nonsense\r\n\r\n" + GET) == OK + BAD

    run(work())


def test_after_connection_close_nothing_is_answered():
    closing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK"

    async def work():
        async with serving(answering(b"OK")) as port:
            assert await said(port, LAST + GET) == closing

    run(work())


async def streaming(scope, receive, send):
    """Answer without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in b"one", b"", b"two":
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        (
            b"1.1",
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
        ),
        (b"1.0", b"connection: close\r\n\r\nonetwo"),
    ],
)
def test_an_answer_without_a_length_is_chunked_or_ends_with_the_connection(version, answer):
    async def work():
        asked = b"GET / HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n" % version
        async with serving(streaming) as port:
            assert await said(port, asked) == b"HTTP/1.1 200 OK\r\n" + answer

    run(work())


def test_the_answer_to_head_is_the_head():
    async def work():
        async with serving(answering(b"OK")) as port:
            answer = await said(port, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + LAST)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nHTTP/1.1 200")

    run(work())


async def echo(scope, receive, send):
    content = await body_of(receive)
    await answering(b"gone" if content is None else content)(scope, receive, send)


def test_a_body_is_read_in_pieces():
    async def work():
        async with serving(echo) as port, connected(port) as (reader, writer):
            writer.write(POST + b"Content-Length: 6\r\n\r\nabc")
            await writer.drain()
            writer.write(b"def" + POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\ngh\r\n0\r\n\r\n")
            assert await one_answer(reader) == (200, b"abcdef")
            assert await one_answer(reader) == (200, b"gh")

    run(work())


def test_a_client_that_asks_whether_to_send_its_body_is_told():
    async def work():
        async with serving(echo) as port, connected(port) as (reader, writer):
            writer.write(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"OK" + GET)
            assert await one_answer(reader) == (200, b"OK")
            assert await one_answer(reader) == (200, b"")

    run(work())


def test_a_body_that_was_not_asked_for_is_no_request():
    async def work():
        async with serving(answering(b"no", 403)) as port, connected(port) as (reader, writer):
            writer.write(POST + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n" + GET)
            assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b"no"

    run(work())


def test_a_body_that_nobody_reads_is_dropped():
    async def work():
        async with serving(answering(b"OK")) as port:
            head = POST + b"Content-Length: 300000\r\n\r\n"
            async with connected(port) as (reader, writer):
                writer.write(head + b"no\r\n\r\n" * 50_000 + GET)
                assert await one_answer(reader) == (200, b"OK")
                assert await one_answer(reader) == (200, b"OK")

    run(work())


def test_a_broken_body_is_refused_if_nothing_has_been_said():
    async def app(scope, receive, send):
        assert await body_of(receive) is None

    async def work():
        async with serving(app) as port:
            assert await said(port, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n") == BAD

    run(work())


def test_an_answer_that_is_not_finished_is_cut_off():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise AbortHandler

    async def work():
        world, errors = quiet()
        async with serving(app, world=world) as port:
            answer = await said(port, GET)
        assert answer == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
        assert errors.getvalue() == ""

    run(work())


def test_an_application_that_fails_is_500_and_a_trace():
    async def app(scope, receive, send):
        raise ValueError("our mistake")

    async def work():
        world, errors = quiet()
        async with serving(app, world=world) as port, connected(port) as (reader, writer):
            writer.write(GET)
            assert await one_answer(reader) == (500, b"Internal Server Error")
        assert "http: panic serving 127.0.0.1:" in errors.getvalue()
        assert "ValueError: our mistake" in errors.getvalue()

    run(work())


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\0"])
def test_a_line_end_in_a_field_is_no_answer(value):
    async def work():
        world, errors = quiet()
        app = answering(b"OK", fields=[(b"x", value)])
        async with serving(app, world=world) as port:
            answer = await said(port, LAST)
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert "a line end in a field of an answer" in errors.getvalue()

    run(work())


@pytest.mark.parametrize("length", [b"1", b"3"])
def test_an_answer_of_another_length_than_it_says_is_cut_off(length):
    async def app(scope, receive, send):
        fields = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"OK"})

    async def work():
        async with serving(app, world=quiet()[0]) as port:
            answer = await said(port, GET + GET)
        assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: %s\r\n\r\n" % length

    run(work())


def test_a_head_of_more_than_a_mebibyte_is_431():
    async def work():
        async with serving(answering(b"OK")) as port:
            answer = await said(port, b"GET /" + b"a" * 1_200_000 + b" HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert answer.endswith(b"\r\n\r\n431 Request Header Fields Too Large")

    run(work())


def test_an_application_hears_that_its_client_has_left():
    async def work():
        heard = asyncio.Event()

        async def app(scope, receive, send):
            assert (await receive())["more_body"] is False
            assert (await receive()) == {"type": "http.disconnect"}
            heard.set()

        async with serving(app) as port:
            async with connected(port) as (_, writer):
                writer.write(GET)
                await writer.drain()
            await heard.wait()

    run(work())


def test_who_asks_and_says_that_it_is_all_gets_all_answers():
    async def work():
        async with serving(answering(b"OK")) as port, connected(port) as (reader, writer):
            writer.write(GET * 3)
            writer.write_eof()
            assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 3

    run(work())


def test_a_connection_can_be_taken_over_with_what_has_come_on_it():
    async def app(scope, receive, send):
        reader, writer = await scope["extensions"]["hijack"]()
        writer.write(b"now yours: " + await reader.read())

    async def work():
        async with serving(app) as port, connected(port) as (reader, writer):
            writer.write(GET + b"not ")
            await writer.drain()
            writer.write(b"HTTP")
            writer.write_eof()
            assert await reader.read() == b"now yours: not HTTP"

    run(work())


@pytest.mark.parametrize("upgrade", [b"h2c", b"tcp", b"websocket"])
def test_a_request_to_upgrade_may_be_answered_in_http_and_then_the_next(upgrade):
    fields = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n\r\n" % upgrade

    async def work():
        async with serving(answering(b"OK")) as port:
            assert await said(port, POST + fields + GET + b"x\r\n\r\n") == OK + OK + BAD

    run(work())


def test_a_slow_reader_stops_the_application():
    async def work():
        written = 0

        async def app(scope, receive, send):
            nonlocal written
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})
                written += 1

        async with serving(app) as port, connected(port) as (_, writer):
            writer.write(GET)
            await until(lambda: written)
            before = 0
            while before != written:
                before = written
                for _ in range(50):
                    await asyncio.sleep(0)
            assert written < 30

    run(work())


def test_a_fast_writer_waits_for_the_application():
    async def work():
        go, taken = asyncio.Event(), 0

        async def app(scope, receive, send):
            nonlocal taken
            await go.wait()
            while (message := await receive())["type"] == "http.request" and message["more_body"]:
                taken += len(message["body"])
            await answering(b"OK")(scope, receive, send)

        async with serving(app) as port, connected(port) as (reader, writer):
            writer.transport.set_write_buffer_limits(2**16)
            size, sent = 64 * 2**20, 0
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % size)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    while sent < size:
                        writer.write(b"x" * 2**16)
                        sent += 2**16
                        await writer.drain()
            assert sent < size / 2
            go.set()
            while sent < size:
                writer.write(b"x" * 2**16)
                sent += 2**16
                await writer.drain()
            assert await one_answer(reader) == (200, b"OK")

    run(work())


def test_a_server_that_stops_finishes_what_it_has_begun():
    async def work():
        begun, go = asyncio.Event(), asyncio.Event()

        async def app(scope, receive, send):
            begun.set()
            await go.wait()
            await answering(b"OK")(scope, receive, send)

        async with contextlib.AsyncExitStack() as stack:
            async with serving(app) as port:
                idle, _ = await stack.enter_async_context(connected(port))
                reader, writer = await stack.enter_async_context(connected(port))
                writer.write(GET + GET)
                await begun.wait()
                asyncio.get_running_loop().call_soon(go.set)
            assert await idle.read() == b""
            answer = await reader.read()
            assert answer.count(b"HTTP/1.1 200 OK") == 1
            assert answer.endswith(b"OK")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    run(work())


def test_a_server_that_stops_breaks_off_what_does_not_end(monkeypatch):
    monkeypatch.setattr("walkthroughs.swarm.http_protocol.GRACE", 0.01)

    async def work():
        begun = asyncio.Event()

        async def app(scope, receive, send):
            begun.set()
            await asyncio.Event().wait()

        async with contextlib.AsyncExitStack() as stack:
            async with serving(app) as port:
                reader, writer = await stack.enter_async_context(connected(port))
                writer.write(GET)
                await begun.wait()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""

    run(work())


def reset(writer):
    """Close a connection with RST."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


TRICKS = (
    b"",
    b"GET",
    GET[:-2],
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n\r\n\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%00%2e%2e//a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a/" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    POST + b"Content-Length: 10\r\n\r\nabc",
    POST + b"Content-Length: 1\r\n\r\nabcdef\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 200,
    POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    GET * 1000,
    b"\xff" * 100_000,
)


def test_whoever_misuses_a_connection_leaves_nothing_behind():
    async def work():
        world, errors = quiet()
        async with serving(echo, world=world) as port:
            before = descriptors(), len(asyncio.all_tasks())
            for trick in TRICKS * (20 if THOROUGH else 2):
                for leave in reset, lambda writer: writer.close():
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(trick)
                    await asyncio.sleep(0)
                    leave(writer)
            await until(lambda: (descriptors(), len(asyncio.all_tasks())) == before)
            assert (await said(port, LAST)).endswith(b"\r\n\r\n")
        assert errors.getvalue() == ""

    run(work())


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_are_answered_at_the_same_time(many_files):
    count = 1000 if THOROUGH else 100

    async def work():
        waiting, all_there = 0, asyncio.Event()

        async def app(scope, receive, send):
            nonlocal waiting
            waiting += 1
            if waiting == count:
                all_there.set()
            await all_there.wait()
            await answering(b"OK")(scope, receive, send)

        async with serving(app) as port:
            before = descriptors(), len(asyncio.all_tasks())
            ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
            for _, writer in ends:
                writer.write(GET)
            assert {await one_answer(reader) for reader, _ in ends} == {(200, b"OK")}
            for _, writer in ends:
                writer.transport.abort()
            await until(lambda: (descriptors(), len(asyncio.all_tasks())) == before)

    run(work())


def kept():
    """Return the bytes of what is in use, when no circle of the unused is left."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.skipif(not THOROUGH, reason="it takes ten seconds")
def test_requests_that_have_been_answered_take_no_memory():
    async def work():
        async with serving(echo) as port, connected(port) as (reader, writer):
            for turn in range(20):
                writer.write(GET * 1000)
                for _ in range(1000):
                    await one_answer(reader)
                if turn == 5:
                    before = kept()
            after = kept()
        # The timers of our own patience are some; a leak of one object a request is more.
        assert after - before < 500_000

    tracemalloc.start()
    try:
        run(work())
    finally:
        tracemalloc.stop()
