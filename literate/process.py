"""A page's own process: started in a folder of its own, listened to, stopped when it hangs."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
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
    return kept | FIXED_ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[1])}


def _machine_bound(name: str) -> bool:
    # With CI or BUILD_NUMBER, pytest does not shorten its messages. DEBUG and SWARM_ are what a
    # reader's shell tells the programs of the chapters, and no page has anybody outside to ask.
    dropped = {"LANGUAGE", "COLORTERM", "FORCE_COLOR", "CLICOLOR_FORCE", "CI", "BUILD_NUMBER"}
    starts, ends = ("LC_", "PYTHON", "PYTEST_", "SWARM_"), ("_PROXY", "_proxy")
    return name.startswith(starts) or name.endswith(ends) or name in dropped | {"DEBUG"}


_running: set[subprocess.Popen[bytes]] = set()


def start(module: str, answers: int, folder: str, output: int) -> subprocess.Popen[bytes]:
    """Start `python -m MODULE ANSWERS`, which waits for its job on standard input.

    What it prints goes to the file descriptor `output`, what it has to say to `answers`.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(answers)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        pass_fds=[answers],
        start_new_session=True,
    )
    _running.add(process)
    return process


def send(process: subprocess.Popen[bytes], job: Json) -> None:
    """Give a waiting process its job."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stream:
        stream.write(json.dumps(job).encode())


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started."""
    _kill(process)
    process.wait()
    _running.discard(process)


def stop_all() -> None:
    """End every process that is running: the press was interrupted."""
    for process in list(_running):
        _kill(process)


class Worker:
    """A worker's process: started, and waiting for its job."""

    def __init__(self) -> None:
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  close() closes it
        reader, writer = os.pipe()
        self.answers = reader
        self.process = start("literate.worker", writer, os.sep, self.output.fileno())
        os.close(writer)

    def close(self) -> None:
        """Leave nothing of it behind."""
        end(self.process)
        os.close(self.answers)
        self.output.close()

    def printed(self) -> str:
        """Return the end of what it printed past its examples: a traceback, if it died."""
        self.output.seek(0)
        return self.output.read()[-4000:].decode(errors="replace").strip()


class Spare:
    """Keeps one worker started ahead: it loads what every page needs while another page runs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.worker: Worker | None = None
        atexit.register(self.drop)

    def take(self) -> Worker:
        """Return a worker that no page has used."""
        with self.lock:
            worker, self.worker = self.worker, None
        if worker and worker.process.poll() is None:
            return worker
        return Worker()

    def prepare(self) -> None:
        """Start the next worker, unless there is one."""
        with self.lock:
            self.worker = self.worker or Worker()

    def drop(self) -> None:
        """End the worker that nobody took."""
        with self.lock:
            worker, self.worker = self.worker, None
        if worker:
            worker.close()


spare = Spare()


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
            "environment": environment(),
        }

    def run(self) -> None:
        """Give the job to a worker, in a folder of its own; listen to it, leave nothing behind."""
        with tempfile.TemporaryDirectory(prefix="page-") as folder:
            worker = spare.take()
            try:
                send(worker.process, self.job | {"folder": folder})
                spare.prepare()
                if not self._listen(worker.answers):
                    self._died(worker)
            finally:
                worker.close()

    def _died(self, worker: Worker) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(GRACE)
        died = f"the page's process died with {_status(worker.process.poll())}"
        self._problem(self.line, died, worker.printed())

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


def _status(code: int | None) -> str:
    if code is None:
        return "its pipe closed"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
