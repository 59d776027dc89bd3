"""What is HTTP/1.1 and what is not, in the words of the original, whose answers these are."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.swarm.serving import run
from walkthroughs.swarm.http_messages import BadRequest, Body, Head, read_through

HOST = "Host: x\r\n"


def head(text):
    return Head.parse(text.encode("latin-1"))


def read(text):
    """Read a request as far as its body."""
    parsed = head(text)
    parsed.scope()
    asyncio.run(drained(parsed, b""))


def refusal(text):
    """Return the first line of the answer to a request that is refused."""
    with pytest.raises(BadRequest) as caught:
        read(text)
    return caught.value.answer().decode().partition("\r\n")[0]


async def drained(parsed, content, pieces=1):
    """Return the body that is read from some bytes, and what is left of them."""
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    body, said = Body(parsed, reader), []
    while not body.whole:
        said.append(await body.read())
    return b"".join(said), await reader.read()


def body_of(fields, content):
    return asyncio.run(drained(head(f"POST / HTTP/1.1\r\n{HOST}{fields}\r\n\r\n"), content))


def test_a_request_has_a_method_a_target_a_version_and_fields():
    found = head("POST /v1.24/info?a=b HTTP/1.1\r\nHost: x:1\r\nX-A:  b c \r\nx-a: \r\n\r\n")
    fields = [(b"host", b"x:1"), (b"x-a", b"b c"), (b"x-a", b"")]
    assert found == Head("POST", b"/v1.24/info?a=b", "1.1", fields)


def test_a_scope_has_the_path_decoded_and_as_it_came():
    scope = head(f"GET /a%2Fb%20c?d=%20&e HTTP/1.1\r\n{HOST}\r\n").scope()
    assert (scope["path"], scope["raw_path"]) == ("/a/b c", b"/a%2Fb%20c")
    assert scope["query_string"] == b"d=%20&e"


def test_a_target_may_be_a_url():
    scope = head(f"GET http://elsewhere/a?b HTTP/1.1\r\n{HOST}\r\n").scope()
    assert (scope["path"], scope["query_string"]) == ("/a", b"b")


def test_a_request_of_1_0_needs_no_host():
    assert head("GET / HTTP/1.0\r\n\r\n").scope()["http_version"] == "1.0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GET /_ping HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 Bad Request: malformed Host header"),
        ("\x00\x01\x02\r\n\r\n", "400 Bad Request"),
        ("GET /\r\n\r\n", "400 Bad Request"),
        (f"\r\nGET / HTTP/1.1\r\n{HOST}\r\n", "400 Bad Request"),
        (f"GET /a b HTTP/1.1\r\n{HOST}\r\n", "400 Bad Request"),
        (f"GET /%zz HTTP/1.1\r\n{HOST}\r\n", "400 Bad Request"),
        (f"F(O / HTTP/1.1\r\n{HOST}\r\n", "400 Bad Request"),
        (
            f"GET / HTTP/2.0\r\n{HOST}\r\n",
            "505 HTTP Version Not Supported: unsupported protocol version",
        ),
        (f"GET / HTTP/1.1\r\n{HOST}A : b\r\n\r\n", "400 Bad Request: invalid header name"),
        (f"GET / HTTP/1.1\r\n{HOST}A: b\0c\r\n\r\n", "400 Bad Request: invalid header value"),
        (f"GET / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n", "400 Bad Request"),
        (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1_0\r\n\r\n", "400 Bad Request"),
        (
            f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400 Bad Request",
        ),
    ],
)
def test_what_the_original_refuses_is_refused_in_its_words(text, said):
    assert refusal(text) == f"HTTP/1.1 {said}"


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, chunked", "identity"])
def test_a_coding_that_is_not_chunked_is_501(coding):
    text = f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: {coding}\r\n\r\n"
    assert refusal(text) == "HTTP/1.1 501 Not Implemented: Unsupported transfer encoding"


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
    ],
)
def test_two_ways_to_say_where_a_body_ends_are_refused(fields):
    assert refusal(f"POST / HTTP/1.1\r\n{HOST}{fields}\r\n\r\n") == "HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("line", [" folded", "no colon", ": no name", "\x7f: a"])
def test_a_line_that_is_no_field_is_refused(line):
    text = f"GET / HTTP/1.1\r\n{HOST}A: b\r\n{line}\r\n\r\n"
    assert refusal(text) == "HTTP/1.1 400 Bad Request: invalid header name"


def test_one_length_said_twice_is_one_length():
    assert body_of("Content-Length: 2\r\nContent-Length: 2", b"{}next") == (b"{}", b"next")


def test_a_body_of_a_length_ends_there():
    assert body_of("Content-Length: 3", b"abcGET /") == (b"abc", b"GET /")


def test_without_a_length_there_is_no_body():
    assert body_of("A: b", b"GET /") == (b"", b"GET /")


def test_chunks_are_one_body_and_what_follows_the_last_is_dropped():
    chunks = b"3\r\nabc\r\n0A;note=x\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /"
    assert body_of("Transfer-Encoding: chunked", chunks) == (b"abc0123456789", b"GET /")


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"\r\n", b"-1\r\n", b"1\r\nabc", b"0x1\r\na\r\n"])
def test_what_is_no_chunk_is_refused(chunks):
    with pytest.raises(BadRequest):
        body_of("Transfer-Encoding: chunked", chunks + b"0\r\n\r\n")


@pytest.mark.parametrize("chunks", [b"5\r\nab", b"5\r\nabcde\r\n", b"0\r\n", b""])
def test_a_body_that_ends_early_is_an_eof(chunks):
    with pytest.raises(EOFError):
        body_of("Transfer-Encoding: chunked", chunks)


def test_a_piece_is_there_before_its_chunk_has_ended():
    async def work():
        reader = asyncio.StreamReader()
        fields = "Transfer-Encoding: chunked\r\n"
        body = Body(head(f"POST / HTTP/1.1\r\n{HOST}{fields}\r\n"), reader)
        reader.feed_data(b"3\r\nabc")
        assert (await body.read(), body.whole) == (b"abc", False)

    run(work())


@pytest.mark.parametrize(
    "chunks", [b"1;" + b"x" * 5000 + b"\r\n", b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n"]
)
def test_an_endless_line_between_chunks_is_refused(chunks):
    with pytest.raises(BadRequest) as caught:
        body_of("Transfer-Encoding: chunked", chunks)
    assert caught.value.status == 431


def test_a_head_without_an_end_is_refused_at_its_limit():
    async def work():
        reader = asyncio.StreamReader(100)
        reader.feed_data(b"x" * 250)
        reader.feed_eof()
        with pytest.raises(BadRequest) as caught:
            await read_through(reader, b"\r\n\r\n", 200)
        assert caught.value.status == 431

    run(work())


def test_a_head_may_be_longer_than_what_a_reader_holds():
    async def work():
        reader = asyncio.StreamReader(100)
        text = b"x" * 250 + b"\r\n\r\n"
        reader.feed_data(text + b"more")
        assert await read_through(reader, b"\r\n\r\n", 300) == text
        assert await reader.readexactly(4) == b"more"

    run(work())


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_request_or_refused(content):
    with suppress(BadRequest):
        assert Head.parse(content + b"\r\n\r\n").scope()["type"] == "http"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.binary(max_size=20))
def test_any_chunks_come_back_as_they_were(chunks, rest):
    text = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    assert body_of("Transfer-Encoding: chunked", text + rest) == (b"".join(chunks), rest)
