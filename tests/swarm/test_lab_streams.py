"""What a container says: pieces with heads, a log of lines, conversations."""

import asyncio

import pytest

from walkthroughs.swarm.lab_programs import STDERR, STDOUT, Pipe
from walkthroughs.swarm.lab_streams import Record, Streams, converse, frame, frames_of, stamp


def said(streams, *asked, **options):
    """Return what a log gives that is not followed."""

    async def whole():
        return b"".join([each async for each in streams.logs({*asked}, **options)])

    return asyncio.run(whole())


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


def talkative(tty=False):
    clock = Clock()
    streams = Streams(clock, tty)
    for second, stream, data in [
        (1, STDOUT, b"one\ntw"),
        (2, STDERR, b"no\n"),
        (3, STDOUT, b"o\nthree"),
    ]:
        clock.time = second
        streams.hear(stream, data)
    return streams


def test_a_piece_has_a_head_of_eight_bytes():
    assert frame(STDERR, b"hello") == b"\x02\0\0\0\0\0\0\x05hello"
    assert frame(STDOUT, b"x" * 66000)[:8] == b"\x01\0\0\0\x00\x01\x01\xd0"


def test_pieces_are_found_again():
    data = frame(STDOUT, b"one") + frame(STDERR, b"") + frame(STDOUT, b"three")
    assert frames_of(data) == [(1, b"one"), (2, b""), (1, b"three")]
    assert frames_of(data[:-2]) == [(1, b"one"), (2, b""), (1, b"thr")]
    assert frames_of(data[:13]) == [(1, b"one")]


def test_a_log_has_lines_and_what_was_begun_when_it_ends():
    streams = talkative()
    whole = [Record(1, 1, b"one\n"), Record(2, 2, b"no\n"), Record(3, 1, b"two\n")]
    assert streams.log == whole
    streams.close()
    assert streams.log == [*whole, Record(3, 1, b"three")]


def test_a_log_has_heads_unless_there_is_a_terminal():
    streams = talkative()
    assert said(streams, 1, 2) == frame(1, b"one\n") + frame(2, b"no\n") + frame(1, b"two\n")
    assert said(talkative(tty=True), 1) == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"tail": 1}, [b"two\n"]),
        ({"tail": 2}, [b"two\n"]),
        ({"tail": 3}, [b"one\n", b"two\n"]),
        ({"tail": 9}, [b"one\n", b"two\n"]),
        ({"tail": 0}, []),
        ({"since": 2}, [b"two\n"]),
        ({"since": 1}, [b"one\n", b"two\n"]),
        ({"until": 2}, [b"one\n"]),
        ({"since": 1.5, "until": 2}, []),
    ],
)
def test_of_a_log_a_part_is_read_and_the_last_lines_are_counted_over_all_streams(options, lines):
    assert said(talkative(), 1, **options) == b"".join(frame(1, line) for line in lines)


def test_a_line_s_time_has_nine_digits():
    assert stamp(1_500_000_000.25) == b"2017-07-14T02:40:00.250000000Z "
    line = b"1970-01-01T00:00:02.000000000Z no\n"
    assert said(talkative(), 2, timestamps=True) == frame(2, line)


def test_who_follows_gets_each_line_once_and_the_end():
    async def whole():
        streams, heard = talkative(), []

        async def follow():
            async for each in streams.logs({1, 2}, follow=True, tail=1):
                heard.append(each)

        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        streams.hear(STDERR, b"more\nhal")
        streams.close()
        await task
        assert not streams.lines.queues
        return heard

    expected = [(1, b"two\n"), (2, b"more\n"), (1, b"three"), (2, b"hal")]
    assert asyncio.run(whole()) == [frame(*each) for each in expected]


def test_a_new_process_has_another_input():
    streams = Streams()
    before = streams.stdin
    streams.close()
    assert streams.stdin is not before


async def typing(*pieces, forever=False):
    for piece in pieces:
        yield piece
    if forever:
        await asyncio.Event().wait()


def talk(pieces, after=(), *, forever=False, ends_input=False, wanted=(1, 2)):
    """Return what is heard, and the pipe, after what a process says in the end."""

    async def whole():
        streams, pipe, heard = Streams(), Pipe(), []

        async def listen():
            with streams.raw.listen() as queue:
                typed = typing(*pieces, forever=forever)
                told = converse(queue, streams.shown, {*wanted}, typed, pipe, ends_input)
                async for each in told:
                    heard.append(each)

        task = asyncio.create_task(listen())
        for _ in range(5):
            await asyncio.sleep(0)
        for stream, data in after:
            streams.hear(stream, data)
        if forever or ends_input:
            streams.close()
        await asyncio.wait_for(task, 1)
        return heard, bytes(pipe.data), pipe.closed

    return asyncio.run(whole())


def test_a_conversation_ends_with_the_process():
    assert talk([b"a", b"b"], [(1, b"one"), (2, b"no")], forever=True) == (
        [frame(1, b"one"), frame(2, b"no")],
        b"ab",
        False,
    )


def test_only_what_is_wanted_is_heard():
    heard, _, _ = talk([], [(1, b"one"), (2, b"no")], forever=True, wanted=[2])
    assert heard == [frame(2, b"no")]


def test_the_end_of_what_is_typed_is_the_end_of_the_input_if_that_is_meant():
    assert talk([b"a"], [(1, b"late")], ends_input=True) == ([frame(1, b"late")], b"a", True)


def test_the_end_of_what_is_typed_is_else_the_end_of_the_conversation():
    assert talk([b"a"], [(1, b"late")]) == ([], b"a", False)
