"""A manager that is not the primary: what it answers itself, and what it passes on."""

import asyncio
import io
import json
import socket
import ssl
from contextlib import asynccontextmanager

import httpx2
import pytest
import trustme
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from walkthroughs.swarm.api_server import serve
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.replica import AHEAD, Replica
from walkthroughs.swarm.world import World

A, B, HERE = "a:3376", "b:3376", "here:3376"


def in_a_lab(test):
    """Run a test with a lab in which there is a replica, and a client of it."""

    def run(*arguments):
        async def main():
            async with Lab() as lab:
                world = lab.world("replica", io.StringIO())
                replica = Replica(named("here"), None, HERE, world)
                lab.network.plug(HERE, replica)
                async with lab.world("client").client(f"http://{HERE}") as client:
                    await test(lab, replica, client, *arguments)

        asyncio.run(asyncio.wait_for(main(), 20))

    run.__name__ = test.__name__
    return run


def named(name):
    """Return an application that answers with its name, whatever it is asked."""
    return PlainTextResponse(name)


async def mirror(scope, receive, send):
    """Answer with the request."""
    request = Request(scope, receive)
    body = await request.body()
    said = {
        "asked": f"{request.method} {scope['raw_path'].decode()}?{scope['query_string'].decode()}",
        "headers": [f"{name.decode()}: {value.decode()}" for name, value in request.headers.raw],
        "body": body.decode(),
    }
    await JSONResponse(said)(scope, receive, send)


# What it answers itself.


@pytest.mark.parametrize("path", ["/_ping", "/v1.30/info", "/info", "/debug", "/x/info"])
def test_paths_that_end_in_ping_info_or_debug_are_answered_here(path):
    @in_a_lab
    async def play(lab, replica, client):
        lab.network.plug(A, named("a"))
        replica.set_primary(A)
        assert (await client.get(path, params={"a": "b"})).text == "here"
        replica.set_primary("")
        assert (await client.get(path)).text == "here"

    play()


@pytest.mark.parametrize("path", ["/info/", "/debug/pprof/", "/_ping2", "/containers/json"])
def test_every_other_path_is_the_primary_s(path):
    @in_a_lab
    async def play(lab, replica, client):
        lab.network.plug(A, named("a"))
        replica.set_primary(A)
        assert (await client.get(path)).text == "a"

    play()


# What it passes on.


@in_a_lab
async def test_a_request_is_passed_on_as_it_was_written(lab, replica, client):
    lab.network.plug(A, mirror)
    replica.set_primary(A)
    answer = await client.post(
        "/v1.30/images/a%2Fb/c%20d//push?x=%2F&y&x=1",
        content=b'{"Image":"busybox"}',
        headers=[
            ("X-Registry-Auth", "e30="),
            ("X-Twice", "1"),
            ("X-Twice", "2"),
            ("TE", "trailers"),
        ],
    )
    said = answer.json()
    assert said["asked"] == "POST /v1.30/images/a%2Fb/c%20d//push?x=%2F&y&x=1"
    assert said["body"] == '{"Image":"busybox"}'
    headers = said["headers"]
    assert [each for each in headers if each.startswith("x-")] == [
        "x-registry-auth: e30=",
        "x-twice: 1",
        "x-twice: 2",
    ]
    assert "host: a:3376" in headers
    assert "content-length: 19" in headers
    assert not [each for each in headers if each.startswith("te:")]


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        (b"/a%2e%2e//b%00", "/a%2e%2e//b%00"),
        (b"/a;b=c:d@e!$&'()*+,=[]", "/a;b=c:d@e!$&'()*+,=[]"),
        (b"/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/\u00e9".encode(), "/%C3%A9"),
        (b"/\xff", "/%FF"),
    ],
)
def test_a_path_is_nobody_s_business_but_the_primary_s(sent, asked):
    @in_a_lab
    async def play(lab, replica, _):
        lab.network.plug(A, mirror)
        replica.set_primary(A)
        client = Client(replica, raw_path=sent)
        await lab.run(0)
        assert json.loads(client.said[1]["body"])["asked"] == f"GET {asked}?"

    play()


@in_a_lab
async def test_an_answer_is_passed_on_as_it_came(lab, replica, client):
    headers = {"API-Version": "1.30", "X-Docker-Container-Path-Stat": "e30="}
    lab.network.plug(A, PlainTextResponse("No such container: x\n", 404, headers))
    replica.set_primary(A)
    answer = await client.get("/containers/x/top")
    assert (answer.status_code, answer.text) == (404, "No such container: x\n")
    assert dict(answer.headers) == {
        "api-version": "1.30",
        "x-docker-container-path-stat": "e30=",
        "content-length": "21",
        "content-type": "text/plain; charset=utf-8",
    }


@in_a_lab
async def test_an_answer_comes_piece_by_piece(lab, replica, client):
    async def tick():
        while True:
            yield f"{lab.clock.now:g} "
            await lab.clock.sleep(60)

    async def read():
        async with client.stream("GET", "/events") as answer:
            async for piece in answer.aiter_text():
                heard.append((piece, lab.clock.now))

    heard = []
    lab.network.plug(A, StreamingResponse(tick()))
    replica.set_primary(A)
    lab.start("client", read())
    await lab.run(130)
    assert heard == [("0 ", 0), ("60 ", 60), ("120 ", 120)]


@in_a_lab
async def test_a_body_goes_piece_by_piece(lab, replica, client):
    arrived = []

    async def store(scope, receive, send):
        async for piece in Request(scope, receive).stream():
            arrived.append((piece, lab.clock.now))
        await PlainTextResponse("done")(scope, receive, send)

    async def pieces():
        for piece in (b"one", b"two"):
            yield piece
            await lab.clock.sleep(60)

    lab.network.plug(A, store)
    replica.set_primary(A)
    lab.start("client", client.put("/containers/x/archive", content=pieces()))
    await lab.run(200)
    assert arrived == [(b"one", 0), (b"two", 60), (b"", 120)]


@in_a_lab
async def test_each_request_goes_to_the_primary_of_its_time_unlike_the_original(
    lab, replica, client
):
    # The original copies bytes: whoever keeps a connection keeps its first primary.
    for address in (A, B):
        lab.network.plug(address, named(address))
    heard = []
    for address in (A, B, A):
        replica.set_primary(address)
        heard.append((await client.get("/version")).text)
    assert heard == [A, B, A]


@in_a_lab
async def test_an_answer_that_breaks_off_breaks_off_for_the_client(lab, replica, client):
    async def half():
        yield "half"
        await lab.clock.sleep(5)
        lab.network.unplug(A)
        yield "the rest"

    async def read():
        async with client.stream("GET", "/containers/x/logs") as answer:
            heard.append(answer.status_code)
            async for piece in answer.aiter_text():
                heard.append(piece)

    heard = []
    lab.network.plug(A, StreamingResponse(half()))
    replica.set_primary(A)
    reading = asyncio.create_task(read())
    await lab.run(10)
    with pytest.raises(httpx2.RemoteProtocolError, match="peer closed connection"):
        await reading
    assert heard == [200, "half"]


# When there is no primary.


@in_a_lab
async def test_a_request_waits_until_there_is_a_primary(lab, replica, client):
    lab.network.plug(A, mirror)
    asking = asyncio.create_task(client.post("/containers/create", content=b"{}"))
    await lab.run(100)
    assert not asking.done()
    replica.set_primary(A)
    answer = (await asking).json()
    assert (answer["asked"], answer["body"]) == ("POST /containers/create?", "{}")


@in_a_lab
async def test_a_long_body_waits_too_and_is_not_read_to_its_end(lab, replica, client):
    read = 0

    async def pieces():
        nonlocal read
        for _ in range(64):
            read += 4096
            yield b"x" * 4096

    lab.network.plug(A, mirror)
    asking = asyncio.create_task(client.post("/images/load", content=pieces()))
    await lab.run(100)
    assert AHEAD < read <= AHEAD + 2 * 4096
    replica.set_primary(A)
    assert (await asking).json()["body"] == "x" * 4096 * 64


@in_a_lab
async def test_a_primary_that_is_gone_is_not_asked_any_more(lab, replica, client):
    lab.network.plug(A, named("a"))
    lab.network.plug(B, named("b"))
    replica.set_primary(A)
    replica.set_primary("")
    asking = asyncio.create_task(client.get("/version"))
    await lab.run(100)
    assert not asking.done()
    replica.set_primary(B)
    assert (await asking).text == "b"


@in_a_lab
async def test_who_becomes_the_primary_itself_answers_who_has_waited(lab, replica, client):
    asking = asyncio.create_task(client.get("/version"))
    await lab.run(100)
    replica.set_primary(HERE)
    assert (await asking).text == "here"


class Client:
    """A connection, by hand: what has come of it, and what was said to it."""

    def __init__(self, app, method="GET", *messages, raw_path=b"/version"):
        self.said, self.received = [], asyncio.Queue()
        fields = [(b"content-length", b"10")] if messages else []
        scope = {"type": "http", "method": method, "path": "/version", "raw_path": raw_path}
        scope |= {"query_string": b"", "headers": fields}
        for message in messages or [(b"", False)]:
            body, more = message
            self.received.put_nowait({"type": "http.request", "body": body, "more_body": more})
        self.task = asyncio.create_task(app(scope, self.received.get, self.send))

    async def send(self, message):
        self.said.append(message)

    def leave(self):
        self.received.put_nowait({"type": "http.disconnect"})


@pytest.mark.parametrize(
    "messages",
    [[], [(b'{"a": "b"}', False)], [(b'{"a":', True), (b' "b"}', False)], [(b'{"a":', True)]],
)
def test_a_client_that_gives_up_ends_its_wait(messages):
    @in_a_lab
    async def play(lab, replica, _):
        lab.network.plug(A, named("a"))
        client = Client(replica, "POST", *messages)
        await lab.run(10)
        assert not client.task.done()
        client.leave()
        await lab.run(0)
        assert (client.task.done(), client.task.result(), client.said) == (True, None, [])
        replica.set_primary(A)
        await lab.run(10)
        # And nobody creates what nobody waits for.
        assert lab.network.exchanges == []

    play()


@in_a_lab
async def test_who_waits_and_leaves_takes_nobody_along(lab, replica, client):
    lab.network.plug(A, named("a"))
    one, two = Client(replica), Client(replica)
    await lab.run(10)
    one.leave()
    await lab.run(10)
    replica.set_primary(A)
    await lab.run(10)
    assert (one.said, two.said[0]["status"]) == ([], 200)


@in_a_lab
async def test_a_primary_that_changes_before_who_waits_has_run_is_the_new_one(lab, replica, client):
    lab.network.plug(B, named("b"))
    asking = asyncio.create_task(client.get("/version"))
    await lab.run(10)
    replica.set_primary(A)
    replica.set_primary("")
    await lab.run(10)
    assert not asking.done()
    replica.set_primary(B)
    assert (await asking).text == "b"


# When it cannot be reached.


@in_a_lab
async def test_a_primary_that_cannot_be_reached_is_an_error_with_its_address(lab, replica, client):
    replica.set_primary(A)
    answer = await client.get("/version")
    why = f"Unable to reach primary cluster manager (connection refused): {A}"
    assert (answer.status_code, answer.text) == (500, f"{why}\n")
    assert dict(answer.headers) == {
        "content-length": str(len(why) + 1),
        "content-type": "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
    }
    log = replica.world.stdout.getvalue()
    assert log == f'time="2017-07-14T02:40:00Z" level=error msg="HTTP error: {why}" status=500\n'


@in_a_lab
async def test_a_primary_that_hangs_up_without_an_answer_is_an_error(lab, replica, client):
    async def die(scope, receive, send):
        lab.network.unplug(A)
        await asyncio.Event().wait()

    lab.network.plug(A, die)
    replica.set_primary(A)
    answer = await client.get("/version")
    why = f"Unable to reach primary cluster manager (connection reset by peer): {A}\n"
    assert (answer.status_code, answer.text) == (500, why)


# Over real sockets.


@asynccontextmanager
async def listening(app, tls=None):
    """Serve an application on loopback; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(serve(app, listener, tls))
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            task.cancel()
            await asyncio.wait([task])


def on_a_loop(test):
    def run():
        asyncio.run(asyncio.wait_for(test(), 20))

    run.__name__ = test.__name__
    return run


@on_a_loop
async def test_one_connection_of_a_client_sees_each_new_primary():
    replica = Replica(named("here"), None, "here:1", World())
    async with listening(named("a")) as a, listening(named("b")) as b, listening(replica) as here:
        reader, writer = await asyncio.open_connection(*here.split(":"))
        heard = []
        for primary in (a, b, a):
            replica.set_primary(primary)
            writer.write(b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            heard.append(await reader.readexactly(1))
        writer.close()
        await writer.wait_closed()
    assert heard == [b"a", b"b", b"a"]


async def upper(scope, receive, send):
    """Switch, and answer in capitals until the client has said all."""
    reader, writer = await scope["extensions"]["hijack"]()
    writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    while data := await reader.read(100):
        writer.write(data.upper())
    writer.write(b"the end")
    writer.close()


@on_a_loop
async def test_a_connection_that_switches_is_one_with_the_primary_s_both_ways():
    replica = Replica(named("here"), None, "here:1", World())
    async with listening(upper) as a, listening(replica) as here:
        replica.set_primary(a)
        reader, writer = await asyncio.open_connection(*here.split(":"))
        asked = b"POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: here\r\n"
        writer.write(asked + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head == b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.write_eof()
        assert await reader.read() == b"the end"
        writer.close()
        await writer.wait_closed()


@on_a_loop
async def test_a_switch_that_is_refused_leaves_the_connection_with_the_replica():
    refusal = PlainTextResponse("No such container: x\n", 404)
    replica = Replica(named("here"), None, "here:1", World())
    async with listening(refusal) as a, listening(named("b")) as b, listening(replica) as here:
        replica.set_primary(a)
        reader, writer = await asyncio.open_connection(*here.split(":"))
        asked = b"POST /containers/x/attach HTTP/1.1\r\nHost: here\r\n"
        writer.write(asked + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        assert await reader.readexactly(21) == b"No such container: x\n"
        replica.set_primary(b)
        writer.write(b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(1) == b"b"
        writer.close()
        await writer.wait_closed()


@on_a_loop
async def test_a_switch_without_a_primary_to_be_reached_is_an_error():
    world = World(stdout=io.StringIO())
    replica = Replica(named("here"), None, "here:1", world)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"127.0.0.1:{listener.getsockname()[1]}"
    async with listening(replica) as here, world.client(f"http://{here}") as client:
        replica.set_primary(gone)
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        answer = await client.post("/containers/x/attach", headers=headers)
    why = f"Unable to reach primary cluster manager (connection refused): {gone}\n"
    assert (answer.status_code, answer.text) == (500, why)


@on_a_loop
async def test_a_switch_with_too_long_a_body_is_refused():
    replica = Replica(named("here"), None, "here:1", World())
    async with listening(named("a")) as a, listening(replica) as here:
        replica.set_primary(a)
        async with World().client(f"http://{here}") as client:
            headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
            answer = await client.post(
                "/exec/x/start", content=b"x" * 2**23 + b"x", headers=headers
            )
    assert (answer.status_code, answer.text) == (413, "the body has more than 1,048,576 bytes\n")


async def raw(scope, receive, send):
    """Take the connection over without a word of switching, as for clients of old."""
    reader, writer = await scope["extensions"]["hijack"]()
    kind = b"Content-Type: application/vnd.docker.raw-stream\r\n\r\n"
    writer.write(b"HTTP/1.1 200 OK\r\n" + kind)
    writer.write(await reader.read(100))
    writer.close()


@on_a_loop
async def test_attach_is_a_pipe_without_being_asked_to_switch():
    replica = Replica(named("here"), None, "here:1", World())
    async with listening(raw) as a, listening(replica) as here:
        replica.set_primary(a)
        reader, writer = await asyncio.open_connection(*here.split(":"))
        writer.write(b"POST /containers/x/attach HTTP/1.1\r\nHost: here\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()


@on_a_loop
async def test_with_tls_both_managers_show_their_certificates():
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")

    def context(purpose):
        made = ssl.create_default_context(purpose)
        leaf.configure_cert(made)
        authority.configure_trust(made)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    replica = Replica(named("here"), context(ssl.Purpose.SERVER_AUTH), "here:1", World())
    async with (
        listening(named("a"), context(ssl.Purpose.CLIENT_AUTH)) as a,
        listening(replica) as here,
        World().client(f"http://{here}") as client,
    ):
        replica.set_primary(a)
        assert (await client.get("/version")).text == "a"
