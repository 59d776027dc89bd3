"""The command line: what it prints, what it exits with."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from literate import cli
from literate.project import Project

if TYPE_CHECKING:
    from conftest import Toy

HEAD = "page            blocks  examples  module shown  seconds\n"


@pytest.fixture
def here(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A project, and the working directory in it."""
    monkeypatch.chdir(toy.root)
    return toy


def run(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli.main, words, input=answer, prog_name="literate")


def untimed(text: str) -> str:
    """Return a table with every page taking no time."""
    return re.sub(r"\d+\.\d\d", "0.00", text)


def spoil(toy: Toy) -> None:
    toy.replace(toy.name, ">>> inc(1)\n2\n", ">>> inc(1)\n3\n")


def test_check_prints_the_ledger(here: Toy) -> None:
    result = run("check")
    assert (
        untimed(result.stdout)
        == HEAD + "notes/toy/m.md       4         1         100 %     0.00  ok\n"
    )
    assert (result.exit_code, result.stderr) == (0, "")


def test_check_prints_every_problem_and_fails(here: Toy) -> None:
    spoil(here)
    here.replace("notes/toy/m.md", "```source later\n```\n", "")
    result = run("check")
    assert untimed(result.stdout) == HEAD + (
        "notes/toy/m.md       3         1          71 %     0.00  2 problems\n"
    )
    assert result.stderr == (
        "chapters/toy/m.py:11: later (line 11-12) is never shown; "
        "it belongs after notes/toy/m.md:12\n"
        "notes/toy/m.md:16: the example did something else\n"
        "    Expected:\n        3\n    Got:\n        2\n"
        "2 problems\n"
    )
    assert result.exit_code == 1


def test_check_runs_the_examples_of_docs(here: Toy) -> None:
    here.write("docs/x.md", "# X\n\n```pycon\n>>> 1\n2\n```\n")
    result = run("check")
    assert untimed(result.stdout) == HEAD + (
        "docs/x.md            1         1             -     0.00  1 problem\n"
        "notes/toy/m.md       4         1         100 %     0.00  ok\n"
    )
    assert result.stderr.startswith("docs/x.md:4: the example did something else\n")


def test_check_shows_a_page_that_cannot_be_read(here: Toy) -> None:
    here.write(here.name, "Text.\n")
    result = run("check")
    assert untimed(result.stdout) == HEAD + (
        "notes/toy/m.md       0         0           0 %     0.00  1 problem\n"
    )
    assert result.stderr == (
        "notes/toy/m.md:1: the page has no front matter: it starts with --- and names a module\n"
        "1 problem\n"
    )


def test_check_takes_kept_results_where_it_is_told_to(here: Toy) -> None:
    assert run("check", "--cached").stdout.splitlines()[1].endswith("  ok")
    assert run("check", "--cached").stdout.splitlines()[1].endswith("  kept")
    assert run("check").stdout.splitlines()[1].endswith("  ok")
    assert run("clean").exit_code == 0
    assert run("check", "--cached").stdout.splitlines()[1].endswith("  ok")


def test_check_of_all_looks_for_modules_without_a_page(here: Toy) -> None:
    here.module("", "lost")
    assert run("check", "m").exit_code == 0
    result = run("check")
    assert (result.exit_code, result.stderr) == (
        1,
        "chapters/toy/lost.py:1: no page walks chapters.toy.lost; it belongs in notes/toy/lost.md\n"
        "1 problem\n",
    )


def test_check_says_what_was_skipped(here: Toy) -> None:
    here.replace(here.name, "```pycon\n", "```pycon requires=no-such-thing\n")
    assert run("check").stdout.splitlines()[1].endswith("  ok, 1 skipped")


def test_check_finds_a_hole_that_nothing_notices(here: Toy) -> None:
    here.replace(here.name, "---\n## Start", "holes: [inc, later]\n---\n## Start")
    here.write("tests/toy/test_m.py", "def test_it(): pass\n")
    result = run("check", "--holes")
    assert result.stdout.splitlines()[2] == "notes/toy/m.md: leaving open 2 holes in turn"
    assert result.stderr == "notes/toy/m.md:4: nothing notices that later is left open\n1 problem\n"
    assert result.exit_code == 1


UNKNOWN = {
    "lost": "lost:1: is no chapter of: toy/m\n1 problem\n",
    "notes/toy/lost.md": "notes/toy/lost.md:1: is no chapter of: toy/m\n1 problem\n",
}


@pytest.mark.parametrize("command", ["check", "accept", "start", "verify", "diff"])
@pytest.mark.parametrize(("name", "message"), UNKNOWN.items())
def test_an_unknown_page_is_reported(here: Toy, command: str, name: str, message: str) -> None:
    result = run(command, name)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


@pytest.mark.parametrize("name", ["m", "toy/m", "notes/toy/m.md", "./notes/../notes/toy/m.md"])
def test_a_chapter_has_several_names(here: Toy, name: str) -> None:
    assert run("check", name).exit_code == 0


def test_a_name_of_two_chapters_is_reported(here: Toy) -> None:
    here.write("notes/other/m.md", here.read())
    assert run("check", "m").stderr == "m:1: names several chapters: other/m, toy/m\n1 problem\n"


@pytest.mark.parametrize("command", ["", *cli.main.commands])
def test_every_command_has_help(command: str) -> None:
    result = run(*[command] * bool(command), "--help")
    assert result.exit_code == 0
    usage, _, rest = result.stdout.partition("\n\n")
    assert usage.startswith(f"Usage: literate {command}".rstrip())
    assert re.match(r"  [A-Z][^.]*[.:]", rest)


def test_a_bad_setting_is_reported(here: Toy) -> None:
    here.write("pyproject.toml", "[tool.literate]\npages = 'x'\n")
    result = run("check")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{here.root}/pyproject.toml:1: "
        "[tool.literate] knows notes, modules, tests, docs; not pages\n"
        "1 problem\n",
    )


def test_outside_of_a_project_is_the_one_of_this_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    installed = Path(cli.__file__).parents[1]
    if Project.find(installed).root == installed:
        assert Project.find().root == installed
    else:
        assert "no pyproject.toml with [tool.literate] here" in run("check").stderr


# accept

CHANGE = (
    "--- notes/toy/m.md\n+++ what it does now\n@@ -14,7 +14,7 @@\n \n ```pycon\n >>> inc(1)\n"
    "-3\n+2\n ```\n \n ```source later\n"
)


def test_accept_asks_and_rewrites(here: Toy) -> None:
    good = here.read()
    spoil(here)
    result = run("accept", "m", answer="y\n")
    assert result.stdout == (
        CHANGE + "Rewrite notes/toy/m.md? [y/N]: y\nnotes/toy/m.md: rewritten\n"
    )
    assert (result.exit_code, here.read()) == (0, good)
    assert run("accept", "m").stdout == "notes/toy/m.md: nothing to accept\n"


def test_accept_leaves_the_page_alone_if_told_so(here: Toy) -> None:
    spoil(here)
    before = here.read()
    result = run("accept", "m", answer="n\n")
    assert result.stdout == CHANGE + "Rewrite notes/toy/m.md? [y/N]: n\n"
    assert (result.exit_code, here.read()) == (0, before)


def test_accept_need_not_ask(here: Toy) -> None:
    spoil(here)
    assert run("accept", "m", "--yes").stdout == CHANGE + "notes/toy/m.md: rewritten\n"
    assert run("check").exit_code == 0


def test_accept_reports_what_cannot_be_accepted(here: Toy) -> None:
    here.replace(here.name, "```pycon", "```pycoon")
    result = run("accept", "m", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        "notes/toy/m.md:16: an example outside a ```pycon block would not be verified\n1 problem\n",
    )


# build


def test_build_writes_files(here: Toy) -> None:
    result = run("build", "out")
    assert (result.exit_code, result.stdout) == (0, "4 files of 1 page in out\n")
    files = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*"))
    assert files == ["ledger.json", "toy/m.ipynb", "toy/m.md", "toy/m.py"]


def test_build_of_a_failing_page_writes_nothing(here: Toy) -> None:
    spoil(here)
    assert run("build", "out").exit_code == 1
    assert not Path("out").exists()


# The reader's loop


@pytest.fixture
def holed(here: Toy) -> Toy:
    here.replace(here.name, "---\n## Start", "holes: [inc]\n---\n## Start")
    return here


def test_start_hands_out_the_module_with_holes(holed: Toy) -> None:
    result = run("start", "m")
    assert (result.exit_code, result.stdout) == (
        0,
        "m.py: write inc\nThen: python -m literate verify m m.py\n",
    )
    assert holed.read("m.py") == holed.read("chapters/toy/m.py").replace(
        "return x + ONE", 'raise NotImplementedError("write inc; notes/toy/m.md tells how")'
    )


def test_start_overwrites_nothing_unless_told_to(holed: Toy) -> None:
    holed.write("mine/m.py", "mine\n")
    result = run("start", "m", "mine/m.py")
    assert (result.exit_code, result.stderr) == (
        1,
        "mine/m.py:1: exists already; --force overwrites it\n1 problem\n",
    )
    assert holed.read("mine/m.py") == "mine\n"
    assert run("start", "m", "mine/m.py", "--force").exit_code == 0
    assert "NotImplementedError" in holed.read("mine/m.py")


def test_start_of_a_page_without_holes_says_so(here: Toy) -> None:
    assert run("start", "m", "new/m.py").stdout == (
        "new/m.py: write nothing: the page names no holes\n"
        "Then: python -m literate verify m new/m.py\n"
    )


def test_start_reports_an_unknown_hole(holed: Toy) -> None:
    holed.replace(holed.name, "holes: [inc]", "holes: [lost]")
    assert run("start", "m").stderr == (
        "notes/toy/m.md:4: chapters/toy/m.py has no function 'lost' to take the body out of\n"
        "1 problem\n"
    )


def test_verify_points_at_the_paragraph_that_explains(holed: Toy) -> None:
    run("start", "m")
    result = run("verify", "m")
    assert result.exit_code == 1
    assert result.stdout == (
        "notes/toy/m.md:17: the example did something else\n"
        "    Unexpected exception:\n"
        "    Traceback (most recent call last):\n"
        '      File "notes/toy/m.md", line 17, in <module>\n'
        "        inc(1)\n"
        f'      File "{holed.root}/m.py", line 8, in inc\n'
        '        raise NotImplementedError("write inc; notes/toy/m.md tells how")\n'
        "    NotImplementedError: write inc; notes/toy/m.md tells how\n"
        "\nExplained at notes/toy/m.md:11, under “Start”:\n\n"
        "Adding one is the start of everything.\n"
    )


def test_verify_accepts_what_works(holed: Toy) -> None:
    holed.write("m.py", holed.read("chapters/toy/m.py"))
    holed.write("tests/toy/test_m.py", "def test_it(): pass\n")
    result = run("verify", "m")
    assert (result.exit_code, result.stdout) == (
        0,
        "m.py: every example, exercise and test of M passes\n",
    )


def test_verify_shows_the_first_failing_test(holed: Toy) -> None:
    holed.write("m.py", holed.read("chapters/toy/m.py"))
    result = run("verify", "m")
    assert (result.exit_code, result.stdout) == (
        1,
        "The examples and exercises pass; a test fails:\n"
        "test_that_fails: assert 2 == 7\n +  where 2 = inc(1)\n",
    )


@pytest.mark.parametrize("command", ["verify", "diff"])
def test_a_file_that_is_not_there_or_no_text_is_reported(holed: Toy, command: str) -> None:
    assert run(command, "m").stderr == (
        "m.py:1: no such file; `literate start` makes one\n1 problem\n"
    )
    (holed.root / "m.py").write_bytes(b"\xff")
    assert run(command, "m").stderr == "m.py:1: not UTF-8: the byte 0xff\n1 problem\n"


def test_diff_compares_with_ours(holed: Toy) -> None:
    holed.write("m.py", holed.read("chapters/toy/m.py"))
    assert (run("diff", "m").exit_code, run("diff", "m").stdout) == (0, "")
    holed.replace("m.py", "Adding", "Summing")
    result = run("diff", "m")
    assert (result.exit_code, result.stdout) == (
        1,
        '--- chapters/toy/m.py\n+++ m.py\n@@ -1,4 +1,4 @@\n-"""Adding."""\n+"""Summing."""\n'
        " \n ONE = 1\n \n",
    )


# Ctrl-C


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGINT, (1, "", "\nAborted!\n")), (signal.SIGTERM, (143, "", ""))],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_interrupt_ends_the_pages_processes(
    here: Toy, number: signal.Signals, said: tuple[int, str, str]
) -> None:
    """Each process holds the writing end of a pipe: at its end, nobody is left."""
    fifo = here.root / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    loop = (
        f">>> f = open({str(fifo)!r}, 'w'); print('x', file=f, flush=True)\n>>> while True: pass\n"
    )
    here.replace(here.name, ">>> inc(1)\n2\n", loop)
    command = [sys.executable, "-m", "literate", "check"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert select.select([reader], [], [], 20)[0], "the page has begun"
        assert os.read(reader, 2) == b"x\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == said
    assert select.select([reader], [], [], 20)[0], "the page's process has ended"
    assert os.read(reader, 1) == b""
    os.close(reader)
