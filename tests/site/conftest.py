"""The site, built once as `make site` builds it, served below a sub-path, and a browser for it."""

import functools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.conftest import THOROUGH

ROOT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds in which another worker must have built the site."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the site out of a quick run of everything: to build it takes a fifth of the time."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if not THOROUGH and len(here) < len(items):
        why = "the site is built with WALKTHROUGHS_REQUIRE_REAL=1, or for pytest tests/site"
        for item in here:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site, the same for all workers of a run."""
    temporary = tmp_path_factory.getbasetemp()
    shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    served, said = shared / "served", shared / "mkdocs.txt"
    try:
        served.mkdir()
    except FileExistsError:
        wait_for(said)
    else:
        build(served / "below" / "site", said)
    assert (served / "below" / "site").is_dir(), said.read_text("utf-8")
    return served / "below" / "site"


def build(folder: Path, said: Path) -> None:
    """Build the site; whatever mkdocs warns of is a failure, which leaves no folder.

    What mkdocs said is there when it has ended, and then it is there whole.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False
    )
    written = said.with_suffix(".part")
    written.write_text(ended.stderr, "utf-8")
    written.rename(said)


def wait_for(file: Path) -> None:
    """Return when another worker has written a file."""
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file.name} after {PATIENCE} seconds"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def paths(site: Path) -> list[str]:
    """The path of each page, relative to the site."""
    found = (file.parent.relative_to(site).as_posix() for file in site.rglob("index.html"))
    return sorted("" if path == "." else f"{path}/" for path in found)


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        """Let a browser keep what it has, so that it never asks whether that is still so."""
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def root_address(site: Path) -> Iterator[str]:
    """Where the site is when it is all that a server has."""
    for address in serve(site):
        yield f"{address}/"


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the site is when it shares a server with others."""
    for shared in serve(site.parents[1]):
        yield f"{shared}/below/site/"


@pytest.fixture(scope="session")
def program(require: Callable[[str], str]) -> str:
    """The path of a browser. Asked for first, so that nobody waits for a site to skip its tests."""
    return next(filter(None, map(shutil.which, BROWSERS)), None) or require(BROWSERS[0])


@pytest.fixture(scope="module")
def browser(program: str) -> Iterator[Browser]:
    """A browser from this machine.

    One for a module, and no longer: its event loop would be in the way of other tests.
    """
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a new page, its browser's settings as given."""
    contexts: list[Any] = []

    def new(**settings: Any) -> Page:
        contexts.append(browser.new_context(reduced_motion="reduce", **settings))
        return contexts[-1].new_page()

    yield new
    for context in contexts:
        context.close()


class Ears:
    """Hears what a page asks for and what it says."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))


@pytest.fixture(scope="session")
def listen() -> type[Ears]:
    """Listen to a page from now on."""
    return Ears
