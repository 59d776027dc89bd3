"""An answer that is written while an order is carried out."""

import asyncio
import json

import httpx2
import pytest

from tests.swarm.placing import pieces, run
from walkthroughs.swarm import report as module
from walkthroughs.swarm.cluster import ClusterError, Message
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.report import Backlog, Report, failure

MANAGER = "manager:2375"
WRONG_OS = 'image operating system "windows" cannot be used on this platform'


def said(message):
    return message.error or (message.raw or {}).get("status", "")


# What waits for a client


def test_lines_that_wait_are_taken_together():
    async def main():
        backlog = Backlog()
        backlog.put({"n": 1})
        backlog.put({"n": 2})
        assert await backlog.take() == b'{"n":1}\n{"n":2}\n'
        backlog.end()
        assert await backlog.take() == b""

    run(main())


def test_who_takes_nothing_waits_for_the_next_line():
    async def main():
        backlog = Backlog()
        taking = asyncio.ensure_future(backlog.take())
        await asyncio.sleep(0)
        assert not taking.done()
        backlog.put({"n": 1})
        assert await taking == b'{"n":1}\n'

    run(main())


def test_a_client_that_does_not_read_loses_the_oldest_lines_and_is_told(monkeypatch):
    monkeypatch.setattr(module, "BACKLOG", 20)

    async def main():
        backlog = Backlog()
        for number in range(1, 6):
            backlog.put({"n": number})
        gap = b'{"status":"... 3 lines were not read in time"}\n'
        assert await backlog.take() == gap + b'{"n":4}\n{"n":5}\n'
        backlog.put({"n": 6})
        assert await backlog.take() == b'{"n":6}\n'

    run(main())


# A report, from its first line to its last


class Server:
    """A report on a lab's network, whose order is a test's."""

    def __init__(self, lab, order, **options):
        lab.network.plug(MANAGER, Report(order, said, **options))
        self.client = lab.world("client").client(f"http://{MANAGER}")

    async def __aenter__(self):
        return await self.client.__aenter__()

    async def __aexit__(self, *error):
        await self.client.__aexit__(*error)


def report(order, **options):
    async def main():
        async with Lab() as lab, Server(lab, order, **options) as client:
            answer = await client.post("/", content=pieces(b"one", b"two"))
            return answer.status_code, answer.text

    return run(main())


async def read_all(source):
    return b"".join([chunk async for chunk in source])


def test_a_line_is_the_engines_own_with_its_name():
    async def order(source, hear):
        assert await read_all(source) == b"onetwo"
        hear(Message("node-1", {"status": "Downloading", "id": "layer", "progress": "[=>"}))
        hear(Message("node-2"))

    line = '{"status":"Downloading","id":"node-1","progress":"[=>"}\n{"id":"node-2"}\n'
    assert report(order) == (200, line)


def test_a_line_is_there_while_the_order_is_carried_out():
    async def main():
        goes_on = asyncio.Event()

        async def order(source, hear):
            await read_all(source)
            hear(Message("node-1", {"status": "first"}))
            await goes_on.wait()
            hear(Message("node-1", {"status": "second"}))

        async with (
            Lab() as lab,
            Server(lab, order) as client,
            client.stream("POST", "/") as answer,
        ):
            lines = answer.aiter_lines()
            assert await anext(lines) == '{"status":"first","id":"node-1"}'
            goes_on.set()
            assert [line async for line in lines] == ['{"status":"second","id":"node-1"}']

    run(main())


def test_an_order_that_says_nothing_is_an_empty_answer():
    """With no engines, the original too has nothing to say."""

    async def order(source, hear):
        await read_all(source)

    assert report(order) == (200, "")


def test_the_last_error_is_the_last_line():
    async def order(source, hear):
        hear(Message("node-1", error="no space"))
        hear(Message("node-2", success=True))
        hear(Message("node-3", error="no memory"))

    _, text = report(order)
    assert [json.loads(line) for line in text.splitlines()] == [
        {"status": "no space", "id": "node-1"},
        {"id": "node-2"},
        {"status": "no memory", "id": "node-3"},
        failure("no memory"),
    ]


@pytest.mark.parametrize(
    ("messages", "failed"),
    [
        ([Message("node-1", success=True), Message("node-2", error=WRONG_OS)], False),
        ([Message("node-1", error=WRONG_OS), Message("node-2", success=True)], False),
        ([Message("node-1", error=WRONG_OS), Message("node-2", error=WRONG_OS)], True),
        ([Message("node-1", success=True), Message("node-2", error="no space")], True),
        ([Message("node-1", success=True)], False),
    ],
)
def test_where_some_will_do_only_another_system_is_no_failure(messages, failed):
    async def order(source, hear):
        for message in messages:
            hear(message)

    _, text = report(order, some_will_do=True)
    assert ("errorDetail" in text) is failed


def test_a_client_that_leaves_ends_the_order():
    async def main():
        ended = asyncio.Event()

        async def order(source, hear):
            try:
                await read_all(source)
                hear(Message("node-1", {"status": "first"}))
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with Lab() as lab, Server(lab, order) as client:
            async with client.stream("POST", "/") as answer:
                assert await anext(answer.aiter_lines()) == '{"status":"first","id":"node-1"}'
            await asyncio.wait_for(ended.wait(), 5)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert others == set()

    run(main())


def disconnecting(*first):
    """Return what an application receives from a client that leaves after some messages."""
    left = [*first, {"type": "http.disconnect"}]

    async def receive():
        return left.pop(0) if len(left) > 1 else left[0]

    return receive


def test_a_client_that_leaves_in_the_middle_of_a_body_ends_the_order():
    async def main():
        got, sent = [], []

        async def order(source, hear):
            async for chunk in source:
                got.append(chunk)
            pytest.fail("that was not the whole body")

        async def send(message):
            sent.append(message)

        half = {"type": "http.request", "body": b"half", "more_body": True}
        scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
        await Report(order, said)(scope, disconnecting(half), send)
        assert (got, sent) == ([b"half"], [])

    run(main())


def test_an_order_that_is_refused_before_its_first_line_is_an_error_like_any_other():
    async def main():
        async def order(source, hear):
            raise ClusterError("No healthy node available in the cluster")

        async def receive():
            return await asyncio.Event().wait()

        scope = {"type": "http", "headers": []}
        with pytest.raises(ClusterError, match=r"^No healthy node available in the cluster$"):
            await Report(order, said)(scope, receive, None)

    run(main())


def test_an_order_that_fails_in_its_middle_leaves_the_answer_without_an_end():
    async def order(source, hear):
        hear(Message("node-1", {"status": "first"}))
        raise RuntimeError("a mistake of ours")

    with pytest.raises(httpx2.RemoteProtocolError, match=r"^peer closed connection"):
        report(order)


def test_a_client_that_does_not_read_does_not_hold_up_the_engines(monkeypatch):
    """What it has not read is bounded, whatever the engines say meanwhile."""
    monkeypatch.setattr(module, "BACKLOG", 10_000)

    async def main():
        waits, told = asyncio.Event(), asyncio.Event()
        sent = []

        async def order(source, hear):
            for number in range(100_000):
                hear(Message("node-1", {"status": f"{number:06}"}))
                if number % 1000 == 0:
                    await asyncio.sleep(0)
            told.set()

        async def send(message):
            sent.append(message.get("body", b""))
            if len(sent) == 2:
                await waits.wait()

        async def receive():
            return await asyncio.Event().wait()

        answer = Report(order, said)({"type": "http", "headers": []}, receive, send)
        task = asyncio.ensure_future(answer)
        await asyncio.wait_for(told.wait(), 30)
        waits.set()
        await task
        lines = b"".join(sent).splitlines()
        assert max(map(len, sent)) < 80_000
        assert json.loads(lines[-1]) == {"status": "099999", "id": "node-1"}
        assert any(b"lines were not read in time" in line for line in lines)

    run(main())
