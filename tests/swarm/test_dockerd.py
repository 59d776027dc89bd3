"""The real engines that other tests use: nodes of their own, clean, and gone at the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.swarm.dockerd import DEADLINE, Docker, Gate, Refused

SILENCE = 0.2
"""Seconds in which nothing comes from someone who says nothing."""


def until(holds):
    """Poll until it holds, or give up."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def connect(address):
    host, port = address.split(":")
    return closing(socket.create_connection((host, int(port)), DEADLINE))


# A gate, in front of a server that gives back what it gets.


def answer(connection):
    with connection, suppress(ConnectionError):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(b"bye")


def serve(listener):
    with suppress(OSError):
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


@pytest.fixture
def gate():
    """A gate in front of an echo; every thread ends with it."""
    before = set(threading.enumerate())
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        with closing(Gate(f"127.0.0.1:{listener.getsockname()[1]}")) as gate:
            yield gate
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()
    until(lambda: set(threading.enumerate()) <= before)


def says(connection, words):
    connection.sendall(words)
    return connection.recv(100)


def is_silent(connection):
    connection.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        connection.recv(100)
    connection.settimeout(DEADLINE)
    return True


def test_an_open_gate_passes_both_directions_on(gate):
    with connect(gate.address) as connection:
        assert says(connection, b"hello") == b"hello"


def test_the_end_of_one_direction_is_not_the_end_of_the_other(gate):
    with connect(gate.address) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").read() == b"bye"


def test_a_cut_resets_the_connections_there_are(gate):
    with connect(gate.address) as connection:
        assert says(connection, b"hello") == b"hello"
        gate.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_a_cut_resets_a_connection_whose_reader_does_not_read(gate):
    with connect(gate.address) as connection:
        connection.settimeout(SILENCE)
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(1 << 26))
        gate.cut()
        connection.settimeout(DEADLINE)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(bytes(65536))


def test_a_gate_that_is_cut_refuses(gate):
    gate.cut()
    with pytest.raises(ConnectionRefusedError), connect(gate.address):
        pass


def test_nobody_else_gets_the_port_of_a_gate_that_is_cut(gate):
    gate.cut()
    with closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", int(gate.address.split(":")[1])))


def test_a_gate_that_is_mended_has_its_port_again(gate):
    address = gate.address
    gate.cut()
    gate.mend()
    with connect(address) as connection:
        assert says(connection, b"hello") == b"hello"


def test_a_frozen_gate_accepts_and_passes_nothing_on(gate):
    gate.freeze()
    with connect(gate.address) as connection:
        connection.sendall(b"hello")
        assert is_silent(connection)


def test_a_frozen_gate_holds_the_connections_there_are(gate):
    with connect(gate.address) as connection:
        assert says(connection, b"hello") == b"hello"
        gate.freeze()
        connection.sendall(b"again")
        assert is_silent(connection)


def test_what_a_frozen_gate_held_comes_when_it_is_mended(gate):
    gate.freeze()
    with connect(gate.address) as connection:
        connection.sendall(b"hello")
        gate.mend()
        assert connection.recv(100) == b"hello"


def test_a_frozen_gate_can_be_cut(gate):
    gate.freeze()
    with connect(gate.address) as connection:
        connection.sendall(b"hello")
        gate.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_a_gate_that_was_cut_can_be_frozen(gate):
    gate.cut()
    gate.freeze()
    with connect(gate.address) as connection:
        assert is_silent(connection)


def test_a_gate_in_front_of_nobody_resets():
    reset = pytest.raises(ConnectionResetError)
    with closing(Gate("/nobody/is/here")) as gate, reset, connect(gate.address) as connection:
        connection.recv(100)


# The engines.


def run(docker, *arguments):
    return docker.cli("run", "--detach", "--network=none", *arguments, "busybox", "sleep", "1000")


def test_each_engine_is_a_node_with_a_name_and_a_label(engines):
    told = [json.loads(one.cli("info", "--format={{json .}}")) for one in engines]
    assert [(info["Name"], info["Labels"]) for info in told] == [
        ("node-1", ["storage=ssd"]),
        ("node-2", ["storage=disk"]),
        ("node-3", ["storage=disk"]),
    ]
    assert [one.name for one in engines] == ["node-1", "node-2", "node-3"]
    assert len({info["ID"] for info in told}) == 3


def test_the_image_has_one_id_on_all_engines(engines):
    told = {
        one.cli("image", "inspect", "--format={{.Id}} {{.RepoTags}}", "busybox") for one in engines
    }
    assert [line.split()[1] for line in told] == ["[busybox:latest]"]


def test_a_container_runs_what_busybox_has(engines):
    line = ("run", "--rm", "--network=none", "busybox", "sh", "-c", "echo $((6 * 7)) | tr 4 5")
    assert engines[0].cli(*line) == "52"


def test_nodes_publish_the_same_port(engines):
    for one in engines:
        one.cli("network", "create", "net")
        one.cli("run", "--detach", "--network=net", "--publish=80:80", "busybox", "sleep", "1000")
        assert one.cli("ps", "--format={{.Ports}}") == "0.0.0.0:80->80/tcp, [::]:80->80/tcp"


def test_clean_leaves_the_image_and_nothing_else(engines):
    one = engines[0]
    run(one, "--name=sleeping", "--volume=data:/data")
    run(one, "--name=paused", "--restart=always")
    one.cli("pause", "paused")
    one.cli("create", "--name=new", "busybox", "true")
    one.cli("network", "create", "net")
    one.cli("volume", "create", "more")
    one.cli("tag", "busybox", "other:1")
    one.cli("commit", "sleeping", "child:1")
    one.clean()
    assert one.cli("ps", "--all", "--quiet") == ""
    assert one.cli("network", "ls", "--format={{.Name}}").split() == ["host", "none"]
    assert one.cli("volume", "ls", "--quiet") == ""
    images = one.cli("images", "--all", "--format={{.Repository}}:{{.Tag}}")
    assert images.split() == ["busybox:latest"]


def test_clean_brings_the_image_back(engines):
    engines[0].cli("rmi", "busybox")
    engines[0].clean()
    assert engines[0].cli("images", "--format={{.Repository}}:{{.Tag}}") == "busybox:latest"


def test_a_command_that_fails_tells_what_the_client_said(engines):
    with pytest.raises(AssertionError) as caught:
        engines[0].cli("inspect", "--type=container", "nobody")
    assert str(caught.value) == (
        "node-1: docker inspect --type=container nobody: "
        "Error response from daemon: No such container: nobody"
    )


def test_an_error_of_the_api_has_its_status_and_message(engines):
    with pytest.raises(Refused) as caught:
        engines[0].ask("DELETE", "/containers/nobody")
    assert caught.value.args == (404, "No such container: nobody")


def test_only_the_gate_is_cut_and_not_the_engine(engines):
    one = engines[0]
    one.gate.cut()
    with pytest.raises(ConnectionRefusedError), connect(one.address):
        pass
    assert one.cli("info", "--format={{.Name}}") == "node-1"


@pytest.mark.parametrize("end", [Docker.stop, Docker.kill])
def test_an_engine_that_ended_refuses_and_comes_back_as_itself(engines, end):
    one = engines[0]
    daemon, container = one.cli("info", "--format={{.ID}}"), run(one)
    end(one)
    for address in (one.address, one.direct):
        with pytest.raises(ConnectionRefusedError), connect(address):
            pass
    one.start()
    assert one.cli("info", "--format={{.ID}}") == daemon
    assert one.cli("ps", "--all", "--quiet", "--no-trunc") == container
    one.cli("start", container)
    assert one.cli("ps", "--quiet", "--no-trunc") == container


def test_an_engine_that_does_not_start_shows_its_log(engines):
    with Docker("node-9", "no label") as docker, pytest.raises(AssertionError) as caught:
        docker.start()
    first, log, *_ = str(caught.value).splitlines()
    assert first == "node-9 does not start:"
    assert 'invalid argument "no label" for "--label" flag' in log


def test_a_node_that_cannot_be_made_shows_why(engines):
    with Docker("n" * 99) as docker, pytest.raises(AssertionError) as caught:
        docker.start()
    assert str(caught.value) == f"{'n' * 99} does not start:\nhostname: name too long\n"


def test_what_a_test_left_in_a_frozen_gate_does_not_come_later(engines):
    one = engines[0]
    one.gate.freeze()
    with connect(one.address) as connection:
        connection.sendall(b"POST /volumes/create HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        one.renew()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


# What is left of a node when the process that made it has ended.

PROGRAM = """
from tests.swarm.dockerd import Docker

docker = Docker("node-8")
docker.start()
docker.cli("run", "--detach", "--network=none", "busybox", "sleep", "1000")
print(docker.socket, flush=True)
docker.cli("wait", docker.cli("ps", "--quiet"))
"""


def traces(folder):
    """List the processes, control groups and files of a node, and mounts that are seen here."""
    lines = [path for path in Path("/proc").glob("[0-9]*/cmdline") if names(path, folder)]
    groups = [path for path, _, _ in os.walk("/sys/fs/cgroup") if folder.name in path]
    return [*lines, *groups, *([folder] if folder.exists() else []), *mounts(folder)]


def names(path, folder):
    with suppress(OSError):
        return str(folder) in path.read_text()


def mounts(folder):
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_of_a_node_whose_maker_was_ended(engines, name):
    line, pipe = [sys.executable, "-c", PROGRAM], subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        folder = Path(process.stdout.readline().strip()).parent
        assert traces(folder) != []
        process.send_signal(signal.Signals[name])
    until(lambda: traces(folder) == [])


def test_no_mount_of_a_node_is_seen_outside(engines):
    assert [mounts(Path(one.socket).parent) for one in engines] == [[], [], []]


def test_a_node_that_is_closed_leaves_nothing(engines):
    with Docker("node-7") as docker:
        docker.start()
        run(docker)
    assert traces(Path(docker.socket).parent) == []
