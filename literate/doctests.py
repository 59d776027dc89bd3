"""The standard library's doctest, as this project uses it: same parser, same checker, one place.

Pure standard library: the notebooks' `check` uses it too.
"""

from __future__ import annotations

import doctest
import re
import traceback
from dataclasses import dataclass, field

from literate.problems import mismatch

FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
TRACEBACK = "Traceback (most recent call last):\n"

_parser = doctest.DocTestParser()
_checker = doctest.OutputChecker()


def parse(text: str, name: str = "the block") -> list[doctest.Example]:
    """Return the examples in `text`; raise ValueError for one that is not well formed."""
    return _parser.get_examples(text, name)


def flags_of(example: doctest.Example) -> int:
    """Return the option flags under which `example` is judged."""
    flags = FLAGS
    for flag, on in example.options.items():
        flags = flags | flag if on else flags & ~flag
    return flags


def judge(example: doctest.Example, got: str) -> bool:
    """Say whether `got`, as a terminal would show it, is what `example` wants."""
    flags = flags_of(example)
    got = got.expandtabs()  # as the parser does with what is wanted
    if example.exc_msg is None:
        return _checker.check_output(example.want, got, flags)
    _, _, raised = got.partition(f"{TRACEBACK}    ...\n")
    if flags & doctest.IGNORE_EXCEPTION_DETAIL and _kind(example.exc_msg) == _kind(raised):
        return True
    return _checker.check_output(example.exc_msg, raised, flags)


@dataclass
class Outcome:
    """What one example did: `got` is what a terminal would have shown."""

    line: int
    source: str
    want: str
    got: str = ""
    shown: str = ""
    """The last part of `got`, if it is the display of a value."""
    ok: bool = True
    error: tuple[str, str] | None = None
    rich: dict[str, str] = field(default_factory=dict[str, str])
    report: str = ""
    """For an example that failed: expected and got, or the traceback."""
    seconds: float = 0.0


def shown_traceback(error: BaseException) -> str:
    """Return what a page shows of an exception that it expects."""
    return f"{TRACEBACK}    ...\n{last_line(error)}"


def last_line(error: BaseException) -> str:
    """Return what doctest compares: the exception's type and message, without notes."""
    lines = traceback.format_exception_only(type(error), error)
    return lines[-1] if isinstance(error, SyntaxError) else lines[0]


def prompted(source: str) -> str:
    """Return an example's source as it is typed at the prompt."""
    lines = enumerate(source.splitlines())
    return "".join(f"{'... ' if i else '>>> '}{line}".rstrip() + "\n" for i, line in lines)


def not_yet(outcome: Outcome) -> str:
    """Say which example of a check fails, the same on the page and in the notebook."""
    got = without_addresses(outcome.got)
    return f"Not yet:\n{prompted(outcome.source)}{mismatch(outcome.want, got)}"


def without_addresses(text: str) -> str:
    """Return `text` as any run of it says it: where an object is in memory is no news."""
    return re.sub(r"\bat 0x[0-9a-f]+", "at 0x...", text)


def _kind(message: str) -> str:
    return message.partition(":")[0].rpartition(".")[2].strip()
