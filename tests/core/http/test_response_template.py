"""Templates of response heads with three variable values: the result equals that of parsing and rewriting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.http.framing import Malformed
from mralab.core.http.response_head import ForwardedResponse, Reply, forward_response, read_reply
from mralab.core.http.response_template import ResponseTemplate, template

NOW = 1_700_000_000.5
DATES = (b"Tue, 14 Nov 2023 22:13:10 GMT", b"Tue, 14 Nov 2023 22:13:20 GMT", b"yesterday", b"")
NUMBERS = (b"0", b"7", b"007", b"12345678901", b"-1", b"+1", b"1 2", b"x", b"", b"1, 1")
LINES = (
    *(b"Date: " + date for date in DATES),
    *(b"date: " + date for date in DATES[:2]),
    *(b"Age: " + number for number in NUMBERS),
    *(b"Content-Length: " + number for number in NUMBERS),
    b"Content-Length:7",
    b"Content-Length: 7 ",
    b"Content-Length : 7",
    b"Date:\tTue, 14 Nov 2023 22:13:10 GMT",
    b"Server: x",
    b"X-Age: 5",
    b"X: Date: y",
    b"Connection: keep-alive",
    b"Connection: Date",
    b"Connection: age, keep-alive",
    b"Transfer-Encoding: chunked",
    b"Set-Cookie: a=\xff",
    b" folded",
)
HEADS = st.builds(
    lambda status, lines: b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b"")),
    st.sampled_from((b"200 OK", b"200 ", b"304 Not Modified", b"204 No Content", b"404 {}%s")),
    st.lists(st.sampled_from(LINES), max_size=6),
)


def parsed(head: bytes, method: bytes, now: float) -> tuple[Reply, ForwardedResponse] | None:
    """Parse and rewrite a head without a template; None unless its body has a known length or is absent."""
    try:
        reply = read_reply(head, method)
    except Malformed:
        return None
    if reply.framing.length is None or not reply.reusable:
        return None
    return reply, forward_response(reply, minor=1, keep_alive=True, connection="Connection", now=now)


def template_of(head: bytes, method: bytes = b"GET") -> ResponseTemplate | None:
    found = parsed(head, method, NOW)
    return template(*found) if found is not None else None


@given(HEADS, HEADS, st.sampled_from((b"GET", b"HEAD")), st.integers(-5, 100))
def test_a_filled_template_equals_the_parsed_head(first: bytes, second: bytes, method: bytes, later: int) -> None:
    known = template_of(first, method)
    for head in (first, second):
        filled = known.fill(head, NOW + later) if known is not None else None
        if filled is not None:
            found = parsed(head, method, NOW + later)
            assert found is not None
            assert filled == (found[1].data, found[0].framing.length)


@given(
    st.permutations((b"Date: %b", b"Age: %b", b"CONTENT-LENGTH: %b", b"X: %%b", b"Server: y")),
    st.lists(st.tuples(st.sampled_from(DATES[:3]), *[st.sampled_from(NUMBERS[:3])] * 2), min_size=2, max_size=2),
)
def test_heads_with_other_values_share_a_template(lines: list[bytes], values: list[tuple[bytes, ...]]) -> None:
    heads = []
    for date, age, length in values:
        by_name = {b"D": date, b"A": age, b"C": length}
        filled = [line % by_name[line[:1]] if line[:1] in by_name else line for line in lines]
        heads.append(b"\r\n".join((b"HTTP/1.1 200 OK", *filled, b"", b"")))
    known = template_of(heads[0])
    assert known is not None
    found = parsed(heads[1], b"GET", NOW + 3)
    assert found is not None
    assert known.fill(heads[1], NOW + 3) == (found[1].data, found[0].framing.length)


HEAD = b"HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:10 GMT\r\nContent-Length: 7\r\n\r\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b": 7", b": 7 "),
        (b": 7", b":7"),
        (b": 7", b": 0x7"),
        (b": 7", b": 7\r\nContent-Length: 7"),
        (b": 7", b": 7\r\nTransfer-Encoding: chunked"),
        (b": 7", b": 99999999999"),
        (b"GMT", b"GMT\x00"),
        (b"GMT", b"GMT\n"),
        (b"200", b"201"),
        (b"Date", b"date"),
        (b"\r\n\r\n", b"\r\nX: 1\r\n\r\n"),
    ],
)
def test_any_other_difference_needs_another_template(old: bytes, new: bytes) -> None:
    known = template_of(HEAD)
    assert known is not None
    assert known.fill(HEAD, NOW) is not None
    assert known.fill(HEAD.replace(old, new), NOW) is None


@pytest.mark.parametrize(
    "fields", [b"Connection: date\r\n", b"Age: 1\r\nAge: 2\r\n", b"Date: x\r\n", b"Age:1\r\n", b"Age: -1\r\n"]
)
def test_a_head_with_more_to_decide_has_no_template(fields: bytes) -> None:
    assert template_of(HEAD.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n")) is None
