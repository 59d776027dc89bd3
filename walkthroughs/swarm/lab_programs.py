"""The programs of the lab's containers, which read, write and end as real ones do.

| of Linux                       | here                                             |
|--------------------------------|--------------------------------------------------|
| a process                      | `Process`: a generator, and what it has open     |
| `read(0, ...)`, which blocks   | `yield from process.read()`                      |
| a pipe                         | `Pipe`                                           |
| a terminal's line discipline   | `Terminal`                                       |
| busybox                        | `PROGRAMS`                                       |
"""

import re
import shlex
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

from walkthroughs.swarm.lab_files import Files, NoFile

STDIN, STDOUT, STDERR = range(3)
SIGINT, SIGKILL = 2, 9
BY_SIGNAL = 128
"""What is added to the number of the signal that has ended a process."""

END_OF_INPUT, INTERRUPT, ERASE = 0x04, 0x03, 0x7F
"""What Ctrl-D, Ctrl-C and the key above Return send."""

Waiting: TypeAlias = Generator[None, None, int]
"""A program under way: each `yield` waits for input, and the end is an exit code."""


Output: TypeAlias = Callable[[bytes, int], None]


class Pipe:
    """Bytes on their way to a process, which may not be there yet."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False
        self.reader: Callable[[], object] = bool
        """What is called when there is more, or the end."""

    def feed(self, data: bytes) -> None:
        if not self.closed:
            self.data += data
            self.reader()

    def close(self) -> None:
        self.closed = True
        self.reader()

    def take(self) -> bytes:
        """Return what is there, and leave nothing."""
        data = bytes(self.data)
        self.data.clear()
        return data


class Terminal:
    """What makes lines of keys, and shows them to who types."""

    def __init__(self, process: "Process") -> None:
        self.process = process
        self.line = bytearray()

    def type(self, keys: bytes) -> None:
        for key in keys.replace(b"\r", b"\n"):
            if key == INTERRUPT:
                self.line.clear()
                self.process.input.clear()
                self.process.show(b"^C")
                self.process.signal(SIGINT)
            elif key == END_OF_INPUT:
                self.process.no_more = not self.line
                self.deliver()
            elif key == ERASE:
                if self.line:
                    self.line.pop()
                    self.process.show(b"\b \b")
            else:
                self.line.append(key)
                self.process.show(bytes([key]))
                if key == ord("\n"):
                    self.deliver()

    def deliver(self) -> None:
        self.process.input += self.line
        self.line.clear()


class Exit(Exception):
    """The end of a program, wherever it is; carries the code."""


class Interrupted(Exit):
    """The end of what runs on a terminal, but for a shell that waits for it."""


class Process:
    """A program that runs, from `begin` to its end.

    `hear(stream, data)` is called with what it writes, `ended(code)` at its end, unless
    somebody else ends it. `is_first` is process 1, which no polite signal reaches.
    """

    def __init__(
        self,
        words: list[str],
        files: Files,
        hear: Callable[[int, bytes], None],
        ended: Callable[[int], None],
        stdin: Pipe | None = None,
        *,
        env: list[str] | None = None,
        tty: bool = False,
        is_first: bool = True,
    ) -> None:
        self.words, self.files, self.env = words, files, env or []
        self.hear, self.ended = hear, ended
        self.terminal = Terminal(self) if tty else None
        self.stdin = stdin or Pipe()
        self.has_input = stdin is not None
        self.is_first = is_first
        self.input = bytearray()
        """What it can read at once."""
        self.no_more = not stdin
        self.alive, self.frozen = True, False
        self.out: Output = self.show
        self.program = run(self, words)

    def begin(self) -> None:
        self.stdin.reader = self.go_on
        self.go_on()

    def go_on(self) -> None:
        """Let it work until it waits for input, or ends."""
        if not self.alive or self.frozen:
            return
        if self.terminal:
            self.terminal.type(self.stdin.take())
        else:
            self.input += self.stdin.take()
            self.no_more = self.no_more or self.stdin.closed
        if self.alive:
            self._step(self.program.__next__)

    def _step(self, step: Callable[[], None]) -> None:
        try:
            step()
            return
        except StopIteration as end:
            code = end.value
        except Exit as end:
            code = end.args[0]
        self.stop()
        self.ended(code)

    def freeze(self, frozen: bool) -> None:
        """Hold it where it is, or let it go on."""
        self.frozen = frozen
        self.go_on()

    def signal(self, number: int) -> None:
        """Interrupt what it does, if it is not process 1, which hears nothing."""
        if not self.is_first:
            interrupted = Interrupted(BY_SIGNAL + number)
            self._step(lambda: self.program.throw(interrupted))

    def stop(self) -> None:
        """Be no more."""
        self.alive = False
        self.stdin.reader = bool

    def show(self, data: bytes, stream: int = STDOUT) -> None:
        """Write to a stream of its container; a terminal has one, with returns."""
        if self.terminal:
            data, stream = re.sub(rb"\r?\n", b"\r\n", data), STDOUT
        if data:
            self.hear(stream, data)

    def write(self, text: str | bytes, stream: int = STDOUT) -> None:
        """Write to where its output goes, which a shell may change."""
        data = text.encode() if isinstance(text, str) else text
        (self.out if stream == STDOUT else self.show)(data, stream)

    def read(self) -> Generator[None, None, bytes]:
        """Return what there is; wait for it; at the end of input, nothing."""
        while not (self.input or self.no_more):
            yield
        data = bytes(self.input)
        self.input.clear()
        return data

    def read_line(self) -> Generator[None, None, str]:
        while not (b"\n" in self.input or self.no_more):
            yield
        line, end, rest = self.input.partition(b"\n")
        self.input = rest
        return (line + end).decode(errors="replace")


def run(process: Process, words: list[str]) -> Waiting:
    """Run a command; one that is not known here waits until somebody ends it."""
    name = words[0].rpartition("/")[2]
    code = PROGRAMS.get(name, wait_for_ever)(process, words[1:])
    return code if isinstance(code, int) else (yield from code)


def wait_for_ever(process: Process, words: list[str]) -> Waiting:
    while True:
        yield


def cat(process: Process, words: list[str]) -> Waiting:
    """Write what files say, or what is typed."""
    code = 0
    for name in words:
        try:
            process.write(process.files.read(name))
        except NoFile as error:
            process.write(f"cat: can't open '{name}': {error}\n", STDERR)
            code = 1
    while not words and (data := (yield from process.read())):
        process.write(data)
    return code


def echo(process: Process, words: list[str]) -> int:
    bare = words[:1] == ["-n"]
    process.write(" ".join(words[1:]) if bare else " ".join(words) + "\n")
    return 0


def env(process: Process, words: list[str]) -> int:
    process.write("".join(f"{each}\n" for each in process.env))
    return 0


def leave(process: Process, words: list[str]) -> int:
    raise Exit(int(words[0]) & 255 if words else 0)


def sh(process: Process, words: list[str]) -> Waiting:
    """Do what a text says, or each line that is typed."""
    if words[:1] == ["-c"]:
        return (yield from do(process, words[1]))
    if not process.has_input:
        # A real one would end: but it is what the lab's images run, to be there.
        return (yield from wait_for_ever(process, words))
    code, prompt = 0, "/ # " if process.terminal else ""
    process.write(prompt)
    while line := (yield from process.read_line()):
        try:
            code = yield from do(process, line)
        except Interrupted as interrupted:
            code = interrupted.args[0]
            process.write("\n")
        process.write(prompt)
    return code


def do(process: Process, text: str) -> Waiting:
    """Run the commands of a text, one after the other; return the last one's code."""
    code = 0
    try:
        commands = list(commands_of(text))
    except ValueError:
        process.write("sh: syntax error: unterminated quoted string\n", STDERR)
        return 2
    for words in commands:
        try:
            words, process.out = redirect(process, words)
            code = yield from run(process, words)
        except NoFile as error:
            process.write(f"sh: can't create {error.name}: {error}\n", STDERR)
            code = 1
        finally:
            process.out = process.show
    return code


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the words of each command; raise ValueError for half a quotation."""
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";<>&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word != ";":
                words.append(word)
            elif words:
                yield words
                words = []


def redirect(process: Process, words: list[str]) -> tuple[list[str], Output]:
    """Return a command without its `>&2` or `> FILE`, and where its output goes."""
    match words:
        case [*words, ">&", "2"]:
            return words, lambda data, _: process.show(data, STDERR)
        case [*words, ">", name]:
            process.files.write(name, b"")
            return words, lambda data, _: process.files.append(name, data)
        case _:
            return words, process.show


PROGRAMS: dict[str, Callable[[Process, list[str]], Waiting | int]] = {
    "cat": cat,
    "echo": echo,
    "env": env,
    "exit": leave,
    "false": lambda process, words: 1,
    "sh": sh,
    "true": lambda process, words: 0,
}
