"""What a client gets when the proxy answers by itself: status, reason and page for each failure.

Statuses, reasons, titles and header order are Traffic Server 8.1.11's (proxy/http/HttpTransact.cc,
build_error_response and handle_server_died; observed again on 9.2.9). The sentences of the pages are our own.
"""

from __future__ import annotations

from email.utils import formatdate
from html import escape
from typing import Final, NamedTuple

from .framing import RequestHead

SERVER: Final = "ATS/8.1.11"


class ErrorPage(NamedTuple):
    """One failure's answer. ``close`` ends the client's connection whatever it asked for."""

    status: int
    reason: str
    title: str
    text: str
    close: bool = False


_BAD_REQUEST = "Bad Request"
_NO_CONNECTION = "Could Not Connect"
_NO_CONNECTION_TEXT = "No connection to the server of this request could be made, or the server was not accepted."

ERROR_PAGES: Final[dict[str, ErrorPage]] = {
    "bad-request": ErrorPage(
        400, "Invalid HTTP Request", _BAD_REQUEST, "The request could not be read as HTTP/1.1.", close=True
    ),
    "bad-upgrade": ErrorPage(
        400, "Invalid Upgrade Request", _BAD_REQUEST, "The protocol that was asked for is not spoken here.", close=True
    ),
    "host-required": ErrorPage(
        400,
        "Host Header Required",
        "Host Header Required",
        "HTTP/1.1 asks for a Host header in each request.",
        close=True,
    ),
    "cycle": ErrorPage(
        400, "Cycle Detected", "Cycle Detected", "The request has passed this proxy before.", close=True
    ),
    "denied": ErrorPage(403, "Forbidden", "Forbidden", "No rule of the allow list lets this request through."),
    "leads-back": ErrorPage(403, "Forbidden", "Forbidden", "The address of this request's server is the proxy's own."),
    "no-connect": ErrorPage(
        404,
        "Not Found",
        "Not Found on Accelerator",
        "CONNECT is not served here: ask for a token path.",
    ),
    "not-found": ErrorPage(
        404,
        "Not Found on Accelerator",
        "Not Found on Accelerator",
        "The first part of the path is no token of domain, protocol, host and port.",
    ),
    "not-found-absolute": ErrorPage(
        404,
        "Not Found",
        "Not Found on Accelerator",
        "The first part of the path is no token of domain, protocol, host and port, or the URL is another host's.",
    ),
    "client-timeout": ErrorPage(
        408, "Inactive Timeout", "Inactivity Timeout", "The request did not come in time.", close=True
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
        "The server closed the connection before it had answered.",
    ),
    "bad-response": ErrorPage(
        502, "Invalid HTTP Response", "Web Server Error", "The server's answer could not be read as HTTP/1.1."
    ),
    "response-timeout": ErrorPage(
        504, "Connection Timed Out", "Inactivity Timeout", "The server did not answer in time."
    ),
}


def connection_error(error: OSError | None) -> ErrorPage:
    """The 502 for a connection that broke with ``error``: its text is the reason (get_error_string).

    A refused connection says ``connect failed``, as does one that simply ended.
    """
    answer = ERROR_PAGES["connect-failed"]
    if error is None or not error.errno or isinstance(error, ConnectionRefusedError):
        return answer
    return answer._replace(reason=error.strerror or answer.reason)


_METHODS: Final = "CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PURGE, PUT, PUSH, TRACE"
# What a TRACE does not give back (RFC 9110 section 9.3.8).
_NOT_TRACED: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


def render_last_hop(head: RequestHead, *, now: float, keep_alive: bool) -> tuple[bytes, str]:
    """The answer to a TRACE or OPTIONS whose Max-Forwards ends here, and its status line.

    TRACE gets its own head back, OPTIONS the methods (HttpTransact.cc, HandleRequest and build_response).
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


def connection_field(asked: RequestHead | None) -> str:
    """The field that says whether the connection lives on: Proxy-Connection for a client that uses it."""
    told = asked is not None and any(name.lower() == b"proxy-connection" for name, _ in asked.fields)
    return "Proxy-Connection" if told else "Connection"


def page(answer: ErrorPage) -> bytes:
    """The answer's HTML page."""
    title = escape(answer.title)
    return (
        f"<HTML>\n<HEAD>\n<TITLE>{title}</TITLE>\n</HEAD>\n\n"
        f'<BODY BGCOLOR="white" FGCOLOR="black">\n<H1>{title}</H1>\n<HR>\n\n'
        f'<FONT FACE="Helvetica,Arial"><B>\nDescription: {escape(answer.text)}\n</B></FONT>\n<HR>\n</BODY>\n'
    ).encode("ascii")


def render(
    answer: ErrorPage, *, now: float, asked: RequestHead | None, minor: int, keep_alive: bool
) -> tuple[bytes, str]:
    """The answer's bytes and its status line.

    Header order as Traffic Server's: Date, Connection, Server, Cache-Control, Content-Type, Content-Language,
    Content-Length; an HTTP/1.0 client gets an HTTP/1.0 status line, and Connection only where it lives on. ``now`` is
    seconds since the epoch. ``asked`` is the request if it could be read: HEAD gets the head alone.
    """
    body = page(answer)
    start_line = f"HTTP/1.{minor} {answer.status} {answer.reason}"
    lines = [start_line, f"Date: {formatdate(now, usegmt=True)}"]
    if minor or keep_alive:
        lines.append(f"{connection_field(asked)}: {'keep-alive' if keep_alive else 'close'}")
    lines += [
        f"Server: {SERVER}",
        "Cache-Control: no-store",
        "Content-Type: text/html",
        "Content-Language: en",
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return (head if asked is not None and asked.method == b"HEAD" else head + body), start_line
