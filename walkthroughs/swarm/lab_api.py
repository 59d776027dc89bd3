"""The engine API, versions 1.12 to 1.41, as an ASGI application over a `LabEngine`.

| of dockerd                     | here                                             |
|--------------------------------|--------------------------------------------------|
| `api/server/router/*`          | `LabAPI.respond`: a pattern for each route       |
| `httputils.MakeErrorHandler`   | JSON with one key, `message`                     |
| `VersionMiddleware`            | `split_version`                                  |
| a slow disk, a broken proxy    | `LabEngine.slow`, `LabEngine.fault`              |
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import cast

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.lab_engine import API_VERSION, OLDEST_VERSION, LabEngine
from walkthroughs.swarm.lab_images import UNREACHABLE, full_name
from walkthroughs.swarm.lab_machine import (
    RECENT,
    DaemonError,
    Filters,
    Json,
    has_labels,
    is_one_of,
)
from walkthroughs.swarm.world import within

MEDIA_TYPE = "application/json"


class LabAPI:
    """What answers for an engine."""

    def __init__(self, engine: LabEngine) -> None:
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = self.engine
        if engine.slow:
            await engine.lab.clock.sleep(engine.slow)
        request = Request(scope, receive)
        try:
            if engine.fault == "500":
                raise DaemonError(500, "the lab has this engine fail")
            response = await self.respond(request)
        except DaemonError as error:
            response = reply({"message": error.message}, error.status)
        if engine.fault in ("garbage", "half", "empty"):
            response = spoiled(response, engine.fault)
        response.headers.update(self.headers())
        await response(scope, receive, send)

    def headers(self) -> dict[str, str]:
        engine = self.engine
        return {
            "Api-Version": API_VERSION,
            "Docker-Experimental": "false",
            "Ostype": engine.ostype,
            "Server": f"Docker/{engine.version} ({engine.ostype})",
        }

    async def respond(self, request: Request) -> Response:
        """Return the answer to a request; raise `DaemonError`."""
        engine, query = self.engine, request.query_params
        parts = without_version(request.scope["path"]).split("/")[1:]
        match request.method, parts:
            case "GET" | "HEAD", ["_ping"]:
                still = {"Cache-Control": "no-cache, no-store, must-revalidate"}
                return PlainTextResponse("OK", headers=still | {"Pragma": "no-cache"})
            case "GET", ["info"]:
                return reply(engine.info())
            case "GET", ["version"]:
                return reply(engine.version_info())
            case "GET", ["events"]:
                return self.events(request)
            case method, ["containers", *rest]:
                return await self.containers(method, rest, request)
            case method, ["images", *rest]:
                return await self.images(method, rest, request)
            case method, ["networks", *rest]:
                return await self.networks(method, rest, request)
            case method, ["volumes", *rest]:
                return await self.volumes(method, rest, request)
            case "POST", ["build"]:
                return lines(engine.build(await request.body(), query.getlist("t")))
            case "POST", ["commit"]:
                return await self.commit(request)
            case "GET", ["distribution", *name, "json"]:
                full_name("/".join(name))
                raise DaemonError(500, UNREACHABLE)
            case _:
                raise nowhere()

    async def containers(
        self, method: str, rest: list[str], request: Request
    ) -> Response:
        engine, query = self.engine, request.query_params
        match method, rest:
            case "GET", ["json"]:
                everything = is_true(query.get("all"))
                found = engine.list_containers(everything, filters_of(request))
                return reply(found)
            case "POST", ["create"]:
                made = engine.create(query.get("name", ""), **await json_of(request))
                return reply({"Id": made.id, "Warnings": []}, 201)
            case "GET", [name, "json"]:
                return reply(engine.inspect(name))
            case "POST", [name, "start"]:
                return reply(status=204 if engine.start(name) else 304)
            case "POST", [name, "stop"]:
                return reply(status=204 if engine.stop(name) else 304)
            case "POST", [name, "kill"]:
                engine.kill(name, query.get("signal") or "KILL")
            case "POST", [name, "restart"]:
                engine.restart(name)
            case "POST", [name, "pause"]:
                engine.pause(name)
            case "POST", [name, "unpause"]:
                engine.unpause(name)
            case "POST", [name, "rename"]:
                engine.rename(name, query.get("name", ""))
            case "POST", [name, "update"]:
                engine.update(name, **await json_of(request))
                return reply({"Warnings": None})
            case "POST", [name, "wait"]:
                return self.wait(name, query.get("condition", "not-running"))
            case "DELETE", [name]:
                force, volumes = is_true(query.get("force")), is_true(query.get("v"))
                engine.remove(name, force, volumes)
            case _:
                raise nowhere()
        return reply(status=204)

    def wait(self, name: str, condition: str) -> Response:
        self.engine.container(name)

        async def end() -> AsyncIterator[bytes]:
            code = await self.engine.wait(name, condition)
            yield encode({"Error": None, "StatusCode": code})

        return StreamingResponse(end(), media_type=MEDIA_TYPE)

    async def images(self, method: str, rest: list[str], request: Request) -> Response:
        engine, query = self.engine, request.query_params
        match method, rest:
            case "GET", ["json"]:
                return reply(engine.list_images(filters_of(request)))
            case "POST", ["create"]:
                return await self.create_image(request)
            case "POST", ["load"]:
                return lines(engine.load(await request.body()))
            case "GET", [*name, "json"]:
                return reply(engine.inspect_image("/".join(name)))
            case "POST", [*name, "tag"]:
                repo, tag = query.get("repo", ""), query.get("tag", "")
                engine.tag("/".join(name), repo, tag)
                return reply(status=201)
            case "DELETE", [_, *_]:
                force = is_true(query.get("force"))
                return reply(engine.remove_image("/".join(rest), force))
            case _:
                raise nowhere()

    async def create_image(self, request: Request) -> Response:
        query = request.query_params
        tag = query.get("tag", "")
        if name := query.get("fromImage"):
            mark = "@" if tag.startswith("sha256:") else ":"
            return lines(self.engine.pull(f"{name}{mark}{tag}" if tag else name))
        body, repo = await request.body(), query.get("repo", "")
        return lines(self.engine.import_image(body, repo, tag))

    async def commit(self, request: Request) -> Response:
        query = request.query_params
        config = await json_of(request) if await request.body() else {}
        repo, tag = query.get("repo", ""), query.get("tag", "")
        said = query.get("comment", "")
        name = query.get("container", "")
        image = self.engine.commit(name, repo, tag, said, **config)
        return reply({"Id": image.id}, 201)

    async def networks(
        self, method: str, rest: list[str], request: Request
    ) -> Response:
        engine = self.engine
        match method, rest:
            case "GET", []:
                return reply(engine.list_networks(filters_of(request)))
            case "POST", ["create"]:
                body = await json_of(request)
                net = engine.create_network(
                    body.get("Name", ""),
                    body.get("Driver") or "bridge",
                    body.get("Labels"),
                    body.get("Options"),
                    body.get("Internal", False),
                    body.get("CheckDuplicate", False),
                )
                return reply({"Id": net.id, "Warning": ""}, 201)
            case "GET", [name]:
                return reply(engine.inspect_network(name))
            case "POST", [name, "connect"]:
                body = await json_of(request)
                engine.connect(name, body["Container"], body.get("EndpointConfig"))
                return reply()
            case "POST", [name, "disconnect"]:
                body = await json_of(request)
                engine.disconnect(name, body["Container"])
                return reply()
            case "DELETE", [name]:
                engine.remove_network(name)
                return reply(status=204)
            case _:
                raise nowhere()

    async def volumes(self, method: str, rest: list[str], request: Request) -> Response:
        engine = self.engine
        match method, rest:
            case "GET", []:
                volumes = engine.list_volumes(filters_of(request))
                return reply({"Volumes": volumes, "Warnings": None})
            case "POST", ["create"]:
                body = await json_of(request)
                name, driver = body.get("Name", ""), body.get("Driver", "")
                return reply(
                    engine.create_volume(name, driver, body.get("Labels")), 201
                )
            case "GET", [name]:
                return reply(engine.volume(name))
            case "DELETE", [name]:
                engine.remove_volume(name)
                return reply(status=204)
            case _:
                raise nowhere()

    def events(self, request: Request) -> Response:
        query = request.query_params
        since, until = moment(query.get("since")), moment(query.get("until"))
        if since and until and since > until:
            since, until = query["since"], query["until"]
            why = f"`since` time ({since}) cannot be after `until` time ({until})"
            raise DaemonError(400, why)
        body = self.follow(since, until, filters_of(request))
        return StreamingResponse(body, media_type=MEDIA_TYPE)

    async def follow(
        self, since: float, until: float, filters: Filters
    ) -> AsyncIterator[bytes]:
        """Yield events: those since a second, if it is given, and what comes."""
        engine = self.engine
        with engine.subscribe() as queue:
            for event in engine.events[-RECENT:] if since else ():
                at = event["timeNano"] / 1e9
                if since <= at <= (until or at) and event_matches(event, filters):
                    yield encode(event)
            while not until or engine.time() < until:
                try:
                    event = await self.next_event(queue, until)
                except TimeoutError:
                    return
                if event_matches(event, filters):
                    yield encode(event)

    async def next_event(self, queue: "asyncio.Queue[Json]", until: float) -> Json:
        if not until:
            return await queue.get()
        left = until - self.engine.time()
        return await within(left, queue.get(), self.engine.lab.clock)


def reply(content: object = None, status: int = 200) -> Response:
    """Return an answer of JSON, or of nothing."""
    if content is None:
        return Response(status_code=status)
    return Response(encode(content), status, media_type=MEDIA_TYPE)


def encode(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def lines(messages: Iterable[Json]) -> Response:
    """Return an answer of one JSON object a line; what the first raises is raised."""
    messages = iter(messages)
    first = next(messages, None)

    async def body() -> AsyncIterator[bytes]:
        if first is not None:
            yield encode(first)
        for message in messages:
            yield encode(message)

    return StreamingResponse(body(), media_type=MEDIA_TYPE)


def spoiled(response: Response, fault: str) -> Response:
    """Return what a broken engine makes of an answer."""
    if fault == "empty":
        return Response(b"", media_type=MEDIA_TYPE)
    if fault == "garbage":
        return Response(b"<html>not an engine</html>\n", media_type="text/html")
    whole = getattr(response, "body", b"") or b'{"status":"start"}\n'

    async def half() -> AsyncIterator[bytes]:
        yield whole[: len(whole) // 2]
        raise ConnectionResetError

    return StreamingResponse(half(), media_type=MEDIA_TYPE)


def nowhere() -> DaemonError:
    return DaemonError(404, "page not found")


def without_version(path: str) -> str:
    """Return the path of `/v1.24/info` without the version; raise `DaemonError`."""
    if not (found := re.match(r"/v([0-9.]+)(/.*)", path)):
        return path
    version, rest = found.groups()
    if numbers(version) > numbers(API_VERSION):
        newest = f"Maximum supported API version is {API_VERSION}"
        raise DaemonError(400, f"client version {version} is too new. {newest}")
    if numbers(version) < numbers(OLDEST_VERSION):
        oldest = f"Minimum supported API version is {OLDEST_VERSION}"
        please = "please upgrade your client to a newer version"
        why = f"client version {version} is too old. {oldest}, {please}"
        raise DaemonError(400, why)
    return rest


def numbers(version: str) -> list[int]:
    return [int(part or 0) for part in version.split(".")]


def is_true(value: str | None) -> bool:
    return (value or "").strip().lower() not in ("", "0", "no", "false", "none")


def filters_of(request: Request) -> Filters:
    """Return the filters in a query, `{"k": ["v"]}` or `{"k": {"v": true}}`."""
    if not (text := request.query_params.get("filters")):
        return {}
    given = loads(text)
    return {key: list(values) for key, values in given.items()}


async def json_of(request: Request) -> Json:
    """Return the object that is the body of a request; raise `DaemonError`."""
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if body and kind.partition(";")[0] != MEDIA_TYPE:
        why = f"Content-Type specified ({kind}) must be '{MEDIA_TYPE}'"
        raise DaemonError(400, why)
    return loads(body.decode(errors="replace"))


def loads(text: str) -> Json:
    """Return an object; raise `DaemonError` with what Go says of the first mistake."""
    if not text:
        raise DaemonError(500, "EOF")
    try:
        return cast(Json, json.loads(text))
    except ValueError:
        why = f"invalid character '{text.lstrip()[:1]}' looking for beginning of value"
        raise DaemonError(500, why) from None


def moment(text: str | None) -> float:
    """Return Unix time, of seconds with a fraction; 0 for none."""
    try:
        return float(text or 0)
    except ValueError:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise DaemonError(500, why) from None


def event_matches(event: Json, filters: Filters) -> bool:
    actor = event["Actor"]
    attributes = actor["Attributes"]
    names = (actor["ID"], attributes.get("name", ""))
    kind = event["Type"]
    return (
        is_one_of(filters, "type", kind)
        and is_one_of(filters, "event", event["Action"])
        and (kind not in filters or is_one_of(filters, kind, *names))
        and has_labels(attributes, filters.get("label", ()))
    )
