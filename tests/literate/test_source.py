"""Cutting a module's text: every line in one part, each part under the name a writer expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate.problems import PressError
from literate.source import Source, UnknownSymbol

if TYPE_CHECKING:
    from conftest import Toy

CUTS = {
    "a module": (
        '"""Doc."""\n\nimport a\nfrom b import c\n\nONE = 1\n\n\ndef f():\n    pass\n',
        {
            "the docstring": '"""Doc."""\n',
            "the imports": "import a\nfrom b import c\n",
            "ONE": "ONE = 1\n",
            "f": "def f():\n    pass\n",
        },
    ),
    "comments and decorators go with what they stand above": (
        (
            "# About f.\n@one\n@two(\n    3\n)\ndef f():\n    pass\n\n\n"
            "# About g.\n\n# More.\nasync def g():\n    pass\n"
        ),
        {
            "f": "# About f.\n@one\n@two(\n    3\n)\ndef f():\n    pass\n",
            "g": "# About g.\n\n# More.\nasync def g():\n    pass\n",
        },
    ),
    "comments at the end go with what they stand below": (
        "def f(): pass\n\n# The end.\n",
        {"f": "def f(): pass\n\n# The end.\n"},
    ),
    "overloads are one part": (
        "@overload\ndef f(x: int): ...\n@overload\ndef f(x: str): ...\ndef f(x):\n    return x\n",
        {
            "f": (
                "@overload\ndef f(x: int): ...\n@overload\ndef f(x: str): ...\n"
                "def f(x):\n    return x\n"
            )
        },
    ),
    "what repeats a name belongs to the part above it": (
        "x = 1\n\n\ndef f(): pass\n\n\nx = 2\n\n\nclass f:\n    def m(self): pass\n",
        {"x": "x = 1\n", "f": "def f(): pass\n\n\nx = 2\n\n\nclass f:\n    def m(self): pass\n"},
    ),
    "statements on one line are one part": (
        "x = 1; y = 2\nz = [\n    1,\n]; w = 2; v = [\n    3,\n]\n",
        {"x": "x = 1; y = 2\n", "z": "z = [\n    1,\n]; w = 2; v = [\n    3,\n]\n"},
    ),
    "what has no name belongs to the part above it": (
        (
            "import a\n\nif TYPE_CHECKING:\n    import b\n\nX = 1\n"
            "'''About X.'''\n\nX += 1\nprint(X)\n"
        ),
        {
            "the imports": "import a\n\nif TYPE_CHECKING:\n    import b\n",
            "X": "X = 1\n'''About X.'''\n\nX += 1\nprint(X)\n",
        },
    ),
    "what has no name and nothing above it": (
        "if 1:\n    import a\nimport b\n",
        {"the start": "if 1:\n    import a\n", "the imports": "import b\n"},
    ),
    "an import below the first definition has no name": (
        "def f(): pass\n\n\nimport a\n",
        {"f": "def f(): pass\n\n\nimport a\n"},
    ),
    "assignments": (
        "A: int = 1\nB, C = 2, 3\n(D, E) = 4, 5\nF = G = 6\nH: str\na.b = 7\n",
        {
            "A": "A: int = 1\n",
            "B": "B, C = 2, 3\n",
            "D": "(D, E) = 4, 5\n",
            "F": "F = G = 6\n",
            "H": "H: str\na.b = 7\n",
        },
    ),
    "blank lines with blanks": ("A = 1\n  \n\t\nB = 2\n   \n", {"A": "A = 1\n", "B": "B = 2\n"}),
    "a form feed ends no line": (
        'A = "\x0c"\n\x0c\nB = "\x1c\u2028\x85"\nC = 3\n',
        {"A": 'A = "\x0c"\n', "B": 'B = "\x1c\u2028\x85"\n', "C": "C = 3\n"},
    ),
    "no line end at the end": ("A = 1", {"A": "A = 1\n"}),
    "comments alone": ("# One.\n\n# Two.\n", {"the start": "# One.\n\n# Two.\n"}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize(("text", "parts"), CUTS.values(), ids=CUTS)
def test_a_module_is_cut_by_symbol(text: str, parts: dict[str, str]) -> None:
    source = Source(text, "m.py")
    assert {part.name: part.text for part in source.parts} == parts
    assert "".join(line for part in source.parts for line in part.lines) == text
    lines = text.split("\n")
    for part in source.parts:
        assert "\n".join(lines[part.start - 1 : part.end]) + "\n" == part.text


CLASS = '''\
# About C.
@decorated
class C(
    Base,
):
    """Doc.

    # not a comment"""

    a = 1

    # About b.
    @property
    def b(self):
        return 1

    @b.setter
    def b(self, value):
        pass

    async def c(self):
        pass

    d = c

    class Inner:
        def e(self): pass


class Data:
    x: int


C.late = 1
'''


def test_a_class_is_cut_into_its_head_and_its_methods() -> None:
    source = Source(CLASS, "m.py")
    assert [part.name for part in source.parts] == ["C", "Data"]
    assert {name: [part.name for part in parts] for name, parts in source.classes.items()} == {
        "C": ["class C", "C.b", "C.c", "C.Inner"]
    }
    head, accessors, method, inner = source.classes["C"]
    assert head.text == CLASS[: CLASS.index("\n    # About b.")]
    assert accessors.text == CLASS[CLASS.index("    # About b.") : CLASS.index("\n    async")]
    assert method.text == "    async def c(self):\n        pass\n\n    d = c\n"
    assert inner.text == "    class Inner:\n        def e(self): pass\n"
    assert (head.start, head.end, accessors.start, inner.end) == (1, 10, 12, 27)


HEADS = {
    "a comment above the first method": (
        "class C:\n    # x\n    def f(self): pass\n",
        "class C:\n",
    ),
    "a docstring": ('class C:\n    """D."""\n    def f(self): pass\n', 'class C:\n    """D."""\n'),
    "a docstring that ends like a comment": (
        'class C:\n    """\n    # D."""\n\n    # x\n    def f(self): pass\n',
        'class C:\n    """\n    # D."""\n',
    ),
    "two statements on a line": (
        "class C:\n    a = 1; b = 2\n    def f(self): pass\n",
        "class C:\n    a = 1; b = 2\n",
    ),
}


@pytest.mark.parametrize(("text", "head"), HEADS.values(), ids=HEADS)
def test_the_head_of_a_class_ends_above_its_first_method(text: str, head: str) -> None:
    [first, _] = Source(text, "m.py").classes["C"]
    assert first.text == head


def test_the_constants_are_the_assignments_above_the_first_definition() -> None:
    source = Source("import a\nA = 1\nB = 2\n\n\ndef f(): pass\n\n\nC = 3\n", "m.py")
    assert [part.name for part in source.find("the constants")] == ["A", "B"]
    assert [part.name for part in source.find("C")] == ["C"]


UNKNOWN = {
    "list_ad": "m.py has no 'list_ad'; did you mean list_add or list_add_tail?",
    "list_add_tale": "m.py has no 'list_add_tale'; did you mean list_add_tail or list_add?",
    "Head.entry": "m.py has no 'Head.entry'; did you mean Head.empty or Head?",
    "class Hed": "m.py has no 'class Hed'; did you mean class Head?",
    "the import": "m.py has no 'the import'; did you mean the imports?",
    "the constants": "m.py has no 'the constants'; did you mean the imports?",
    "zzz": "m.py has no 'zzz'",
}


@pytest.mark.parametrize(("name", "message"), UNKNOWN.items())
def test_an_unknown_symbol_suggests_known_ones(name: str, message: str) -> None:
    text = (
        "import a\ndef list_add(): pass\ndef list_add_tail(): pass\n"
        "class Head:\n  def empty(self): pass\n"
    )
    with pytest.raises(UnknownSymbol) as raised:
        Source(text, "m.py").find(name)
    assert str(raised.value) == message


def test_a_function_is_found_by_its_dotted_name() -> None:
    source = Source(
        "class C:\n    def f(self): pass\n    class D:\n        async def g(self): pass\n", "m.py"
    )
    assert [source.function(name).lineno for name in ("C.f", "C.D.g")] == [2, 4]
    for name in ("C", "f", "C.f.g", "C.D"):
        with pytest.raises(UnknownSymbol) as raised:
            source.function(name)
        assert str(raised.value) == f"m.py has no function {name!r} to take the body out of"


UNREADABLE = {
    "a syntax error": (b"x = 1\ny = (\n", "m.py:2: syntax error: '(' was never closed"),
    "no text": (b"x = 1\ny = '\xff'\n", "m.py:2: not UTF-8: the byte 0xff"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_module_that_cannot_be_read_is_reported(toy: Toy, content: bytes, message: str) -> None:
    (toy.root / "m.py").write_bytes(content)
    with pytest.raises(PressError) as raised:
        Source.of(toy.root / "m.py", toy.project)
    assert str(raised.value) == message


SNIPPETS = [
    '"""Doc."""\n',
    "import a\n",
    "from b import (\n    c,\n)\n",
    "if TYPE_CHECKING:\n    import d\n",
    "A = 1\n",
    "B = [\n    1,\n]  # trailing\n",
    "C = 1; D = [\n]\n",
    "'''About the above.'''\n",
    "# A comment.\n",
    "    # An indented comment.\n",
    "\n",
    "   \t\n",
    "\x0c\n",
    "def f(): pass\n",
    "@decorated\nasync def g(x):\n    return x\n\n    # inside\n    # at the end\n",
    "@overload\ndef f(x): ...\n",
    "class E: pass\n",
    (
        'class F:\n    """Doc."""\n\n    a: int\n\n    # Above.\n    @property\n'
        "    def m(self):\n        return 1\n\n"
        "    @m.setter\n    def m(self, x): pass\n\n    a = 2\n\n    async def n(self): pass\n"
    ),
    "class G(\n    E,\n):  # why\n\n    def m(self): pass\n    # end\n",
    "try:\n    import x\nexcept ImportError:\n    x = None\n",
    "S = '''\n# not a comment\ndef neither(): pass\n'''\n",
]


@given(st.lists(st.sampled_from(SNIPPETS)).map("".join))
def test_parts_joined_are_the_module(text: str) -> None:
    source = Source(text, "m.py")
    assert "".join(line for part in source.parts for line in part.lines) == text
    names = [part.name for part in source.parts]
    assert len(set(names)) == len(names)
    for name, members in source.classes.items():
        [whole] = source.find(name)
        assert tuple(line for part in members for line in part.lines) == whole.lines
    for part in source.parts:
        compile(part.text, "m.py", "exec")
