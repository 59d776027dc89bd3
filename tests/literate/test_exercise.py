"""Checking an exercise where the reader works."""

from __future__ import annotations

import asyncio
import sys

import pytest

from literate import exercise


def checked(text: str, namespace: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `await check(text)` prints in a notebook with these names."""
    code = compile("async def cell(check, text):\n    await check(text)\n", "cell", "exec")
    exec(code, namespace)
    asyncio.run(namespace["cell"](exercise.check, text))  # type: ignore[operator]
    return capsys.readouterr().out


CHECKS = {
    "all right": (">>> twice(2)\n4\n>>> x = twice(1)\n>>> x\n2\n", "All 3 examples pass.\n"),
    "a wrong value": (
        ">>> twice(2)\n5\n",
        "Not yet:\n>>> twice(2)\nExpected:\n    5\nGot:\n    4\n",
    ),
    "an exception": (
        ">>> twice(None)\n4\n",
        "Not yet:\n>>> twice(None)\nExpected:\n    4\nGot:\n"
        "    Traceback (most recent call last):\n"
        "        ...\n"
        "    TypeError: unsupported operand type(s) for +: 'NoneType' and 'NoneType'\n"
        "Difference:\n    - 4\n    + Traceback (most recent call last):\n    +     ...\n"
        "    + TypeError: unsupported operand type(s) for +: 'NoneType' and 'NoneType'\n",
    ),
    "an exception that is wanted": (
        ">>> 1 / 0\nTraceback (most recent call last):\n    ...\nZeroDivisionError: ...\n",
        "All 1 examples pass.\n",
    ),
    "await": (">>> await later(2)\n2\n", "All 1 examples pass.\n"),
    "annotations are evaluated": (
        ">>> def f(x: int): pass\n>>> f.__annotations__\n{'x': <class 'int'>}\n",
        "All 2 examples pass.\n",
    ),
    "an address": (
        ">>> object()\n1\n",
        "Not yet:\n>>> object()\nExpected:\n    1\nGot:\n    <object object at 0x...>\n",
    ),
}


@pytest.mark.parametrize(("text", "said"), CHECKS.values(), ids=CHECKS)
def test_a_check_says_how_far_it_passes(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def later(x: int) -> int:
        return x

    hook = sys.displayhook
    assert checked(text, {"twice": lambda x: x + x, "later": later}, capsys) == said
    assert sys.displayhook is hook
