"""A pressed page as a notebook: the same text, cells that run, outputs of the verified run.

`cells` also says which example each code cell shows, so that a later execution of the notebook
can be held against the page (see `kernel`).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import jupytext  # pyright: ignore[reportMissingTypeStubs]
import nbformat

from literate import doctests
from literate.doctests import Outcome
from literate.page import Block, Break, Example, Exercise, Prose, Quote, SourceBlock
from literate.pressed import Pressed
from literate.project import Project
from literate.quotes import resolve
from literate.render import Plain, fence, listing
from literate.source import parse

Json = dict[str, Any]
v4: Any = nbformat.v4  # nbformat and jupytext come without types
scripts: Any = jupytext

SETUP = """\
# Run this cell first. It lets this notebook be the module {module}:
# whatever imports that module from here on gets the definitions of the cells below.
import importlib
import sys

__name__ = "{module}"
sys.modules[__name__] = sys.modules["__main__"]
importlib.import_module("{parent}").{stem} = sys.modules[__name__]
get_ipython().display_formatter.formatters["text/plain"].pprint = False

from literate.exercise import check
"""


@dataclass
class Cell:
    """One cell; `outcome` is the example whose output a code cell ends with."""

    kind: str
    source: str
    outcome: Outcome | None = None
    said: str = ""
    """What a check cell prints as long as the starter is as it was."""
    metadata: Json = field(default_factory=dict[str, Any])


def cells(pressed: Pressed, project: Project) -> list[Cell]:
    """Return the page's cells in order."""
    made = [Cell("markdown", f"# {pressed.page.title}\n"), *_setup(pressed)]
    plain = Plain(pressed, project, lambda module: None)
    for index, block in enumerate(pressed.page.blocks):
        made += [each for each in _cells(index, block, pressed, plain) if each.source.strip()]
    return made


def _setup(pressed: Pressed) -> Iterator[Cell]:
    module = pressed.page.module
    if module:
        parent, _, stem = module.rpartition(".")
        text = SETUP.format(module=module, parent=parent, stem=stem)
        yield Cell("code", text, metadata={"tags": ["setup"]})


def _cells(index: int, block: Block, pressed: Pressed, plain: Plain) -> Iterator[Cell]:
    match block:
        case Prose():
            yield Cell("markdown", _links(block.text))
        case SourceBlock():
            yield from _source(block, pressed)
        case Quote():
            source, parts, module = resolve(block.name, pressed.entry, plain.project)
            shown = "\n".join(fence("python", text) for _, text in listing(source, parts))
            yield Cell("markdown", f"Again, from `{module}`:\n\n{shown}")
        case Example():
            yield from _examples(block, pressed.outcomes(index))
        case Exercise():
            said = pressed.results.get(index, {}).get("starter", "")
            yield from _exercise(block, said)
        case Break():
            yield Cell(
                "markdown", _inline_pictures(plain.broken(index, block), pressed.outcomes(index))
            )


def _source(block: SourceBlock, pressed: Pressed) -> Iterator[Cell]:
    """Yield what a source block runs as cells; parts of a class that is not whole yet, as text."""
    source = pressed.entry.source
    assert source is not None
    runs = pressed.entry.runs.get(block.line, [])
    shown = pressed.entry.shown.get(block.line, [])
    if unfinished := [part for part in shown if part not in source.parts]:
        yield Cell(
            "markdown", "\n".join(fence("python", text) for _, text in listing(source, unfinished))
        )
    for is_shown, group in groupby(runs, lambda part: part in shown):
        for _, text in listing(source, list(group)):
            cell = _code(text)
            yield cell if is_shown else replace(cell, metadata={"jupyter": {"source_hidden": True}})


def _code(text: str) -> Cell:
    """Return a cell that runs a module's text and displays nothing."""
    statements = parse(text).body
    if all(isinstance(each, ast.Expr) for each in statements):
        return Cell("markdown", fence("python", text))
    # A docstring at the end would be displayed as the cell's value.
    return Cell("code", text.rstrip() + ";\n" if isinstance(statements[-1], ast.Expr) else text)


def _examples(block: Example, outcomes: list[Outcome]) -> Iterator[Cell]:
    """Yield a cell for each example with an output, and for what leads up to it."""
    waiting = ""
    parsed = outcomes or [
        Outcome(block.fence.first + each.lineno, each.source, each.want)
        for each in doctests.parse(block.fence.text)
    ]
    for outcome in parsed:
        waiting += outcome.source
        if outcome.want:
            raises = ["raises-exception"] if outcome.error else []
            yield Cell("code", waiting, outcome, metadata={"tags": raises} if raises else {})
            waiting = ""
    if waiting:
        yield Cell("code", waiting)


def _exercise(block: Exercise, said: str) -> Iterator[Cell]:
    hint = f"<details><summary>Hint</summary>\n\n{block.hint.text}\n</details>"
    yield Cell("markdown", f"### Exercise: {block.title}\n\n{block.prose}\n{hint}\n")
    yield Cell("code", block.starter.text, metadata={"tags": ["exercise"]})
    # Jupyter takes prompts away, but for those in quotes that begin a line.
    quotes = '"""' if "'''" in block.check.text else "'''"
    check = block.check.text.replace("\\", "\\\\").replace(quotes, "\\" + quotes)
    call = f"await check(\n{quotes}\n{check}{quotes})\n"
    yield Cell("code", call, said=said, metadata={"tags": ["check"]})
    solution = fence("python", block.solution.text)
    yield Cell("markdown", f"<details><summary>Solution</summary>\n\n{solution}\n</details>\n")


def _inline_pictures(text: str, outcomes: list[Outcome]) -> str:
    """Put pictures into Markdown that refers to them as files."""
    for outcome in outcomes:
        if svg := outcome.rich.get("image/svg+xml"):
            text = re.sub(r"!\[[^\]]*\]\([^)]*\.svg[^)]*\)", lambda _, svg=svg: svg, text, count=1)
    return text


def _links(text: str) -> str:
    """Point links at other chapters to their notebooks."""
    return re.sub(r"(\]\((?!\w+:)[^)#\s]+)\.md(#[^)\s]*)?\)", r"\1.ipynb\2)", text)


def notebook(pressed: Pressed, project: Project) -> nbformat.NotebookNode:
    """Return the page as a notebook with its outputs."""
    nodes = [_node(number, cell) for number, cell in enumerate(cells(pressed, project))]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    made = v4.new_notebook(cells=nodes, metadata=metadata)
    nbformat.validate(made)
    return made


def _node(number: int, cell: Cell) -> nbformat.NotebookNode:
    source = cell.source.strip("\n")
    # Cell ids are random by default; a build gives the same file each time.
    same = {"id": f"cell-{number}", "metadata": cell.metadata}
    if cell.kind == "markdown":
        return v4.new_markdown_cell(source, **same)
    return v4.new_code_cell(source, outputs=list(_outputs(cell)), **same)


def _outputs(cell: Cell) -> Iterator[nbformat.NotebookNode]:
    """Yield the outputs that Jupyter would have stored."""
    if cell.said:
        yield v4.new_output("stream", name="stdout", text=cell.said + "\n")
    outcome = cell.outcome
    if outcome is None:
        return
    raised = outcome.got.partition(doctests.TRACEBACK)[2] if outcome.error else ""
    printed = outcome.got.removesuffix(
        doctests.TRACEBACK + raised if outcome.error else outcome.shown
    )
    if printed:
        yield v4.new_output("stream", name="stdout", text=printed)
    if outcome.error:
        name, message = outcome.error
        lines = [doctests.TRACEBACK.rstrip(), *raised.splitlines()]
        yield v4.new_output("error", ename=name, evalue=message, traceback=lines)
    elif outcome.shown:
        data = {"text/plain": outcome.shown.rstrip("\n"), **outcome.rich}
        yield v4.new_output("execute_result", data=data, execution_count=None)


def as_script(made: nbformat.NotebookNode) -> str:
    """Return a notebook as a percent-format script."""
    return scripts.writes(made, fmt="py:percent")


def as_json(made: nbformat.NotebookNode) -> str:
    """Return a notebook as the text of its file."""
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
