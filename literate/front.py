"""A page's front matter: YAML between two lines of ---, with known keys only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import yaml

FRONT_KEYS: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "module": str,
    "description": str,
    "upstream": dict,
    "needs": list,
    "holes": list,
    "requires": str,
    "limit": (int, float),
    "page_limit": (int, float),
}
UPSTREAM_KEYS = {"project", "version", "files", "url"}

Wrong = Callable[[int, str], None]
"""Takes what is wrong, and on which line."""


def read_front(lines: list[str], needed: bool, wrong: Wrong) -> tuple[dict[str, Any], int]:
    """Return the front matter and the number of the first line after it."""
    if not lines or lines[0].rstrip() != "---":
        if needed:
            wrong(1, "the page has no front matter: it starts with --- and names a module")
        return {}, 1
    end = next((i for i, line in enumerate(lines[1:], 2) if line.rstrip() == "---"), None)
    if end is None:
        wrong(1, "the front matter is never closed by a second ---")
        return {}, len(lines) + 1
    front = _yaml("\n".join(lines[1 : end - 1]), wrong)
    if front is not None:
        _check_values(front, lines, wrong)
        if needed:
            _check_keys(front, lines, wrong)
    return front or {}, end + 1


def _yaml(text: str, wrong: Wrong) -> dict[str, Any] | None:
    try:
        loaded: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark: yaml.Mark | None = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).partition("\n")[0]
        wrong(mark.line + 2 if mark else 1, f"bad front matter: {what}")
        return None
    if not isinstance(loaded, dict):
        wrong(2, "bad front matter: it must be `key: value` lines")
        return None
    return cast("dict[str, Any]", loaded)


def key_line(lines: list[str] | tuple[str, ...], key: str) -> int:
    """Return the number of the line on which a front matter key stands, 1 if it does not."""
    return next((i for i, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 1)


def _check_values(front: dict[str, Any], lines: list[str], wrong: Wrong) -> None:
    for key, value in front.items():
        kind = FRONT_KEYS.get(key, object)
        numeric = isinstance(kind, tuple)
        if not isinstance(value, kind) or (numeric and (value is True or value <= 0)):
            wanted = "positive number" if numeric else kind.__name__
            message = f"front matter {key!r} must be a {wanted}, not {value!r}"
            wrong(key_line(lines, key), message)


def _check_keys(front: dict[str, Any], lines: list[str], wrong: Wrong) -> None:
    for key in front.keys() - FRONT_KEYS.keys():
        known = ", ".join(FRONT_KEYS)
        wrong(key_line(lines, key), f"unknown front matter key {key!r} (known: {known})")
    for key in ("title", "module"):
        if key not in front:
            wrong(1, f"the front matter has no {key!r}")
    upstream: Any = front.get("upstream")
    more = (
        set(cast("dict[str, Any]", upstream)) - UPSTREAM_KEYS
        if isinstance(upstream, dict)
        else set[str]()
    )
    if more:
        wrong(key_line(lines, "upstream"), f"unknown upstream keys: {', '.join(sorted(more))}")
