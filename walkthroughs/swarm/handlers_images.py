"""What the API answers about images: a part of api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `getImageRef`                             | `image_ref`                         |
| `r.Form`                                  | `query_of`                          |
| `postImagesCreate`                        | `post_images_create`                |
| `postImagesLoad`                          | `post_images_load`                  |
| `MatchImageOSError`, `postBuild`          | `build_status`, `post_build`        |
| `proxyImage`, `proxyImageGet`             | `proxy_image`, `proxy_image_get`    |
| `proxyImagePush`, `getImages`             | `proxy_image_push`, `get_images`    |
| `postTagImage`, `deleteImages`            | `post_tag_image`, `delete_images`   |

A pull, an import, a load and a build take minutes, and are answered by a `Report`.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from walkthroughs.swarm.cluster import Callback, ClusterError, Message, Query, Source
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.go_json import read_auth
from walkthroughs.swarm.handler import Context, HTTPError, bool_value, path_to, reply
from walkthroughs.swarm.proxy import proxy
from walkthroughs.swarm.report import Report

BASE_OS = re.compile('image operating system "(.+)" cannot be used on this platform')

REPEATED = {"changes", "extrahosts", "securityopt", "t"}
"""What a query may hold more than once; of the rest, an engine takes the first."""


def said(message: Message) -> str:
    """Return what went wrong on an engine, or else how it goes there."""
    return message.error or str((message.raw or {}).get("status") or "")


def titled(title: str, message: Message) -> str:
    """Return how it goes, after a title."""
    text = said(message)
    return f"{title} : {text}" if text else title


def image_ref(repo: str, tag: str) -> str:
    """Return `repo:tag`, or `repo@digest`, whichever of the two a tag is."""
    if not tag:
        return repo
    return f"{repo}@{tag}" if ":" in tag else f"{repo}:{tag}"


def query_of(request: Request) -> Query:
    """Return the query as an engine would read it."""
    query = request.query_params
    return {
        key: query.getlist(key) if key in REPEATED else query.getlist(key)[0]
        for key in query
    }


async def post_images_create(context: Context, request: Request) -> Response:
    """Pull an image from a registry on every engine, or import one."""
    query = query_of(request)
    return (pull if query.get("fromImage") else import_image)(context, request, query)


def pull(context: Context, request: Request, query: Query) -> Response:
    name, auth = image_ref(query["fromImage"], query.get("tag", "")), read_auth(request)
    title = f"Pulling {name}..."

    async def order(source: Source, callback: Callback) -> None:
        # Nobody wants a body here, but whoever sends one is not yet seen to leave.
        async for _ in source:
            pass
        await context.cluster.pull(name, auth, callback)

    return Report(order, lambda message: titled(title, message), some_will_do=True)


def import_image(context: Context, request: Request, query: Query) -> Response:
    async def order(source: Source, callback: Callback) -> None:
        await context.cluster.import_image(query, source, callback)

    return Report(order, said)


async def post_images_load(context: Context, request: Request) -> Response:
    """Hand an archive of images to every engine, while it comes in."""
    return Report(context.cluster.load, lambda each: titled("Loading Image...", each))


def build_status(message: Message) -> str:
    """Return what would help a build whose base is for another system."""
    if not (found := BASE_OS.search(message.error)):
        return ""
    hint = f"--build-arg 'constraint:ostype=={found[1]}'"
    return f"Could not build image: {message.error}. Consider using {hint}"


async def post_build(context: Context, request: Request) -> Response:
    """Build an image on one engine."""
    query, auth = query_of(request), request.headers.get("x-registry-config", "")

    async def order(source: Source, callback: Callback) -> None:
        await context.cluster.build_image(query, auth, source, callback)

    return Report(order, build_status)


def engine_with(context: Context, *names: str) -> Engine:
    """Return a healthy engine that has an image: by its first name, or else the next.

    Raise `HTTPError`.
    """
    images = [each for each in context.cluster.images() if each.engine.is_healthy()]
    for name in names:
        for image in images:
            if image.match(name):
                return image.engine
    raise HTTPError(404, f"No such image: {names[-1]}")


async def proxy_image(context: Context, request: Request) -> Response:
    """Have an engine tell about an image."""
    name = request.path_params["name"]
    # Without a tag, an engine takes it for the latest; an id has none.
    engine = engine_with(context, f"{name}:latest", name)
    return await proxy(engine, request, path_to(request, name))


async def proxy_image_get(context: Context, request: Request) -> Response:
    """Have an engine send an image; without a tag, all of that name."""
    name = request.path_params["name"]
    return await proxy(engine_with(context, name), request, path_to(request, name))


async def proxy_image_push(context: Context, request: Request) -> Response:
    """Have an engine push an image to a registry; without a tag, all of that name."""
    name, tag = request.path_params["name"], query_of(request).get("tag", "")
    wanted = f"{name}:{tag}" if tag else name
    # What is on Docker Hub has a long name to clients, and to engines a short one.
    short = wanted.removeprefix("docker.io/").removeprefix("library/")
    engine = engine_with(context, short, wanted)
    return await proxy(engine, request, path_to(request, name))


async def get_images(context: Context, request: Request) -> Response:
    """Have an engine send several images, all of which it has."""
    names = request.query_params.getlist("names")
    images = [each for each in context.cluster.images() if each.engine.is_healthy()]
    for engine in dict.fromkeys(image.engine for image in images):
        here = [image for image in images if image.engine is engine]
        if all(any(image.match(name) for image in here) for name in names):
            return await proxy(engine, request, path_to(request, ""))
    why = "Unable to find a healthy engine containing all images"
    raise HTTPError(404, f"{why}: [{' '.join(names)}]")


async def post_tag_image(context: Context, request: Request) -> Response:
    """Give an image one more name, on every engine that has it."""
    name, query = request.path_params["name"], query_of(request)
    reference = image_ref(query.get("repo", ""), query.get("tag", ""))
    try:
        await context.cluster.tag_image(name, reference)
    except ClusterError as error:
        if str(error).startswith("No such image"):
            raise HTTPError(404, str(error)) from None
        raise
    return Response(status_code=201)


async def delete_images(context: Context, request: Request) -> Response:
    """Remove an image from every engine that has it."""
    name = request.path_params["name"]
    removed = await context.cluster.remove_images(name, bool_value(request, "force"))
    if not removed:
        raise HTTPError(404, f"No such image {name}")
    return reply(removed)
