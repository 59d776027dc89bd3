"""What the tests of this system share: a registry that forgets, a watch, the commands."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, contextmanager

import pytest

from tests.conftest import THOROUGH
from tests.swarm import dockerd
from walkthroughs.swarm import discovery


@pytest.fixture(autouse=True)
def registry():
    """Give the backends back as the test found them."""
    before = dict(discovery.backends)
    yield discovery.backends
    discovery.backends.clear()
    discovery.backends.update(before)


SETTINGS = ("DEBUG", "SWARM_ADVERTISE", "SWARM_DISCOVERY", "SWARM_HOST", "SWARM_HUB")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True, scope="session")
def no_proxy():
    """Ask the servers on this machine directly, those of whole modules too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*PROXIES, *map(str.lower, PROXIES)):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """Hide what the shell and the machine tell the commands."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    # Help is as wide as the terminal, and log lines tell local time.
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def follow():
    """Return a function that starts a watch in a lab, and returns what it reports.

    The list grows by a pair for each report: the time, and the entries or the trouble as text.
    """

    async def write_down(lab, watcher, told):
        async with aclosing(watcher.watch()) as reports:
            async for report in reports:
                trouble = isinstance(report, discovery.DiscoveryError)
                told.append((lab.clock.now, str(report) if trouble else [*map(str, report)]))

    def start(lab, watcher, name="watch"):
        told = []
        lab.start(name, write_down(lab, watcher, told))
        return told

    return start


class Commands:
    """The commands as a reader runs them, each a process."""

    deadline = 20
    """Seconds until a test gives up on something that takes two."""

    def run(self, *arguments, **environment):
        """Run a command to its end."""
        done = {"capture_output": True, "text": True, "timeout": self.deadline}
        return subprocess.run(self.line(arguments), env=os.environ | environment, **done)

    @contextmanager
    def running(self, *arguments, **environment):
        """Run a command in the background; kill it at the end if it is still there."""
        env, text = os.environ | environment, {"text": True, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(self.line(arguments), env=env, stdout=subprocess.PIPE, **text)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def line(self, arguments):
        return [sys.executable, "-m", "walkthroughs.swarm", *arguments]

    @contextmanager
    def hub(self, *arguments, port=0):
        """Run a hub; yield its URL."""
        with self.running("hub", "--host", f"127.0.0.1:{port}", *arguments) as process:
            yield self.said(process, r"(http://127\.0\.0\.1:\d+)")

    def join(self, discovery, address, **environment):
        """Run a node that is forgotten two seconds after it was last heard of."""
        beat = ("--heartbeat", "1s", "--ttl", "2s")
        return self.running("join", "--addr", address, *beat, discovery, **environment)

    def said(self, process, pattern):
        """Read what a process says until a line matches; return the first group."""
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(pattern, line):
                return found[1]
        pytest.fail(f"no line matches {pattern}:\n{''.join(lines)}")

    def listed(self, discovery, wanted, **environment):
        """Ask for the list until it is the wanted one; return the last answer."""
        end = time.monotonic() + self.deadline
        while True:
            said = self.run("list", discovery, **environment).stdout.splitlines()
            # Over a store, the original too logs to the stream that the list is on.
            lines = sorted(line for line in said if "level=" not in line)
            if lines == wanted or time.monotonic() > end:
                return lines

    def live(self, discovery, **environment):
        """Let two nodes join; one is killed and forgotten, the other stays."""
        first, second = "127.0.0.1:2375", "127.0.0.1:2376"
        with self.join(discovery, first, **environment):
            with self.join(discovery, second, **environment):
                assert self.listed(discovery, [first, second], **environment) == [first, second]
            assert self.listed(discovery, [first], **environment) == [first]


@pytest.fixture(scope="session")
def commands():
    return Commands()


NODES = (("node-1", "storage=ssd"), ("node-2", "storage=disk"), ("node-3", "storage=disk"))


@pytest.fixture(scope="session")
def dockers(require):
    """Start three engines, each on a node of its own; a test asks for `engines`."""
    for program in dockerd.NEEDED:
        require(program)
    if refusal := dockerd.refusal():
        refuse = pytest.fail if THOROUGH else pytest.skip
        refuse(f"no Docker engine can run here: {refusal}")
    with ExitStack() as stack:
        three = [stack.enter_context(dockerd.Docker(*node)) for node in NODES]
        with ThreadPoolExecutor() as pool:
            list(pool.map(dockerd.Docker.start, three))
        yield three


@pytest.fixture
def engines(dockers):
    """Give the three engines running and clean, their gates open; leave them so."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(dockerd.Docker.renew, dockers))
        yield dockers
        list(pool.map(dockerd.Docker.renew, dockers))
