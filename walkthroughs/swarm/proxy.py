"""Passing a request on to an engine, and its answer back: api/utils.go, handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `copyHeader`                              | `passed_on`                         |
| `http.CloseNotifier`                      | `Upload.gone`, `unless_gone`        |
| `client.Do`                               | `send_on`                           |
| `proxyAsync`, `proxy`, `NewWriteFlusher`  | `Forward`, `proxy`                  |
| `getContainerFromVars`                    | `container_of`                      |
| `proxyContainer`, `proxyContainerAndForceRefresh`, `proxyRandom` | same names   |
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias, TypeVar

import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import ANSWER_LIMIT, CLOSED, EngineError, explain
from walkthroughs.swarm.handler import Context, HTTPError, path_to
from walkthroughs.swarm.world import reason

T = TypeVar("T")

Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Names and values of a message's head."""

HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
"""What concerns one connection, of which there are two."""
OURS = {b"date", b"expect", b"host"}
"""What each server and client says for itself."""


def values_of(fields: Fields, name: bytes) -> set[bytes]:
    """Return the words of a field that is a list, in small letters."""
    values = b",".join(value for key, value in fields if key.lower() == name)
    return {word.strip().lower() for word in values.split(b",")}


def passed_on(fields: Fields, ours: Iterable[bytes] = OURS) -> Fields:
    """Return the fields that are the other side's business."""
    kept = HOP_BY_HOP | values_of(fields, b"connection") | set(ours)
    return [(name, value) for name, value in fields if name.lower() not in kept]


class Upload:
    """The body of a request as it comes, and the word that its client has left."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._read = asyncio.Event()
        fields = dict(scope["headers"])
        sized = fields.get(b"content-length", b"0") != b"0"
        self.expected = sized or b"transfer-encoding" in fields
        """Whether there is one at all."""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; raise `ClientDisconnect`."""
        try:
            more = True
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                more = message.get("more_body", False)
                yield message.get("body", b"")
        finally:
            self._read.set()

    def has_been_read(self) -> None:
        """Note that somebody else has read it, and that nobody will."""
        self._read.set()

    async def gone(self) -> None:
        """Return when the client has left."""
        if self.expected:
            await self._read.wait()
        # What is left of a body that the engine did not want is dropped.
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def unless_gone(upload: Upload, work: Coroutine[Any, Any, T]) -> T:
    """Return what a work returns; when the client leaves, end it.

    Raise `ClientDisconnect` for that.
    """
    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(upload.gone())
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        leaving.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def send_on(
    client: httpx2.AsyncClient,
    request: Request,
    target: str,
    content: bytes | AsyncGenerator[bytes, None] | None,
) -> httpx2.Response:
    """Send a request to `target`, a path with its query; return the answer's head.

    Raise `EngineError`.
    """
    ours = OURS | {b"content-length"} if isinstance(content, bytes) else OURS
    url = client.base_url.copy_with(raw_path=target.encode())
    sent = httpx2.Request(
        request.method,
        url,
        headers=passed_on(request.headers.raw, ours),
        content=content,
        extensions={"timeout": client.timeout.as_dict()},
    )
    try:
        return await client.send(sent, stream=True)
    except (httpx2.HTTPError, OSError) as error:
        raise explain(error, sent, f"tcp://{url.netloc.decode()}", False) from None
    except RuntimeError:
        raise EngineError(CLOSED) from None


def target_of(path: str, query: bytes) -> str:
    """Return a path and its query, with nothing in it that ends a line."""
    said = re.sub(rb"[^!-~]", lambda sign: b"%%%02X" % ord(sign[0]), query)
    return f"{path}?{said.decode()}" if said else path


After: TypeAlias = Callable[[int], Awaitable[None]]
"""What is to be done when the answer is there, whose status it is given."""


class Forward(Response):
    """The answer of another server, passed on as it comes.

    With `then`, its body is kept until `then` is done: who has read the answer sees
    the effect of the order.
    """

    def __init__(
        self,
        send_request: Callable[[Upload], Awaitable[httpx2.Response]],
        then: After | None = None,
    ) -> None:
        self.send_request = send_request
        self.then = then
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = Upload(scope, receive)
        with suppress(ClientDisconnect):
            await unless_gone(upload, self._pass(upload, send))

    async def _pass(self, upload: Upload, send: Send) -> None:
        async with aclosing(await self.send_request(upload)) as answer:
            if self.then:
                await self._pass_with(self.then, answer, send)
            else:
                await send(head_of(answer))
                async with aclosing(raw_chunks(answer)) as chunks:
                    async for chunk in chunks:
                        await send(body(chunk, more=True))
                await send(body(b""))

    async def _pass_with(
        self, then: After, answer: httpx2.Response, send: Send
    ) -> None:
        # `docker wait` is told at once that it waits.
        early = answer.status_code == 200 and "content-length" not in answer.headers
        if early:
            await send(head_of(answer))
        content = await read_raw(answer)
        # It is the order that has to succeed, not this.
        with suppress(EngineError):
            await then(answer.status_code)
        if not early:
            await send(head_of(answer))
        await send(body(content))


def head_of(answer: httpx2.Response) -> Message:
    """Return an ASGI message with the head of another server's answer."""
    fields = passed_on(answer.headers.raw)
    status = answer.status_code
    return {"type": "http.response.start", "status": status, "headers": fields}


def body(chunk: bytes, more: bool = False) -> Message:
    """Return an ASGI message with a piece of a body, or with the end of it."""
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def raw_chunks(answer: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes, which may be compressed; raise `EngineError`."""
    try:
        async with aclosing(answer.aiter_raw()) as chunks:
            async for chunk in chunks:
                yield chunk
    except (httpx2.HTTPError, OSError) as error:
        raise EngineError(f"half an answer: {reason(error)}") from None
    except RuntimeError:
        raise EngineError(CLOSED) from None


async def read_raw(answer: httpx2.Response) -> bytes:
    """Return a body whole; raise `EngineError`."""
    content = bytearray()
    async with aclosing(raw_chunks(answer)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > ANSWER_LIMIT:
                raise EngineError(f"the answer has more than {ANSWER_LIMIT:,} bytes")
    return bytes(content)


async def proxy(
    engine: Engine,
    request: Request,
    path: str,
    then: After | None = None,
    query: bytes | None = None,
    content: bytes | None = None,
) -> Response:
    """Have an engine answer a request, at a path of its own; raise `EngineError`.

    `query` and `content` are for what is to be said instead of the client's words.
    """
    asked = request.scope["query_string"] if query is None else query
    target = target_of(path, asked)

    async def send_request(upload: Upload) -> httpx2.Response:
        with engine.talk() as api:
            if content is not None:
                upload.has_been_read()
                return await send_on(api.client, request, target, content)
            chunks = upload.chunks() if upload.expected else None
            return await send_on(api.client, request, target, chunks)

    return Forward(send_request, then)


def container_of(context: Context, request: Request) -> Container:
    """Return whom the route's variable means; raise `HTTPError`."""
    if exec_id := request.path_params.get("execid"):
        # The engine lists a command no more when it has ended; its client asks how.
        ours = context.memory.get("execs", {}).get(exec_id)
        for container in context.cluster.containers():
            if ours == container.id or exec_id in (container.info.get("ExecIDs") or []):
                return container
        raise HTTPError(404, f"Exec {exec_id} not found")
    return named(context, request.path_params["name"])


def named(context: Context, name: str) -> Container:
    """Return a container on an engine that can be asked; raise `HTTPError`."""
    if not (container := context.cluster.container(name)):
        raise HTTPError(404, f"No such container: {name}")
    if not container.engine.is_healthy():
        where = f"running on unhealthy node {container.engine.name}"
        raise HTTPError(500, f"Container {name} {where}")
    return container


def place_of(request: Request, container: Container) -> str:
    """Return the path for an engine, which knows containers by their id."""
    return path_to(request, request.path_params.get("execid") or container.id)


async def proxy_container(context: Context, request: Request) -> Response:
    """Have the engine answer that has the container."""
    container = container_of(context, request)
    return await proxy(container.engine, request, place_of(request, container))


async def proxy_container_and_force_refresh(
    context: Context, request: Request
) -> Response:
    """Do that, and ask how the container is now."""
    container = container_of(context, request)
    engine = container.engine

    async def refresh(status: int) -> None:
        await engine.inventory.refresh_container(container.id, full=True)

    return await proxy(engine, request, place_of(request, container), refresh)


async def proxy_random(context: Context, request: Request) -> Response:
    """Have an engine answer, whichever the scheduler picks."""
    engine = context.cluster.random_engine()
    return await proxy(engine, request, path_to(request, ""))
