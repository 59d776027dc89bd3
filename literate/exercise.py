"""Checking an exercise where the reader works: `await check(text)` in a notebook's cell.

Pure standard library, like everything that a notebook imports.
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
from contextlib import redirect_stdout
from typing import Any

from literate import doctests


async def check(text: str) -> None:
    """Run the examples in `text` in the caller's namespace; print how far they pass."""
    namespace = sys._getframe(1).f_globals  # pyright: ignore[reportPrivateUsage]
    examples = doctests.parse(text, "the check")
    for example in examples:
        outcome = doctests.Outcome(example.lineno, example.source, example.want)
        outcome.got = await _run(example.source, namespace)
        if not doctests.judge(example, outcome.got):
            print(doctests.not_yet(outcome))
            return
    print(f"All {len(examples)} examples pass.")


async def _run(source: str, namespace: dict[str, Any]) -> str:
    """Run one example; return what it shows."""
    output = io.StringIO()
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    saved, sys.displayhook = sys.displayhook, sys.__displayhook__
    try:
        with redirect_stdout(output):
            code = compile(source, "<check>", "single", flags, dont_inherit=True)
            result = eval(code, namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                await result
    except Exception as error:
        return output.getvalue() + doctests.shown_traceback(error)
    finally:
        sys.displayhook = saved
    return output.getvalue()
