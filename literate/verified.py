"""What the tests say, for a page that shows it: `outcomes` runs some of a chapter's tests.

What they said is kept under the content of everything that decides it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from literate.project import Project

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FOLDER = ".cache/literate/outcomes"


def project_text(path: str) -> str:
    """Return the text of a file of the project, by its path there."""
    return (Project.find().root / path).read_text(encoding="utf-8")


def outcomes(test_file: str, names: Iterable[str]) -> dict[str, str]:
    """Run the named test functions of a file; say of each how its runs ended, as `2 passed`."""
    project = Project.find()
    tests = [f"{test_file}::{name}" for name in names]
    digest = hashlib.sha256(json.dumps([sys.version, tests]).encode())
    for file in _deciding(project, project.root / test_file):
        digest.update(file.read_bytes())
    kept = project.root / FOLDER / f"{digest.hexdigest()}.json"
    if not kept.exists():
        said = _run(tests, project.root)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(said), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def _deciding(project: Project, test_file: Path) -> Iterator[Path]:
    """Yield what a test's outcome depends on: itself, the conftests above, the system's modules."""
    yield test_file
    above = [folder for folder in test_file.parents if folder.is_relative_to(project.root)]
    yield from (folder / "conftest.py" for folder in above if (folder / "conftest.py").exists())
    system = project.root / project.modules / test_file.parent.name
    yield from sorted(system.glob("*.py"))


def _run(tests: list[str], root: Path) -> dict[str, str]:
    # Needed the first time only, and slower to load than what is kept is to read.
    import subprocess
    import tempfile
    from xml.etree import ElementTree

    from literate.process import environment

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:literate", "-p", "no:cacheprovider", f"--junitxml={report}"]
        # Without compiled files: one of the same second may belong to the text before an edit.
        command = [sys.executable, "-B", "-m", "pytest", *options, *tests]
        env = environment() | {"PYTHONPATH": str(root)}
        done = subprocess.run(
            command, cwd=root, env=env, capture_output=True, text=True, check=False
        )
        said = _counted(ElementTree.parse(report).iter("testcase")) if report.exists() else {}
        if not said:
            raise RuntimeError(done.stdout + done.stderr)
        return said


def _counted(cases: Iterable[Element]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        name = case.get("name", "").partition("[")[0]
        verdicts = {child.tag for child in case} & {"failure", "error", "skipped"}
        counts.setdefault(name, Counter())[next(iter(verdicts), "passed")] += 1
    return {
        name: ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items()))
        for name, count in counts.items()
    }
