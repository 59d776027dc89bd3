"""The command list: its checks, the first batch of entries, and what it says without one."""

import asyncio
import subprocess
import sys

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from walkthroughs.swarm import discovery
from walkthroughs.swarm.discovery import DiscoveryError, create_entries
from walkthroughs.swarm.kv import over
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.listing import list_entries
from walkthroughs.swarm.main import execute, main

NOW = "2017/07/14 02:40:00"
HUB = "http://hub:2370"


def world_with(app):
    lab = Lab()
    lab.network.apps["hub:2370"] = app
    return lab.world("lister")


ORDER = [
    # Each row has the mistake it is about, and where it can, every mistake that is found later.
    ([], "discovery required to list a cluster. See 'swarm list --help'."),
    (["a", "b"], "discovery required to list a cluster. See 'swarm list --help'."),
    (
        ["--timeout", "x", "--discovery-opt", "y"],
        "discovery required to list a cluster. See 'swarm list --help'.",
    ),
    (
        ["--timeout", "x", "--discovery-opt", "y", "token://"],
        'invalid --timeout: time: invalid duration "x"',
    ),
    (
        ["--timeout", "0s", "--discovery-opt", "y", "token://"],
        "--timeout should be a positive number",
    ),
    (["--timeout", "0", "token://"], "--timeout should be a positive number"),
    (["--timeout", "-1s", "token://"], "--timeout should be a positive number"),
    (["token://"], "token is empty"),
    (["foo://x"], "discovery service not supported"),
    (
        ["nodes://"],
        "missing port in address, please check you are using the correct discovery "
        "(missing token:// ?)",
    ),
    (
        ["nodes://a"],
        "address a: missing port in address, please check you are using the correct discovery "
        "(missing token:// ?)",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), ORDER)
def test_checks_come_in_the_original_order_with_its_messages(arguments, message, capsys):
    assert main(["list", *arguments], Lab().world("lister")) == 1
    assert capsys.readouterr() == ("", f"{NOW} {message}\n")


def test_a_bad_discovery_option_is_fatal_in_the_other_log(capsys):
    # Measured: the function that reads options is shared with `manage`, which logs with logrus.
    arguments = ["list", "--discovery-opt", "x", "token://"]
    assert main(arguments, Lab().world("lister")) == 1
    message = "--discovery-opt must contain key=value strings"
    assert capsys.readouterr() == (
        f'time="2017-07-14T02:40:00Z" level=fatal msg="{message}"\n',
        "",
    )


@pytest.mark.parametrize(
    ("url", "lines"),
    [
        ("nodes://a:1,a:1,b:2", "a:1\na:1\nb:2\n"),
        ("10.0.0.[9:11]:2375", "10.0.0.9:2375\n10.0.0.10:2375\n10.0.0.11:2375\n"),
        ("nodes://[::1]:2375", "[::1]:2375\n"),
    ],
    ids=["repeats", "range", "IPv6"],
)
def test_entries_are_printed_one_a_line_in_their_order(url, lines, capsys):
    assert main(["l", url], Lab().world("lister")) == 0
    assert capsys.readouterr() == (lines, "")


def test_a_cluster_without_nodes_prints_nothing_and_is_no_error(capsys):
    assert main(["list", "--hub", HUB, "token://cafe"], world_with(JSONResponse([]))) == 0
    assert capsys.readouterr() == ("", "")


def test_discovery_and_hub_may_come_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("SWARM_DISCOVERY", "token://cafe")
    monkeypatch.setenv("SWARM_HUB", HUB)
    assert main(["list"], world_with(JSONResponse(["10.0.0.1:2375"]))) == 0
    assert capsys.readouterr() == ("10.0.0.1:2375\n", "")


def test_trouble_with_the_first_look_is_fatal(capsys):
    world = world_with(PlainTextResponse("boom", 500))
    assert main(["list", "--hub", HUB, "token://cafe"], world) == 1
    message = "Failed to fetch entries, Discovery service returned 500 HTTP status code"
    assert capsys.readouterr() == ("", f"{NOW} {message}\n")


class Silent:
    """A backend whose watch says something after a while, and counts its ends."""

    def __init__(self, clock, pause, report):
        self.clock, self.pause, self.report = clock, pause, report
        self.ended = 0

    async def watch(self):
        try:
            await self.clock.sleep(self.pause)
            yield self.report
            await self.clock.sleep(1e9)
        finally:
            self.ended += 1


def listed(monkeypatch, pause, report, timeout=10.0):
    """Return the error of a listing or None, the time it took, and how often the watch ended."""

    async def program():
        async with Lab() as lab:
            backend = Silent(lab.clock, pause, report)
            given = []
            monkeypatch.setitem(
                discovery.backends, "own", lambda *arguments: given.append(arguments) or backend
            )
            work = asyncio.create_task(list_entries(lab.world("me"), "own://x", timeout, {}))
            while not work.done():
                await lab.run(1)
            assert given[0][:4] == ("x", timeout, 0, {})
            return work.exception(), lab.clock.now, backend.ended

    return asyncio.run(program())


def test_a_watch_that_says_nothing_in_time_is_given_up(monkeypatch, capsys):
    error, now, ended = listed(monkeypatch, 60, create_entries(["a:1"]))
    assert (type(error), str(error), now, ended) == (DiscoveryError, "Timed out", 10, 1)
    assert capsys.readouterr() == ("", "")


def test_a_report_within_the_timeout_is_waited_for(monkeypatch, capsys):
    error, now, ended = listed(monkeypatch, 9, create_entries(["a:1"]))
    assert (error, now, ended) == (None, 9, 1)
    assert capsys.readouterr() == ("a:1\n", "")


def test_an_error_from_the_watch_ends_the_listing(monkeypatch):
    error, now, ended = listed(monkeypatch, 3, DiscoveryError("Unexpected watch error"))
    assert (str(error), now, ended) == ("Unexpected watch error", 3, 1)


def test_without_a_timeout_the_listing_is_given_up_after_10_seconds(monkeypatch, capsys):
    async def program():
        async with Lab() as lab:
            silent = Silent(lab.clock, 60, create_entries(["a:1"]))
            monkeypatch.setitem(discovery.backends, "own", lambda *_: silent)
            work = asyncio.create_task(execute(["list", "own://x"], lab.world("lister")))
            await lab.run(9.5)
            early = work.done()
            await lab.run(0.5)
            return early, await work

    assert asyncio.run(program()) == (False, 1)
    assert capsys.readouterr() == ("", "2017/07/14 02:40:10 Timed out\n")


def test_the_timeout_is_the_heartbeat_too_and_there_is_no_ttl(monkeypatch):
    given = []

    def refusing(*arguments):
        given.append(arguments[:3])
        raise DiscoveryError("no")

    monkeypatch.setitem(discovery.backends, "own", refusing)
    assert main(["list", "--timeout", "1m30s", "own://x"], Lab().world("lister")) == 1
    assert given == [("x", 90.0, 0)]


def test_over_a_store_a_log_line_precedes_the_entries_on_standard_output(monkeypatch, capsys):
    class Store:
        async def watch_tree(self, directory):
            yield ["10.0.0.1:2375", "10.0.0.2:2375"]

    monkeypatch.setitem(discovery.backends, "etcd", over(lambda *_: Store()))
    assert main(["list", "etcd://127.0.0.1:2379"], Lab().world("lister")) == 0
    line = 'time="2017-07-14T02:40:00Z" level=info msg="Initializing discovery without TLS"'
    assert capsys.readouterr() == (f"{line}\n10.0.0.1:2375\n10.0.0.2:2375\n", "")


def test_a_reader_that_hangs_up_early_is_no_error():
    command = [sys.executable, "-m", "walkthroughs.swarm", "list", "10.0.0.1:[1:60000]"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"10.0.0.1:1\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 141
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
