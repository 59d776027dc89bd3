"""What it costs to find a handler, beside routers that try their patterns in turn.

gorilla/mux is the original's own: `REF_GOPATH` names the GOPATH that has the original's source, and
Go has to be on the machine. Starlette's is the one that a program like ours would take. All have
the same 59 routes twice, with a version before them and without, in the same random order, because
the original's order is that of a Go map. A figure is the mean over all requests of a kind.

The dispatch is all that our manager does from the server's call to the call of a handler.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.routing import Router as InTurn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walkthroughs.swarm.events import APIEventHandler, EventHandlers
from walkthroughs.swarm.handler import Context
from walkthroughs.swarm.router import Primary, Router, routes
from walkthroughs.swarm.world import World

Asked: TypeAlias = list[tuple[str, str]]
"""Methods, and paths or patterns."""
Kinds: TypeAlias = dict[str, Asked]

TABLE = [(method, route) for method, mappings in routes.items() for route in mappings]
NAME = "0a1b2c3d4e5f"
VENDORED = "src/github.com/docker/swarm/vendor/github.com/gorilla"
TIMES, ROUNDS = 500, 15
LIMIT = 3e-6
"""Seconds that a dispatch may take."""

GO = """
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/mux"
)

type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

func main() {
	var given struct {
		Routes, Asked [][2]string
		Times, Rounds int
	}
	json.NewDecoder(os.Stdin).Decode(&given)
	router := mux.NewRouter()
	for _, route := range given.Routes {
		nothing := func(http.ResponseWriter, *http.Request) {}
		router.Path(route[1]).Methods(route[0]).HandlerFunc(nothing)
	}
	took := []float64{}
	for _, each := range given.Asked {
		request, _ := http.NewRequest(each[0], each[1], nil)
		best := time.Hour
		for round := 0; round < given.Rounds; round++ {
			begin := time.Now()
			for i := 0; i < given.Times; i++ {
				router.ServeHTTP(nowhere{http.Header{}}, request)
			}
			if passed := time.Since(begin); passed < best {
				best = passed
			}
		}
		took = append(took, best.Seconds()/float64(given.Times))
	}
	json.NewEncoder(os.Stdout).Encode(took)
}
"""


def kinds() -> Kinds:
    """Return what is asked."""
    plain = [each for each in TABLE if "{" not in each[1]]
    named = [(method, re.sub("{.*}", NAME, path)) for method, path in TABLE if "{" in path]
    unknown = [("GET", path) for path in ("/nonsense", f"/containers/{NAME}/nonsense")]
    found = {"words": plain, "a variable": named, "unknown": unknown}
    return found | {
        f"{kind}, with a version": [(method, f"/v1.24{path}") for method, path in asked]
        for kind, asked in found.items()
    }


def in_random_order(version: str, variable: str) -> Asked:
    """Return all routes in another router's words."""
    routes = [
        (method, prefix + re.sub("{(.*)}", variable, route))
        for method, route in TABLE
        for prefix in (version, "")
    ]
    Random(1).shuffle(routes)
    return routes


def scope_of(method: str, path: str) -> Scope:
    """Return a request as our server announces it."""
    raw = {"raw_path": path.encode(), "query_string": b"", "root_path": ""}
    return {"type": "http", "method": method, "path": path, "headers": [], **raw}


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


async def handler(context: Context, request: Request) -> Response:
    """Be found."""
    return nothing  # type: ignore


async def receive() -> Message:
    raise AssertionError("nobody asks for a body")


async def send(message: Message) -> None:
    """Let the answer to an unknown path go."""


class Found:
    """An application for a router that treats functions as something else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds that a call takes, in the quickest of some rounds."""
    took: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(TIMES):
            await work()
        took.append(time.perf_counter() - begin)
    return min(took) / TIMES


def our_router() -> Router:
    router = Router()
    for method, route in TABLE:
        router.add(method, route, handler)
    return router


async def matching(asked: Asked) -> list[float]:
    """Return what our router takes for each request."""
    router = our_router()

    async def match(method: str, path: str) -> None:
        router.match(method, path)

    return [await seconds(lambda each=each: match(*each)) for each in asked]


async def dispatching(app: ASGIApp, asked: Asked) -> list[float]:
    """Return what an application takes for each request until a handler is called."""
    scopes = [scope_of(*each) for each in asked]
    return [
        await seconds(lambda scope=scope: app({**scope}, receive, send))  # type: ignore
        for scope in scopes
    ]


def primary() -> Primary:
    context = Context(EventHandlers(), World(), APIEventHandler(), list)  # type: ignore
    return Primary(context, our_router(), enable_cors=False)


class Dotted(StringConvertor):
    """A version, as the original's pattern has it."""

    regex = "[0-9]+.[0-9]+"


def starlette() -> InTurn:
    register_url_convertor("dotted", Dotted())
    table = in_random_order("/v{version:dotted}", r"{\1:path}")
    return InTurn([Route(path, Found(), methods=[method]) for method, path in table])


def gorilla(asked: Asked) -> list[float] | None:
    """Return what gorilla/mux takes for each request, or None where it cannot be had."""
    source = Path(os.environ.get("REF_GOPATH", ""), VENDORED)
    if not (go := shutil.which("go")) or not source.is_dir():
        return None
    table = in_random_order("/v{version:[0-9]+.[0-9]+}", r"{\1:.*}")
    given = {"Routes": table, "Asked": asked, "Times": TIMES, "Rounds": ROUNDS}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, Path(folder, "src/github.com/gorilla"))
        program = Path(folder, "router.go")
        program.write_text(GO)
        settings = {**os.environ, "GOPATH": folder, "GO111MODULE": "off", "GOFLAGS": ""}
        done = subprocess.run(
            [go, "run", program],
            env={**settings, "GOCACHE": f"{folder}/cache"},
            input=json.dumps(given),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


def show(kind: str, figures: list[float | None]) -> None:
    """Print a line of the table: the last but one is the dispatch, the last gorilla/mux."""
    shown = [f"{each * 1e6:10.2f} µs" if each else f"{'-':>13}" for each in figures]
    dispatch, other = figures[1], figures[-1]
    ratio = f"{other / dispatch:8.1f}" if other and dispatch else ""
    print(f"  {kind:<26}{''.join(shown)}{ratio}")


async def main_task() -> None:
    asked = kinds()
    everything = [each for kind in asked.values() for each in kind]
    columns = [
        await matching(everything),
        await dispatching(primary(), everything),
        await dispatching(starlette(), everything),
        gorilla(everything),
    ]
    head = "Router.match     dispatch    Starlette  gorilla/mux   ratio"
    print(f"a route of {len(TABLE)}              {head}")
    begin = 0
    for kind, requests in asked.items():
        part = slice(begin, begin := begin + len(requests))
        show(kind, [statistics.fmean(each[part]) if each else None for each in columns])
    show("all of them", [statistics.fmean(each) if each else None for each in columns])
    slowest, request = max(zip(columns[1] or [], everything, strict=True))
    share = f"{slowest * 1e6:.2f} µs, {slowest / LIMIT:.2f} of what is allowed"
    print(f"  the slowest dispatch is {' '.join(request)}: {share}")
    if not columns[-1]:
        print("  gorilla/mux is not measured: REF_GOPATH does not name it, or there is no Go")


def main() -> None:
    """Print the table."""
    asyncio.run(main_task())


if __name__ == "__main__":
    main()
