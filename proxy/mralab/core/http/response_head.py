"""Decisions about a server's response, made from its head only: its framing, and the head for the client.

Servers often repeat the same head within a second, so small heads are cached, parsed and rewritten.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from .framing import Fields, Framing, ResponseHead, parse_response, response_framing
from .rewrite import client_framing, keeps_alive, response_head

_LARGEST_KEPT: Final = 2048  # bytes of a head that is cached
_MOST_KEPT: Final = 512


class Reply(NamedTuple):
    """A server's parsed response head. ``data`` are its bytes, ``method`` is that of the request."""

    data: bytes
    method: bytes
    head: ResponseHead
    framing: Framing
    reusable: bool
    """According to its head, the server keeps the connection open."""
    start_line: str
    """The status line in the form of the log."""


class ForwardedResponse(NamedTuple):
    """The head for the client: its bytes, its fields, and how to send the body."""

    data: bytes
    fields: Fields
    start_line: str
    chunked: bool
    keep_alive: bool


def read_reply(data: bytes, method: bytes) -> Reply:
    """Parse a complete response head, including the empty line. Raises ``Malformed``."""
    return _read_kept(data, method) if len(data) <= _LARGEST_KEPT else _read(data, method)


def _read(data: bytes, method: bytes) -> Reply:
    head = parse_response(data)
    framing = response_framing(head, method)
    until_close = framing.length is None and not framing.chunked
    reusable = keeps_alive(head.minor, head.fields) and not until_close
    return Reply(data, method, head, framing, reusable, f"HTTP/1.{head.minor} {_status(head)}")


_read_kept = lru_cache(_MOST_KEPT)(_read)


def forward_response(reply: Reply, *, minor: int, keep_alive: bool, connection: str, now: float) -> ForwardedResponse:
    """Return the response head for a client of HTTP/1.``minor``.

    ``keep_alive`` is whether the client's connection may be kept (it is not if it must close to end the body).
    ``connection`` is the name of the field for keep-alive or close. ``now`` is in seconds since the epoch.
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
