"""etcd as a store: what is asked of it, and the same against a real one."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import trustme

from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.etcd import V2, V3, Etcd, Lock, initialize, open_etcd
from walkthroughs.swarm.kv import StoreError
from walkthroughs.swarm.lab import App, Lab
from walkthroughs.swarm.world import World

DEADLINE = 20
"""Seconds until a test gives up."""

UNAVAILABLE = "client: etcd cluster is unavailable or misconfigured"
ADDRESS = "10.0.0.1:2375"
KEY = f"docker/swarm/nodes/{ADDRESS}"


def on_a_loop(test: Callable[..., Any]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), DEADLINE))

    return run


# Without a server: what is sent, and what is made of what comes back.

HANG = object()
"""An answer that never comes."""


class Canned:
    """An etcd that says what it was told to say, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        query = scope["query_string"].decode()
        path = scope["path"] + (f"?{query}" if query else "")
        self.asked.append(f"{scope['method']} {path} {body.decode()}".strip())
        answer = self.answers[self.kind(scope["method"], path)]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is HANG:
            await asyncio.Event().wait()
        status, said = answer if isinstance(answer, tuple) else (200, answer)
        text = said if isinstance(said, str) else json.dumps(said)
        headers = [(b"x-etcd-index", b"7")] if "/v2/" in path else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    @staticmethod
    def kind(method: str, path: str) -> str:
        """Return what an answer is called: `get`, `put`, `wait`, or a call of v3."""
        if path == "/v2/keys":
            return "which"
        if path.startswith("/v2/"):
            return "wait" if "wait=true" in path else method.lower()
        return path.removeprefix("/v3/").replace("/", "_")


def opened(lab: Lab, *servers: str, api: str = "") -> Etcd:
    return open_etcd(servers, None, {"kv.api": api}, lab.world("test"))


def store_on(lab: Lab, app: App, api: str = "") -> Etcd:
    """Return a store whose only server is an application."""
    lab.network.apps["etcd:2379"] = app
    return opened(lab, "etcd:2379", api=api)


def directory(*values: str) -> dict[str, Any]:
    nodes = [{"key": f"/nodes/{each}", "value": each} for each in values]
    return {"action": "get", "node": {"key": "/nodes", "dir": True, "nodes": nodes}}


def refusal(code: int, message: str, cause: str = "/nodes", index: int = 7) -> dict[str, Any]:
    return {"errorCode": code, "message": message, "cause": cause, "index": index}


SET = {"action": "set", "node": {"key": "/key", "value": "", "modifiedIndex": 7}}
EXISTS = (412, refusal(105, "Key already exists"))
MISSING = (404, refusal(100, "Key not found"))
HEADER = {"header": {"revision": "7", "raft_term": "2"}}
GRANTED = HEADER | {"ID": "77", "TTL": "180"}
KEPT = {"result": HEADER | {"ID": "77", "TTL": "180"}}
CREATED = {"result": HEADER | {"created": True}}
PUT = {"result": HEADER | {"events": [{"kv": {"key": "YQ=="}}]}}


def pack(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def lines(*messages: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in messages)


def form(asked: str) -> dict[str, str]:
    """Return the fields of a form that was sent."""
    return dict(parse_qsl(asked.split(" ")[2]))


@on_a_loop
async def test_v2_puts_a_key_in_a_form_with_its_ttl() -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET)
        await store_on(lab, etcd, "v2").put(KEY, ADDRESS, 180)
        assert etcd.asked[0].split(" ")[:2] == ["PUT", f"/v2/keys/{KEY}"]
        assert form(etcd.asked[0]) == {"value": ADDRESS, "ttl": "180"}


@pytest.mark.parametrize(("ttl", "sent"), [(180.0, "180"), (2.9, "2"), (1.0, "1")])
@on_a_loop
async def test_a_ttl_is_cut_to_whole_seconds(ttl: float, sent: str) -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET)
        await store_on(lab, etcd, "v2").put("key", "value", ttl)
        assert form(etcd.asked[0])["ttl"] == sent


@pytest.mark.parametrize("api", ["v2", "v3"])
@on_a_loop
async def test_a_ttl_below_a_second_is_a_second(api: str) -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET, lease_grant=GRANTED, kv_put=HEADER)
        await store_on(lab, etcd, api).put("key", "value", 0.5)
        asked = form(etcd.asked[0])["ttl"] if api == "v2" else json.loads(etcd.asked[0][21:])
        assert asked == ("1" if api == "v2" else {"TTL": 1})


@on_a_loop
async def test_no_ttl_is_sent_for_none() -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET)
        await store_on(lab, etcd, "v2").put("key", "value", 0)
        assert form(etcd.asked[0]) == {"value": "value"}


@on_a_loop
async def test_v2_makes_the_directory_lists_it_and_waits_for_the_next_change() -> None:
    async with Lab() as lab:
        etcd = Canned(put=EXISTS, get=directory("a:1"), wait=[SET, HANG])
        changes = store_on(lab, etcd, "v2").watch_tree("nodes")
        async with aclosing(changes):
            assert [await anext(changes) for _ in range(2)] == [["a:1"], ["a:1"]]
        assert etcd.asked == [
            "PUT /v2/keys/nodes?dir=true&prevExist=false",
            "GET /v2/keys/nodes?quorum=true&recursive=true&sorted=true",
            "GET /v2/keys/nodes?recursive=true&wait=true&waitIndex=8",
            "GET /v2/keys/nodes?quorum=true&recursive=true&sorted=true",
        ]


@on_a_loop
async def test_a_server_that_falls_silent_is_asked_again_after_a_minute() -> None:
    async with Lab() as lab:
        lists = [directory("a:1"), directory("a:1"), directory("b:1")]
        store = store_on(lab, Canned(put=EXISTS, get=lists, wait=HANG), "v2")
        seen: list[tuple[float, list[str]]] = []

        async def watch() -> None:
            async with aclosing(store.watch_tree("nodes")) as changes:
                async for values in changes:
                    seen.append((lab.clock.now, values))

        lab.start("manager", watch())
        await lab.run(150)
        # The second list is no news, the third is.
        assert seen == [(0, ["a:1"]), (120, ["b:1"])]
        del lab.network.apps["etcd:2379"]
        with pytest.raises(StoreError, match="connection refused"):
            await lab.run(30)


@on_a_loop
async def test_a_candidate_does_not_wait_for_a_silent_server_for_ever() -> None:
    async with Lab() as lab:
        taken = [(412, refusal(105, "Key already exists"))]
        etcd = Canned(put=[*taken, SET], wait=HANG)
        lock = Lock(V2(store_on(lab, etcd, "v2").servers), ("leader", "m:1"), 20, lab.clock)
        lab.start("candidate", lock.acquire())
        await lab.run(60)
        assert lock.token == "7"


@on_a_loop
async def test_v3_lists_a_range_and_watches_from_the_next_revision() -> None:
    async with Lab() as lab:
        pairs = {"kvs": [{"key": pack("nodes/a:1"), "value": pack("a:1")}]}
        watch = [lines(CREATED, PUT), HANG]
        etcd = Canned(kv_range=HEADER | pairs, watch=watch)
        changes = store_on(lab, etcd, "v3").watch_tree("nodes")
        async with aclosing(changes):
            assert [await anext(changes) for _ in range(2)] == [["a:1"], ["a:1"]]
        where = {"key": pack("nodes/"), "range_end": pack("nodes0")}
        request = {"create_request": where | {"start_revision": "8"}}
        bodies = [json.loads(each.split(" ", 2)[2]) for each in etcd.asked]
        assert bodies == [where, request, where]


@pytest.mark.parametrize("code", [400, 401])
@on_a_loop
async def test_an_outdated_index_is_answered_by_listing_again(code: int) -> None:
    async with Lab() as lab:
        why = "The event in requested index is outdated and cleared"
        etcd = Canned(
            put=SET, get=[directory("a:1"), directory("a:1", "b:1")], wait=(400, refusal(code, why))
        )
        changes = store_on(lab, etcd, "v2").watch_tree("nodes")
        async with aclosing(changes):
            assert [await anext(changes) for _ in range(2)] == [["a:1"], ["a:1", "b:1"]]


@on_a_loop
async def test_a_compacted_revision_is_answered_by_listing_again() -> None:
    async with Lab() as lab:
        gone = {"result": {"header": {"raft_term": "2"}, "canceled": True, "compact_revision": "9"}}
        etcd = Canned(kv_range=HEADER, watch=lines(CREATED, gone))
        changes = store_on(lab, etcd, "v3").watch_tree("nodes")
        async with aclosing(changes):
            assert [await anext(changes) for _ in range(2)] == [[], []]


@on_a_loop
async def test_a_directory_that_is_deleted_meanwhile_is_empty() -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET, get=[directory("a:1"), MISSING], wait=[SET, HANG])
        changes = store_on(lab, etcd, "v2").watch_tree("nodes")
        async with aclosing(changes):
            assert [await anext(changes) for _ in range(2)] == [["a:1"], []]


@on_a_loop
async def test_directories_in_the_directory_are_no_values() -> None:
    async with Lab() as lab:
        found = directory("a:1")
        found["node"]["nodes"].append({"key": "/nodes/more", "dir": True, "nodes": []})
        assert await store_on(lab, Canned(get=found), "v2").list("nodes") == ["a:1"]


@pytest.mark.parametrize("ttl", [{}, {"TTL": "0"}])
@on_a_loop
async def test_a_key_keeps_its_lease_as_long_as_it_lives(ttl: dict[str, str]) -> None:
    async with Lab() as lab:
        expired = {"result": HEADER | {"ID": "77"} | ttl}
        etcd = Canned(lease_grant=GRANTED, lease_keepalive=[KEPT, expired], kv_put=HEADER)
        store = store_on(lab, etcd, "v3")
        for _ in range(3):
            await store.put(KEY, ADDRESS, 180)
        calls = [each.split(" ")[1].removeprefix("/v3/") for each in etcd.asked]
        assert calls == [
            *("lease/grant", "kv/put"),
            *("lease/keepalive", "kv/put"),
            *("lease/keepalive", "lease/grant", "kv/put"),
        ]


# Errors.


async def trouble(store: Etcd) -> str:
    with pytest.raises(StoreError) as raised:
        await store.list("nodes")
    return str(raised.value)


@on_a_loop
async def test_a_server_that_is_away_is_named() -> None:
    async with Lab() as lab:
        why = 'Get "http://etcd:2379/v2/keys": connection refused'
        assert await trouble(opened(lab, "etcd:2379")) == f"{UNAVAILABLE}; {why}"


@on_a_loop
async def test_an_error_of_v2_has_the_words_of_the_original() -> None:
    async with Lab() as lab:
        etcd = Canned(get=(403, refusal(107, "Root is read only", "/", 3)))
        said = await trouble(store_on(lab, etcd, "v2"))
        assert said == "107: Root is read only (/) [3]"


@on_a_loop
async def test_an_error_of_v3_has_the_words_of_the_server() -> None:
    async with Lab() as lab:
        said = "etcdserver: user name is empty"
        etcd = Canned(kv_range=(400, {"error": said, "message": said, "code": 3}))
        assert await trouble(store_on(lab, etcd, "v3")) == said


@on_a_loop
async def test_an_error_within_a_stream_of_v3_is_raised() -> None:
    async with Lab() as lab:
        etcd = Canned(kv_range=HEADER, watch=lines({"error": {"message": "no leader"}}))
        changes = store_on(lab, etcd, "v3").watch_tree("nodes")
        async with aclosing(changes):
            await anext(changes)
            with pytest.raises(StoreError, match=r"^no leader$"):
                await anext(changes)


@on_a_loop
async def test_a_watch_that_ends_is_an_error() -> None:
    async with Lab() as lab:
        etcd = Canned(kv_range=HEADER, watch=lines(CREATED))
        changes = store_on(lab, etcd, "v3").watch_tree("nodes")
        async with aclosing(changes):
            await anext(changes)
            with pytest.raises(StoreError) as raised:
                await anext(changes)
        why = 'Post "http://etcd:2379/v3/watch": the watch has ended'
        assert str(raised.value) == f"{UNAVAILABLE}; {why}"


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.parametrize("said", ["<html>", "[]", "{}", '{"node": 1}', '{"header": 7}'])
@on_a_loop
async def test_whoever_is_not_etcd_is_told_apart(api: str, said: str) -> None:
    async with Lab() as lab:
        other = Canned(get=(404, said), kv_range=said)
        why = "The endpoint is probably not valid etcd cluster endpoint."
        said = await trouble(store_on(lab, other, api))
        assert said == f"client: response is invalid json. {why}"


@on_a_loop
async def test_an_address_that_is_none_is_refused_at_once() -> None:
    async with Lab() as lab:
        with pytest.raises(DiscoveryError) as raised:
            initialize("etcd:x/prefix", 60, 180, {}, lab.world("test"))
        assert str(raised.value) == "etcd:x: Invalid port: 'x'"


# Which API, and which server.


@on_a_loop
async def test_v2_is_taken_where_it_is() -> None:
    async with Lab() as lab:
        etcd = Canned(which=directory(), get=directory("a:1"))
        store = store_on(lab, etcd)
        assert [await store.list("nodes") for _ in range(2)] == [["a:1"], ["a:1"]]
        assert [each.split("?")[0] for each in etcd.asked] == [
            "GET /v2/keys",
            "GET /v2/keys/nodes",
            "GET /v2/keys/nodes",
        ]


@on_a_loop
async def test_v3_is_taken_where_v2_is_not() -> None:
    async with Lab() as lab:
        store = store_on(lab, Canned(which=(404, "404 page not found"), kv_range=HEADER))
        await store.list("nodes")
        assert isinstance(store.keys, V3)


@pytest.mark.parametrize(("api", "kind"), [("v2", V2), ("v3", V3)])
@on_a_loop
async def test_kv_api_chooses_without_asking(api: str, kind: type) -> None:
    async with Lab() as lab:
        etcd = Canned(get=directory(), kv_range=HEADER)
        store = store_on(lab, etcd, api)
        await store.list("nodes")
        assert (type(store.keys), len(etcd.asked)) == (kind, 1)


@on_a_loop
async def test_kv_api_is_v2_or_v3() -> None:
    async with Lab() as lab:
        with pytest.raises(DiscoveryError, match=r"^kv\.api must be v2 or v3: v4$"):
            initialize("etcd:2379", 60, 180, {"kv.api": "v4"}, lab.world("test"))


@on_a_loop
async def test_the_next_server_is_asked_when_one_is_away_and_kept() -> None:
    async with Lab() as lab:
        lab.network.apps["b:2379"] = Canned(get=directory("a:1"))
        store = opened(lab, "a:2379", "b:2379", "c:2379", api="v2")
        store.servers.pinned = "http://a:2379"
        assert [await store.list("nodes") for _ in range(2)] == [["a:1"], ["a:1"]]
        hosts = [each.server for each in lab.network.exchanges if each.server != "c:2379"]
        assert hosts == ["a:2379", "b:2379", "b:2379"]


@on_a_loop
async def test_a_server_without_a_leader_is_passed_over() -> None:
    async with Lab() as lab:
        lab.network.apps["a:2379"] = Canned(get=(500, refusal(300, "Raft Internal Error")))
        lab.network.apps["b:2379"] = Canned(get=directory("a:1"))
        store = opened(lab, "a:2379", "b:2379", api="v2")
        store.servers.pinned = "http://a:2379"
        assert await store.list("nodes") == ["a:1"]


@on_a_loop
async def test_what_went_wrong_is_told_of_each_server() -> None:
    async with Lab() as lab:
        lab.network.apps["b:2379"] = Canned(get=(503, "no leader"))
        store = opened(lab, "a:2379", "b:2379", api="v2")
        store.servers.urls = ["http://a:2379", "http://b:2379"]
        away = 'Get "http://a:2379/v2/keys/nodes": connection refused'
        bad = "client: etcd member http://b:2379 returns server error [no leader]"
        assert await trouble(store) == f"{UNAVAILABLE}; {away}; {bad}"


@on_a_loop
async def test_managers_do_not_all_begin_with_the_first_server() -> None:
    async with Lab() as lab:
        begins = {opened(lab, "a:1", "b:1", "c:1").servers.pinned for _ in range(50)}
        assert begins == {"http://a:1", "http://b:1", "http://c:1"}


@on_a_loop
async def test_v2_watches_a_key_from_the_index_that_it_was_read_at() -> None:
    async with Lab() as lab:
        held = {"action": "get", "node": {"key": "/leader", "value": "a:1"}}
        etcd = Canned(get=[MISSING, held], wait=[SET, HANG])
        seen: list[str] = []

        async def watch() -> None:
            async with aclosing(store_on(lab, etcd, "v2").watch("leader")) as holders:
                async for holder in holders:
                    seen.append(holder)

        lab.start("watch", watch())
        await lab.run(1)
        assert seen == ["", "a:1"]
        wait = "GET /v2/keys/leader?recursive=false&wait=true&waitIndex=8"
        assert etcd.asked == ["GET /v2/keys/leader?quorum=true", wait] * 2


# The lock, on a clock of its own.


async def held(lab: Lab, etcd: Canned, lost: list[float]) -> None:
    """Take a lock of three seconds, and note when it is lost."""
    async with store_on(lab, etcd, "v2").lock("leader", "me", 3) as event:
        await event.wait()
        lost.append(lab.clock.now)


@on_a_loop
async def test_a_lock_is_a_new_key_renewed_at_each_third_of_its_ttl() -> None:
    async with Lab() as lab:
        etcd = Canned(put=SET, delete=SET)
        lab.start("holder", held(lab, etcd, []))
        await lab.run(2.5)
        await lab.stop("holder")
        assert [" ".join(each.split(" ")[:2]) for each in etcd.asked] == [
            "PUT /v2/keys/leader?prevExist=false",
            "PUT /v2/keys/leader?prevIndex=7",
            "PUT /v2/keys/leader?prevIndex=7",
            "DELETE /v2/keys/leader?prevIndex=7",
        ]
        assert form(etcd.asked[1]) == {"value": "me", "ttl": "3"}


@pytest.mark.parametrize("why", [(100, "Key not found"), (101, "Compare failed")])
@on_a_loop
async def test_a_lock_is_lost_when_a_renewal_finds_it_gone_or_taken(why: tuple[int, str]) -> None:
    async with Lab() as lab:
        lost: list[float] = []
        lab.start("holder", held(lab, Canned(put=[SET, SET, (412, refusal(*why))]), lost))
        await lab.run(10)
        assert lost == [2]


@pytest.mark.parametrize("silence", [HANG, (500, "no leader")])
@on_a_loop
async def test_a_lock_is_lost_when_no_renewal_has_worked_for_its_ttl(silence: Any) -> None:
    async with Lab() as lab:
        lost: list[float] = []
        lab.start("holder", held(lab, Canned(put=[SET, SET, silence]), lost))
        await lab.run(3.9)
        assert lost == []
        await lab.run(0.1)
        assert lost == [4]


@on_a_loop
async def test_one_renewal_that_fails_loses_nothing() -> None:
    async with Lab() as lab:
        lost: list[float] = []
        etcd = Canned(put=[SET, (500, "no leader"), SET], delete=SET)
        lab.start("holder", held(lab, etcd, lost))
        await lab.run(10)
        assert lost == []


@on_a_loop
async def test_who_finds_the_key_taken_waits_for_it_to_change() -> None:
    async with Lab() as lab:
        etcd = Canned(put=[EXISTS, SET], wait=SET, delete=SET)
        lab.start("waiter", held(lab, etcd, []))
        await lab.run(0)
        assert [" ".join(each.split(" ")[:2]) for each in etcd.asked] == [
            "PUT /v2/keys/leader?prevExist=false",
            "GET /v2/keys/leader?recursive=false&wait=true&waitIndex=8",
            "PUT /v2/keys/leader?prevExist=false",
        ]


@on_a_loop
async def test_v3_gives_back_the_lease_of_a_key_that_was_taken() -> None:
    async with Lab() as lab:
        etcd = Canned(lease_grant=GRANTED, kv_txn=HEADER, lease_revoke=HEADER, watch=HANG)
        store = store_on(lab, etcd, "v3")
        assert await V3(store.servers).create("leader", "me", 3) == ("", 7)
        absent = {"key": pack("leader"), "target": "CREATE", "create_revision": "0"}
        put = {"key": pack("leader"), "value": pack("me"), "lease": "77"}
        assert [(each.split(" ")[1], json.loads(each.split(" ", 2)[2])) for each in etcd.asked] == [
            ("/v3/lease/grant", {"TTL": 3}),
            ("/v3/kv/txn", {"compare": [absent], "success": [{"request_put": put}]}),
            ("/v3/lease/revoke", {"ID": "77"}),
        ]


# A real one.


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Server:
    """An etcd of our own on loopback, with its data in a folder."""

    def __init__(self, program: str, folder: Path, *options: str, tls: Any = None) -> None:
        scheme = "https" if tls else "http"
        self.address = f"127.0.0.1:{free_port()}"
        self.url, peer = f"{scheme}://{self.address}", f"http://127.0.0.1:{free_port()}"
        self.tls = tls
        self.log = folder / "etcd.log"
        self.command = [
            *(program, "--data-dir", str(folder / "data"), *options),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
            # A lease lasts one and a half elections at least.
            *("--heartbeat-interval", "50", "--election-timeout", "500"),
        ]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + DEADLINE
        while not self.is_healthy():
            if time.monotonic() > end or self.process.poll() is not None:
                self.kill()
                pytest.fail(self.log.read_text()[-2000:])
            time.sleep(0.02)

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", context=self.tls) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def open(self, api: str = "") -> Etcd:
        return open_etcd([self.address], self.tls, {"kv.api": api}, World())

    def call(self, path: str, **content: Any) -> Any:
        """Ask the gateway, as anybody else would."""
        data = json.dumps(content).encode()
        with urllib.request.urlopen(f"{self.url}/v3/{path}", data) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def etcd(
    require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(require("etcd"), tmp_path_factory.mktemp("etcd"), "--enable-v2=true")
    yield server
    server.kill()


@pytest.fixture
def mortal(require: Callable[[str], str], tmp_path: Path) -> Iterator[Server]:
    """Return a server that a test may kill."""
    server = Server(require("etcd"), tmp_path, "--enable-v2=true")
    yield server
    server.kill()


both = pytest.mark.parametrize("api", ["v2", "v3"])


async def until(changes: Any, wanted: list[str]) -> None:
    """Watch until the list is the wanted one."""
    async for values in changes:
        if values == wanted:
            return


def test_the_commands_keep_a_cluster_in_a_real_etcd(etcd: Server, commands: Any) -> None:
    commands.live(f"etcd://{etcd.address}/commands")


@both
@on_a_loop
async def test_real_values_are_listed_in_the_order_of_their_keys(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    for address in ("b:1", "[::1]:2375", "a:1"):
        await store.put(f"order/{address}", address, 60)
    assert await store.list("order") == ["[::1]:2375", "a:1", "b:1"]


@both
@on_a_loop
async def test_a_real_watch_yields_all_of_the_list_at_each_change(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    async with aclosing(store.watch_tree("changes")) as changes:
        seen = [await anext(changes)]
        for address in ("a:1", "b:1"):
            await store.put(f"changes/{address}", address, 60)
            seen.append(await anext(changes))
    assert seen == [[], ["a:1"], ["a:1", "b:1"]]


@both
@on_a_loop
async def test_a_real_expiry_is_a_change(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    await store.put("expiry/a:1", "a:1", 1)
    async with aclosing(store.watch_tree("expiry")) as changes:
        assert [await anext(changes), await anext(changes)] == [["a:1"], []]


@both
@on_a_loop
async def test_a_real_key_that_is_put_in_time_does_not_expire(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    await store.put("alive/b:1", "b:1", 60)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        await store.put("alive/a:1", "a:1", 1)
        assert await store.list("alive") == ["a:1", "b:1"]
        await asyncio.sleep(0.3)


@both
@on_a_loop
async def test_two_watchers_see_the_same(etcd: Server, api: str) -> None:
    stores = etcd.open(api), etcd.open(api)
    watches = [store.watch_tree("two") for store in stores]
    async with aclosing(watches[0]), aclosing(watches[1]):
        assert [await anext(each) for each in watches] == [[], []]
        await stores[0].put("two/a:1", "a:1", 60)
        assert [await anext(each) for each in watches] == [["a:1"], ["a:1"]]


@both
@on_a_loop
async def test_a_thousand_entries(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    addresses = [f"10.0.{i // 256}.{i % 256:03}:2375" for i in range(1000)]
    seen = 0
    async with aclosing(store.watch_tree("many")) as changes, asyncio.TaskGroup() as group:
        few = asyncio.Semaphore(20)

        async def put(address: str) -> None:
            async with few:
                await store.put(f"many/{address}", address, 60)

        for address in addresses:
            group.create_task(put(address))
        async for values in changes:
            seen += 1
            if len(values) == 1000:
                break
    assert await store.list("many") == addresses
    assert seen < 1000, "changes that come together are one list"


@both
@on_a_loop
async def test_a_watch_ends_with_its_server_and_goes_on_with_the_next(
    mortal: Server, api: str
) -> None:
    options = {"kv.api": api}
    backend = initialize(f"{mortal.address}/prefix", 0.05, 60, options, World())
    await backend.register("a:1")
    async with aclosing(backend.watch()) as reports:
        assert str(await anext(reports)) == "<Entries: a:1>"
        mortal.kill()
        assert str(await anext(reports)).startswith(UNAVAILABLE)
        assert str(await anext(reports)) == "Unexpected watch error"
        assert str(await anext(reports)).endswith(": connection refused")
        await asyncio.to_thread(mortal.start)
        while isinstance(report := await anext(reports), DiscoveryError):
            pass
        assert str(report) == "<Entries: a:1>"
        await backend.register("b:1")
        assert str(await anext(reports)) == "<Entries: a:1, b:1>"


@on_a_loop
async def test_a_real_server_without_v2_is_asked_over_v3(
    require: Callable[[str], str], tmp_path: Path
) -> None:
    server = Server(require("etcd"), tmp_path, "--enable-v2=false")
    try:
        store = server.open()
        await store.put("nodes/a:1", "a:1", 60)
        assert (await store.list("nodes"), type(store.keys)) == (["a:1"], V3)
    finally:
        server.kill()


@on_a_loop
async def test_a_real_server_with_v2_is_asked_over_v2(etcd: Server) -> None:
    store = etcd.open()
    await store.put("choice/a:1", "a:1", 60)
    assert await etcd.open("v2").list("choice") == ["a:1"]
    assert await etcd.open("v3").list("choice") == []


@on_a_loop
async def test_a_real_server_forgets_all_but_a_thousand_changes(etcd: Server) -> None:
    store = etcd.open("v2")
    keys = V2(store.servers)
    await keys.make("forgotten")
    _, index = await keys.list("forgotten")
    async with store.servers.world.client(etcd.url) as client:
        for _ in range(1001):
            await client.put("/v2/keys/elsewhere", data={"value": "1"})
    await keys.changed("forgotten", index, recursive=True)


@on_a_loop
async def test_a_real_server_forgets_what_was_compacted(etcd: Server) -> None:
    store = etcd.open("v3")
    keys = V3(store.servers)
    await store.put("elsewhere", "1", 0)
    await store.put("elsewhere", "2", 0)
    _, revision = await keys.list("compacted")
    etcd.call("kv/compaction", revision=revision)
    await keys.changed("compacted", revision - 2, recursive=True)


@on_a_loop
async def test_heartbeats_leave_one_lease_behind(etcd: Server) -> None:
    before = len(etcd.call("lease/leases").get("leases", []))
    store = etcd.open("v3")
    for _ in range(5):
        await store.put("heap/a:1", "a:1", 60)
    assert len(etcd.call("lease/leases")["leases"]) == before + 1


@both
@on_a_loop
async def test_a_real_lock_has_one_holder_and_goes_to_who_waits(etcd: Server, api: str) -> None:
    order: list[str] = []

    async def hold(name: str, begun: asyncio.Event, end: asyncio.Event) -> None:
        async with etcd.open(api).lock("given/leader", name, 10) as lost:
            order.append(name)
            begun.set()
            await end.wait()
            assert not lost.is_set()
            order.append(f"{name} ends")

    events = [asyncio.Event() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        group.create_task(hold("first", events[0], events[1]))
        await events[0].wait()
        group.create_task(hold("second", events[2], events[3]))
        await asyncio.sleep(0.1)
        events[1].set()
        await events[2].wait()
        events[3].set()
    assert order == ["first", "first ends", "second", "second ends"]


@both
@on_a_loop
async def test_a_real_lock_outlives_its_ttl_while_it_is_held(etcd: Server, api: str) -> None:
    async with etcd.open(api).lock("kept/leader", "me", 1) as lost:
        await asyncio.sleep(1.6)
        assert not lost.is_set()
        assert await etcd.open(api).list("kept") == ["me"]


@both
@on_a_loop
async def test_a_real_lock_is_lost_when_somebody_deletes_the_key(etcd: Server, api: str) -> None:
    async with etcd.open(api).lock("lost/leader", "me", 1) as lost:
        if api == "v2":
            url = f"{etcd.url}/v2/keys/lost/leader"
            urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()
        else:
            etcd.call("kv/deleterange", key=pack("lost/leader"))
        await lost.wait()


@both
@on_a_loop
async def test_a_real_lock_is_lost_when_somebody_takes_the_key(etcd: Server, api: str) -> None:
    store = etcd.open(api)
    async with store.lock("taken/leader", "me", 1) as lost:
        await store.put("taken/leader", "somebody", 60)
        await lost.wait()


@both
@on_a_loop
async def test_a_real_watch_of_a_lock_tells_who_holds_it(etcd: Server, api: str) -> None:
    key = f"watched-{api}/leader"
    async with aclosing(etcd.open(api).watch(key)) as holders:
        assert await anext(holders) == ""
        async with etcd.open(api).lock(key, "first", 10):
            assert await anext(holders) == "first"
        assert await anext(holders) == ""
        async with etcd.open(api).lock(key, "second", 1):
            assert await anext(holders) == "second"
            renewed = asyncio.create_task(anext(holders))
            await asyncio.sleep(0.8)
            # In v2 a renewal is a change, and no news.
            assert not renewed.done()
        assert await renewed == ""


@both
@on_a_loop
async def test_a_real_watch_of_a_lock_that_loses_its_server_says_so(
    mortal: Server, api: str
) -> None:
    async with aclosing(mortal.open(api).watch("leader")) as holders:
        assert await anext(holders) == ""
        mortal.kill()
        with pytest.raises(StoreError, match=f"^{UNAVAILABLE}; "):
            await anext(holders)
    mortal.start()


HOLDER = """
import asyncio, sys
from walkthroughs.swarm.etcd import open_etcd
from walkthroughs.swarm.world import World

async def main(address, api):
    store = open_etcd([address], None, {"kv.api": api}, World())
    async with store.lock("dead/leader", "first", 1):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@both
@on_a_loop
async def test_a_real_lock_is_taken_over_when_its_holder_dies(etcd: Server, api: str) -> None:
    command = [sys.executable, "-c", HOLDER, etcd.address, api]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    async with etcd.open(api).lock("dead/leader", "second", 1) as lost:
        assert not lost.is_set()


@both
@on_a_loop
async def test_cancelling_a_watch_closes_its_connection(etcd: Server, api: str) -> None:
    def connections() -> int:
        found = Path("/proc/net/tcp").read_text().split("\n")
        port = f"0100007F:{int(etcd.address.partition(':')[2]):04X}"
        return sum(line.split()[2:4] == [port, "01"] for line in found if line)

    async def watch() -> None:
        async with aclosing(etcd.open(api).watch_tree("cancelled")) as changes:
            async for _ in changes:
                ...

    if not Path("/proc/net/tcp").exists():
        pytest.skip("no /proc/net/tcp")
    before = connections()  # its gateway is a client of its own
    task = asyncio.create_task(watch())
    while connections() == before:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    while connections() > before:
        await asyncio.sleep(0.01)


@pytest.fixture
def secure(require: Callable[[str], str], tmp_path: Path) -> Iterator[tuple[Server, list[str]]]:
    """Return a server that asks for certificates, and the options that show one."""
    ca = trustme.CA()
    paths = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    authority, certificate, key = map(str, paths)
    leaf = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(authority)
    leaf.private_key_pem.write_to_path(key)
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    options = ["--enable-v2=true", "--client-cert-auth", "--trusted-ca-file", authority]
    options += ["--cert-file", certificate, "--key-file", key]
    server = Server(require("etcd"), tmp_path, *options, tls=context)
    yield server, [authority, certificate, key]
    server.kill()


@both
@on_a_loop
async def test_tls_with_certificates_of_both_sides(
    secure: tuple[Server, list[str]], api: str
) -> None:
    server, files = secure
    names = ("kv.cacertfile", "kv.certfile", "kv.keyfile")
    options = dict(zip(names, files, strict=True)) | {"kv.api": api}
    backend = initialize(server.address, 60, 180, options, World())
    await backend.register("a:1")
    async with aclosing(backend.watch()) as reports:
        assert str(await anext(reports)) == "<Entries: a:1>"


@on_a_loop
async def test_tls_without_our_certificate_is_refused(secure: tuple[Server, list[str]]) -> None:
    server, files = secure
    context = ssl.create_default_context(cafile=files[0])
    store = open_etcd([server.address], context, {"kv.api": "v2"}, World())
    said = await trouble(store)
    assert re.fullmatch(rf"{UNAVAILABLE}; .*{server.url}.*: .*alert bad certificate.*", said)


@on_a_loop
async def test_tls_is_not_spoken_unless_it_is_asked_for(secure: tuple[Server, list[str]]) -> None:
    store = open_etcd([secure[0].address], None, {"kv.api": "v2"}, World())
    why = "Server disconnected without sending a response."
    url = f"http://{secure[0].address}/v2/keys/nodes"
    assert await trouble(store) == f'{UNAVAILABLE}; Get "{url}": {why}'
