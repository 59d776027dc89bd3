"""What `Entries.diff` costs, beside the original's algorithm on the same input, both in Python.

The original looks through one list for each entry of the other. One entry in a hundred has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from benchmarks.press import best
from walkthroughs.swarm.discovery import Entries, Entry

Diff: TypeAlias = Callable[[Entries, Entries], tuple[Entries, Entries]]

OURS = 1_000, 10_000
UPSTREAM = 200, 2_000


def upstream_diff(old: Entries, new: Entries) -> tuple[Entries, Entries]:
    """Return what was added and removed, found as `Entries.Diff` of v1.2.9 finds it."""
    added = Entries(entry for entry in new if not old.contains(entry))
    return added, Entries(entry for entry in old if not new.contains(entry))


def cluster(count: int, changed: bool) -> Entries:
    """Return entries; if they are `changed`, one in a hundred has another port."""
    ports = ("2376" if changed and n % 100 == 0 else "2375" for n in range(count))
    return Entries(Entry(f"node-{n}", port) for n, port in enumerate(ports))


def seconds(diff: Diff, count: int) -> float:
    """Return what a diff of `count` entries takes."""
    old, new = cluster(count, changed=False), cluster(count, changed=True)
    return best(lambda: diff(old, new))


def growth(name: str, diff: Diff, counts: tuple[int, int]) -> None:
    """Print what ten times as many entries cost."""
    small, large = (seconds(diff, count) for count in counts)
    entries = " and ".join(f"{count:,}" for count in counts)
    times = f"{small * 1e3:8.2f} ms {large * 1e3:8.2f} ms {large / small:8.1f}"
    print(f"  {name:<14} {entries:<17} {times}")


def main() -> None:
    """Print how both grow, and how far apart they are on one input."""
    print("a diff           entries                 less        more    ratio (10 is linear)")
    growth("ours", Entries.diff, OURS)
    growth("the original's", upstream_diff, UPSTREAM)
    count = UPSTREAM[1]
    old, new = cluster(count, changed=False), cluster(count, changed=True)
    assert old.diff(new) == upstream_diff(old, new)
    ratio = seconds(upstream_diff, count) / seconds(Entries.diff, count)
    print(f"  of {count:,} entries the original's takes {ratio:.0f} times as long")
