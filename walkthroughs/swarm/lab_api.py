"""The engine API, versions 1.12 to 1.41, as an ASGI application over a `LabEngine`.

| of dockerd                     | here                                             |
|--------------------------------|--------------------------------------------------|
| `api/server/router/*`          | `LabAPI.respond`: a pattern for each route       |
| `httputils.MakeErrorHandler`   | JSON with one key, `message`                     |
| the routers of containers      | `lab_container_api`                              |
| a slow disk, a broken proxy    | `LabEngine.slow`, `LabEngine.fault`              |
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.lab_container_api import ContainerAPI
from walkthroughs.swarm.lab_engine import API_VERSION
from walkthroughs.swarm.lab_http import (
    MEDIA_TYPE,
    encode,
    filters_of,
    is_true,
    json_of,
    lines,
    moment,
    nowhere,
    reply,
    spoiled,
    without_version,
)
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


class LabAPI(ContainerAPI):
    """What answers for an engine."""

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
            case method, ["exec", *rest]:
                return await self.execs(method, rest, request)
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
            case "POST", ["auth"]:
                await json_of(request)
                raise DaemonError(500, UNREACHABLE)
            case "GET", ["distribution", *name, "json"]:
                full_name("/".join(name))
                raise DaemonError(500, UNREACHABLE)
            case _:
                raise nowhere()

    async def images(self, method: str, rest: list[str], request: Request) -> Response:
        engine, query = self.engine, request.query_params
        match method, rest:
            case "GET", ["json"]:
                return reply(engine.list_images(filters_of(request)))
            case "POST", ["create"]:
                return await self.create_image(request)
            case "GET", ["search"]:
                raise DaemonError(500, unreachable_index(query.get("term", "")))
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


def unreachable_index(term: str) -> str:
    """Return why nothing was found in a registry that nobody reaches."""
    where = f"https://index.docker.io/v1/search?q={term}&n=25"
    return f'Get "{where}": dial tcp: lookup index.docker.io: no such host'


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
