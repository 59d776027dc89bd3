"""ZooKeeper as a store: what is computed, what a bare socket shows, and a real server."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from contextlib import aclosing, closing, suppress
from functools import wraps
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NoNodeError, RuntimeInconsistency

from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.kv import StoreError
from walkthroughs.swarm.world import World, within
from walkthroughs.swarm.zookeeper import (
    NoNode,
    explain,
    initialize,
    misplaced,
    open_zookeeper,
    place,
    predecessor,
    with_ports,
)

DEADLINE = 20
NODES = "docker/swarm/nodes"
LEADER = "docker/swarm/leader"
A, B = "10.0.0.1:2375", "10.0.0.2:2375"
NO_SERVER = "zk: could not connect to a server: "
SILENT = "it does not answer as a ZooKeeper that serves"


def on_a_loop(test):
    """Run a test on an event loop, and see that it leaves no thread behind."""

    @wraps(test)
    def run(*arguments, **fixtures):
        before = set(threading.enumerate())
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), DEADLINE))
        assert set(threading.enumerate()) <= before

    return run


def store_at(*servers):
    return open_zookeeper(servers, None, {}, World())


async def trouble(doing):
    with pytest.raises(StoreError) as caught:
        await doing
    return str(caught.value)


# What is computed.


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("zk1", "zk1:2181"),
        ("zk1:2182", "zk1:2182"),
        ("[::1]", "[::1]:2181"),
        ("[::1]:2182", "[::1]:2182"),
    ],
)
def test_a_server_without_a_port_has_2181(given, checked):
    assert with_ports([given]) == [checked]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "bad hostname"),
        ("zk1:x", "Port could not be cast to integer value as 'x'"),
        ("zk1:99999", "Port out of range 0-65535"),
        ("a" * 64, "label too long"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(given, why):
    with pytest.raises(DiscoveryError) as caught:
        with_ports(["zk1", given])
    assert str(caught.value).startswith(f"zk: zk1,{given}: ")
    assert why in str(caught.value)


def test_parse_seq_reads_what_follows_the_last_dash():
    assert place("_c_0123456789abcdef0123456789abcdef-lock-0000000012") == 12


def test_what_has_no_number_is_no_contender():
    assert place("0123456789abcdef__lock__0000000012") == -1


def test_the_first_in_the_queue_waits_for_nobody():
    assert predecessor("b-lock-0000000001", ["a-lock-0000000002", "b-lock-0000000001"]) is None


def test_each_waits_for_the_one_before_and_no_other():
    queue = ["c-lock-0000000010", "a-lock-0000000009", "b-lock-0000000003", "notes"]
    assert predecessor("c-lock-0000000010", queue) == "a-lock-0000000009"


def test_who_is_not_in_the_queue_does_not_have_the_lock():
    with pytest.raises(StoreError) as caught:
        predecessor("a-lock-0000000001", [])
    assert str(caught.value) == "zk: session has been expired by the server"


def test_a_node_of_our_own_session_is_set():
    assert not misplaced(7, 7, 10)


def test_a_node_of_an_older_session_is_made_anew():
    assert misplaced(6, 7, 10)


def test_a_node_of_nobody_is_made_anew():
    assert misplaced(0, 7, 10)


def test_a_key_without_a_ttl_may_be_anybodys():
    assert not misplaced(6, 7, 0)


def test_an_error_is_explained_by_its_name():
    assert str(explain(NoAuthError())) == "zk: no auth error"
    assert str(explain(RuntimeInconsistency("why"))) == "zk: runtime inconsistency why"


def test_what_is_not_there_can_be_told_from_other_errors():
    assert isinstance(explain(NoNodeError()), NoNode)


# What a bare socket shows.


@pytest.fixture
def closed_port():
    """Return an address at which nobody is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def mute():
    """Return the address of a server that accepts, and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@on_a_loop
async def test_a_server_that_is_away_is_named_with_the_reason(closed_port):
    why = f"{NO_SERVER}{closed_port}: connection refused"
    assert await trouble(store_at(closed_port).list(NODES)) == why


@on_a_loop
async def test_a_server_that_hangs_up_is_named():
    async def hang_up(reader, writer):
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        why = f"{NO_SERVER}{address}: {SILENT}"
        assert await trouble(store_at(address).put("a", "b", 1)) == why


@on_a_loop
async def test_a_watch_of_a_server_that_is_away_reports_it(closed_port):
    async with aclosing(store_at(closed_port).watch_tree(NODES)) as changes:
        why = f"{NO_SERVER}{closed_port}: connection refused"
        assert await trouble(anext(changes)) == why


@on_a_loop
async def test_a_task_that_waits_for_a_silent_server_can_be_cancelled(mute):
    world, begin = World(), time.monotonic()
    with pytest.raises(TimeoutError):
        await within(0.1, store_at(mute).list(NODES), world.clock)
    assert time.monotonic() - begin < 3


# A real server.

HOME = Path("/usr/share/java")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
# Sessions of half a second to one and a half, whatever is asked for.
CONFIG = {
    "tickTime": 250,
    "minSessionTimeout": 500,
    "maxSessionTimeout": 1500,
    "clientPortAddress": "127.0.0.1",
    "admin.enableServer": "false",
    "4lw.commands.whitelist": "srvr",
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Keeper:
    """A ZooKeeper of one server, in a directory of its own."""

    def __init__(self, java, home, **more):
        self.port, self.secure_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.secure_address = f"127.0.0.1:{self.secure_port}"
        settings = {**CONFIG, **more, "clientPort": self.port, "dataDir": home / "data"}
        if "serverCnxnFactory" in more:
            settings["secureClientPort"] = self.secure_port
        config = home / "zoo.cfg"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        jars = ["zookeeper.jar", "netty-codec.jar", "netty-resolver.jar"]
        classes = ":".join(str(HOME / jar) for jar in jars)
        self.command = [java, "-XX:TieredStopAtLevel=1", "-cp", classes, MAIN, str(config)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=-3, stderr=-3)
        deadline = time.monotonic() + DEADLINE
        while not self.serves():
            assert self.process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not serve"
            time.sleep(0.02)

    def serves(self):
        """Tell whether it answers the four-letter word `srvr` with more than an excuse."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
            line.sendall(b"srvr")
            return line.recv(9) == b"Zookeeper"
        return False

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def java(require):
    path = require("java")
    if not (HOME / "zookeeper.jar").exists():
        require("ZooKeeper, Debian's package zookeeper,")
    return path


@pytest.fixture(scope="module")
def server(java, tmp_path_factory):
    keeper = Keeper(java, tmp_path_factory.mktemp("zookeeper"))
    yield keeper
    keeper.kill()


def test_the_commands_keep_a_cluster_in_a_real_zookeeper(server, commands):
    commands.live(f"zk://{server.address}/commands")


@pytest.fixture
def prefix(request):
    """Return a directory that no other test uses."""
    return request.node.name


@pytest.fixture
def live(server):
    """Return a function that runs a program with a store in another process.

    It can be killed, and then has no time for a farewell.
    """
    processes = []

    def start(program):
        lines = [
            "import asyncio",
            "from walkthroughs.swarm.world import World",
            "from walkthroughs.swarm.zookeeper import open_zookeeper",
            "async def main():",
            f"    store = open_zookeeper(['{server.address}'], None, {{}}, World())",
            f"    {program}",
            "    print('ready', flush=True)",
            "    await asyncio.Event().wait()",
            "asyncio.run(main())",
        ]
        process = subprocess.Popen(
            [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


async def persistently(backend, address):
    """Register, again and again until it works, as `join` does."""
    while True:
        with suppress(DiscoveryError):
            return await backend.register(address)


async def until(changes, wanted):
    """Follow a watch until it yields what is wanted; return all that it has yielded."""
    told = [await anext(changes)]
    while told[-1] != wanted:
        told.append(await anext(changes))
    return told


@on_a_loop
async def test_what_is_put_is_listed_by_key(server, prefix):
    store = store_at(server.address)
    assert await store.list(prefix) == []
    for address in B, A:
        await store.put(f"{prefix}/{address}", address, 10)
    assert await store_at(server.address).list(prefix) == [A, B]


@on_a_loop
async def test_the_original_paths_are_used(server):
    backend = initialize(f"{server.address}/prefix", 60, 180, {"kv.path": NODES}, World())
    await backend.register(A)
    assert await backend.store.list(f"prefix/{NODES}") == [A]


@on_a_loop
async def test_a_key_outlives_the_process_that_put_it_and_goes_with_its_session(server, prefix):
    store = store_at(server.address)
    async with aclosing(store.watch_tree(prefix)) as changes:
        assert await anext(changes) == []
        await store.put(f"{prefix}/a", A, 10)
        # What an event loop does when it ends.
        await store.kept[1].aclose()
        begin = time.monotonic()
        assert (await anext(changes), await anext(changes)) == ([A], [])
        assert time.monotonic() - begin > 0.5


def test_a_loop_that_ends_leaves_no_thread(server, prefix):
    before = set(threading.enumerate())
    asyncio.run(store_at(server.address).put(f"{prefix}/a", A, 10))
    assert set(threading.enumerate()) <= before


@on_a_loop
async def test_a_key_without_a_ttl_stays(server, prefix):
    first, second = store_at(server.address), store_at(server.address)
    await first.put(f"{prefix}/a", "1", 0)
    await second.put(f"{prefix}/a", "2", 0)
    assert await first.list(prefix) == ["2"]


def stat(address, path):
    """Return what ZooKeeper itself knows of a node, None if there is none."""
    client = KazooClient(address)
    client.start()
    try:
        return client.exists(path)
    finally:
        client.stop()
        client.close()


@on_a_loop
async def test_a_key_with_a_ttl_is_an_ephemeral_node_and_one_without_is_not(server, prefix):
    store = store_at(server.address)
    for key, ttl in ("with", 10), ("without", 0):
        await store.put(f"{prefix}/{key}", A, ttl)
    assert stat(server.address, f"/{prefix}/with").ephemeralOwner != 0
    assert stat(server.address, f"/{prefix}/without").ephemeralOwner == 0


@on_a_loop
async def test_a_watch_makes_the_directory_that_is_missing(server, prefix):
    assert stat(server.address, f"/{prefix}") is None
    async with aclosing(store_at(server.address).watch_tree(prefix)) as changes:
        assert await anext(changes) == []
    assert stat(server.address, f"/{prefix}") is not None


@on_a_loop
async def test_a_key_goes_when_the_session_of_a_dead_process_ends(server, prefix, live):
    process = live(f"await store.put('{prefix}/a', '{A}', 10)")
    async with aclosing(store_at(server.address).watch_tree(prefix)) as changes:
        assert await anext(changes) == [A]
        process.kill()
        begin = time.monotonic()
        assert await anext(changes) == []
        assert 0.5 < time.monotonic() - begin < 4


@on_a_loop
async def test_a_process_that_starts_anew_keeps_its_key_beyond_its_former_session(
    server, prefix, live
):
    process = live(f"await store.put('{prefix}/a', '{A}', 10)")
    async with aclosing(store_at(server.address).watch_tree(prefix)) as changes:
        assert await anext(changes) == [A]
        process.kill()
        heir = store_at(server.address)
        await heir.put(f"{prefix}/a", A, 10)
        # A second process dies after the first: the end of its session is the proof
        # that the other's has come before.
        later = live(f"await store.put('{prefix}/b', '{B}', 10)")
        later.kill()
        assert await until(changes, [A]) in ([[A, B], [A]], [[A, B], [A, B], [A]])


@on_a_loop
async def test_a_key_that_nobody_owned_becomes_ours(server, prefix):
    first = store_at(server.address)
    await first.put(f"{prefix}/a", "1", 0)
    second = store_at(server.address)
    await second.put(f"{prefix}/a", "2", 10)
    session, _ = second.kept
    node = await session.result(session.client.exists_async(f"/{prefix}/a"))
    assert node.ephemeralOwner == session.client.client_id[0]


@on_a_loop
async def test_a_node_with_children_cannot_become_ours_and_says_so(server, prefix):
    store = store_at(server.address)
    await store.put(f"{prefix}/a/b", "1", 0)
    assert await trouble(store.put(f"{prefix}/a", "2", 10)) == "zk: not empty error"


@on_a_loop
async def test_a_watch_tells_of_what_comes_and_what_changes(server, prefix):
    store = store_at(server.address)
    async with aclosing(store.watch_tree(prefix)) as changes:
        assert await anext(changes) == []
        await store.put(f"{prefix}/a", A, 10)
        assert await anext(changes) == [A]
        await store.put(f"{prefix}/a", B, 10)
        assert await anext(changes) == [B]


@on_a_loop
async def test_two_watchers_are_told_the_same(server, prefix):
    store = store_at(server.address)
    async with aclosing(store.watch_tree(prefix)) as one, aclosing(store.watch_tree(prefix)) as two:
        assert (await anext(one), await anext(two)) == ([], [])
        await store.put(f"{prefix}/a", A, 10)
        assert (await anext(one), await anext(two)) == ([A], [A])


@on_a_loop
async def test_a_thousand_entries_are_watched(server, prefix):
    store = store_at(server.address)
    names = sorted(f"10.0.{n // 250}.{n % 250}:2375" for n in range(1000))
    async with aclosing(store.watch_tree(prefix)) as changes:
        assert await anext(changes) == []
        await asyncio.gather(*(store.put(f"{prefix}/{name}", name, 10) for name in names))
        assert (await until(changes, names))[-1] == names


@on_a_loop
async def test_the_next_server_is_asked_when_one_does_not_answer(server, prefix, closed_port):
    # In whichever order they are tried.
    for _ in range(4):
        assert await store_at(closed_port, server.address).list(prefix) == []


@on_a_loop
async def test_a_lock_is_held_by_one_and_handed_on_when_it_is_given_back(server, prefix):
    one, two, told = store_at(server.address), store_at(server.address), []

    async def second():
        async with two.lock(f"{prefix}/leader", "b", 10):
            told.append(await two.list(prefix))

    async with one.lock(f"{prefix}/leader", "a", 10) as lost:
        waiting = asyncio.create_task(second())
        while len(await one.list(f"{prefix}/leader")) < 2:
            await asyncio.sleep(0.01)
        told.append(await one.list(prefix))
        assert not lost.is_set()
    await waiting
    assert told == [["a"], ["b"]]


@on_a_loop
async def test_a_lock_goes_to_the_next_when_its_holder_dies(server, prefix, live):
    program = f"lock = store.lock('{prefix}/leader', 'a', 10); await lock.__aenter__()"
    process = live(program)
    process.kill()
    begin = time.monotonic()
    store = store_at(server.address)
    async with store.lock(f"{prefix}/leader", "b", 10):
        assert await store.list(prefix) == ["b"]
    assert 0.3 < time.monotonic() - begin < 4


@on_a_loop
async def test_a_lock_is_lost_when_somebody_deletes_the_contender(server, prefix):
    store = store_at(server.address)
    async with store.lock(f"{prefix}/leader", "a", 10) as lost, store.session() as session:
        client, path = session.client, f"/{prefix}/leader"
        (name,) = await session.result(client.get_children_async(path))
        assert not lost.is_set()
        await session.result(client.delete_async(f"{path}/{name}"))
        await lost.wait()


@on_a_loop
async def test_a_watch_of_a_lock_tells_who_holds_it_and_that_nobody_does(server, prefix):
    key = f"{prefix}/leader"

    async def second():
        async with store_at(server.address).lock(key, "b", 10):
            await ended.wait()

    ended, store = asyncio.Event(), store_at(server.address)
    async with aclosing(store.watch(key)) as holders:
        assert await anext(holders) == ""
        async with store.lock(key, "a", 10):
            assert await anext(holders) == "a"
            waiting = asyncio.create_task(second())
            while len(await store.list(key)) < 2:
                await asyncio.sleep(0.01)
        assert await anext(holders) == "b"
        ended.set()
        await waiting
        # The value stays behind.
        assert await anext(holders) == ""
        assert await store.list(prefix) == ["b"]


@on_a_loop
async def test_a_watch_of_a_lock_that_loses_its_server_says_so(java, tmp_path):
    keeper = Keeper(java, tmp_path)
    try:
        async with aclosing(store_at(keeper.address).watch(LEADER)) as holders:
            assert await anext(holders) == ""
            keeper.kill()
            why = f"{NO_SERVER}{keeper.address}: connection refused"
            assert await trouble(anext(holders)) == why
    finally:
        keeper.kill()


@on_a_loop
async def test_waiting_for_a_lock_can_be_cancelled_and_leaves_no_contender(server, prefix):
    store, world = store_at(server.address), World()
    async with store.lock(f"{prefix}/leader", "a", 10):
        waiting = store_at(server.address).lock(f"{prefix}/leader", "b", 10)
        with pytest.raises(TimeoutError):
            await within(0.2, waiting.__aenter__(), world.clock)
        assert len(await store.list(f"{prefix}/leader")) == 1


@on_a_loop
async def test_a_server_that_is_killed_and_starts_again_with_its_data(java, tmp_path):
    keeper = Keeper(java, tmp_path, maxSessionTimeout=10_000)
    try:
        backend = initialize(f"{keeper.address}", 0.2, 10, {}, World())
        await backend.register(A)
        lock = backend.store.lock(LEADER, "a", 10)
        async with aclosing(backend.watch()) as reports:
            assert [str(entry) for entry in await anext(reports)] == [A]
            async with lock as lost:
                keeper.kill()
                why = f"{NO_SERVER}{keeper.address}: connection refused"
                assert str(await anext(reports)) == why
                assert str(await anext(reports)) == "Unexpected watch error"
                # It may be that another has the lock now, for all that we know.
                await lost.wait()
            keeper.start()
            while isinstance(again := await anext(reports), DiscoveryError):
                pass
            # The session went on where it was, and so the node is there.
            assert [str(entry) for entry in again] == [A]
            await persistently(backend, B)
            assert [str(entry) for entry in await anext(reports)] == [A, B]
    finally:
        keeper.kill()


@pytest.fixture
def certificates(tmp_path):
    """Return the options of a client, and the settings of a server, with TLS both."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("swarm@example.org")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    served = authority.issue_cert("127.0.0.1")
    # Java reads keys of this one form.
    key = serialization.load_pem_private_key(served.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "server.pem").write_bytes(key + served.cert_chain_pems[0].bytes())
    files = {"kv.cacertfile": "ca.pem", "kv.certfile": "cert.pem", "kv.keyfile": "key.pem"}
    return {name: str(tmp_path / file) for name, file in files.items()}, {
        "secureClientPortAddress": "127.0.0.1",
        "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
        "ssl.keyStore.location": tmp_path / "server.pem",
        "ssl.trustStore.location": tmp_path / "ca.pem",
    }


@on_a_loop
async def test_tls_works_with_certificates_on_both_sides(java, tmp_path, certificates):
    options, settings = certificates
    keeper = Keeper(java, tmp_path, **settings)
    try:
        backend = initialize(keeper.secure_address, 60, 180, options, World())
        # The secure port is opened after the other.
        await persistently(backend, A)
        assert await backend.store.list(NODES) == [A]
        why = f"{NO_SERVER}{keeper.secure_address}: {SILENT}"
        assert await trouble(store_at(keeper.secure_address).list(NODES)) == why
    finally:
        keeper.kill()
