"""How an engine of the lab speaks HTTP, where the tests of `lab_api` do not say it."""

import asyncio

import pytest

from walkthroughs.swarm.lab_http import RawStream, nothing, number, one_line
from walkthroughs.swarm.lab_machine import DaemonError


@pytest.mark.parametrize(
    ("status", "upgrade", "named", "head"),
    [
        (
            200,
            True,
            False,
            "101 UPGRADED|Content-Type: application/vnd.docker.raw-stream|"
            "Connection: Upgrade|Upgrade: tcp",
        ),
        (200, False, False, "200 OK|Content-Type: application/vnd.docker.raw-stream"),
        (404, True, False, "404 Not Found|Content-Type: application/vnd.docker.raw-stream"),
        (
            200,
            False,
            True,
            "200 OK|Content-Type: application/vnd.docker.raw-stream|api-version: 1.41",
        ),
    ],
)
def test_the_head_of_a_pipe_says_whether_it_was_asked_for(status, upgrade, named, head):
    answer = RawStream(lambda typed: typed, nothing(), status, named=named)
    answer.headers["api-version"] = "1.41"
    lines = ["HTTP/1.1 " + head.replace("|", "\r\n"), "", ""]
    assert answer.head(upgrade) == "\r\n".join(lines).encode()


def through(extensions):
    """Return what an application that repeats what is typed sends over plain ASGI."""

    async def whole():
        sent, asked = [], one_line("hi")

        async def send(message):
            sent.append(message)

        answer = RawStream(lambda typed: typed, asked)
        scope = {"type": "http", "headers": [], "extensions": extensions}
        await answer(scope | {"asgi": {"spec_version": "2.4"}}, None, send)
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent)

    return asyncio.run(whole())


@pytest.mark.parametrize("extensions", [None, {}, {"other": 1}])
def test_where_no_connection_can_be_taken_over_a_pipe_is_an_answer(extensions):
    assert through(extensions) == (200, b"hi\r\n")


class Taken:
    """Stands for a writer whose connection is lost at some time."""

    def __init__(self):
        self.written, self.lost, self.closed = b"", asyncio.Event(), False

    def write(self, data):
        self.written += data

    async def drain(self):
        pass

    async def wait_closed(self):
        await self.lost.wait()

    def close(self):
        self.closed = True


def test_when_the_connection_is_lost_the_talk_is_ended():
    async def whole():
        ended = []

        async def talk(typed):
            try:
                yield b"one"
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        writer, reader = Taken(), asyncio.StreamReader()

        async def hijack():
            return reader, writer

        answer = RawStream(talk, nothing())
        scope = {"type": "http", "headers": [], "extensions": {"hijack": hijack}}
        task = asyncio.create_task(answer(scope, None, None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        writer.lost.set()
        await task
        return writer.written.rpartition(b"\r\n")[2], writer.closed, ended

    assert asyncio.run(whole()) == (b"one", True, [True])


@pytest.mark.parametrize(("text", "shown"), [("x", "x"), ("", ""), (None, "")])
def test_what_is_no_number_is_refused_in_go_s_words(text, shown):
    with pytest.raises(DaemonError) as error:
        number(text)
    why = f'strconv.Atoi: parsing "{shown}": invalid syntax'
    assert (error.value.status, error.value.message) == (400, why)
