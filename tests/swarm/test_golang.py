"""What Go answers, against what `golang` answers.

The tables were written by Go 1.19; `test_go_answers_the_same` asks the one on this machine.
"""

import json
import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkthroughs.swarm.golang import (
    NANOSECONDS,
    bytes_size,
    check_addr_format,
    format_duration,
    join_host_port,
    log_line,
    logrus_colors,
    logrus_line,
    parse_duration,
    quote,
    shift_time,
    split_host_port,
    unix_time,
)

# text, nanoseconds, as Go prints it
DURATIONS = [
    ("0", 0, "0s"),
    ("+0", 0, "0s"),
    ("-0", 0, "0s"),
    ("0s", 0, "0s"),
    ("-0s", 0, "0s"),
    ("+5s", 5_000_000_000, "5s"),
    ("1ns", 1, "1ns"),
    ("1us", 1_000, "1µs"),
    ("1\u00b5s", 1_000, "1µs"),
    ("1\u03bcs", 1_000, "1µs"),
    ("1ms", 1_000_000, "1ms"),
    ("1s", 1_000_000_000, "1s"),
    ("1m", 60_000_000_000, "1m0s"),
    ("1h", 3_600_000_000_000, "1h0m0s"),
    ("90s", 90_000_000_000, "1m30s"),
    ("1m30s", 90_000_000_000, "1m30s"),
    ("1h0m0.5s", 3_600_500_000_000, "1h0m0.5s"),
    ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
    ("500ms", 500_000_000, "500ms"),
    ("1.s", 1_000_000_000, "1s"),
    (".5s", 500_000_000, "500ms"),
    ("1.5h3m.25s", 5_580_250_000_000, "1h33m0.25s"),
    ("100000h", 360_000_000_000_000_000, "100000h0m0s"),
    ("3h30ms", 10_800_030_000_000, "3h0m0.03s"),
    ("1s1h", 3_601_000_000_000, "1h0m1s"),
    ("007s", 7_000_000_000, "7s"),
    ("0.1ns", 0, "0s"),
    ("1.9ns", 1, "1ns"),
    ("0.3333333333333333333h", 1_200_000_000_000, "20m0s"),
    ("0.9223372036854775807h", 3_320_413_933_267, "55m20.413933267s"),
    ("0.9223372036854775808h", 3_320_413_933_267, "55m20.413933267s"),
]
LONG = [
    ("2562047h47m16.854775807s", 9_223_372_036_854_775_807),
    ("9223372036854775807ns", 9_223_372_036_854_775_807),
    ("-9223372036854775808ns", -9_223_372_036_854_775_808),
]
NO_DURATIONS = [
    ("", 'time: invalid duration ""'),
    ("+", 'time: invalid duration "+"'),
    ("-", 'time: invalid duration "-"'),
    ("--1s", 'time: invalid duration "--1s"'),
    ("+-1s", 'time: invalid duration "+-1s"'),
    (" 1s", 'time: invalid duration " 1s"'),
    (".", 'time: invalid duration "."'),
    ("..5s", 'time: invalid duration "..5s"'),
    ("s", 'time: invalid duration "s"'),
    (".s", 'time: invalid duration ".s"'),
    ("-.s", 'time: invalid duration "-.s"'),
    ("3", 'time: missing unit in duration "3"'),
    ("3.", 'time: missing unit in duration "3."'),
    ("1.5", 'time: missing unit in duration "1.5"'),
    ("1h3", 'time: missing unit in duration "1h3"'),
    ("1s ", 'time: unknown unit "s " in duration "1s "'),
    ("1 s", 'time: unknown unit " s" in duration "1 s"'),
    ("1e3s", 'time: unknown unit "e" in duration "1e3s"'),
    ("1d", 'time: unknown unit "d" in duration "1d"'),
    ("1S", 'time: unknown unit "S" in duration "1S"'),
    ("1,5s", 'time: unknown unit "," in duration "1,5s"'),
    ("0x1s", 'time: unknown unit "x" in duration "0x1s"'),
    ("1_000s", 'time: unknown unit "_" in duration "1_000s"'),
    ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
    ("9223372036854ms775us808ns", 'time: invalid duration "9223372036854ms775us808ns"'),
    ("2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"'),
    ("99999999999999999999s", 'time: invalid duration "99999999999999999999s"'),
    ("99999999999999999999", 'time: invalid duration "99999999999999999999"'),
]
QUOTED_BYTES = [
    ("5µ", r'time: unknown unit "\xc2\xb5" in duration "5\xc2\xb5"'),
    ("5é", r'time: unknown unit "\xc3\xa9" in duration "5\xc3\xa9"'),
    ("\udcff1s", r'time: invalid duration "\xff1s"'),
    ("٣s", r'time: invalid duration "\xd9\xa3s"'),
    ('1"s', r'time: unknown unit "\"s" in duration "1\"s"'),
    ("1\\s", r'time: unknown unit "\\s" in duration "1\\s"'),
    ("1\ns", r'time: unknown unit "\x0as" in duration "1\x0as"'),
    ("1\x7f", 'time: unknown unit "\x7f" in duration "1\x7f"'),
]
PRINTED = [
    (0, "0s"),
    (1, "1ns"),
    (-1, "-1ns"),
    (999, "999ns"),
    (1000, "1µs"),
    (1100, "1.1µs"),
    (1_000_000, "1ms"),
    (2_200_000, "2.2ms"),
    (123_456_789, "123.456789ms"),
    (1_000_000_001, "1.000000001s"),
    (3_300_000_000, "3.3s"),
    (-3_300_000_000, "-3.3s"),
    (59_999_999_999, "59.999999999s"),
    (60_000_000_000, "1m0s"),
    (90_000_000_000, "1m30s"),
    (245_000_000_000, "4m5s"),
    (3_599_999_999_999, "59m59.999999999s"),
    (3_600_000_000_000, "1h0m0s"),
    (18_367_001_000_000, "5h6m7.001s"),
    (-1_500_000_000_000, "-25m0s"),
]
ADDRESSES = [
    ("a:1", "a", "1", "a:1"),
    ("10.0.0.1:2375", "10.0.0.1", "2375", "10.0.0.1:2375"),
    (":80", "", "80", ":80"),
    ("a:", "a", "", "a:"),
    (":", "", "", ":"),
    ("[::1]:80", "::1", "80", "[::1]:80"),
    ("[fe80::1%eth0]:80", "fe80::1%eth0", "80", "[fe80::1%eth0]:80"),
    ("[]:1", "", "1", ":1"),
    ("[a]:b", "a", "b", "a:b"),
    ("a:http", "a", "http", "a:http"),
    ("é:1", "é", "1", "é:1"),
    ("a b:1", "a b", "1", "a b:1"),
]
NO_ADDRESSES = [
    ("", "missing port in address"),
    ("a", "address a: missing port in address"),
    ("::1", "address ::1: too many colons in address"),
    ("a:b:c", "address a:b:c: too many colons in address"),
    ("[::1]", "address [::1]: missing port in address"),
    ("[::1]80", "address [::1]80: missing port in address"),
    ("[::1]:80:90", "address [::1]:80:90: too many colons in address"),
    ("[::1", "address [::1: missing ']' in address"),
    ("[", "address [: missing port in address"),
    ("]", "address ]: missing port in address"),
    ("[a:1", "address [a:1: missing ']' in address"),
    ("a]:1", "address a]:1: unexpected ']' in address"),
    ("a[b:1", "address a[b:1: unexpected '[' in address"),
    ("[[::1]]:1", "address [[::1]]:1: missing port in address"),
    ("[[a]:1", "address [[a]:1: unexpected '[' in address"),
    ("[a:]b:1", "address [a:]b:1: missing port in address"),
    ("a:[1", "address a:[1: unexpected '[' in address"),
    ("a:1]", "address a:1]: unexpected ']' in address"),
    ("[a]:[1", "address [a]:[1: unexpected '[' in address"),
    ("[a]:1]", "address [a]:1]: unexpected ']' in address"),
]
PORTS = ["1", "80", "65535", "+80", "0080", "0" * 20 + "80"]
NO_PORTS = ["0", "65536", "-1", "", "http", " 80", "80 ", "1_0", "٣", "9" * 20, "+", "+-1", "0x50"]
QUOTED = [
    ("", '""'),
    ("a", '"a"'),
    ("it's", '"it\'s"'),
    ('say "hi"', r'"say \"hi\""'),
    ("a\\b", r'"a\\b"'),
    ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
    ("\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
    ("é日本😀\ufffd", '"é日本😀\ufffd"'),
    ("\x80\xa0\u200b\u2028\ufeff", r'"\u0080\u00a0\u200b\u2028\ufeff"'),
    ("\U000e0001\U0010ffff", r'"\U000e0001\U0010ffff"'),
    ("\udcff", r'"\xff"'),
]

GO = """
package main

import (
	"encoding/json"
	"net"
	"os"
	"strconv"
	"time"
)

func text(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	var asked []string
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := [][]string{}
	for _, each := range asked {
		d, e1 := time.ParseDuration(each)
		h, p, e2 := net.SplitHostPort(each)
		n, e3 := strconv.Atoi(p)
		good := e2 == nil && e3 == nil && n > 0 && n < 65536
		answers = append(answers, []string{
			strconv.FormatInt(int64(d), 10), d.String(), text(e1),
			h, p, net.JoinHostPort(h, p), text(e2),
			strconv.FormatBool(good), strconv.Quote(each)})
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""

numbers = st.from_regex(r"[0-9]{0,20}(\.[0-9]{0,20})?", fullmatch=True)
units = st.sampled_from([*NANOSECONDS, "", "x", "µ", " "])
terms = st.tuples(numbers, units).map("".join)
durations = st.tuples(st.sampled_from(["", "-", "+"]), st.lists(terms, max_size=4).map("".join))
addresses = st.lists(st.sampled_from(["[", "]", ":", "a", "::1", "80", "65536", "é", " "]))
words = st.one_of(durations.map("".join), addresses.map("".join), st.text('\0\t\n"\\ aé😀\x7f'))


@pytest.fixture
def zone(monkeypatch):
    """Return a function that changes the time zone, which is UTC at first."""

    def change(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    change("UTC")
    yield change
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def go(require, tmp_path_factory):
    """Return the program that answers as Go does."""
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(GO)
    build = [require("go"), "build", "-o", "answers", "main.go"]
    subprocess.run(build, cwd=folder, check=True)
    return folder / "answers"


def our_answer(text):
    """Return what the Go program returns."""
    nanoseconds, shown, refused = 0, "0s", ""
    try:
        seconds = parse_duration(text)
        nanoseconds, shown = round(seconds * 1e9), format_duration(seconds)
    except ValueError as error:
        refused = str(error)
    host, port, bad = "", "", ""
    try:
        host, port = split_host_port(text)
    except ValueError as error:
        bad = str(error)
    joined, good = join_host_port(host, port), str(check_addr_format(text)).lower()
    return [str(nanoseconds), shown, refused, host, port, joined, bad, good, quote(text)]


def test_go_answers_the_same(go):
    asked = {text for text, *_ in DURATIONS + NO_DURATIONS + ADDRESSES + NO_ADDRESSES}
    asked |= {f"host:{port}" for port in PORTS + NO_PORTS}

    @given(words)
    def collect(text):
        asked.add(text)

    collect()
    texts = sorted(asked)
    given_to_go = json.dumps(texts).encode()
    answer = subprocess.run([go], input=given_to_go, capture_output=True, check=True)
    for text, theirs in zip(texts, json.loads(answer.stdout), strict=True):
        # Longer than this, a float has no room for nanoseconds.
        first = 2 if abs(int(theirs[0])) > 2**50 else 0
        assert (text, our_answer(text)[first:]) == (text, theirs[first:])


@pytest.mark.parametrize(("text", "nanoseconds", "_"), DURATIONS)
def test_parse_duration(text, nanoseconds, _):
    assert parse_duration(text) == nanoseconds / 1e9


@pytest.mark.parametrize(("text", "nanoseconds"), LONG)
def test_a_duration_has_64_bits(text, nanoseconds):
    assert parse_duration(text) == nanoseconds / 1e9


@pytest.mark.parametrize(("text", "message"), NO_DURATIONS)
def test_parse_duration_refuses(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "message"), QUOTED_BYTES)
def test_package_time_quotes_bytes(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration(text)


def test_thousands_of_digits_are_only_too_many():
    assert parse_duration("0" * 5000 + "1s") == 1.0
    with pytest.raises(ValueError, match=r"^time: invalid duration "):
        parse_duration("1" * 5000 + "s")


@pytest.mark.parametrize(("text", "nanoseconds", "shown"), DURATIONS)
def test_a_parsed_duration_is_printed_as_go_prints_it(text, nanoseconds, shown):
    assert format_duration(parse_duration(text)) == shown


@pytest.mark.parametrize(("nanoseconds", "shown"), PRINTED)
def test_format_duration(nanoseconds, shown):
    assert format_duration(nanoseconds / 1e9) == shown


@given(st.integers(-(2**50), 2**50))  # beyond, a float of seconds may round away a nanosecond
def test_durations_survive_the_round_trip(nanoseconds):
    assert round(parse_duration(format_duration(nanoseconds / 1e9)) * 1e9) == nanoseconds


@pytest.mark.parametrize(("address", "host", "port", "_"), ADDRESSES)
def test_split_host_port(address, host, port, _):
    assert split_host_port(address) == (host, port)


@pytest.mark.parametrize(("address", "message"), NO_ADDRESSES)
def test_split_host_port_refuses(address, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        split_host_port(address)


@pytest.mark.parametrize(("_", "host", "port", "joined"), ADDRESSES)
def test_join_host_port(_, host, port, joined):
    assert join_host_port(host, port) == joined


@given(st.text().filter(lambda t: not set(t) & set("[]")), st.text("0123456789"))
def test_addresses_survive_the_round_trip(host, port):
    assert split_host_port(join_host_port(host, port)) == (host, port)


@pytest.mark.parametrize("port", PORTS)
def test_an_advertised_port_is_a_number(port):
    assert check_addr_format(f"[::1]:{port}") is True


@pytest.mark.parametrize("port", NO_PORTS)
def test_an_advertised_port_is_none_else(port):
    assert check_addr_format(f"[::1]:{port}") is False


def test_an_advertised_host_may_be_empty():
    assert check_addr_format(":2375") is True


def test_an_advertised_address_has_a_port():
    assert check_addr_format("10.0.0.1") is False


@pytest.mark.parametrize(("text", "quoted"), QUOTED)
def test_quote(text, quoted):
    assert quote(text) == quoted


@given(st.text())
def test_what_is_quoted_can_be_read_back(text):
    shown = quote(text)
    plain = shown[1:-1].replace(r"\"", '"')
    assert plain.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


def test_log_line(zone):
    assert log_line(0, "Timed out") == "1970/01/01 00:00:00 Timed out\n"


def test_log_line_is_in_local_time(zone):
    zone("CET-1")
    assert log_line(0, "Timed out") == "1970/01/01 01:00:00 Timed out\n"


def test_logrus_line(zone):
    line = logrus_line(0, "info", "Listening", {"proto": "tcp", "addr": "127.0.0.1:2375"})
    expected = 'time="1970-01-01T00:00:00Z" level=info msg=Listening addr="127.0.0.1:2375" '
    assert line == expected + "proto=tcp\n"


def test_logrus_line_is_in_local_time(zone):
    zone("CET-1")
    line = logrus_line(0, "fatal", "Timed out", {})
    assert line == 'time="1970-01-01T01:00:00+01:00" level=fatal msg="Timed out"\n'


@pytest.mark.parametrize("text", ["", "a", "a-b", "10.0.0.1", "a_b", "/v1", "a@b", "^a+"])
def test_logrus_leaves_seven_signs_unquoted(zone, text):
    line = logrus_line(0, "info", "x", {"key": text})
    assert line == f'time="1970-01-01T00:00:00Z" level=info msg=x key={text}\n'


@pytest.mark.parametrize("text", ["a b", "a:1", "é", "a=b", '"', "\n", "[::1]", "~", "a,b"])
def test_logrus_quotes_the_rest(zone, text):
    line = logrus_line(0, "info", "x", {"key": text})
    assert line == f'time="1970-01-01T00:00:00Z" level=info msg=x key={quote(text)}\n'


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", "\x1b[37mDEBU\x1b[0m"),
        ("info", "\x1b[36mINFO\x1b[0m"),
        ("warning", "\x1b[33mWARN\x1b[0m"),
        ("error", "\x1b[31mERRO\x1b[0m"),
        ("fatal", "\x1b[31mFATA\x1b[0m"),
        ("panic", "\x1b[31mPANI\x1b[0m"),
    ],
)
def test_a_terminal_shows_four_coloured_letters_of_the_level(level, shown):
    line = logrus_colors(0, level, "not implemented in this discovery service", {})
    assert line == f"{shown}[0000] not implemented in this discovery service    \n"


def test_a_terminal_shows_the_fields_behind_the_message():
    fields = {"discovery": "nodes://b:1", "addr": "a:1"}
    message = "Registering on the discovery service every 1m0s..."
    assert logrus_colors(61.9, "info", message, fields) == (
        f"\x1b[36mINFO\x1b[0m[0061] {message}  "
        '\x1b[36maddr\x1b[0m="a:1" \x1b[36mdiscovery\x1b[0m="nodes://b:1"\n'
    )


# text, nanoseconds later, as Go prints the sum in UTC
TIMES = [
    ("2017-07-14T02:40:00Z", 0, "2017-07-14T02:40:00Z"),
    ("2017-07-14T02:40:00Z", 1_000_000_000, "2017-07-14T02:40:01Z"),
    ("2017-07-14T02:40:00.123456789Z", 1_500_000_000, "2017-07-14T02:40:01.623456789Z"),
    ("2017-07-14T02:40:00.9Z", 100_000_000, "2017-07-14T02:40:01Z"),
    ("2017-07-14T02:40:00.25Z", -500_000_000, "2017-07-14T02:39:59.75Z"),
    ("2017-07-14T02:40:00.5+02:00", 2_000_000_000, "2017-07-14T00:40:02.5Z"),
    ("2016-12-31T23:59:59.999999999-00:30", 1_000_000_000, "2017-01-01T00:30:00.999999999Z"),
    ("1999-02-28T23:59:59.5Z", 86_400_500_000_000, "1999-03-02T00:00:00Z"),
]

# bytes, as go-units prints them
SIZES = [
    (0, "0 B"),
    (1, "1 B"),
    (1023, "1023 B"),
    (1024, "1 KiB"),
    (1536, "1.5 KiB"),
    (1_000_000, "976.6 KiB"),
    (1024**2 - 1, "1024 KiB"),
    (8_123_456_789, "7.566 GiB"),
    (2**33 + 2**33 * 5 // 100, "8.4 GiB"),
    (2**60, "1 EiB"),
]

GO_TIMES = """
package main

import ("encoding/json"; "fmt"; "os"; "time")

func size(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; n >= 1024; i++ { n /= 1024 }
	return fmt.Sprintf("%.4g %s", n, units[i])
}

func main() {
	var asked struct { Times []string; Later []int64; Sizes []float64 }
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil { panic(err) }
	answers := []string{}
	for i, text := range asked.Times {
		moment, err := time.Parse(time.RFC3339Nano, text)
		if err != nil { panic(err) }
		later := moment.Add(time.Duration(asked.Later[i])).UTC()
		answers = append(answers, later.Format(time.RFC3339Nano))
	}
	for _, n := range asked.Sizes { answers = append(answers, size(n)) }
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""


@pytest.mark.parametrize(("text", "later", "shown"), [row for row in TIMES if row[1]])
def test_shift_time(text, later, shown):
    assert shift_time(text, later / 1e9) == shown


def test_a_time_that_is_not_moved_stays_as_it_was_written():
    assert shift_time("2017-07-14T02:40:00.500+02:00", 0) == "2017-07-14T02:40:00.500+02:00"


def test_never_is_not_moved():
    assert shift_time("0001-01-01T00:00:00Z", 5) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2017-07-14", "2017-07-14T02:40:00"])
def test_what_is_no_time_is_refused(text):
    for read in (unix_time, lambda text: shift_time(text, 1)):
        with pytest.raises(ValueError, match=f"^no time of RFC 3339: {re.escape(quote(text))}$"):
            read(text)


def test_unix_time():
    assert unix_time("2017-07-14T02:40:00Z") == 1_500_000_000
    assert unix_time("2017-07-14T04:40:00.25+02:00") == 1_500_000_000.25


@pytest.mark.parametrize(("size", "shown"), SIZES)
def test_bytes_size(size, shown):
    assert bytes_size(size) == shown


def test_go_moves_times_and_writes_sizes_the_same(require, tmp_path):
    (tmp_path / "main.go").write_text(GO_TIMES)
    times, later, _ = zip(*TIMES, strict=True)
    asked = {"Times": times, "Later": later, "Sizes": [size for size, _ in SIZES]}
    run = {"input": json.dumps(asked).encode(), "capture_output": True, "check": True}
    answer = subprocess.run([require("go"), "run", "main.go"], cwd=tmp_path, **run)
    shown = [text for *_, text in TIMES] + [text for _, text in SIZES]
    assert json.loads(answer.stdout) == shown
