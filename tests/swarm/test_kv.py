"""Discovery over a key-value store: where the keys are, a watch that never gives up, TLS."""

import asyncio
import ssl
from contextlib import aclosing, asynccontextmanager
from io import StringIO
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as form

from walkthroughs.swarm.discovery import DiscoveryError, create_entries
from walkthroughs.swarm.kv import KV, StoreError, client_tls, over
from walkthroughs.swarm.lab import Lab

NOW = 'time="2017-07-14T02:40:00Z"'


class Memory:
    """A store of keys that expire, and that can be gone for a while."""

    def __init__(self, clock):
        self.clock, self.keys, self.trouble = clock, {}, None
        self.watches = 0

    def check(self):
        if self.trouble:
            raise StoreError(self.trouble)

    async def put(self, key, value, ttl):
        self.check()
        self.keys[key] = (value, self.clock.now + ttl)

    async def list(self, directory):
        self.check()
        found = sorted(key for key in self.keys if key.startswith(f"{directory}/"))
        return [self.keys[key][0] for key in found if self.keys[key][1] > self.clock.now]

    async def watch_tree(self, directory):
        self.watches += 1
        try:
            seen = None
            while True:
                values = await self.list(directory)
                if values != seen:
                    yield values
                seen = values
                await self.clock.sleep(1)
        finally:
            self.watches -= 1

    @asynccontextmanager
    async def lock(self, key, value, ttl):
        while self.keys.get(key, ("", 0))[1] > self.clock.now:
            await self.clock.sleep(1)
        await self.put(key, value, ttl)
        yield asyncio.Event()
        del self.keys[key]


async def follow(lab, backend, reports):
    """Note what a watch yields, and when."""
    async with aclosing(backend.watch()) as watch:
        async for report in watch:
            reports.append((lab.clock.now, report))


def watched(script, heartbeat=20.0):
    """Return the reports of a watch while `script(lab, store)` runs."""

    async def program():
        async with Lab() as lab:
            store, reports = Memory(lab.clock), []
            backend = KV(store, "docker/swarm/nodes", heartbeat, 60, lab.world("manager"))
            lab.start("manager", follow(lab, backend, reports))
            await script(lab, store)
            await lab.stop("manager")
            assert store.watches == 0
            return [(time, said(report)) for time, report in reports]

    return asyncio.run(program())


def said(report):
    return [f"error: {report}"] if isinstance(report, DiscoveryError) else [*map(str, report)]


# Where the keys are


@pytest.mark.parametrize(
    ("uri", "options", "path"),
    [
        ("a:1", {}, "docker/swarm/nodes"),
        ("a:1/", {}, "docker/swarm/nodes"),
        ("a:1,b:2/prefix", {}, "prefix/docker/swarm/nodes"),
        ("a:1/one/two/", {}, "one/two/docker/swarm/nodes"),
        ("a:1", {"kv.path": "docker/nodes"}, "docker/nodes"),
        ("a:1/prefix", {"kv.path": "/my//nodes/"}, "prefix/my/nodes"),
        ("a:1/prefix", {"kv.path": ""}, "prefix/docker/nodes"),
    ],
)
def test_the_path_is_the_prefix_of_the_url_and_the_option(uri, options, path):
    # Measured: these are the directories in which the original puts its keys in an etcd 3.4.
    store = Memory(None)
    backend = over(lambda *_: store)(uri, 20, 60, options, Lab().world("manager"))
    assert (backend.store, backend.path) == (store, path)


def test_without_kv_path_the_nodes_are_in_docker_swarm_nodes():
    backend = over(lambda *_: Memory(None))("a:1", 20, 60, {}, Lab().world("manager"))
    assert backend.path == "docker/swarm/nodes"


def test_a_store_is_opened_with_all_servers_of_the_url():
    given = []
    world, options = Lab().world("manager", StringIO()), {"consul.token": "x"}
    over(lambda *arguments: given.append(arguments))("a:1,b:2,c:3/p/q", 20, 60, options, world)
    assert given == [(["a:1", "b:2", "c:3"], None, options, world)]


def test_initializing_without_tls_is_logged_on_stdout(capsys):
    over(lambda *_: Memory(None))("a:1", 20, 60, {}, Lab().world("manager"))
    assert capsys.readouterr() == (
        f'{NOW} level=info msg="Initializing discovery without TLS"\n',
        "",
    )


# Register


def test_register_puts_the_address_under_its_own_name_for_the_ttl():
    async def program():
        async with Lab() as lab:
            store = Memory(lab.clock)
            backend = KV(store, "docker/swarm/nodes", 20, 60, lab.world("node"))
            await lab.run(5)
            await backend.register("10.0.0.1:2375")
            return store.keys

    key = "docker/swarm/nodes/10.0.0.1:2375"
    assert asyncio.run(program()) == {key: ("10.0.0.1:2375", 65)}


def test_a_store_that_will_not_put_is_an_error_of_discovery():
    store = Memory(None)
    store.trouble = "the store is gone"
    backend = KV(store, "nodes", 20, 60, Lab().world("node"))
    with pytest.raises(DiscoveryError, match=r"\Athe store is gone\Z"):
        asyncio.run(backend.register("10.0.0.1:2375"))


# Watch


def test_a_watch_yields_the_whole_list_at_every_change():
    async def script(lab, store):
        await store.put("docker/swarm/nodes/a:1", "a:1", 10)
        await store.put("docker/swarm/leader", "not a node", 1000)
        await lab.run(3)
        await store.put("docker/swarm/nodes/b:2", "b:2", 1000)
        await lab.run(20)

    assert watched(script) == [(0, ["a:1"]), (4, ["a:1", "b:2"]), (10, ["b:2"])]


def test_a_directory_without_keys_is_an_empty_list():
    async def script(lab, store):
        await lab.run(5)

    assert watched(script) == [(0, [])]


def test_a_store_that_goes_away_is_asked_again_after_every_heartbeat_for_ever():
    async def script(lab, store):
        await store.put("docker/swarm/nodes/a:1", "a:1", 1000)
        await lab.run(5)
        store.trouble = "the store is gone"
        await lab.run(60)
        store.trouble = None
        await lab.run(60)

    gone, unexpected = ["error: the store is gone"], ["error: Unexpected watch error"]
    assert watched(script) == [
        (0, ["a:1"]),
        *((time, report) for time in (6, 26, 46) for report in (gone, unexpected)),
        (66, ["a:1"]),
    ]


def test_a_store_that_goes_away_removes_nobody():
    async def script(lab, store):
        await store.put("docker/swarm/nodes/a:1", "a:1", 1000)
        await lab.run(5)
        store.trouble = "the store is gone"
        await lab.run(3600)

    lists = [report for _, report in watched(script) if not report[0].startswith("error: ")]
    assert lists == [["a:1"]]


def test_a_watch_that_the_store_ends_without_a_word_is_set_up_again():
    class Short(Memory):
        async def watch_tree(self, directory):
            yield await self.list(directory)

    async def program():
        async with Lab() as lab:
            reports = []
            backend = KV(Short(lab.clock), "nodes", 20, 60, lab.world("manager"))
            lab.start("manager", follow(lab, backend, reports))
            await lab.run(25)
            return [(time, said(report)) for time, report in reports]

    unexpected = ["error: Unexpected watch error"]
    assert asyncio.run(program()) == [(0, []), (0, unexpected), (20, []), (20, unexpected)]


def test_a_value_that_is_no_address_is_an_error_and_the_watch_goes_on():
    async def script(lab, store):
        await store.put("docker/swarm/nodes/a:1", "a:1", 1000)
        await store.put("docker/swarm/nodes/b", "b", 10)
        await lab.run(20)

    assert watched(script) == [(0, ["error: address b: missing port in address"]), (10, ["a:1"])]


def test_an_empty_value_is_nobody():
    # The original depends on it: its own list begins with an empty text for each node.
    async def script(lab, store):
        await store.put("docker/swarm/nodes/", "", 1000)
        await store.put("docker/swarm/nodes/a:1", "a:1", 1000)
        await lab.run(1)

    assert watched(script) == [(0, ["a:1"])]


def test_the_number_of_nodes_is_a_debug_line():
    async def program():
        async with Lab() as lab:
            world, reports = lab.world("manager", StringIO()), []
            world.log.set_level("debug")
            lab.start(
                "manager", follow(lab, KV(Memory(lab.clock), "nodes", 20, 60, world), reports)
            )
            await lab.run(1)
            return world.stdout.getvalue()

    assert asyncio.run(program()) == f'{NOW} level=debug msg="Watch triggered with 0 nodes"\n'


def test_two_watches_of_one_backend_see_the_same():
    async def program():
        async with Lab() as lab:
            store, first, second = Memory(lab.clock), [], []
            backend = KV(store, "nodes", 20, 60, lab.world("manager"))
            lab.start("first", follow(lab, backend, first))
            await lab.run(5)
            lab.start("second", follow(lab, backend, second))
            await store.put("nodes/a:1", "a:1", 1000)
            await lab.run(5)
            return first, second

    nodes = create_entries(["a:1"])
    assert asyncio.run(program()) == ([(0, create_entries([])), (6, nodes)], [(5, nodes)])


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    """Return the three options, for files that belong together."""
    certificate = authority.issue_cert("manager")
    for name, blob in (("ca", authority.cert_pem), ("key", certificate.private_key_pem)):
        blob.write_to_path(tmp_path / f"{name}.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    names = {"kv.cacertfile": "ca", "kv.certfile": "cert", "kv.keyfile": "key"}
    return {option: str(tmp_path / f"{name}.pem") for option, name in names.items()}


@pytest.mark.parametrize("options", [{}, {"kv.cacertfile": ""}, {"kv.path": "x"}])
def test_without_tls_options_there_is_no_tls(options):
    assert client_tls(options) is None


@pytest.mark.parametrize("missing", ["kv.cacertfile", "kv.certfile", "kv.keyfile"])
def test_tls_options_come_together_or_not_at_all(files, missing):
    # The original goes on without TLS.
    del files[missing]
    message = "kv.cacertfile, kv.certfile, kv.keyfile must be given together"
    with pytest.raises(DiscoveryError, match=rf"\A{message}\Z"):
        client_tls(files)


def test_with_all_three_the_store_is_opened_with_them(files, capsys):
    given = []
    world = Lab().world("manager")
    over(lambda *arguments: given.append(arguments))("a:1", 20, 60, files, world)
    assert isinstance(given[0][1], ssl.SSLContext)
    assert capsys.readouterr().out == f'{NOW} level=info msg="Initializing discovery with TLS"\n'


@pytest.mark.parametrize("option", ["kv.cacertfile", "kv.certfile", "kv.keyfile"])
def test_a_file_that_is_not_there_is_named(files, option):
    files[option] = "/nowhere/x.pem"
    with pytest.raises(DiscoveryError) as caught:
        client_tls(files)
    names = ", ".join(files.values())
    assert str(caught.value) == f"cannot use {names}: no such file or directory"


def test_a_file_that_is_no_certificate_is_an_error(files, tmp_path):
    (tmp_path / "cert.pem").write_text("garbage")
    with pytest.raises(DiscoveryError, match=r"\Acannot use .*, .*, .*: \[SSL\] .*\Z"):
        client_tls(files)


def test_a_key_of_another_certificate_is_an_error(files, authority):
    authority.issue_cert("other").private_key_pem.write_to_path(files["kv.keyfile"])
    with pytest.raises(DiscoveryError, match="KEY_VALUES_MISMATCH"):
        client_tls(files)


def test_a_key_with_a_password_is_an_error_and_no_question(files, authority):
    file = Path(files["kv.keyfile"])
    key = form.load_pem_private_key(file.read_bytes(), None)
    locked = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"secret")
    )
    file.write_bytes(locked)
    with pytest.raises(DiscoveryError, match=r"\Acannot use "):
        client_tls(files)


def greeting(server, files):
    """Return what a TLS server on loopback says to a client with these options."""

    async def greet(reader, writer):
        writer.write(b"welcome")
        await writer.drain()
        writer.close()

    async def program():
        listener = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_tls(files), server_hostname="127.0.0.1"
            )
            said = await reader.read()
            writer.close()
            await writer.wait_closed()
            return said
        finally:
            listener.close()
            await listener.wait_closed()

    return asyncio.run(program())


def server_of(authority):
    """Return the settings of a server that demands a certificate of this authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_client_and_server_know_each_other_by_their_certificates(files, authority):
    assert greeting(server_of(authority), files) == b"welcome"


def test_a_server_of_another_authority_is_refused(files):
    with pytest.raises(ssl.SSLCertVerificationError):
        greeting(server_of(trustme.CA()), files)
