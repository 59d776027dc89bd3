"""Words in a URL, bodies, errors and answers, as the original reads and writes them."""

import asyncio
import json

import pytest
from starlette.requests import Request

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.handler import (
    BODY_LIMIT,
    HTTPError,
    bool_value,
    form_value,
    http_error,
    int_value,
    path_to,
    read_body,
    reply,
    status_of,
    to_json,
)


def asking(query="", route="", **variables):
    """Return a request for a URL with this query, whose route has these variables."""
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": query.encode()}
    return Request({**scope, "route": route, "path_params": variables})


def sending(*chunks):
    """Return a request with a body that comes in pieces."""
    left = [*chunks]

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@pytest.mark.parametrize("said", ["0", "no", "false", "none", "", "FALSE", "None", "%20No%20"])
def test_these_words_are_false(said):
    assert bool_value(asking(f"all={said}"), "all") is False


@pytest.mark.parametrize("said", ["1", "yes", "true", "n", "off", "00", "-1", "nothing"])
def test_every_other_word_is_true(said):
    assert bool_value(asking(f"all={said}"), "all") is True


def test_a_word_that_is_not_said_is_false():
    assert bool_value(asking("size=1"), "all") is False


def test_of_a_repeated_word_the_first_counts():
    request = asking("all=0&all=1&limit=3&limit=4")
    assert bool_value(request, "all") is False
    assert int_value(request, "limit") == 3
    assert form_value(request, "all") == "0"


@pytest.mark.parametrize(
    ("said", "number"),
    [("7", 7), ("%2B7", 7), ("-7", -7), ("007", 7), ("999999999999999999", 999999999999999999)],
)
def test_a_number(said, number):
    assert int_value(asking(f"limit={said}"), "limit") == number


@pytest.mark.parametrize(
    "said",
    ["", "x", "7x", "1.5", "1_000", "%207", "7%0A", "%D9%A7", "0x7", "+7", "9" * 5000],
)
def test_what_is_no_number_is_zero(said):
    assert int_value(asking(f"limit={said}"), "limit") == 0


def test_a_body_is_read_whole():
    assert asyncio.run(read_body(sending(b"{", b"", b"}"))) == b"{}"
    assert asyncio.run(read_body(sending(b""))) == b""


def test_a_body_that_is_too_long_is_refused_when_it_is_and_not_after():
    more = [b"x"] * 9
    request = sending(b"x" * BODY_LIMIT, *more)
    with pytest.raises(HTTPError, match=r"^the body has more than 1,048,576 bytes$") as refused:
        asyncio.run(read_body(request))
    assert refused.value.status == 413
    assert asyncio.run(read_body(sending(b"x" * BODY_LIMIT))) == b"x" * BODY_LIMIT


def test_errors_are_for_people():
    answer = http_error("No such container: x", 404)
    assert (answer.status_code, answer.body) == (404, b"No such container: x\n")
    assert dict(answer.headers) == {
        "content-type": "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
        "content-length": "21",
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HTTPError(404, "Conflict"), 404),
        (ClusterError("no resources available to schedule container"), 500),
        (ClusterError("Conflict: The name x is already assigned."), 409),
        (ClusterError("No Conflict"), 500),
    ],
)
def test_the_status_of_an_error(error, status):
    assert status_of(error) == status


def test_json_has_no_blanks_and_a_line_end():
    value = {"Name": "é", "List": [1, None, True], "Empty": {}}
    assert to_json(value) == '{"Name":"é","List":[1,null,true],"Empty":{}}\n'.encode()


def test_half_a_surrogate_pair_is_no_reason_to_say_nothing():
    assert to_json(json.loads('"a\\ud83d"')) == b'"a?"\n'
    assert to_json(json.loads('"\\ud83d\\ude00"')) == '"😀"\n'.encode()


def test_an_answer_of_json_says_so():
    answer = reply({"Id": "1"}, 201)
    assert (answer.status_code, answer.body) == (201, b'{"Id":"1"}\n')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("route", "value", "variables", "path"),
    [
        ("/containers/{name}/logs", "0a1b", {"name": "web"}, "/containers/0a1b/logs"),
        ("/containers/{name}/attach/ws", "1", {"name": "1"}, "/containers/1/attach/ws"),
        ("/images/{name}/json", "a/b:1@x", {"version": "1.24"}, "/v1.24/images/a/b:1@x/json"),
        ("/auth", "", {"version": "1.30"}, "/v1.30/auth"),
        ("/images/{name}/get", "a?b#c d%", {}, "/images/a%3Fb%23c%20d%25/get"),
        ("/images/{name}/get", "é\n", {"version": "1?24"}, "/v1%3F24/images/%C3%A9%0A/get"),
    ],
)
def test_the_path_on_an_engine(route, value, variables, path):
    assert path_to(asking("", route, **variables), value) == path


def test_a_name_that_occurs_twice_in_a_path_is_replaced_where_it_is_the_name():
    request = asking("", "/containers/{name}/json", name="contain")
    assert path_to(request, "0a1b") == "/containers/0a1b/json"
