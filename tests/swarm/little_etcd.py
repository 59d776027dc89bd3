"""An etcd for the lab, of one server and the v2 API: keys, TTLs, conditions, long polls."""

import asyncio
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse

from walkthroughs.swarm.lab import Lab


class Key(NamedTuple):
    value: str
    modified: int
    """The index at which it was set last."""
    until: float


class LittleEtcd:
    """Give it to `lab.network.plug`, at as many addresses as there are lines to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.index = 1
        self.keys: dict[str, Key] = {}
        self.history: list[str] = []
        """The key that changed at each index, from 2 on."""
        self.change = asyncio.Event()

    def touch(self, key: str) -> int:
        self.index += 1
        self.history.append(key)
        self.change.set()
        self.change = asyncio.Event()
        return self.index

    def set(self, key: str, value: str, ttl: int) -> None:
        until = self.lab.clock.now + ttl
        self.keys[key] = Key(value, self.touch(key), until)
        self.lab.at(until, self.expire, key)

    def delete(self, key: str) -> None:
        del self.keys[key]
        self.touch(key)

    def expire(self, key: str) -> None:
        if key in self.keys and self.keys[key].until <= self.lab.clock.now:
            self.delete(key)

    def value(self, key: str) -> str:
        return self.keys[key].value if key in self.keys else ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        answer = await self.answer(request, request.url.path.removeprefix("/v2/keys/"))
        await answer(scope, receive, send)

    async def answer(self, request: Request, key: str) -> JSONResponse:
        form, query = dict(parse_qsl((await request.body()).decode())), request.query_params
        if "waitIndex" in query:
            await self.changed(key, int(query["waitIndex"]))
        elif code := self.refusal(key, query):
            return self.say({"errorCode": code, "message": "no", "index": self.index}, 412)
        elif request.method == "PUT":
            self.set(key, form["value"], int(form["ttl"]))
        elif request.method == "DELETE":
            self.delete(key)
        return self.say(self.node(key))

    def refusal(self, key: str, when: Any) -> int:
        """Return the errorCode of what cannot be done, 0 for what can."""
        if when.get("prevExist") == "false":
            return 105 if key in self.keys else 0
        if key not in self.keys:
            return 100
        index = int(when.get("prevIndex", 0))
        return 101 if index and index != self.keys[key].modified else 0

    async def changed(self, key: str, index: int) -> None:
        while key not in self.history[max(0, index - 2) :]:
            await self.change.wait()

    def node(self, key: str) -> Any:
        held = self.keys.get(key)
        node = {"key": f"/{key}", "modifiedIndex": held.modified if held else self.index}
        return {"node": node | {"value": held.value if held else ""}}

    def say(self, content: Any, status: int = 200) -> JSONResponse:
        return JSONResponse(content, status, {"X-Etcd-Index": str(self.index)})
