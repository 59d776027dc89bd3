"""The programs of the lab's containers: input, output, codes, a terminal."""

import pytest

from walkthroughs.swarm.lab_files import Files
from walkthroughs.swarm.lab_programs import SIGINT, STDERR, STDOUT, Pipe, Process


class Seen:
    """A process, what it has written, and how it has ended."""

    def __init__(self, *words, typed=None, **options):
        self.said = {STDOUT: b"", STDERR: b""}
        self.codes = []
        self.pipe = None if typed is None else Pipe()
        files = options.pop("files", None) or Files(texts={"/etc/motd": "hello\n"})
        self.process = Process([*words], files, self.hear, self.codes.append, self.pipe, **options)
        self.process.begin()
        if typed:
            self.pipe.feed(typed)

    def hear(self, stream, data):
        self.said[stream] += data

    @property
    def all(self):
        return self.said[STDOUT], self.said[STDERR], self.codes


@pytest.mark.parametrize(
    ("words", "out", "err", "code"),
    [
        (["echo", "hi", "you"], b"hi you\n", b"", 0),
        (["echo", "-n", "hi"], b"hi", b"", 0),
        (["echo"], b"\n", b"", 0),
        (["/bin/echo", "hi"], b"hi\n", b"", 0),
        (["true"], b"", b"", 0),
        (["false"], b"", b"", 1),
        (["cat", "/etc/motd"], b"hello\n", b"", 0),
        (["cat"], b"", b"", 0),
        (["cat", "/x"], b"", b"cat: can't open '/x': No such file or directory\n", 1),
        (["sh", "-c", "exit 3"], b"", b"", 3),
        (["sh", "-c", "exit 3; echo no"], b"", b"", 3),
        (["sh", "-c", "exit 256"], b"", b"", 0),
        (["sh", "-c", "exit"], b"", b"", 0),
        (["sh", "-c", "false"], b"", b"", 1),
        (["sh", "-c", "false; true"], b"", b"", 0),
        (["sh", "-c", "echo 'a;b'"], b"a;b\n", b"", 0),
        (["sh", "-c", "echo a; echo b >&2\necho c"], b"a\nc\n", b"b\n", 0),
        (["sh", "-c", "echo a > /f; cat /f /f"], b"a\na\n", b"", 0),
        (
            ["sh", "-c", "echo a > /no/f"],
            b"",
            b"sh: can't create /no/f: nonexistent directory\n",
            1,
        ),
        (["sh", "-c", "echo 'a"], b"", b"sh: syntax error: unterminated quoted string\n", 2),
        (["sh", "-c", ""], b"", b"", 0),
    ],
)
def test_a_program_writes_and_ends_with_its_code(words, out, err, code):
    assert Seen(*words).all == (out, err, [code])


@pytest.mark.parametrize("words", [["sleep", "9"], ["sh"], ["nginx", "-g"], ["sh", "-c", "serve"]])
def test_what_is_not_known_here_runs_until_somebody_ends_it(words):
    seen = Seen(*words)
    assert seen.all == (b"", b"", [])
    assert seen.process.alive


def test_cat_echoes_its_input_and_ends_at_the_end_of_input():
    seen = Seen("cat", typed=b"hi")
    seen.pipe.feed(b"\nyou")
    assert seen.all == (b"hi\nyou", b"", [])
    seen.pipe.close()
    assert seen.all == (b"hi\nyou", b"", [0])


def test_what_was_typed_before_the_process_began_is_not_lost():
    pipe, said = Pipe(), []
    pipe.feed(b"early")
    pipe.close()
    hear = lambda stream, data: said.append((stream, data))  # noqa: E731
    Process(["cat"], Files(), hear, said.append, pipe).begin()
    assert said == [(STDOUT, b"early"), 0]


def test_a_shell_does_line_by_line_what_is_typed():
    seen = Seen("sh", typed=b"echo one\nec")
    assert seen.all == (b"one\n", b"", [])
    seen.pipe.feed(b"ho two\nexit 4\necho three\n")
    assert seen.all == (b"one\ntwo\n", b"", [4])


def test_a_shell_ends_with_the_code_of_its_last_command():
    seen = Seen("sh", typed=b"false\n")
    seen.pipe.close()
    assert seen.codes == [1]


def test_a_command_of_a_shell_reads_what_the_shell_has_not():
    seen = Seen("sh", typed=b"cat\nfor cat\n")
    seen.pipe.close()
    assert seen.all == (b"for cat\n", b"", [0])


def test_env_shows_the_environment():
    assert Seen("env", env=["A=1", "B=2"]).all == (b"A=1\nB=2\n", b"", [0])


def test_a_terminal_shows_what_is_typed_and_ends_lines_with_a_return():
    seen = Seen("cat", typed=b"hi\ryou\n", tty=True)
    assert seen.all == (b"hi\r\nyou\r\nhi\r\nyou\r\n", b"", [])


def test_a_terminal_gives_nothing_to_read_before_the_line_ends():
    seen = Seen("cat", typed=b"hi", tty=True)
    assert seen.all == (b"hi", b"", [])
    seen.pipe.feed(b"\x7fo\r")
    assert seen.said[STDOUT] == b"hi\b \bo\r\nho\r\n"


def test_ctrl_d_ends_the_input_where_a_line_begins_and_else_sends_what_is_there():
    seen = Seen("cat", typed=b"hi\x04", tty=True)
    assert seen.all == (b"hihi", b"", [])
    seen.pipe.feed(b"\x04")
    assert seen.codes == [0]


def test_a_terminal_has_one_stream():
    seen = Seen("sh", "-c", "echo no >&2", typed=b"", tty=True)
    assert seen.all == (b"no\r\n", b"", [0])


def test_ctrl_c_ends_what_is_executed_and_does_not_reach_process_1():
    seen = Seen("sleep", "9", typed=b"\x03", tty=True, is_first=False)
    assert seen.all == (b"^C", b"", [130])
    seen = Seen("sleep", "9", typed=b"\x03", tty=True)
    assert seen.all == (b"^C", b"", [])


def test_ctrl_c_ends_a_shell_s_command_and_not_the_shell():
    seen = Seen("sh", typed=b"sleep 9\r", tty=True, is_first=False)
    seen.pipe.feed(b"\x03")
    seen.pipe.feed(b"exit 5\r")
    assert seen.all == (b"/ # sleep 9\r\n^C\r\n/ # exit 5\r\n", b"", [5])


def test_a_process_that_is_frozen_reads_when_it_goes_on():
    seen = Seen("cat", typed=b"")
    seen.process.freeze(True)
    seen.pipe.feed(b"hi")
    assert seen.said[STDOUT] == b""
    seen.process.freeze(False)
    assert seen.said[STDOUT] == b"hi"


def test_what_has_been_stopped_says_no_more_and_ends_no_second_time():
    seen = Seen("cat", typed=b"")
    seen.process.stop()
    seen.pipe.feed(b"hi")
    seen.pipe.close()
    seen.process.signal(SIGINT)
    assert seen.all == (b"", b"", [])
