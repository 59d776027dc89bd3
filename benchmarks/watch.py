"""How soon a watch of a thousand nodes in etcd notices a change, beside one listing of them all.

A watch that notices has listed them again: that is its cost and its floor. Needs etcd.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

from walkthroughs.swarm.etcd import Etcd, open_etcd
from walkthroughs.swarm.kv import StoreError
from walkthroughs.swarm.world import World

NODES = 1_000
CHANGES = 30
START = 20.0
"""Seconds that etcd may take to start."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def etcd(program: str) -> Iterator[str]:
    """Run an etcd that has both APIs; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    url, peer = f"http://{address}", f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(program, "--data-dir", folder, "--enable-v2=true", "--log-level", "error"),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]
        quiet = subprocess.DEVNULL
        running = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        try:
            yield address
        finally:
            running.kill()
            running.wait()


async def filled(address: str, api: str) -> Etcd:
    """Return a store with the nodes in it, once etcd answers."""
    store = open_etcd([address], None, {"kv.api": api}, World())
    end = time.monotonic() + START
    for number in range(NODES):
        while True:
            try:
                await store.put(f"nodes/{number:04}", f"10.0.0.1:{number}", 600)
                break
            except StoreError:
                if time.monotonic() > end:
                    raise
    return store


async def measured(store: Etcd) -> tuple[list[float], list[float]]:
    """Return seconds until each change was noticed, and seconds of a listing after each."""
    noticed: list[float] = []
    listed: list[float] = []
    async with aclosing(store.watch_tree("nodes")) as changes:
        assert len(await anext(changes)) == NODES
        for number in range(CHANGES):
            coming = asyncio.ensure_future(anext(changes))
            # The watch has sent its request when a listing of ours, sent later, is answered.
            await store.list("nodes")
            begin = time.perf_counter()
            await store.put("nodes/0000", f"10.0.0.2:{number}", 600)
            assert f"10.0.0.2:{number}" in await coming
            noticed.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            await store.list("nodes")
            listed.append(time.perf_counter() - begin)
    return noticed, listed


def main() -> None:
    """Print both, for both APIs of etcd, and the ratio."""
    head = "noticed (at most 100 ms)    a listing   ratio"
    print(f"a watch of {NODES:,} nodes   {head}")
    if not (program := shutil.which("etcd")):
        print("  not measured: etcd is not on this machine")
        return
    with etcd(program) as address:
        for api in ("v2", "v3"):
            noticed, listed = asyncio.run(run(address, api))
            usual, floor = statistics.median(noticed), statistics.median(listed)
            worst = f"{usual * 1e3:8.1f} ms, worst {max(noticed) * 1e3:5.1f}"
            print(f"  etcd {api:<17} {worst} {floor * 1e3:11.1f} ms {usual / floor:7.1f}")


async def run(address: str, api: str) -> tuple[list[float], list[float]]:
    """Fill a store and measure it, on one loop."""
    return await measured(await filled(address, api))


if __name__ == "__main__":
    main()
