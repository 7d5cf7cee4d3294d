"""Responses parsed from bytes: the result does not depend on how they are split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.http.framing import Malformed
from mralab.core.http.response_reader import ResponseReader

LIMIT = 4096
KNOWN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


def reader(method: bytes = b"GET") -> ResponseReader:
    made = ResponseReader(LIMIT)
    made.begin(method)
    return made


def fed(data: bytes, cuts: list[int], method: bytes = b"GET") -> tuple[ResponseReader, bytes, list[int]]:
    """Feed ``data`` in pieces; return the reader, the body, and the interim statuses."""
    made, body, interim = reader(method), b"", []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        body += made.receive(data[start:end])
        interim += [head.status for head in made.take_interim()]
    return made, body, interim


@given(st.sampled_from([KNOWN, CHUNKED, INTERIM + KNOWN, INTERIM + CHUNKED]), st.lists(st.integers(0, 500), max_size=8))
def test_a_response_is_the_same_for_any_split(data: bytes, cuts: list[int]) -> None:
    made, body, interim = fed(data, cuts)
    assert body == b"hello"
    assert made.reply is not None
    assert made.reply.head.status == 200
    assert (made.complete, made.reusable) == (True, True)
    assert interim == ([100, 103] if data.startswith(INTERIM) else [])
    assert made.trailers == ([(b"X-Sum", b"1")] if b"chunked" in data else [])


@pytest.mark.parametrize("data", [KNOWN, CHUNKED, INTERIM + KNOWN])
def test_byte_by_byte(data: bytes) -> None:
    made, body, _ = fed(data, list(range(len(data))))
    assert (body, made.complete) == (b"hello", True)


def test_no_response_has_begun_before_the_first_byte() -> None:
    made = reader()
    assert not made.began
    made.receive(b"H")
    assert made.began
    made.begin(b"GET")
    assert (made.began, made.reply, made.complete) == (False, None, False)


@pytest.mark.parametrize("clean", [True, False])
def test_only_a_clean_end_ends_a_body_of_unknown_length(clean: bool) -> None:
    made, body, _ = fed(UNTIL_CLOSE, [])
    assert (body, made.complete) == (b"hello", False)
    assert made.receive_eof(clean=clean) is clean
    assert made.reusable is False


@pytest.mark.parametrize("data", [KNOWN[:-1], CHUNKED[:-2], INTERIM, KNOWN[:20]])
def test_an_early_end_is_not_a_complete_response(data: bytes) -> None:
    made, _, _ = fed(data, [])
    assert made.receive_eof(clean=True) is False


@pytest.mark.parametrize("data", [KNOWN + b"x", CHUNKED + b"HTTP/1.1 200 OK\r\n\r\n"])
def test_more_bytes_than_announced_make_the_connection_unusable(data: bytes) -> None:
    made, body, _ = fed(data, [])
    assert (body, made.complete, made.reusable) == (b"hello", True, False)
    made, body, _ = fed(KNOWN, [])
    assert made.receive(b"late") == b""
    assert made.reusable is False


def test_head_and_204_have_no_body() -> None:
    made, body, _ = fed(KNOWN.removesuffix(b"hello"), [], b"HEAD")
    assert (body, made.complete, made.reusable) == (b"", True, True)
    made, body, _ = fed(b"HTTP/1.1 204 No Content\r\n\r\n", [])
    assert (body, made.complete) == (b"", True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "the response head is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * LIMIT, "the response head is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * LIMIT + b"\r\n\r\n", "the response head is not HTTP/1.1"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 17, "too many 1xx"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
    ],
)
@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_what_is_not_a_response_is_malformed(data: bytes, reason: str, cut: int) -> None:
    made = reader()
    with pytest.raises(Malformed) as raised:
        for start in range(0, len(data), cut):
            made.receive(data[start : start + cut])
    assert reason in str(raised.value)


@pytest.mark.parametrize("cut", [0, 1, 14, 15, 16, 17])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK\nServer: x\n\nhello", "a line feed without carriage return"),
        (b"HTTP/1.1 200 OK\r\nServer: x\n\n", "a line feed without carriage return"),
        (INTERIM + b"HTTP/1.1 200 OK\nServer: x\n\n", "a line feed without carriage return"),
        (b"HTTP/1.1 200 OK\rServer: x\r\r", "a carriage return without line feed"),
        (b"HTTP/1.1 200 OK\r\nServer: \0", "a control character in the head"),
    ],
)
def test_a_head_that_cannot_become_valid_is_malformed_at_once(data: bytes, reason: str, cut: int) -> None:
    """Not only when the time for the response is over: the rest of the head may never come."""
    with pytest.raises(Malformed) as raised:
        fed(data, [cut])
    assert raised.value.reason == reason
