"""Requests passed on to an engine of this process, and its answers passed back."""

import asyncio
import contextlib
import re

import pytest
from starlette.requests import Request

from tests.swarm.serving import (
    Engine,
    connected,
    descriptors,
    one_answer,
    proxied,
    resident,
    run,
    said,
    until,
)
from tests.swarm.test_http_protocol import reset
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.handler import HTTPError, http_error, status_of
from walkthroughs.swarm.http_protocol import AbortHandler
from walkthroughs.swarm.proxy import (
    container_of,
    named,
    passed_on,
    proxy,
    target_of,
    values_of,
)

GET = b"GET /a?b=c HTTP/1.1\r\nHost: swarm\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


def saying(answer, *, then=None):
    """Return the script of an engine that reads a request, and answers."""

    async def script(reader, writer):
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            length = re.search(rb"(?i)content-length: ([0-9]+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            script.heard.append((head, body))
            writer.write(answer)
            if then:
                await then(reader, writer)
                return

    script.heard = []
    return script


async def guarded(engine, scope, receive, send):
    """Proxy as the router does: what is raised is an answer, or ends one."""
    begun = False

    async def note(message):
        nonlocal begun
        begun = True
        await send(message)

    try:
        answer = await proxy(engine, Request(scope, receive), scope["path"])
        await answer(scope, receive, note)
    except (HTTPError, ClusterError) as error:
        if begun:
            raise AbortHandler from None
        await http_error(str(error), status_of(error))(scope, receive, send)


def test_a_request_comes_to_the_engine_as_it_was_but_for_what_is_ours():
    async def work():
        script = saying(OK)
        async with proxied(script) as (port, engine):
            head = (
                b"POST /a?b=%20&c HTTP/1.1\r\nHost: swarm\r\nX-Registry-Auth: e30=\r\n"
                b"Connection: Upgrade, X-Hop\r\nUpgrade: h2c\r\nX-Hop: 1\r\nTE: trailers\r\n"
                b"Content-Type: a/b\r\nContent-Length: 3\r\n\r\nabc"
            )
            async with connected(port) as (reader, writer):
                writer.write(head)
                assert await one_answer(reader) == (200, b"OK")
        (asked, body), *rest = script.heard
        line, *fields = asked.decode().lower().split("\r\n")
        assert (line, body, rest) == ("post /a?b=%20&c http/1.1", b"abc", [])
        assert sorted(filter(None, fields)) == [
            "content-length: 3",
            "content-type: a/b",
            f"host: {engine.addr}",
            "x-registry-auth: e30=",
        ]

    run(work())


def test_an_answer_comes_back_as_it_was_but_for_what_is_the_engines():
    async def work():
        answer = (
            b"HTTP/1.1 404 Not Found\r\nServer: Docker/20.10\r\nDate: never\r\nX-Two: 1\r\n"
            b"X-Two: 2\r\nConnection: keep-alive\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 3\r\n\r\n\x1f\x8b\x08"
        )
        async with proxied(saying(answer)) as (port, _):
            assert await said(port, GET) == (
                b"HTTP/1.1 404 Not Found\r\nServer: Docker/20.10\r\nX-Two: 1\r\nX-Two: 2\r\n"
                b"Content-Encoding: gzip\r\nContent-Length: 3\r\nconnection: close\r\n\r\n"
                b"\x1f\x8b\x08"
            )

    run(work())


def test_a_connection_to_the_engine_is_used_again():
    async def work():
        script = saying(OK)
        async with proxied(script) as (port, engine):
            for _ in range(5):
                await said(port, GET)
            assert (len(script.heard), len(engine.tasks)) == (5, 1)

    run(work())


def test_a_piece_is_passed_on_before_the_next_is_there():
    async def work():
        go = asyncio.Event()

        async def rest(reader, writer):
            writer.write(b"3\r\none\r\n")
            await go.wait()
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with (
            proxied(saying(chunked, then=rest)) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(8) == b"3\r\none\r\n"
            go.set()
            assert await reader.read() == b"3\r\ntwo\r\n0\r\n\r\n"

    run(work())


def test_the_engine_is_asked_before_the_body_has_come():
    async def work():
        heard = asyncio.Event()

        async def script(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            heard.set()
            assert await reader.readexactly(6) == b"abcdef"
            writer.write(OK)
            await reader.read()

        async with proxied(script) as (port, _), connected(port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
            await heard.wait()
            writer.write(b"def")
            assert await one_answer(reader) == (200, b"OK")

    run(work())


def test_then_is_awaited_before_the_answer_is_whole():
    async def work():
        order = []

        async def then(status):
            order.append(status)
            raise EngineError("it is the order that counts")

        async with proxied(saying(OK), then) as (port, _):
            answer = await said(port, GET)
            order.append(answer[-2:])
        assert order == [200, b"OK"]

    run(work())


def test_who_waits_is_told_so_at_once():
    async def work():
        go, order = asyncio.Event(), []

        async def ends(reader, writer):
            await go.wait()
            writer.write(b"4\r\n{}\r\n\r\n0\r\n\r\n")

        async def then(status):
            order.append(status)

        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with (
            proxied(saying(head, then=ends), then) as (port, _),
            connected(port) as (reader, writer),
        ):
            writer.write(GET)
            assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert order == []
            go.set()
            assert await reader.read() == b"4\r\n{}\r\n\r\n0\r\n\r\n"
            assert order == [200]

    run(work())


def test_an_engine_that_is_not_there_is_an_error_and_its_health_knows():
    async def work():
        async def gone(engine, scope, receive, send):
            other = Engine("127.0.0.1:1")
            try:
                await guarded(other, scope, receive, send)
            finally:
                engine.errors = other.errors
                await other.api.close()

        async with proxied(saying(OK), application=gone) as (port, engine):
            answer = await said(port, GET)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(
            b"\r\n\r\nCannot connect to the Docker daemon at tcp://127.0.0.1:1. "
            b"Is the docker daemon running?\n"
        )
        assert [type(error).__name__ for error in engine.errors] == ["ConnectionFailed"]

    run(work())


def test_an_engine_that_vanishes_in_the_middle_cuts_the_answer_off():
    async def vanish(reader, writer):
        reset(writer)

    async def work():
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        async with proxied(saying(half, then=vanish), application=guarded) as (port, _):
            answer = await said(port, GET)
        assert b"HTTP/1.1 500" in answer or not answer.endswith(b"half" * 25)

    run(work())


def test_a_client_that_leaves_ends_the_request_to_the_engine():
    async def work():
        ended = asyncio.Event()

        async def silent(reader, writer):
            with contextlib.suppress(OSError):
                await reader.read()
            ended.set()

        async with proxied(saying(b"", then=silent)) as (port, engine):
            before = descriptors()
            async with connected(port) as (_, writer):
                writer.write(GET)
                await until(lambda: engine.tasks)
            await ended.wait()
            await until(lambda: descriptors() == before)

    run(work())


def test_half_a_body_never_looks_whole_to_the_engine():
    async def work():
        got, ended = [], asyncio.Event()

        async def script(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(OSError):
                got.append(await reader.read())
            ended.set()

        async with proxied(script) as (port, engine):
            async with connected(port) as (_, writer):
                head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                writer.write(head + b"3\r\nabc\r\n")
                await until(lambda: engine.tasks)
            await ended.wait()
        assert not any(b"0\r\n\r\n" in each for each in got)

    run(work())


def test_a_slow_reader_stops_the_engine():
    async def work():
        written = 0

        async def flood(reader, writer):
            nonlocal written
            for _ in range(1024):
                writer.write(b"x" * 2**20)
                await writer.drain()
                written += 1

        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**30
        async with proxied(saying(answer, then=flood)) as (port, _), connected(port) as (_, writer):
            writer.write(GET)
            await until(lambda: written)
            before, memory = 0, resident()
            while before != written:
                before = written
                for _ in range(100):
                    await asyncio.sleep(0)
            assert written < 40
            assert resident() - memory < 64 * 2**20

    run(work())


def test_a_slow_engine_stops_a_writer():
    async def work():
        go = asyncio.Event()

        async def script(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            await go.wait()
            while await reader.read(2**20):
                pass

        async with proxied(script) as (port, _), connected(port) as (_, writer):
            size, sent = 256 * 2**20, 0
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    while sent < size:
                        writer.write(b"x" * 2**20)
                        sent += 2**20
                        await writer.drain()
            assert sent < 64 * 2**20
            go.set()

    run(work())


def test_what_concerns_one_connection_is_not_passed_on():
    fields = [
        (b"Connection", b"close, X-Mine"),
        (b"x-mine", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Date", b"today"),
        (b"X-Other", b"2"),
    ]
    assert passed_on(fields) == [(b"X-Other", b"2")]
    assert values_of(fields, b"connection") == {b"close", b"x-mine"}


@pytest.mark.parametrize(
    ("query", "target"),
    [
        (b"", "/a"),
        (b"b=c&d=%20", "/a?b=c&d=%20"),
        (b"b=\r\nX: y", "/a?b=%0D%0AX:%20y"),
        (b"b=\xff#", "/a?b=%FF#"),
    ],
)
def test_nothing_in_a_query_ends_the_line(query, target):
    assert target_of("/a", query) == target


class Cluster:
    """Containers by name."""

    def __init__(self, *containers):
        self.found = {each.name: each for each in containers}

    def container(self, name):
        return self.found.get(name)

    def containers(self):
        return list(self.found.values())


class Container:
    def __init__(self, name, engine, **info):
        self.name, self.id, self.engine, self.info = name, f"id-of-{name}", engine, info


class Context:
    def __init__(self, *containers):
        self.cluster, self.memory = Cluster(*containers), {}


class Place:
    name = "node-1"
    healthy = True

    def is_healthy(self):
        return self.healthy


def asking(**variables):
    return Request({"type": "http", "path_params": variables, "headers": []})


def refusal(call, *arguments):
    with pytest.raises(HTTPError) as caught:
        call(*arguments)
    return caught.value.status, str(caught.value)


def test_a_container_is_found_by_name():
    web = Container("web", Place())
    assert container_of(Context(web), asking(name="web")) is web


def test_nobody_knows_an_unknown_container():
    assert refusal(named, Context(), "web") == (404, "No such container: web")


def test_a_container_on_an_engine_that_is_away_cannot_be_asked():
    web = Container("web", Place())
    web.engine.healthy = False
    why = "Container web running on unhealthy node node-1"
    assert refusal(named, Context(web), "web") == (500, why)


def test_the_container_of_an_exec_is_found_by_its_id():
    web, db = Container("web", Place(), ExecIDs=None), Container("db", Place(), ExecIDs=["e1"])
    context = Context(web, db)
    assert container_of(context, asking(execid="e1")) is db
    assert refusal(container_of, context, asking(execid="e2")) == (404, "Exec e2 not found")


def test_an_exec_that_was_just_made_is_known_before_the_engine_lists_it():
    web = Container("web", Place())
    context = Context(web)
    context.memory["execs"] = {"e1": web.id}
    assert container_of(context, asking(execid="e1")) is web
