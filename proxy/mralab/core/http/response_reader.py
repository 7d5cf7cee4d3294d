"""One server's responses, read from bytes: interim heads, the final head, the body. Pure: no socket, no clock.

``begin`` starts a response, ``receive`` takes the bytes as they come and returns what of the body is in them. What a
caller waits for are attributes: ``reply`` is the final head once it was read, ``complete`` says that the body is.
"""

from __future__ import annotations

from typing import Final

from .framing import Body, Fields, Malformed, ResponseHead, body_reader, check_characters
from .response_head import Reply, read_reply

_MOST_INFORMATIONAL: Final = 16


class ResponseReader:
    """Reads the responses of one connection, one after the other.

    ``header_bytes`` is the limit of a head. ``reusable``: the connection may serve another request, as far as the
    server has said and sent so far.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_checked",
        "_header_bytes",
        "_informational",
        "_informational_bytes",
        "_interim",
        "_method",
        "complete",
        "reply",
        "reusable",
    )

    def __init__(self, header_bytes: int) -> None:
        self._header_bytes = header_bytes
        self._buffer = bytearray()
        self._checked = 0
        self._method = b""
        self._informational = 0
        self._informational_bytes = 0
        self._interim: list[ResponseHead] = []
        self._body: Body | None = None
        self.reply: Reply | None = None
        self.complete = False
        self.reusable = False

    @property
    def began(self) -> bool:
        """Whether a byte of the response was received."""
        return self._body is not None or bool(self._informational or self._buffer)

    @property
    def trailers(self) -> Fields:
        """The trailer fields of a complete response."""
        return self._body.trailers if self._body is not None else []

    @property
    def chunks(self) -> int:
        """How many chunks the latest bytes had (``Body.chunks``)."""
        return self._body.chunks if self._body is not None else 0

    def begin(self, method: bytes) -> None:
        """Start the response to a request with ``method``. Nothing of it may have been received."""
        self._method = method
        self._informational = self._informational_bytes = 0
        self._interim.clear()
        self._body = None
        self._buffer.clear()
        self._checked = 0
        self.reply = None
        self.complete = False
        self.reusable = False

    def receive(self, data: bytes) -> bytes:
        """Take the next bytes; return the body's bytes in them. Raises ``Malformed``."""
        if self._body is None:
            data = self._read_heads(data)
        if self._body is None:
            return b""
        return self._read_body(self._body, data)

    def receive_eof(self, *, clean: bool) -> bool:
        """Take the end of the connection; return whether the response is complete.

        ``clean``: FIN and, over TLS, close_notify. Only such an end can end a body (RFC 9112 section 9.8).
        """
        self.reusable = False
        if clean and self._body is not None and self._body.feed_eof():
            self.complete = True
        return self.complete

    def take_interim(self) -> list[ResponseHead]:
        """Return the 1xx heads that were read since the last call."""
        heads, self._interim = self._interim, []
        return heads

    def _read_heads(self, data: bytes) -> bytes:
        """Read heads up to the final one; return the bytes behind it."""
        buffer: bytes | bytearray = data  # the usual case: the head comes whole, and needs no buffer
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        at = 0
        while self._body is None:
            end = buffer.find(b"\r\n\r\n", at + max(0, self._checked - 3)) + 4
            if end < 4 or end - at > self._header_bytes:
                if at or buffer is data:
                    self._buffer = bytearray(buffer[at:])
                check_characters(self._buffer, self._checked)
                self._checked = len(self._buffer)
                if self._checked > self._header_bytes or not b"HTTP/1.".startswith(self._buffer[:7]):
                    raise Malformed("the response head is not HTTP/1.1")
                return b""
            self._checked = 0
            self._take_head(read_reply(bytes(buffer[at:end]), self._method))
            at = end
        rest = bytes(buffer[at:])
        self._buffer.clear()
        return rest

    def _take_head(self, reply: Reply) -> None:
        if reply.head.status >= 200:
            self._body = body_reader(reply.framing)
            self.reusable = reply.reusable
            self.reply = reply
            self.complete = self._body.done
            return
        self._informational += 1
        if reply.head.status == 101:
            raise Malformed("101 Switching Protocols without an Upgrade in the request")
        self._informational_bytes += len(reply.data)  # together they share the limit of one head
        if self._informational > _MOST_INFORMATIONAL or self._informational_bytes > self._header_bytes:
            raise Malformed("too many 1xx responses")
        self._interim.append(reply.head)

    def _read_body(self, body: Body, data: bytes) -> bytes:
        if body.done:
            if data:
                self.reusable = False  # more than was announced
            return b""
        if not data:
            return b""
        piece = body.feed(data)
        if body.done:
            self.complete = True
            if body.rest:
                self.reusable = False
        return piece
