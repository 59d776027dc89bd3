"""A page's namespace and event loop, in which its examples run one after the other."""

from __future__ import annotations
import __future__

import ast
import gc
import inspect
import io
import linecache
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from doctest import Example
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from literate.doctests import Outcome, judge, last_line, parse, shown_traceback
from literate.problems import mismatch

if TYPE_CHECKING:
    import asyncio

OUTPUT_LIMIT = 1_000_000
"""Characters that one example may print."""


class OutputTooLong(Exception):
    """An example printed more than OUTPUT_LIMIT characters."""


class _Output(io.StringIO):
    def write(self, text: str, /) -> int:
        if self.tell() + len(text) > OUTPUT_LIMIT:
            raise OutputTooLong(f"more than {OUTPUT_LIMIT:,} characters printed")
        return super().write(text)


class Session:
    """One namespace and one event loop, in which examples run one after the other.

    `filename` is what tracebacks call the examples; give page-wide line numbers to `run`, which
    calls `begins` with the line of each example before it runs.
    """

    def __init__(self, namespace: dict[str, Any], filename: str) -> None:
        self.namespace = namespace
        self.filename = filename
        self.begins: Callable[[int], None] = lambda line: None
        self.runner: asyncio.Runner | None = None
        """Made for the first example that awaits: most pages have none."""
        self.defined = set(namespace)
        """The names that no example has bound."""
        self.seen: list[str] = []
        """The text that has run, by line: what tracebacks and `inspect.getsource` show."""
        linecache.cache[filename] = (0, None, self.seen, filename)
        self.trouble: list[str] = []
        """Warnings and errors that no example could see."""

    def run(self, text: str, first: int) -> Iterator[Outcome]:
        """Run the examples in `text`, whose first line is line `first` of the page."""
        for example in parse(text, self.filename):
            outcome = Outcome(first + example.lineno, example.source, example.want)
            self.begins(outcome.line)
            yield self._judge(example, outcome)

    def execute(self, text: str, first: int, filename: str | None = None) -> str:
        """Run statements; exceptions pass through. Return the warnings raised, "" for none."""
        before = set(self.namespace)
        with self._watched([]):
            self._perform(self._compile(text, first, filename or self.filename, "exec"))
        self.defined |= set(self.namespace) - before
        return self._troubles()

    def _judge(self, example: Example, outcome: Outcome) -> Outcome:
        output, errors = _Output(), io.StringIO()
        shown: list[tuple[Any, str]] = []
        raised: BaseException | None = None
        with self._watched(shown), redirect_stdout(output), redirect_stderr(errors):
            started = time.perf_counter()
            try:
                code = self._compile(example.source, outcome.line, self.filename, "single")
                started = time.perf_counter()
                self._perform(code)
                if shown:
                    outcome.rich, outcome.shown = _rich(shown[-1][0]), shown[-1][1]
            except BaseException as error:
                raised = error
            outcome.seconds = time.perf_counter() - started
            shown.clear()
        printed = output.getvalue()
        outcome.got = printed + (shown_traceback(raised) if raised else "")
        outcome.error = _name_and_message(raised) if raised else None
        outcome.report = self._report(example, outcome.got, raised, errors.getvalue())
        outcome.ok = not outcome.report
        return outcome

    def _report(self, example: Example, got: str, raised: BaseException | None, errors: str) -> str:
        """Return why the example failed, or "" if it did what it says."""
        if trouble := self._troubles():
            return trouble
        if judge(example, got):
            return ""
        if raised is None:
            return mismatch(example.want, got) + _stderr(errors)
        if example.exc_msg is None:
            return f"Unexpected exception:\n{self.traceback(raised)}" + _stderr(errors)
        compared = mismatch(example.exc_msg, last_line(raised))
        return f"{compared}\n{self.traceback(raised)}" + _stderr(errors)

    def _troubles(self) -> str:
        trouble = "\n".join(self.trouble)
        self.trouble.clear()
        return trouble

    def traceback(self, error: BaseException, filename: str | None = None) -> str:
        """Format `error` from the first frame that is the reader's, or that is in `filename`."""
        frame: TracebackType | None = error.__traceback__
        while frame and frame.tb_frame.f_code.co_filename != (filename or self.filename):
            frame = frame.tb_next
        return "".join(traceback.format_exception(type(error), error, frame)).rstrip()

    def close(self) -> list[str]:
        """End the event loop; return what was left undone."""
        tasks = self._tasks()
        left = sorted(map(_pending, tasks))
        with self._watched([]):
            # What only an example's name kept alive says now what it has to say.
            for name in reversed([each for each in self.namespace if each not in self.defined]):
                del self.namespace[name]
            gc.collect()
            if self.runner:
                self.runner.close()
        return left + self.trouble

    def _tasks(self) -> set[asyncio.Task[Any]]:
        """Return the tasks that have not ended."""
        if self.runner is None:
            return set()
        import asyncio

        return asyncio.all_tasks(self.runner.get_loop())

    def _compile(self, text: str, first: int, filename: str, mode: str) -> CodeType:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        for name in __future__.all_feature_names:
            feature = getattr(__future__, name)
            if self.namespace.get(name) is feature:
                flags |= feature.compiler_flag
        if filename == self.filename:
            lines = text.splitlines(keepends=True)
            self.seen += ["\n"] * (first - 1 + len(lines) - len(self.seen))
            self.seen[first - 1 : first - 1 + len(lines)] = lines
        # Padding puts the statement on the page's own line, for tracebacks and inspect.
        return compile("\n" * (first - 1) + text, filename, mode, flags, True)

    def _perform(self, code: CodeType) -> None:
        result = eval(code, self.namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            self._loop().run(result)

    def _loop(self) -> asyncio.Runner:
        # Loading asyncio takes a third of a worker's start.
        import asyncio

        if self.runner is None:
            self.runner = asyncio.Runner()
            self.runner.get_loop().set_exception_handler(self._loop_trouble)
        return self.runner

    def _loop_trouble(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raised = f": {context['exception']!r}" if "exception" in context else ""
        self.trouble.append(f"event loop: {context['message']}{raised}")

    @contextmanager
    def _watched(self, shown: list[tuple[Any, str]]) -> Generator[None]:
        """Collect what is displayed, and every warning and unraisable error."""

        def display(value: Any) -> None:
            if value is not None:
                text = repr(value) + "\n"
                sys.stdout.write(text)
                shown.append((value, text))
                self.namespace["_"] = value

        def unraisable(hook: Any) -> None:
            where = getattr(hook.object, "__qualname__", repr(hook.object))
            self.trouble.append(f"exception ignored in {where}: {hook.exc_value!r}")

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
    return {mime: text for mime, text in made.items() if text and isinstance(text, str)}


def _pending(task: asyncio.Task[Any]) -> str:
    coroutine = getattr(task.get_coro(), "__qualname__", "a coroutine")
    return f"the task {task.get_name()} ({coroutine}) is still pending"


def _name_and_message(error: BaseException) -> tuple[str, str]:
    return type(error).__name__, str(error)


def _stderr(errors: str) -> str:
    return f"\nOn standard error:\n{errors.rstrip()}" if errors.strip() else ""
