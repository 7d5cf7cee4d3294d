"""Responses parsed and rewritten by their head; results are cached within a second only."""

from __future__ import annotations

import pytest

from mralab.core.http.framing import Framing, Malformed
from mralab.core.http.response_head import ForwardedResponse, Reply, forward_response, read_reply

NOW = 1_700_000_000.5  # Tue, 14 Nov 2023 22:13:20 GMT
DATED = b"HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:10 GMT\r\nContent-Length: 2\r\n\r\n"


def forward(reply: Reply, *, minor: int = 1, keep_alive: bool = True, now: float = NOW) -> ForwardedResponse:
    return forward_response(reply, minor=minor, keep_alive=keep_alive, connection="Connection", now=now)


def test_age_grows_although_the_result_is_cached() -> None:
    reply = read_reply(DATED, b"GET")
    assert b"\r\nAge: 10\r\n" in forward(reply).data
    assert forward(reply, now=NOW + 0.3) is forward(reply)
    assert b"\r\nAge: 12\r\n" in forward(reply, now=NOW + 2).data


def test_each_client_gets_its_own_version() -> None:
    reply = read_reply(b"HTTP/1.1 200 OK\r\n\r\n", b"GET")
    assert reply.framing == Framing(None, False)
    assert not reply.reusable
    new, old = forward(reply), forward(reply, minor=0)
    assert (new.chunked, new.keep_alive) == (True, True)
    assert (old.chunked, old.keep_alive) == (False, False)  # the end of the body is the end of the connection
    assert old.data.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Connection: close\r\n" in forward(reply, keep_alive=False).data


def test_a_response_to_head_has_no_body_to_chunk() -> None:
    reply = read_reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HEAD")
    assert reply.framing.empty
    assert reply.reusable
    assert not forward(reply).chunked


def test_the_same_head_is_framed_by_the_rules_of_each_method() -> None:
    assert read_reply(DATED, b"HEAD").framing.empty
    assert read_reply(DATED, b"GET").framing == Framing(2, False)


@pytest.mark.parametrize("size", [100, 5000])
def test_a_malformed_head_is_refused_each_time(size: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nX: %b\r\n\r\n" % (b"x" * size)
    for _ in range(2):
        with pytest.raises(Malformed):
            read_reply(data, b"GET")
