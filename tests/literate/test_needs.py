"""What a machine has, and what it lacks."""

from __future__ import annotations

import sys

import pytest

from literate import needs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sh", True),
        ("no-such-program", False),
        ("linux", sys.platform == "linux"),
        ("python:json", True),
        ("python:json.tool", True),
        ("python:no_such_module", False),
        ("python:no_such_package.module", False),
    ],
)
def test_a_name_is_a_program_a_check_or_a_module(name: str, expected: bool) -> None:
    assert needs.has(name) is expected


def test_a_check_decides_for_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.CHECKS, "sh", lambda: False)
    assert needs.lacking(["sh"]) == "this machine lacks sh"


def test_everything_that_is_missing_is_named() -> None:
    assert needs.lacking(["sh", "python:json"]) == ""
    assert needs.lacking(["no-a", "sh", "no-b"]) == "this machine lacks no-a, no-b"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("0", False), ("", False)])
def test_real_peers_can_be_required(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv(needs.REQUIRE_REAL, value)
    assert needs.real_required() is expected
