"""Framing of HTTP messages: a message has one interpretation, or is refused."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.http.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    ChunkedBody,
    Framing,
    LengthBody,
    Malformed,
    body_reader,
    check_partial,
    chunk,
    last_chunk,
    parse_request,
    parse_response,
    request_framing,
    response_framing,
)
from mralab.core.http.rewrite import lacks_length

GOOD = b"GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nX-A:  1 \t\r\nEmpty:\r\n\r\n"


def test_a_request_head_is_read_with_names_as_written_and_values_trimmed() -> None:
    head = parse_request(GOOD)
    assert (head.method, head.target, head.minor) == (b"GET", b"/a?b=c", 1)
    assert head.fields == [(b"Host", b"h:1"), (b"X-A", b"1"), (b"Empty", b"")]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"GARBAGE\r\n\r\n", "request line"),
        (b"GET /\r\n\r\n", "request line"),
        (b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET / a HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", "version 9.9"),
        (b"GET / http/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", "request line"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", "control character"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n folded\r\n\r\n", "folded"),
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "folded"),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "blank before the colon"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n", "not 'name: value'"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", "not 'name: value'"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n", "line feed"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", "carriage return"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: \x7f\r\n\r\n", "control character"),
    ],
)
def test_a_malformed_head_is_refused_with_its_reason(head: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_request(head)


@pytest.mark.parametrize(
    "start",
    [
        b"\x16\x03\x01\x02",
        b"GET / HTTP/1.1\nHost",
        b"GET /\r\n",
        b"GET / HTTP/1.1\r\nA: \x00",
        b"\n",
        b"\xff\xff",
        b"GET /\xc3",
        b"(GET",
        b" GET",
    ],
)
def test_a_malformed_head_is_refused_before_it_is_complete(start: bytes) -> None:
    with pytest.raises(Malformed):
        check_partial(start)


@given(st.integers(0, len(GOOD) - 1))
def test_no_beginning_of_a_good_head_is_refused(cut: int) -> None:
    check_partial(GOOD[:cut])
    check_partial(GOOD[:cut], max(0, cut - 5))


def _framing(lines: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> Framing:
    return request_framing(parse_request(method + b" / HTTP/" + version + b"\r\nHost: h\r\n" + lines + b"\r\n"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"Content-Length: 5\r\n", Framing(5, False)),
        (b"Content-Length: 0\r\n", NO_BODY),
        (b"Transfer-Encoding: chunked\r\n", CHUNKED),
        (b"transfer-encoding:  CHUNKED \r\n", CHUNKED),
        (b"Content-Length: 9223372036854775807\r\n", Framing(2**63 - 1, False)),
    ],
)
def test_a_body_has_one_length(lines: bytes, expected: Framing) -> None:
    assert _framing(lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5 5\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 9223372036854775808\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding:\r\n",
    ],
)
def test_an_ambiguous_length_is_refused(lines: bytes) -> None:
    with pytest.raises(Malformed):
        _framing(lines)


def test_chunked_in_http_1_0_is_refused() -> None:
    with pytest.raises(Malformed, match=r"HTTP/1\.0"):
        _framing(b"Transfer-Encoding: chunked\r\n", version=b"1.0")


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
def test_a_post_without_length_gets_length_required(method: bytes) -> None:
    for line, lacks in ((b"", True), (b"Content-Length: 0\r\n", False), (b"Transfer-Encoding: chunked\r\n", False)):
        head = parse_request(method + b" /a HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n")
        assert lacks_length(head, request_framing(head)) is lacks


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (b"", "host-required"),
        (b"Host:\r\n", "bad-request"),
        (b"Host: a\r\nHost: a\r\n", "bad-request"),
        (b"Host: a b\r\n", "bad-request"),
        (b"Host: a/b\r\n", "bad-request"),
        (b"Host: a@b\r\n", "bad-request"),
    ],
)
def test_a_request_has_exactly_one_host(lines: bytes, answer: str) -> None:
    with pytest.raises(Malformed) as raised:
        request_framing(parse_request(b"GET / HTTP/1.1\r\n" + lines + b"\r\n"))
    assert raised.value.answer == answer


def test_an_absolute_form_request_needs_no_host_line() -> None:
    assert request_framing(parse_request(b"GET http://h/ HTTP/1.1\r\n\r\n")) == NO_BODY


@pytest.mark.parametrize(
    ("head", "method", "expected"),
    [
        (b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n", b"GET", Framing(3, False)),
        (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", b"GET", Framing(3, False)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", CHUNKED),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"GET", UNTIL_CLOSE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HEAD", NO_BODY),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", NO_BODY),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"GET", NO_BODY),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"GET", UNTIL_CLOSE),
    ],
)
def test_a_response_body_has_one_length(head: bytes, method: bytes, expected: Framing) -> None:
    assert response_framing(parse_response(head), method) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x01garbage no http here\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_an_ambiguous_response_is_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        response_framing(parse_response(head), b"GET")


PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(PIECES, st.lists(st.integers(1, 9), min_size=1), st.binary(max_size=20))
def test_decoded_chunks_are_the_same_for_any_split(pieces: list[bytes], cuts: list[int], after: bytes) -> None:
    wire = b"".join(map(chunk, pieces)) + last_chunk([(b"X-T", b"1")]) + after
    reader, out, position, turn = ChunkedBody(), b"", 0, 0
    while position < len(wire) and not reader.done:
        step = cuts[turn % len(cuts)]
        turn += 1
        out += reader.feed(wire[position : position + step])
        position += step
    assert reader.done
    assert out == b"".join(pieces)
    assert reader.trailers == [(b"X-T", b"1")]
    assert reader.rest + wire[position:] == after


@pytest.mark.parametrize(
    "wire",
    [
        b"g\r\n",
        b"-1\r\n",
        b"0x1\r\na",
        b" 1\r\na",
        b"1 \r\na",
        b"1\na",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"\r\n",
        b"11111111111111111\r\n",
        b"ffffffffffffffff\r\n",
        b"1;=x\r\n",
        b"1;a=\x00\r\n",
        b"1;a\rb\r\n",
        b"0\r\nBad Trailer\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"1;" + b"a" * 5000,
    ],
)
def test_a_broken_chunk_is_refused(wire: bytes) -> None:
    with pytest.raises(Malformed):
        ChunkedBody().feed(wire)


def test_chunk_extensions_are_ignored() -> None:
    reader = ChunkedBody()
    assert reader.feed(b'2;ext=1;q="a;b"\r\nde\r\n0\r\n\r\nNEXT') == b"de"
    assert reader.done
    assert reader.rest == b"NEXT"


def test_bytes_after_a_body_of_known_length_are_not_consumed() -> None:
    reader = LengthBody(3)
    assert (reader.feed(b"ab"), reader.done, reader.feed_eof()) == (b"ab", False, False)
    assert (reader.feed(b"cGET"), reader.done, reader.rest) == (b"c", True, b"GET")


TOKENS = st.text("abcXYZ-_09", min_size=1, max_size=8).map(str.encode)
VALUES = st.text('ab :,;="\\\t\x80\xff/()', max_size=12).map(lambda text: text.encode("latin-1"))


class _Second:
    """Results of llhttp for a message."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=5), st.binary(max_size=30), st.booleans())
def test_llhttp_agrees_about_accepted_messages(extra: list[tuple[bytes, bytes]], body: bytes, chunked: bool) -> None:
    fields = [(b"X" + name, value) for name, value in extra]
    coding = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    wire = b"POST /x HTTP/1.1\r\nHost: h\r\n" + coding + b"\r\n"
    wire += b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"
    payload = (chunk(body) if body else b"") + last_chunk([]) if chunked else body
    head = parse_request(wire)
    reader = body_reader(request_framing(head))
    ours = reader.feed(payload) if payload else b""
    second = _Second()
    parser = httptools.HttpRequestParser(second)
    parser.feed_data(wire + payload)
    assert second.complete
    assert (second.url, second.body) == (head.target, ours)
    assert [(name, value.strip(b" \t")) for name, value in second.fields] == head.fields
