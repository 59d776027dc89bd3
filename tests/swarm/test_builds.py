"""Which engine a build is on; tests that the original has too bear its names."""

import asyncio

import pytest

from walkthroughs.swarm.builds import CLEANUP_DELAY, BuildSyncer
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.lab import Lab, settle

SESSION, BUILD, ENGINE = "someSession", "someBuild", "someEngine"


def in_lab(body):
    """Run `body(lab, builds)` and return what it returns; no task may outlive it."""

    async def run():
        async with Lab() as lab:
            result = await body(lab, BuildSyncer(lab.clock))
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return result

    return asyncio.run(run())


async def begun(waiting):
    """Return the wait as a task that has come as far as it can."""
    task = asyncio.create_task(waiting)
    await settle()
    return task


async def settled(task):
    """Return the result of a wait that needs no more time to pass."""
    await settle()
    return task.result()


async def at_once(waiting):
    return await settled(asyncio.create_task(waiting))


def said(task):
    return str(task.exception())


def test_build_syncer_wait_session_node():
    async def body(lab, builds):
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        engine, clean = builds.start_build(SESSION, BUILD, ENGINE)
        assert await settled(waiting) == engine == ENGINE
        assert await at_once(builds.wait_session_node(SESSION, 1)) == ENGINE
        clean()
        await lab.run(CLEANUP_DELAY)
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        await lab.run(1)
        return said(waiting)

    assert in_lab(body) == "timeout waiting for build to start"


def test_build_syncer_wait_session_node_timeout():
    async def body(lab, builds):
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        await lab.run(0.9)
        assert not waiting.done()
        await lab.run(0.1)
        assert said(waiting) == "timeout waiting for build to start"
        again = await begun(builds.wait_session_node(SESSION, 1))
        builds.start_build(SESSION, BUILD, ENGINE)
        return await settled(again)

    assert in_lab(body) == ENGINE


def test_build_syncer_wait_session_node_second_call_error():
    async def body(lab, builds):
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        other = await begun(builds.wait_session_node("other", 1))
        with pytest.raises(ClusterError) as caught:
            await builds.wait_session_node(SESSION, 1)
        assert [waiting.done(), other.done()] == [False, False]
        await lab.run(1)
        assert said(waiting) == said(other) == "timeout waiting for build to start"
        return str(caught.value)

    assert in_lab(body) == "already waiting on node for session someSession"


def test_a_session_that_has_an_engine_may_be_asked_for_while_one_is_waking():
    async def body(lab, builds):
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        builds.start_build(SESSION, BUILD, ENGINE)
        return await at_once(builds.wait_session_node(SESSION, 1)), await settled(waiting)

    assert in_lab(body) == (ENGINE, ENGINE)


def test_a_wait_that_was_cancelled_makes_room_for_the_next():
    async def body(lab, builds):
        waiting = await begun(builds.wait_session_node(SESSION, 1))
        waiting.cancel()
        await asyncio.wait([waiting])
        again = await begun(builds.wait_session_node(SESSION, 1))
        builds.start_build(SESSION, BUILD, ENGINE)
        return await settled(again)

    assert in_lab(body) == ENGINE


def test_build_syncer_wait_build_node():
    async def body(lab, builds):
        waiting = await begun(builds.wait_build_node(BUILD, 1))
        engine, clean = builds.start_build(SESSION, BUILD, ENGINE)
        assert await settled(waiting) == engine == ENGINE
        clean()
        await lab.run(CLEANUP_DELAY - 1)
        assert await at_once(builds.wait_build_node(BUILD, 1)) == ENGINE
        await lab.run(1)
        waiting = await begun(builds.wait_build_node(BUILD, 1))
        await lab.run(1)
        return said(waiting)

    assert in_lab(body) == "timeout waiting for build to start"


def test_build_syncer_wait_build_node_multi():
    async def body(lab, builds):
        waiting = [await begun(builds.wait_build_node(BUILD, 2)) for _ in range(4)]
        builds.start_build(SESSION, BUILD, ENGINE)
        return [await settled(each) for each in waiting]

    assert in_lab(body) == [ENGINE] * 4


def test_build_syncer_wait_build_node_timeout():
    async def body(lab, builds):
        short = await begun(builds.wait_build_node(BUILD, 1))
        long = await begun(builds.wait_build_node(BUILD, 5))
        await lab.run(2)
        builds.start_build(SESSION, BUILD, ENGINE)
        return said(short), await settled(long)

    assert in_lab(body) == ("timeout waiting for build to start", ENGINE)


def test_the_start_of_another_build_ends_no_wait():
    async def body(lab, builds):
        build = await begun(builds.wait_build_node(BUILD, 1))
        session = await begun(builds.wait_session_node(SESSION, 1))
        builds.start_build("other", "other", "far")
        await settle()
        assert [build.done(), session.done()] == [False, False]
        builds.start_build(SESSION, BUILD, ENGINE)
        return await settled(build), await settled(session)

    assert in_lab(body) == (ENGINE, ENGINE)


def test_a_build_starts_once():
    async def body(lab, builds):
        _, clean = builds.start_build(SESSION, BUILD, ENGINE)
        said = []
        for _ in range(2):
            with pytest.raises(ClusterError) as caught:
                builds.start_build("other", BUILD, "far")
            said.append(str(caught.value))
            clean()
        assert await at_once(builds.wait_build_node(BUILD, 1)) == ENGINE
        return said

    assert in_lab(body) == ["build already started"] * 2


def test_an_hour_after_its_end_a_build_may_start_again():
    async def body(lab, builds):
        _, clean = builds.start_build(SESSION, BUILD, ENGINE)
        await lab.run(10 * CLEANUP_DELAY)
        assert await at_once(builds.wait_build_node(BUILD, 1)) == ENGINE
        clean()
        await lab.run(CLEANUP_DELAY)
        engine, _ = builds.start_build(SESSION, BUILD, "far")
        return engine

    assert in_lab(body) == "far"


def test_the_second_build_of_a_session_goes_where_the_session_is():
    """The original looks for a session with the build's id, finds none, and moves the session."""

    async def body(lab, builds):
        builds.start_build(SESSION, "one", ENGINE)
        engine, _ = builds.start_build(SESSION, "two", "far")
        session = await at_once(builds.wait_session_node(SESSION, 1))
        return engine, session, await at_once(builds.wait_build_node("two", 1))

    assert in_lab(body) == (ENGINE, ENGINE, ENGINE)


def test_a_build_that_is_called_like_a_session_does_not_follow_it():
    async def body(lab, builds):
        builds.start_build("x", BUILD, ENGINE)
        engine, _ = builds.start_build(SESSION, "x", "far")
        return engine

    assert in_lab(body) == "far"


def test_builds_without_a_session_have_nothing_in_common():
    async def body(lab, builds):
        builds.start_build("", "one", ENGINE)
        engine, _ = builds.start_build("", "two", "far")
        waiting = await begun(builds.wait_session_node("", 1))
        await lab.run(1)
        return engine, said(waiting)

    assert in_lab(body) == ("far", "timeout waiting for build to start")


def test_a_session_is_remembered_as_long_as_one_of_its_builds():
    """The original forgets it an hour after the end of any."""

    async def body(lab, builds):
        _, clean = builds.start_build(SESSION, "one", ENGINE)
        clean()
        await lab.run(CLEANUP_DELAY - 1)
        builds.start_build(SESSION, "two", "far")
        await lab.run(CLEANUP_DELAY)
        return await at_once(builds.wait_session_node(SESSION, 1))

    assert in_lab(body) == ENGINE


def test_to_forget_a_build_takes_no_task():
    async def body(lab, builds):
        _, clean = builds.start_build(SESSION, BUILD, ENGINE)
        clean()
        clean()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await lab.run(CLEANUP_DELAY)
        engine, _ = builds.start_build(SESSION, BUILD, "far")
        return engine

    assert in_lab(body) == "far"
