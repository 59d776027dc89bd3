"""The API server: its hosts, its errors in the original's words, its handler at run time."""

import asyncio
import io
import os
import re
import shutil
import socket
import stat
import subprocess
from contextlib import asynccontextmanager, closing

import pytest

from tests.swarm.serving import PATIENCE, answering, connected, one_answer, run, until
from walkthroughs.swarm.api_server import Dispatcher, Server, new_listener, new_unix_listener
from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.world import World

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def listening(*hosts, handler=None, tls=None):
    """Run a server; yield it, its task and its log."""
    log = io.StringIO()
    server = Server(hosts, tls, World(stdout=log))
    if handler:
        server.set_handler(handler)
    task = asyncio.create_task(server.listen_and_serve())
    try:
        yield server, task, log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as bound:
        return bound.getsockname()[1]


async def ask(port, path=None):
    """Ask once; return status and body."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if path:
                    reader, writer = await asyncio.open_unix_connection(path)
                else:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.001)
    writer.write(GET)
    answer = await one_answer(reader)
    writer.close()
    return answer


def untimed(log):
    """Return a log without times, and without the marks around values."""
    return re.sub(r'time="[^"]*" ', "", log.getvalue()).replace('"', "")


def failure(*hosts):
    """Return why a server does not start, and its log."""
    said = []

    async def work():
        async with listening(*hosts) as (_, task, log):
            with pytest.raises(Fatal) as caught:
                await asyncio.wait_for(task, 2)
        said.extend((str(caught.value), untimed(log)))

    run(work())
    return tuple(said)


def test_before_there_is_a_handler_the_answer_is_500():
    async def work():
        port = free_port()
        async with listening(f"tcp://127.0.0.1:{port}"):
            assert await ask(port) == (500, b"No dispatcher defined\n")

    run(work())


def test_the_handler_can_be_changed_while_it_runs():
    async def work():
        port = free_port()
        async with listening(f"tcp://127.0.0.1:{port}", handler=answering(b"one")) as (server, *_):
            assert await ask(port) == (200, b"one")
            server.set_handler(answering(b"two"))
            assert await ask(port) == (200, b"two")

    run(work())


def test_a_request_is_answered_by_the_handler_that_it_came_to():
    async def work():
        dispatcher, begun, go, sent = Dispatcher(), asyncio.Event(), asyncio.Event(), []

        async def first(scope, receive, send):
            begun.set()
            await go.wait()
            await answering(b"one")(scope, receive, send)

        async def send(message):
            sent.append(message.get("body"))

        dispatcher.handler = first
        request = asyncio.create_task(dispatcher({"type": "http"}, None, send))
        await begun.wait()
        dispatcher.handler = answering(b"two")
        go.set()
        await request
        assert sent == [None, b"one"]

    run(work())


def test_a_change_under_load_loses_no_request():
    async def work():
        port, counts = free_port(), {b"0": 0, b"1": 0}

        async def client(server):
            async with connected(port) as (reader, writer):
                for _ in range(200):
                    writer.write(GET)
                    status, body = await one_answer(reader)
                    assert status == 200
                    counts[body] += 1
                    if sum(counts.values()) % 7 == 0:
                        handlers.reverse()
                        server.set_handler(handlers[0])

        handlers = [answering(b"0"), answering(b"1")]
        async with listening(f"127.0.0.1:{port}", handler=handlers[0]) as (server, *_):
            assert (await ask(port))[0] == 200
            await asyncio.gather(*(client(server) for _ in range(10)))
        assert sum(counts.values()) == 2000
        assert all(counts.values())

    run(work())


def test_it_listens_on_every_host_and_says_so(tmp_path):
    async def work():
        first, second, path = free_port(), free_port(), f"{tmp_path}/swarm.sock"
        hosts = (f"tcp://127.0.0.1:{first}", f"127.0.0.1:{second}", f"unix://{path}")
        async with listening(*hosts, handler=answering(b"OK")) as (_, _, log):
            for port, where in ((first, None), (second, None), (0, path)):
                assert await ask(port, where) == (200, b"OK")
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert untimed(log).splitlines() == [
            f"level=info msg=Listening for HTTP addr=127.0.0.1:{first} proto=tcp",
            f"level=info msg=Listening for HTTP addr=127.0.0.1:{second} proto=tcp",
            f"level=info msg=Listening for HTTP addr={path} proto=unix",
        ]

    run(work())


@pytest.mark.parametrize(
    ("host", "line", "why"),
    [
        ("foo://x", "addr=x proto=foo", 'unsupported protocol: "foo"'),
        ("a://b://c", 'addr="b://c" proto=a', 'unsupported protocol: "a"'),
        ("://x:1", 'addr="x:1" proto=', 'unsupported protocol: ""'),
        ("tcp://:99999", 'addr=":99999" proto=tcp', "listen tcp: address 99999: invalid port"),
        (
            "tcp://127.0.0.1",
            "addr=127.0.0.1 proto=tcp",
            "listen tcp: address 127.0.0.1: missing port in address",
        ),
        (
            "tcp://127.0.0.1:80:80",
            'addr="127.0.0.1:80:80" proto=tcp',
            "listen tcp: address 127.0.0.1:80:80: too many colons in address",
        ),
        (
            "tcp://127.0.0.1:nosuch",
            'addr="127.0.0.1:nosuch" proto=tcp',
            "listen tcp: address tcp/nosuch: unknown port",
        ),
        (
            "tcp://256.1.1.1:80",
            'addr="256.1.1.1:80" proto=tcp',
            "listen tcp: lookup 256.1.1.1: no such host",
        ),
        (
            "tcp://192.0.2.1:80",
            'addr="192.0.2.1:80" proto=tcp',
            "listen tcp 192.0.2.1:80: bind: cannot assign requested address",
        ),
        (
            "unix:///nowhere/x",
            'addr="/nowhere/x" proto=unix',
            "listen unix /nowhere/x: bind: no such file or directory",
        ),
        ("unix:///usr", 'addr="/usr" proto=unix', "is a directory"),
    ],
)
def test_a_host_that_is_none_is_said_to_be_so_as_in_the_original(host, line, why):
    said = f'level=info msg="Listening for HTTP" {line}\n'
    assert failure(host) == (why, said.replace('"', ""))


def test_the_first_error_ends_all():
    port = free_port()
    assert failure(f"127.0.0.1:{port}", "foo://x")[0] == 'unsupported protocol: "foo"'
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_an_error():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        addr = f"127.0.0.1:{taken.getsockname()[1]}"
        assert failure(addr)[0] == f"listen tcp {addr}: bind: address already in use"


def test_dockers_own_port_is_recognised(monkeypatch):
    def refuse(place, **options):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(Fatal) as caught:
        new_listener("127.0.0.1:2375")
    assert str(caught.value) == (
        "listen tcp 127.0.0.1:2375: bind: address already in use: is Docker already "
        "running on this machine? Try using a different port"
    )


def test_no_host_is_every_address_of_both_families():
    with closing(new_listener(":0")) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])):
            socket.create_connection((host, port)).close()


def test_without_tls_it_warns_when_others_can_connect():
    async def work():
        async with listening("0.0.0.0:0") as (_, _, log):
            await until(lambda: "warning" in log.getvalue())
        found = re.search(r'level=warning msg="(.*)"', log.getvalue())[1]
        assert re.fullmatch(
            r"Without --tlsverify, 0\.0\.0\.0:[0-9]+ is open: "
            "whoever can connect is root on every engine of the cluster",
            found,
        )

    run(work())


def test_connections_of_dead_machines_end():
    with (
        closing(new_listener("127.0.0.1:0")) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_socket_that_was_left_is_taken_over(tmp_path):
    path = f"{tmp_path}/swarm.sock"
    new_unix_listener(path).close()
    with closing(new_unix_listener(path)), closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(path)


def test_nobody_can_connect_between_bind_and_chmod(tmp_path, monkeypatch):
    path, modes = f"{tmp_path}/swarm.sock", []

    def chmod(where, mode, change=os.chmod):
        modes.append(stat.S_IMODE(os.stat(where).st_mode))
        change(where, mode)

    monkeypatch.setattr(os, "chmod", chmod)
    before = os.umask(0o022)
    try:
        new_unix_listener(path).close()
        assert (modes, os.umask(0o022)) == ([0], 0o022)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


ORIGINAL = shutil.which("swarm")


@pytest.mark.skipif(not ORIGINAL, reason="no Docker Swarm v1.2.9 on the PATH: nobody packages it")
@pytest.mark.parametrize(
    "host",
    ["foo://x", "tcp://:99999", "tcp://127.0.0.1", "unix:///nowhere/x", "tcp://192.0.2.1:80"],
)
def test_the_original_says_the_same(host):
    command = [ORIGINAL, "manage", "-H", host, "nodes://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    why, log = failure(host)
    theirs = re.findall(r"level=(?:info|fatal) msg=(.*\S)", done.stdout)
    ours = [*re.findall(r"msg=(.*)", log), why]
    assert [each.replace('"', "").replace("\\", "") for each in theirs] == [
        each.replace('"', "") for each in ours
    ]
