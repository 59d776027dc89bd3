"""A list in Consul: libkv's store of Swarm v1.2.9, over HTTP.

| upstream                        | here                               |
|---------------------------------|------------------------------------|
| api `SessionEntry`, `durToMsec` | `session_entry`, `milliseconds`    |
| api `QueryMeta.LastIndex`       | `next_index`                       |
| libkv `List`                    | `direct`                           |
| api `Client`, `KV`, `Session`   | `Consul.ask` up to `destroy`      |
| libkv `renewSession`, `Put`     | `Consul.put`                       |
| api `Lock`, `monitorLock`       | `Consul.lock`, `acquire`, `hold`   |
"""

import asyncio
import json
import ssl
from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx2

from walkthroughs.swarm.discovery import Options
from walkthroughs.swarm.golang import format_duration
from walkthroughs.swarm.kv import StoreError, Values, over
from walkthroughs.swarm.world import TIMEOUT, Answer, NoAnswer, World, ask, within

DEFAULT_WATCH_WAIT_TIME = 15.0
"""Seconds after which a question that waits for a change is asked anew."""

DEFAULT_LOCK_RETRY_TIME = 5.0
RENEW_SESSION_RETRY_MAX = 5

LOCK_FLAG_VALUE = 0x2DDCCBC058A50C18
"""What marks the key of a lock; without it, the original's refuses the key."""

SHORTEST, LONGEST = 10.0, 86_400.0
"""Seconds that Consul takes as the TTL of a session."""

Pairs: TypeAlias = list[dict[str, Any]]


def milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


def session_ttl(ttl: float) -> float:
    """Return the TTL of a session whose keys are to go after `ttl` seconds.

    Consul ends a session between one and two TTLs after it was last renewed.
    """
    return min(max(ttl / 2, SHORTEST), LONGEST)


def session_entry(ttl: float, behavior: str) -> dict[str, str]:
    """Return what to make a session of; `behavior` is what its end does to its keys."""
    duration = format_duration(session_ttl(ttl))
    # For 15 seconds, unless one asks for less, nobody gets the key of a dead session.
    return {"Behavior": behavior, "LockDelay": milliseconds(0.001), "TTL": duration}


def next_index(last: int, answer: Answer) -> int:
    """Return the index whose end to wait for, 0 for no waiting.

    Raise `StoreError` for an answer that has none.
    """
    text = answer.headers.get("X-Consul-Index", "")
    if not text.isdecimal():
        raise StoreError("this is not a Consul: its answer has no X-Consul-Index")
    # It goes back when a server's data were set back: then begin anew.
    return max(1, int(text)) if int(text) >= last else 0


def text_of(pair: dict[str, Any]) -> str:
    """Return what is at a key."""
    return b64decode(pair["Value"] or "").decode(errors="replace")


def direct(pairs: Pairs, directory: str) -> Values:
    """Return the values of the keys in a directory, without those further down."""
    keys = {pair["Key"].removeprefix(f"{directory}/"): text_of(pair) for pair in pairs}
    return [keys[key] for key in sorted(keys) if key and "/" not in key]


def holder(pairs: Pairs) -> str:
    """Return the session that has locked the key that was asked for, or ""."""
    return pairs[0].get("Session", "") if pairs else ""


def kv(key: str) -> str:
    return f"kv/{quote(key, safe='/:')}"


def decode(answer: Answer) -> Any:
    """Return what a JSON text says; raise `StoreError` if it is none."""
    try:
        return json.loads(answer.body)
    except ValueError:
        raise StoreError("this is not a Consul: its answer is not JSON") from None


class Consul:
    """A `Store`: each key that can go away hangs on a session of its own."""

    def __init__(
        self, servers: Sequence[str], tls: ssl.SSLContext | None, world: World
    ) -> None:
        self.urls = [f"{'https' if tls else 'http'}://{each}" for each in servers]
        self.tls = tls
        self.world = world

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Return the answer of the first server that has one; raise `StoreError`."""
        errors: list[str] = []
        for url in list(self.urls):
            try:
                async with self.world.client(url, self.tls) as client:
                    answer = await ask(client, method, f"/v1/{path}", **options)
            except NoAnswer as error:
                errors.append(str(error))
            else:
                if answer.status in (200, 404):
                    self.urls.sort(key=lambda each: each != url)
                    return answer
                said = answer.body.decode(errors="replace").strip()[:200]
                code = f"Unexpected response code: {answer.status}"
                errors.append(f"{url}: {code} ({said})")
        raise StoreError("; ".join(errors))

    async def get(
        self, key: str, index: int = 0, wait: float = 0.0, **query: str
    ) -> tuple[Pairs, int]:
        """Return what is at a key, and its index; wait while that is `index`."""
        params = query | {"index": str(index), "wait": milliseconds(wait)}
        # The server adds up to a sixteenth, so that not all come back at once.
        patience = httpx2.Timeout(TIMEOUT, read=TIMEOUT + wait * 17 / 16)
        answer = await self.ask("GET", kv(key), params=params, timeout=patience)
        pairs: Pairs = decode(answer) if answer.status == 200 else []
        return pairs, next_index(index, answer)

    async def set(self, key: str, value: str, **query: str) -> bool:
        """Set a key; tell whether it was free for the session in the query."""
        params = {"flags": str(LOCK_FLAG_VALUE)} | query
        return decode(await self.ask("PUT", kv(key), params=params, content=value))

    async def create(self, ttl: float, behavior: str) -> str:
        """Return the name of a new session."""
        entry = session_entry(ttl, behavior)
        return decode(await self.ask("PUT", "session/create", json=entry))["ID"]

    async def renew(self, session: str) -> bool:
        """Let a session live for another TTL; tell whether it was still there."""
        return (await self.ask("PUT", f"session/renew/{session}")).status == 200

    async def destroy(self, session: str) -> None:
        await self.ask("PUT", f"session/destroy/{session}")

    async def put(self, key: str, value: str, ttl: float) -> None:
        if ttl <= 0:
            await self.set(key, value)
            return
        for _ in range(RENEW_SESSION_RETRY_MAX):
            # Whoever put the key before, perhaps a former process, left a session.
            left = holder((await self.get(key))[0])
            session = left or await self.create(ttl, "delete")
            if not await self.renew(session):
                continue
            if await self.set(key, value, acquire=session):
                return
        why = "cannot set or renew session for ttl, unable to operate on sessions"
        raise StoreError(why)

    async def list(self, directory: str) -> Values:
        return direct((await self.get(f"{directory}/", recurse=""))[0], directory)

    async def watch_tree(self, directory: str) -> AsyncGenerator[Values, None]:
        index, last = 0, None
        while True:
            key, wait = f"{directory}/", DEFAULT_WATCH_WAIT_TIME
            pairs, index = await self.get(key, index, wait, recurse="")
            values = direct(pairs, directory)
            if values != last:
                yield values
            last = values

    @asynccontextmanager
    async def lock(
        self, key: str, value: str, ttl: float
    ) -> AsyncGenerator[asyncio.Event, None]:
        session, lost = await self.acquire(key, value, ttl), asyncio.Event()
        holding = asyncio.create_task(self.hold(key, session, session_ttl(ttl), lost))
        try:
            yield lost
        finally:
            holding.cancel()
            await asyncio.wait([holding])
            with suppress(StoreError):
                await self.set(key, value, release=session)
                await self.destroy(session)

    async def watch(self, key: str) -> AsyncGenerator[str, None]:
        index, last = 0, None
        while True:
            pairs, index = await self.get(key, index, DEFAULT_WATCH_WAIT_TIME)
            # Whoever lets go leaves the value behind.
            value = text_of(pairs[0]) if holder(pairs) else ""
            if value != last:
                yield value
            last = value

    async def acquire(self, key: str, value: str, ttl: float) -> str:
        """Wait until a key is free, and lock it; return the session that holds it."""
        index = 0
        while True:
            pairs, index = await self.get(key, index, DEFAULT_WATCH_WAIT_TIME)
            if holder(pairs):
                continue
            session = await self.create(ttl, "release")
            if await self.set(key, value, acquire=session):
                return session
            await self.destroy(session)
            await self.world.clock.sleep(DEFAULT_LOCK_RETRY_TIME)
            index = 0

    async def hold(
        self, key: str, session: str, ttl: float, lost: asyncio.Event
    ) -> None:
        """Renew a session while it holds a key; set `lost` when it may not any more."""
        clock, index = self.world.clock, 0
        renewed = clock.monotonic()
        with suppress(StoreError, TimeoutError):
            while True:
                begun = clock.monotonic()
                check = self.check(key, session, index, ttl / 4)
                index = await within(renewed + ttl - begun, check, clock)
                renewed = begun
        lost.set()

    async def check(self, key: str, session: str, index: int, wait: float) -> int:
        """Renew a session, and watch its key for a while; return its index.

        Raise `StoreError` if either is gone.
        """
        alive = await self.renew(session)
        pairs, index = await self.get(key, index, wait)
        if not alive or holder(pairs) != session:
            raise StoreError("Lock not held")
        return index


def open_consul(
    servers: Sequence[str], tls: ssl.SSLContext | None, options: Options, world: World
) -> Consul:
    """Return the store; the original takes one server, this any number."""
    return Consul(servers, tls, world)


initialize = over(open_consul)
