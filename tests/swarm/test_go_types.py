"""How a value becomes one of Go's types, and what is said when it does not."""

import base64
import random

import pytest

from tests.swarm.test_go_scanner import answers_of, mutated
from walkthroughs.swarm.go_types import (
    Bool,
    Integer,
    List,
    Map,
    Pointer,
    Struct,
    Text,
    Words,
    decode,
    fold,
)
from walkthroughs.swarm.handler import HTTPError

TEXT, BOOL, INT64 = Text(), Bool(), Integer("int64", 64)
MODE = Text("main.Mode")
PART = Struct("main.Part", {"Name": TEXT, "Size": INT64, "Tags": List(TEXT)})
WHOLE = Struct(
    "main.Whole",
    {
        "Name": TEXT,
        "Mode": MODE,
        "Task": BOOL,
        "Count": INT64,
        "Small": Integer("int8", 8),
        "Port": Integer("uint16", 16, signed=False),
        "Huge": Integer("uint64", 64, signed=False),
        "Swap": Pointer(INT64),
        "Env": List(TEXT),
        "Cmd": Words("main.Words"),
        "Labels": Map(TEXT),
        "Ports": Map(Struct("struct {}", {}), "main.Set"),
        "Part": PART,
        "Spare": Pointer(PART),
        "Parts": List(PART),
        "Others": List(Pointer(PART)),
        "Named": Map(Pointer(PART)),
        "Console": List(Integer("uint", 64, signed=False), 2),
    },
)


def read(body, kind=WHOLE):
    """Return what a body means, or the error."""
    try:
        return decode(body if isinstance(body, bytes) else body.encode(), kind)
    except HTTPError as error:
        return str(error)


FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"

# body, what it is, the field, its type: all measured
WRONG = [
    ('{"Name":1}', "number", "Whole.Name", "string"),
    ('{"Mode":true}', "bool", "Whole.Mode", "main.Mode"),
    ('{"Task":"yes"}', "string", "Whole.Task", "bool"),
    ('{"Count":"1"}', "string", "Whole.Count", "int64"),
    ('{"Count":1.5}', "number 1.5", "Whole.Count", "int64"),
    ('{"Count":1e3}', "number 1e3", "Whole.Count", "int64"),
    ('{"Count":9223372036854775808}', "number 9223372036854775808", "Whole.Count", "int64"),
    ('{"Small":128}', "number 128", "Whole.Small", "int8"),
    ('{"Port":65536}', "number 65536", "Whole.Port", "uint16"),
    ('{"Port":-0}', "number -0", "Whole.Port", "uint16"),
    ('{"Swap":[]}', "array", "Whole.Swap", "int64"),
    ('{"Env":"a"}', "string", "Whole.Env", "[]string"),
    ('{"Env":["a",1]}', "number", "Whole.Env", "string"),
    ('{"Labels":[]}', "array", "Whole.Labels", "map[string]string"),
    ('{"Labels":{"a":1}}', "number", "Whole.Labels", "string"),
    ('{"Ports":[]}', "array", "Whole.Ports", "main.Set"),
    ('{"Ports":{"80":1}}', "number", "Whole.Ports", "struct {}"),
    ('{"Part":"x"}', "string", "Whole.Part", "main.Part"),
    ('{"Part":{"Size":"x"}}', "string", "Part.Part.Size", "int64"),
    ('{"Spare":{"Tags":{}}}', "object", "Part.Spare.Tags", "[]string"),
    ('{"Others":{}}', "object", "Whole.Others", "[]*main.Part"),
    ('{"Others":[{"Name":1}]}', "number", "Part.Others.Name", "string"),
    ('{"Named":{"a":5}}', "number", "Whole.Named", "main.Part"),
    ('{"Console":{}}', "object", "Whole.Console", "[2]uint"),
    ('{"Cmd":1}', "number", "Whole.Cmd", "string"),
    ('{"Cmd":["a",1]}', "array", "Whole.Cmd", "string"),
]


@pytest.mark.parametrize(("body", "what", "field", "kind"), WRONG)
def test_a_value_of_the_wrong_type(body, what, field, kind):
    assert read(body) == FIELD.format(what, field, kind)


@pytest.mark.parametrize(
    ("body", "what"), [("[]", "array"), ('"a"', "string"), ("5", "number"), ("true", "bool")]
)
def test_a_body_of_the_wrong_type(body, what):
    assert read(body) == f"json: cannot unmarshal {what} into Go value of type main.Whole"


def test_the_first_error_is_told():
    assert read('{"Env":"a","Task":1}') == FIELD.format("string", "Whole.Env", "[]string")


def test_a_type_with_a_reader_of_its_own_is_told_before_what_came_first():
    told = FIELD.format("number", "Whole.Cmd", "string")
    assert read('{"Env":"a","Cmd":1}') == read('{"Cmd":1,"Env":"a"}') == told


def test_a_syntax_error_is_told_before_a_type_that_is_wrong():
    assert read('{"Env":"a",}').startswith("invalid character '}'")


def test_names_are_found_in_any_case_and_come_out_as_declared():
    assert read('{"NAME":"a","labels":{"A":"b"},"cOUNT":1}') == {
        "Name": "a",
        "Labels": {"A": "b"},
        "Count": 1,
    }


def test_two_letters_of_unicode_are_letters_of_a_name():
    assert read('{"Ta\u017f\u212a":true,"Port\u017f":{}}') == {"Task": True, "Ports": {}}
    assert fold("\u017f\u212a") == "sk"
    # Unicode folds more than Go does: a sharp s is two.
    assert fold("Straße") != fold("Strasse")
    assert fold("\u0131") != fold("I") != fold("\u0130")


def test_a_field_that_nobody_declared_is_passed_on():
    unknown = '{"new":[1,-0.5,{"Deep":null}],"Part":{"New":true},"n":123456789012345678901}'
    assert read(unknown) == {
        "new": [1, -0.5, {"Deep": None}],
        "Part": {"New": True},
        "n": 123456789012345678901,
    }


def test_a_number_that_is_too_large_for_go_is_too_large_to_be_passed_on():
    told = "json: cannot unmarshal number {} into Go value of type float64"
    assert read('{"new":1e999}') == told.format("1e999")
    digits = "1" * 5000
    assert read(f'{{"new":{digits}}}') == told.format(digits)


def test_null_is_a_value_of_pointers_lists_and_maps():
    body = '{"Swap":null,"Env":null,"Labels":null,"Cmd":null,"Spare":null}'
    assert read(body) == dict.fromkeys(("Swap", "Env", "Labels", "Cmd", "Spare"))


def test_null_changes_nothing_elsewhere():
    fields = ("Name", "Mode", "Task", "Count", "Part", "Console")
    assert read("{" + ",".join(f'"{field}":null' for field in fields) + "}") == {}
    assert read('{"Name":"a","Name":null}') == {"Name": "a"}
    assert read("null") == {}


def test_null_within_a_list_or_a_map_is_the_empty_value():
    assert read('{"Env":[null],"Labels":{"a":null},"Parts":[null],"Named":{"a":null}}') == {
        "Env": [""],
        "Labels": {"a": ""},
        "Parts": [{}],
        "Named": {"a": None},
    }


def test_words_are_a_list_or_one_text():
    assert read('{"Cmd":"a b"}') == {"Cmd": ["a b"]}
    assert read('{"Cmd":["a",null]}') == {"Cmd": ["a", ""]}


def test_an_array_has_its_length():
    assert read('{"Console":[24]}') == {"Console": [24, 0]}
    assert read('{"Console":[1,2,"x"]}') == {"Console": [1, 2]}


def test_an_object_that_is_there_twice_is_read_over_the_first():
    assert read('{"Part":{"Name":"a"},"part":{"Size":1}}') == {"Part": {"Name": "a", "Size": 1}}
    assert read('{"Labels":{"a":"1"},"LABELS":{"b":"2"}}') == {"Labels": {"a": "1", "b": "2"}}
    assert read('{"Spare":{"Name":"a"},"Spare":null}') == {"Spare": None}


def test_what_is_no_unicode_is_replaced_byte_by_byte():
    assert read(b'{"Name":"\xff\xe2\x82a","\xc3":1}') == {"Name": "\ufffd" * 3 + "a", "\ufffd": 1}
    assert read(r'{"Name":"\ud800\u0041","Cmd":"\udc00"}') == {
        "Name": "\ufffdA",
        "Cmd": ["\ufffd"],
    }
    assert read(r'{"Name":"\ud83d\ude00"}') == {"Name": "😀"}


GO = """
package main

import (
	"bytes"
	"encoding/json"
	"os"
)

type Mode string
type Set map[string]struct{}
type Words []string

func (words *Words) UnmarshalJSON(raw []byte) error {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		*words = list
		return nil
	}
	var one string
	err := json.Unmarshal(raw, &one)
	if err == nil {
		*words = Words{one}
	}
	return err
}

type Part struct {
	Name string
	Size int64
	Tags []string
}

type Whole struct {
	Name    string
	Mode    Mode
	Task    bool
	Count   int64
	Small   int8
	Port    uint16
	Huge    uint64
	Swap    *int64
	Env     []string
	Cmd     Words
	Labels  map[string]string
	Ports   Set
	Part    Part
	Spare   *Part
	Parts   []Part
	Others  []*Part
	Named   map[string]*Part
	Console [2]uint
}

type answer struct {
	Value Whole
	Error string
}

func main() {
	var bodies [][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&bodies); err != nil {
		panic(err)
	}
	answers := []answer{}
	for _, body := range bodies {
		given := answer{}
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&given.Value); err != nil {
			given = answer{Error: err.Error()}
		}
		answers = append(answers, given)
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""

NUMBERS = [
    *("0", "-0", "1", "127", "128", "-129", "65535", "65536", "1.0", "1e3", "0.5"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551616", "123456789012345678901234567890"),
]
PIECES = ["a", "é", r"\n", r"\u0041", r"\ud800", r"\ud83d\ude00", r"\"", "/", "\u2028", "😀"]


class Bodies:
    """Bodies of a type, and near it."""

    def __init__(self, chance):
        self.chance = chance
        self.wrong = 0.0
        """How often a value is of some other type."""

    def text(self):
        return '"' + "".join(self.chance.choices(PIECES, k=self.chance.randrange(3))) + '"'

    def number(self):
        return self.chance.choice([*NUMBERS, str(self.chance.randrange(100))])

    def any(self, depth=0):
        some = [self.text, self.number, lambda: "null", lambda: "true"]
        if depth < 2:
            some += [lambda: self.items(lambda: self.any(depth + 1))]
            some += [lambda: self.fields(self.text, lambda: self.any(depth + 1))]
        return self.chance.choice(some)()

    def items(self, item):
        return "[" + ", ".join(item() for _ in range(self.chance.randrange(3))) + "]"

    def fields(self, name, value):
        pairs = (f"{name()}:{value()}" for _ in range(self.chance.randrange(3)))
        return "{" + " ,".join(pairs) + "}"

    def of(self, kind):
        """Return a body of a type, as text."""
        if self.chance.random() < self.wrong:
            return self.any()
        match kind:
            case Pointer(to):
                return self.of(to)
            case Integer():
                return self.number() if self.wrong else str(self.chance.randrange(100))
            case Bool():
                return self.chance.choice(["true", "false"])
            case Text():
                return self.text()
            case Words():
                return self.chance.choice([self.text, lambda: self.items(self.text)])()
            case List(item):
                return self.items(lambda: self.of(item))
            case Map(item):
                return self.fields(self.text, lambda: self.of(item))
        names = list(kind.fields)
        self.chance.shuffle(names)
        some = names[: self.chance.randrange(5)]
        pairs = [f'"{self.spelled(name)}": {self.of(kind.fields[name])}' for name in some]
        return "{" + ", ".join([*pairs, '"new":' + self.any()][self.chance.randrange(2) :]) + "}"

    def spelled(self, name):
        long_s = name.replace("s", "\u017f")
        return self.chance.choice([name, name, name.lower(), name.upper(), long_s])


def known(kind, value):
    """Return a value without the fields that are not declared, or are empty."""
    if isinstance(kind, Pointer):
        return known(kind.to, value)
    if isinstance(kind, Struct):
        here = {name: each for name, each in (value or {}).items() if name in kind.fields}
        read = {name: known(kind.fields[name], each) for name, each in here.items()}
        return {name: each for name, each in read.items() if each not in (None, "", 0, {}, [])}
    if isinstance(kind, Map) and value:
        return {key: known(kind.item, each) for key, each in value.items()}
    if isinstance(kind, List) and value:
        items = [known(kind.item, each) for each in value]
        return items if kind.length == 0 or any(items) else None
    return value


def test_go_reads_the_same(require, tmp_path):
    chance, bodies = random.Random(7), []
    for _ in range(10_000):
        writer = Bodies(chance)
        writer.wrong = chance.choice([0, 0.02, 0.1])
        body = writer.of(WHOLE).encode()
        bodies.append(mutated(body, chance) if chance.random() < 0.2 else body)
    bodies += [body.encode() for body, *_ in WRONG]
    question = [base64.b64encode(body).decode() for body in bodies]
    answers = answers_of(require("go"), GO, question, tmp_path)
    for body, theirs in zip(bodies, answers, strict=True):
        ours = read(body)
        if isinstance(ours, str) and ours.endswith("Go value of type float64"):
            continue
        if isinstance(ours, str):
            assert (body, ours) == (body, theirs["Error"])
        else:
            assert theirs["Error"] == "", body
            assert (body, known(WHOLE, ours)) == (body, known(WHOLE, theirs["Value"]))
