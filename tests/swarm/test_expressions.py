"""What Swarm v1.2.9 takes for an expression, and which names it matches."""

import pytest

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.expressions import Expression, compiled, parse_expressions

# text, key, operator, value, soft
EXPRESSIONS = [
    ("NoDe==node1", "NoDe", "==", "node1", False),
    ("no.de==node1", "no.de", "==", "node1", False),
    ("_node==_node1", "_node", "==", "_node1", False),
    ("no-de!=node1", "no-de", "!=", "node1", False),
    ("n1==1", "n1", "==", "1", False),
    ("node==*node*", "node", "==", "*node*", False),
    ("node==/(?i)^[a-b]+c*(n|b)$/", "node", "==", "/(?i)^[a-b]+c*(n|b)$/", False),
    ("node==node 1", "node", "==", "node 1", False),
    ("node==node\n", "node", "==", "node\n", False),
    ("region==~us*", "region", "==", "us*", True),
    ("region!=~us*", "region", "!=", "us*", True),
    ("region===us", "region", "==", "=us", False),
    ("region==!us", "region", "==", "!us", False),
    ("region===~us", "region", "==", "=~us", False),
    ("region==/~us/", "region", "==", "/~us/", False),
    ("image==host:5000/a/b:1", "image", "==", "host:5000/a/b:1", False),
    ("\u017f\u212a==\u017f\u212a", "\u017f\u212a", "==", "\u017f\u212a", False),
]

REFUSED = [
    ("1node", "One of operator ==, != is expected"),
    ("node=node1", "One of operator ==, != is expected"),
    ("node=!node1", "One of operator ==, != is expected"),
    ("", "One of operator ==, != is expected"),
    ("1node==a", "Key '1node' is invalid"),
    ("node ==node1", "Key 'node ' is invalid"),
    ("no*de==node1", "Key 'no*de' is invalid"),
    ("no$de==node1", "Key 'no$de' is invalid"),
    ("node\n==node1", "Key 'node\n' is invalid"),
    ("nodé==node1", "Key 'nodé' is invalid"),
    ("\u0131n==node1", "Key '\u0131n' is invalid"),
    ("n==node1", "Key 'n' is invalid"),
    ("==node1", "Key '' is invalid"),
    ("a!=b==c", "Key 'a!=b' is invalid"),
    ("node==", "Value '' is invalid"),
    ("node==~", "Value '~' is invalid"),
    ("node==~~a", "Value '~~a' is invalid"),
    ("node==a,b", "Value 'a,b' is invalid"),
    ("node==a@b", "Value 'a@b' is invalid"),
    ("node==a=b", "Value 'a=b' is invalid"),
    ("node==/a{2}/", "Value '/a{2}/' is invalid"),
    ("node==é", "Value 'é' is invalid"),
    ("node==a\v", "Value 'a\v' is invalid"),
]


@pytest.mark.parametrize(("text", "key", "operator", "value", "is_soft"), EXPRESSIONS)
def test_parse_exprs(text, key, operator, value, is_soft):
    assert parse_expressions([text]) == [Expression(key, operator, value, is_soft)]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_parse_exprs_refuses(text, message):
    with pytest.raises(ClusterError) as refused:
        parse_expressions([text])
    assert str(refused.value) == message


def test_the_first_that_is_none_is_named():
    with pytest.raises(ClusterError, match=r"^Key 'n' is invalid$"):
        parse_expressions(["node==a", "n==a", "node==,"])


# value, what equals it, what does not: of Swarm's own tests and of issue reports
MATCHED = [
    ("foo", ["foo"], ["bar", "foobar", "a foo", "foo\n", ""]),
    ("f*o", ["foo", "fuo", "fo"], ["fob"]),
    ("us*", ["us-east", "us"], ["eu", "a us"]),
    ("*us*", ["us", "a-us-b"], ["eu"]),
    ("*", ["", "anything"], ["two\nlines"]),
    ("node-[12]", ["node-1", "node-2"], ["node-3", "node-[12]"]),
    ("a.c", ["a.c", "abc"], ["ac"]),
    ("node-1|node-2", ["node-1", "node-1x", "xnode-2"], ["xnode-1", "node-2x"]),
    ("a?", ["a", ""], ["a?"]),
    (r"a\*", ["a", "a..."], [r"a\*", "a*"]),
    ("/", ["/"], ["", "a/b"]),
    ("//", ["", "anything"], []),
    ("/us/", ["us", "a us b"], ["US"]),
    ("/^us/", ["us-east"], ["a us"]),
    (r"/node\d$/", ["node1", "xnode2"], ["node", "node1\n"]),
    ("/(?i)abcdef/", ["aBcDeF"], ["abc"]),
    ("=us", ["=us"], ["us"]),
    ("/a", ["/a"], ["a"]),
]


@pytest.mark.parametrize(("value", "equal", "other"), MATCHED)
def test_match(value, equal, other):
    is_it = Expression("key", "==", value)
    assert [text for text in equal + other if is_it.match(text)] == equal


@pytest.mark.parametrize(("value", "equal", "other"), MATCHED)
def test_not_equal_is_the_opposite(value, equal, other):
    is_not = Expression("key", "!=", value)
    assert [text for text in equal + other if is_not.match(text)] == other


def test_one_that_matches_is_enough():
    assert Expression("key", "==", "foo").match("bar", "foo") is True


def test_one_that_matches_is_too_many():
    assert Expression("key", "!=", "foo").match("bar", "foo") is False


def test_of_nothing_nothing_matches():
    assert Expression("key", "==", "*").match() is False
    assert Expression("key", "!=", "*").match() is True


BROKEN = [
    ("/[/", "missing closing ]: `[`"),
    ("/(?=a)/", "invalid or unsupported Perl syntax: `(?=`"),
    ("*+", "invalid nested repetition operator: `*+`"),
    ("(a", "missing closing ): `^(a$`"),
    ("/\\/", "trailing backslash at end of expression: ``"),
]


@pytest.mark.parametrize(("value", "message"), BROKEN)
def test_a_pattern_that_go_cannot_compile_matches_nothing(value, message):
    expression = Expression("key", "==", value)
    assert (expression.match("", "["), expression.error) == (
        False,
        f"error parsing regexp: {message}",
    )


def test_what_is_not_like_a_broken_pattern_is_everything():
    assert Expression("key", "!=", "/[/").match("anything") is True


def test_a_good_pattern_has_no_error():
    assert Expression("key", "==", "/a/").error == ""


def test_an_expression_is_printed_without_its_tilde():
    assert str(Expression("region", "!=", "us*", is_soft=True)) == "region!=us*"


@pytest.mark.parametrize("value", ["/once/", "/once[/"])
def test_a_pattern_is_compiled_once(value):
    compiled.cache_clear()
    for node in range(1000):
        Expression("node", "==", value).match(f"node-{node}")
    assert compiled.cache_info().misses == 1


def test_a_slow_pattern_is_read_as_fast_as_any():
    assert Expression("label", "==", "/^(a+)+$/").match("a" * 20_000 + ".") is False
