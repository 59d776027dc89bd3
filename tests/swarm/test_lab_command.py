"""The command lab: a hub, a manager and engines in one process, and who talks to them."""

import asyncio
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

from walkthroughs.swarm.api_server import Server
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.hub import Hub
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_command import (
    RealClock,
    address_of,
    found_cluster,
    lab_command,
    new_engines,
    welcome,
)
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.main import main, register_backends
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

Of programs, containers have cat, echo, env, exit, false, sh, true; any other waits.
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


def test_its_clock_is_the_machines():
    before = time.time()
    assert before <= RealClock().time() <= time.time()


def test_an_address_is_where_a_socket_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == join_host_port("127.0.0.1", str(port))


def test_without_flags_it_listens_where_docker_does():
    assert next(each.default for each in lab_command.params if each.name == "host") == HOST


def test_a_host_that_cannot_be_had_ends_it_all(commands):
    done = commands.run("lab", "--host", "udp://x")
    assert (done.returncode, done.stderr) == (1, "")
    last = done.stdout.splitlines()[-1]
    assert last.endswith('level=fatal msg="unsupported protocol: \\"udp\\""')


def connected(count):
    """Return a handler that waits for so many engines, the events, and what is printed."""
    out = StringIO()
    handle = welcome(Lab().world("lab", out), "unix:///swarm.sock", count)
    there, gone = (Event(None, {"status": f"engine_{what}"}) for what in ("connect", "reconnect"))
    return handle, there, gone, out


def test_the_welcome_is_said_once_when_the_last_engine_has_come():
    async def program():
        handle, there, back, out = connected(2)
        said = []
        for event in there, back, there, there:
            handle(event)
            await asyncio.sleep(0)
            said.append(out.getvalue().count("Ctrl-C ends it all."))
        assert said == [0, 0, 1, 1]
        assert "  docker -H unix:///swarm.sock info\n" in out.getvalue()
        assert "  curl --unix-socket /swarm.sock http://swarm/containers/json\n" in out.getvalue()

    asyncio.run(program())


def test_odd_machines_have_an_ssd_and_all_have_busybox_and_a_registry():
    async def ask(app, method, path):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://engine") as client:
            return (await client.request(method, path)).text

    async def program():
        apps = new_engines(["a:1", "b:1", "c:1"])
        told = [json.loads(await ask(app, "GET", "/info")) for app in apps.values()]
        assert [(each["Name"], *each["Labels"]) for each in told] == [
            ("node-1", "storage=ssd"),
            ("node-2", "storage=disk"),
            ("node-3", "storage=ssd"),
        ]
        (image,) = json.loads(await ask(apps["a:1"], "GET", "/images/json"))
        assert image["RepoTags"] == ["busybox:latest"]
        said = await ask(apps["a:1"], "POST", "/images/create?fromImage=nginx&tag=latest")
        assert "Downloaded newer image for nginx:latest" in said

    asyncio.run(program())


def test_in_a_lab_it_founds_a_cluster_of_engines_that_have_joined(monkeypatch):
    async def program():
        async with Lab() as lab:

            async def listen(self):
                lab.network.plug(self.hosts[0], self.dispatcher)
                await asyncio.Event().wait()

            monkeypatch.setattr(Server, "listen_and_serve", listen)
            lab.network.plug("hub:2370", Hub(lab.world("hub")))
            addresses = ["node-1:2375", "node-2:2375"]
            for address in addresses:
                LabEngine(lab, address[:6], address).plug()
            world = lab.world("lab", StringIO())
            register_backends(world)
            program = found_cluster(world, "http://hub:2370", addresses, "manager:2375", "binpack")
            lab.start("cluster", program)
            await lab.run(3)
            assert "2 engines without Docker are one cluster." in world.stdout.getvalue()
            first, *_ = lab.network.exchanges
            assert (first.method, first.path, first.status) == ("POST", "/v1/clusters", 201)
            async with lab.world("client").client("http://manager:2375") as client:
                told = asyncio.create_task(client.get("/info"))
                await lab.run(1)
            told = dict(told.result().json()["SystemStatus"])
            assert (told["Strategy"], told["Nodes"]) == ("binpack", "2")

    asyncio.run(program())
