"""What there is to do for a page, as the worker takes it: one step for each block that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from literate import doctests, needs
from literate.mutants import mutate
from literate.page import Break, Example, Exercise, Fence, SourceBlock
from literate.pressed import Json, Pressed
from literate.problems import PressError, Problem
from literate.source import Source


def steps(pressed: Pressed, instead: Path | None) -> Iterator[Json]:
    """Yield the worker's steps; note the blocks that this machine cannot run."""
    page = pressed.page
    source = pressed.entry.source
    if instead:
        text = instead.read_text(encoding="utf-8")
        whole = {"kind": "source", "block": -1, "line": 1, "pieces": [[1, text]]}
        yield whole | {"file": str(instead)}
    for index, block in enumerate(page.blocks):
        lacking = needs.lacking(page.requires + _required(block))
        if lacking:
            if isinstance(block, Example | Exercise | Break):
                pressed.skipped[index] = lacking
                if needs.real_required():
                    pressed.problems.append(Problem(page.path, block.line, lacking))
            continue
        step = _step(block, pressed, source, instead is not None)
        if step:
            yield {"block": index, "line": block.line, "limit": None, **step}


def _required(block: object) -> tuple[str, ...]:
    example = block.look if isinstance(block, Break) else block
    return example.requires if isinstance(example, Example) else ()


def _step(block: object, pressed: Pressed, source: Source | None, replaced: bool) -> Json | None:
    """Return what the worker is to do for a block; None for nothing."""
    if isinstance(block, SourceBlock) and not replaced:
        parts = pressed.entry.runs.get(block.line, [])
        pieces = [[part.start, part.text] for part in parts]
        return {"kind": "source", "pieces": pieces} if pieces else None
    if isinstance(block, Example):
        return {"kind": "example", "limit": block.limit, **_examples(block.fence, pressed)}
    if isinstance(block, Exercise):
        if not _examples(block.check, pressed)["text"]:
            return None
        fences = {"starter": block.starter, "check": block.check, "solution": block.solution}
        return {"kind": "exercise"} | {k: [each.first, each.text] for k, each in fences.items()}
    if isinstance(block, Break) and source and not replaced:
        return _break_step(block, pressed, source)
    return None


def _examples(fence: Fence, pressed: Pressed) -> Json:
    try:
        doctests.parse(fence.text)
    except ValueError as error:
        pressed.problems.append(Problem(pressed.page.path, *_ill_formed(str(error), fence)))
        return {"first": fence.first, "text": ""}
    return {"first": fence.first, "text": fence.text}


def _ill_formed(error: str, fence: Fence) -> tuple[int, str]:
    """Return the page's line, and what the parser says of it without its own line number."""
    found = re.match(r"line (\d+) of the .*? for the block (.*)", error, re.DOTALL)
    at, what = (int(found[1]), found[2]) if found else (0, error)
    return fence.line + at, f"not a doctest: it {what}"


def _break_step(block: Break, pressed: Pressed, source: Source) -> Json | None:
    try:
        mutant = mutate(source, block, pressed.page.path)
    except PressError as error:
        pressed.problems += error.problems
        return None
    if block.look is None:
        return None
    look = _examples(block.look.fence, pressed)
    return {"kind": "break", "limit": block.look.limit, "piece": mutant.piece, **look}
