"""The engine API's routes of containers and of what is executed in them.

| of dockerd                        | here                                          |
|-----------------------------------|-----------------------------------------------|
| `router/container/container.go`   | `ContainerAPI.containers`, `inside`           |
| `router/container/exec.go`        | `ContainerAPI.execs`                          |
| `router/container/copy.go`        | `ContainerAPI.archive`                        |
"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from walkthroughs.swarm import lab_inside
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_http import (
    MEDIA_TYPE,
    RawStream,
    Said,
    encode,
    filters_of,
    is_true,
    json_of,
    moment,
    nothing,
    nowhere,
    number,
    one_line,
    reply,
)
from walkthroughs.swarm.lab_inside import Wanted
from walkthroughs.swarm.lab_machine import DaemonError, Json
from walkthroughs.swarm.lab_programs import STDERR, STDOUT

NO_BODY = "got EOF while reading request body"
BETWEEN = 1.0
"""Seconds between two measurements."""


class ContainerAPI:
    """What answers for an engine's containers."""

    def __init__(self, engine: LabEngine) -> None:
        self.engine = engine

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
            case "DELETE", [name]:
                force, volumes = is_true(query.get("force")), is_true(query.get("v"))
                engine.remove(name, force, volumes)
            case _:
                return await self.inside(method, rest, request)
        return reply(status=204)

    def wait(self, name: str, condition: str) -> Response:
        self.engine.container(name)

        async def end() -> AsyncIterator[bytes]:
            code = await self.engine.wait(name, condition)
            yield encode({"Error": None, "StatusCode": code})

        return StreamingResponse(end(), media_type=MEDIA_TYPE)

    async def inside(self, method: str, rest: list[str], request: Request) -> Response:
        """Answer what is about the inside of a container."""
        engine, query = self.engine, request.query_params
        match method, rest:
            case "POST", [name, "wait"]:
                return self.wait(name, query.get("condition", "not-running"))
            case "POST", [_, "copy"]:
                # Gone since 1.24, and without a word.
                return reply(status=404)
            case "GET", [name, "logs"]:
                return self.logs(name, request)
            case "POST", [name, "attach"]:
                return self.attach(name, request)
            case "POST", [name, "exec"]:
                container, body = engine.container(name), await body_of(request)
                made = engine.execs.create(engine.new_id(), container, body)
                return reply({"Id": made.id}, 201)
            case "POST", [name, "resize"]:
                height, width = number(query.get("h")), number(query.get("w"))
                lab_inside.resize(engine, name, height, width)
                return reply()
            case "GET", [name, "top"]:
                return reply(lab_inside.top(engine, name))
            case "GET", [name, "stats"]:
                return self.stats(name, request)
            case "GET", [name, "changes"]:
                changes = engine.container(name).files.changes()
                return Response(encode(changes or None), media_type=MEDIA_TYPE)
            case "GET", [name, "export"]:
                data = lab_inside.export(engine, name)
                return Response(data, media_type="application/octet-stream")
            case method, [name, "archive"]:
                return await self.archive(method, name, request)
            case _:
                raise nowhere()

    def logs(self, name: str, request: Request) -> Response:
        query = request.query_params
        tail = query.get("tail", "")
        body = lab_inside.logs(
            self.engine,
            name,
            streams_of(request),
            follow=is_true(query.get("follow")),
            tail=int(tail) if tail.isdecimal() else None,
            since=moment(query.get("since")),
            until=moment(query.get("until")),
            timestamps=is_true(query.get("timestamps")),
        )
        return StreamingResponse(body)

    def attach(self, name: str, request: Request) -> Response:
        query, engine = request.query_params, self.engine
        typed = request.stream()
        flags = (is_true(query.get(key)) for key in ("stdin", "logs", "stream"))
        wanted = Wanted(streams_of(request), *flags)
        try:
            container = lab_inside.attachable(engine, name)
        except DaemonError as error:
            why = error.message
            return RawStream(lambda _: one_line(why), typed, error.status)

        def talk(typed: Said) -> Said:
            return lab_inside.attach(engine, container, wanted, typed)

        return RawStream(talk, typed)

    def stats(self, name: str, request: Request) -> Response:
        query, engine = request.query_params, self.engine
        container = engine.container(name)
        forever = is_true(query.get("stream", "1"))
        at_once = is_true(query.get("one-shot")) or not container.running

        async def measure() -> AsyncIterator[bytes]:
            if not forever and at_once:
                yield encode(lab_inside.stats(engine, container, 0))
                return
            while True:
                await engine.lab.clock.sleep(BETWEEN)
                yield encode(lab_inside.stats(engine, container, BETWEEN))
                if not forever or container.id not in engine.containers:
                    return

        return StreamingResponse(measure(), media_type=MEDIA_TYPE)

    async def archive(self, method: str, name: str, request: Request) -> Response:
        query, engine = request.query_params, self.engine
        path = query.get("path", "")
        if method == "PUT":
            keep_kind = is_true(query.get("noOverwriteDirNonDir"))
            data = await request.body()
            lab_inside.unpack(engine, name, path, data, keep_kind)
            return reply()
        headers = stat_header(lab_inside.stat(engine, name, path))
        if method == "HEAD":
            return Response(headers=headers)
        data = lab_inside.pack(engine, name, path)
        return Response(data, headers=headers, media_type="application/x-tar")

    async def execs(self, method: str, rest: list[str], request: Request) -> Response:
        execs, query = self.engine.execs, request.query_params
        match method, rest:
            case "GET", [id, "json"]:
                return reply(execs.get(id).inspect())
            case "POST", [id, "start"]:
                return await self.start_exec(id, request)
            case "POST", [id, "resize"]:
                _ = number(query.get("h")), number(query.get("w"))
                execs.resize(id)
                return reply()
            case _:
                raise nowhere()

    async def start_exec(self, id: str, request: Request) -> Response:
        engine, body = self.engine, await body_of(request)
        command = engine.execs.startable(id)
        if body.get("Detach"):
            engine.execs.start(command)
            return reply()
        tty = bool(body.get("Tty"))

        def talk(typed: Said) -> Said:
            return lab_inside.execute(engine, command, tty, typed)

        return RawStream(talk, nothing(), named=True)


async def body_of(request: Request) -> Json:
    """Return the object that is the body of a request about commands."""
    if not await request.body():
        raise DaemonError(400, NO_BODY)
    return await json_of(request)


def streams_of(request: Request) -> set[int]:
    """Return the streams that are asked for."""
    names = {"stdout": STDOUT, "stderr": STDERR}
    return {names[key] for key in names if is_true(request.query_params.get(key))}


def stat_header(stat: Json) -> dict[str, str]:
    text = json.dumps(stat, separators=(",", ":")).encode()
    return {"X-Docker-Container-Path-Stat": b64encode(text).decode()}
