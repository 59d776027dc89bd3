"""What a block can need that a machine may lack: `requires=gcc`, `requires=ptrace`.

A name is a program on the PATH, unless it is one of CHECKS, or `python:NAME` for a Python module
that only some installations have.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable

REQUIRE_REAL = "WALKTHROUGHS_REQUIRE_REAL"


def _ptrace() -> bool:
    if sys.platform != "linux":
        return False
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as scope:
            return int(scope.read()) < 2 or os.geteuid() == 0
    except OSError:
        return True  # no Yama: ptrace is not restricted beyond ownership


CHECKS: dict[str, Callable[[], bool]] = {
    "linux": lambda: sys.platform == "linux",
    "ptrace": _ptrace,
}


def has(name: str) -> bool:
    """Say whether this machine has what `name` names."""
    if name in CHECKS:
        return CHECKS[name]()
    if name.startswith("python:"):
        try:
            return importlib.util.find_spec(name.removeprefix("python:")) is not None
        except ModuleNotFoundError:
            return False  # not even the package that would hold it
    return shutil.which(name) is not None


def lacking(names: Iterable[str]) -> str:
    """Return a sentence naming what is missing, "" if nothing is."""
    missing = [name for name in names if not has(name)]
    return f"this machine lacks {', '.join(missing)}" if missing else ""


def real_required() -> bool:
    """Say whether a missing peer is a failure (as in CI) instead of a reason to skip."""
    return os.environ.get(REQUIRE_REAL) == "1"
