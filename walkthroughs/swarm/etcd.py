"""A list in etcd: libkv's store of Swarm v1.2.9, over both APIs that etcd has had.

| upstream                                   | here                           |
|--------------------------------------------|--------------------------------|
| client `httpClusterClient`, `ClusterError` | `Servers`                      |
| client `KeysAPI`                           | `V2`                           |
| nothing: Swarm has never learnt it         | `V3`, through its JSON gateway |
| libkv `etcdLock`                           | `Lock`                         |
| libkv `Etcd`, `New`                        | `Etcd`, `open_etcd`            |
"""

import asyncio
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2

from walkthroughs.swarm.discovery import DiscoveryError, Options
from walkthroughs.swarm.kv import StoreError, Values, over
from walkthroughs.swarm.world import (
    TIMEOUT,
    Answer,
    Clock,
    NoAnswer,
    World,
    ask,
    reason,
    within,
)

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
Found: TypeAlias = tuple[Json, int]
"""What was asked for, and the index of the store when it was read."""

PATIENT = httpx2.Timeout(TIMEOUT, read=None)
"""For a request that is answered when something happens."""

PATIENCE = 60.0
"""Seconds after which such a request is given up, and what it waits for looked at."""

GONE, EXISTS, CLEARED = (100, 101), 105, (400, 401)
"""What an errorCode of v2 says of a key, of a key, of an index."""


class Servers:
    """The members of one etcd cluster: any that answers will do.

    Raise `DiscoveryError` for an address that cannot be one.
    """

    def __init__(
        self, addresses: Sequence[str], tls: ssl.SSLContext | None, world: World
    ) -> None:
        scheme = "https" if tls else "http"
        try:
            urls = [str(httpx2.URL(f"{scheme}://{each}")) for each in addresses]
        except httpx2.InvalidURL as error:
            raise DiscoveryError(f"{','.join(addresses)}: {error}") from None
        # Managers that were given one list should not all ask its first.
        self.urls = world.random.sample(urls, len(urls))
        self.pinned = self.urls[0]
        self.tls = tls
        self.world = world

    async def do(
        self, send: Callable[[httpx2.AsyncClient], Awaitable[Answer]]
    ) -> Answer:
        """Return the answer of the first server that has one, and stay with it.

        Raise `StoreError` with what went wrong at each.
        """
        errors = "client: etcd cluster is unavailable or misconfigured"
        for url in sorted(self.urls, key=lambda url: url != self.pinned):
            try:
                async with self.world.client(url, self.tls) as client:
                    answer = await send(client)
            except NoAnswer as error:
                errors += f"; {error}"
                continue
            if answer.status < 500:
                self.pinned = url
                return answer
            said = answer.body.decode(errors="replace").strip()[:200]
            errors += f"; client: etcd member {url} returns server error [{said}]"
        raise StoreError(errors)


def decode(text: bytes | str, read: Callable[[Json], T]) -> T:
    """Return what `read` makes of a JSON text; raise `StoreError` if it cannot."""
    try:
        return read(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError):
        why = "The endpoint is probably not valid etcd cluster endpoint."
        raise StoreError(f"client: response is invalid json. {why}") from None


def whole(ttl: float) -> int:
    """Return a TTL in whole seconds: what is over is dropped, except below 1."""
    # The original sends a 0 for half a second, and the key is gone at once.
    return max(1, int(ttl))


class V2:
    """The API that Swarm was written for: directories, TTLs, long polls.

    An index counts the changes of the store. A token is the last one of a key.
    """

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    async def _ask(
        self, method: str, key: str, *expected: int, **options: Any
    ) -> Found:
        """Return a node, or nothing for an errorCode that is expected."""
        url = f"/v2/keys/{quote(key, safe='/:')}"
        answer = await self.servers.do(partial(ask, method=method, url=url, **options))

        def read(data: Json) -> Found:
            if answer.status < 300:
                return data.get("node", {}), int(answer.headers["X-Etcd-Index"])
            code, index = data.get("errorCode", 0), data.get("index", 0)
            if code not in expected:
                why = f"{data['message']} ({data.get('cause', '')})"
                raise StoreError(f"{code}: {why} [{index}]")
            return {}, int(index)

        # A server that is being stopped ends its long polls with nothing.
        return decode(answer.body or b"{}", read)

    async def _set(
        self, key: str, value: str, ttl: float, *expected: int, **when: str
    ) -> tuple[str, int]:
        form = {"ttl": str(whole(ttl))} if ttl > 0 else {}
        form["value"] = value
        node, index = await self._ask("PUT", key, *expected, params=when, data=form)
        return str(node.get("modifiedIndex", "")), index

    async def put(self, key: str, value: str, ttl: float) -> None:
        await self._set(key, value, ttl)

    async def make(self, directory: str) -> None:
        """Make a directory, unless it is there."""
        when = {"dir": "true", "prevExist": "false"}
        await self._ask("PUT", directory, EXISTS, params=when)

    async def list(self, directory: str) -> tuple[Values, int]:
        """Return the values in a directory, and the index that they are of."""
        query = {"quorum": "true", "recursive": "true", "sorted": "true"}
        node, index = await self._ask("GET", directory, *GONE, params=query)
        nodes: list[Json] = node.get("nodes", [])
        return [each.get("value", "") for each in nodes if not each.get("dir")], index

    async def changed(self, key: str, index: int, recursive: bool) -> None:
        """Return when a key, or one below it, has changed since an index."""
        query = {"recursive": str(recursive).lower(), "wait": "true"}
        query["waitIndex"] = str(index + 1)
        # The server keeps 1,000 changes. If it has cleared ours, there were some.
        await self._ask("GET", key, *CLEARED, params=query, timeout=PATIENT)

    async def get(self, key: str) -> tuple[str, int]:
        """Return the value of a key, "" if there is none, and its index."""
        node, index = await self._ask("GET", key, *GONE, params={"quorum": "true"})
        return node.get("value", ""), index

    async def create(self, key: str, value: str, ttl: float) -> tuple[str, int]:
        """Return the token of a new key, or "" if it is taken, and the index."""
        return await self._set(key, value, ttl, EXISTS, prevExist="false")

    async def renew(self, key: str, value: str, ttl: float, token: str) -> str:
        """Return the new token, or "" if the key is gone or not ours any more."""
        return (await self._set(key, value, ttl, *GONE, prevIndex=token))[0]

    async def release(self, key: str, token: str) -> None:
        await self._ask("DELETE", key, *GONE, params={"prevIndex": token})


def pack(**texts: str) -> Json:
    """Return keys and values as the gateway takes them."""
    return {name: b64encode(text.encode()).decode() for name, text in texts.items()}


def below(directory: str) -> Json:
    """Return the range of the keys in a directory: `0` comes after `/`."""
    return pack(key=f"{directory}/", range_end=f"{directory}0")


async def first_change(
    client: httpx2.AsyncClient, method: str, url: str, **options: Any
) -> Answer:
    """Return what a watch says after "created"; raise `NoAnswer`. See `ask`."""
    why = "the watch has ended"
    try:
        async with client.stream(method, url, timeout=PATIENT, **options) as response:
            async for line in response.aiter_lines():
                if not decode(line, lambda data: data.get("result", {}).get("created")):
                    return Answer(response.status_code, response.headers, line.encode())
    except (httpx2.HTTPError, OSError) as error:
        why = reason(error)
    raise NoAnswer(f'{method.title()} "{client.base_url.join(url)}": {why}')


class V3:
    """The same over what replaced it: flat keys, leases, streams.

    An index is a revision of the store. A token is the lease that a key hangs on.
    """

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.leases: dict[tuple[str, float], str] = {}

    async def _ask(
        self, call: str, content: Json, send: Callable[..., Awaitable[Answer]] = ask
    ) -> Found:
        options = {"method": "POST", "url": f"/v3/{call}", "json": content}
        answer = await self.servers.do(partial(send, **options))

        def read(data: Json) -> Found:
            if answer.status >= 300 or "error" in data:
                raise StoreError(data.get("message") or data["error"]["message"])
            result: Json = data.get("result", data)
            return result, int(result["header"].get("revision", 0))

        return decode(answer.body, read)

    async def _grant(self, ttl: float) -> str:
        return (await self._ask("lease/grant", {"TTL": whole(ttl)}))[0]["ID"]

    async def _keep_alive(self, lease: str) -> bool:
        """Renew a lease; tell whether it was still there."""
        kept, _ = await self._ask("lease/keepalive", {"ID": lease})
        return kept.get("TTL", "0") != "0"

    async def put(self, key: str, value: str, ttl: float) -> None:
        pair = pack(key=key, value=value)
        if ttl > 0:
            # One lease for a key: granted anew each time, there would be as many
            # behind it as heartbeats go into a TTL.
            lease = self.leases.get((key, ttl))
            if not lease or not await self._keep_alive(lease):
                lease = self.leases[key, ttl] = await self._grant(ttl)
            pair["lease"] = lease
        await self._ask("kv/put", pair)

    async def make(self, directory: str) -> None:
        """Do nothing: a directory is how keys begin."""

    async def _range(self, keys: Json) -> tuple[Values, int]:
        found, revision = await self._ask("kv/range", keys)
        pairs: list[Json] = found.get("kvs", [])
        values = [b64decode(each.get("value", "")) for each in pairs]
        return [value.decode(errors="replace") for value in values], revision

    async def list(self, directory: str) -> tuple[Values, int]:
        """Return the values in a directory, and the revision that they are of."""
        return await self._range(below(directory))

    async def changed(self, key: str, index: int, recursive: bool) -> None:
        """Return when a key, or one below it, has changed since a revision."""
        where = below(key) if recursive else pack(key=key)
        request = {"create_request": where | {"start_revision": str(index + 1)}}
        # It is canceled if the revision was compacted: then there were changes, too.
        await self._ask("watch", request, first_change)

    async def get(self, key: str) -> tuple[str, int]:
        """Return the value of a key, "" if there is none, and its revision."""
        values, revision = await self._range(pack(key=key))
        return "".join(values), revision

    async def create(self, key: str, value: str, ttl: float) -> tuple[str, int]:
        """Return the token of a new key, or "" if it is taken, and the revision."""
        lease = await self._grant(ttl)
        absent = pack(key=key) | {"target": "CREATE", "create_revision": "0"}
        put = {"request_put": pack(key=key, value=value) | {"lease": lease}}
        txn = {"compare": [absent], "success": [put]}
        done, revision = await self._ask("kv/txn", txn)
        if done.get("succeeded"):
            return lease, revision
        await self.release(key, lease)
        return "", revision

    async def renew(self, key: str, value: str, ttl: float, token: str) -> str:
        """Return the token, or "" if the key is gone or not ours any more."""
        kept = await self._keep_alive(token)
        found, _ = await self._ask("kv/range", pack(key=key))
        ours = any(each.get("lease") == token for each in found.get("kvs", []))
        return token if kept and ours else ""

    async def release(self, key: str, token: str) -> None:
        await self._ask("lease/revoke", {"ID": token})


async def change(keys: V2 | V3, key: str, index: int, recursive: bool) -> bool:
    """Wait for a change since an index; tell whether there was one in `PATIENCE`.

    A server that loses its power does not hang up: it would be waited for, for ever.
    """
    work = keys.changed(key, index, recursive)
    try:
        await within(PATIENCE, work, keys.servers.world.clock)
    except TimeoutError:
        return False
    return True


class Lock:
    """A key that is ours for a TTL, renewed at each third of it."""

    def __init__(self, keys: V2 | V3, pair: tuple[str, str], ttl: int, clock: Clock):
        self.keys, self.pair, self.ttl, self.clock = keys, pair, ttl, clock
        self.lost = asyncio.Event()

    async def acquire(self) -> None:
        """Wait until the key is free, and take it; raise `StoreError`."""
        self.token = ""
        while not self.token:
            # The server begins to count later than this, not earlier.
            self.until = self.clock.monotonic() + self.ttl
            self.token, index = await self.keys.create(*self.pair, self.ttl)
            if not self.token:
                await change(self.keys, self.pair[0], index, recursive=False)

    async def hold(self) -> None:
        """Renew the key until it is lost; set `lost`."""
        with suppress(TimeoutError):
            while self.token:
                left = self.until - self.clock.monotonic()
                await within(left, self._renew(), self.clock)
        self.lost.set()

    async def _renew(self) -> None:
        await self.clock.sleep(self.ttl / 3)
        until = self.clock.monotonic() + self.ttl
        with suppress(StoreError):
            self.token = await self.keys.renew(*self.pair, self.ttl, self.token)
            self.until = until

    async def release(self) -> None:
        """Give the key back; what this cannot do, its TTL does."""
        if not self.lost.is_set():
            with suppress(StoreError):
                await self.keys.release(self.pair[0], self.token)


APIS = {"v2": V2, "v3": V3}


class Etcd:
    """A `Store` over one of the APIs; "" is v2 where the servers have it, else v3."""

    def __init__(self, servers: Servers, api: str) -> None:
        self.servers = servers
        self.keys = APIS[api](servers) if api else None

    async def _api(self) -> V2 | V3:
        if not self.keys:
            send = partial(ask, method="GET", url="/v2/keys")
            missing = (await self.servers.do(send)).status == 404
            self.keys = APIS["v3" if missing else "v2"](self.servers)
        return self.keys

    async def put(self, key: str, value: str, ttl: float) -> None:
        await (await self._api()).put(key, value, ttl)

    async def list(self, directory: str) -> Values:
        return (await (await self._api()).list(directory))[0]

    async def watch_tree(self, directory: str) -> AsyncGenerator[Values, None]:
        keys = await self._api()
        await keys.make(directory)
        last, changed = None, True
        while True:
            values, index = await keys.list(directory)
            if changed or values != last:
                yield values
            last = values
            changed = await change(keys, directory, index, recursive=True)

    @asynccontextmanager
    async def lock(
        self, key: str, value: str, ttl: float
    ) -> AsyncGenerator[asyncio.Event, None]:
        clock = self.servers.world.clock
        lock = Lock(await self._api(), (key, value), whole(ttl), clock)
        await lock.acquire()
        holding = asyncio.create_task(lock.hold())
        try:
            yield lock.lost
        finally:
            holding.cancel()
            await asyncio.wait([holding])
            await lock.release()

    async def watch(self, key: str) -> AsyncGenerator[str, None]:
        keys, last = await self._api(), None
        while True:
            value, index = await keys.get(key)
            if value != last:
                yield value
            last = value
            await change(keys, key, index, recursive=False)


def open_etcd(
    servers: Sequence[str], tls: ssl.SSLContext | None, options: Options, world: World
) -> Etcd:
    """Return the store; `kv.api` is v2 or v3. Raise `DiscoveryError` for another."""
    api = options.get("kv.api", "")
    if api not in ("", *APIS):
        raise DiscoveryError(f"kv.api must be v2 or v3: {api}")
    return Etcd(Servers(servers, tls, world), api)


initialize = over(open_etcd)
