"""HTTP/1.1 framing in both directions: heads, body lengths, chunks. Strict and unambiguous.

If a proxy and the next reader understand a message differently, requests can be smuggled. So nothing is repaired: a
message that violates RFC 9112 is refused (``Malformed``), and forwarded messages are written anew from the parsed
parts. The grammar is regular, so it is checked with regular expressions: one C call for a whole head.

llhttp (httptools) is not used as the parser: it refuses unknown methods, which Traffic Server forwards, and it hides
the bytes that decide. The tests use it to parse everything that is accepted and forwarded, as a second opinion.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, NamedTuple

Fields = list[tuple[bytes, bytes]]
"""Header fields in order, names as received, values without surrounding blanks."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
_FIELD_LINES = rb"((?:" + _TOKEN + rb":" + _TEXT + rb"\r\n)*)"

_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([0-9])\r\n" + _FIELD_LINES + rb"\r\n")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: (" + _TEXT + rb"))?\r\n" + _FIELD_LINES + rb"\r\n")
_FIELD = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r\n")
_TRAILERS = re.compile(_FIELD_LINES + rb"\r\n")

# Bytes that no head may contain: refused at once, not after the header timeout.
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_BEGINNING = re.compile(_TOKEN + rb"(?: |\Z)|\r?\Z")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)(?!\Z)")

_LENGTH = re.compile(rb"[0-9]{1,19}")
_MAX_LENGTH: Final = 2**63 - 1
_HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.%A-Za-z]+\])(?::[0-9]*)?")

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
)
_MAX_CHUNK_LINE: Final = 4096
_MAX_TRAILERS: Final = 16384


class Malformed(ValueError):  # noqa: N818 - the usual term
    """A message is invalid or ambiguous. ``reason`` is the error, for the log.

    ``answer`` is the key in ``ANSWERS`` of the client's answer; a server's malformed response always leads to a 502.
    ``line`` is whether the request line could be read (if not, Traffic Server answers with HTTP/1.0). ``head`` is the
    request's head if only its framing is invalid.
    """

    head: RequestHead | None = None

    def __init__(self, reason: str, answer: str = "bad-request", *, line: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer
        self.line = line


class RequestHead(NamedTuple):
    """A request's head: ``minor`` is 0 for HTTP/1.0, 1 for HTTP/1.1 and later 1.x (RFC 9110 section 2.5)."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields


class ResponseHead(NamedTuple):
    """A response's head; ``reason`` may be empty, as CUCM's is."""

    minor: int
    status: int
    reason: bytes
    fields: Fields


class Framing(NamedTuple):
    """The extent of a body: ``length`` bytes, or chunked, or (responses) until the connection closes."""

    length: int | None
    chunked: bool

    @property
    def empty(self) -> bool:
        """Whether there is no body."""
        return self.length == 0 and not self.chunked


NO_BODY: Final = Framing(0, False)
CHUNKED: Final = Framing(None, True)
UNTIL_CLOSE: Final = Framing(None, False)


def check_characters(head: bytes | bytearray, start: int = 0) -> None:
    """Raise ``Malformed`` if an incomplete head, of a request or a response, has bytes that no head may have.

    The bytes before ``start`` have been checked before.
    """
    begin = max(0, start - 1)
    if _NOT_TEXT.search(head, begin):
        raise Malformed("a control character in the head", line=b"\n" in head)
    if _BARE_LF.search(head, begin) or (begin == 0 and head[:1] == b"\n"):
        raise Malformed("a line feed without carriage return", line=False)
    if _BARE_CR.search(head, begin):
        raise Malformed("a carriage return without line feed", line=False)


def check_partial(head: bytes | bytearray, start: int = 0) -> None:
    """Raise ``Malformed`` if an incomplete request head cannot become valid. ``start`` as in ``check_characters``."""
    check_characters(head, start)
    begin = max(0, start - 1)
    end = head.find(b"\r\n")
    if end >= max(0, begin - 1):
        _check_request_line(bytes(head[:end]))
    elif end < 0 and (_NOT_ASCII.search(head, begin) or (start == 0 and not _BEGINNING.match(head))):
        raise Malformed("the request line is not 'METHOD TARGET HTTP/1.1'", line=False)


def _check_request_line(line: bytes) -> None:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Malformed("the request line is not 'METHOD TARGET HTTP/1.1'", line=False)
    if match[3] != b"1":
        raise Malformed(f"HTTP version {match[3].decode()}.{match[4].decode()} is not supported")


def parse_request(head: bytes) -> RequestHead:
    """Parse a complete request head, including the empty line. Raises ``Malformed``."""
    match = _REQUEST.fullmatch(head)
    if match is None:
        check_partial(head)
        raise Malformed(_first_bad_field(head))
    method, target, minor, lines = match.groups()
    fields = [(name, value.strip(b" \t")) for name, value in _FIELD.findall(lines)]
    return RequestHead(method, target, 0 if minor == b"0" else 1, fields)


def parse_response(head: bytes) -> ResponseHead:
    """Parse a complete response head, including the empty line. Raises ``Malformed``."""
    match = _STATUS.fullmatch(head)
    if match is None:
        if not re.match(rb"HTTP/1\.[0-9] [1-5][0-9][0-9](?: |\r\n)", head):
            raise Malformed("the status line is not 'HTTP/1.1 STATUS REASON'", line=False)
        raise Malformed(_first_bad_field(head))
    minor, status, reason, lines = match.groups()
    fields = [(name, value.strip(b" \t")) for name, value in _FIELD.findall(lines)]
    return ResponseHead(0 if minor == b"0" else 1, int(status), reason or b"", fields)


def _first_bad_field(head: bytes) -> str:
    """Return the error in the first invalid header line (line 1 is the request or status line)."""
    field = re.compile(_TOKEN + rb":" + _TEXT)
    for number, line in enumerate(head[:-4].split(b"\r\n"), 1):
        if number == 1:
            continue
        if line[:1] in (b" ", b"\t"):
            return f"header line {number} is folded (obs-fold)"
        if _NOT_TEXT.search(line):
            return f"a control character in header line {number}"
        if re.match(_TOKEN + rb"[ \t]+:", line):
            return f"a blank before the colon in header line {number}"
        if not field.fullmatch(line):
            return f"header line {number} is not 'name: value'"
    return "the head is not HTTP/1.1"


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Return all values of the field ``name`` (lower case), in order."""
    return [value for key, value in fields if key.lower() == name]


def list_items(fields: Fields, name: bytes) -> list[bytes]:
    """Return the comma-separated items of all fields ``name``, in lower case, without empty ones (RFC 9110, 5.6.1)."""
    return [
        item for value in values(fields, name) for part in value.split(b",") if (item := part.strip(b" \t").lower())
    ]


def _content_length(lengths: list[bytes]) -> int:
    if len(lengths) > 1:
        raise Malformed("more than one Content-Length")
    if not _LENGTH.fullmatch(lengths[0]) or int(lengths[0]) > _MAX_LENGTH:
        raise Malformed("a Content-Length that is not a number of bytes")
    return int(lengths[0])


def _transfer_coding(codings: list[bytes], lengths: list[bytes], minor: int) -> Framing:
    if lengths:
        raise Malformed("both Content-Length and Transfer-Encoding")
    if minor == 0:
        raise Malformed("Transfer-Encoding in an HTTP/1.0 message")
    if [coding.lower() for coding in codings] != [b"chunked"]:
        raise Malformed("a Transfer-Encoding other than 'chunked'")
    return CHUNKED


def request_framing(head: RequestHead) -> Framing:
    """Return the extent of a request's body (RFC 9112 section 6.3). Raises ``Malformed``, also if it is ambiguous.

    Check the Host field too (RFC 9112 section 3.2), as Traffic Server does (HttpTransact.cc, check_request_validity).
    """
    lengths: list[bytes] = []
    codings: list[bytes] = []
    hosts: list[bytes] = []
    for name, value in head.fields:
        size = len(name)
        if size == 4 and name.lower() == b"host":
            hosts.append(value)
        elif size == 14 and name.lower() == b"content-length":
            lengths.append(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            codings.append(value)
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        _check_host(hosts, absolute=not head.target.startswith(b"/"))
    if not codings and not lengths:
        return NO_BODY
    if codings:
        framing = _transfer_coding(codings, lengths, head.minor)
    else:
        length = _content_length(lengths)
        framing = NO_BODY if length == 0 else Framing(length, False)
    if head.method == b"TRACE" and not framing.empty:  # RFC 9110 section 9.3.8; observed on 9.2.9
        raise Malformed("a TRACE with a body")
    return framing


def _check_host(hosts: list[bytes], *, absolute: bool) -> None:
    if len(hosts) > 1:
        raise Malformed("more than one Host")
    if hosts:
        raise Malformed("an empty Host" if not hosts[0] else "a Host that is not a host name or address")
    if not absolute:
        raise Malformed("no Host", "host-required")


def response_framing(head: ResponseHead, method: bytes) -> Framing:
    """Return the extent of a response's body for a request's method (RFC 9112 section 6.3). Raises ``Malformed``."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in head.fields:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            lengths.append(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            codings.append(value)
    if codings:
        framing = _transfer_coding(codings, lengths, head.minor)
    elif lengths:
        framing = Framing(_content_length(lengths), False)
    else:
        framing = UNTIL_CLOSE
    if method == b"HEAD" or head.status in (204, 304) or head.status < 200:
        return NO_BODY
    return framing


class LengthBody:
    """Read a body of known length."""

    __slots__ = ("_left", "done", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""
        """Bytes after the body: the beginning of the next message."""

    trailers: ClassVar[Fields] = []
    chunks: ClassVar[int] = 0

    def feed(self, data: bytes) -> bytes:
        """Process received bytes; return the body's bytes among them."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data
        self.done = True
        if size == self._left:
            return data
        self.rest = data[self._left :]
        return data[: self._left]

    def feed_eof(self) -> bool:
        """Process the end of the connection; return whether the body is complete."""
        return self.done


class UntilCloseBody:
    """Read a body that ends with the connection."""

    __slots__ = ("done", "rest")
    trailers: ClassVar[Fields] = []
    chunks: ClassVar[int] = 0

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Process received bytes; return them all."""
        return data

    def feed_eof(self) -> bool:
        """Process the end of the connection, which completes the body."""
        self.done = True
        return True


class ChunkedBody:
    """Read a chunked body (RFC 9112 section 7.1): drop extensions, keep trailers for the caller to filter."""

    __slots__ = ("_buffer", "_left", "_state", "chunks", "done", "rest", "trailers")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._state = "size"
        self.done = False
        self.rest = b""
        self.trailers: Fields = []
        self.chunks = 0
        """Chunks that began in the bytes last received: each costs as much time as many bytes."""

    def feed(self, data: bytes) -> bytes:
        """Process received bytes; return the body's bytes among them. Raises ``Malformed``."""
        self.chunks = 0
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pieces: list[bytes] = []
        position, size = 0, len(data)
        while position < size and not self.done:
            if self._state == "data":
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = "end"
            elif self._state == "end":
                if size - position < 2 and data[position:] == b"\r":
                    break
                if data[position : position + 2] != b"\r\n":
                    raise Malformed("a chunk does not end where its size says")
                position += 2
                self._state = "size"
            elif self._state == "size":
                end = data.find(b"\r\n", position)
                if end < 0:
                    if size - position > _MAX_CHUNK_LINE:
                        raise Malformed("a chunk size line that does not end")
                    _refuse_bare_line_ends(data[position:])
                    break
                self._start_chunk(data[position:end])
                position = end + 2
            else:
                end = self._find_trailers_end(data, position)
                if end < 0:
                    break
                self._end(data[position:end])
                position = end
        if self.done:
            self.rest = data[position:]
        else:
            self._buffer = data[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _start_chunk(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line) if len(line) <= _MAX_CHUNK_LINE else None
        if match is None:
            raise Malformed("a chunk size that is not a hexadecimal number")
        self._left = int(match[1], 16)
        if self._left > _MAX_LENGTH:
            raise Malformed("a chunk size that is too large")
        self._state = "data" if self._left else "trailers"
        self.chunks += 1

    def _find_trailers_end(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            return position + 2
        end = data.find(b"\r\n\r\n", position)
        if (end if end >= 0 else len(data)) - position > _MAX_TRAILERS:
            raise Malformed("trailers too large")
        if end < 0:
            _refuse_bare_line_ends(data[position:])
            return -1
        return end + 4

    def _end(self, lines: bytes) -> None:
        match = _TRAILERS.fullmatch(lines)
        if match is None:
            raise Malformed("a trailer that is not 'name: value'")
        self.trailers = [(name, value.strip(b" \t")) for name, value in _FIELD.findall(match[1])]
        self.done = True

    def feed_eof(self) -> bool:
        """Process the end of the connection; return whether the last chunk was received."""
        return self.done


def _refuse_bare_line_ends(data: bytes) -> None:
    if _BARE_LF.search(data) or _BARE_CR.search(data):
        raise Malformed("a single carriage return or line feed in the chunked coding")


Body = LengthBody | ChunkedBody | UntilCloseBody


def body_reader(framing: Framing) -> Body:
    """Return a reader for a body of this framing."""
    if framing.chunked:
        return ChunkedBody()
    if framing.length is None:
        return UntilCloseBody()
    return LengthBody(framing.length)


def chunk(data: bytes) -> bytes:
    """Return one chunk of the chunked coding; ``data`` must not be empty (that would be the last chunk)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Fields) -> bytes:
    """Return the end of the chunked coding, with its trailers."""
    lines = b"".join(b"%b: %b\r\n" % field for field in trailers)
    return b"0\r\n" + lines + b"\r\n"
