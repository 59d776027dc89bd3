"""The commands as a reader runs them: processes on loopback, from the first token to an expiry."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SWARM = [sys.executable, "-m", "walkthroughs.swarm"]
DEADLINE = 20
"""Seconds until a test gives up on something that takes two."""


def swarm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = os.environ | environment
    return subprocess.run(
        [*SWARM, *arguments], env=env, capture_output=True, text=True, timeout=DEADLINE
    )


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; kill it at the end if it is still there."""
    process = subprocess.Popen(
        [*SWARM, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def hub(*arguments: str) -> Iterator[str]:
    """Run a hub on a free port; give its URL."""
    with running("hub", "--host", "127.0.0.1:0", *arguments) as process:
        yield said(process, r"(http://127\.0\.0\.1:\d+)")


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """Read what a process says until a line matches; return the first group."""
    lines: list[str] = []
    for line in process.stdout or []:
        lines.append(line)
        if found := re.search(pattern, line):
            return found[1]
    pytest.fail(f"no line matches {pattern}:\n{''.join(lines)}")


def listed(discovery: str, wanted: list[str], **environment: str) -> list[str]:
    """Ask for the list until it is the wanted one; return the last answer."""
    end = time.monotonic() + DEADLINE
    while True:
        answer = swarm("list", discovery, **environment)
        lines = sorted(line for line in answer.stdout.splitlines() if "level=" not in line)
        if lines == wanted or time.monotonic() > end:
            return lines


def join(discovery: str, address: str) -> tuple[str, ...]:
    return ("join", "--addr", address, "--heartbeat", "1s", "--ttl", "2s", discovery)


def a_life(discovery: str, **environment: Any) -> None:
    """Two nodes join; one is killed and forgotten; the other stays."""
    first, second = "127.0.0.1:2375", "127.0.0.1:2376"
    with running(*join(discovery, first), **environment):
        with running(*join(discovery, second), **environment):
            assert listed(discovery, [first, second], **environment) == [first, second]
        assert listed(discovery, [first], **environment) == [first]


def test_a_hub_hands_out_a_token_nodes_join_and_one_that_is_killed_is_forgotten():
    with hub() as url:
        created = swarm("create", SWARM_HUB=url)
        assert (created.returncode, created.stderr.count("\n")) == (0, 3)
        a_life(f"token://{created.stdout.strip()}", SWARM_HUB=url)


def test_a_node_outlives_its_hub(tmp_path: Any):
    data = str(tmp_path / "hub.db")
    node = "127.0.0.1:2375"
    with hub("--data", data) as url:
        token = swarm("create", "--hub", url).stdout.strip()
        port = url.rpartition(":")[2]
        arguments = join(f"token://{token}", node)
    with running(*arguments, SWARM_HUB=url) as joined:
        refused = "connection refused"
        assert said(joined, f"({refused})") == refused
        with running("hub", "--host", f"127.0.0.1:{port}", "--data", data):
            assert listed(f"token://{token}", [node], SWARM_HUB=url) == [node]
        joined.send_signal(signal.SIGINT)
        assert joined.wait(DEADLINE) == 130
