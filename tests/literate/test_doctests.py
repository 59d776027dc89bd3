"""The standard library's doctest, as the press uses it."""

from __future__ import annotations

import doctest

import pytest

from literate import doctests
from literate.doctests import TRACEBACK, Outcome, judge, parse


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">>>1\n", "line 1 of the docstring for the block lacks blank after >>>: '>>>1'"),
        (
            ">>> 1  # doctest: +FANCY\n",
            "line 1 of the doctest for the block has an invalid option: '+FANCY'",
        ),
    ],
)
def test_an_ill_formed_example_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="for the block") as raised:
        parse(text)
    assert str(raised.value) == message


def test_options_are_added_to_ours() -> None:
    [example] = parse(">>> 1  # doctest: -ELLIPSIS, +NORMALIZE_WHITESPACE\n...\n1\n")
    expected = doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.NORMALIZE_WHITESPACE
    assert doctests.flags_of(example) == expected


def test_judging_takes_what_a_terminal_shows() -> None:
    [example] = parse(f">>> f()\n{TRACEBACK}    ...\nValueError: a ... b\n")
    assert judge(example, f"printed\n{TRACEBACK}    ...\nValueError: a or b\n")
    assert not judge(example, "ValueError: a or b\n")


def test_not_yet_is_what_a_check_says() -> None:
    outcome = Outcome(1, "if True:\n    f(2)\n", "4\n", "3\n")
    assert doctests.not_yet(outcome) == (
        "Not yet:\n>>> if True:\n...     f(2)\nExpected:\n    4\nGot:\n    3"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<object object at 0x7f3a>", "<object object at 0x...>"),
        ("LIST_POISON1 is 0xdead000000000100", "LIST_POISON1 is 0xdead000000000100"),
    ],
)
def test_where_an_object_is_in_memory_is_no_news(text: str, expected: str) -> None:
    assert doctests.without_addresses(text) == expected


def test_a_statement_has_prompts() -> None:
    assert doctests.prompted("for i in x:\n    i\n\n    j\n") == (
        ">>> for i in x:\n...     i\n...\n...     j\n"
    )
