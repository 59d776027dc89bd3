"""What there is to do for a page, as the worker takes it: one step for each block that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from literate import doctests, needs
from literate.mutants import mutate
from literate.page import Break, Example, Exercise, SourceBlock
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
        wanted = page.requires + (block.requires if isinstance(block, Example) else ())
        lacking = needs.lacking(wanted)
        if lacking and isinstance(block, Example | Exercise | Break):
            pressed.skipped[index] = lacking
            if needs.real_required():
                pressed.problems.append(Problem(page.path, block.line, lacking))
            continue
        step = _step(block, pressed, source, instead is not None)
        if step:
            yield {"block": index, "line": block.line, "limit": None, **step}


def _step(block: object, pressed: Pressed, source: Source | None, replaced: bool) -> Json | None:
    """Return what the worker is to do for a block; None for nothing."""
    if isinstance(block, SourceBlock) and not replaced:
        parts = pressed.entry.runs.get(block.line, [])
        pieces = [[part.start, part.text] for part in parts]
        return {"kind": "source", "pieces": pieces} if pieces else None
    if isinstance(block, Example):
        return {"kind": "example", "limit": block.limit, **_examples(block, pressed)}
    if isinstance(block, Exercise):
        fences = {"starter": block.starter, "check": block.check, "solution": block.solution}
        return {"kind": "exercise"} | {k: [each.first, each.text] for k, each in fences.items()}
    if isinstance(block, Break) and source and not replaced:
        return _break_step(block, pressed, source)
    return None


def _examples(block: Example, pressed: Pressed) -> Json:
    try:
        doctests.parse(block.fence.text)
    except ValueError as error:
        pressed.problems.append(Problem(pressed.page.path, block.line, f"not a doctest: {error}"))
        return {"first": block.fence.first, "text": ""}
    return {"first": block.fence.first, "text": block.fence.text}


def _break_step(block: Break, pressed: Pressed, source: Source) -> Json | None:
    try:
        mutant = mutate(source, block, pressed.page.path)
    except PressError as error:
        pressed.problems += error.problems
        return None
    if block.look is None:
        return None
    look = _examples(block.look, pressed)
    return {"kind": "break", "piece": [mutant.part.start, mutant.piece], **look}
