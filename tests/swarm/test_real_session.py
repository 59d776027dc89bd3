"""The sessions that README and the home page show are what the real client prints.

With WALKTHROUGHS_RECORD=1 they are written anew, from a run over three real engines.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.swarm.test_real_api import Manager, free_port, listed

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "index.md")
SESSION = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
PROMPT = "$ "


def plain(text):
    """Put signs for what differs from run to run."""
    text = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "<id>", text)
    text = re.sub(r"Less than a second|About a minute|\d+ seconds?", "<moment>", text)
    # A column is as wide as its widest word.
    return re.sub(" {2,}", "  ", text)


def replay(session, env):
    """Run the commands of a session; return it with what they print."""
    lines = [line for line in session.splitlines() if line.startswith(PROMPT)]
    out = []
    for line in lines:
        shell = ["bash", "-c", line.removeprefix(PROMPT)]
        done = subprocess.run(shell, env=env, capture_output=True, text=True, timeout=60)
        out += [line, *(done.stdout + done.stderr).splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in out)


@pytest.fixture
def manager(engines, commands, tmp_path):
    port = free_port()
    host = ["-H", f"tcp://127.0.0.1:{port}"]
    with Manager(commands.line(["manage", *host, listed(engines)]), port, tmp_path) as manager:
        manager.await_nodes(3)
        yield manager


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_session_is_what_the_client_prints(page, manager):
    text = page.read_text()
    [session] = SESSION.findall(text)
    printed = replay(session, manager.env)
    if os.environ.get("WALKTHROUGHS_RECORD"):
        page.write_text(SESSION.sub(lambda _: printed, text))
    else:
        assert plain(printed) == plain(session)
