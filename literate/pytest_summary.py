"""The table at the end of a test run: what was verified, by chapter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

KINDS = ["examples", "exercises", "mutations", "tests", "notebook"]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what passed, by chapter."""
    if report.when == "call" and report.passed:
        _counts.setdefault(_chapter(report.nodeid), Counter())[_counted(report.nodeid)] += 1


_counts: dict[str, Counter[str]] = {}


def _chapter(nodeid: str) -> str:
    """Return `<system>/<module>` for a page's or a test file's item."""
    path = Path(nodeid.partition("::")[0])
    return f"{path.parent.name}/{path.stem.removeprefix('test_')}"


def _counted(nodeid: str) -> str:
    path, _, name = nodeid.partition("::")
    if not path.endswith(".md"):
        return "tests"
    words = {": example": "examples", ": exercise": "exercises", ": break it": "mutations"}
    kind = next((kind for word, kind in words.items() if word in name), "")
    return kind or ("notebook" if name == "notebook" else "ledger")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say, per chapter, what was verified."""
    chapters = {name: count for name, count in sorted(_counts.items()) if _has_page(count)}
    if not chapters:
        return
    terminalreporter.section("verified, by chapter")
    width = max(map(len, chapters))
    terminalreporter.write_line(" " * width + "".join(f"{kind:>11}" for kind in KINDS))
    for name, count in chapters.items():
        numbers = "".join(f"{count[kind]:>11}" for kind in KINDS)
        terminalreporter.write_line(f"{name:<{width}}{numbers}")


def _has_page(count: Counter[str]) -> bool:
    return any(count[kind] for kind in (*KINDS[:3], "notebook", "ledger"))
