"""What is done to containers on Swarm's own account: api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `postContainersCreate`                    | `post_containers_create`            |
| `postContainersStart`                     | `post_containers_start`             |
| `postRenameContainer`                     | `post_rename_container`             |
| `deleteContainers`                        | `delete_containers`                 |
| `postContainersExec`                      | `post_containers_exec`              |
| `postCommit`                              | `post_commit`                       |

Everything else that is done to a container is its engine's business: see `proxy`.
"""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import ContainerConfig, consolidate
from walkthroughs.swarm.go_json import CONTAINER_CREATE, EXEC, read_auth, read_json
from walkthroughs.swarm.handler import (
    Context,
    HTTPError,
    bool_value,
    form_value,
    path_to,
    read_body,
    reply,
)
from walkthroughs.swarm.orders import called
from walkthroughs.swarm.proxy import container_of, named, proxy

NO_SWAPPINESS = -1
"""The engine is to choose how readily memory is swapped."""

EXECS_KEPT = 10_000
"""Of so many commands, the latest, it is known where they were to run."""


async def post_containers_create(context: Context, request: Request) -> Response:
    """Have the scheduler place a container."""
    raw = consolidate(await read_json(request, CONTAINER_CREATE))
    raw["HostConfig"].setdefault("MemorySwappiness", NO_SWAPPINESS)
    config = ContainerConfig.build(raw)
    try:
        config.validate()
    except ValueError as error:
        raise HTTPError(500, str(error)) from None
    name = form_value(request, "name")
    container = await context.cluster.create_container(config, name, read_auth(request))
    return reply({"Id": container.id}, 201)


def find(context: Context, request: Request, missing: str) -> Container:
    """Return whom the path means; raise `HTTPError`, in the words of one handler."""
    name = request.path_params["name"]
    if container := context.cluster.container(name):
        return container
    raise HTTPError(404, missing.format(name))


async def post_containers_start(context: Context, request: Request) -> Response:
    """Start a container; that it runs already is fine."""
    container = find(context, request, "No such container {}")
    # Clients before API 1.24 send a configuration, and have to be rid of it.
    await read_body(request)
    await context.cluster.start_container(container)
    return Response(status_code=204)


async def post_rename_container(context: Context, request: Request) -> Response:
    container = container_of(context, request)
    new_name = form_value(request, "name")
    await context.cluster.rename_container(container, new_name)
    return Response(status_code=204)


async def delete_containers(context: Context, request: Request) -> Response:
    """Remove a container, by `force` a running one, with `v` its volumes, too."""
    container = find(context, request, "Container {} not found")
    force, volumes = bool_value(request, "force"), bool_value(request, "v")
    await context.cluster.remove_container(container, force, volumes)
    return Response(status_code=204)


async def post_containers_exec(context: Context, request: Request) -> Response:
    """Prepare a command for a container; it is started by its id."""
    container = find(context, request, "No such container {}")
    command = await read_json(request, EXEC)
    if not command.get("Cmd"):
        raise HTTPError(400, "No exec command specified")
    path = f"/containers/{container.id}/exec"
    made = await container.engine.ask("POST", path, body=command)
    exec_id = called(made, "Id")
    remember(context, exec_id, container)
    return reply({"Id": exec_id}, 201)


def remember(context: Context, exec_id: str, container: Container) -> None:
    """Know where a command was to run, after its engine lists it no more."""
    execs: dict[str, str] = context.memory.setdefault("execs", {})
    execs[exec_id] = container.id
    if len(execs) > EXECS_KEPT:
        del execs[next(iter(execs))]


async def post_commit(context: Context, request: Request) -> Response:
    """Have an engine make an image of a container, which is named in the query."""
    container = named(context, form_value(request, "container"))
    said = request.query_params.multi_items()
    rest = [(key, value) for key, value in said if key != "container"]
    query = urlencode([("container", container.id), *rest])
    engine = container.engine

    async def refresh(status: int) -> None:
        if status == 201:
            await engine.inventory.refresh_images()

    path = path_to(request, "")
    return await proxy(engine, request, path, refresh, query=query.encode())
