"""The hub: its answers in the lab, its file, its process."""

import asyncio
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from io import StringIO

import httpx2
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.hub import ADDRESS_LIMIT, LONGEST_TTL, Hub, listen, load_tls
from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.main import main
from walkthroughs.swarm.token import Token, create_cluster
from walkthroughs.swarm.world import World

HUB = "http://hub:2370"
NO_CLUSTER = "no such cluster: a token comes from POST /v1/clusters\n"
BAD_TTL = f"ttl should be a whole number of seconds from 1 to {LONGEST_TTL}\n"
BAD_ADDRESS = "the body should be an address of the form ip:port or hostname:port\n"
TOO_LONG = "the body should be one address, of at most 1024 bytes\n"


class Bench:
    """A lab with a hub, for a test that is not a coroutine."""

    def __init__(self, data=":memory:", **options):
        self.lab = Lab()
        self.data, self.options = data, options
        self.hub = None
        self.restart()

    def restart(self):
        if self.hub:
            self.hub.close()
        world = self.lab.world("hub")
        self.hub = Hub(world, self.data, **self.options)
        self.lab.network.apps["hub:2370"] = self.hub

    def advance(self, seconds):
        asyncio.run(self.lab.clock.advance(seconds))

    def ask(self, method, path, content=None):
        async def send():
            async with self.lab.world("client").client(HUB) as client:
                return await client.request(method, path, content=content)

        return asyncio.run(send())

    def answer(self, method, path, content=None):
        response = self.ask(method, path, content)
        return response.status_code, response.text

    def cluster(self):
        return f"/v1/clusters/{self.ask('POST', '/v1/clusters').text}"


@pytest.fixture
def bench():
    return Bench()


def test_create_answers_a_token_of_32_hexadecimal_digits(bench):
    response = bench.ask("POST", "/v1/clusters")
    assert (response.status_code, response.headers["content-type"]) == (
        201,
        "text/plain; charset=utf-8",
    )
    assert re.fullmatch("[0-9a-f]{32}", response.text)


def test_two_clusters_have_two_tokens(bench):
    assert bench.cluster() != bench.cluster()


def test_the_token_comes_from_the_chance_that_is_handed_in():
    bench = Bench(random_hex=lambda size: "07" * size)
    assert bench.answer("POST", "/v1/clusters") == (201, "07" * 16)


def test_a_new_cluster_lists_nobody(bench):
    response = bench.ask("GET", bench.cluster())
    assert (response.status_code, response.headers["content-type"], response.text) == (
        200,
        "application/json",
        "[]",
    )


def test_nodes_are_listed_in_the_order_of_their_first_registration(bench):
    cluster = bench.cluster()
    for address in ("10.0.0.2:2375", "10.0.0.1:2375", "10.0.0.2:2375"):
        assert bench.answer("POST", f"{cluster}?ttl=180", address) == (204, "")
    assert bench.answer("GET", cluster) == (200, '["10.0.0.2:2375","10.0.0.1:2375"]')


def test_the_content_type_of_a_registration_is_not_looked_at(bench):
    token = bench.ask("POST", "/v1/clusters").text

    async def register():
        options = {"token.hub": HUB}
        await Token(token, 60, 180, options, bench.lab.world("node")).register("a:1")

    asyncio.run(register())
    assert bench.answer("GET", f"/v1/clusters/{token}") == (200, '["a:1"]')


def test_the_client_of_this_package_makes_clusters_on_it(bench):
    token = asyncio.run(create_cluster(HUB, bench.lab.world("x")))
    assert bench.answer("GET", f"/v1/clusters/{token}") == (200, "[]")


def test_a_cluster_does_not_see_the_nodes_of_another(bench):
    mine, theirs = bench.cluster(), bench.cluster()
    bench.ask("POST", mine, "a:1")
    assert bench.answer("GET", theirs) == (200, "[]")


def test_a_node_is_gone_at_the_second_at_which_its_ttl_ends(bench):
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=5", "a:1")
    bench.advance(4.999)
    assert bench.answer("GET", cluster) == (200, '["a:1"]')
    bench.advance(0.001)
    assert bench.answer("GET", cluster) == (200, "[]")


def test_a_ttl_that_is_not_given_is_180_seconds(bench):
    cluster = bench.cluster()
    bench.ask("POST", cluster, "a:1")
    bench.advance(179.9)
    assert bench.answer("GET", cluster) == (200, '["a:1"]')
    bench.advance(0.1)
    assert bench.answer("GET", cluster) == (200, "[]")


def test_a_renewal_counts_from_its_own_time(bench):
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=10", "a:1")
    bench.advance(6)
    bench.ask("POST", f"{cluster}?ttl=10", "a:1")
    bench.advance(9)
    assert bench.answer("GET", cluster) == (200, '["a:1"]')
    bench.advance(1)
    assert bench.answer("GET", cluster) == (200, "[]")


def test_a_node_that_comes_back_after_its_ttl_comes_last(bench):
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=5", "a:1")
    bench.ask("POST", f"{cluster}?ttl=500", "b:1")
    bench.advance(5)
    bench.ask("POST", f"{cluster}?ttl=500", "a:1")
    assert bench.answer("GET", cluster) == (200, '["b:1","a:1"]')


def test_delete_forgets_a_cluster_and_its_nodes(bench):
    cluster = bench.cluster()
    bench.ask("POST", cluster, "a:1")
    assert bench.answer("DELETE", cluster) == (204, "")
    assert bench.answer("GET", cluster) == (404, NO_CLUSTER)
    assert bench.hub.count("nodes") == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/clusters/abc"),
        ("POST", "/v1/clusters/abc"),
        ("DELETE", "/v1/clusters/abc"),
        ("GET", "/v1/clusters/"),
        ("GET", "/v1/clusters/%0d%0a"),
        ("GET", "/v1/clusters/'%20OR%201=1--"),
    ],
)
def test_an_unknown_token_is_404(bench, method, path):
    bench.cluster()
    assert bench.answer(method, path, "a:1") == (404, NO_CLUSTER)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/clusters", "/v1/clusters/a/b", "/v1/clusters/a/", "//v1/clusters"]
)
def test_an_unknown_path_is_404(bench, path):
    response = bench.ask("GET", HUB + path)
    expected = "no such path: try /v1/clusters/TOKEN\n"
    assert (response.status_code, response.text) == (404, expected)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/clusters", "POST"),
        ("DELETE", "/v1/clusters", "POST"),
        ("PUT", "/v1/clusters/abc", "GET, HEAD, POST, DELETE"),
        ("OPTIONS", "/v1/clusters/abc", "GET, HEAD, POST, DELETE"),
    ],
)
def test_another_method_is_405_and_is_told_those_allowed(bench, method, path, allowed):
    response = bench.ask(method, path)
    assert (response.status_code, response.headers["allow"], response.text) == (
        405,
        allowed,
        f"this path takes {allowed}\n",
    )


def test_errors_are_plain_text(bench):
    assert bench.ask("GET", "/").headers["content-type"] == "text/plain; charset=utf-8"


def test_head_is_answered_as_get_is(bench):
    cluster = bench.cluster()
    assert bench.ask("HEAD", cluster).headers == bench.ask("GET", cluster).headers


@pytest.mark.parametrize(
    "ttl",
    ["", "0", "-1", "1.5", "180s", "+5", "%205", "1_000", "٣", "1e3", "31536001", "9" * 5000],
)
def test_a_ttl_that_is_no_whole_number_of_a_sensible_size_is_400(bench, ttl):
    cluster = bench.cluster()
    assert bench.answer("POST", f"{cluster}?ttl={ttl}", "a:1") == (400, BAD_TTL)
    assert bench.answer("GET", cluster) == (200, "[]")


@pytest.mark.parametrize("ttl", ["1", "007", "31536000"])
def test_a_ttl_from_a_second_to_a_year_is_taken(bench, ttl):
    cluster = bench.cluster()
    assert bench.answer("POST", f"{cluster}?ttl={ttl}", "a:1") == (204, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"10.0.0.1",
        b"10.0.0.1:",
        b"10.0.0.1:0",
        b"10.0.0.1:65536",
        b"10.0.0.1:http",
        b"::1:2375",
        b'"10.0.0.1:2375"',
        b"10.0.0.1:2375\n",
        b"two words:2375",
        b"\x1b[2J:2375",
        b"\xff:2375",
        "é:2375".encode(),
        "a:\u0663".encode(),
    ],
)
def test_a_body_that_is_no_address_is_400(bench, body):
    cluster = bench.cluster()
    assert bench.answer("POST", cluster, body) == (400, BAD_ADDRESS)
    assert bench.answer("GET", cluster) == (200, "[]")


@pytest.mark.parametrize("address", ["10.0.0.1:1", "node-1.example:65535", "[::1]:2375", ":80"])
def test_what_join_may_advertise_is_taken(bench, address):
    cluster = bench.cluster()
    assert bench.answer("POST", cluster, address) == (204, "")
    assert bench.answer("GET", cluster) == (200, f'["{address}"]')


def test_a_body_of_1024_bytes_is_taken(bench):
    address = "h" * (ADDRESS_LIMIT - 5) + ":2375"
    assert bench.answer("POST", bench.cluster(), address) == (204, "")


def test_a_body_of_1025_bytes_is_413(bench):
    address = "h" * (ADDRESS_LIMIT - 4) + ":2375"
    assert bench.answer("POST", bench.cluster(), address) == (413, TOO_LONG)


@pytest.mark.parametrize("length", [None, "6"])
def test_the_body_is_measured_whatever_its_content_length_says(bench, length):
    """In chunks, and straight to the application: a client would not lie so."""
    headers = [(b"content-length", length.encode())] if length else []
    path = bench.cluster()
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    chunks, sent = iter(range(100)), []

    async def receive():
        next(chunks)
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def send(message):
        sent.append(message)

    asyncio.run(bench.hub({**scope, "query_string": b""}, receive, send))
    assert (sent[0]["status"], sent[1]["body"]) == (413, TOO_LONG.encode())
    assert next(chunks) == 11


def test_a_hub_that_is_full_of_clusters_says_507():
    bench = Bench(max_clusters=1)
    cluster = bench.cluster()
    full = "the hub has its 1 clusters: DELETE one, or raise --max-clusters\n"
    assert bench.answer("POST", "/v1/clusters") == (507, full)
    bench.ask("DELETE", cluster)
    assert bench.ask("POST", "/v1/clusters").status_code == 201


def test_a_cluster_that_is_full_of_nodes_says_507_to_new_ones_only():
    bench = Bench(max_nodes=2)
    cluster = bench.cluster()
    bench.ask("POST", cluster, "a:1")
    bench.ask("POST", cluster, "b:1")
    full = "the cluster has its 2 nodes: let one expire, or raise --max-nodes\n"
    assert bench.answer("POST", cluster, "c:1") == (507, full)
    assert bench.answer("POST", cluster, "a:1") == (204, "")
    assert bench.answer("GET", cluster) == (200, '["a:1","b:1"]')


def test_expired_nodes_make_room():
    bench = Bench(max_nodes=2)
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=5", "a:1")
    bench.ask("POST", f"{cluster}?ttl=50", "b:1")
    bench.advance(5)
    assert bench.answer("POST", cluster, "c:1") == (204, "")
    assert bench.answer("GET", cluster) == (200, '["b:1","c:1"]')
    assert bench.hub.count("nodes") == 2


def test_an_expired_node_may_come_back_to_a_full_cluster():
    bench = Bench(max_nodes=1)
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=5", "a:1")
    bench.advance(5)
    assert bench.answer("POST", cluster, "a:1") == (204, "")
    assert bench.answer("GET", cluster) == (200, '["a:1"]')


def test_a_database_that_fails_is_500_and_a_line_in_the_log(bench):
    cluster = bench.cluster()
    bench.hub.world.log.stream = StringIO()
    bench.hub.close()
    assert bench.answer("GET", cluster) == (500, "the hub failed: its log says why\n")
    assert bench.hub.world.log.stream.getvalue() == (
        f'time="2017-07-14T02:40:00Z" level=error msg="GET {cluster}: '
        "ProgrammingError('Cannot operate on a closed database.')\"\n"
    )


def test_a_restart_keeps_tokens_nodes_their_order_and_their_ttl(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=10", "b:1")
    bench.ask("POST", f"{cluster}?ttl=20", "a:1")
    bench.restart()
    assert bench.answer("GET", cluster) == (200, '["b:1","a:1"]')
    bench.advance(10)
    assert bench.answer("GET", cluster) == (200, '["a:1"]')


def test_time_goes_on_while_the_hub_is_down(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    cluster = bench.cluster()
    bench.ask("POST", f"{cluster}?ttl=10", "a:1")
    bench.hub.close()
    bench.advance(10)
    bench.restart()
    assert bench.answer("GET", cluster) == (200, "[]")


def test_expiry_is_kept_in_unix_time(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    bench.ask("POST", f"{bench.cluster()}?ttl=10", "a:1")
    bench.hub.close()
    with closing(sqlite3.connect(tmp_path / "hub.db")) as db:
        assert db.execute("SELECT expires FROM nodes").fetchall() == [(EPOCH + 10,)]


def test_a_token_is_in_the_file_itself_when_it_is_answered(tmp_path):
    bench = Bench(tmp_path / "hub.db", random_hex=lambda size: "07" * size)
    bench.cluster()
    assert b"07" * 16 in (tmp_path / "hub.db").read_bytes()


def test_a_registration_is_not_forced_to_the_disk(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    bench.ask("POST", bench.cluster(), "a-rare-name:1")
    assert b"a-rare-name" not in (tmp_path / "hub.db").read_bytes()
    assert b"a-rare-name" in (tmp_path / "hub.db-wal").read_bytes()


def test_a_hub_that_nobody_holds_lets_go_of_its_file(tmp_path):
    Hub(Lab().world("hub"), str(tmp_path / "hub.db"))
    Hub(Lab().world("hub"), str(tmp_path / "hub.db"))


def test_a_second_hub_on_one_file_is_refused(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    with pytest.raises(sqlite3.OperationalError, match=r"^database is locked$"):
        Hub(Lab().world("other"), str(tmp_path / "hub.db"))
    assert bench.answer("GET", bench.cluster()) == (200, "[]")


ADDRESSES = st.sampled_from(["a:1", "b:1", "c:1"])
STEPS = st.one_of(
    st.tuples(st.just("register"), ADDRESSES, st.integers(1, 30)),
    st.tuples(st.just("advance"), st.floats(0, 20)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("forget")),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=25))
def test_any_sequence_does_what_a_dictionary_does(steps):
    """The model: expiry by address, in order; the dead leave before a newcomer enters."""
    with tempfile.TemporaryDirectory() as folder:
        bench, model = Bench(f"{folder}/hub.db"), {}
        cluster = bench.cluster()
        for step, *values in steps:
            if step == "advance":
                bench.advance(*values)
            elif step == "restart":
                bench.restart()
            elif step == "forget":
                bench.ask("DELETE", cluster)
                cluster, model = bench.cluster(), {}
            else:
                address, ttl = values
                bench.ask("POST", f"{cluster}?ttl={ttl}", address)
                model[address] = bench.lab.clock.time() + ttl
            now = bench.lab.clock.time()
            model = {name: expires for name, expires in model.items() if expires > now}
            assert bench.ask("GET", cluster).json() == list(model)
        bench.hub.close()


def fatal(*arguments):
    """Return what the last line of the log of `swarm hub ...` says."""
    log = StringIO()
    world = World(stdout=log)
    assert main(["hub", *map(str, arguments)], world) == 1
    (message,) = re.findall(r'level=fatal msg="(.*)"\n$', log.getvalue())
    return message


@pytest.mark.parametrize("make", ["directory", "no folder"])
def test_data_that_cannot_be_opened_is_refused(tmp_path, make):
    path = tmp_path if make == "directory" else tmp_path / "none" / "hub.db"
    what = "a hub takes a file that no other has, where it may write"
    assert fatal("--data", path) == f"--data {path}: unable to open database file: {what}"


def test_data_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "letter"
    path.write_text("Dear reader, " * 100)
    what = "a hub takes a file that no other has, where it may write"
    assert fatal("--data", path) == f"--data {path}: file is not a database: {what}"
    assert path.read_text() == "Dear reader, " * 100


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE clusters (name)")
    before = path.read_bytes()
    why = "file is the database of another program"
    what = "a hub takes a file that no other has, where it may write"
    assert fatal("--data", path) == f"--data {path}: {why}: {what}"
    assert path.read_bytes() == before


def test_a_file_that_another_hub_has_is_refused(tmp_path):
    bench = Bench(tmp_path / "hub.db")
    what = "a hub takes a file that no other has, where it may write"
    expected = f"--data {bench.data}: database is locked: {what}"
    assert fatal("--data", bench.data) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_must_not_be_written_is_refused(tmp_path):
    path = tmp_path / "hub.db"
    Bench(path).hub.close()
    path.chmod(0o400)
    assert fatal("--data", path).startswith(f"--data {path}: attempt to write a readonly")


@pytest.mark.parametrize("flag", ["--tlscert", "--tlskey"])
def test_one_of_certificate_and_key_is_refused(flag):
    assert fatal(flag, "x.pem") == "--tlscert and --tlskey must be provided together"


def test_a_key_pair_that_is_not_there_is_refused(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    assert fatal("--tlscert", cert, "--tlskey", key) == (
        f"Couldn't load X509 key pair ({cert}, {key}): no such file or directory. Key encrypted?"
    )


def test_a_key_pair_that_is_none_is_refused(tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("not a certificate")
    with pytest.raises(Fatal) as caught:
        load_tls(str(cert), str(cert))
    assert re.fullmatch(
        rf"Couldn't load X509 key pair \({cert}, {cert}\): .*\. Key encrypted\?",
        str(caught.value),
    )


@pytest.mark.parametrize("flag", ["--max-clusters", "--max-nodes"])
@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_a_limit_is_a_positive_number(flag, value):
    assert fatal(f"{flag}={value}") == f"{flag} should be a positive number"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:99999", "tcp://127.0.0.1:http", ""])
def test_a_host_without_a_port_is_refused(host):
    form = "--host should be of the form ip:port or hostname:port"
    assert fatal("--host", host) == form


def test_another_protocol_is_refused():
    assert fatal("-H", "udp://127.0.0.1:2370") == r"unsupported protocol: \"udp\""


def test_a_port_that_is_taken_is_refused():
    with closing(listen("127.0.0.1:0")) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        what = "choose another with --host; port 0 is any that is free"
        expected = f"listen tcp {place}: address already in use: {what}"
        assert fatal("--host", f"tcp://{place}") == expected


@pytest.mark.parametrize(
    ("host", "name"),
    [("tcp://127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.1"), (":0", "0.0.0.0")],
)
def test_a_host_is_where_it_listens(host, name):
    with closing(listen(host)) as listener:
        assert listener.getsockname()[0] == name
        assert listener.getsockname()[1] > 0


@contextmanager
def process(*arguments):
    """Run `swarm hub` as a process; yield it, its log so far, and its URL."""
    command = [sys.executable, "-m", "walkthroughs.swarm", "hub", *map(str, arguments)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        log = []
        while not (log and (found := re.search(r"SWARM_HUB=([^\"\s]+)", log[-1]))):
            log.append(running.stdout.readline())
            assert log[-1], f"it ended: {log}"
        yield running, "".join(log), found[1]
    finally:
        running.kill()
        running.communicate()


def untimed(log):
    return re.sub(r'time="[^"]*" ', "", log)


FREE = ("--host", "tcp://127.0.0.1:0")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_exit_code_and_nothing_is_lost(tmp_path, number, code):
    path = tmp_path / "hub.db"
    with process(*FREE, "--data", path) as (running, log, url):
        place = url.removeprefix("http://")
        assert untimed(log) == (
            f'level=info msg="Listening for HTTP" addr="{place}" proto=tcp\n'
            f'level=info msg="export SWARM_HUB={url}"\n'
        )
        with httpx2.Client(base_url=url, trust_env=False) as client:
            token = client.post("/v1/clusters").text
            client.post(f"/v1/clusters/{token}", content="a:1")
            running.send_signal(number)
            rest, _ = running.communicate(timeout=20)
    assert (running.returncode, rest) == (code, "")
    assert [each.name for each in tmp_path.iterdir()] == ["hub.db"]
    with closing(Hub(World(), str(path))) as hub:
        assert hub.list(token).body == b'["a:1"]'


def test_sigkill_loses_nothing_that_was_answered(tmp_path):
    path = tmp_path / "hub.db"
    addresses = [f"10.0.0.{number}:2375" for number in range(1, 51)]
    with process(*FREE, "--data", path) as (running, _, url):
        client = httpx2.Client(base_url=url, trust_env=False)
        token = client.post("/v1/clusters").text
        answers = [client.post(f"/v1/clusters/{token}", content=each) for each in addresses]
        running.kill()
        running.wait()
        client.close()
    assert {answer.status_code for answer in answers} == {204}
    with process(*FREE, "--data", path) as (_, _, url):
        assert httpx2.get(f"{url}/v1/clusters/{token}", trust_env=False).json() == addresses


def test_a_body_without_end_is_answered_at_once():
    with process(*FREE) as (_, _, url):
        host, port = url.removeprefix("http://").split(":")
        token = httpx2.post(f"{url}/v1/clusters", trust_env=False).text
        with socket.create_connection((host, int(port)), timeout=20) as wire:
            head = f"POST /v1/clusters/{token} HTTP/1.1\r\nHost: x\r\n"
            wire.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            wire.sendall(b"10000\r\n" + b"x" * 0x10000)
            assert wire.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_one_who_asks_and_does_not_finish_does_not_hold_up_the_end():
    with process(*FREE) as (running, _, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as wire:
            wire.sendall(b"POST /v1/clusters/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            httpx2.post(f"{url}/v1/clusters", trust_env=False)
            begin = time.monotonic()
            running.terminate()
            rest, _ = running.communicate(timeout=20)
    assert (running.returncode, rest) == (143, "")
    assert time.monotonic() - begin < 15


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def key_pair(authority, tmp_path):
    made = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for blob in made.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    made.private_key_pem.write_to_path(key)
    return cert, key


def test_with_a_key_pair_it_speaks_https(authority, key_pair):
    cert, key = key_pair
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with process(*FREE, "--tlscert", cert, "--tlskey", key) as (_, _, url):
        assert url.startswith("https://127.0.0.1:")
        with httpx2.Client(base_url=url, verify=context, trust_env=False) as client:
            token = client.post("/v1/clusters").text
            assert client.get(f"/v1/clusters/{token}").text == "[]"


ORIGINAL = shutil.which("swarm")


@pytest.mark.skipif(not ORIGINAL, reason="no Docker Swarm v1.2.9 on the PATH: nobody packages it")
def test_the_original_joins_and_lists(authority, key_pair, tmp_path):
    swarm, (cert, key) = ORIGINAL, key_pair
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with process(*FREE, "--tlscert", cert, "--tlskey", key) as (_, _, url):
        hub = f"{url.removeprefix('https://')}/v1"
        env = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem"), "NO_PROXY": "127.0.0.1"}
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        token = httpx2.post(f"{url}/v1/clusters", verify=context, trust_env=False).text

        def listed(token):
            command = [swarm, "list", f"token://{hub}/{token}"]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20)
            return done.stdout, done.stderr[len("2016/01/02 15:04:05 ") :]

        join = [swarm, "join", "--advertise", "10.0.0.1:2375", f"token://{hub}/{token}"]
        node = subprocess.Popen(join, env=env, stdout=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 20
            while listed(token) == ("", "") and time.monotonic() < deadline:
                pass
        finally:
            node.kill()
            node.communicate()
        assert listed(token) == ("10.0.0.1:2375\n", "")
        failed = "Failed to fetch entries, Discovery service returned 404 HTTP status code\n"
        assert listed("nonsense") == ("", failed)


def test_an_encrypted_key_is_refused_and_no_password_is_asked_for(key_pair):
    cert, key = key_pair
    loaded = load_pem_private_key(key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    said = fatal("--tlscert", cert, "--tlskey", key)
    assert said.startswith(f"Couldn't load X509 key pair ({cert}, {key}): ")
    assert said.endswith(". Key encrypted?")


def test_beyond_this_machine_it_warns_of_http_and_names_the_machine():
    with process("--host", "tcp://0.0.0.0:0") as (_, log, url):
        port = url.rpartition(":")[2]
    warning = "Without --tlscert and --tlskey, tokens can be overheard"
    assert untimed(log) == (
        f'level=info msg="Listening for HTTP" addr="0.0.0.0:{port}" proto=tcp\n'
        f'level=warning msg="{warning}"\n'
        f'level=info msg="export SWARM_HUB=http://{socket.gethostname()}:{port}"\n'
    )
