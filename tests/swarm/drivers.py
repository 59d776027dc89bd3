"""What everybody above a cluster may rely on: one suite of promises, for every driver.

A promise is a coroutine function that is given a `Driver` whose cluster has no containers. The
tests hold the swarm driver to all of them, and the page of the chapter its own driver; so this
module uses nothing that a page cannot import, and no pytest.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

from walkthroughs.swarm.cluster import SHORT, Cluster, ClusterError, Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.lab import Lab

OPERATIONS = sorted(name for name in vars(Cluster) if not name.startswith("_"))
"""The names of what a driver implements."""

CONFLICT = (
    "Conflict: The name {0} is already assigned. You have to delete (or rename) that container to "
    "be able to assign {0} to a container again."
)


@dataclass
class Driver:
    """A cluster to be tried, and what a test of it has to know."""

    cluster: Cluster
    image: str
    """One that its containers can be made of."""
    until: Callable[[Callable[[], Any]], Awaitable[None]]
    """Waits for a condition; raises AssertionError for one that does not come."""

    async def create(self, name: str = "", **request: Any) -> Container:
        """Create a container that goes on once it is started."""
        wanted = {"Image": self.image, "Cmd": ["sleep", "1000"]}
        host = {"HostConfig": {"NetworkMode": "none"}}
        config = ContainerConfig.build(wanted | host | request)
        return await self.cluster.create_container(config, name, {})

    def ids(self) -> list[str]:
        return sorted(container.id for container in self.cluster.containers())

    def now(self, container: Container) -> Container:
        """Return the newest state of a container."""
        found = self.cluster.container(container.id)
        assert found, "it is not there any more"
        return found


Promise = Callable[[Driver], Awaitable[None]]
PROMISES: list[Promise] = []


def promise(function: Promise) -> Promise:
    PROMISES.append(function)
    return function


async def broken(
    opened: Callable[[], AbstractAsyncContextManager[Driver]],
) -> dict[str, str]:
    """Try every promise on a driver of its own; return why, for those that are broken."""
    why = {}
    for each in PROMISES:
        async with opened() as driver:
            try:
                await each(driver)
            except Exception as error:
                why[each.__name__] = f"{type(error).__name__}: {error}".rstrip(": ")
    return why


def until_in(lab: Lab) -> Callable[[Callable[[], Any]], Awaitable[None]]:
    """Return an `until` under which the seconds of a lab go by, a minute of them."""

    async def until(condition: Callable[[], Any]) -> None:
        for _ in range(60):
            await lab.run(1)
            if condition():
                return
        raise AssertionError("a minute is over")

    return until


async def refusal(order: Awaitable[Any]) -> str:
    """Return what is said by a cluster that refuses an order."""
    try:
        await order
    except ClusterError as error:
        return str(error)
    raise AssertionError("it was not refused")


@promise
async def every_operation_is_there(driver):
    for name in OPERATIONS:
        ours, theirs = getattr(Cluster, name), getattr(type(driver.cluster), name, None)
        assert theirs not in (None, ours), name
        inspect.signature(theirs).bind(*inspect.signature(ours).parameters)
        assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours), name


@promise
async def a_container_is_found_as_soon_as_it_is_created(driver):
    await driver.create("other")
    made = await driver.create("web")
    ways = {
        "id": made.id,
        "short id": made.id[:SHORT],
        "beginning of the id": made.id[:16],
        "swarm id": made.swarm_id,
        "short swarm id": made.swarm_id[:SHORT],
        "name": "web",
        "/name": "/web",
        "ENGINE/name": f"{made.engine.name}/web",
        "ENGINE_ID/name": f"{made.engine.id}/web",
    }
    for way, text in ways.items():
        found = driver.cluster.container(text)
        assert found is not None, way
        assert found.id == made.id, way


@promise
async def who_is_not_there_is_none(driver):
    await driver.create("web")
    for text in "", "we", "/", "nobody":
        assert driver.cluster.container(text) is None, text
    assert driver.cluster.image("nobody") is None
    assert driver.cluster.networks().get("nobody") is None
    assert driver.cluster.volumes().get("nobody") is None


@promise
async def an_answer_belongs_to_whoever_asked(driver):
    made = await driver.create("web")
    driver.cluster.containers().clear()
    driver.cluster.images().clear()
    assert driver.ids() == [made.id]


@promise
async def a_container_without_a_name_gets_one(driver):
    one, other = await driver.create(), await driver.create()
    assert [name[:1] for name in one.names + other.names] == ["/", "/"]
    assert one.names != other.names
    assert driver.cluster.container(one.names[0]).id == one.id


@promise
async def a_name_is_given_once(driver):
    made = await driver.create("web")
    assert await refusal(driver.create("web")) == CONFLICT.format("web")
    assert driver.ids() == [made.id]


@promise
async def of_two_who_want_a_name_at_once_one_gets_it(driver):
    both = await asyncio.gather(driver.create("web"), driver.create("web"), return_exceptions=True)
    refused, made = sorted(both, key=lambda each: isinstance(each, Container))
    assert str(refused) == CONFLICT.format("web")
    assert driver.ids() == [made.id]


@promise
async def what_has_no_image_is_not_created(driver):
    # The registry is on this machine, and nobody listens there.
    assert await refusal(driver.create("web", Image="127.0.0.1:1/nobody:latest"))
    assert driver.ids() == []
    await driver.create("web")


@promise
async def a_container_runs_when_it_is_started(driver):
    made = await driver.create("web")
    assert not driver.now(made).running
    await driver.cluster.start_container(made)
    assert driver.now(made).running
    await driver.cluster.start_container(made)
    assert driver.now(made).running


@promise
async def a_container_that_was_renamed_has_its_new_name_only(driver):
    made = await driver.create("web")
    await driver.cluster.rename_container(made, "shop")
    assert driver.cluster.container("web") is None
    assert driver.cluster.container("shop").id == made.id
    other = await driver.create("web")
    assert await refusal(driver.cluster.rename_container(other, "shop")) == CONFLICT.format("shop")
    assert driver.now(other).names == ["/web"]


@promise
async def a_container_that_was_removed_is_nobody(driver):
    made = await driver.create("web")
    await driver.cluster.remove_container(made, force=False, volumes=True)
    assert driver.cluster.container(made.id) is None
    assert (await driver.create("web")).id != made.id


@promise
async def what_runs_is_removed_by_force_only(driver):
    made = await driver.create("web")
    await driver.cluster.start_container(made)
    assert await refusal(driver.cluster.remove_container(made, force=False, volumes=False))
    assert driver.now(made).running
    await driver.cluster.remove_container(made, force=True, volumes=False)
    assert driver.ids() == []


@promise
async def who_is_gone_takes_no_orders(driver):
    gone, cluster = await driver.create("web"), driver.cluster
    await cluster.remove_container(gone, force=True, volumes=True)
    assert await refusal(cluster.start_container(gone))
    assert await refusal(cluster.rename_container(gone, "shop"))
    assert await refusal(cluster.remove_container(gone, force=True, volumes=True))
    assert driver.ids() == []


@promise
async def each_container_has_a_swarm_id_that_a_request_may_bring(driver):
    one, other = await driver.create(), await driver.create()
    assert len(one.swarm_id) == len(other.swarm_id) == 64
    assert one.swarm_id != other.swarm_id
    assert one.labels["com.docker.swarm.id"] == one.swarm_id
    # This is how a container stays itself when it is created again on another engine.
    moved = await driver.create(Labels={"com.docker.swarm.id": "m" * 64})
    assert driver.now(moved).swarm_id == "m" * 64


@promise
async def a_wish_becomes_a_label(driver):
    wish = "affinity:com.example.role!=~database"
    made = await driver.create("web", Env=["A=1", wish], Labels={"com.example.role": "web"})
    labels = driver.now(made).labels
    assert labels["com.docker.swarm.affinities"] == '["com.example.role!=~database"]'
    assert labels["com.example.role"] == "web"
    assert "A=1" in driver.now(made).config.env
    assert wish not in driver.now(made).config.env


@promise
async def who_is_registered_is_told_until_unregistered(driver):
    told, known = [], {"create", "rename", "start", "die", "destroy"}
    driver.cluster.register_event_handler(told.append)
    made = await driver.create("web")
    await driver.cluster.rename_container(made, "shop")
    await driver.cluster.start_container(made)
    await driver.cluster.remove_container(made, force=True, volumes=False)
    await driver.until(lambda: any(event.status == "destroy" for event in told))
    about = [event for event in told if event.status in known]
    assert [event.status for event in about] == ["create", "rename", "start", "die", "destroy"]
    assert {event.raw["id"] for event in about} == {made.id}
    assert {event.engine.name for event in about} == {made.engine.name}
    driver.cluster.unregister_event_handler(told.append)
    driver.cluster.unregister_event_handler(told.append)
    later, before = [], len(told)
    driver.cluster.register_event_handler(later.append)
    await driver.create("web")
    await driver.until(lambda: later)
    assert len(told) == before


@promise
async def a_handler_is_registered_once(driver):
    driver.cluster.register_event_handler(id)
    said = ""
    try:
        driver.cluster.register_event_handler(id)
    except ValueError as error:
        said = str(error)
    assert said == "event handler already set"


@promise
async def a_watch_ends_when_the_queues_are_closed(driver):
    told = []

    async def watch(api):
        async with aclosing(api.watch()) as events:
            async for event in events:
                told.append(event.raw["id"])

    api = driver.cluster.new_api_event_handler()
    driver.cluster.register_event_handler(api)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(api))
        try:
            await asyncio.sleep(0)
            made = await driver.create("web")
            await driver.until(lambda: told)
            assert set(told) == {made.id}
            driver.cluster.close_watch_queues()
            await driver.until(watching.done)
        finally:
            watching.cancel()
    assert api.size() == 0
    driver.cluster.register_event_handler(api)


@promise
async def a_container_is_on_an_engine_of_the_cluster(driver):
    made = await driver.create("web")
    assert made.engine.name in driver.cluster.engine_names()
    assert driver.cluster.random_engine().name in driver.cluster.engine_names()
    await driver.cluster.refresh_engine(made.engine.name)
    await driver.cluster.refresh_engines()
    assert driver.ids() == [made.id]
    refused = driver.cluster.refresh_engine("nobody")
    assert await refusal(refused) == "no engine found with hostname nobody"


@promise
async def info_is_pairs_of_texts_and_totals_are_numbers(driver):
    for pair in driver.cluster.info():
        assert [type(each) for each in pair] == [str, str], pair
    totals = driver.cluster.total_cpus(), driver.cluster.total_memory()
    assert [type(each) for each in totals] == [int, int]
    assert min(totals) >= 0


@promise
async def what_a_driver_cannot_do_it_refuses(driver):
    told = []
    assert await refusal(driver.cluster.tag_image("nobody", "somebody:latest"))
    try:
        await driver.cluster.pull("127.0.0.1:1/nobody:latest", {}, told.append)
    except ClusterError:
        return
    assert any(message.error for message in told)
