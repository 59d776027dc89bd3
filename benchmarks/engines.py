"""Docker engines that answer a manager and run nothing: `python -m benchmarks.engines 100`.

One process has them all, each on a port of 127.0.0.1; the ports are its first line. They cost
little beside the manager that asks them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

IDS = itertools.count(1)
NEVER = "0001-01-01T00:00:00Z"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class Engine:
    """What one engine knows."""

    def __init__(self, number: int) -> None:
        self.name = f"node-{number}"
        self.containers: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, object]:
        """Return the status and the content of an answer."""
        path, _, query = re.sub(r"^/v[0-9.]+", "", target).partition("?")
        if path == "/_ping":
            return 200, "OK"
        if path == "/info":
            return 200, self.info()
        if path == "/version":
            return 200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
        if path in ("/images/json", "/networks"):
            return 200, []
        if path == "/volumes":
            return 200, {"Volumes": [], "Warnings": None}
        if path == "/containers/json":
            wanted = re.findall("[0-9a-f]{64}", unquote(query))
            return 200, [self.item(each) for each in wanted or self.containers]
        if path == "/containers/create":
            return self.create(query, json.loads(body))
        if found := re.fullmatch("/containers/([0-9a-f]{64})/json", path):
            return 200, self.containers[found[1]]
        return 404, {"message": f"page not found: {method} {path}"}

    def info(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        labels = ["storage=ssd"]
        system = {"OSType": "linux", "Driver": "overlay2", "SystemTime": now, "Labels": labels}
        return {"ID": self.name, "Name": self.name, "NCPU": 64, "MemTotal": 64 << 30, **system}

    def create(self, query: str, body: dict[str, Any]) -> tuple[int, object]:
        identity = f"{next(IDS):064x}"
        state = {"Running": False, "Status": "created", "StartedAt": NEVER, "FinishedAt": NEVER}
        self.containers[identity] = {
            "Id": identity,
            "Name": "/" + (query.partition("name=")[2] or identity[-12:]),
            "Created": "2017-07-14T02:40:00Z",
            "State": state,
            "HostConfig": body.pop("HostConfig", {}),
            "NetworkSettings": {"Networks": {}},
            "Config": body,
        }
        return 201, {"Id": identity, "Warnings": []}

    def item(self, identity: str) -> dict[str, Any]:
        known = self.containers[identity]
        shown = {"Id": identity, "Names": [known["Name"]], "Labels": known["Config"].get("Labels")}
        return {**shown, "Created": 1_500_000_000, "State": "created", "Image": "busybox"}


class Wire(asyncio.Protocol):
    """A connection to an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if not end or len(rest) < size:
            return
        self.data = rest[size:]
        method, target, _ = head.decode().split(" ", 2)
        if target.partition("?")[0].endswith("/events"):
            self.transport.write(EVENTS)
            return
        status, content = self.engine.answer(method, target, rest[:size])
        text = b"" if method == "HEAD" else json.dumps(content).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(text)}"
        self.transport.write(f"HTTP/1.1 {status} OK\r\n{kind}\r\n\r\n".encode() + text)


async def serve(count: int) -> None:
    """Serve so many engines until the process is ended."""
    loop = asyncio.get_running_loop()
    ports: list[int] = []
    for number in range(count):
        engine = Engine(number)
        server = await loop.create_server(lambda e=engine: Wire(e), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
