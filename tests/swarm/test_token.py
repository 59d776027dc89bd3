"""Discovery behind a token: URLs, what a hub may answer, a watch that goes on."""

import asyncio
import json
from contextlib import aclosing

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.hub import Hub
from walkthroughs.swarm.lab import Exchange, Lab
from walkthroughs.swarm.token import DISCOVERY_URL, Token, create_cluster, hub_url

HUB = {"token.hub": "http://hub:2370"}


def token(uri="cafe", world=None, options=HUB, heartbeat=20.0, ttl=180.0):
    return Token(uri, heartbeat, ttl, options, world or Lab().world("me"))


def fetched(response, uri="cafe"):
    """Return what `fetch` makes of a hub's answer: texts, or the message of its error."""

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = response
            try:
                return [*map(str, await token(uri, lab.world("me")).fetch())]
            except DiscoveryError as error:
                return str(error)

    return asyncio.run(program())


# Initialize


def test_initialize():
    assert token("token", options={}).url == f"{DISCOVERY_URL}/clusters/token"
    assert token("custom/path/token", options={}).url == "https://custom/path/clusters/token"
    with pytest.raises(DiscoveryError, match=r"\Atoken is empty\Z"):
        token("", options={})


def test_docker_s_hub_is_where_it_was():
    assert DISCOVERY_URL == "https://discovery.hub.docker.com/v1"


def test_a_url_with_a_place_goes_there_by_https_whatever_the_hub_is():
    assert token("127.0.0.1:2370/v1/cafe").url == "https://127.0.0.1:2370/v1/clusters/cafe"


@pytest.mark.parametrize("uri", ["", "host/path/", "/"])
def test_a_url_without_a_token_is_refused(uri):
    with pytest.raises(DiscoveryError, match=r"\Atoken is empty\Z"):
        token(uri)


@pytest.mark.parametrize(
    ("hub", "url"),
    [
        ("", DISCOVERY_URL),
        ("http://127.0.0.1:2370", "http://127.0.0.1:2370/v1"),
        ("http://127.0.0.1:2370/", "http://127.0.0.1:2370/v1"),
        ("https://hub.example/v1", "https://hub.example/v1"),
        ("https://hub.example/v1/", "https://hub.example/v1"),
        ("https://example/hub", "https://example/hub/v1"),
    ],
)
def test_the_api_of_a_hub_is_below_v1(hub, url):
    assert hub_url(hub) == url


def test_a_hub_of_one_s_own_may_speak_http_where_the_original_insists_on_https():
    assert token("cafe").url == "http://hub:2370/v1/clusters/cafe"
    assert token("hub:2370/v1/cafe").url == "https://hub:2370/v1/clusters/cafe"


@pytest.mark.parametrize(
    "hub", ["127.0.0.1:2370", "ftp://hub", "http://", "http:///v1", "tcp://a:1"]
)
def test_a_hub_that_is_no_url_is_refused(hub):
    message = f"the hub is a URL, such as http://127.0.0.1:2370: {hub}"
    with pytest.raises(DiscoveryError) as caught:
        hub_url(hub)
    assert str(caught.value) == message


# Create


def created(response):
    """Return what `create_cluster` makes of a hub's answer: a token, or an error's message."""

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = response
            try:
                return await create_cluster("http://hub:2370", lab.world("admin"))
            except DiscoveryError as error:
                return str(error)

    return asyncio.run(program())


@pytest.mark.parametrize("body", ["cafe", "cafe\n", "A-b_9", "f" * 128])
def test_a_token_is_letters_digits_dashes_and_underscores(body):
    assert created(PlainTextResponse(body)) == body.strip()


@pytest.mark.parametrize("body", ["", "two words", "a/b", "f" * 129, "caf\u00e9", "../x", "a?b"])
def test_nothing_else_is_a_token(body):
    message = f'Failed to create a cluster, "{body}" is no token'
    assert created(PlainTextResponse(body)) == message


# Fetch


@pytest.mark.parametrize(
    ("body", "entries"),
    [
        ('["a:1","b:2","a:1"]', ["a:1", "b:2", "a:1"]),
        ("[]", []),
        ("null", []),
        ('["a:1",""]', ["a:1"]),
        (' [\n"[::1]:2375" ]\n', ["[::1]:2375"]),
    ],
)
def test_a_json_list_of_addresses_is_what_a_hub_answers(body, entries):
    # Measured: the original prints the same for these five.
    assert fetched(Response(body)) == entries


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500])
def test_any_status_but_200_is_an_error_with_its_number(status):
    message = f"Failed to fetch entries, Discovery service returned {status} HTTP status code"
    assert fetched(PlainTextResponse("[]" if status == 201 else "", status)) == message


def test_what_is_fetched_is_clusters_and_the_token():
    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = JSONResponse([])
            await token("cafe", lab.world("me")).fetch()
            return lab.network.exchanges

    assert asyncio.run(program()) == [
        Exchange(0.0, "me", "hub:2370", "GET", "/v1/clusters/cafe", 200)
    ]


DECODE = "Failed to decode response: "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", f"{DECODE}Expecting value: line 1 column 1 (char 0)"),
        ("<html>", f"{DECODE}Expecting value: line 1 column 1 (char 0)"),
        ('{"a":1}', f"{DECODE}not a list of addresses"),
        ('["a:1",5]', f"{DECODE}not a list of addresses"),
        ('["a:1",null]', f"{DECODE}not a list of addresses"),
        ('"a:1"', f"{DECODE}not a list of addresses"),
        ('["a:1"] and more', f"{DECODE}Extra data: line 1 column 9 (char 8)"),
        ('["a:1","b"]', "address b: missing port in address"),
    ],
)
def test_a_body_that_is_no_list_of_addresses_is_an_error(body, message):
    assert fetched(Response(body)) == message


def test_bytes_that_are_no_text_are_an_error():
    assert fetched(Response(b'["\xff"]')).startswith(f"{DECODE}'utf-8' codec can't decode")


def test_lists_in_lists_without_end_are_an_error_and_no_crash():
    assert fetched(Response("[" * 200_000)).startswith(f"{DECODE}maximum recursion depth")


def test_a_flood_is_cut_off():
    answer = fetched(Response(b'["a:1"' + b" " * 9_000_000 + b"]"))
    asked = 'Get "http://hub:2370/v1/clusters/cafe"'
    assert answer == f"{asked}: the answer has more than 8,388,608 bytes"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("127.0.0.1:abc/v1/t", "\"https://127.0.0.1:abc/v1/clusters/t\": Invalid port: 'abc'"),
        ("127.0.0.1:99999/v1/t", '"https://127.0.0.1:99999/v1/clusters/t": invalid port'),
        ("/t", '"https:///clusters/t": no host in the URL'),
        (
            "a\0b/t",
            r'"https://a\x00b/clusters/t": '
            r"Invalid non-printable ASCII character in URL, '\x00' at position 9.",
        ),
    ],
    ids=["word", "number", "host", "null"],
)
def test_a_url_that_is_none_is_an_error_and_no_crash(uri, message):
    assert fetched(PlainTextResponse(""), uri) == message


GONE = (
    "(Docker has switched its public hub off. Start one with 'swarm hub', "
    "and name it with --hub or SWARM_HUB)"
)


@pytest.mark.parametrize(
    ("uri", "options", "message"),
    [
        ("cafe", {}, f'Get "{DISCOVERY_URL}/clusters/cafe": connection refused {GONE}'),
        ("cafe", HUB, 'Get "http://hub:2370/v1/clusters/cafe": connection refused'),
        ("hub:1/v1/cafe", {}, 'Get "https://hub:1/v1/clusters/cafe": connection refused'),
    ],
    ids=["Docker's", "ours", "https"],
)
def test_a_hub_that_is_not_there_is_named_and_docker_s_is_explained(uri, options, message):
    with pytest.raises(DiscoveryError) as caught:
        asyncio.run(token(uri, options=options).fetch())
    assert str(caught.value) == message


# Register


def test_register():
    """The original's test of this name: register, and find the address in the watch."""

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = hub = Hub(lab.world("hub"))
            made = json.loads(f'"{hub.create().body.decode()}"')
            backend = token(made, lab.world("node"))
            await backend.register("127.0.0.1:2675")
            async with aclosing(backend.watch()) as watch:
                first = await anext(watch)
            await backend.register("127.0.0.1:2675")
            return [*map(str, first)], [*map(str, await backend.fetch())]

    assert asyncio.run(program()) == (["127.0.0.1:2675"], ["127.0.0.1:2675"])


def test_the_request_is_that_of_the_original():
    # Measured: `swarm join --ttl 2500ms` sends ttl=2, and the bare address as its JSON.
    requests = []

    async def app(scope, receive, send):
        request = Request(scope, receive)
        kind, length = (request.headers.get(f"content-{name}") for name in ("type", "length"))
        body = (await request.body()).decode()
        requests.append((request.method, str(request.url), kind, length, body))
        await Response(status_code=200)(scope, receive, send)

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = app
            await token("cafe", lab.world("node"), ttl=2.5).register("1.2.3.4:2375")

    asyncio.run(program())
    url = "http://hub:2370/v1/clusters/cafe?ttl=2"
    assert requests == [("POST", url, "application/json", "12", "1.2.3.4:2375")]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_success_is_one(status):
    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = Response(status_code=status)
            await token("cafe", lab.world("node")).register("a:1")
            return lab.network.exchanges

    assert asyncio.run(program()) == [
        Exchange(0.0, "node", "hub:2370", "POST", "/v1/clusters/cafe", status)
    ]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Response(status_code=500), "500 HTTP status code"),
        (PlainTextResponse("send one\naddress\n", 400), "400 HTTP status code: send one address"),
        (PlainTextResponse("\x1b[2Jx" + "y" * 300, 404), f"404 HTTP status code: [2Jx{'y' * 195}"),
    ],
    ids=["empty", "text", "long"],
)
def test_a_refusal_is_an_error_with_what_the_hub_says(response, message):
    # Measured: the original does not look at the status.
    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"] = response
            await token("cafe", lab.world("node")).register("a:1")

    with pytest.raises(DiscoveryError) as caught:
        asyncio.run(program())
    assert str(caught.value) == f"Failed to register, Discovery service returned {message}"


# Watch


def test_a_watch_fetches_at_every_heartbeat_and_yields_changes_and_trouble():
    answers = [
        JSONResponse(["a:1"]),
        JSONResponse(["a:1"]),
        PlainTextResponse("", 500),
        JSONResponse(["a:1"]),
        JSONResponse([]),
    ]

    async def app(scope, receive, send):
        await answers.pop(0)(scope, receive, send)

    async def program():
        async with Lab() as lab:
            lab.network.apps["hub:2370"], reports = app, []

            async def follow():
                async with aclosing(token("cafe", lab.world("me")).watch()) as watch:
                    async for report in watch:
                        reports.append((lab.clock.now, str(report)))

            lab.start("me", follow())
            await lab.run(80)
            return reports

    failed = "Failed to fetch entries, Discovery service returned 500 HTTP status code"
    assert asyncio.run(program()) == [
        (0, "<Entries: a:1>"),
        (40, failed),
        (80, "<Entries: none>"),
    ]
