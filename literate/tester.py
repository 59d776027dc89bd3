"""The process in which tests meet a module that is not the one on disk.

`python -m literate.tester FD` reads a job as JSON from standard input, imports pytest once, and
runs each test in a fork. What the first fork has imported from outside the project is then imported
for all, so that ten mutants cost little more than one.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from types import ModuleType
from typing import Any

import pytest

from literate.doctests import without_addresses
from literate.project import distrust_fresh_bytecode, loaded_files

OPTIONS = [
    *("-x", "-q", "--import-mode=importlib", "-p", "no:literate", "-p", "no:cacheprovider"),
    # pytest would rewrite the press's own assertions, and warns that it is loaded already.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
]
MESSAGE_LIMIT = 4000
"""Characters of a failing test's message that are kept."""


class _FromText(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a text instead of its file."""

    def __init__(self, name: str, file: str, text: str) -> None:
        self.name, self.file, self.text = name, file, text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.text, self.file, "exec", dont_inherit=True), vars(module))


class _Listener:
    """Hears what pytest says of the tests."""

    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[str] = []
        self.idle: list[str] = []
        """Why tests could not be collected, or were skipped."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            name = report.nodeid.rpartition("::")[2]
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash else str(report.longrepr)
            self.failures.append(without_addresses(f"{name}: {message}")[:MESSAGE_LIMIT])
        elif report.skipped and isinstance(report.longrepr, tuple):
            self.idle.append(report.longrepr[2])
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.idle.append(str(report.longrepr)[:MESSAGE_LIMIT])


def _try(module: str, file: str, text: str, test: str) -> dict[str, Any]:
    """Run `test` with `text` in the place of the module; return a Verdict's fields."""
    sys.meta_path.insert(0, _FromText(module, file, text))
    listener = _Listener()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        status = pytest.main([test, *OPTIONS], plugins=[listener])
    if listener.failures:
        return {"message": listener.failures[0]}
    if status == pytest.ExitCode.OK and listener.passed:
        return {"passed": True}
    name = test.rpartition("/")[2]
    why = "\n".join(listener.idle) or f"pytest says {pytest.ExitCode(status).name}"
    return {"problem": f"the test {name} does not run", "message": why}


def _libraries(root: str) -> list[str]:
    """Return the modules that this process has imported and that are not the project's own."""
    folders = (os.path.join(root, ""), os.path.join(sys.prefix, ""))
    modules = list(sys.modules.items())
    files = {name: getattr(module, "__file__", None) or "" for name, module in modules}
    project, environment = folders
    return [n for n, f in files.items() if f.startswith(environment) or not f.startswith(project)]


def _import(names: Sequence[str]) -> None:
    """Import what the next fork will want too, once for all of them."""
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    sys.path.insert(0, job["root"])
    # Plugins that happen to be installed cost each fork more than the test does.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    distrust_fresh_bytecode()
    verdicts: list[Any] = []
    for text, test in job["mutants"]:
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                verdict = _try(job["module"], job["file"], text, test)
            except Exception as error:
                verdict = {"problem": f"its test did not run: {error!r}"}
            with open(writer, "w", encoding="utf-8") as stream:
                root = job["root"]
                verdict |= {"files": loaded_files(root), "libraries": _libraries(root)}
                json.dump(verdict, stream)
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as stream:
            answer = stream.read()
        os.wait()
        verdict = json.loads(answer or b'{"problem": "its test ended the process"}')
        _import(verdict.pop("libraries", ()))
        verdicts.append(verdict)
    with open(int(sys.argv[1]), "w", encoding="utf-8") as answers:
        json.dump(verdicts, answers)


if __name__ == "__main__":
    main()
