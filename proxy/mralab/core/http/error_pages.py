"""The proxy's own answers: status, reason and page for each failure.

Statuses, reasons, titles and header order are Traffic Server 8.1.11's (proxy/http/HttpTransact.cc,
build_error_response and handle_server_died; observed again on 9.2.9). The descriptions on the pages are our own.
"""

from __future__ import annotations

from email.utils import formatdate
from html import escape
from typing import Final, NamedTuple

from ..connection_reason import connection_reason
from .framing import RequestHead

SERVER: Final = "ATS/8.1.11"


class ErrorPage(NamedTuple):
    """The answer for one failure. ``close`` ends the client's connection even if the client wants to keep it."""

    status: int
    reason: str
    title: str
    text: str
    close: bool = False


_BAD_REQUEST = "Bad Request"
_NO_CONNECTION = "Could Not Connect"
_NO_CONNECTION_TEXT = "The proxy could not connect to the server of this request, or did not accept the server."

ERROR_PAGES: Final[dict[str, ErrorPage]] = {
    "bad-request": ErrorPage(
        400, "Invalid HTTP Request", _BAD_REQUEST, "The request could not be read as HTTP/1.1.", close=True
    ),
    "bad-upgrade": ErrorPage(
        400, "Invalid Upgrade Request", _BAD_REQUEST, "The requested protocol is not supported.", close=True
    ),
    "host-required": ErrorPage(
        400,
        "Host Header Required",
        "Host Header Required",
        "HTTP/1.1 requires a Host header in each request.",
        close=True,
    ),
    "cycle": ErrorPage(
        400, "Cycle Detected", "Cycle Detected", "The request has passed this proxy before.", close=True
    ),
    "denied": ErrorPage(403, "Forbidden", "Forbidden", "No rule of the allow list matches this request."),
    "leads-back": ErrorPage(403, "Forbidden", "Forbidden", "The address of this request's server is the proxy's own."),
    "no-connect": ErrorPage(
        404,
        "Not Found",
        "Not Found on Accelerator",
        "CONNECT is not supported: request a token path.",
    ),
    "not-found": ErrorPage(
        404,
        "Not Found on Accelerator",
        "Not Found on Accelerator",
        "The first part of the path is not a token of domain, protocol, host and port.",
    ),
    "not-found-absolute": ErrorPage(
        404,
        "Not Found",
        "Not Found on Accelerator",
        "The first part of the path is not a token of domain, protocol, host and port, or the URL has another host.",
    ),
    "client-timeout": ErrorPage(
        408, "Inactive Timeout", "Inactivity Timeout", "The request was not complete in time.", close=True
    ),
    "length-required": ErrorPage(
        411,
        "Content Length Required",
        "No Content Length",
        "This method needs a Content-Length or a chunked body.",
    ),
    "connect-failed": ErrorPage(502, "connect failed", _NO_CONNECTION, _NO_CONNECTION_TEXT),
    "connect-timeout": ErrorPage(
        502, "internal error - server connection terminated", _NO_CONNECTION, _NO_CONNECTION_TEXT
    ),
    "no-name": ErrorPage(502, "Cannot find server.", "Unknown Host", "The server's name has no address."),
    "hangup": ErrorPage(
        502,
        "Server Hangup",
        "Server Connection Closed",
        "The server closed the connection before it sent a response.",
    ),
    "bad-response": ErrorPage(
        502, "Invalid HTTP Response", "Web Server Error", "The server's response could not be read as HTTP/1.1."
    ),
    "response-timeout": ErrorPage(
        504, "Connection Timed Out", "Inactivity Timeout", "The server did not respond in time."
    ),
}


def connection_error(error: OSError | None) -> ErrorPage:
    """Return the 502 for a connection that failed with ``error``.

    Its reason is the text of the errno (get_error_string). If the connection was refused, or ended without an error,
    the reason is ``connect failed``.
    """
    answer = ERROR_PAGES["connect-failed"]
    if error is None or not error.errno or isinstance(error, ConnectionRefusedError):
        return answer
    return answer._replace(reason=connection_reason(error))


_METHODS: Final = "CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PURGE, PUT, PUSH, TRACE"
# Fields that a TRACE does not return (RFC 9110 section 9.3.8).
_NOT_TRACED: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


def render_last_hop(head: RequestHead, *, now: float, keep_alive: bool) -> tuple[bytes, str]:
    """Return the answer to a TRACE or OPTIONS whose Max-Forwards ends here, and its status line.

    TRACE gets its own head back, OPTIONS the list of methods (HttpTransact.cc, HandleRequest and build_response).
    """
    start_line = f"HTTP/1.{head.minor} 200 OK"
    lines = [start_line, f"Date: {formatdate(now, usegmt=True)}"]
    if head.minor or keep_alive:
        lines.append(f"{connection_field(head)}: {'keep-alive' if keep_alive else 'close'}")
    lines.append(f"Server: {SERVER}")
    body = b""
    if head.method == b"TRACE":
        fields = b"".join(b"%b: %b\r\n" % field for field in head.fields if field[0].lower() not in _NOT_TRACED)
        body = b"TRACE %b HTTP/1.%d\r\n%b\r\n" % (head.target, head.minor, fields)
        lines.append("Content-Type: message/http")
    else:
        lines.append(f"Allow: {_METHODS}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, start_line


def connection_field(request: RequestHead | None) -> str:
    """Return the name of the field for keep-alive or close: Proxy-Connection if the client uses it."""
    is_proxy = request is not None and any(name.lower() == b"proxy-connection" for name, _ in request.fields)
    return "Proxy-Connection" if is_proxy else "Connection"


def page(answer: ErrorPage) -> bytes:
    """Return the answer's HTML page."""
    title = escape(answer.title)
    return (
        f"<HTML>\n<HEAD>\n<TITLE>{title}</TITLE>\n</HEAD>\n\n"
        f'<BODY BGCOLOR="white" FGCOLOR="black">\n<H1>{title}</H1>\n<HR>\n\n'
        f'<FONT FACE="Helvetica,Arial"><B>\nDescription: {escape(answer.text)}\n</B></FONT>\n<HR>\n</BODY>\n'
    ).encode("ascii")


def render(
    answer: ErrorPage, *, now: float, request: RequestHead | None, minor: int, keep_alive: bool
) -> tuple[bytes, str]:
    """Return the answer's bytes and its status line.

    The header order is Traffic Server's: Date, Connection, Server, Cache-Control, Content-Type, Content-Language,
    Content-Length; an HTTP/1.0 client gets an HTTP/1.0 status line, and Connection only if its connection is kept.
    ``now`` is in seconds since the epoch. ``request`` is None if it could not be read; HEAD gets only the head.
    """
    body = page(answer)
    start_line = f"HTTP/1.{minor} {answer.status} {answer.reason}"
    lines = [start_line, f"Date: {formatdate(now, usegmt=True)}"]
    if minor or keep_alive:
        lines.append(f"{connection_field(request)}: {'keep-alive' if keep_alive else 'close'}")
    lines += [
        f"Server: {SERVER}",
        "Cache-Control: no-store",
        "Content-Type: text/html",
        "Content-Language: en",
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return (head if request is not None and request.method == b"HEAD" else head + body), start_line
