"""The site, built once as `make site` builds it, and served below a sub-path."""

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; whatever mkdocs warns of is a failure."""
    folder = tmp_path_factory.mktemp("served") / "below" / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    build = subprocess.run(
        command, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stderr
    return folder


@pytest.fixture(scope="session")
def paths(site: Path) -> list[str]:
    """The path of each page, relative to the site."""
    found = (file.parent.relative_to(site).as_posix() for file in site.rglob("index.html"))
    return sorted("" if path == "." else f"{path}/" for path in found)


class _Quiet(SimpleHTTPRequestHandler):
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
