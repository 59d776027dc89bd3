"""Pressing a page: read it, take it through its module, run it in a process of its own.

`press` does one page, `press_all` many at a time. A page's results are kept in `.cache/literate`
under the content of its blocks and of every project file that the run imported or read; a change
of prose alone runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from literate import doctests, needs
from literate.ledger import Entry, enter, pairing
from literate.mutants import Mutant, mutate, run_mutants
from literate.page import Break, Example, Exercise, Page, SourceBlock, parse
from literate.problems import PressError, Problem
from literate.project import Project
from literate.source import Source

Json = dict[str, Any]
EXAMPLE_LIMIT = 10.0
PAGE_LIMIT = 120.0
GRACE = 5.0
"""Seconds that a worker whose pipe has closed may take to end by itself."""
CACHE = ".cache/literate"
FIXED_ENVIRONMENT = {
    "COLUMNS": "80",
    "LINES": "24",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "1",
    "PYTHON_COLORS": "0",
    "TERM": "dumb",
    "TZ": "UTC",
}
"""What a page's process finds in its environment, whatever the machine has there."""


@dataclass
class Pressed:
    """A page and what came of running it."""

    page: Page
    entry: Entry
    results: dict[int, Json] = field(default_factory=dict[int, Json])
    """By the index of the block: what the worker answered; mutants under "caught"."""
    skipped: dict[int, str] = field(default_factory=dict[int, str])
    """By the index of the block: why it did not run on this machine."""
    problems: list[Problem] = field(default_factory=list[Problem])
    files: list[str] = field(default_factory=list[str])
    """The project's files that the page depends on."""
    seconds: float = 0.0
    cached: bool = False

    @property
    def examples(self) -> list[doctests.Outcome]:
        """Every example that ran, in order."""
        answers = [result.get("outcomes", []) for _, result in sorted(self.results.items())]
        return [doctests.Outcome(**each) for outcomes in answers for each in outcomes]

    def outcomes(self, index: int) -> list[doctests.Outcome]:
        """What each example of the block at `index` did."""
        return [doctests.Outcome(**each) for each in self.results.get(index, {}).get("outcomes", [])]


def environment() -> dict[str, str]:
    """Return the environment of a page's process."""
    kept = {name: value for name, value in os.environ.items() if not _machine_bound(name)}
    return kept | FIXED_ENVIRONMENT


def _machine_bound(name: str) -> bool:
    dropped = {"LANGUAGE", "COLORTERM", "FORCE_COLOR", "CLICOLOR_FORCE"}
    return name.startswith(("LC_", "PYTHON")) or name in dropped


def read(path: Path, project: Project, *, module_needed: bool = True) -> Page:
    """Read the page at `path`; raise PressError with what is wrong with it."""
    text = path.read_text(encoding="utf-8")
    return parse(text, project.relative(path), module_needed=module_needed)


def press_all(
    paths: Iterable[Path],
    project: Project,
    *,
    cache: bool = True,
    whole: bool = False,
    prose: Iterable[Path] = (),
) -> list[Pressed]:
    """Press pages, as many at a time as there are processors.

    `whole` also checks that pages and modules pair up; `prose` are pages that walk no module.
    """
    problems: list[Problem] = []
    pages: list[Page] = []
    for path, needed in [*((each, True) for each in paths), *((each, False) for each in prose)]:
        try:
            pages.append(read(path, project, module_needed=needed))
        except PressError as error:
            problems += error.problems
    if whole and not problems:
        problems += pairing([page for page in pages if page.module], project)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pressed = list(pool.map(lambda page: press(page, project, cache=cache), pages))
    problems += [problem for each in pressed for problem in each.problems]
    problems += _unknown_needs(pages, project)
    if problems:
        raise Failed(problems, pressed)
    return pressed


class Failed(PressError):
    """Some pages failed; `pressed` holds what could be run."""

    def __init__(self, problems: Iterable[Problem], pressed: list[Pressed]) -> None:
        super().__init__(problems)
        self.pressed = pressed


def _unknown_needs(pages: list[Page], project: Project) -> Iterator[Problem]:
    for page in pages:
        for slug in page.front.get("needs", []):
            if not (project.root / project.notes / f"{slug}.md").is_file():
                yield Problem(page.path, 1, f"needs names no page: {slug}")


def press(
    page: Page,
    project: Project,
    *,
    cache: bool = True,
    instead: Path | None = None,
    mutants: bool = True,
) -> Pressed:
    """Run one page and return what came of it; problems are in the answer, not raised.

    The file `instead` takes the place of the module: it runs whole before the first block.
    """
    started = time.monotonic()
    entry = enter(page, project)
    pressed = Pressed(page, entry, problems=list(entry.problems))
    steps = list(_steps(pressed, instead))
    stopped = entry.problems and not _only_unshown(entry)
    if not stopped and steps:
        kept = _Kept(page, project, steps, pressed.skipped) if cache and instead is None else None
        if kept is None or not kept.load(pressed):
            _Process(pressed, project, steps).run()
            if mutants:
                _catch_mutants(pressed, project)
            if kept and not pressed.problems:
                kept.save(pressed)
    pressed.seconds = time.monotonic() - started
    return pressed


def _only_unshown(entry: Entry) -> bool:
    """Say whether what is wrong leaves a page that can still be run."""
    return bool(entry.source) and all(each.path == entry.file for each in entry.problems)


# What there is to do


def _steps(pressed: Pressed, instead: Path | None) -> Iterator[Json]:
    """Yield the worker's steps; note the blocks that this machine cannot run."""
    page = pressed.page
    source = pressed.entry.source
    if instead:
        text = instead.read_text(encoding="utf-8")
        whole = {"kind": "source", "block": -1, "line": 1, "pieces": [[1, text]]}
        yield whole | {"file": str(instead)}
    for index, block in enumerate(page.blocks):
        wanted = page.requires + (block.requires if isinstance(block, Example) else ())
        if lacking := needs.lacking(wanted):
            if isinstance(block, Example | Exercise | Break):
                pressed.skipped[index] = lacking
                if needs.real_required():
                    pressed.problems.append(Problem(page.path, block.line, lacking))
                continue
        step = _step(block, pressed, source, instead is not None)
        if step:
            yield {"block": index, "line": block.line, "limit": None, **step}


def _step(block: object, pressed: Pressed, source: Source | None, replaced: bool) -> Json | None:
    """Return what the worker is to do for a block; None for nothing."""
    if isinstance(block, SourceBlock) and not replaced:
        parts = pressed.entry.runs.get(block.line, [])
        pieces = [[part.start, part.text] for part in parts]
        return {"kind": "source", "pieces": pieces} if pieces else None
    if isinstance(block, Example):
        return {"kind": "example", "limit": block.limit, **_examples(block, pressed)}
    if isinstance(block, Exercise):
        fences = {"starter": block.starter, "check": block.check, "solution": block.solution}
        return {"kind": "exercise"} | {k: [each.first, each.text] for k, each in fences.items()}
    if isinstance(block, Break) and source and not replaced:
        return _break_step(block, pressed, source)
    return None


def _examples(block: Example, pressed: Pressed) -> Json:
    try:
        doctests.parse(block.fence.text)
    except ValueError as error:
        pressed.problems.append(Problem(pressed.page.path, block.line, f"not a doctest: {error}"))
        return {"first": block.fence.first, "text": ""}
    return {"first": block.fence.first, "text": block.fence.text}


def _break_step(block: Break, pressed: Pressed, source: Source) -> Json | None:
    try:
        mutant = mutate(source, block, pressed.page.path)
    except PressError as error:
        pressed.problems += error.problems
        return None
    if block.look is None:
        return None
    look = _examples(block.look, pressed)
    return {"kind": "break", "piece": [mutant.part.start, mutant.piece], **look}


# Doing it


class _Process:
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
            "text": self.page.text,
            "module": self.page.module or "__page__",
            "file": file,
            "root": str(project.root),
            "limit": float(limit),
            "steps": steps,
        }

    def run(self) -> None:
        """Start the worker in a folder of its own, listen to it, leave nothing behind."""
        reader, writer = os.pipe()
        with tempfile.TemporaryDirectory(prefix="page-") as folder, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "literate.worker", str(writer)],
                cwd=folder,
                env=environment() | {"PYTHONPATH": str(Path(__file__).parents[1])},
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                pass_fds=[writer],
                start_new_session=True,
            )
            os.close(writer)
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(self.job).encode())
                process.stdin.close()
                ended = self._listen(reader)
                if not ended:
                    process.wait(GRACE)
            finally:
                os.close(reader)
                _kill(process)
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
    """End the worker and whatever it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _catch_mutants(pressed: Pressed, project: Project) -> None:
    """Run the test that each break block names against its mutation."""
    source = pressed.entry.source
    blocks = [(i, each) for i, each in enumerate(pressed.page.blocks) if isinstance(each, Break)]
    blocks = [(i, each) for i, each in blocks if i not in pressed.skipped]
    if pressed.problems or source is None or not blocks:
        return
    mutants = [mutate(source, block, pressed.page.path) for _, block in blocks]
    test_file = project.test_file(project.slug(project.root / pressed.page.path))
    verdicts = run_mutants(mutants, pressed.page.module, test_file, project, environment())
    for (index, block), mutant, verdict in zip(blocks, mutants, verdicts, strict=True):
        pressed.results.setdefault(index, {})["caught"] = verdict.message
        pressed.results[index]["mutation"] = _mutation_diff(mutant)
        if verdict.problem:
            pressed.problems.append(
                Problem(pressed.page.path, block.diff.line, verdict.problem, verdict.message)
            )
    pressed.files = sorted({*pressed.files, *(f for each in verdicts for f in each.files)})


def _mutation_diff(mutant: Mutant) -> str:
    """Return the whole symbol with the mutated line as a diff."""
    shown: list[str] = []
    for number, line in enumerate(mutant.part.text.splitlines()):
        if number == mutant.at:
            shown.append("-" + line)
            shown += ["+" + mutant.line] if mutant.line.strip() else []
        else:
            shown.append(" " + line)
    return "\n".join(each.rstrip() for each in shown) + "\n"


# Keeping it


class _Kept:
    """The kept result of one page."""

    def __init__(self, page: Page, project: Project, steps: list[Json], skipped: Json | dict[int, str]) -> None:
        self.project = project
        self.base = page.blocks
        name = page.path.removesuffix(".md").replace("/", ".") + ".json"
        self.file = project.root / CACHE / name
        content = [_without_lines(step) for step in steps]
        settings = [page.front.get("limit"), page.front.get("page_limit"), sorted(skipped.items())]
        tests = [[b.symbol, b.minus, b.plus, b.test] for b in page.blocks if isinstance(b, Break)]
        identity = [content, settings, tests, page.module, sys.version, _lock_digest(project)]
        self.key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        # Outcomes are kept relative to their block, so that they outlive a change of prose.
        self.lines = {i: getattr(block, "line", 1) for i, block in enumerate(page.blocks)}

    def load(self, pressed: Pressed) -> bool:
        """Take the kept result if nothing that it depends on has changed."""
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if kept["key"] != self.key or kept["files"] != self._digests(list(kept["files"])):
            return False
        pressed.results = {int(i): self._shift(int(i), r, 1) for i, r in kept["results"].items()}
        pressed.files = list(kept["files"])
        pressed.cached = True
        return True

    def save(self, pressed: Pressed) -> None:
        """Keep a result; written beside and moved, so that a reader never sees half of it."""
        results = {i: self._shift(i, r, -1) for i, r in pressed.results.items()}
        kept = {"key": self.key, "files": self._digests(pressed.files), "results": results}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.file.parent, delete=False) as beside:
            json.dump(kept, beside)
        shutil.move(beside.name, self.file)

    def _shift(self, index: int, result: Json, sign: int) -> Json:
        by = sign * self.lines.get(index, 1)
        moved = [each | {"line": each["line"] + by} for each in result.get("outcomes", [])]
        return result | ({"outcomes": moved} if moved else {})

    def _digests(self, files: list[str]) -> dict[str, str]:
        return {file: _digest(self.project.root / file) for file in files}


def _without_lines(step: Json) -> Json:
    """Return what a step does, without where on the page it stands."""
    same = {k: v for k, v in step.items() if k not in ("line", "first", "block")}
    for key in ("starter", "check", "solution"):
        if key in same:
            same[key] = same[key][1]
    return same


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _lock_digest(project: Project) -> str:
    return _digest(project.root / "requirements/site.txt")
