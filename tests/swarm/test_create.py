"""The command create: a token from a hub, and what it says of hubs that give none."""

import asyncio
import random

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from walkthroughs.swarm.create import create
from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.hub import Hub
from walkthroughs.swarm.lab import Exchange, Lab
from walkthroughs.swarm.main import main
from walkthroughs.swarm.world import World

NOW = "2017/07/14 02:40:00"
URL = "http://hub:2370"
DEPRECATED = (
    "Token based discovery is now deprecated and might be removed in the future.\n"
    "It will be replaced by a default discovery backed by Docker Swarm Mode.\n"
    "Other mechanisms such as consul and etcd will continue to work as expected.\n"
)


def lab_with(app, place="hub:2370"):
    lab = Lab()
    lab.network.apps[place] = app
    return lab


@pytest.fixture
def lab():
    lab, chance = Lab(), random.Random(7)
    hub = Hub(lab.world("hub"), random_hex=lambda size: chance.randbytes(size).hex())
    lab.network.apps["hub:2370"] = hub
    return lab


def test_the_token_goes_to_stdout_and_a_warning_to_stderr(lab, capsys):
    assert main(["create", "--hub", URL], lab.world("admin")) == 0
    assert capsys.readouterr() == ("38b4e652e44da7f2370d9e260e271365\n", DEPRECATED)
    assert lab.network.exchanges == [
        Exchange(0.0, "admin", "hub:2370", "POST", "/v1/clusters", 201)
    ]


def test_the_request_is_empty_as_the_original_s_is(capsys):
    requests = []

    async def app(scope, receive, send):
        request = Request(scope, receive)
        requests.append((request.method, request.url.path, await request.body()))
        await PlainTextResponse("cafe")(scope, receive, send)

    assert main(["create", "--hub", URL], lab_with(app).world("admin")) == 0
    assert requests == [("POST", "/v1/clusters", b"")]


def test_c_is_short_for_create_and_the_environment_may_name_the_hub(lab, monkeypatch, capsys):
    monkeypatch.setenv("SWARM_HUB", URL)
    assert main(["c"], lab.world("admin")) == 0
    assert capsys.readouterr() == ("38b4e652e44da7f2370d9e260e271365\n", DEPRECATED)


def test_every_create_makes_a_cluster_of_its_own(lab, capsys):
    for _ in range(2):
        assert main(["create", "--hub", URL], lab.world("admin")) == 0
    first, second = capsys.readouterr().out.split()
    assert first != second


@pytest.mark.parametrize("arguments", [["x"], ["x", "y"], ["--", "x"]])
def test_create_takes_no_arguments_and_asks_nobody_when_given_one(arguments, lab, capsys):
    assert main(["create", "--hub", URL, *arguments], lab.world("admin")) == 1
    message = "the `create` command takes no arguments. See 'swarm create --help'."
    assert capsys.readouterr() == ("", f"{NOW} {message}\n")
    assert lab.network.exchanges == []


def test_without_a_hub_it_asks_docker_s_and_says_what_became_of_it(capsys):
    assert main(["create"], Lab().world("admin")) == 1
    message = (
        'Post "https://discovery.hub.docker.com/v1/clusters": connection refused '
        "(Docker has switched its public hub off. Start one with 'swarm hub', "
        "and name it with --hub or SWARM_HUB)"
    )
    assert capsys.readouterr() == ("", f"{NOW} {message}\n")


def test_a_hub_of_one_s_own_that_is_not_there_is_named(capsys):
    assert main(["create", "--hub", URL], Lab().world("admin")) == 1
    message = 'Post "http://hub:2370/v1/clusters": connection refused'
    assert capsys.readouterr() == ("", f"{NOW} {message}\n")


FAILED = "Failed to create a cluster, "
STATUS = "Discovery service returned {} HTTP status code"


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (PlainTextResponse("boom\n", 500), f"{STATUS.format(500)}: boom"),
        (
            PlainTextResponse("this hub has its 3 clusters\n", 507),
            f"{STATUS.format(507)}: this hub has its 3 clusters",
        ),
        (Response(status_code=302, headers={"Location": "/"}), STATUS.format(302)),
        (
            PlainTextResponse("<html>\n<b>garbage</b></html>"),
            '"<html> <b>garbage</b></html>" is no token',
        ),
        (Response(b"\x1b]0;owned\x07\xff\x00"), '"]0;owned\ufffd" is no token'),
        (Response(status_code=204), '"" is no token'),
        (Response(), '"" is no token'),
        (PlainTextResponse("a" * 129), f'"{"a" * 129}" is no token'),
        (PlainTextResponse("a/b"), '"a/b" is no token'),
    ],
    ids=["500", "507", "redirect", "html", "bytes", "204", "empty", "long", "slash"],
)
def test_what_is_no_token_is_not_printed(response, message, capsys):
    # Measured: the original prints every one of these bodies as the token, and exits with 0.
    assert main(["create", "--hub", URL], lab_with(response).world("admin")) == 1
    assert capsys.readouterr() == ("", f"{NOW} {FAILED}{message}\n")


def test_a_line_break_after_the_token_is_not_part_of_it(capsys):
    # Measured: the original prints it, and an empty line after it.
    lab = lab_with(PlainTextResponse("cafe\n"))
    assert main(["create", "--hub", URL], lab.world("admin")) == 0
    assert capsys.readouterr().out == "cafe\n"


def error_of(answer):
    """Return what `create` says of a real server, which answers in that way."""

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except ConnectionError:
            pass  # The client has hung up in the middle of 100 MB.
        finally:
            writer.close()

    async def program():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(DiscoveryError) as caught:
                await create(World(), f"http://127.0.0.1:{port}")
        finally:
            server.close()
            await server.wait_closed()
        return str(caught.value).replace(str(port), "PORT")

    return asyncio.run(program())


ASKED = 'Post "http://127.0.0.1:PORT/v1/clusters": '


def test_a_hub_that_hangs_up_without_a_word():
    async def nothing(writer):
        pass

    assert error_of(nothing) == f"{ASKED}Server disconnected without sending a response."


def test_a_hub_that_does_not_speak_http():
    async def garbage(writer):
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    assert error_of(garbage) == f"{ASKED}illegal status line: bytearray(b'SSH-2.0-OpenSSH_9.6')"


def test_a_hub_that_says_less_than_it_announced():
    async def short(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\ncafe")

    assert error_of(short) == (
        f"{ASKED}peer closed connection without sending complete message body "
        "(received 4 bytes, expected 32)"
    )


def test_of_a_hundred_megabytes_no_more_than_eight_are_read():
    sent = 0

    async def flood(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        while sent < 104_857_600:
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    assert error_of(flood) == f"{ASKED}the answer has more than 8,388,608 bytes"
    assert sent < 16 * 1024 * 1024


def test_the_coroutine_leaves_errors_to_its_caller(capsys):
    lab = lab_with(PlainTextResponse("boom", 500))
    with pytest.raises(DiscoveryError):
        asyncio.run(create(lab.world("admin"), URL))
    assert capsys.readouterr() == ("", "")
