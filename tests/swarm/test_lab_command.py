"""The command lab: a hub, a manager and engines in one process, and who talks to them."""

import json
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from io import StringIO

import httpx2
import pytest

from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_command import WELCOME, RealClock, address_of, lab_command, new_engines
from walkthroughs.swarm.main import main
from walkthroughs.swarm.manage import HOST


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Running:
    """The command in a process, and what it has said until its welcome was whole."""

    def __init__(self, process, host, lines):
        self.process, self.host = process, host
        self.said = "".join(lines)
        self.url = host.replace("tcp://", "http://")

    def ask(self, method, path, **options):
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            return client.request(method, path, **options)

    def end(self):
        """Press Ctrl-C; return the exit code, and what was said since the welcome."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20), self.process.stdout.read()


@contextmanager
def lab(commands, *flags, host=""):
    host = host or f"tcp://127.0.0.1:{free_port()}"
    with commands.running("lab", "--host", host, *flags) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield Running(process, host, lines)


@pytest.fixture(scope="module")
def three(commands):
    with lab(commands) as running:
        yield running


def log_of(running):
    """Return the lines of the log, without their time."""
    return [each.partition(" ")[2] for each in running.said.splitlines() if "level=" in each]


def test_it_says_how_to_begin_when_all_engines_are_there(three):
    assert three.said.endswith(
        f"""\
3 engines without Docker are one cluster. To look at it, in another terminal:

  docker -H {three.host} info
  docker -H {three.host} run -d --name web -e constraint:storage==ssd busybox top
  docker -H {three.host} ps

or, without a docker client,

  curl {three.url}/containers/json

Ctrl-C ends it all.
"""
    )
    registered = re.findall("Registered Engine (node-.) at", three.said)
    assert sorted(registered) == ["node-1", "node-2", "node-3"]


def test_the_engines_have_joined_through_the_hub(three):
    joins = [each for each in log_of(three) if "Registering on" in each]
    tokens = {re.search('discovery="(token://[0-9a-f]{32})"', each)[1] for each in joins}
    assert (len(joins), len(tokens)) == (3, 1)


def test_info_shows_three_machines(three):
    told = dict(three.ask("GET", "/info").json()["SystemStatus"])
    assert (told["Role"], told["Strategy"], told["Nodes"]) == ("primary", "spread", "3")
    addresses = [told[f" node-{number}"] for number in (1, 2, 3)]
    assert len(set(addresses)) == 3
    assert all(each.startswith("127.0.0.1:") for each in addresses)


def test_a_container_is_created_where_a_constraint_wants_it(three):
    body = {"Image": "busybox", "Cmd": ["top"], "Env": ["constraint:storage==disk"]}
    made = three.ask("POST", "/containers/create?name=web", json=body)
    assert made.status_code == 201
    id = made.json()["Id"]
    assert three.ask("POST", f"/containers/{id}/start").status_code == 204
    (listed,) = three.ask("GET", "/containers/json").json()
    assert (listed["Id"], listed["Names"]) == (id, ["/node-2/web"])
    assert three.ask("DELETE", "/containers/web?force=1").status_code == 204
    assert three.ask("GET", "/containers/json?all=1").json() == []


def test_time_is_that_of_the_machine(three):
    made = three.ask("POST", "/containers/create?name=now", json={"Image": "busybox"})
    assert made.status_code == 201
    (listed,) = three.ask("GET", "/containers/json?all=1").json()
    assert abs(listed["Created"] - time.time()) < 20
    assert three.ask("DELETE", "/containers/now").status_code == 204


def test_a_docker_client_works_with_it(three, require, tmp_path):
    program, env = require("docker"), {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": three.host}

    def docker(*arguments):
        done = {"capture_output": True, "text": True, "timeout": 20, "env": env}
        result = subprocess.run([program, *arguments], **done)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.rstrip()

    assert docker("info", "-f", "{{.ServerVersion}} {{.Images}}") == "swarm/1.2.9 3"
    wish = ("-e", "constraint:storage==disk")
    id = docker("create", "--name", "db", *wish, "busybox", "top")
    assert docker("ps", "-a", "--format", "{{.Names}} {{.Status}}") == "node-2/db Created"
    assert docker("start", "db") == "db"
    assert docker("inspect", "-f", "{{.Id}} {{.Node.Name}}", "db") == f"{id} node-2"
    assert docker("rm", "-f", "db") == "db"
    assert docker("ps", "-aq") == ""
    assert docker("pull", "-q", "alpine") == "docker.io/library/alpine:latest"
    assert docker("images", "-q", "alpine") != ""
    assert docker("rmi", "alpine").splitlines()[0] == "Untagged: alpine:latest"


def test_ctrl_c_ends_it_without_a_word_and_nobody_listens_any_more(commands):
    with lab(commands, "--engines", "2", "--strategy", "binpack") as running:
        told = dict(running.ask("GET", "/info").json()["SystemStatus"])
        assert (told["Strategy"], told["Nodes"]) == ("binpack", "2")
        code, rest = running.end()
        assert code == 128 + signal.SIGINT
        assert [each for each in rest.splitlines() if "level=info" not in each] == [""]
        port = int(running.host.rpartition(":")[2])
        for address in (port, *(int(told[f" node-{number}"][10:]) for number in (1, 2))):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", address), timeout=20)


def test_on_a_unix_socket_curl_is_told_so(commands, tmp_path):
    path = tmp_path / "lab.sock"
    with lab(commands, "--engines", "1", host=f"unix://{path}") as running:
        assert f"  docker -H unix://{path} info\n" in running.said
        assert f"  curl --unix-socket {path} http://swarm/containers/json\n" in running.said
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, timeout=20) as client:
            assert client.get("http://swarm/containers/json").json() == []


def fatal(*flags):
    out = StringIO()
    world = Lab().world("lab", out)
    world.stderr = StringIO()
    assert main(["lab", *flags], world) == 1
    found = re.search(r' level=fatal msg=(".*")\n$', out.getvalue())
    return json.loads(found[1])


@pytest.mark.parametrize("number", ["0", "-1", "many", ""])
def test_a_number_of_engines_that_is_none(number):
    assert fatal(f"--engines={number}") == "--engines should be a positive number"


def test_engines_are_odd_ones_with_ssd_and_even_ones_with_disk_and_share_a_registry():
    addresses = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    apps = new_engines(addresses)
    assert list(apps) == addresses
    assert all(callable(app) for app in apps.values())


def test_its_clock_is_the_machines():
    before = time.time()
    assert before <= RealClock().time() <= time.time()


def test_an_address_is_where_a_socket_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == join_host_port("127.0.0.1", str(port))


def test_without_flags_it_listens_where_docker_does():
    assert next(each.default for each in lab_command.params if each.name == "host") == HOST
    assert WELCOME.count("{host}") == 3


def test_a_host_that_cannot_be_had_ends_it_all(commands):
    done = commands.run("lab", "--host", "udp://x")
    assert (done.returncode, done.stderr) == (1, "")
    last = done.stdout.splitlines()[-1]
    assert last.endswith('level=fatal msg="unsupported protocol: \\"udp\\""')
