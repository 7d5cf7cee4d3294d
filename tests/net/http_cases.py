"""A table of raw requests: the responses that the client receives and the requests that the server receives.

The first seventy (``ORACLE``) were observed with Traffic Server 9.2.9. A comment says where 8.1.11 differs, and where
mralab is stricter, for safety; docs/fidelity.md lists the same differences.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DATE: Final = "Mon, 01 Jan 2024 00:00:00 GMT"
TAIL: Final = "Client-ip: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nVia: http/1.1 vcs[ID] (ATS)\r\n"

PATHS: Final[dict[str, tuple[bytes, bool]]] = {
    "/r/100": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False),
    "/r/103": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False),
    "/r/304": (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', False),
    "/r/chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n",
        False,
    ),
    "/r/eof": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil-eof", True),
    "/r/hop": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nTrailer: X\r\nUpgrade: foo\r\n"
        b"X-Keep: 1\r\nVia: 1.1 origin\r\nAge: 7\r\n"
        b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nWWW-Authenticate: Basic realm=y\r\n\r\nhi",
        False,
    ),
    "/r/noreason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", False),
    "/r/nospace": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", False),
    "/r/redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: https://cucm.steven.lab/x\r\nContent-Length: 0\r\n\r\n",
        False,
    ),
    "/r/twocl": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", False),
    "/r/clte": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        False,
    ),
    "/r/101": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False),
    "/r/cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", True),
    "/r/cut-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", True),
    "/r/nothing": (b"", True),
    "/r/hangup": (b"HTTP/1.1 200 OK\r\nContent-Le", True),
    "/r/garbage": (b"\x00\x01 no answer\r\n\r\n", True),
    "/r/204": (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    "/r/old": (b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nold", True),
    "/r/own-via": (b"HTTP/1.1 200 OK\r\nProxy-Connection: close\r\nContent-Length: 0\r\n\r\n", False),
}
"""Path -> the server's response, and whether it then closes. Every other path gets 200 and ``ok``."""


class Answer(NamedTuple):
    """A response as the client receives it: status line, fields in order, body; ``title`` is that of an error page."""

    line: str
    fields: tuple[str, ...]
    body: str = ""
    title: str = ""


class Case(NamedTuple):
    """One connection of a client.

    - ``sent``: pieces that the client sends, each after the response to the one before. ``<T>`` is the path of the
      server's token, ``<U>`` that of an untrusted server, ``<A>`` the proxy's authority, ``<BIG>`` 140 000 octets and
      ``<LONG>`` 60 000.
    - ``answers``: the responses.
    - ``got``: the requests that the server receives; ``H`` is its host and port.
    - ``open``: whether the client's connection stays open.
    """

    sent: tuple[str, ...]
    answers: tuple[Answer, ...]
    got: tuple[str, ...] = ()
    open: bool = True


def request(line: str, fields: str = "", body: str = "", tail: str = TAIL) -> tuple[str, ...]:
    """Return a request as the server receives it: the client's fields, then those that the proxy adds."""
    return (f"{line} HTTP/1.1\r\nHost: H\r\n{fields}{tail}\r\n{body}",)


def ok(*connection: str, version: str = "1.1", body: str = "ok\n") -> Answer:
    """Return the server's response to most paths, as the client receives it."""
    fields = ("Server: ATS/8.1.11", f"Date: {DATE}", "Content-Type: text/plain", "Content-Length: 3", "Age: N")
    return Answer(f"HTTP/{version} 200 OK", (*fields, *(connection or ("Connection: keep-alive",))), body)


def relayed(line: str, *fields: str, body: str = "", connection: str = "Connection: keep-alive") -> Answer:
    """Return a response of a server that sends neither Date nor Server: the proxy adds both, Server at the end."""
    place = fields.index("Age: N") if "Age: N" in fields else -1
    ours = ("Date: D",) if place >= 0 else ("Date: D", "Age: N")
    framing = tuple(field for field in fields if field.startswith("Transfer-Encoding"))
    own = tuple(field for field in fields if field not in framing)
    return Answer(f"HTTP/1.1 {line}", (*own, *ours, *framing, connection, "Server: ATS/8.1.11"), body)


def page(line: str, title: str, *connection: str, version: str = "1.1", body: bool = True) -> Answer:
    """Return an error page of the proxy."""
    fields = (
        "Date: D",
        *connection,
        "Server: ATS/8.1.11",
        "Cache-Control: no-store",
        "Content-Type: text/html",
        "Content-Language: en",
        "Content-Length: N",
    )
    return Answer(f"HTTP/{version} {line}", fields, title=title if body else "")


KEPT: Final = "Connection: keep-alive"
CLOSED: Final = "Connection: close"
OK: Final = (ok(),)
UNMAPPED: Final = (page("404 Not Found on Accelerator", "Not Found on Accelerator", KEPT),)
UNMAPPED_URL: Final = (page("404 Not Found", "Not Found on Accelerator", KEPT),)
BAD: Final = (page("400 Invalid HTTP Request", "Bad Request", CLOSED),)
UNREADABLE: Final = (page("400 Invalid HTTP Request", "Bad Request", version="1.0"),)
DENIED: Final = (page("403 Forbidden", "Forbidden", KEPT),)
REFUSED: Final = page("502 connect failed", "Could Not Connect", KEPT)
REFUSED_AND_CLOSED: Final = page("502 connect failed", "Could Not Connect", CLOSED)
BAD_UPGRADE: Final = (page("400 Invalid Upgrade Request", "Bad Request", CLOSED),)
BAD_RESPONSE: Final = (page("502 Invalid HTTP Response", "Web Server Error", KEPT),)
HANGUP: Final = (page("502 Server Hangup", "Server Connection Closed", KEPT),)
RESET: Final = (Answer("RESET", ()),)


def _get(target: str, *, fields: str = "", host: str = "<A>", method: str = "GET", body: str = "") -> tuple[str]:
    return (f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{body}",)


def _served(path: str, fields: str = "", sent: str = "", method: str = "GET") -> Case:
    return Case(_get(f"<T>{path}", fields=sent or fields, method=method), OK, request(f"{method} {path}", fields))


def _response(name: str, *answers: Answer, tries: int = 1, open: bool = True) -> Case:  # noqa: A002 - as in Case
    return Case(_get(f"<T>/r/{name}"), answers, request(f"GET /r/{name}") * tries, open)


_FORWARDED: Final = (
    "X-Forwarded-For: 1.2.3.4{}\r\nVia: 1.0 other{}\r\nClient-IP: 9.9.9.9\r\nForwarded: for=1\r\n"
    'X-Forwarded-Proto: http\r\nReferer: http://x/\r\nRange: bytes=0-1\r\nIf-None-Match: "x"\r\n'
    "Cache-Control: no-cache\r\nPragma: no-cache\r\n"
)
_NO_CACHE: Final = "Cache-Control: no-cache\r\n"
_CHUNKED: Final = "Transfer-Encoding: chunked\r\n"
_CHUNKS: Final = "3\r\nabc\r\n0\r\n\r\n"

ORACLE: Final[dict[str, Case]] = {
    "404-then-second": Case(_get("/nomap/1") + _get("<T>/2"), UNMAPPED + OK, request("GET /2")),
    "502-accept-language": Case(
        _get("<U>/1", fields="Accept-Language: de\r\nAccept: application/json\r\n"), (REFUSED,)
    ),
    "502-then-second": Case(_get("<U>/1") + _get("<T>/2"), (REFUSED, ok()), request("GET /2")),
    "absolute-form": Case(_get("http://<A><T>/a"), OK, request("GET /a")),
    "absolute-form-unmapped": Case(_get("http://unmapped.test<T>/a"), UNMAPPED_URL),
    "absolute-ftp": Case(_get("ftp://<A><T>/a"), UNMAPPED_URL),
    "absolute-no-host-hdr": Case(("GET http://<A><T>/a HTTP/1.1\r\n\r\n",), OK, request("GET /a")),
    # 8.1.11: 400; 9.2.9: 505
    "bad-version": Case(
        ("GET <T>/a HTTP/9.9\r\nHost: <A>\r\n\r\n",),
        (page("400 Invalid HTTP Request", "Bad Request", CLOSED),),
        open=False,
    ),
    "conn-close": Case(_get("<T>/a", fields="Connection: close\r\n"), (ok(CLOSED),), request("GET /a"), open=False),
    "connect": Case(_get("cucm.steven.lab:443", method="CONNECT", host="cucm.steven.lab:443"), UNMAPPED_URL),
    # Expressway's allow list answers Forbidden, Traffic Server's ip_allow Access Denied
    "delete-denied-by-ip-allow": Case(_get("<T>/a", method="DELETE"), DENIED),
    "empty-host": Case(("GET <T>/a HTTP/1.1\r\nHost:\r\n\r\n",), BAD, open=False),
    "expect-100": Case(
        (_get("<T>/a", fields="Content-Length: 5\r\nExpect: 100-continue\r\n", method="POST")[0], "hello"),
        (Answer("HTTP/1.1 100 Continue", ("Date: D", "Server: ATS/8.1.11")), ok()),
        request("POST /a", "Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"),
    ),
    "garbage-line": Case(("GARBAGE\r\n\r\n",), UNREADABLE, open=False),
    "get-maxfwd-0": _served("/a", "Max-Forwards: 0\r\n"),
    "header-60k": _served("/a", "X-Big: <LONG>\r\n"),
    "header-no-colon": Case(_get("<T>/a", fields="nocolonhere\r\n"), BAD, open=False),  # stricter: 9.2.9 drops it
    "http09": Case(("GET <T>/a\r\n\r\n",), UNREADABLE, open=False),
    "http10-get": Case(
        ("GET <T>/a HTTP/1.0\r\nHost: <A>\r\n\r\n",),
        (Answer("HTTP/1.0 200 OK", ok().fields[:-1], "ok\n"),),
        request("GET /a", tail=TAIL.replace("http/1.1", "http/1.0")),
        open=False,
    ),
    "huge-header": Case(_get("<T>/a", fields="X-Big: <BIG>\r\n"), BAD, open=False),
    "keepalive-two-requests": Case(_get("<T>/1") + _get("<T>/2"), OK * 2, request("GET /1") + request("GET /2")),
    "leading-crlf": Case(("\r\nGET <T>/a HTTP/1.1\r\nHost: <A>\r\n\r\n",), UNREADABLE, open=False),
    "long-uri-9k": _served("/" + "a" * 9000),
    "lowercase-method": Case(_get("<T>/a", method="get"), DENIED),  # rules name methods in capitals
    "map-prefix-without-slash": Case(_get("<T>"), UNMAPPED),
    "missing-host": Case(
        ("GET <T>/a HTTP/1.1\r\n\r\n",), (page("400 Host Header Required", "Host Header Required", CLOSED),), open=False
    ),
    "missing-host-http10": Case(
        ("GET <T>/a HTTP/1.0\r\n\r\n",),
        (page("400 Host Header Required", "Host Header Required", version="1.0"),),
        open=False,
    ),
    "no-mapping": Case(_get("/nomap/x"), UNMAPPED),
    # the token names the server, so any Host is accepted; 9.2.9's 404 comes from its remap rules
    "no-mapping-host-no-port": Case(_get("<T>/x", host="127.0.0.1"), OK, request("GET /x")),
    "no-mapping-other-host": Case(_get("<T>/x", host="other.test"), OK, request("GET /x")),
    "nul-in-header": Case(_get("<T>/a", fields="X-A: a\0b\r\n"), BAD, open=False),
    "obs-fold": Case(_get("<T>/a", fields="X-A: 1\r\n folded\r\n"), BAD, open=False),  # stricter: 9.2.9 joins
    "options": _served("/a", method="OPTIONS"),
    "path-0 /echo//a//b": Case(_get("<T>//a//b"), OK, request("GET /a//b")),
    "path-1 /echo/a/../b": _served("/a/../b"),
    "path-2 /echo/%41%2e%2e/x%20y": _served("/%41%2e%2e/x%20y"),
    "path-3 /echo/a#frag": Case(_get("<T>/a#frag"), OK, request("GET /a")),
    "path-4 /echo/a?x=%zz": _served("/a?x=%zz"),
    "path-5 /echo/a;p=1": _served("/a;p=1"),
    "path-6 /ECHO/a": Case(_get("<lower>/a"), UNMAPPED),
    "path-7 //echo/a": Case(_get("/<T>/a"), OK, request("GET /a")),
    "path-8 /echo/?": Case(_get("<T>/?"), OK, request("GET /")),
    "path-9 /echo/é": Case(_get("<T>/\u00c3\u00a9"), UNREADABLE, open=False),
    "plain-get": _served("/a?b=c", "User-Agent: u\r\n"),
    "post": Case(
        _get("<T>/a", method="POST", fields="Content-Length: 5\r\n", body="hello"),
        OK,
        request("POST /a", "Content-Length: 5\r\n", "hello"),
    ),
    "post-chunked": Case(
        _get("<T>/a", method="POST", fields=_CHUNKED, body=_CHUNKS),
        OK,
        request("POST /a", "", _CHUNKS, TAIL + _CHUNKED),
    ),
    "post-cl-and-te": Case(  # stricter: 9.2.9 drops the length
        _get("<T>/a", method="POST", fields=f"Content-Length: 5\r\n{_CHUNKED}", body=_CHUNKS), BAD, open=False
    ),
    "post-neg-cl": Case(_get("<T>/a", method="POST", fields="Content-Length: -1\r\n"), BAD, open=False),
    "post-no-length": Case(
        _get("<T>/a", method="POST"), (page("411 Content Length Required", "No Content Length", KEPT),)
    ),
    "post-two-cl": Case(
        _get("<T>/a", method="POST", fields="Content-Length: 5\r\nContent-Length: 6\r\n", body="hello"), BAD, open=False
    ),
    "purge": _served("/a", method="PURGE"),
    "push": Case(_get("<T>/a", method="PUSH", fields="Content-Length: 0\r\n"), DENIED),
    "request-forward-headers": Case(
        _get("<T>/a", fields=_FORWARDED.format("", "")),
        OK,
        request("GET /a", _FORWARDED.format(", 127.0.0.1", ", http/1.1 vcs[ID] (ATS)"), tail=""),
    ),
    "request-hop-headers": Case(  # stricter: fields named in Connection are removed; 9.2.9 forwards X-Hop
        _get(
            "<T>/a",
            fields="Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive\r\n"
            "TE: trailers\r\nTrailer: X\r\nUpgrade: foo\r\nProxy-Authorization: Basic eA==\r\n"
            "Proxy-Authenticate: x\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nX-Custom: 1\r\n"
            "Accept-Encoding: gzip, deflate, br\r\nMax-Forwards: 5\r\n",
        ),
        (ok("Proxy-Connection: keep-alive"),),
        request(
            "GET /a",
            "Trailer: X\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nX-Custom: 1\r\nAccept-Encoding: gzip\r\n"
            "Max-Forwards: 5\r\n",
        ),
    ),
    "resp-100then200": _response("100", relayed("200 OK", "Content-Length: 2", body="hi")),  # 9.2.9 closes after it
    "resp-304": _response("304", relayed("304 Not Modified", 'ETag: "x"')),
    "resp-304-cond": Case(
        _get("<T>/r/304", fields='If-None-Match: "x"\r\n'),
        (relayed("304 Not Modified", 'ETag: "x"'),),
        request("GET /r/304", 'If-None-Match: "x"\r\n'),
    ),
    # the proxy frames chunks itself; 9.2.9 passes the server's chunk lines on unchanged, with extensions
    "resp-chunked": _response(
        "chunked", relayed("200 OK", "Transfer-Encoding: chunked", body="5\r\nabcde\r\n0\r\nX-Trailer: t\r\n\r\n")
    ),
    "resp-eofbody": _response(
        "eof",
        relayed("200 OK", "Content-Type: text/plain", "Transfer-Encoding: chunked", body="9\r\nuntil-eof\r\n0\r\n\r\n"),
    ),
    "resp-hop": _response(  # stricter: fields named in Connection are removed; 9.2.9 forwards X-Hop
        "hop",
        relayed(
            "200 OK",
            "Content-Length: 2",
            "Trailer: X",
            "X-Keep: 1",
            "Via: 1.1 origin",
            "Age: N",
            "Set-Cookie: a=b",
            "Set-Cookie: c=d",
            "WWW-Authenticate: Basic realm=y",
            body="hi",
        ),
    ),
    "resp-noreason": _response("noreason", relayed("200 ", "Content-Length: 2", body="hi")),
    "resp-redirect": _response(
        "redirect", relayed("302 Found", "Location: https://cucm.steven.lab/x", "Content-Length: 0")
    ),
    "resp-twocl": _response("twocl", *BAD_RESPONSE, tries=4),
    "resp-wsaccept": _response("101", *BAD_RESPONSE, tries=4),  # stricter: 9.2.9 passes an unasked 101 on
    "reuse-across-clients-1": _served("/1"),
    "reuse-across-clients-2": _served("/2"),
    "space-in-uri": Case(_get("<T>/a b"), UNREADABLE, open=False),
    "trace": _served("/a", method="TRACE"),
    "unknown-method": _served("/a", method="FOO"),
    "websocket": Case(
        _get(
            "<T>/r/101",
            fields="Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
        ),
        UNMAPPED,
    ),
}

_HEAD: Final = ok()._replace(body="")
_NO_TRIES: Final = "Content-Length: 2\r\n"

MORE: Final[dict[str, Case]] = {
    # heads
    "a head of just too many octets": Case(("GET <T>/a HTTP/1.1\r\nHost: h\r\nX: <BIG>",), BAD, open=False),
    "a request line of too many octets": Case(_get("<T>/<BIG>"), BAD, open=False),
    "two Hosts": Case(_get("<T>/a", fields="Host: h\r\n"), BAD, open=False),
    "a bare line feed": Case(("GET <T>/a HTTP/1.1\nHost: h\n\n",), UNREADABLE, open=False),
    "missing Host, absolute form, 1.0": Case(
        ("GET http://<A><T>/a HTTP/1.0\r\n\r\n",),
        (ok(version="1.0")._replace(fields=ok().fields[:-1]),),
        request("GET /a", tail=TAIL.replace("http/1.1", "http/1.0")),
        open=False,
    ),
    "https on the plain port": Case(_get("https://<A><T>/a"), BAD, open=False),
    "no gzip wanted": Case(_get("<T>/a", fields="Accept-Encoding: br, gzip;q=0\r\n"), OK, request("GET /a")),
    "zeros before the length": Case(
        _get("<T>/a", method="POST", fields="Content-Length: 0005\r\n", body="hello"),
        OK,
        request("POST /a", "Content-Length: 5\r\n", "hello"),
    ),
    **{
        f"no-cache: {name}": Case(_get("<T>/a", fields=sent), OK, request("GET /a", got, tail=TAIL + added))
        for name, sent, got, added in (
            ("Pragma", "Pragma: no-cache\r\nX: 1\r\n", "Pragma: no-cache\r\nX: 1\r\n", _NO_CACHE),
            ("in a list", "Pragma: x, No-Cache\r\n", "Pragma: x, No-Cache\r\n", _NO_CACHE),
            ("in a second field", "Pragma: x\r\nPragma: no-cache\r\n", "Pragma: x\r\nPragma: no-cache\r\n", _NO_CACHE),
            ("quoted", 'Pragma: "no-cache"\r\n', 'Pragma: "no-cache"\r\n', _NO_CACHE),
            ("with a value", "Pragma: no-cache=1\r\n", "Pragma: no-cache=1\r\n", _NO_CACHE),
            ("with a parameter", "Pragma: no-cache;a=b\r\n", "Pragma: no-cache;a=b\r\n", _NO_CACHE),
            ("before a word", "Pragma: no-cache x\r\n", "Pragma: no-cache x\r\n", _NO_CACHE),
            ("a longer word", "Pragma: no-cachex\r\n", "Pragma: no-cachex\r\n", ""),
            ("behind a word", "Pragma: x no-cache\r\n", "Pragma: x no-cache\r\n", ""),
            ("in a quoted list", 'Pragma: "x, no-cache"\r\n', 'Pragma: "x, no-cache"\r\n', ""),
            ("a parameter", "Pragma: x;no-cache\r\n", "Pragma: x;no-cache\r\n", ""),
            (
                "beside another directive",
                "Pragma: no-cache\r\nCache-Control: max-age=0\r\n",
                "Pragma: no-cache\r\nCache-Control: max-age=0, no-cache\r\n",
                "",
            ),
            (
                "beside an empty field",
                "Pragma: no-cache\r\nCache-Control:\r\n",
                "Pragma: no-cache\r\nCache-Control: no-cache\r\n",
                "",
            ),
            (
                "beside two fields",
                "Cache-Control: a\r\nPragma: no-cache\r\nCache-Control: b\r\n",
                "Cache-Control: a\r\nPragma: no-cache\r\nCache-Control: b, no-cache\r\n",
                "",
            ),
            (
                "said already",
                "Pragma: no-cache\r\nCache-Control: a\r\nCache-Control: NO-CACHE\r\n",
                "Pragma: no-cache\r\nCache-Control: a\r\nCache-Control: NO-CACHE\r\n",
                "",
            ),
            (
                "said with fields",
                'Pragma: no-cache\r\nCache-Control: no-cache="x"\r\n',
                'Pragma: no-cache\r\nCache-Control: no-cache="x"\r\n',
                "",
            ),
        )
    },
    "no-cache: before chunks": Case(
        _get("<T>/a", method="POST", fields="Pragma: no-cache\r\n" + _CHUNKED, body=_CHUNKS),
        OK,
        request("POST /a", "Pragma: no-cache\r\n", _CHUNKS, TAIL + _NO_CACHE + _CHUNKED),
    ),
    "TRACE with a body": Case(
        _get("<T>/a", method="TRACE", fields="Content-Length: 3\r\n", body="abc"), BAD, open=False
    ),
    "TRACE with a chunked body": Case(
        _get("<T>/a", method="TRACE", fields=_CHUNKED, body="0\r\n\r\n"), BAD, open=False
    ),
    "TRACE with an empty body": _served("/a", "Content-Length: 0\r\n", method="TRACE"),
    "TRACE counts its hops": Case(
        _get("<T>/a", method="TRACE", fields="Max-Forwards: 5\r\n"), OK, request("TRACE /a", "Max-Forwards: 4\r\n")
    ),
    "OPTIONS that ends here": Case(
        _get("<T>/a", method="OPTIONS", fields="Max-Forwards: 0\r\n"),
        (
            Answer(
                "HTTP/1.1 200 OK",
                (
                    "Date: D",
                    KEPT,
                    "Server: ATS/8.1.11",
                    "Allow: CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PURGE, PUT, PUSH, TRACE",
                    "Content-Length: 0",
                ),
            ),
        ),
    ),
    # connections
    "pipelined": Case(
        ("".join((*_get("<T>/1"), *_get("/nomap"), *_get("<T>/2"))),),
        OK + UNMAPPED + OK,
        request("GET /1") + request("GET /2"),
    ),
    "pipelined behind a body": Case(
        ("".join((*_get("<T>/1", method="POST", fields="Content-Length: 5\r\n", body="hello"), *_get("<T>/2"))),),
        OK * 2,
        request("POST /1", "Content-Length: 5\r\n", "hello") + request("GET /2"),
    ),
    "pipelined behind a close": Case(
        ("".join((*_get("<T>/1", fields="Connection: close\r\n"), *_get("<T>/2"))),),
        (ok(CLOSED),),
        request("GET /1"),
        open=False,
    ),
    "HTTP/1.0 keep-alive": Case(
        ("GET <T>/a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",),
        (ok(version="1.0"),),
        request("GET /a", tail=TAIL.replace("http/1.1", "http/1.0")),
    ),
    "HTTP/1.0 and a body of no known length": Case(
        ("GET <T>/r/eof HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",),
        (
            Answer(
                "HTTP/1.0 200 OK", ("Content-Type: text/plain", "Date: D", "Age: N", "Server: ATS/8.1.11"), "until-eof"
            ),
        ),
        request("GET /r/eof", tail=TAIL.replace("http/1.1", "http/1.0")),
        open=False,
    ),
    # HEAD
    "HEAD": Case(_get("<T>/a", method="HEAD"), (_HEAD,), request("HEAD /a")),
    "HEAD of nothing mapped": Case(
        _get("/nomap", method="HEAD"), (page("404 Not Found on Accelerator", "", KEPT, body=False),)
    ),
    "HEAD of an untrusted server": Case(
        _get("<U>/a", method="HEAD"), (page("502 connect failed", "", KEPT, body=False),)
    ),
    "HEAD of a chunked answer": Case(
        _get("<T>/r/chunked", method="HEAD"),
        (relayed("200 OK"),),
        request("HEAD /r/chunked"),
    ),
    # responses of servers
    "204": _response("204", relayed("204 No Content")),
    "early hints": _response("103", relayed("200 OK", "Content-Length: 2", body="hi")),
    "no blank behind the status": _response("nospace", relayed("200 ", "Content-Length: 2", body="hi")),
    "HTTP/1.0 server": Case(
        _get("<T>/r/old"),
        (
            Answer(
                "HTTP/1.1 200 OK",
                ("Server: ATS/8.1.11", "Date: D", "Age: N", "Transfer-Encoding: chunked", KEPT),
                "3\r\nold\r\n0\r\n\r\n",
            ),
        ),
        request("GET /r/old"),
    ),
    "forged under another spelling: safety wins": Case(  # 9.2.9 passes them on
        _get("<T>/a", fields="X_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\nX_Other: 1\r\n"),
        (ok(),),
        request("GET /a", "X_Other: 1\r\n"),
    ),
    "a length and chunks: safety wins": _response("clte", *BAD_RESPONSE, tries=4),  # 9.2.9 takes the chunks
    "a body cut short: safety wins": _response("cut", *RESET, open=False),  # 9.2.9 closes without a reset
    "a chunk cut short": _response("cut-chunk", *RESET, open=False),
    # attempts: 4 are allowed
    "a server that answers nothing": _response("nothing", *HANGUP, tries=4),  # 9.2.9: Malformed Server Response Status
    "a head cut short": _response("hangup", *HANGUP, tries=4),
    "garbage": _response("garbage", *BAD_RESPONSE, tries=4),
    "a POST that is answered by nothing": Case(
        _get("<T>/r/nothing", method="POST", fields=_NO_TRIES, body="hi"),
        HANGUP,
        request("POST /r/nothing", _NO_TRIES, "hi"),
    ),
    "a POST that is answered by garbage": Case(
        _get("<T>/r/garbage", method="POST", fields=_NO_TRIES, body="hi"),
        BAD_RESPONSE,
        request("POST /r/garbage", _NO_TRIES, "hi"),
    ),
    # the body was not read, so the connection is closed
    "a POST to an untrusted server": Case(
        _get("<U>/a", method="POST", fields=_NO_TRIES, body="hi"), (REFUSED_AND_CLOSED,), open=False
    ),
    "a POST of nothing to an untrusted server": Case(
        _get("<U>/a", method="POST", fields="Content-Length: 0\r\n") + _get("<T>/2"), (REFUSED, ok()), request("GET /2")
    ),
    "a PUT that is answered by nothing": Case(
        _get("<T>/r/nothing", method="PUT", fields=_NO_TRIES, body="hi"),
        HANGUP,
        request("PUT /r/nothing", _NO_TRIES, "hi"),
    ),
    # Expect
    "Expect, and an answer without it": Case(
        _get("<T>/a", fields="Expect: 100-continue\r\n"),
        (Answer("HTTP/1.1 100 Continue", ("Date: D", "Server: ATS/8.1.11")), ok()),
        request("GET /a", "Expect: 100-continue\r\n"),
    ),
    "an Expect of something else": Case(
        _get("<T>/a", fields="Expect: the-best\r\n"), OK, request("GET /a", "Expect: the-best\r\n")
    ),
    "Expect of a server nobody trusts": Case(
        _get("<U>/a", method="POST", fields="Content-Length: 5\r\nExpect: 100-continue\r\n"),
        (REFUSED_AND_CLOSED,),
        open=False,
    ),
    # Upgrade
    "a WebSocket without its key": Case(
        _get("<T>/a", fields="Upgrade: websocket\r\nConnection: Upgrade\r\n"), BAD_UPGRADE, open=False
    ),
    "an unknown protocol": Case(
        _get("<T>/a", fields="Upgrade: foo\r\nConnection: keep-alive, upgrade\r\n"), BAD_UPGRADE, open=False
    ),
    "h2c": Case(_get("<T>/a", fields="Upgrade: h2c\r\nConnection: Upgrade\r\n"), OK, request("GET /a")),
    "Upgrade of a HEAD": Case(
        _get("<T>/a", method="HEAD", fields="Upgrade: foo\r\nConnection: Upgrade\r\n"), (_HEAD,), request("HEAD /a")
    ),
    # clients that send Proxy-Connection, and HTTP/1.0 clients
    "Proxy-Connection: close": Case(
        _get("<T>/a", fields="Proxy-Connection: close\r\n"),
        (ok("Proxy-Connection: close"),),
        request("GET /a"),
        open=False,
    ),
    "Proxy-Connection and nothing mapped": Case(
        _get("/nomap", fields="Proxy-Connection: keep-alive\r\n"),
        (page("404 Not Found on Accelerator", "Not Found on Accelerator", "Proxy-Connection: keep-alive"),),
    ),
    "HTTP/1.0 keep-alive and nothing mapped": Case(
        ("GET /nomap HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",),
        (page("404 Not Found on Accelerator", "Not Found on Accelerator", KEPT, version="1.0"),),
    ),
    "a POST without a length, and another request": Case(
        _get("<T>/a", method="POST") + _get("<T>/2"),
        (page("411 Content Length Required", "No Content Length", KEPT), ok()),
        request("GET /2"),
    ),
    # tokens
    "a query behind the token": Case(_get("<T>?x"), UNMAPPED),
    "an empty path": Case(("GET  HTTP/1.1\r\nHost: h\r\n\r\n",), UNREADABLE, open=False),
    "a method that no rule has": Case(_get("<T>/a", method="PATCH"), DENIED),
}
CASES: Final = ORACLE | MORE

NOT_REFUSED: Final[dict[str, tuple[tuple[Answer, ...], tuple[str, ...]]]] = {
    "502-accept-language": (OK, request("GET /1", "Accept-Language: de\r\nAccept: application/json\r\n")),
    "502-then-second": ((ok(), ok()), request("GET /1")),
}
"""``ORACLE`` cases with an untrusted server, ``audit`` and ``off``: the responses, and the requests that it gets."""
