"""A list on a hub, behind a token: discovery/token of Swarm v1.2.9.

| HTTP                                | here                                     |
|-------------------------------------|------------------------------------------|
| `POST /v1/clusters`                 | `create_cluster` (`CreateCluster`)       |
| `GET /v1/clusters/TOKEN`            | `Token.fetch`                            |
| `POST /v1/clusters/TOKEN?ttl=180`   | `Token.register`                         |
"""

import json
import re
from collections.abc import AsyncGenerator
from typing import TypeGuard, cast

from walkthroughs.swarm.discovery import (
    DiscoveryError,
    Entries,
    Options,
    Report,
    create_entries,
    poll,
)
from walkthroughs.swarm.golang import quote
from walkthroughs.swarm.world import Answer, NoAnswer, World, ask

DISCOVERY_URL = "https://discovery.hub.docker.com/v1"
"""Docker's own hub, which no longer answers."""

HINT = (
    "(Docker has switched its public hub off. Start one with 'swarm hub', "
    "and name it with --hub or SWARM_HUB)"
)


def hub_url(hub: str) -> str:
    """Return where the API of a hub is; "" is Docker's. Raise `DiscoveryError`."""
    if not hub:
        return DISCOVERY_URL
    if not re.match(r"https?://[^/]", hub):
        raise DiscoveryError(f"the hub is a URL, such as http://127.0.0.1:2370: {hub}")
    return hub.rstrip("/").removesuffix("/v1") + "/v1"


async def request(
    world: World, method: str, url: str, content: str | None = None
) -> Answer:
    """Ask a hub; raise `DiscoveryError` when it cannot be reached."""
    headers = {"Content-Type": "application/json"} if content else {}
    try:
        async with world.client(url) as client:
            return await ask(client, method, url, content=content, headers=headers)
    except NoAnswer as error:
        hint = f" {HINT}" if url.startswith(DISCOVERY_URL) else ""
        raise DiscoveryError(f"{error}{hint}") from None


def shown(body: bytes) -> str:
    """Return the first words of a body, without what would steer a terminal."""
    text = " ".join(body[:200].decode(errors="replace").split())
    return "".join(filter(str.isprintable, text))


def refused(what: str, answer: Answer, said: str = "") -> DiscoveryError:
    """Return the error for a status that is none of success."""
    why = f"Discovery service returned {answer.status} HTTP status code"
    return DiscoveryError(f"Failed to {what}, {why}{': ' if said else ''}{said}")


async def create_cluster(hub: str, world: World) -> str:
    """Ask a hub for the token of a new cluster; raise `DiscoveryError`."""
    answer = await request(world, "POST", f"{hub_url(hub)}/clusters")
    if answer.status >= 300:
        raise refused("create a cluster", answer, shown(answer.body))
    token = answer.body.decode(errors="replace").strip()
    # The original prints whatever has come back.
    if not re.fullmatch(r"[-\w]{1,128}", token, re.ASCII):
        what = f"{quote(shown(answer.body))} is no token"
        raise DiscoveryError(f"Failed to create a cluster, {what}")
    return token


def is_list_of_text(value: object) -> TypeGuard[list[str]]:
    """Tell whether decoded JSON is a list of strings."""
    return isinstance(value, list) and all(
        isinstance(each, str) for each in cast(list[object], value)
    )


class Token:
    """`token://TOKEN` on the hub of `token.hub`, or `token://host/path/TOKEN`."""

    def __init__(
        self, uri: str, heartbeat: float, ttl: float, options: Options, world: World
    ) -> None:
        place, slash, self.token = uri.rpartition("/")
        base = f"https://{place}" if slash else hub_url(options.get("token.hub", ""))
        if not self.token:
            raise DiscoveryError("token is empty")
        self.url = f"{base}/clusters/{self.token}"
        self.heartbeat = heartbeat
        self.ttl = ttl
        self.world = world

    async def fetch(self) -> Entries:
        """Return what the hub lists now; raise `DiscoveryError`."""
        answer = await request(self.world, "GET", self.url)
        if answer.status != 200:
            raise refused("fetch entries", answer)
        try:
            addresses = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise DiscoveryError(f"Failed to decode response: {error}") from None
        if addresses is None:
            # What a server in Go writes for a list without elements.
            return Entries()
        if not is_list_of_text(addresses):
            raise DiscoveryError("Failed to decode response: not a list of addresses")
        return create_entries(addresses)

    def watch(self) -> AsyncGenerator[Report, None]:
        """Yield the list, and again when it differs from the last that was fetched."""
        return poll(self.fetch, self.heartbeat, self.world)

    async def register(self, address: str) -> None:
        """Be in the list for the TTL, in whole seconds; raise `DiscoveryError`."""
        url = f"{self.url}?ttl={int(self.ttl)}"
        answer = await request(self.world, "POST", url, address)
        # The original does not look, and calls a node registered that is not.
        if answer.status >= 300:
            raise refused("register", answer, shown(answer.body))
