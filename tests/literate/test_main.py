"""What the package says where only the modules' own requirements are installed: none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = "import literate.pytest_entry as entry; print(entry.pytest_report_header())"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["-m", "literate", "check"],
            (1, "", "literate needs click: pip install 'walkthroughs[site]' brings it\n"),
        ),
        (
            ["-c", HEADER],
            (
                0,
                "literate: pages are not collected, pytest is missing (walkthroughs[site])\n",
                "",
            ),
        ),
        (["-c", "import literate.pictures, literate.exercise, literate.verified"], (0, "", "")),
    ],
    ids=["command line", "pytest", "what a notebook imports"],
)
def test_without_extras(arguments: list[str], said: tuple[int, str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-S", *arguments],  # without the environment's packages
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == said
