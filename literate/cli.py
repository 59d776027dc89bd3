"""The press's command line: `python -m literate`, or `literate` where it is installed."""

from __future__ import annotations

import functools
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from literate import accept as accepting
from literate import build as building
from literate import reader
from literate.front import key_line
from literate.pressed import Pressed
from literate.problems import PressError, Problem, counted
from literate.project import Project
from literate.run import Failed, press_all, read
from literate.site import with_examples

Command = TypeVar("Command", bound=Callable[..., Any])


def reported(command: Command) -> Command:
    """Turn a PressError into its lines on standard error and exit status 1."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except PressError as error:
            click.echo(error, err=True)
            click.echo(counted(len(error.problems), "problem"), err=True)
            sys.exit(1)

    return run  # type: ignore[return-value]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Press the pages in notes/: run them, check them, turn them into other things.

    A PAGE or CHAPTER is a path (notes/linux/list_head.md), a slug (linux/list_head)
    or a name (list_head).
    """
    # Whoever ends this process means the pages' processes too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@main.command()
@click.argument("pages", nargs=-1, metavar="[PAGE]...")
@click.option("--holes", is_flag=True, help="Also check that each hole, left open, is noticed.")
@click.option("--cached", is_flag=True, help="Take kept results of pages that nothing changed.")
@reported
def check(pages: tuple[str, ...], holes: bool, cached: bool) -> None:
    """Run pages and print the ledger.

    Without PAGE: all of them, the examples in docs/ too, and that each module has its page.
    """
    project = Project.find()
    paths = [project.chapter(name) for name in pages] or project.pages()
    try:
        prose = [] if pages else with_examples(project.root / project.docs)
        pressed = press_all(paths, project, whole=not pages, cache=cached, prose=prose)
    except Failed as failed:
        click.echo(table(failed.pressed, failed.problems))
        raise
    click.echo(table(pressed, []))
    if holes:
        _check_holes(pressed, project)


def _check_holes(pressed: list[Pressed], project: Project) -> None:
    problems: list[Problem] = []
    for each in pressed:
        if not each.page.holes:
            continue
        click.echo(
            f"{each.page.path}: leaving open {counted(len(each.page.holes), 'hole')} in turn"
        )
        for name in reader.open_holes(each.page, project):
            line = key_line(each.page.lines, "holes")
            problems.append(
                Problem(each.page.path, line, f"nothing notices that {name} is left open")
            )
    if problems:
        raise PressError(problems)


def table(pressed: list[Pressed], problems: list[Problem]) -> str:
    """Return the ledger as text: page, blocks, examples, share of the module shown, seconds."""
    head = ["page", "blocks", "examples", "module shown", "seconds", ""]
    rows = [head]
    for each in pressed:
        failed = sum(problem.path in (each.page.path, each.entry.file) for problem in problems)
        blocks = sum(type(block).__name__ != "Prose" for block in each.page.blocks)
        status = counted(failed, "problem") if failed else "kept" if each.cached else "ok"
        if each.skipped:
            status += f", {len(each.skipped)} skipped"
        share = f"{int(each.entry.share * 100)} %" if each.page.module else "-"
        seconds = f"{each.seconds:.2f}"
        rows.append([each.page.path, str(blocks), str(len(each.examples)), share, seconds, status])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(_row(row, widths) for row in rows)


def _row(row: list[str], widths: list[int]) -> str:
    first, *numbers, last = row
    middle = [f"{text:>{width}}" for text, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([f"{first:<{widths[0]}}", *middle, last]).rstrip()


@main.command(short_help="Rewrite a page's outputs, after showing how they differ.")
@click.argument("pages", nargs=-1, required=True, metavar="PAGE...")
@click.option("--yes", is_flag=True, help="Rewrite without asking.")
@reported
def accept(pages: tuple[str, ...], yes: bool) -> None:
    """Show how a page's written outputs differ from the actual ones; confirmed, rewrite it.

    Lines with an ellipsis stay as the author wrote them where they still match.
    """
    project = Project.find()
    paths = [project.chapter(name) for name in pages]
    try:
        pressed = press_all(paths, project, cache=False)
    except Failed as failed:
        pressed = failed.pressed
    left: list[Problem] = []
    for each in pressed:
        change = accepting.proposal(each)
        if not change and each.problems:
            left += each.problems
        elif not change:
            click.echo(f"{each.page.path}: nothing to accept")
        else:
            click.echo(change, nl=False)
            if yes or click.confirm(f"Rewrite {each.page.path}?"):
                accepting.accept(each, project)
                click.echo(f"{each.page.path}: rewritten")
    if left:
        raise PressError(left)


@main.command(short_help="Write Markdown, pictures, notebooks and scripts.")
@click.argument("out", type=click.Path(path_type=Path), default=Path("build/pages"))
@click.argument("pages", nargs=-1, metavar="[PAGE]...")
@reported
def build(out: Path, pages: tuple[str, ...]) -> None:
    """Write Markdown, pictures, notebooks and scripts of the pages into OUT (build/pages)."""
    project = Project.find()
    paths = [project.chapter(name) for name in pages] or project.pages()
    pressed = press_all(paths, project, whole=not pages)
    files = building.build(pressed, project, out)
    click.echo(f"{counted(len(files), 'file')} of {counted(len(pressed), 'page')} in {out}")


@main.command(short_help="Copy a chapter's module, the bodies to write taken out.")
@click.argument("chapter")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@reported
def start(chapter: str, file: Path | None, force: bool) -> None:
    """Copy a chapter's module to FILE (default: its name, here), the bodies to write taken out."""
    project = Project.find()
    page = read(project.chapter(chapter), project)
    target = _reader_file(page.module, file)
    if target.exists() and not force:
        raise PressError([Problem(str(target), 1, "exists already; --force overwrites it")])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(reader.holed(page, project), encoding="utf-8")
    click.echo(f"{target}: write {', '.join(page.holes) or 'nothing: the page names no holes'}")
    click.echo(f"Then: python -m literate verify {chapter} {target}")


def _reader_file(module: str, file: Path | None) -> Path:
    return file or Path(module.rpartition(".")[2] + ".py")


@main.command(short_help="Judge a file by a chapter's examples, exercises and tests.")
@click.argument("chapter")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@reported
def verify(chapter: str, file: Path | None) -> None:
    """Run a chapter's examples, exercises and tests against FILE instead of our module."""
    project = Project.find()
    page = read(project.chapter(chapter), project)
    target = _reader_file(page.module, file)
    _must_exist(target, project)
    verdict = reader.judge(page, project, target)
    if verdict.passed:
        click.echo(f"{target}: every example, exercise and test of {page.title} passes")
        return
    if verdict.problems:
        click.echo(verdict.problems[0])
        if len(verdict.problems) > 1:
            click.echo(f"(and {counted(len(verdict.problems) - 1, 'more problem')} below it)")
        if verdict.explained:
            click.echo(f"\nExplained at {verdict.explained}")
    else:
        click.echo(f"The examples and exercises pass; a test fails:\n{verdict.tests}")
    sys.exit(1)


def _must_exist(file: Path, project: Project) -> None:
    if not file.exists():
        raise PressError([Problem(str(file), 1, "no such file; `literate start` makes one")])
    project.text(file)


@main.command()
@click.argument("chapter")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@reported
def diff(chapter: str, file: Path | None) -> None:
    """Compare FILE with our module; exit status 1 if they differ."""
    project = Project.find()
    page = read(project.chapter(chapter), project)
    target = _reader_file(page.module, file)
    _must_exist(target, project)
    change = reader.difference(page, project, target)
    click.echo(change, nl=False)
    sys.exit(1 if change else 0)


@main.command()
@reported
def clean() -> None:
    """Forget the kept results."""
    shutil.rmtree(Project.find().root / ".cache" / "literate", ignore_errors=True)
