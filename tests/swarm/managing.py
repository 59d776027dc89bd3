"""A manager in a lab: engines, the cluster that discovery makes of them, its API, a client."""

import asyncio
import io
import json
from contextlib import asynccontextmanager
from functools import wraps

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.handler import Context
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.nodes import Nodes
from walkthroughs.swarm.router import new_primary
from walkthroughs.swarm.scheduler import Scheduler

MANAGER = "manager:2375"


class Manager:
    """A manager that hears of changes by events, and a client of its API."""

    def __init__(self, lab, machines, cluster, world, client):
        self.lab, self.cluster, self.client = lab, cluster, client
        self.machines = {machine.name: machine for machine in machines}
        events = cluster.new_api_event_handler()
        status = lambda: [("Role", "primary"), *cluster.info()]  # noqa: E731
        self.context = Context(cluster, world, events, status)
        lab.network.plug(MANAGER, new_primary(self.context))

    async def settle(self):
        """Let everything be said that is being said, in no time."""
        await self.lab.clock.advance(0)

    async def get(self, path, **query):
        """Return the status and the answer: what JSON says, else its text."""
        answer = await self.client.get(path, params=query)
        is_json = answer.headers.get("content-type") == "application/json"
        return answer.status_code, answer.json() if is_json else answer.text

    async def told(self, path, **query):
        """Return what an answer in JSON says."""
        status, answer = await self.get(path, **query)
        assert status == 200, answer
        return answer

    async def filtered(self, path, filters, **query):
        """Return what an answer in JSON says, to a question with filters."""
        return await self.told(path, filters=json.dumps(filters), **query)

    async def names(self, **query):
        """Return the names in `docker ps`, without their node."""
        found = await self.told("/containers/json", **query)
        return [each["Names"][0].rpartition("/")[2] for each in found]

    async def chosen(self, **fields):
        """Return the names in `docker ps -a --filter`, sorted."""
        filters = json.dumps({key.replace("_", "-"): value for key, value in fields.items()})
        return sorted(await self.names(all="1", filters=filters))


@asynccontextmanager
async def manager(*names, options=None, **more):
    """Give a manager of engines with these names; it has found all of them."""
    async with Lab() as lab:
        machines = [
            LabEngine(lab, name, f"10.0.0.{number}:2375", **more).plug()
            for number, name in enumerate(names, 1)
        ]
        world = lab.world("manager", io.StringIO())
        # From 2 to 1 there is nobody.
        nodes = ",".join(each.address for each in machines) or "10.0.0.[2:1]:2375"
        discovery = Nodes(nodes, 60, 180, {}, world)
        scheduler = Scheduler(strategies.new("spread", lab.random), filters.new(filters.FILTERS))
        options = options or EngineOptions()
        cluster = new_cluster(scheduler, None, discovery, [], options, world)
        lab.start("manager", cluster.run())
        await lab.clock.advance(0)
        async with lab.world("client").client(f"http://{MANAGER}") as client:
            yield Manager(lab, machines, cluster, world, client)


def under_management(*names, **options):
    """Return a decorator that runs a test on a manager of these engines."""

    def decorate(test):
        @wraps(test)
        def run():
            async def main():
                async with manager(*names, **options) as managed:
                    await test(managed)

            asyncio.run(main())

        # pytest would take the argument for a fixture.
        del run.__wrapped__
        return run

    return decorate
