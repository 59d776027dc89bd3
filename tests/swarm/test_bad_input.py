"""What comes from outside and is wrong: addresses, hubs, files; a message each, no traceback."""

import asyncio
import io
import socketserver
import threading
from contextlib import contextmanager

import pytest

from walkthroughs.swarm.hub import Hub
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.main import main
from walkthroughs.swarm.world import World

NOW = "2017/07/14 02:40:00"
TIME = 'time="2017-07-14T02:40:00Z"'
INFO = f'{TIME} level=info msg="Registering on the discovery service every 1m0s..."'
ERROR = f"{TIME} level=error msg="
HINT = "please check you are using the correct discovery (missing token:// ?)"


class Enough(Exception):
    """Ends a program that would go on for ever."""


class TwoBeats:
    """A clock that stands still, and has enough of the second sleep."""

    def __init__(self):
        self.slept = []

    def time(self):
        return 1_500_000_000.0

    def monotonic(self):
        return 0.0

    async def sleep(self, seconds):
        self.slept.append(seconds)
        if len(self.slept) == 2:
            raise Enough


def swarm(*arguments):
    """Return exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    code = main(arguments, World(Lab().clock, stdout=out, stderr=err))
    return code, out.getvalue(), err.getvalue()


def joined(*arguments):
    """Return how long a node slept between its tries, and the lines that it logged."""
    out, clock = io.StringIO(), TwoBeats()
    with pytest.raises(Enough):
        main(["join", "--advertise", "a:1", *arguments], World(clock, stdout=out))
    return clock.slept, out.getvalue().splitlines()


# addresses

WITHOUT_PORT = {
    "10.0.0.1": "address 10.0.0.1: missing port in address",
    "[::1]": "address [::1]: missing port in address",
    "::1": "address ::1: too many colons in address",
    "::1:2375": "address ::1:2375: too many colons in address",
}
ODD_PORT = ["10.0.0.1:0", "10.0.0.1:70000", "[::1]:0", "[::1]:70000"]


@pytest.mark.parametrize("address", [*WITHOUT_PORT, *ODD_PORT])
def test_join_advertises_no_bad_address(address):
    form = "--advertise should be of the form ip:port or hostname:port"
    message = f'{TIME} level=fatal msg="{form}"\n'
    assert swarm("join", "--advertise", address, "nodes://a:1") == (1, message, "")


@pytest.mark.parametrize(("address", "why"), WITHOUT_PORT.items())
def test_an_address_without_a_port_on_the_command_line_ends_the_list(address, why):
    assert swarm("list", f"nodes://a:1,{address}") == (1, "", f"{NOW} {why}, {HINT}\n")


@pytest.mark.parametrize(("address", "why"), WITHOUT_PORT.items())
def test_an_address_without_a_port_in_a_file_ends_the_list(address, why, tmp_path):
    (tmp_path / "cluster").write_text(f"a:1\n{address}\n")
    assert swarm("list", f"file://{tmp_path}/cluster") == (1, "", f"{NOW} {why}\n")


@pytest.mark.parametrize("address", [*ODD_PORT, "[::1]:2375"])
def test_ports_0_and_70000_are_listed_as_by_the_original(address, tmp_path):
    (tmp_path / "cluster").write_text(address)
    for place in (f"nodes://{address}", f"file://{tmp_path}/cluster"):
        assert swarm("list", place) == (0, f"{address}\n", "")


@pytest.mark.parametrize("address", [*WITHOUT_PORT, *ODD_PORT])
def test_a_hub_takes_no_bad_address(address):
    async def program():
        async with Lab() as lab:
            hub = lab.network.apps["hub:2370"] = Hub(lab.world("hub"))
            path = f"/v1/clusters/{hub.create().body.decode()}"
            async with lab.world("node").client("http://hub:2370") as client:
                posted = await client.post(path, content=address)
                listed = await client.get(path)
            return posted.status_code, posted.text, listed.text

    why = "the body should be an address of the form ip:port or hostname:port"
    assert asyncio.run(program()) == (400, f"{why}\n", "[]")


# hubs

MEGABYTE = bytes(1_000_000)


@contextmanager
def hub(*answer):
    """Run a server that answers each request with these bytes and closes; yield its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            length = 0
            while line := self.rfile.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.rfile.read(length)
            try:
                for part in answer:
                    self.wfile.write(part)
            except ConnectionError:
                pass  # The client has hung up in the middle of 100 MB.

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


FAILS = (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nboom\n",)
TALKS_SSH = (b"SSH-2.0-OpenSSH_9.6\r\n\r\n",)
CLOSES = ()
FLOODS = (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", *[MEGABYTE] * 100)
HTML = (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",)

NO_ANSWER = [
    (TALKS_SSH, "illegal status line: bytearray(b'SSH-2.0-OpenSSH_9.6')"),
    (CLOSES, "Server disconnected without sending a response."),
    (FLOODS, "the answer has more than 8,388,608 bytes"),
]
SICK = pytest.mark.parametrize(("answer", "why"), NO_ANSWER, ids=["garbage", "nothing", "100 MB"])
STATUS = "Discovery service returned 500 HTTP status code"


@SICK
def test_create_says_what_is_wrong_with_a_hub(answer, why):
    with hub(*answer) as url:
        message = f'{NOW} Post "{url}/v1/clusters": {why}\n'
        assert swarm("create", "--hub", url) == (1, "", message)


@SICK
def test_list_says_what_is_wrong_with_a_hub(answer, why):
    with hub(*answer) as url:
        message = f'{NOW} Get "{url}/v1/clusters/cafe": {why}\n'
        assert swarm("list", "--hub", url, "token://cafe") == (1, "", message)


@SICK
def test_join_logs_what_is_wrong_with_a_hub_and_goes_on(answer, why):
    with hub(*answer) as url:
        slept, lines = joined("--hub", url, "token://cafe")
        asked = rf"Post \"{url}/v1/clusters/cafe?ttl=180\""
    each = [f'{INFO} addr="a:1" discovery="token://cafe"', f'{ERROR}"{asked}: {why}"']
    assert (slept, lines) == ([60, 60], each * 2)


def test_create_says_that_a_hub_answers_500():
    with hub(*FAILS) as url:
        message = f"{NOW} Failed to create a cluster, {STATUS}: boom\n"
        assert swarm("create", "--hub", url) == (1, "", message)


def test_list_says_that_a_hub_answers_500():
    with hub(*FAILS) as url:
        message = f"{NOW} Failed to fetch entries, {STATUS}\n"
        assert swarm("list", "--hub", url, "token://cafe") == (1, "", message)


def test_join_logs_that_a_hub_answers_500_and_goes_on():
    with hub(*FAILS) as url:
        slept, lines = joined("--hub", url, "token://cafe")
    why = f'{ERROR}"Failed to register, {STATUS}: boom"'
    each = [f'{INFO} addr="a:1" discovery="token://cafe"', why]
    assert (slept, lines) == ([60, 60], each * 2)


def test_create_takes_no_page_for_a_token():
    with hub(*HTML) as url:
        message = f'{NOW} Failed to create a cluster, "<html>" is no token\n'
        assert swarm("create", "--hub", url) == (1, "", message)


def test_list_takes_no_page_for_a_list():
    with hub(*HTML) as url:
        why = "Failed to decode response: Expecting value: line 1 column 1 (char 0)"
        assert swarm("list", "--hub", url, "token://cafe") == (1, "", f"{NOW} {why}\n")


# files


def test_list_says_that_the_file_is_gone(tmp_path):
    path = tmp_path / "cluster"
    why = f"failed to read '{path}': open {path}: no such file or directory"
    assert swarm("list", f"file://{path}") == (1, "", f"{NOW} {why}\n")


def test_list_says_that_the_file_is_a_directory(tmp_path):
    why = f"failed to read '{tmp_path}': read {tmp_path}: is a directory"
    assert swarm("list", f"file://{tmp_path}") == (1, "", f"{NOW} {why}\n")


def test_list_says_that_the_file_is_noise_which_the_original_takes_for_addresses(tmp_path):
    path = tmp_path / "cluster"
    path.write_bytes(b"a:1\n\xff\xfe\x00:\x01\n")
    why = f"failed to read '{path}': byte 4 is not UTF-8 text"
    assert swarm("list", f"file://{path}") == (1, "", f"{NOW} {why}\n")


@pytest.mark.parametrize("place", ["nodes://a:1", "file:///nowhere/cluster"])
def test_join_logs_that_nobody_can_join_a_list_and_goes_on(place):
    why = f'{ERROR}"not implemented in this discovery service"'
    assert joined(place) == ([60, 60], [f'{INFO} addr="a:1" discovery="{place}"', why] * 2)
