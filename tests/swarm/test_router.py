"""The table of routes, the way from a request to its handler, and what is said of every answer."""

import asyncio
import io
import os
import re
import socket
import subprocess
import time
from contextlib import aclosing, contextmanager
from urllib.parse import unquote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from tests.swarm.managing import manager
from walkthroughs.swarm import api_server, filters, strategies
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.events import APIEventHandler, EventHandlers
from walkthroughs.swarm.handler import Context, HTTPError
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import CUT_OFF, Lab
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.nodes import Nodes
from walkthroughs.swarm.router import (
    Primary,
    Router,
    clean_path,
    new_primary,
    routes,
    setup_primary_router,
)
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World

TABLE = [(method, route) for method, mappings in routes.items() for route in mappings]
ALLOWED = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Origin, X-Requested-With, Content-Type, Accept",
    "access-control-allow-methods": "GET, POST, DELETE, PUT, OPTIONS, HEAD",
}
PLAIN = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
NOT_FOUND = (404, {"content-length": "19", **PLAIN}, b"404 page not found\n")


# The table.


def test_there_are_59_routes():
    assert {method: len(mappings) for method, mappings in routes.items()} == {
        "HEAD": 1,
        "GET": 26,
        "POST": 27,
        "PUT": 1,
        "DELETE": 4,
    }


def test_every_route_is_found_with_a_version_and_without():
    router = a_router()
    for method, route in TABLE:
        path = re.sub("{.*}", "web", route)
        variables = dict.fromkeys(re.findall("{(.*)}", route), "web")
        handler = routes[method][route]
        assert router.match(method, path) == (handler, route, variables)
        versioned = {**variables, "version": "1.24"}
        assert router.match(method, f"/v1.24{path}") == (handler, route, versioned)


# The router, beside one that tries patterns in turn.


class Reference:
    """A list of patterns, as gorilla/mux makes them of the original's routes."""

    def __init__(self, enable_cors=False):
        self.tried = []
        for method, route in TABLE:
            before, brace, rest = route.partition("{")
            name, _, after = rest.partition("}")
            variable = f"(?P<{name}>.*)" if brace else ""
            pattern = rf"(/v(?P<version>[0-9]+.[0-9]+))?{before}{variable}{after}\Z"
            self.tried.append((method, route, re.compile(pattern)))

    def match(self, method, path):
        for each, route, pattern in self.tried:
            if each == method and (found := pattern.match(path)):
                variables = found.groupdict()
                if variables["version"] is None:
                    del variables["version"]
                return routes[method][route], route, variables
        return None


def a_router(enable_cors=False):
    router = Router()
    setup_primary_router(router, enable_cors)
    return router


OURS, REFERENCE = a_router(), Reference()
WORDS = sorted({word for _, route in TABLE for word in route.split("/") if "{" not in word})
VERSIONS = ["v1.24", "v1x24", "v124", "v12", "v1", "v1/24", "v1.2.3", "v1.24/v1.24", "v1\n4", "v"]
part = st.sampled_from([*WORDS, *VERSIONS, "web", "a\nb", "é", " ", ".", "..", "\0", "1"])
path = st.one_of(
    st.lists(part, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    st.text("/v1.2\n_pingx", max_size=12),
    st.text(max_size=12),
)


@given(st.sampled_from([*routes, "PATCH", "get", ""]), path)
def test_the_router_equals_one_that_tries_every_pattern_in_turn(method, path):
    assert OURS.match(method, path) == REFERENCE.match(method, path)


@given(st.sampled_from(TABLE), st.sampled_from(["", *VERSIONS]), st.text(max_size=12))
def test_it_does_so_for_every_route_and_any_name(asked, version, name):
    method, route = asked
    path = (f"/{version}" if version else "") + re.sub("{.*}", lambda _: name, route)
    assert OURS.match(method, path) == REFERENCE.match(method, path)


@pytest.mark.parametrize(
    ("path", "route", "variables"),
    [
        ("/v1x24/_ping", "/_ping", {"version": "1x24"}),
        ("/v124/_ping", "/_ping", {"version": "124"}),
        ("/v1/24/_ping", "/_ping", {"version": "1/24"}),
        ("/v99.99/_ping", "/_ping", {"version": "99.99"}),
        ("/v1€24/_ping", "/_ping", {"version": "1€24"}),
        ("/containers/a/b/json", "/containers/{name}/json", {"name": "a/b"}),
        ("/containers/json/json", "/containers/{name}/json", {"name": "json"}),
        ("/containers/a/json/logs", "/containers/{name}/logs", {"name": "a/json"}),
        ("/containers/\0/logs", "/containers/{name}/logs", {"name": "\0"}),
        ("/networks/", "/networks/{networkid}", {"networkid": ""}),
        ("/volumes/a/b", "/volumes/{volumename}", {"volumename": "a/b"}),
    ],
)
def test_the_original_finds_these(path, route, variables):
    assert OURS.match("GET", path) == (routes["GET"][route], route, variables)


@pytest.mark.parametrize(
    "path",
    [
        *("/v12/_ping", "/v1/_ping", "/v1.2.3/_ping", "/V1.24/_ping", "/v1\n24/_ping"),
        *("/v1.24/v1.24/_ping", "/v٦.24/_ping", "/v1.24", "/v1.24/", "/_ping/", "/"),
        *("/containers/logs", "/containers/\n/logs", "/containers/a\n/logs", "/nonsense"),
        *("/containers/a/nonsense", "/images/a/attach/ws", "", "_ping", "x/containers/a/logs"),
    ],
)
def test_the_original_finds_none_of_these(path):
    assert OURS.match("GET", path) is None


def test_an_empty_name_is_one_where_it_comes_last():
    route = "/containers/{name}"
    assert OURS.match("DELETE", "/containers/") == (routes["DELETE"][route], route, {"name": ""})


def test_a_match_can_be_changed_without_harm():
    OURS.match("GET", "/_ping").variables["name"] = "web"
    assert OURS.match("GET", "/_ping").variables == {}


def test_of_two_handlers_for_one_route_the_first_answers():
    router = Router()
    for route in ("/a", "/b/{name}"):
        router.add("GET", route, "first")
        router.add("GET", route, "second")
    assert router.match("GET", "/a") == ("first", "/a", {})
    assert router.match("GET", "/b/1") == ("first", "/b/{name}", {"name": "1"})


@pytest.mark.parametrize("route", ["/a/{x}/b/c", "/a/{x}/{y}", "/a/b/{x}", "/{x}/b/{y}"])
def test_a_route_that_cannot_be_told_from_others_is_refused(route):
    router = Router()
    router.add("GET", "/a/{x}/c", "first")
    why = re.escape(f"cannot be told from others: GET {route}")
    with pytest.raises(ValueError, match=f"^{why}$"):
        router.add("GET", route, "second")


# Paths that are written oddly.


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        *(("", "/"), ("/", "/"), ("//", "/"), ("/.", "/"), ("/..", "/"), ("/a/..", "/")),
        *(("/a/../", "/"), ("/a/", "/a/"), ("/a//", "/a/"), ("//a", "/a"), ("/a/.", "/a")),
        *(("/./a", "/a"), ("/a/./b/", "/a/b/"), ("/../a", "/a"), ("/a/../../b", "/b")),
        *(("/.a/..b/c..", "/.a/..b/c.."), ("*", "/*"), ("///a///b", "/a/b")),
    ],
)
def test_a_path_is_cleaned_as_go_cleans_it(path, clean):
    assert clean_path(path) == clean


@given(st.text("/.ab", max_size=12))
def test_what_is_clean_stays_as_it_is(path):
    assert clean_path(clean_path(path)) == clean_path(path)


# The application.


async def pong(context, request):
    return Response("pong", headers={"API-Version": "1.41", "Access-Control-Allow-Origin": "me"})


async def name_of(context, request):
    return Response(repr((request.scope["route"], request.path_params)))


def an_application(enable_cors=False, stdout=None, stderr=None, **handlers):
    """Return a manager's API with handlers of one's own, at `/x/{name}`."""
    world = Lab().world("manager", stdout or io.StringIO())
    world.stderr = stderr
    router = a_router(enable_cors)
    for name, handler in handlers.items():
        router.add("GET", f"/{name}", handler)
    context = Context(EventHandlers(), world, APIEventHandler(), list)
    return Primary(context, router, enable_cors)


async def said_by(app, method, target):
    """Return status, fields and body of an answer, as a server would ask for it."""
    raw, _, query = target.partition("?")
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    scope = {"type": "http", "method": method, "headers": []}
    paths = {"path": unquote(raw), "raw_path": raw.encode(), "query_string": query.encode()}
    await app({**scope, **paths}, receive, send)
    fields = {key.decode(): value.decode() for key, value in said[0]["headers"]}
    assert len(fields) == len(said[0]["headers"])
    return said[0]["status"], fields, b"".join(each["body"] for each in said[1:])


def ask(app, method, target):
    return asyncio.run(said_by(app, method, target))


def test_an_unknown_path_is_404_and_says_nothing_of_us():
    assert ask(an_application(), "GET", "/nonsense") == NOT_FOUND


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"])
def test_an_unknown_method_is_404_and_not_405(method):
    assert ask(an_application(), method, "/_ping") == NOT_FOUND
    assert ask(an_application(), method, "/v1.24/_ping") == NOT_FOUND


def test_head_is_for_archive_alone():
    heads = [route for _, route in TABLE if OURS.match("HEAD", re.sub("{.*}", "web", route))]
    assert set(heads) == {"/containers/{name}/archive"}


def test_every_answer_of_a_route_says_the_version_once():
    status, fields, body = ask(an_application(x=pong), "GET", "/x")
    assert (status, fields["api-version"], body) == (200, "1.30", b"pong")


def test_cors_fields_are_said_on_a_route_and_nowhere_else():
    app = an_application(enable_cors=True, x=pong)
    _, fields, _ = ask(app, "GET", "/x")
    assert fields == {"content-length": "4", **ALLOWED, "api-version": "1.30"}
    assert ask(app, "GET", "/nonsense") == NOT_FOUND
    assert ask(app, "GET", "//x") == (301, {"content-length": "0", "location": "/x"}, b"")


def test_an_error_of_a_route_has_cors_fields_too():
    async def refuse(context, request):
        raise HTTPError(404, "No such thing: x")

    status, fields, _ = ask(an_application(enable_cors=True, x=refuse), "GET", "/x")
    assert status == 404
    assert fields == {"content-length": "17", **PLAIN, **ALLOWED, "api-version": "1.30"}


def test_options_are_answered_for_every_route_with_cors_and_for_none_without():
    plain, cors = a_router(), a_router(enable_cors=True)
    for _, route in TABLE:
        for path in (name := re.sub("{.*}", "web", route)), f"/v1.24{name}":
            assert plain.match("OPTIONS", path) is None
            assert cors.match("OPTIONS", path).handler.__name__ == "options_handler"
    status, fields, body = ask(an_application(enable_cors=True), "OPTIONS", "/v1.24/info")
    assert (status, body) == (200, b"")
    assert fields == {"content-length": "0", **ALLOWED, "api-version": "1.30"}


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("//info?x=1", "/info?x=1"),
        ("/a/../info", "/info"),
        ("/x/%2e%2e/info", "/info"),
        ("/%2Finfo", "/info"),
        ("/containers//logs", "/containers/logs"),
        ("/containers/x/y%2F/json", "/containers/x/y/json"),
        ("/containers/..", "/"),
        ("/v1.24/networks/..", "/v1.24"),
        ("/a%0Ab//x", "/a%0Ab/x"),
        ("/a%20b/../c%20d%2A*(%C3%A9)", "/c%20d%2A%2A%28%C3%A9%29"),
        ("/.//$&+,/:;=@~_-.", "/$&+,/:;=@~_-."),
        ("//info?x=%0d%0a", "/info?x=%0d%0a"),
        ("", "/"),
        ("*", "/%2A"),
    ],
)
def test_an_unclean_path_is_sent_to_the_clean_one(target, place):
    moved = (301, {"content-length": "0", "location": place}, b"")
    assert ask(an_application(), "GET", target) == moved
    assert ask(an_application(), "DELETE", target) == moved


def test_a_redirect_cannot_be_made_to_say_more_than_a_path():
    status, fields, _ = ask(an_application(), "GET", "//a\r\nX: 1?b\r\nY: 2")
    assert (status, fields["location"]) == (301, "/a%0D%0AX:%201?b%0D%0AY:%202")


def test_signs_in_a_name_are_those_that_were_escaped():
    app = an_application(**{"x/{name}": name_of})
    for written, name in {
        "a%2Fb": "a/b",
        "%00": "\0",
        "%25": "%",
        "%252F": "%2F",
        "a%3Fb?c": "a?b",
        "a+b": "a+b",
    }.items():
        _, _, body = ask(app, "GET", f"/x/{written}")
        assert body.decode() == repr(("/x/{name}", {"name": name}))


# What goes wrong.


def refused(error, **streams):
    async def fail(context, request):
        raise error

    return ask(an_application(x=fail, **streams), "GET", "/x")


def test_an_error_is_plain_text_for_people_and_is_logged():
    log = io.StringIO()
    status, fields, body = refused(HTTPError(404, "No such container: x"), stdout=log)
    assert (status, body) == (404, b"No such container: x\n")
    assert fields == {"content-length": "21", **PLAIN, "api-version": "1.30"}
    line = 'level=error msg="HTTP error: No such container: x" status=404\n'
    assert log.getvalue().partition(" ")[2] == line


def test_what_a_cluster_cannot_do_is_500():
    status, _, body = refused(ClusterError("No nodes available in the cluster"))
    assert (status, body) == (500, b"No nodes available in the cluster\n")


def test_a_conflict_is_409():
    status, _, body = refused(ClusterError("Conflict: The name x is already assigned."))
    assert (status, body) == (409, b"Conflict: The name x is already assigned.\n")


def test_a_bug_is_500_and_tells_the_client_nothing():
    log, errors = io.StringIO(), io.StringIO()
    status, fields, body = refused(KeyError("secret"), stdout=log, stderr=errors)
    assert (status, body) == (500, b"Internal Server Error\n")
    assert fields == {"content-length": "22", **PLAIN, "api-version": "1.30"}
    line = 'level=error msg="HTTP error: Internal Server Error" status=500\n'
    assert log.getvalue().partition(" ")[2] == line
    first, *_, last = errors.getvalue().splitlines()
    assert first[20:] == "http: panic serving: Traceback (most recent call last):"
    assert "in fail\n" in errors.getvalue()
    assert last == "KeyError: 'secret'"


def test_several_bugs_at_once_are_one_500():
    group = ExceptionGroup("several", [KeyError("one"), ClusterError("two")])
    assert refused(group, stderr=io.StringIO())[::2] == (500, b"Internal Server Error\n")


@pytest.mark.parametrize("error", [HTTPError(500, "late"), ClusterError("late"), KeyError("late")])
def test_an_error_after_the_answer_has_begun_cuts_the_connection(error):
    async def begin(context, request):
        async def chunks():
            yield b"begun"
            raise error

        return StreamingResponse(chunks())

    log, errors, seen = io.StringIO(), io.StringIO(), []

    async def read(client):
        async with client.stream("GET", "/x") as answer, aclosing(answer.aiter_raw()) as chunks:
            async for chunk in chunks:
                seen.append((answer.status_code, chunk))

    async def main():
        async with Lab() as lab:
            lab.network.plug("m:1", an_application(x=begin, stdout=log, stderr=errors))
            async with lab.world("client").client("http://m:1") as client:
                with pytest.raises(httpx2.RemoteProtocolError, match=CUT_OFF):
                    await read(client)

    asyncio.run(main())
    assert seen == [(200, b"begun")]
    assert "HTTP error: " in log.getvalue()
    assert bool(errors.getvalue()) == isinstance(error, KeyError)


def test_over_a_socket_half_an_answer_has_no_end():
    async def begin(context, request):
        async def chunks():
            yield b"begun"
            raise HTTPError(500, "late")

        return StreamingResponse(chunks())

    async def main():
        world = World(stdout=io.StringIO(), stderr=io.StringIO())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            app = an_application(x=begin)
            serving = asyncio.create_task(api_server.serve(app, listener, None, world))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            said = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        return said, world.stderr.getvalue()

    said, logged = asyncio.run(main())
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n5\r\nbegun\r\n")
    assert logged == ""


def test_a_client_that_has_left_is_no_error():
    async def leave(context, request):
        raise ClientDisconnect

    log = io.StringIO()
    app = an_application(x=leave, stdout=log, stderr=log)
    with pytest.raises(IndexError):
        ask(app, "GET", "/x")
    assert log.getvalue() == ""


def test_requests_are_logged_for_whoever_debugs():
    log = io.StringIO()
    app = an_application(x=pong, stdout=log)
    ask(app, "GET", "/x?a=1")
    app.context.world.log.set_level("debug")
    ask(app, "GET", "/v1.24/x?a=%20")
    ask(app, "GET", "/nonsense")
    line = 'level=debug msg="HTTP request received" method=GET uri="/v1.24/x?a=%20"\n'
    assert log.getvalue().partition(" ")[2] == line


# A manager.


def test_a_new_primary_hears_of_events():
    handlers = EventHandlers()
    context = Context(handlers, Lab().world("manager"), APIEventHandler(), list)
    new_primary(context)
    with pytest.raises(ValueError, match="event handler already set"):
        handlers.register_event_handler(context.events_handler)


def test_the_profiler_is_there_with_debug_and_only_then():
    def primary(debug):
        world = Lab().world("manager")
        return new_primary(Context(EventHandlers(), world, APIEventHandler(), list, debug=debug))

    assert ask(primary(False), "GET", "/debug/pprof/") == NOT_FOUND
    assert ask(primary(True), "GET", "/debug/pprof/")[0] == 200
    assert ask(primary(True), "GET", "/debug/pprof") == NOT_FOUND
    assert ask(primary(True), "GET", "/debug/pprof/nonsense") == NOT_FOUND


def test_a_manager_of_two_engines_answers_on_every_route():
    async def main():
        async with manager("node-1", "node-2") as managed:
            statuses = {}
            for method, route in TABLE:
                if route == "/events":
                    continue
                path = re.sub("{.*}", "web", route)
                for target in (path, f"/v1.24{path}"):
                    answer = await managed.client.request(method, target)
                    assert answer.headers.get_list("api-version") == ["1.30"], (method, target)
                    statuses.setdefault(answer.status_code, set()).add((method, route))
            return statuses

    statuses = asyncio.run(main())
    assert statuses[501] == {("GET", "/images/viz")}
    whole = {"/_ping", "/info", "/version", "/images/json", "/containers/ps", "/containers/json"}
    assert {("GET", each) for each in {*whole, "/networks", "/volumes"}} <= statuses[200]


# The original.


def listens(port):
    with socket.socket() as connection:
        return not connection.connect_ex(("127.0.0.1", port))


@contextmanager
def original(*options):
    """Run the original's manager, of nobody; yield its port."""
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = [program, "manage", "-H", f"tcp://127.0.0.1:{port}", *options, "nodes://127.0.0.1:1"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


NAMES = ["web", "a/b", "a%2Fb", "%00", "%0A", "%C3%A9", "a%20b", "x?y", "%252F", "json", "a/json"]
NAMES += ["..", "%2e%2e", "", ".", ".a", "a..", "a%3Fb", "a%23b", "a%25b", "a+b", "a;b", "%61"]
ODD = ["/v1x24", "/v124", "/v1/24", "/v12", "/v1", "/v1.", "/v.1", "/v1.2.3", "/V1.24", "/v1.024"]
ODD += ["/v99.99", "/v1%2e24", "/v1%2F24", "/v1%0A24", "/v1%E2%82%AC24", "/v%D9%A6.24", "/v123/4"]
ODD += ["/v1.24/v1.24", "/v1.24x", "/v1%2024", "/v1%252", "/v1%FF24", "/vv1.24", "/v", "/x"]
UNCLEAN = ["//_ping", "/./_ping", "/../_ping", "/_ping/", "/_ping/.", "/_ping//", "/a/..", "/a/../"]
UNCLEAN += ["/", "//", "/containers//json", "/containers/../json", "/containers/a//b/logs", "/.x/"]
UNCLEAN += ["/containers/a/../b/logs?x=1&y=%2F", "/%2e/_ping", "/%2F_ping", "/_ping%2F", "/%5Fping"]
UNCLEAN += ["/a%20b/../c%20d%2A*(%C3%A9)", "/a%0Ab//x", "/%01//", "/containers/x/y%2F/json", "/%zz"]
UNCLEAN += ["/containers/%2/logs", "/%"]
OWN = {"/info", "/version", "/events", "/exec/{execid}/start"}
"""What two managers say of themselves differs; and the original answers one request twice."""


def odd_requests():
    """Return what both managers are asked, as methods and targets."""
    asked = []
    for method, route in (each for each in TABLE if each[1] not in OWN):
        names = NAMES if "{" in route else [""]
        asked += [(method, re.sub("{.*}", lambda _, name=name: name, route)) for name in names]
    paths = {re.sub("{.*}", "web", route) for _, route in TABLE if route != "/events"}
    for method in ("HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "get"):
        asked += [(method, path) for path in sorted(paths)]
    asked += [(method, f"/v1.24{path}") for method, path in asked]
    rest = ("/_ping", "/containers/a/logs", "/networks/a", "")
    asked += [("GET", odd + path) for odd in ODD for path in rest]
    asked += [("GET", path) for path in UNCLEAN]
    return asked


async def asked_raw(port, method, target):
    """Return what a server says, without what is said of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"{method} {target} HTTP/1.0", "Host: x", "Content-Length: 0", "", ""]
        writer.write("\r\n".join(lines).encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status, *fields = head.decode("latin-1").split("\r\n")
    # "0\r\n\r\n" is a chunked body, and empty.
    hop = ("date:", "connection:", "content-length:", "transfer-encoding:")
    kept = sorted(name.lower() + value for name, value in (each.split(":", 1) for each in fields))
    kept = [each for each in kept if not (each.partition(" ")[0] + ":").startswith(hop)]
    return status.split()[1], *kept, body.removeprefix(b"0\r\n\r\n")


@pytest.mark.parametrize("options", [(), ("--cors",)])
def test_the_original_answers_the_same_on_two_thousand_paths(options):
    async def main(theirs):
        world = World(stdout=io.StringIO())
        nobody = Nodes("127.0.0.1:1", 60, 180, {}, world)
        scheduler = Scheduler(strategies.new("spread", world.random), filters.new(filters.FILTERS))
        cluster = new_cluster(scheduler, None, nobody, [], EngineOptions(), world)
        context = Context(cluster, world, cluster.new_api_event_handler(), list)
        app = new_primary(context, enable_cors="--cors" in options)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = listener.getsockname()[1]
            serving = asyncio.create_task(api_server.serve(app, listener, None))
            asked = odd_requests()
            said = [[await asked_raw(port, *each) for port in (theirs, ours)] for each in asked]
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        return [(each, pair) for each, pair in zip(asked, said, strict=True) if len({*pair}) > 1]

    assert len(odd_requests()) > 2_000
    with original(*options) as port:
        assert asyncio.run(main(port)) == []
