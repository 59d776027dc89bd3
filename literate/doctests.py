"""The standard library's doctest, as this project uses it: same parser, same checker, one place.

Pure standard library: the notebooks' `check` uses it too.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import doctest
import inspect
import io
import sys
import time
import traceback
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from types import CodeType, TracebackType
from typing import Any

from literate.problems import mismatch

FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
OUTPUT_LIMIT = 1_000_000
"""Characters that one example may print."""
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
    if example.exc_msg is None:
        return _checker.check_output(example.want, got, flags)
    _, _, raised = got.partition(f"{TRACEBACK}    ...\n")
    same_kind = bool(flags & doctest.IGNORE_EXCEPTION_DETAIL) and _kind(example.exc_msg) == _kind(
        raised
    )
    return same_kind or _checker.check_output(example.exc_msg, raised, flags)


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


class OutputTooLong(Exception):
    """An example printed more than OUTPUT_LIMIT characters."""


class _Output(io.StringIO):
    def write(self, text: str, /) -> int:
        if self.tell() + len(text) > OUTPUT_LIMIT:
            raise OutputTooLong(f"more than {OUTPUT_LIMIT:,} characters printed")
        return super().write(text)


class Session:
    """One namespace and one event loop, in which examples run one after the other.

    `filename` is what tracebacks call the examples; give page-wide line numbers to `run`.
    """

    def __init__(self, namespace: dict[str, Any], filename: str) -> None:
        self.namespace = namespace
        self.filename = filename
        self.runner = asyncio.Runner()
        self.awaited = False
        self.trouble: list[str] = []
        """Warnings and errors that no example could see."""

    def run(self, text: str, first: int) -> Iterator[Outcome]:
        """Run the examples in `text`, whose first line is line `first` of the page."""
        for example in parse(text, self.filename):
            outcome = Outcome(first + example.lineno, example.source, example.want)
            yield self._judge(example, outcome)

    def execute(self, text: str, first: int, filename: str | None = None) -> None:
        """Run statements; exceptions pass through."""
        name = filename or self.filename
        self._perform(self._compile(text, first, name, "exec"))

    def _judge(self, example: doctest.Example, outcome: Outcome) -> Outcome:
        output, errors = _Output(), io.StringIO()
        shown: list[Any] = []
        raised: BaseException | None = None
        self.trouble.clear()
        with self._watched(shown), redirect_stdout(output), redirect_stderr(errors):
            started = time.perf_counter()
            try:
                code = self._compile(example.source, outcome.line, self.filename, "single")
                started = time.perf_counter()
                self._perform(code)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raised = error
            outcome.seconds = time.perf_counter() - started
            if shown and raised is None:
                outcome.rich = _rich(shown[-1])
                outcome.shown = repr(shown[-1]) + "\n"
        printed = output.getvalue()
        outcome.got = printed + (shown_traceback(raised) if raised else "")
        outcome.error = _name_and_message(raised) if raised else None
        outcome.report = self._report(example, printed, raised, errors.getvalue())
        outcome.ok = not outcome.report
        return outcome

    def _report(
        self, example: doctest.Example, printed: str, raised: BaseException | None, errors: str
    ) -> str:
        """Return why the example failed, or "" if it did what it says."""
        if self.trouble:
            return "\n".join(self.trouble)
        got = printed + (shown_traceback(raised) if raised else "")
        if judge(example, got):
            return ""
        if raised is None:
            return mismatch(example.want, got) + _stderr(errors)
        if example.exc_msg is None:
            return f"Unexpected exception:\n{self.traceback(raised)}" + _stderr(errors)
        compared = mismatch(example.exc_msg, _last_line(raised))
        return f"{compared}\n{self.traceback(raised)}" + _stderr(errors)

    def traceback(self, error: BaseException) -> str:
        """Format `error` from the first frame that is the reader's."""
        frame: TracebackType | None = error.__traceback__
        while frame and frame.tb_frame.f_code.co_filename != self.filename:
            frame = frame.tb_next
        return "".join(traceback.format_exception(type(error), error, frame)).rstrip()

    def close(self) -> list[str]:
        """End the event loop; return what was left undone."""
        left: list[str] = []
        self.trouble.clear()
        if self.awaited:
            for task in asyncio.all_tasks(self.runner.get_loop()):
                coroutine = getattr(task.get_coro(), "__qualname__", "a coroutine")
                left.append(f"the task {task.get_name()} ({coroutine}) is still pending")
        with self._watched([]):
            self.runner.close()
        return sorted(left) + self.trouble

    def _compile(self, text: str, first: int, filename: str, mode: str) -> CodeType:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        for name in __future__.all_feature_names:
            feature = getattr(__future__, name)
            if self.namespace.get(name) is feature:
                flags |= feature.compiler_flag
        # Padding puts the statement on the page's own line, for tracebacks and inspect.
        return compile("\n" * (first - 1) + text, filename, mode, flags, True)

    def _perform(self, code: CodeType) -> None:
        result = eval(code, self.namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            if not self.awaited:
                self.awaited = True
                self.runner.get_loop().set_exception_handler(self._loop_trouble)
            self.runner.run(result)

    def _loop_trouble(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.trouble.append(f"event loop: {context['message']}: {context.get('exception')!r}")

    @contextmanager
    def _watched(self, shown: list[Any]) -> Generator[None]:
        """Collect what is displayed, and every warning and unraisable error."""

        def display(value: Any) -> None:
            if value is not None:
                print(repr(value))
                shown.append(value)
                self.namespace["_"] = value

        def unraisable(hook: Any) -> None:
            self.trouble.append(f"exception ignored in {hook.object!r}: {hook.exc_value!r}")

        saved = sys.displayhook, sys.unraisablehook
        sys.displayhook, sys.unraisablehook = display, unraisable
        try:
            with warnings.catch_warnings(record=True) as raised:
                warnings.simplefilter("always")
                yield
            for each in raised:
                self.trouble.append(f"warning raised: {each.category.__name__}: {each.message}")
        finally:
            sys.displayhook, sys.unraisablehook = saved


def _rich(value: Any) -> dict[str, str]:
    """Return the rich displays of `value` by MIME type."""
    if isinstance(value, type):
        return {}
    methods = {"image/svg+xml": "_repr_svg_", "text/html": "_repr_html_"}
    made = {mime: getattr(value, name)() for mime, name in methods.items() if hasattr(value, name)}
    return {mime: str(text) for mime, text in made.items() if text}


def shown_traceback(error: BaseException) -> str:
    """Return what a page shows of an exception that it expects."""
    return f"{TRACEBACK}    ...\n{_last_line(error)}"


def _last_line(error: BaseException) -> str:
    """Return what doctest compares: the exception's type and message, without notes."""
    lines = traceback.format_exception_only(type(error), error)
    return lines[-1] if isinstance(error, SyntaxError) else lines[0]


def prompted(source: str) -> str:
    """Return an example's source as it is typed at the prompt."""
    lines = enumerate(source.splitlines())
    return "".join(f"{'... ' if i else '>>> '}{line}".rstrip() + "\n" for i, line in lines)


def not_yet(outcome: Outcome) -> str:
    """Say which example of a check fails, the same on the page and in the notebook."""
    source = "".join(
        f"{'... ' if i else '>>> '}{line}\n" for i, line in enumerate(outcome.source.splitlines())
    )
    return f"Not yet:\n{source}{mismatch(outcome.want, outcome.got)}"


def _kind(message: str) -> str:
    return message.partition(":")[0].rpartition(".")[2].strip()


def _name_and_message(error: BaseException) -> tuple[str, str]:
    return type(error).__name__, str(error)


def _stderr(errors: str) -> str:
    return f"\nOn standard error:\n{errors.rstrip()}" if errors.strip() else ""
