"""One engine's client: over TCP, a socket's path and TLS, and all that can come back."""

import asyncio
import errno
import json
import re
import socket
import ssl
from contextlib import aclosing, asynccontextmanager, suppress
from functools import wraps
from itertools import pairwise

import httpx2
import pytest
import trustme
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import THOROUGH
from walkthroughs.swarm import engine_api
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.engine_api import (
    LINE_LIMIT,
    ConnectionFailed,
    Cutter,
    EngineAPI,
    EngineError,
    decode,
    escape,
    keepalive,
    numbers,
)
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.world import World

DEADLINE = 20
"""Seconds until a test gives up."""

AWAY = "Cannot connect to the Docker daemon at tcp://{}. Is the docker daemon running?"
HINT = "check if the server supports the requested API version"


def on_a_loop(test):
    @wraps(test)
    def run(*arguments, **fixtures):
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), DEADLINE))

    return run


@asynccontextmanager
async def client(addr, world=None, tls=None):
    async with aclosing_api(EngineAPI(addr, world or World(), tls)) as api:
        yield api


@asynccontextmanager
async def aclosing_api(api):
    try:
        yield api
    finally:
        await api.close()


async def trouble(api, path="/info", **options):
    """Ask; return the error's type, its text and its status."""
    with pytest.raises(EngineError) as raised:
        await api.ask("GET", path, **options)
    return type(raised.value), str(raised.value), raised.value.status


class Canned:
    """An engine that gives one answer, and remembers what it was asked."""

    def __init__(self, *pieces, status=200, kind="application/json", then=None):
        self.pieces, self.status, self.kind, self.then = pieces, status, kind, then
        self.asked = []
        self.left = asyncio.Event()

    async def __call__(self, scope, receive, send):
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        query = scope["query_string"].decode()
        self.asked.append((scope["method"], scope["path"], query, body, dict(scope["headers"])))
        headers = [(b"content-type", self.kind.encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for piece in self.pieces:
            more = {"type": "http.response.body", "body": piece, "more_body": True}
            await send(more)
        if self.then:
            try:
                await self.then(receive)
            finally:
                self.left.set()
        await send({"type": "http.response.body", "body": b""})


async def until_they_leave(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def forever(receive):
    await asyncio.Event().wait()


@asynccontextmanager
async def lab_api(app):
    """Yield a client of an application in a lab, and the lab."""
    async with Lab() as lab, client("engine:2375", lab.world("manager")) as api:
        lab.network.plug("engine:2375", app)
        yield api, lab


@asynccontextmanager
async def served(app, **options):
    """Serve an application on this machine; yield its address."""
    if "uds" not in options:
        options |= {"host": "127.0.0.1", "port": 0}
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    place = server.servers[0].sockets[0].getsockname()
    yield f"unix://{options['uds']}" if "uds" in options else f"127.0.0.1:{place[1]}"
    server.should_exit = True
    await task


@asynccontextmanager
async def raw(said, tls=None):
    """Answer each request with these bytes, and close."""

    async def serve(reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


# Ways to an engine.


@on_a_loop
async def test_an_engine_is_asked_over_tcp():
    async with served(Canned(b'{"ID":"a"}')) as addr, client(addr) as api:
        assert (api.host, await api.ask("GET", "/info")) == (f"tcp://{addr}", {"ID": "a"})


@on_a_loop
async def test_an_engine_is_asked_over_a_unix_socket(tmp_path):
    app = Canned(b'{"ID":"a"}')
    async with served(app, uds=str(tmp_path / "docker.sock")) as addr, client(addr) as api:
        assert (api.host, await api.ask("GET", "/info")) == (addr, {"ID": "a"})
        assert app.asked[0][4][b"host"] == b"docker"


@on_a_loop
async def test_a_lab_s_network_is_not_taken_for_a_unix_socket(tmp_path):
    async with (
        served(Canned(b"1"), uds=str(tmp_path / "docker.sock")) as addr,
        Lab() as lab,
        client(addr, lab.world("manager")) as api,
    ):
        assert await api.ask("GET", "/info") == 1


@on_a_loop
async def test_no_proxy_is_asked_for_an_engine(monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with served(Canned(b"1")) as addr, client(addr.replace("127.0.0.1", "localhost")) as api:
        assert await api.ask("GET", "/info") == 1


@on_a_loop
async def test_a_connection_asks_whether_the_other_machine_is_there():
    async with (
        served(Canned(b"1")) as addr,
        client(addr) as api,
        api.client.stream("GET", "/info") as response,
    ):
        wire = response.extensions["network_stream"].get_extra_info("socket")
        assert [wire.getsockopt(level, name) for level, name, _ in keepalive()] == [1, 15, 15]


@on_a_loop
async def test_streams_that_last_leave_room_for_a_request():
    app = Canned(b'{"n":1}', then=until_they_leave)
    async with served(app) as addr, client(addr) as api:
        streams = [api.stream("GET", "/events") for _ in range(120)]
        assert await asyncio.gather(*map(anext, streams)) == [{"n": 1}] * 120
        app.then = None
        assert await api.ask("GET", "/info") == {"n": 1}
        for stream in streams:
            await stream.aclose()


@pytest.mark.parametrize(
    ("addr", "said"),
    [
        ("10.0.0.1:x", "\"http://10.0.0.1:x\": Invalid port: 'x'"),
        ("10.0.0.1:99999", '"http://10.0.0.1:99999": invalid port'),
        (":2375", '"http://:2375": no host in the URL'),
    ],
)
def test_an_address_that_leads_nowhere_is_an_error(addr, said):
    with pytest.raises(EngineError) as raised:
        EngineAPI(addr, World(), None)
    assert str(raised.value) == said


# TLS.


class Authority:
    """A certificate authority, and what a server and a client need of it."""

    def __init__(self, folder):
        self.ca = trustme.CA()
        leaf = self.ca.issue_cert("127.0.0.1")
        self.certfile, self.keyfile = str(folder / "cert.pem"), str(folder / "key.pem")
        self.cafile = str(folder / "ca.pem")
        leaf.cert_chain_pems[0].write_to_path(self.certfile)
        leaf.private_key_pem.write_to_path(self.keyfile)
        self.ca.cert_pem.write_to_path(self.cafile)

    def server(self, mutual=False):
        options = {"ssl_certfile": self.certfile, "ssl_keyfile": self.keyfile}
        if mutual:
            options |= {"ssl_ca_certs": self.cafile, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    def client(self, issuer=None):
        context = ssl.create_default_context(cafile=self.cafile)
        if issuer:
            issuer.issue_cert("manager").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@on_a_loop
async def test_an_engine_is_asked_over_tls(authority):
    async with (
        served(Canned(b"1"), **authority.server()) as addr,
        client(addr, tls=authority.client()) as api,
    ):
        assert await api.ask("GET", "/info") == 1


@on_a_loop
async def test_an_engine_of_another_authority_is_not_trusted(authority):
    async with (
        served(Canned(b"1"), **authority.server()) as addr,
        client(addr, tls=ssl.create_default_context()) as api,
    ):
        kind, said, _ = await trouble(api)
        why = r"\[SSL: CERTIFICATE_VERIFY_FAILED\] certificate verify failed: .*"
        assert re.fullmatch(rf'error during connect: Get "https://{addr}/info": {why}', said)
        assert kind is EngineError


@on_a_loop
async def test_both_sides_show_certificates(authority):
    async with (
        served(Canned(b"1"), **authority.server(mutual=True)) as addr,
        client(addr, tls=authority.client(authority.ca)) as api,
    ):
        assert await api.ask("GET", "/info") == 1


@asynccontextmanager
async def strict(authority, version):
    """Refuse one client that does not show a certificate of this authority, with an alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certfile, authority.keyfile)
    context.load_verify_locations(authority.cafile)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version

    def refuse(listener):
        bare = listener.accept()[0]
        with context.wrap_socket(bare, True, do_handshake_on_connect=False) as wire:
            with pytest.raises(ssl.SSLError):
                wire.do_handshake()
            # To close on unread bytes would overtake the alert.
            bare_wire = socket.socket(fileno=wire.detach())
        with suppress(OSError), bare_wire:
            bare_wire.shutdown(socket.SHUT_WR)
            while bare_wire.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(asyncio.to_thread(refuse, listener))
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        await task


@pytest.mark.parametrize(
    ("version", "ours", "why"),
    [
        (ssl.TLSVersion.TLSv1_2, "another's", "TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"),
        (ssl.TLSVersion.TLSv1_3, "another's", "TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"),
        (
            ssl.TLSVersion.TLSv1_3,
            "none",
            "TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required",
        ),
    ],
)
@on_a_loop
async def test_a_certificate_that_the_engine_refuses_gives_the_hint(authority, version, ours, why):
    tls = authority.client(trustme.CA() if ours == "another's" else None)
    async with strict(authority, version) as addr, client(addr, tls=tls) as api:
        kind, said, _ = await trouble(api)
    hint = "The server probably has client authentication (--tlsverify) enabled. "
    hint += "Please check your TLS client certification settings: "
    assert re.sub(r" \(_ssl.c:\d+\)$", "", said) == f'{hint}Get "https://{addr}/info": [SSL: {why}'
    assert kind is EngineError


@on_a_loop
async def test_a_tls_engine_that_is_asked_without_tls_gives_the_hint(authority):
    async with served(Canned(b"1"), **authority.server()) as addr, client(addr) as api:
        assert await trouble(api) == (
            EngineError,
            f'Get "http://{addr}/info": Server disconnected without sending a response.\n'
            "* Are you trying to connect to a TLS-enabled daemon without TLS?",
            0,
        )


@on_a_loop
async def test_the_alert_of_an_old_tls_engine_gives_the_hint():
    async with raw(b"\x15\x03\x01\x00\x02\x02\x46") as addr, client(addr) as api:
        _, said, _ = await trouble(api)
        assert said.endswith(".\n* Are you trying to connect to a TLS-enabled daemon without TLS?")


@on_a_loop
async def test_a_tls_engine_of_today_says_so_itself():
    said = b"Client sent an HTTP request to an HTTPS server.\n"
    async with raw(b"HTTP/1.0 400 Bad Request\r\n\r\n" + said) as addr, client(addr) as api:
        assert (await trouble(api))[1:] == (
            "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
            400,
        )


@on_a_loop
async def test_an_engine_without_tls_that_is_asked_for_it_is_an_error(authority):
    async with served(Canned(b"1")) as addr, client(addr, tls=authority.client()) as api:
        kind, said, _ = await trouble(api)
        assert said.startswith(f'error during connect: Get "https://{addr}/info": [SSL: ')
        assert kind is EngineError


# Versions.


@pytest.mark.parametrize(
    ("version", "prefix"),
    [
        ({}, "/v1.24"),
        ({"ApiVersion": "1.24", "MinAPIVersion": "1.12"}, "/v1.24"),
        ({"ApiVersion": "1.30"}, "/v1.30"),
        ({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}, "/v1.31"),
        ({"ApiVersion": "1.52", "MinAPIVersion": "1.44"}, "/v1.44"),
        ({"ApiVersion": "2.0", "MinAPIVersion": "1.44"}, "/v1.44"),
        ({"ApiVersion": None, "MinAPIVersion": ""}, "/v1.24"),
        ({"ApiVersion": "nonsense\n"}, "/v1.24"),
    ],
)
def test_the_older_of_two_versions_is_spoken_unless_it_is_forgotten(version, prefix):
    api = EngineAPI("10.0.0.1:2375", World(), None)
    api.negotiate(version)
    assert api.prefix == prefix


def test_a_version_is_no_decimal_fraction():
    assert numbers("1.9") < numbers("1.10") < numbers("1.31") < numbers("2.0")


@on_a_loop
async def test_an_engine_of_2025_is_spoken_to_in_its_oldest_version():
    said = "client version 1.31 is too old. Minimum supported API version is 1.44, "
    said += "please upgrade your client to a newer version"
    refusal = Canned(json.dumps({"message": said}).encode(), status=400)
    answer = Canned(b'{"ApiVersion":"1.52","MinAPIVersion":"1.44"}')

    async def engine(scope, receive, send):
        chosen = refusal if scope["path"].startswith("/v1.31/") else answer
        await chosen(scope, receive, send)

    async with lab_api(engine) as (api, _):
        api.negotiate({"ApiVersion": "1.31"})
        assert (await trouble(api))[1:] == (f"Error response from daemon: {said}", 400)
        api.prefix = ""
        api.negotiate(await api.ask("GET", "/version"))
        await api.ask("GET", "/info")
        assert answer.asked[-1][1] == "/v1.44/info"


@on_a_loop
async def test_every_request_after_the_negotiation_has_the_version():
    app = Canned(b"1")
    async with lab_api(app) as (api, _):
        await api.ask("GET", "/info")
        api.negotiate({"ApiVersion": "1.41"})
        await api.ask("GET", "/info")
        assert [asked[1] for asked in app.asked] == ["/info", "/v1.31/info"]


# What is sent.


@on_a_loop
async def test_a_request_has_a_query_a_body_and_headers():
    app = Canned(b"1")
    async with lab_api(app) as (api, _):
        await api.ask("POST", "/x", {"name": "a b&c"}, body={"a": 1}, headers={"X-Y": "z"})
        method, path, query, body, headers = app.asked[0]
        assert (method, path, query, body) == ("POST", "/x", "name=a+b%26c", b'{"a":1}')
        assert (headers[b"content-type"], headers[b"x-y"]) == (b"application/json", b"z")


@on_a_loop
async def test_what_is_sent_may_be_a_stream():
    async def tar():
        yield b"one"
        yield b"two"

    app = Canned(b'{"stream":"ok"}')
    async with lab_api(app) as (api, _):
        said = [line async for line in api.stream("POST", "/build", content=tar())]
        assert (said, app.asked[0][3]) == ([{"stream": "ok"}], b"onetwo")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("web", "web"),
        ("registry:5000/a/b:1", "registry:5000/a/b:1"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b\n", "a%20b%0A"),
        ("\u00e9", "%C3%A9"),
    ],
)
def test_a_name_in_a_path_cannot_end_it(name, path):
    assert escape(name) == path


@on_a_loop
async def test_a_path_that_cannot_be_asked_for_is_an_error():
    async with lab_api(Canned(b"1")) as (api, _):
        assert await trouble(api, "/containers/\x00/json") == (
            EngineError,
            'GET "/containers/\\x00/json": Invalid non-printable ASCII character in URL, '
            "'\\x00' at position 12.",
            0,
        )


# Answers that are errors, with the words of the original's client.


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b'{"message":" it broke \\n"}\n', "application/json", "it broke"),
        (b"it broke\n", "text/plain", "it broke"),
        (b'{"message":"it broke"}', "application/json; charset=utf-8", "it broke"),
        (b'{"message":""}', "application/json", ""),
        (b'{"error":"x"}', "application/json", '{"error":"x"}'),
        (b'{"mess', "application/json", '{"mess'),
        (b"[" * 100_000, "application/json", "[" * 100_000),
        (b"\xff", "text/plain", "\ufffd"),
    ],
)
@on_a_loop
async def test_the_engine_s_words_are_the_error(body, kind, said):
    async with lab_api(Canned(body, status=500, kind=kind)) as (api, _):
        assert await trouble(api) == (EngineError, f"Error response from daemon: {said}", 500)


@on_a_loop
async def test_a_registry_that_is_away_is_no_engine_that_is_away():
    said = "Get https://10.0.0.9:5000/v2/: dial tcp 10.0.0.9:5000: connect: connection refused"
    async with lab_api(Canned(json.dumps({"message": said}).encode(), status=500)) as (api, _):
        # In the original, which searches the text, three such answers make it unhealthy.
        assert await trouble(api) == (EngineError, f"Error response from daemon: {said}", 500)


@pytest.mark.parametrize(
    ("status", "phrase"), [(500, "Internal Server Error"), (404, "Not Found"), (599, "")]
)
@on_a_loop
async def test_an_error_without_a_word_names_the_route(status, phrase):
    async with lab_api(Canned(status=status)) as (api, _):
        api.negotiate({"ApiVersion": "1.41"})
        where = "for API route and version http://engine:2375/v1.31/info?all=1"
        said = f"Error: request returned {phrase} {where}, {HINT}"
        assert await trouble(api, query={"all": "1"}) == (EngineError, said, status)


@on_a_loop
async def test_an_error_of_more_than_a_mebibyte_is_not_read():
    app = Canned(b"x" * 1024 * 1024, b"x", status=500)
    async with lab_api(app) as (api, _):
        where = "for API route and version http://engine:2375/info"
        long = "with a message (> 1048576 bytes)"
        said = f"Error: request returned Internal Server Error {long} {where}, {HINT}"
        assert await trouble(api) == (EngineError, said, 500)


@on_a_loop
async def test_a_stream_that_begins_with_an_error_is_that_error():
    async with lab_api(Canned(b'{"message":"no"}', status=404)) as (api, _):
        with pytest.raises(EngineError, match=r"^Error response from daemon: no$") as raised:
            await anext(api.stream("GET", "/events"))
        assert raised.value.status == 404


def test_an_engine_error_is_a_cluster_error():
    assert ConnectionFailed.__mro__[:3] == (ConnectionFailed, EngineError, ClusterError)


# Answers that are none.


@pytest.mark.parametrize("status", [200, 204, 304])
@on_a_loop
async def test_an_empty_answer_is_none(status):
    async with lab_api(Canned(status=status)) as (api, _):
        assert await api.ask("POST", "/containers/x/start") is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "Expecting value: line 1 column 1 (char 0)"),
        (b'{"ID":', "Expecting value: line 1 column 7 (char 6)"),
    ],
)
@on_a_loop
async def test_an_answer_that_is_no_json_is_an_error(body, why):
    async with lab_api(Canned(body)) as (api, _):
        said = f"no JSON in the answer to GET /info of tcp://engine:2375: {why}"
        assert await trouble(api) == (EngineError, said, 0)


@pytest.mark.parametrize("body", [b"\x00\xff", b"[" * 100_000, b'{"a":' * 100_000])
@on_a_loop
async def test_garbage_is_an_error(body):
    async with lab_api(Canned(body)) as (api, _):
        kind, said, _ = await trouble(api)
        assert said.startswith("no JSON in the answer to GET /info of tcp://engine:2375: ")
        assert kind is EngineError


@on_a_loop
async def test_half_an_answer_is_an_error():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    async with raw(head + b'{"ID":') as addr, client(addr) as api:
        why = "peer closed connection without sending complete message body "
        why += "(received 6 bytes, expected 100)"
        assert await trouble(api) == (EngineError, f'Get "http://{addr}/info": {why}', 0)


@on_a_loop
async def test_what_does_not_speak_http_gives_the_hint():
    async with raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as addr, client(addr) as api:
        kind, said, _ = await trouble(api)
        assert re.fullmatch(
            rf'Get "http://{addr}/info": .*SSH-2.0-OpenSSH_9.2.*\.\n'
            r"\* Are you trying to connect to a TLS-enabled daemon without TLS\?",
            said,
        )
        assert kind is EngineError


@on_a_loop
async def test_an_answer_without_end_is_broken_off(monkeypatch):
    async def more(receive):
        await until_they_leave(receive)

    monkeypatch.setattr(engine_api, "ANSWER_LIMIT", 100_000)
    app = Canned(b"[" + b"1," * 60_000, then=more)
    async with served(app) as addr, client(addr) as api:
        said = f'Get "http://{addr}/info": the answer has more than 100,000 bytes'
        assert await trouble(api) == (EngineError, said, 0)
        await app.left.wait()


@on_a_loop
async def test_an_answer_of_ten_megabytes_is_read():
    found = [{"Id": str(number), "Command": "x" * 990} for number in range(10_000)]
    text = json.dumps(found).encode()
    pieces = [text[start : start + 65_536] for start in range(0, len(text), 65_536)]
    async with served(Canned(*pieces)) as addr, client(addr) as api:
        assert await api.ask("GET", "/containers/json") == found


# Nobody there.


@on_a_loop
async def test_an_engine_that_refuses_is_away():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        addr = f"127.0.0.1:{held.getsockname()[1]}"
        async with client(addr) as api:
            assert await trouble(api) == (ConnectionFailed, AWAY.format(addr), 0)


@on_a_loop
async def test_a_socket_that_is_missing_is_an_engine_that_is_away(tmp_path):
    path = f"unix://{tmp_path}/docker.sock"
    async with client(path) as api:
        said = f"Cannot connect to the Docker daemon at {path}. Is the docker daemon running?"
        assert await trouble(api) == (ConnectionFailed, said, 0)


class Failing(httpx2.AsyncBaseTransport):
    """A network on which every connection fails in one way."""

    def __init__(self, error):
        self.error = error

    async def handle_async_request(self, request):
        raise httpx2.ConnectError("All connection attempts failed") from self.error


async def failing(error):
    async with client("10.0.0.1:2375", World(transport=Failing(error))) as api:
        return await trouble(api)


@on_a_loop
async def test_an_engine_without_a_route_is_away():
    said = 'error during connect: Get "http://10.0.0.1:2375/info": no route to host'
    unreachable = OSError(errno.EHOSTUNREACH, "No route to host")
    assert await failing(unreachable) == (ConnectionFailed, said, 0)


@on_a_loop
async def test_of_two_addresses_both_errors_are_looked_at():
    both = [OSError(errno.ENETUNREACH, "x"), OSError(errno.ECONNREFUSED, "y")]
    group = OSError("All connection attempts failed")
    group.__cause__ = ExceptionGroup("multiple connection attempts failed", both)
    assert await failing(group) == (ConnectionFailed, AWAY.format("10.0.0.1:2375"), 0)


@on_a_loop
async def test_a_name_that_does_not_resolve_is_an_error_but_nobody_is_away():
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    said = 'error during connect: Get "http://10.0.0.1:2375/info": Name or service not known'
    assert await failing(unknown) == (EngineError, said, 0)


@on_a_loop
async def test_a_connection_that_is_reset_is_an_error_but_nobody_is_away():
    reset = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    said = 'error during connect: Get "http://10.0.0.1:2375/info": connection reset by peer'
    assert await failing(reset) == (EngineError, said, 0)


@on_a_loop
async def test_an_engine_that_is_silent_for_the_limit_is_away():
    app = Canned(then=forever)
    async with lab_api(app) as (api, lab):
        lab.start("ask", noted(lab, trouble(api, limit=30.0), told := []))
        await lab.run(29)
        assert told == []
        await lab.run(1)
        assert told == [(30.0, (ConnectionFailed, AWAY.format("engine:2375"), 0))]
        assert app.left.is_set()


@on_a_loop
async def test_an_engine_whose_cable_is_pulled_is_away_after_thirty_seconds():
    async with lab_api(Canned(b"1")) as (api, lab):
        lab.network.freeze("engine:2375")
        lab.start("ask", noted(lab, trouble(api), told := []))
        await lab.run(3600)
        assert told == [(30.0, (ConnectionFailed, AWAY.format("engine:2375"), 0))]


@on_a_loop
async def test_without_a_limit_an_answer_may_take_a_day():
    async with lab_api(None) as (api, lab):

        async def slow(receive):
            await lab.clock.sleep(86_400)

        lab.network.plug("engine:2375", Canned(b"1", then=slow))
        lab.start("ask", noted(lab, api.ask("POST", "/containers/x/wait"), told := []))
        await lab.run(86_400)
        assert told == [(86_400.0, 1)]


async def noted(lab, work, told):
    result = await work
    told.append((lab.clock.now, result))


# Streams of objects.


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


async def decoded(*chunks):
    """Return the objects in a stream, and the error at its end."""
    found = []
    try:
        async for item in decode(pieces(*chunks)):
            found.append(item)
    except EngineError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("between", ["", "\n", "\r\n", " \n\n\t "])
def test_objects_follow_each_other_with_or_without_line_ends(between):
    text = between.join(['{"a":1}', '{"b":{"c":"}"}}', "{}"]).encode()
    assert asyncio.run(decoded(text)) == ([{"a": 1}, {"b": {"c": "}"}}, {}], "")


@pytest.mark.parametrize("size", range(1, 9))
def test_a_character_may_be_cut_in_two(size):
    text = '{"status":"\u00e9\u20ac\U0001f433 \\" \\\\"}{"\\\\\\"":"}{"}'.encode()
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    expected = [{"status": '\u00e9\u20ac\U0001f433 " \\'}, {'\\"': "}{"}]
    assert asyncio.run(decoded(*chunks)) == (expected, "")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=100 if THOROUGH else 25, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), JSON_VALUES), max_size=5),
    st.booleans(),
    st.sampled_from(["", "\n", "\r\n"]),
    st.data(),
)
def test_objects_are_found_however_they_are_cut(objects, ascii_only, between, data):
    text = b"".join(
        (json.dumps(each, ensure_ascii=ascii_only) + between).encode(errors="replace")
        for each in objects
    )
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    cuts = sorted([0, len(text), *places])
    chunks = [text[a:b] for a, b in pairwise(cuts)]
    decoder, rest, expected = json.JSONDecoder(), text.decode().lstrip(), []
    while rest:
        item, end = decoder.raw_decode(rest)
        expected.append(item)
        rest = rest[end:].lstrip()
    cutter = Cutter()
    found = [json.loads(each) for chunk in chunks for each in cutter.cut(chunk)]
    assert (found, cutter.rest) == (expected, b"")


def test_an_object_is_handed_on_before_the_next_begins():
    cutter = Cutter()
    pieces = (b'{"a"', b":1}", b'{"b":2}{')
    assert [cutter.cut(each) for each in pieces] == [[], [b'{"a":1}'], [b'{"b":2}']]


@pytest.mark.parametrize("filling", [b"x", b"}", b'\\"', b'","b":"'])
def test_a_large_object_costs_no_more_in_small_pieces(filling):
    whole = b'{"a":"' + filling * (200_000 // len(filling)) + b'"}'
    chunks = [whole[start : start + 1] for start in range(len(whole))]

    async def within_the_deadline():
        return await asyncio.wait_for(decoded(*chunks), DEADLINE)

    found, said = asyncio.run(within_the_deadline())
    assert (found, said) == ([json.loads(whole)], "")


@pytest.mark.parametrize(
    ("text", "found", "shown"),
    [
        (b"<html><style>p {}</style>", [], '"<html><style>p {}"'),
        (b'[1]{"a":1}', [], '"[1]{\\"a\\":1}"'),
        (b'{"a":1}garbage', [{"a": 1}], '"garbage"'),
        (b'{"a":1}null', [{"a": 1}], '"null"'),
        (b'"{"a":1}', [], '"\\"{\\"a\\":1}"'),
        (b"}", [], '"}"'),
        (b"{a}", [], '"{a}"'),
        (b'{"a":1}}{"b":1}', [{"a": 1}], '"}"'),
        (b"\x00\xffno JSON", [], '"\\x00\ufffdno JSON"'),
        (b"{" * 2000 + b"}" * 2000, [], '"' + "{" * 40 + '"'),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, [], None),
    ],
)
def test_garbage_in_a_stream_is_an_error_after_what_came_before(text, found, shown):
    items, said = asyncio.run(decoded(text))
    shown = shown or '"' + '{\\"a\\":' * 8 + '"'
    assert (items, said) == (found, f"no JSON in a stream: {shown}")


def test_a_stream_that_ends_within_an_object_is_an_error():
    assert asyncio.run(decoded(b'{"a":1}\n{"b"', b":")) == (
        [{"a": 1}],
        'a stream ended within an object: "{\\"b\\":"',
    )


def test_a_byte_that_is_no_utf8_is_replaced_as_in_go():
    assert asyncio.run(decoded(b'{"a":"\xff"}')) == ([{"a": "\ufffd"}], "")


def test_a_line_without_end_is_given_up_after_a_mebibyte():
    given = 0

    async def endless():
        nonlocal given
        yield b'{"a":"'
        while True:
            given += 65_536
            yield b"x" * 65_536

    async def read():
        async with aclosing(decode(endless())) as items:
            await anext(items)

    with pytest.raises(EngineError, match=r'^no JSON in a stream: "\{\\"a\\":\\"x{34}"$'):
        asyncio.run(read())
    assert given == LINE_LIMIT


def test_blanks_without_end_are_no_line():
    blanks = [b"\n" * 65_536] * 32
    assert asyncio.run(decoded(*blanks, b'{"a":1}')) == ([{"a": 1}], "")


# Breaking off.


@pytest.mark.parametrize("how", ["cancelled", "left", "limited"])
@on_a_loop
async def test_whoever_breaks_off_leaves_no_task_and_no_connection(how):
    app = Canned(b'{"n":1}', then=until_they_leave)
    async with served(app) as addr, client(addr) as api:
        before = asyncio.all_tasks()
        seen = asyncio.Event()

        async def follow():
            async with aclosing(api.stream("GET", "/events")) as events:
                async for _ in events:
                    seen.set()
                    if how == "left":
                        return

        if how == "limited":
            assert (await trouble(api, limit=0.05))[0] is ConnectionFailed
        else:
            task = asyncio.create_task(follow())
            await seen.wait()
            if how == "cancelled":
                task.cancel()
            await asyncio.wait([task])
        assert api.client._transport._pool.connections == []
        await app.left.wait()
        while asyncio.all_tasks() > before:
            await asyncio.sleep(0.01)  # until the server's own task has ended
        assert asyncio.all_tasks() == before


@on_a_loop
async def test_a_client_that_is_closed_breaks_off_what_is_under_way():
    app = Canned(b'{"n":1}', then=until_they_leave)
    async with served(app) as addr, client(addr) as api:
        stream = api.stream("GET", "/events")
        await anext(stream)
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await api.close()
        with pytest.raises(EngineError, match=r"^Engine no longer exists$"):
            await reading


@on_a_loop
async def test_a_client_that_is_closed_refuses_what_comes_later():
    async with served(Canned(b"1")) as addr, client(addr) as api:
        await api.close()
        assert await trouble(api) == (EngineError, "Engine no longer exists", 0)


# Engines of the lab, and real ones.


@on_a_loop
async def test_an_engine_of_the_lab_is_asked_and_followed():
    async with Lab() as lab, client("10.0.0.1:2375", lab.world("manager")) as api:
        LabEngine(lab, "node-1", "10.0.0.1:2375").plug()
        api.negotiate(await api.ask("GET", "/version"))
        assert (api.prefix, (await api.ask("GET", "/info"))["Name"]) == ("/v1.31", "node-1")
        async with aclosing(api.stream("GET", "/events", {"since": "1"})) as events:
            asked = api.ask("POST", "/volumes/create", body={"Name": "kept"})
            event, _ = await asyncio.gather(anext(events), asked)
            assert (event["Type"], event["Action"]) == ("volume", "create")


@pytest.mark.parametrize("way", ["tcp", "unix"])
@on_a_loop
async def test_a_real_engine_is_asked(engines, way):
    addr = f"unix://{engines[0].socket}" if way == "unix" else engines[0].address
    async with client(addr) as api:
        version = await api.ask("GET", "/version", limit=DEADLINE)
        api.negotiate(version)
        assert api.prefix == f"/v{min(version['ApiVersion'], '1.31', key=numbers)}"
        assert (await api.ask("GET", "/info"))["Name"] == "node-1"


CONFIG_MISSING = "Config cannot be empty in order to create a container"


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/containers/nobody/json", 404, "No such container: nobody"),
        ("GET", "/nonsense", 404, "page not found"),
        ("POST", "/containers/create", 400, CONFIG_MISSING),
    ],
)
@on_a_loop
async def test_a_real_engine_s_words_are_the_error(engines, method, path, status, said):
    async with client(engines[0].address) as api:
        with pytest.raises(EngineError) as raised:
            await api.ask(method, path, body={} if method == "POST" else None)
        found = str(raised.value), raised.value.status
        assert found == (f"Error response from daemon: {said}", status)


@pytest.mark.parametrize("way", ["tcp", "unix"])
@on_a_loop
async def test_a_real_engine_s_events_come_as_they_happen(engines, way):
    addr = f"unix://{engines[0].socket}" if way == "unix" else engines[0].address
    async with (
        client(addr) as api,
        aclosing(api.stream("GET", "/events", {"since": "0"})) as events,
    ):
        asked = api.ask("POST", "/volumes/create", body={"Name": "kept"})
        event, _ = await asyncio.gather(volume_event(events, "kept"), asked)
        assert (event["Type"], event["Action"]) == ("volume", "create")


async def volume_event(events, name):
    while True:
        event = await anext(events)
        if event["Type"] == "volume" and event["Actor"]["ID"] == name:
            return event


@on_a_loop
async def test_a_real_engine_behind_a_cut_wire_is_away(engines):
    async with client(engines[0].address) as api:
        await api.ask("GET", "/info")
        stream = api.stream("GET", "/events", {"since": "0"})
        async with aclosing(stream):
            await api.ask("POST", "/volumes/create", body={"Name": "kept"})
            await volume_event(stream, "kept")
            engines[0].gate.cut()
            with pytest.raises(EngineError):
                await volume_event(stream, "nobody's")
        assert await trouble(api) == (ConnectionFailed, AWAY.format(engines[0].address), 0)


@on_a_loop
async def test_a_real_engine_behind_a_pulled_cable_is_away_after_the_limit(engines):
    async with client(engines[0].address) as api:
        engines[0].gate.freeze()
        said = AWAY.format(engines[0].address)
        assert await trouble(api, limit=0.2) == (ConnectionFailed, said, 0)


@on_a_loop
async def test_a_hundred_requests_at_once_are_answered_by_a_real_engine(engines):
    async with client(engines[0].address) as api:
        answers = await asyncio.gather(*(api.ask("GET", "/version") for _ in range(100)))
        assert answers == [answers[0]] * 100
