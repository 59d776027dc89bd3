"""What a list is narrowed down by: the cases of docker's parse_test.go, and Go's own words."""

import pytest

from walkthroughs.swarm.filter_args import Args, from_param, parse_int, path_match


def args(**fields):
    return Args({field: dict.fromkeys(values, True) for field, values in fields.items()})


def refusal(function, *arguments):
    """Return what is said by a function that refuses its arguments."""
    with pytest.raises(ValueError, match=r".") as refused:
        function(*arguments)
    return str(refused.value)


# from_param


def test_no_parameter_is_no_filter():
    assert from_param("").fields == {}


def test_values_come_as_the_keys_of_an_object():
    said = '{"created":{"today":true},"image.name":{"ubuntu*":true,"*untu":true}}'
    assert from_param(said).fields == {
        "created": {"today": True},
        "image.name": {"ubuntu*": True, "*untu": True},
    }


def test_an_old_client_sends_lists():
    assert from_param('{"key":["value1","value2"]}').fields == {
        "key": {"value1": True, "value2": True}
    }


@pytest.mark.parametrize("said", ["null", "{}", " {} ", "{}{", "{} tail"])
def test_nothing_is_said_in_many_ways(said):
    assert from_param(said).fields == {}


@pytest.mark.parametrize("said", ['{"name":null}', '{"name":{}}', '{"name":[]}'])
def test_a_field_without_values_was_named(said):
    assert from_param(said).fields == {"name": {}}


MAPS = "map[string]map[string]bool"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("[]", f"json: cannot unmarshal array into Go value of type {MAPS}"),
        ("1", f"json: cannot unmarshal number into Go value of type {MAPS}"),
        ('"s"', f"json: cannot unmarshal string into Go value of type {MAPS}"),
        ('{"a":1}', "json: cannot unmarshal number into Go value of type map[string]bool"),
        ('{"a":[1]}', "json: cannot unmarshal array into Go value of type map[string]bool"),
        ('{"a":{"b":1}}', "json: cannot unmarshal number into Go value of type bool"),
        ('{"a":{"b":"true"}}', "json: cannot unmarshal string into Go value of type bool"),
        ("{", "unexpected EOF"),
        ('{"a" 1}', "invalid character '1' after object key"),
        (
            '{"name":["web",1]}',
            "json: cannot unmarshal array into Go value of type map[string]bool",
        ),
        (" ", "EOF"),
    ],
)
def test_what_is_no_filter_is_refused_in_the_words_of_the_original(said, error):
    assert refusal(from_param, said) == error


# Args


def test_get_and_include():
    known = args(label=["a", "b"], name=[])
    assert known.get("label") == ["a", "b"]
    assert (known.get("name"), known.get("id")) == ([], [])
    assert (known.include("name"), known.include("id")) == (True, False)


def test_add_leaves_the_first_as_it_is():
    known = args(reference=["a"])
    assert known.add("reference", "b").get("reference") == ["a", "b"]
    assert known.add("name", "c").get("name") == ["c"]
    assert known.fields == {"reference": {"a": True}}


@pytest.mark.parametrize(
    ("fields", "text", "exact", "matches"),
    [
        ({}, "running", True, True),
        ({"created": ["tod"]}, "today", True, True),
        ({"status": []}, "today", True, True),
        ({"status": ["today"]}, "today", True, True),
        ({"status": ["to(day"]}, "to(day", True, True),
        ({"status": ["tod"]}, "today", False, True),
        ({"status": ["^tod$"]}, "today", False, False),
        ({"status": ["to.ay"]}, "today", False, True),
        ({"status": ["ok", "to(a|d)"]}, "today", False, True),
        ({"status": ["to(day"]}, "today", False, False),
        ({"status": ["ok"]}, "today", False, False),
    ],
)
def test_match_and_exact_match(fields, text, exact, matches):
    known = args(**fields)
    assert known.exact_match("status", text) == exact
    assert known.match("status", text) == matches


def test_a_value_that_is_false_is_no_exact_match_and_still_a_pattern():
    known = Args({"name": {"web": False}})
    assert not known.exact_match("name", "web")
    assert known.match("name", "web")


def test_match_takes_go_regexps_not_pythons():
    assert args(name=["[[:digit:]]$"]).match("name", "web-1")
    assert not args(name=["(?!x)"]).match("name", "web-1")


LABELS = {"key1": "value1", "key2": "value2", "empty": ""}


@pytest.mark.parametrize(
    ("values", "matches"),
    [
        ([], True),
        (["key1"], True),
        (["key1=value1"], True),
        (["key1=value"], False),
        (["key1", "key2=value2"], True),
        (["key1", "key3"], False),
        (["empty="], True),
        (["key1="], False),
        (["key1=value1=more"], False),
    ],
)
def test_match_kv_list_wants_all_of_the_values(values, matches):
    assert args(label=values).match_kv_list("label", LABELS) == matches


def test_who_has_no_labels_matches_no_label():
    assert not args(label=["key1"]).match_kv_list("label", {})
    assert args(name=["key1"]).match_kv_list("label", {})


def test_a_test_is_asked_only_for_a_field_that_was_named():
    asked = []

    def test(known, thing):
        asked.append((known.get("even"), thing))
        return thing % 2 == 0

    tests = {"even": test}
    assert args(other=["x"]).allow(tests, 3)
    assert asked == []
    assert not args(even=["yes"], other=["x"]).allow(tests, 3)
    assert asked == [(["yes"], 3)]


# parse_int


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("+5", 5), ("-7", -7), ("007", 7), (f"{2**63 - 1}", 2**63 - 1)],
)
def test_parse_int_reads_what_go_reads(text, number):
    assert parse_int(text) == number


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", '""'), ("x", '"x"'), ("1.5", '"1.5"'), ("1_0", '"1_0"'), ("٣", '"٣"'), (" 1", '" 1"')],
)
def test_parse_int_refuses_in_the_words_of_strconv(text, shown):
    assert refusal(parse_int, text) == f"strconv.Atoi: parsing {shown}: invalid syntax"


@pytest.mark.parametrize("text", [f"{2**63}", f"{-(2**63) - 1}", "9" * 5000])
def test_parse_int_knows_64_bits(text):
    assert (
        refusal(parse_int, text, "ParseInt")
        == f'strconv.ParseInt: parsing "{text}": value out of range'
    )


# path_match: the table of Go's path/match_test.go, but for UTF-8 in pieces


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "abc", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^b-d]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "δ", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("a*b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[\\-]", "-", True),
        ("[x\\-]", "x", True),
        ("[x\\-]", "-", True),
        ("[x\\-]", "z", False),
        ("[\\-x]", "x", True),
        ("[\\-x]", "a", False),
        ("[]a]", "]", False),
        ("[-]", "-", False),
        ("[x-]", "x", False),
        ("[-x]", "x", False),
        ("\\", "a", False),
        ("[a-b-c]", "a", False),
        ("[", "a", False),
        ("[^", "a", False),
        ("[^bc", "a", False),
        ("a[", "a", False),
        ("a[", "ab", False),
        ("a[", "x", False),
        ("a/b[", "x", False),
        ("*x", "xxx", True),
        ("busybox", "busybox:latest", False),
        ("a.b", "axb", False),
        ("[[:alpha:]]", "a", False),
    ],
)
def test_path_match_is_gos(pattern, text, matches):
    assert path_match(pattern, text) == matches
