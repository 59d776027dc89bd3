"""What the tests say, for a page that shows it: `outcomes` runs some of a chapter's tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from literate.project import Project


def project_text(path: str) -> str:
    """Return the text of a file of the project, by its path there."""
    return (Project.find().root / path).read_text(encoding="utf-8")


def outcomes(test_file: str, names: Iterable[str]) -> dict[str, str]:
    """Run the named test functions of a file; say of each how its runs ended, as `2 passed`."""
    root = Project.find().root
    project_text(test_file)  # what a page reads decides when it runs again
    tests = [f"{test_file}::{name}" for name in names]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:literate", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(done.stdout + done.stderr)
        return _counted(ElementTree.parse(report).iter("testcase"))


def _counted(cases: Iterable[ElementTree.Element]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        name = case.get("name", "").partition("[")[0]
        verdicts = {child.tag for child in case} & {"failure", "error", "skipped"}
        counts.setdefault(name, Counter())[next(iter(verdicts), "passed")] += 1
    return {
        name: ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items()))
        for name, count in counts.items()
    }
