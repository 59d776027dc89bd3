"""A page's own process: started in a folder of its own, listened to, stopped when it hangs."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from literate.pressed import Json, Pressed
from literate.problems import Problem
from literate.project import Project

EXAMPLE_LIMIT = 10.0
"""Seconds that one example may take, unless the page or the block says otherwise."""
PAGE_LIMIT = 120.0
"""Seconds that a page may take."""
GRACE = 5.0
"""Seconds that a worker whose pipe has closed may take to end by itself."""
FIXED_ENVIRONMENT = {
    "COLUMNS": "80",
    "LINES": "24",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "1",
    "PYTHON_COLORS": "0",
    "TERM": "dumb",
    "TZ": "UTC",
}
"""What a page's process finds in its environment, whatever the machine has there."""


def environment() -> dict[str, str]:
    """Return the environment of a page's process."""
    kept = {name: value for name, value in os.environ.items() if not _machine_bound(name)}
    return kept | FIXED_ENVIRONMENT


def _machine_bound(name: str) -> bool:
    # With the last two, pytest does not shorten its messages.
    dropped = {"LANGUAGE", "COLORTERM", "FORCE_COLOR", "CLICOLOR_FORCE", "CI", "BUILD_NUMBER"}
    return name.startswith(("LC_", "PYTHON", "PYTEST_")) or name in dropped


_running: set[subprocess.Popen[bytes]] = set()


@contextlib.contextmanager
def started(
    module: str, answers: int, job: Json, folder: Path, output: int
) -> Generator[subprocess.Popen[bytes]]:
    """Start `python -m MODULE ANSWERS` with `job` on its standard input; leave nothing of it.

    What it prints goes to the file descriptor `output`, what it has to say to `answers`.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(answers)],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        pass_fds=[answers],
        start_new_session=True,
    )
    _running.add(process)
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps(job).encode())
        yield process
    finally:
        _kill(process)
        process.wait()
        _running.discard(process)


def stop_all() -> None:
    """End every process that is running: the press was interrupted."""
    for process in list(_running):
        _kill(process)


class Process:
    """One page's worker, its deadlines, and the end of it."""

    def __init__(self, pressed: Pressed, project: Project, steps: list[Json]) -> None:
        self.pressed, self.page, self.steps = pressed, pressed.page, steps
        self.project = project
        self.line = 1
        limit = self.page.front.get("limit", EXAMPLE_LIMIT)
        self.page_limit = float(self.page.front.get("page_limit", PAGE_LIMIT))
        file = str(project.module_file(self.page.module)) if self.page.module else ""
        self.job = {
            "page": self.page.path,
            "module": self.page.module or "__page__",
            "file": file,
            "root": str(project.root),
            "limit": float(limit),
            "steps": steps,
        }

    def run(self) -> None:
        """Start the worker in a folder of its own, listen to it, leave nothing behind."""
        reader, writer = os.pipe()
        with (
            tempfile.TemporaryDirectory(prefix="page-") as folder,
            tempfile.TemporaryFile() as errors,
            open(reader, "rb", buffering=0) as answers,
        ):
            output = errors.fileno()
            with started("literate.worker", writer, self.job, Path(folder), output) as process:
                os.close(writer)
                ended = self._listen(answers.fileno())
                if not ended:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(GRACE)
            if not ended:
                errors.seek(0)
                tail = errors.read()[-4000:].decode(errors="replace").strip()
                died = f"the page's process died with {_status(process.returncode)}"
                self._problem(self.line, died, tail)

    def _listen(self, reader: int) -> bool:
        """Take the worker's messages until it is done (True), dies (False) or hangs (True)."""
        page_end = time.monotonic() + self.page_limit
        deadline = page_end
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, min(deadline, page_end) - time.monotonic())):
                    whole = page_end <= deadline
                    limit = self.page_limit if whole else self.limit
                    what = "the page" if whole else "this"
                    self._problem(self.line, f"{what} was still running after {limit:g} s: stopped")
                    return True
                data = os.read(reader, 1 << 16)
                if not data:
                    return False
                *lines, buffer = (buffer + data).split(b"\n")
                for message in map(json.loads, lines):
                    if message["event"] == "done":
                        self._done(message)
                        return True
                    deadline = self._take(message)

    def _take(self, message: Json) -> float:
        """Note a message; return the time by which the next one must come."""
        if message["event"] == "start":
            self.line, self.limit = message["line"], message["limit"]
            return time.monotonic() + self.limit
        for line, text, detail in message.pop("problems", []):
            self._problem(line, text, detail)
        self.pressed.results[message.pop("block")] = message
        return time.monotonic() + self.page_limit

    def _done(self, message: Json) -> None:
        self.pressed.files = message["files"]
        for left in message["left"]:
            self._problem(message["line"], f"at the end of the page: {left}")
        for outcome in self.pressed.examples:
            for text in outcome.rich.values():
                if "<svg" in text and not ("<title>" in text and "<desc>" in text):
                    self._problem(outcome.line, "a picture needs a <title> and a <desc>")

    def _problem(self, line: int, message: str, detail: str = "") -> None:
        self.pressed.problems.append(Problem(self.page.path, line, message, detail))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
