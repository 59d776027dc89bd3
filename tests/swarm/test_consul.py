"""Consul as a store: against a stand-in made from the documentation of its HTTP API.

None of this has met the real server.
"""

import asyncio
import json
import ssl
from base64 import b64encode
from contextlib import aclosing, suppress

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from walkthroughs.swarm.consul import (
    LOCK_FLAG_VALUE,
    Consul,
    direct,
    initialize,
    next_index,
    open_consul,
    session_entry,
)
from walkthroughs.swarm.golang import parse_duration
from walkthroughs.swarm.kv import StoreError
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.world import Answer, within

NODES = "docker/swarm/nodes"
KEY = f"{NODES}/10.0.0.1:2375"
FLAGS = str(LOCK_FLAG_VALUE)


class StandIn:
    """The key-value store and the sessions of one Consul server, as documented.

    A session ends when twice its TTL has passed since it was last renewed.
    """

    def __init__(self, clock):
        self.clock = clock
        self.index = 10
        self.pairs = {}
        self.sessions = {}
        self.created = 0
        self.asked = []
        self.changed = asyncio.Event()

    def touch(self):
        self.index += 1
        self.changed.set()
        self.changed = asyncio.Event()
        return self.index

    def end(self, session):
        """Delete or release the keys of a session, with it."""
        behavior = self.sessions.pop(session)["Behavior"]
        for key, pair in list(self.pairs.items()):
            if pair.get("Session") == session:
                del pair["Session"]
                pair["ModifyIndex"] = self.touch()
                if behavior == "delete":
                    del self.pairs[key]

    def expire(self):
        for name, entry in list(self.sessions.items()):
            if entry["until"] <= self.clock.monotonic():
                self.end(name)

    async def sleep_until(self, moment):
        """Return at a change, at the end of a session, or at a moment."""
        ends = [entry["until"] for entry in self.sessions.values()]
        left = min([moment, *ends]) - self.clock.monotonic()
        with suppress(TimeoutError):
            await within(left, self.changed.wait(), self.clock)
        self.expire()

    def find(self, key, recurse):
        hits = (k for k in sorted(self.pairs) if k == key or (recurse and k.startswith(key)))
        return [{"Key": k, **self.pairs[k]} for k in hits]

    async def get(self, key, query):
        wait = parse_duration(query.get("wait", "5m")) if int(query.get("index", 0)) else 0
        until = self.clock.monotonic() + wait
        while int(query.get("index", 0)) == self.index and self.clock.monotonic() < until:
            await self.sleep_until(until)
        found = self.find(key, "recurse" in query)
        headers = {"X-Consul-Index": str(self.index)}
        return JSONResponse(found or None, 200 if found else 404, headers)

    def put(self, key, query, value):
        pair = self.pairs.get(key, {})
        wanted = query.get("acquire")
        if wanted and wanted not in self.sessions:
            return PlainTextResponse(f'rpc error: invalid session "{wanted}"', 500)
        session = wanted or pair.get("Session")
        if wanted and pair.get("Session", wanted) != wanted:
            return JSONResponse(False)
        if "release" in query:
            session = None
        new = {"Flags": int(query["flags"]), "Value": b64encode(value).decode() or None}
        new |= {"Session": session} if session else {}
        if pair != new | {"ModifyIndex": pair.get("ModifyIndex")}:
            self.pairs[key] = new | {"ModifyIndex": self.touch()}
        return JSONResponse(True)

    def session(self, verb, name, body):
        if verb == "create":
            entry = json.loads(body)
            ttl = parse_duration(entry["TTL"])
            if not 10 <= ttl <= 86400:
                return PlainTextResponse(f"Invalid Session TTL '{ttl:g}'", 400)
            self.created += 1
            name = f"session-{self.created}"
            self.sessions[name] = {**entry, "ttl": ttl}
        elif name not in self.sessions:
            return JSONResponse(True, 200 if verb == "destroy" else 404)
        elif verb == "destroy":
            self.end(name)
            return JSONResponse(True)
        self.sessions[name]["until"] = self.clock.monotonic() + 2 * self.sessions[name]["ttl"]
        return JSONResponse({"ID": name} if verb == "create" else [{"ID": name}])

    async def __call__(self, scope, receive, send):
        self.expire()
        request = Request(scope, receive)
        body, query = await request.body(), dict(request.query_params)
        line = f"{request.method} {request.url.path}?{request.url.query}"
        self.asked.append(f"{line.rstrip('?')} {body.decode()}".strip())
        kind, _, rest = request.url.path.removeprefix("/v1/").partition("/")
        if kind == "session":
            response = self.session(*rest.partition("/")[::2], body)
        elif request.method == "PUT":
            response = self.put(rest, query, body)
        else:
            response = await self.get(rest, query)
        await response(scope, receive, send)


def in_a_lab(test):
    """Run a test with a lab in which a stand-in is at consul:8500."""

    def run():
        async def main():
            async with Lab() as lab:
                server = lab.network.apps["consul:8500"] = StandIn(lab.clock)
                await test(lab, server)

        asyncio.run(asyncio.wait_for(main(), 20))

    run.__name__ = test.__name__
    return run


def open_in(lab, servers="consul:8500", name="swarm"):
    return open_consul(servers.split(","), None, {}, lab.world(name))


def answering(index):
    return Answer(200, httpx2.Headers({"X-Consul-Index": index} if index else {}), b"")


async def trouble(doing):
    with pytest.raises(StoreError) as caught:
        await doing
    return str(caught.value)


# What is computed.


@pytest.mark.parametrize(
    ("ttl", "half"), [(180, "1m30s"), (20, "10s"), (3, "10s"), (10**6, "24h0m0s")]
)
def test_a_session_has_half_the_ttl_within_what_consul_takes(ttl, half):
    entry = {"Behavior": "delete", "LockDelay": "1ms", "TTL": half}
    assert session_entry(ttl, "delete") == entry


def test_an_index_is_waited_for():
    assert next_index(7, answering("9")) == 9


def test_an_index_that_goes_backwards_is_forgotten():
    assert next_index(9, answering("7")) == 0


def test_an_index_of_0_is_taken_for_1():
    assert next_index(0, answering("0")) == 1


def test_an_answer_without_an_index_is_not_a_consuls():
    with pytest.raises(StoreError) as caught:
        next_index(0, answering(""))
    assert str(caught.value) == "this is not a Consul: its answer has no X-Consul-Index"


def test_only_keys_directly_in_a_directory_count():
    keys = ["a/", "a/2", "a/1", "a/b/3", "a/empty"]
    pairs = [{"Key": key, "Value": b64encode(key.encode()).decode()} for key in keys]
    pairs[-1]["Value"] = None
    assert direct(pairs, "a") == ["a/1", "a/2", ""]


# Registering.


@in_a_lab
async def test_what_is_asked_at_the_first_put_and_at_the_next(lab, server):
    store = open_in(lab)
    await store.put(KEY, "10.0.0.1:2375", 180)
    entry = '{"Behavior":"delete","LockDelay":"1ms","TTL":"1m30s"}'
    acquire = f"PUT /v1/kv/{KEY}?flags={FLAGS}&acquire=session-1 10.0.0.1:2375"
    look = f"GET /v1/kv/{KEY}?index=0&wait=0ms"
    renew = "PUT /v1/session/renew/session-1"
    assert server.asked == [look, f"PUT /v1/session/create {entry}", renew, acquire]
    server.asked.clear()
    await store.put(KEY, "10.0.0.1:2375", 180)
    assert server.asked == [look, renew, acquire]


@in_a_lab
async def test_a_key_goes_after_its_ttl(lab, server):
    store = open_in(lab)
    await store.put(KEY, "10.0.0.1:2375", 180)
    await lab.run(179)
    assert await store.list(NODES) == ["10.0.0.1:2375"]
    await lab.run(1)
    assert await store.list(NODES) == []


@in_a_lab
async def test_a_key_that_is_put_again_stays(lab, server):
    store = open_in(lab)
    for _ in range(10):
        await store.put(KEY, "10.0.0.1:2375", 180)
        await lab.run(60)
    assert await store.list(NODES) == ["10.0.0.1:2375"]
    assert list(server.sessions) == ["session-1"]


@in_a_lab
async def test_a_process_that_starts_anew_goes_on_with_the_session_it_left(lab, server):
    await open_in(lab).put(KEY, "10.0.0.1:2375", 180)
    await lab.run(100)
    await open_in(lab).put(KEY, "10.0.0.1:2375", 180)
    await lab.run(100)
    assert await open_in(lab).list(NODES) == ["10.0.0.1:2375"]
    assert list(server.sessions) == ["session-1"]


@in_a_lab
async def test_without_a_ttl_there_is_no_session(lab, server):
    await open_in(lab).put("a", "b", 0)
    assert server.asked == [f"PUT /v1/kv/a?flags={FLAGS} b"]


@in_a_lab
async def test_a_session_that_cannot_be_renewed_is_reported_after_five_tries(lab, server):
    store = open_in(lab)
    server.put = lambda *_: JSONResponse(False)
    why = "cannot set or renew session for ttl, unable to operate on sessions"
    assert await trouble(store.put(KEY, "10.0.0.1:2375", 180)) == why
    assert server.created == 5


# Watching.


@in_a_lab
async def test_a_watch_tells_of_each_change_and_of_an_end(lab, server):
    told, store = [], open_in(lab)

    async def watch():
        async with aclosing(open_in(lab).watch_tree(NODES)) as changes:
            async for values in changes:
                told.append((lab.clock.now, values))

    lab.start("watch", watch())
    await lab.run(40)
    await store.put(KEY, "10.0.0.1:2375", 60)
    await lab.run(30)
    await store.put(f"{NODES}/10.0.0.2:2375", "10.0.0.2:2375", 60)
    await lab.run(100)
    both = ["10.0.0.1:2375", "10.0.0.2:2375"]
    assert told == [(0, []), (40, both[:1]), (70, both), (100, both[1:]), (130, [])]


@in_a_lab
async def test_a_watch_of_a_missing_directory_is_empty_and_makes_none_unlike_the_original_s(
    lab, server
):
    async with aclosing(open_in(lab).watch_tree(NODES)) as changes:
        assert await anext(changes) == []
    assert [asked for asked in server.asked if not asked.startswith("GET ")] == []


@in_a_lab
async def test_a_watch_waits_at_the_server(lab, server):
    async with aclosing(open_in(lab).watch_tree(NODES)) as changes:
        await anext(changes)
        lab.start("next", changes.__anext__())
        await lab.run(44)
        await lab.stop("next")
    query = f"GET /v1/kv/{NODES}/?recurse=&index"
    waits = [f"{query}=10&wait=15000ms"] * 3
    assert server.asked == [f"{query}=0&wait=15000ms", *waits]


@in_a_lab
async def test_a_watch_survives_an_index_that_goes_backwards(lab, server):
    async with aclosing(open_in(lab).watch_tree(NODES)) as changes:
        assert await anext(changes) == []
        server.index = 3
        server.pairs[KEY] = {"Value": b64encode(b"10.0.0.1:2375").decode()}
        assert await anext(changes) == ["10.0.0.1:2375"]


@in_a_lab
async def test_a_watch_that_loses_its_server_says_so(lab, server):
    backend = initialize("consul:8500", 60, 180, {}, lab.world("swarm"))
    async with aclosing(backend.watch()) as reports:
        assert await anext(reports) == []
        del lab.network.apps["consul:8500"]
        why = f'Get "http://consul:8500/v1/kv/{NODES}/": connection refused'
        assert str(await anext(reports)) == why


@in_a_lab
async def test_a_thousand_entries_are_listed_in_order(lab, server):
    addresses = sorted(f"10.0.{n // 250}.{n % 250}:2375" for n in range(1000))
    for address in addresses:
        server.put(f"{NODES}/{address}", {"flags": "0"}, address.encode())
    assert await open_in(lab).list(NODES) == addresses


# Locking.


async def campaign(lab, name, told, ttl=20.0):
    async with open_in(lab, name=name).lock("docker/swarm/leader", name, ttl) as lost:
        told.append((lab.clock.now, f"{name} leads"))
        await lost.wait()
        told.append((lab.clock.now, f"{name} has lost"))


@in_a_lab
async def test_a_lock_is_held_by_one_and_handed_on_when_it_is_given_back(lab, server):
    told = []
    lab.start("a", campaign(lab, "a", told))
    await lab.run(1)
    lab.start("b", campaign(lab, "b", told))
    await lab.run(100)
    assert told == [(0, "a leads")]
    assert (await open_in(lab).list("docker/swarm")) == ["a"]
    await lab.stop("a")
    await lab.run(0)
    assert told == [(0, "a leads"), (101, "b leads")]
    assert (await open_in(lab).list("docker/swarm")) == ["b"]
    assert list(server.sessions) == ["session-2"]


@in_a_lab
async def test_a_lock_goes_to_the_next_when_its_holder_dies(lab, server):
    told = []
    lab.start("a", campaign(lab, "a", told))
    await lab.run(1)
    lab.start("b", campaign(lab, "b", told))
    await lab.run(99)
    away = lab.network.apps.pop("consul:8500")
    await lab.stop("a")
    lab.network.apps["consul:8500"] = away
    await lab.run(30)
    assert told == [(0, "a leads"), (120, "b leads")]


@in_a_lab
async def test_a_holder_whose_session_is_gone_has_lost(lab, server):
    told = []
    lab.start("a", campaign(lab, "a", told))
    await lab.run(50.5)
    server.end("session-1")
    await lab.run(1)
    assert told == [(0, "a leads"), (50.5, "a has lost")]


@in_a_lab
async def test_a_holder_has_lost_before_a_silent_consul_can_end_its_session(lab, server):
    told = []
    lab.start("a", campaign(lab, "a", told))
    await lab.run(50)

    async def silence(scope, receive, send):
        await asyncio.Event().wait()

    lab.network.apps["consul:8500"] = silence
    await lab.run(30)
    assert told == [(0, "a leads"), (60, "a has lost")]


@in_a_lab
async def test_a_watch_of_a_lock_tells_who_holds_it_and_that_nobody_does(lab, server):
    told = []

    async def watch():
        async with aclosing(open_in(lab).watch("docker/swarm/leader")) as holders:
            async for holder in holders:
                told.append((lab.clock.now, holder))

    lab.start("watch", watch())
    await lab.run(10)
    lab.start("a", campaign(lab, "a", []))
    await lab.run(10)
    lab.start("b", campaign(lab, "b", []))
    await lab.run(10)
    await lab.stop("a")
    await lab.run(10)
    await lab.stop("b")
    await lab.run(10)
    assert told == [(0, ""), (10, "a"), (30, ""), (30, "b"), (40, "")]
    # The value stays behind.
    assert (await open_in(lab).list("docker/swarm")) == ["b"]


@in_a_lab
async def test_a_watch_of_a_lock_that_loses_its_server_says_so(lab, server):
    async with aclosing(open_in(lab).watch("docker/swarm/leader")) as holders:
        assert await anext(holders) == ""
        lab.network.unplug("consul:8500")
        with pytest.raises(StoreError, match="connection refused"):
            await anext(holders)


@in_a_lab
async def test_a_key_that_nobody_holds_and_nobody_gets_is_tried_after_five_seconds(lab, server):
    told, put = [], server.put
    server.put = lambda *_: JSONResponse(False)
    lab.start("a", campaign(lab, "a", told))
    await lab.run(3)
    server.put = put
    await lab.run(3)
    assert told == [(5, "a leads")]
    assert list(server.sessions) == ["session-2"]


# Servers.


@in_a_lab
async def test_the_next_server_is_asked_when_one_does_not_answer(lab, server):
    store = open_in(lab, "away:8500,consul:8500")
    await store.put(KEY, "10.0.0.1:2375", 180)
    assert await store.list(NODES) == ["10.0.0.1:2375"]
    hosts = [exchange.server for exchange in lab.network.exchanges]
    assert hosts == ["away:8500", *["consul:8500"] * 5]


@in_a_lab
async def test_a_server_that_is_away_is_named_with_the_reason(lab, server):
    why = await trouble(open_in(lab, "a:8500,b:8500").list(NODES))
    url = f"8500/v1/kv/{NODES}/"
    refused = f'Get "http://a:{url}": connection refused; Get "http://b:{url}": connection refused'
    assert why == refused


@in_a_lab
async def test_a_server_without_a_leader_is_quoted(lab, server):
    lab.network.apps["consul:8500"] = PlainTextResponse("No cluster leader\n", 500)
    why = "http://consul:8500: Unexpected response code: 500 (No cluster leader)"
    assert await trouble(open_in(lab).list(NODES)) == why


@in_a_lab
async def test_what_is_no_consul_is_called_so(lab, server):
    lab.network.apps["consul:8500"] = PlainTextResponse("welcome")
    why = "this is not a Consul: its answer is not JSON"
    assert await trouble(open_in(lab).list(NODES)) == why


@in_a_lab
async def test_an_address_without_a_host_is_refused(lab, server):
    assert await trouble(open_in(lab, "").list(NODES)) == '"http://": no host in the URL'


def test_tls_makes_it_https():
    async def main():
        async with Lab() as lab:
            tls = ssl.create_default_context()
            return Consul(["consul:8501"], tls, lab.world("swarm")).urls

    assert asyncio.run(main()) == ["https://consul:8501"]
