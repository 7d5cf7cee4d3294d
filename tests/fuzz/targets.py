"""Fuzz targets: one function for each grammar, which checks what must hold for any input, and valid samples.

Hypothesis runs them in ``make test`` (test_targets.py), atheris in ``make fuzz`` (run.py). A target that raises has
found a defect.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Final, NamedTuple

import httptools
import trustme
from cryptography.hazmat.primitives.serialization import Encoding

from mralab.core.capture.conversation import Conversation
from mralab.core.capture.packet import Address
from mralab.core.capture.pcapng import file_header, packet_block
from mralab.core.http.framing import (
    ChunkedBody,
    Malformed,
    check_partial,
    chunk,
    last_chunk,
    parse_request,
    parse_response,
    request_framing,
    response_framing,
)
from mralab.core.http.rewrite import Hop
from mralab.core.log.events import Event
from mralab.core.log.reader import read
from mralab.core.log.writer import LineWriter
from mralab.core.mra.allowlist import Allowed, AllowList, RulesError, parse_rules_csv
from mralab.core.mra.readings import readings
from mralab.core.mra.route import ForwardedRequest, Routes
from mralab.core.mra.target import Target, TargetError, decode, encode, split
from mralab.core.tls.der import NotDer, certificate_parts
from mralab.core.tls.hostname import match_name, names_of
from mralab.diagnose.capture import CaptureNotes, NotACapture, read_capture
from mralab.diagnose.capture_findings import findings_of
from mralab.errors import TrustStoreError
from mralab.tls.openssl import TlsError
from mralab.tls.trust_store import TrustStore, parse_pem
from mralab.tls.verification import TlsContext, TlsSettings

CONTROL: Final = "vcs_control.steven.lab:8443"
TOKEN: Final = encode(Target("steven.lab", "https", "cucm.steven.lab", 8443))
HOP: Final = Hop(b"vcs", b"11111111-2222-4333-8444-555555555555")
RULES: Final = "Url,Deployment,HttpMethods,MatchType,Description\nhttps://cucm.steven.lab:8443/a/,,,prefix,\n"


def fresh_routes() -> Routes:
    """Return routes with an empty cache."""
    return Routes(AllowList(parse_rules_csv(RULES, "fuzz")), CONTROL, HOP, keep_alive=True)


_ROUTES: Final = fresh_routes()
_CERTIFICATE: Final = trustme.CA().issue_cert("cucm.steven.lab", "10.48.36.215", "*.steven.lab").cert_chain_pems[0]


class _Reader:
    """Results of httptools for a message, for comparison."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.heads = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.heads += 1


def _pieces(data: bytes) -> tuple[bytes, bytes]:
    """Split the input in two; its own bytes decide where."""
    at = data[0] * len(data) // 256 if data else 0
    return data[:at], data[at:]


def request_head(data: bytes) -> None:
    """Check that a client's head is parsed or refused, and that the forwarded head has one interpretation."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        with contextlib.suppress(Malformed):
            check_partial(data)
        return
    data = data[:end]
    try:
        route = _ROUTES.find(data, "127.0.0.1")
    except Malformed:
        return
    check_partial(data[:-4])  # a good head is not refused while it arrives
    outcome = route.outcome
    if not isinstance(outcome, ForwardedRequest):
        return
    wire = outcome.wire(b"id")
    again = parse_request(wire)
    assert request_framing(again) == route.framing or outcome.answer
    assert again.method == route.head.method
    assert [name.lower() for name, _ in again.fields].count(b"host") == 1
    reader = _Reader()
    with contextlib.suppress(httptools.HttpParserInvalidMethodError):  # it does not know all methods
        httptools.HttpRequestParser(reader).feed_data(wire)
        assert reader.url == again.target
        assert [(name, value.strip(b" \t")) for name, value in reader.fields] == again.fields


def response_head(data: bytes) -> None:
    """Check that a server's head is parsed or refused, with the same result as httptools."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return
    try:
        head = parse_response(data[:end])
        response_framing(head, b"GET")
    except Malformed:
        return
    if head.status < 200:
        return
    reader = _Reader()
    parser = httptools.HttpResponseParser(reader)
    try:
        parser.feed_data(data[:end])
    except httptools.HttpParserError:
        return  # stricter than RFC 9112 in places, because the head for the client is generated
    assert parser.get_status_code() == head.status


def chunked_body(data: bytes) -> None:
    """Check that a chunked body is the same in one piece and in two, and after it was encoded again."""

    def decode_in(pieces: tuple[bytes, ...]) -> tuple[bytes, bool, bytes] | None:
        reader, body = ChunkedBody(), b""
        try:
            for piece in pieces:
                if not reader.done:
                    body += reader.feed(piece)
                else:
                    reader.rest += piece
        except Malformed:
            return None
        return body, reader.done, reader.rest if reader.done else b""

    whole, cut = decode_in((data,)), decode_in(_pieces(data))
    assert whole == cut
    if whole is not None and whole[1] and whole[0]:
        again = ChunkedBody()
        assert again.feed(chunk(whole[0]) + last_chunk([])) == whole[0]
        assert again.done


def target(data: bytes) -> None:
    """Check that a request-target leads to one server or is refused."""
    raw = data.decode("latin-1")
    for each in (raw, f"/{raw}", f"/{TOKEN}{raw}", f"/{TOKEN}/a/{raw}", f"http://{CONTROL}/{TOKEN}/a/{raw}"):
        try:
            asked = split(each, CONTROL)
        except TargetError as error:
            assert error.reason.isascii()
            continue
        assert decode(encode(asked.target)) == asked.target
        assert asked.path.startswith("/")
        found = readings(asked.path)
        assert asked.path.partition("?")[0] in found
        decision = AllowList(parse_rules_csv(RULES, "fuzz")).decide("steven.lab", "GET", asked.target, asked.path)
        if isinstance(decision, Allowed):
            assert all(reading.startswith("/a/") for reading in found)


def rules(data: bytes) -> None:
    """Check that a rules file is accepted or refused with reasons, and that each rule allows its own URL."""
    text = data.decode("utf-8", "replace")
    try:
        found = parse_rules_csv(text, "fuzz")
    except RulesError as error:
        assert error.problems
        assert all(problem.startswith("fuzz:") for problem in error.problems)
        return
    allow = AllowList(found)
    for rule in found:
        place = Target("default.test", rule.scheme, rule.host, rule.port)
        domain = rule.deployment or "default.test"
        if rule.deployment.lower() in ("1", "default deployment"):
            domain = "default.test"
        for method in sorted(rule.allowed_methods)[:2]:
            decision = allow.decide(domain, method, place, rule.path)
            plain = readings(rule.path) == {rule.path.partition("?")[0]}
            assert isinstance(decision, Allowed) or not plain


def log(data: bytes) -> None:
    """Check that a log never raises, and that its events can be written and read again."""
    lines = data.decode("latin-1").splitlines(keepends=True)
    found = [record.event for record in read(lines) if isinstance(record.event, Event)]
    writer = LineWriter("vcsc", 1)
    for event in found:
        if not 0 <= event.at < 4e9:
            continue  # outside of the times of a lab
        (again,) = read([writer.format(event)])
        # A value that is missing in a damaged line is read back as an empty value.
        assert type(again.event) is type(event)
        assert again.event[1:5] == event[1:5]


def certificate(data: bytes) -> None:
    """Check that the bytes of a certificate give names or none, and never raise."""
    names = names_of(data)
    for name in ("cucm.steven.lab", "10.48.36.215", "xn--a.steven.lab", "."):
        match_name(names, name, ip_san_accepted=True)
    with contextlib.suppress(NotDer):
        certificate_parts(data)
    with contextlib.suppress(TrustStoreError):
        parse_pem(data, "fuzz")


_TLS: Final = TlsContext(TlsSettings("on", True, "HIGH", ("1.2", "1.3")), TrustStore())


def captured(data: bytes) -> None:
    """Check that connections are found in a capture, or that it is not a capture."""
    notes = CaptureNotes()
    with contextlib.suppress(NotACapture):
        found = findings_of(read_capture(io.BytesIO(data), notes), TrustStore())
        assert len(found.findings) <= 100 * notes.segments
        assert notes.segments <= notes.packets


def server_bytes(data: bytes) -> None:
    """Check that data other than TLS from a server gives an error with a name."""
    client = _TLS.connect("cucm.steven.lab")
    assert client.start()
    for piece in filter(None, _pieces(data)):
        try:
            assert client.receive(piece) == b""
        except TlsError as error:
            assert error.reason
            client.alert()
            return
        client.outgoing()


def sample_capture() -> bytes:
    """Return a pcapng file with a server's certificate; its TLS messages have no valid key."""
    (one,) = parse_pem(_CERTIFICATE.bytes(), "sample")
    der = one.public_bytes(Encoding.DER)
    listed = (len(der) + 3).to_bytes(3, "big") + len(der).to_bytes(3, "big") + der
    hello = b"\x02\x00\x00\x26\x03\x03" + bytes(32) + b"\x00\x00\x2f\x00"
    messages = hello + b"\x0b" + len(listed).to_bytes(3, "big") + listed
    wire = b"\x16\x03\x03" + len(messages).to_bytes(2, "big") + messages
    conversation = Conversation(Address(b"\x0a\x30\x24\x2e", 30123), Address(b"\x0a\x30\x24\xd7", 8443), (0, 0))
    packets = conversation.open()
    packets += conversation.data(_TLS.connect("cucm.steven.lab").start(), from_client=True)
    packets += conversation.data(wire, from_client=False)
    packets += conversation.data(b"\x15\x03\x03\x00\x02\x02\x30", from_client=True)
    packets += conversation.reset(from_client=True)
    return file_header("mralab") + b"".join(packet_block(one, 1_657_551_344 * 10**9) for one in packets)


class Grammar(NamedTuple):
    """A target, and valid samples as the start of mutations."""

    check: Callable[[bytes], None]
    samples: tuple[bytes, ...]


_LINES = (
    b'2022-07-11T18:55:26.000+02:00 vcsc traffic_server[1]: UTCTime="2022-07-11 16:55:26,000" '
    b'Module="network.http.trafficserver" Level="INFO": Detail="Sending Request" Txn-id="191" TrackingID="x" '
    b'Dst-ip="10.48.36.215" Dst-port="6972" Msg="GET /a HTTP/1.1"\n',
    b"2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: [ET_NET 0] WARNING: Core server certificate verification "
    b"failed for (cucm.steven.lab). Action=Terminate Error=self signed certificate "
    b"server=cucm.steven.lab(10.48.36.215) depth=0\n",
    b"2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: [ET_NET 0] ERROR: SSL connection failed for 'a': error:1\n",
)
_HEAD = f"GET /{TOKEN}/a/b HTTP/1.1\r\nHost: h\r\n".encode()

GRAMMARS: Final[dict[str, Grammar]] = {
    "request-head": Grammar(
        request_head,
        (
            _HEAD + b"\r\n",
            _HEAD + b"Content-Length: 5\r\nConnection: close, x\r\nVia: 1.1 a\r\nAccept-Encoding: gzip\r\n\r\n",
            _HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\nTrackingID: x\r\nX_Y: z\r\n\r\n",
        ),
    ),
    "response-head": Grammar(
        response_head,
        (
            b"HTTP/1.1 200 \r\nContent-Length: 3\r\nDate: Tue, 14 Nov 2023 22:13:10 GMT\r\n\r\n",
            b"HTTP/1.0 304 Not Modified\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\n",
        ),
    ),
    "chunked-body": Grammar(
        chunked_body, (b"3\r\nabc\r\n0\r\n\r\n", b'5;a="b"\r\nhello\r\n1\r\nx\r\n0\r\nX: y\r\n\r\nGET', b"0\r\n\r\n")
    ),
    "target": Grammar(
        target, (b"/a/../b", b"/a/%2e%2e%2fb", b"..;x/b%00", b"%c0%ae%u002e", f"/{TOKEN}/a?b#c".encode())
    ),
    "rules": Grammar(rules, (RULES.encode(), RULES.encode() + b'http://[::1]/x?y,steven.lab,"GET,PUT",exact,"a, b"\n')),
    "log": Grammar(log, (*_LINES, b"".join(_LINES))),
    "certificate": Grammar(certificate, (_CERTIFICATE.bytes(), b"0\x82\x01\x02", b"0\x03\x02\x01\x01")),
    "capture": Grammar(captured, (sample_capture(),)),
    "server-bytes": Grammar(
        server_bytes,
        (b"HTTP/1.1 400 Bad\r\n\r\n", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"\x15\x03\x03\x00\x02\x02\x28"),
    ),
}


def der_of_certificate() -> bytes:
    """Return the sample certificate as DER."""
    (one,) = parse_pem(_CERTIFICATE.bytes(), "sample")
    return one.public_bytes(Encoding.DER)


GRAMMARS["certificate"] = GRAMMARS["certificate"]._replace(
    samples=(*GRAMMARS["certificate"].samples, der_of_certificate())
)
