"""Images of many engines: a part of cluster/swarm/cluster.go.

| upstream, methods of `Cluster`            | here, methods of `Images`           |
|-------------------------------------------|-------------------------------------|
| `RANDOMENGINE`                            | `random_engine`                     |
| `Images`, `Image`                         | `images`, `image`                   |
| `RemoveImages`, `TagImage`                | `remove_images`, `tag_image`        |
| `Pull`, `Load`, `Import`                  | `pull`, `load`, `import_image`      |
| `BuildImage`                              | `build_image`                       |
| `convertMapToKVStrings` and back          | `build_config`                      |
"""

import json
from collections.abc import Iterator
from typing import cast

from walkthroughs.swarm import orders
from walkthroughs.swarm.cluster import (
    Auth,
    Callback,
    ClusterError,
    Image,
    Message,
    Query,
    Source,
)
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.everywhere import every, hand_out, together, told
from walkthroughs.swarm.filters import Node
from walkthroughs.swarm.orders import Progress
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World


def build_config(query: Query) -> tuple[ContainerConfig, Query]:
    """Return what a build asks of the scheduler, and its query without the wishes."""
    arguments = build_arguments(query.get("buildargs", ""))
    keys = {f"{key}={value or ''}": key for key, value in arguments.items()}
    host = {key: number(query.get(key.lower(), "")) for key in ("CpuShares", "Memory")}
    config = ContainerConfig.build({"Env": list(keys), "HostConfig": host})
    kept = {keys[each]: arguments[keys[each]] for each in config.env}
    return config, {**query, "buildargs": json.dumps(kept)}


def build_arguments(text: str) -> dict[str, str | None]:
    """Return the build args in JSON; {} for what is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("JSON", found) if isinstance(found, dict) else {}


def number(text: str) -> int:
    """Return a number of decimal digits; 0 for what is none. (`int64ValueOrZero`)"""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


class Images:
    """Engines with images, for a class that has the engines."""

    world: World
    engines: dict[str, Engine]
    """By id."""
    scheduler: Scheduler

    def list_nodes(self) -> list[Node]:
        """Return the engines as the scheduler sees them."""
        raise NotImplementedError

    def select(self, config: ContainerConfig) -> list[Node]:
        """Return the nodes that a container may go to, the best first."""
        return self.scheduler.select_nodes_for_container(self.list_nodes(), config)

    def place(self, config: ContainerConfig) -> Engine:
        """Return the best engine for a container; raise `ClusterError`."""
        return self.engines[self.select(config)[0].id]

    def random_engine(self) -> Engine:
        """Return an engine for what any can do: where a bare container would go."""
        return self.place(ContainerConfig({}))

    def on_node(self, name: str) -> Engine:
        """Return the engine that a user has named; raise `ClusterError`."""
        wish = {"Env": [f"constraint:node=={name}"]}
        return self.place(ContainerConfig.build(wish))

    def images(self) -> list[Image]:
        engines = self.engines.values()
        return [image for engine in engines for image in engine.inventory.images]

    def image(self, id_or_name: str) -> Image | None:
        """Return one such image, of whichever engine."""
        return next(self._matching(id_or_name), None)

    def _matching(self, name: str) -> Iterator[Image]:
        return (image for image in self.images() if name and image.match(name))

    async def remove_images(self, name: str, force: bool) -> list[JSON]:
        """Remove an image wherever it is; return what was removed."""
        engines = [image.engine for image in self._matching(name)]
        removed = await every(engines, lambda e: orders.remove_image(e, name, force))
        return [item for items in removed for item in items]

    async def tag_image(self, id_or_name: str, reference: str) -> None:
        """Give an image one more name wherever it is."""
        engines = [image.engine for image in self._matching(id_or_name)]
        if not engines:
            raise ClusterError(f"No such image: {id_or_name}")
        await every(engines, lambda e: orders.tag_image(e, id_or_name, reference))

    async def pull(self, name: str, auth: Auth, callback: Callback) -> None:
        """Pull an image on every engine; the callback hears what comes of it."""

        async def pull_on(engine: Engine) -> None:
            callback(Message(engine.name))
            await told(engine, callback, lambda p: orders.pull(engine, name, auth, p))

        await together(map(pull_on, list(self.engines.values())))

    async def load(self, source: Source, callback: Callback) -> None:
        """Hand an archive of images to every engine, while it comes in."""

        def but_the_end(message: Message) -> None:
            # A client would show it as one more line.
            if message.raw or message.error:
                callback(message)

        engines = list(self.engines.values())
        await hand_out(engines, source, orders.load, "Load", but_the_end)

    async def import_image(
        self, query: Query, source: Source, callback: Callback
    ) -> None:
        """Make an image of a file system on every engine, while it comes in."""

        async def order(engine: Engine, part: Source, progress: Progress) -> None:
            await orders.import_image(engine, query, part, progress)

        engines = list(self.engines.values())
        await hand_out(engines, source, order, "Import", callback)

    async def build_image(
        self, query: Query, auth: str, source: Source, callback: Callback
    ) -> None:
        """Build an image on one engine, which a build may have wishes about.

        The callback hears how it went; raise `ClusterError` where there is no engine.
        """
        config, query = build_config(query)
        engine = self.place(config)
        await told(
            engine,
            callback,
            lambda p: orders.build_image(engine, query, auth, source, p),
        )
