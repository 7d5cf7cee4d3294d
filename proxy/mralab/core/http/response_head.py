"""What is decided of a server's response by its head alone: how long it is, and what the client gets of it.

Servers say much the same again and again within a second: small heads are remembered, as they came and as they go on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from .framing import Fields, Framing, ResponseHead, parse_response, response_framing
from .rewrite import client_framing, keeps_alive, response_head

_LARGEST_KEPT: Final = 2048  # bytes of a head worth remembering
_MOST_KEPT: Final = 512


class Reply(NamedTuple):
    """A server's response head, understood. ``data`` are its bytes, ``method`` the request's that it answers."""

    data: bytes
    method: bytes
    head: ResponseHead
    framing: Framing
    reusable: bool
    """The server keeps its connection open, as far as it has said so far."""
    start_line: str
    """As the log has it."""


class ForwardedResponse(NamedTuple):
    """The head as the client gets it: its bytes, its fields, and how its body is to be sent."""

    data: bytes
    fields: Fields
    start_line: str
    chunked: bool
    keep_alive: bool


def read_reply(data: bytes, method: bytes) -> Reply:
    """Understand a whole response head, ending in its empty line. Raises ``Malformed``."""
    return _read_kept(data, method) if len(data) <= _LARGEST_KEPT else _read(data, method)


def _read(data: bytes, method: bytes) -> Reply:
    head = parse_response(data)
    framing = response_framing(head, method)
    until_close = framing.length is None and not framing.chunked
    reusable = keeps_alive(head.minor, head.fields) and not until_close
    return Reply(data, method, head, framing, reusable, f"HTTP/1.{head.minor} {_status(head)}")


_read_kept = lru_cache(_MOST_KEPT)(_read)


def forward_response(reply: Reply, *, minor: int, keep_alive: bool, connection: str, now: float) -> ForwardedResponse:
    """The response for a client of HTTP/1.``minor``.

    ``keep_alive`` is whether its connection may live on (it does not where the end of the body must end it),
    ``connection`` the field that says so, ``now`` seconds since the epoch.
    """
    second = int(now)
    if len(reply.data) <= _LARGEST_KEPT:
        return _forward_kept(reply.data, reply.method, minor, keep_alive, connection, second)
    return _forward(reply, minor, keep_alive, connection, second)


@lru_cache(_MOST_KEPT)
def _forward_kept(
    data: bytes, method: bytes, minor: int, keep_alive: bool, connection: str, second: int
) -> ForwardedResponse:
    return _forward(_read_kept(data, method), minor, keep_alive, connection, second)


def _forward(reply: Reply, minor: int, keep_alive: bool, connection: str, second: int) -> ForwardedResponse:
    framing = client_framing(reply.framing, minor)
    keep_alive = keep_alive and (framing.chunked or framing.length is not None)
    data, fields = response_head(
        reply.head, now=second, framing=framing, keep_alive=keep_alive, minor=minor, connection=connection.encode()
    )
    chunked = framing.chunked and reply.method != b"HEAD"
    return ForwardedResponse(data, fields, f"HTTP/1.{minor} {_status(reply.head)}", chunked, keep_alive)


def _status(head: ResponseHead) -> str:
    return f"{head.status} {head.reason.decode('latin-1')}"
