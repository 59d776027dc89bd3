"""The process in which one page runs: reads a job, does its steps, says what came of each.

`python -m literate.worker FD` reads the job as JSON from standard input and writes one JSON
object a line to the file descriptor FD: `start` before each thing that could hang, `result`
after each step, `done` at the end. `run` is at the other end.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from literate.doctests import Outcome, not_yet
from literate.project import distrust_fresh_bytecode, loaded_files
from literate.session import Session

Json = dict[str, Any]


class Worker:
    """Runs the steps of one page."""

    def __init__(self, job: Json, say: Callable[[Json], None]) -> None:
        self.job = job
        self.say = say
        self.module = _blank_module(job["module"], job["file"])
        self.session = Session(vars(self.module), job["page"])

    def run(self) -> None:
        """Do every step, then look for what was left undone."""
        line = 1
        for step in self.job["steps"]:
            line = step["line"]
            result = getattr(self, "do_" + step["kind"])(step)
            self.say({"event": "result", "block": step["block"], **result})
        self._start(line, None)
        left = self.session.close()
        self.say(
            {
                "event": "done",
                "line": line,
                "left": left,
                "files": loaded_files(self.job["root"], _opened),
            }
        )

    def _start(self, line: int, limit: float | None) -> None:
        self.say({"event": "start", "line": line, "limit": limit or self.job["limit"]})

    def do_source(self, step: Json) -> Json:
        """Execute parts of the module in the page's module object."""
        self._start(step["line"], None)
        file = step.get("file", self.job["file"])
        for first, text in step["pieces"]:
            if report := self._execute(text, first, file):
                return {"problems": [(step["line"], "the module's code raised", report)]}
        return {}

    def _execute(self, text: str, first: int, file: str | None = None) -> str:
        """Run statements; return the traceback or the warnings raised, "" for neither."""
        try:
            return self.session.execute(text, first, file)
        except BaseException as error:
            return self.session.traceback(error, file)

    def do_example(self, step: Json) -> Json:
        """Run a block of examples."""
        self.session.begins = lambda line: self._start(line, step["limit"])
        return _judged(list(self.session.run(step["text"], step["first"])))

    def do_exercise(self, step: Json) -> Json:
        """Try starter and solution against the check, each in a copy of this process."""
        self.session.begins = lambda line: None
        # Both at once: they share nothing, and most machines have two processors.
        first = _Child(lambda: self._attempt(step["starter"], step["check"]))
        second = _Child(lambda: self._attempt(step["solution"], step["check"]))
        self._start(step["starter"][0], step["limit"])
        starter = first.answer()
        self._start(step["solution"][0], step["limit"])
        solution = second.answer()
        problems: list[tuple[int, str, str]] = []
        if starter["raised"]:
            message = "the exercise's starter raises before its check"
            problems.append((step["starter"][0], message, starter["report"]))
        elif not starter["report"]:
            problems.append((step["line"], "the exercise's starter already passes its check", ""))
        if solution["report"]:
            message = "the exercise's solution fails its check"
            problems.append((step["solution"][0], message, solution["report"]))
        return {"starter": starter["report"], "problems": problems}

    def _attempt(self, code: tuple[int, str], check: tuple[int, str]) -> Json:
        """Return how `check` judges `code`: the report of the first failure, "" if none."""
        if report := self._execute(code[1], code[0]):
            return {"report": report, "raised": True}
        for outcome in self.session.run(check[1], check[0]):
            if not outcome.ok:
                return {"report": not_yet(outcome), "raised": False}
        return {"report": "", "raised": False}

    def do_break(self, step: Json) -> Json:
        """Run the examples of a break block in a copy of this process that has the mutation."""
        self._start(step["first"], step["limit"])
        self.session.begins = lambda line: self._start(line, step["limit"])

        def look() -> Json:
            if report := self._execute(step["piece"][1], step["piece"][0], self.job["file"]):
                return {"problems": [(step["line"], "the mutated code raised", report)]}
            return _judged(list(self.session.run(step["text"], step["first"])))

        answer = _Child(look).answer()
        if "raised" in answer:
            return {
                "problems": [(step["first"], "the example did something else", answer["report"])]
            }
        return answer


def _judged(outcomes: list[Outcome]) -> Json:
    problems = [
        (each.line, "the example did something else", each.report)
        for each in outcomes
        if each.report
    ]
    return {"outcomes": [dataclasses.asdict(each) for each in outcomes], "problems": problems}


def _blank_module(name: str, file: str) -> ModuleType:
    """Put an empty module under its real name where imports look, and return it."""
    if not file:
        return sys.modules.setdefault(name, ModuleType(name))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    parent, _, stem = name.rpartition(".")
    sys.modules[name] = module
    if parent:
        setattr(importlib.import_module(parent), stem, module)
    return module


class _Child:
    """A fork that does `work`, so that nothing of it stays in this process."""

    def __init__(self, work: Callable[[], Json]) -> None:
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                with open(writer, "w", encoding="utf-8") as stream:
                    json.dump(work(), stream)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)

    def answer(self) -> Json:
        """Wait for the end; return what `work` returned, or a report of how the fork died."""
        with open(self.reader, encoding="utf-8") as stream:
            text = stream.read()
        _, status = os.waitpid(self.pid, 0)
        if status or not text:
            died = f"it ended its process with status {os.waitstatus_to_exitcode(status)}"
            return {"report": died, "raised": False}
        return json.loads(text)


_opened: set[str] = set()


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str):
        _opened.add(arguments[0])


def main() -> None:
    """Run the job on standard input."""
    text = sys.stdin.read()
    if not text:  # started ahead, and not needed
        return
    job = json.loads(text)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    os.set_inheritable(int(sys.argv[1]), False)
    sys.path[:0] = [job["root"]]
    distrust_fresh_bytecode()
    sys.addaudithook(_note_open)
    with (
        open(int(sys.argv[1]), "w", encoding="utf-8", buffering=1) as answers,
        open(os.devnull, encoding="utf-8") as sys.stdin,
    ):
        Worker(job, lambda message: print(json.dumps(message), file=answers)).run()


if __name__ == "__main__":
    main()
