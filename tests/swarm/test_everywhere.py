"""Orders to many engines, and a stream that many read."""

import asyncio
from contextlib import aclosing

import pytest

from tests.swarm.placing import few, pieces, run
from walkthroughs.swarm.cluster import ClusterError, Message
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.everywhere import IN_FLIGHT, Tee, every, hand_out, together, told


class Named:
    """As much of an engine as these functions look at."""

    def __init__(self, name):
        self.name = name


A, B, C = map(Named, "abc")


async def refuse(engine):
    raise EngineError(f"not {engine.name}")


def test_every_gives_the_order_once_to_each():
    asked = []

    async def order(engine):
        asked.append(engine.name)
        return engine.name.upper()

    assert run(every([A, B, A, A], order)) == ["A", "B"]
    assert asked == ["a", "b"]


def test_every_has_a_line_for_each_engine_that_refuses():
    with pytest.raises(ClusterError) as error:
        run(every([A, B], refuse))
    assert str(error.value) == "a: not a\nb: not b"


def test_every_refuses_when_all_others_have_done_it():
    done = []

    async def order(engine):
        if engine is A:
            await refuse(engine)
        await asyncio.sleep(0)
        done.append(engine.name)

    with pytest.raises(ClusterError, match=r"^a: not a$"):
        run(every([A, B, C], order))
    assert done == ["b", "c"]


def test_what_is_no_word_of_an_engine_comes_through_every():
    async def order(engine):
        raise KeyError(engine.name)

    with pytest.raises(KeyError, match=r"^'a'$"):
        run(every([A, B], order))


def tell(order, verb=""):
    heard = []
    run(told(A, heard.append, order, verb))
    return heard


def test_told_hands_on_each_line_and_the_success():
    async def order(progress):
        progress({"status": "one"})
        progress({"status": "two"})

    assert tell(order) == [
        Message("a", {"status": "one"}),
        Message("a", {"status": "two"}),
        Message("a", success=True),
    ]


def test_told_tells_of_an_error():
    assert tell(lambda progress: refuse(A)) == [Message("a", error="not a")]


async def wrong_system(progress):
    raise EngineError("Failed to load image: cannot load windows image on linux")


@pytest.mark.parametrize("verb", ["Load", "Import"])
def test_an_image_for_another_system_is_skipped(verb):
    text = f"{verb} skipped because image is for windows and engine is running linux"
    assert tell(wrong_system, verb) == [Message("a", {"status": text}, success=True)]


def test_a_pull_for_another_system_is_an_error():
    text = "Failed to load image: cannot load windows image on linux"
    assert tell(wrong_system) == [Message("a", error=text)]


def test_together_ends_the_others_when_one_fails():
    ended = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("wait")

    async def fail():
        raise EngineError("no")

    with pytest.raises(EngineError, match=r"^no$"):
        run(together([wait(), fail()]))
    assert ended == ["wait"]


class Source:
    """So many chunks, each one another; counts those given and those that live."""

    def __init__(self, count, broken=False):
        self.left, self.broken, self.given, self.alive, self.most = count, broken, 0, 0, 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            if self.broken:
                raise ConnectionResetError("the client is gone")
            raise StopAsyncIteration
        self.left -= 1
        self.given += 1
        return Chunk(self)


class Chunk(bytes):
    def __new__(cls, source):
        chunk = super().__new__(cls, b"%d." % source.given)
        chunk.source = source
        source.alive += 1
        source.most = max(source.most, source.alive)
        return chunk

    def __del__(self):
        self.source.alive -= 1


async def settle():
    for _ in range(1000):
        await asyncio.sleep(0)


def test_every_branch_of_a_tee_gets_every_chunk():
    async def main():
        tee = Tee()
        branches = [tee.open() for _ in range(3)]
        read = [asyncio.ensure_future(whole(branch)) for branch in branches]
        await tee.pump(Source(100))
        return await asyncio.gather(*read)

    assert run(main()) == [b"".join(b"%d." % n for n in range(1, 101))] * 3


async def whole(branch):
    return b"".join([chunk async for chunk in branch])


def test_a_tee_goes_at_the_pace_of_the_slowest():
    async def main():
        tee, source = Tee(), Source(1000)
        quick, slow = tee.open(), tee.open()
        read = asyncio.ensure_future(whole(quick))
        pump = asyncio.ensure_future(tee.pump(source))
        given = []
        for _ in range(3):
            await settle()
            given.append(source.given)
            await anext(slow)
        tee.close(slow)
        await pump
        assert len(await read) == sum(len(b"%d." % n) for n in range(1, 1001))
        return given

    assert run(main()) == [IN_FLIGHT + 1, IN_FLIGHT + 2, IN_FLIGHT + 3]


def test_a_tee_holds_as_many_chunks_as_the_slowest_is_behind():
    async def main():
        tee, source = Tee(), Source(2000)
        branches = [tee.open() for _ in range(5)]

        async def read(branch, pause):
            async for _ in branch:
                for _ in range(pause):
                    await asyncio.sleep(0)

        reads = [read(branch, 3 * n) for n, branch in enumerate(branches)]
        await asyncio.gather(*reads, tee.pump(source))
        return source.most

    # Those in the queue, the one that waits for room, and one in the hand of each reader.
    assert IN_FLIGHT < run(main()) <= IN_FLIGHT + 1 + 5


def test_a_reader_that_gives_up_holds_nobody_back():
    async def main():
        tee, source = Tee(), Source(1000)
        quick, gone = tee.open(), tee.open()
        read = asyncio.ensure_future(whole(quick))
        pump = asyncio.ensure_future(tee.pump(source))
        await settle()
        assert not pump.done()
        tee.close(gone)
        await pump
        return len(await read)

    assert run(main()) == sum(len(b"%d." % n) for n in range(1, 1001))


def test_a_source_that_breaks_has_no_end():
    async def main():
        tee = Tee()
        branch = tee.open()
        with pytest.raises(ConnectionResetError, match=r"^the client is gone$"):
            await tee.pump(Source(2, broken=True))
        return [branch.chunks.get_nowait() for _ in range(branch.chunks.qsize())]

    assert run(main()) == [b"1.", b"2."]


def test_hand_out_gives_the_whole_source_to_every_engine():
    got, heard = {}, []

    async def order(engine, part, progress):
        got[engine.name] = await whole(part)

    run(hand_out([A, B], Source(50), order, "Load", heard.append))
    assert got == dict.fromkeys("ab", b"".join(b"%d." % n for n in range(1, 51)))
    assert heard == [Message("a", success=True), Message("b", success=True)]


def test_an_engine_that_refuses_leaves_the_whole_source_to_the_others():
    """In the original, one closed pipe ends the copy, and all get half an archive."""
    got, heard = {}, []

    async def order(engine, part, progress):
        if engine is A:
            await anext(part)
            await refuse(engine)
        got[engine.name] = await whole(part)

    run(hand_out([A, B], Source(50), order, "Load", heard.append))
    assert got == {"b": b"".join(b"%d." % n for n in range(1, 51))}
    assert heard == [Message("a", error="not a"), Message("b", success=True)]


def test_a_source_that_breaks_ends_the_orders():
    """In the original, an archive that breaks looks like one that has ended."""
    ended = []

    async def order(engine, part, progress):
        try:
            await whole(part)
        finally:
            ended.append(engine.name)

    with pytest.raises(ConnectionResetError, match=r"^the client is gone$"):
        run(hand_out([A, B], Source(5, broken=True), order, "Load", ended.append))
    assert sorted(ended) == ["a", "b"]


def test_a_cancelled_hand_out_leaves_no_task():
    async def main():
        async def order(engine, part, progress):
            await whole(part)

        async def endless():
            yield b"first"
            await asyncio.Event().wait()

        async with aclosing(endless()) as source:
            work = asyncio.ensure_future(hand_out([A, B], source, order, "Load", print))
            await settle()
            work.cancel()
            await asyncio.wait([work])
            return work.cancelled(), len(asyncio.all_tasks())

    assert run(main()) == (True, 1)


def test_a_real_request_reads_from_a_branch():
    async def main():
        async with few("node-1", "node-2") as cluster:
            got = {}

            def load(machine):
                return lambda data: [{"stream": f"{len(data)} bytes on {machine.name}"}]

            for machine in cluster.machines.values():
                machine.load = load(machine)
            await cluster.load(pieces(b"x" * 1000, b"y" * 24), lambda m: got.update({m.engine: m}))
            return got

    assert run(main()) == {
        "node-1": Message("node-1", {"stream": "1024 bytes on node-1"}),
        "node-2": Message("node-2", {"stream": "1024 bytes on node-2"}),
    }
