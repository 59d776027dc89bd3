"""What the tests of this system share: a registry that forgets, a watch written down."""

import time
from contextlib import aclosing

import pytest

from walkthroughs.swarm import discovery


@pytest.fixture(autouse=True)
def registry():
    """Give the backends back as the test found them."""
    before = dict(discovery.backends)
    yield discovery.backends
    discovery.backends.clear()
    discovery.backends.update(before)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Let log lines, which tell local time, tell the same everywhere."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """Hide what the shell tells the commands."""
    for name in ("DEBUG", "SWARM_ADVERTISE", "SWARM_DISCOVERY", "SWARM_HUB"):
        monkeypatch.delenv(name, raising=False)


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
