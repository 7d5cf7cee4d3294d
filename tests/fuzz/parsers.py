"""The table of parsers: the functions that each entry covers, and hostile input for its grammar.

Hostile input is a piece repeated many times, in a frame that makes the parser reach it.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from mralab import config
from mralab.core import nearest, release
from mralab.core.capture import handshake as tlshandshake
from mralab.core.capture import packet as tcppacket
from mralab.core.capture import pcapng, reading, reassembly
from mralab.core.http import framing, response_template
from mralab.core.http import response_head as reply
from mralab.core.http import rewrite as message
from mralab.core.http.error_pages import SERVER
from mralab.core.log import cleaning as logclean
from mralab.core.log import envelope as logenvelope
from mralab.core.log import escape as logescape
from mralab.core.log import neighbours as logneighbours
from mralab.core.log import order as logorder
from mralab.core.log import quiet as logquiet
from mralab.core.log import reader as logread
from mralab.core.log.stream import LogReader
from mralab.core.mra import allowlist, allowlist_csv, allowlist_lines, readings, target
from mralab.core.tls import der, fingerprint, hostname, private_keys, tlserror, verdict
from mralab.core.tls import first_flight as firstflight
from mralab.diagnose import (
    address_sources,
    axl,
    capture,
    capture_findings,
    diagnosis,
    expansion,
    file_kind,
    file_names,
    mail,
    packets,
    request_line,
    sources,
    tlscode,
    xconf,
)
from mralab.errors import MralabError
from mralab.mocks import recipes, soap
from mralab.tls import trust_store as trust
from mralab.tls import verification as tls
from mralab.web import guard, strictjson

from .targets import CONTROL, RULES, TOKEN
from .targets import fresh_routes as routes

Frame = tuple[bytes, bytes]


class Parser(NamedTuple):
    """One entry: ``parse`` is called with ``before + piece * n + after`` for each frame (before, after) and each piece.

    ``functions``: the public functions that it covers, as MODULE.NAME.
    """

    functions: str
    parse: Callable[[bytes], object]
    pieces: tuple[bytes, ...]
    frames: tuple[Frame, ...] = ((b"", b""), (b"", b"!"))


def _text(function: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: function(data.decode("latin-1"))


def _request(data: bytes) -> object:
    head = framing.parse_request(data)
    framing.request_framing(head)
    message.keeps_alive(1, head.fields)
    return message.upgrade_answer(head)


def _partial(data: bytes) -> None:
    """Check a head that arrives in pieces, after each piece."""
    step = max(1, len(data) // 16)
    for end in range(step, len(data) + step, step):
        framing.check_partial(data[:end], end - step)


def _route(data: bytes) -> None:
    outcome = routes().find(data, "127.0.0.1").outcome
    if not isinstance(outcome, tuple):
        outcome.wire(b"id")


def _reply(data: bytes) -> None:
    read = reply.read_reply(data, b"GET")
    forwarded = reply.forward_response(read, minor=1, keep_alive=True, connection="Connection", now=0.0)
    if known := response_template.template(read, forwarded):
        known.fill(data, 0.0)


def _chunks(data: bytes) -> None:
    reader = framing.ChunkedBody()
    for at in range(0, len(data), 1000):  # as received
        reader.feed(data[at : at + 1000])


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes((tag, 0x84)) + size.to_bytes(4, "big") + content


def _certificate(subject: bytes = b"", names: bytes = b"", extensions: bytes = b"") -> bytes:
    """Read the names in the bytes of a certificate."""
    empty = _tlv(0x30, b"")
    alternative = _tlv(0x30, _tlv(6, bytes.fromhex("551d11")) + _tlv(4, _tlv(0x30, names)))
    fields = _tlv(2, b"\1") + empty * 3 + _tlv(0x30, subject) + empty
    tbs = _tlv(0x30, fields + _tlv(0xA3, _tlv(0x30, extensions + alternative)))
    return _tlv(0x30, tbs + empty + _tlv(3, b"\0"))


def _names(data: bytes) -> None:
    """Compare names with certificates that have ``data`` in one part each."""
    for certificate in (data, _certificate(data), _certificate(names=data), _certificate(extensions=data)):
        found = hostname.names_of(certificate)
        with contextlib.suppress(der.NotDer):
            der.certificate_parts(certificate)
            list(der.values(der.first(certificate, 0x30)))
        for name in ("cucm.steven.lab", "10.48.36.215", "xn--a.steven.lab", "aaaaa.aaaaa.a"):
            hostname.match_name.__wrapped__(found, name, ip_san_accepted=True)


def _read(text: str) -> None:
    diagnosis.find(list(logread.read(text.split("\n"))))
    logread.is_cut(text)
    logread.continues(text[: len(text) // 2], text[len(text) // 2 :])


def _mail(data: bytes) -> None:
    mail.is_mail(data[: expansion.SNIFFED])
    mail.is_body(data[: expansion.SNIFFED])
    with contextlib.suppress(ValueError):
        list(mail.parts(data))


def _settings(data: bytes) -> None:
    """Parse a table with a key for each line of ``data``: known keys with wrong values, and unknown ones."""
    lines = data.decode("latin-1").split("\n")
    keys = {f"{line}{number}": line for number, line in enumerate(lines)}
    for table in (keys, {"upstream": keys}, {"hosts": keys}, {"hosts": {"a": {"ports": keys, "dial": "127.0.0.1"}}}):
        config.split_change(table)
        with contextlib.suppress(MralabError):
            config.from_mapping(table)


def _capture(data: bytes) -> None:
    capture_findings.findings_of(capture.read_capture(io.BytesIO(data)))


def _stream(data: bytes) -> None:
    """Reassemble the bytes of one end from segments of all sizes."""
    side = tlshandshake.Side()
    for number, at in enumerate(range(0, len(data), 1460)):
        side.feed(data[at : at + 1460], number)


def _segment(sequence: int, payload: bytes, flags: int = tcppacket.ACK, port: int = 30123) -> bytes:
    """Return a raw IP packet with its pcap header."""
    ends = tcppacket.Address(b"\x0a\x30\x24\x2e", port), tcppacket.Address(b"\x0a\x30\x24\xd7", 8443)
    made = tcppacket.packet(*ends, sequence=sequence, acknowledged=0, flags=flags, payload=payload)
    return struct.pack("<IIII", 1, 1, len(made), len(made)) + made


_PCAP: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
_BLOCKS: Final = pcapng.file_header("mralab")
_SOME_OPTIONS: Final = struct.pack("<HHI", 101, 0, 0) + struct.pack("<HH", 1, 0) * 3
_INTERFACE: Final = struct.pack("<II", 1, 12 + len(_SOME_OPTIONS)) + _SOME_OPTIONS + bytes(4)
_MESSAGE: Final = b"\x16\x03\x03\x00\x08\x02\x00\x00\x04\x03\x03ab"


def _each(text: str, *functions: Callable[[str], object]) -> None:
    for function in functions:
        with contextlib.suppress(ValueError):
            function(text)


def _named(text: str) -> None:
    file_names.time_of(text)
    file_names.is_log_name(text)
    file_names.why_refused(text)
    file_names.oldest_first([text, f"{text}.1"])


def _cleaned(text: str) -> None:
    logenvelope.plain(text)
    logclean.straighten(text + "\0")
    logclean.records(text)
    logclean.unlink(text)
    list(logclean.mended(text))
    logenvelope.is_changed(text)
    logenvelope.undone(text)
    tlserror.without_tail(text)


_QUIET: Final = logquiet.Quiet([b"vcsc traffic_server[1]: "])


def _streamed(data: bytes) -> None:
    """Read the bytes of a log after enough good lines that successes of its process are skipped."""
    reader = LogReader(skip_successes=True)
    reader.feed(_LOG_LINE + b'Receive Response" Txn-id="1" TrackingID="" Src-ip="" Src-port="1" Msg=""\n' * 20)
    reader.feed(data)
    reader.close()
    _QUIET.end(data, 0)
    logquiet.is_twin(data, 0)


def _neighbours(text: str) -> None:
    logneighbours.may_be_neighbour(text)
    logneighbours.read_neighbour(text, 0, 1970)
    logneighbours.read_fields(text, 0)
    if (start_line := logneighbours.status_line(text)) is not None:
        logneighbours.is_failure(start_line)


def _explained(data: bytes) -> None:
    error = data.decode("latin-1")
    tlserror.alert_number(error)
    tlserror.error_string(error, "1.1.1")
    tlserror.is_whole(error)
    tlscode.parse(error)


_WORDS: Final = (
    b"a",
    b" ",
    b"\t",
    b"a ",
    b"\0",
    b"\xff",
    b"0",
    b"-",
    b".",
    b"a.",
    b":",
    b"a:",
    b",",
    b"a,",
    b'"',
    b"\\",
)
_LINES: Final = (b"\n", b"\r\n", b"\r", b"a\n", b" \n", b"a: a\r\n", b": \r\n")
_HEAD: Final = f"GET /{TOKEN}/a/b HTTP/1.1\r\nHost: h\r\n".encode()
_DATES: Final = (b"Date: ", b"Date: Tue, 14 Nov 2023 ")
_ENTRIES: Final = (b"http://a/,\n", b"https://a.b:1/c,,GET,prefix,\n", b"x://,\n", b'"', b'"a""', b'",', b"https://")
_NAMES: Final = tuple(
    _tlv(tag, content)
    for tag in (0x82, 0x87, 0x30)
    for content in (b"", b"a", b"*.a.a", b"10.48.36.215", b"*a.steven.lab", b"a" * 100)
)
_ARMOUR: Final = (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"-----BEGIN ", b"-----END ", b"-----")
_LOG: Final = (
    b'UTCTime="2022-07-11 16:55:26,000" ',
    b'Detail="Sending Request" ',
    b'Txn-id="1" ',
    b'a="',
    b"2022-07-11T18:55:26.000+02:00 ",
    b"2022-07-11T18:55:26.000+02:00 vcsc traffic_server[1]: ",
    b"Jul 11 18:55:26 ",
    b"[Jul 11 18:55:26.000] ",
    b"<13>",
    b"WARNING: ",
    b"Error=",
    b"server=a(b) ",
    b"Action=Terminate ",
    b"SSL connection failed for ",
    b'Msg="GET /a HTTP/1.1" ',
    b'Level="INFO" ',
    b'\\"',
    b"\\u{41}",
    b"=",
)
_LOG_LINE: Final = b'2022-07-11T18:55:26.000+02:00 vcsc traffic_server[1]: UTCTime="2022-07-11 16:55:26,000" Detail="'
_WARNED: Final = (
    b"2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: [ET_NET 0] WARNING: Core server certificate verification "
    b"failed for ("
)
_ENVELOPES: Final = (
    b"traffic_server",
    b"traffic_server 1 ",
    b"traffic_server 1 - [a ",
    b"[ET_NET 0] ",
    b"> ",
    b"a.txt:1:",
    b"sshd[1]: ",
    b"Module=",
    b'Module="network.http.trafficserver" ',
    b"SNI (",
    b"<a",
    b"&quot;",
    b"\x1b[1m",
    b"{",
    b'{"a":',
    b"[[",
    b'\\\\"',
    b'UTCTime=""2',
    b"</p>",
    b"traffic_server[1]: [ET_NET 0] WARNING: Core server certificate verification",
)
_ESCAPES: Final = (
    b"%2e",
    b"%252e",
    b"%c0%ae",
    b"%e2%80%a5",
    b"%u002e",
    b"/%2e%2e",
    b";a",
    b"//",
    b"/.",
    b"%cc%88%cc%a3",
)


def _axl(raw: bytes) -> None:
    for status in (200, 500):
        with contextlib.suppress(axl.AxlError):
            axl.node_names(axl.result(raw, status, "cucm:8443", "user"), "cucm:8443")


_ENVELOPE: Final = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
_END_OF_ENVELOPE: Final = b"</e:Body></e:Envelope>"


def _soap(data: bytes) -> None:
    with contextlib.suppress(soap.BadEnvelopeError):
        soap.child(soap.read_call(data).operation, "b")


def _point(data: bytes) -> None:
    for read in (recipes.read_certificates, recipes.read_key, recipes.certified_of_pem):
        with contextlib.suppress(MralabError):
            read(data, "growth")


PARSERS: Final[dict[str, Parser]] = {
    "request head": Parser(
        "core.http.framing.parse_request core.http.framing.request_framing "
        "core.http.rewrite.keeps_alive core.http.rewrite.upgrade_answer",
        _request,
        (*_WORDS, *_LINES, b"Connection: close\r\n", b"Host: a\r\n", b"Content-Length: 1\r\n"),
        (
            (_HEAD, b"\r\n\r\n"),
            (_HEAD + b"A: ", b"\r\n\r\n"),
            (b"GET /", b" HTTP/1.1\r\n\r\n"),
            (b"", b" / HTTP/1.1\r\n\r\n"),
        ),
    ),
    "request head in pieces": Parser(
        "core.http.framing.check_partial core.http.framing.check_characters",
        _partial,
        (*_WORDS, *_LINES),
        ((b"", b""), (_HEAD, b"")),
    ),
    "request": Parser(
        "core.mra.route.Routes",
        _route,
        (*_WORDS, *_LINES, *_ESCAPES, b"Via: 1.1 [0-]\r\n", b"[", b"a/", b"gzip;q=0.0,", b"X_Y: 0\r\n"),
        (
            (_HEAD, b"\r\n\r\n"),
            (_HEAD + b"Connection: ", b"\r\n\r\n"),
            (_HEAD + b"Via: ", b"\r\n\r\n"),
            (_HEAD + b"Accept-Encoding: ", b"\r\n\r\n"),
            (_HEAD + b"Authorization: Basic ", b"\r\n\r\n"),
            (f"GET /{TOKEN}/a/".encode(), b" HTTP/1.1\r\nHost: h\r\n\r\n"),
            (b"GET /", b"/a HTTP/1.1\r\nHost: h\r\n\r\n"),
            (b"GET http://", b"/a HTTP/1.1\r\nHost: h\r\n\r\n"),
        ),
    ),
    "response head": Parser(
        "core.http.framing.parse_response core.http.framing.response_framing "
        "core.http.response_head.read_reply core.http.response_head.forward_response "
        "core.http.response_template.template",
        _reply,
        (*_WORDS, *_LINES, b"Date: 0\r\n", b"Age: 0\r\n", f"Server: {SERVER}\r\n".encode(), b"Set-Cookie: a=b\r\n"),
        (
            *((b"HTTP/1.1 200 OK\r\n" + field, b"\r\n\r\n") for field in (b"", b"A: ", b"Connection: ", *_DATES)),
            (b"HTTP/1.1 200 ", b"\r\n\r\n"),
        ),
    ),
    "chunked body": Parser(
        "core.http.framing.ChunkedBody",
        _chunks,
        (*_WORDS, *_LINES, b"1\r\na\r\n", b";a", b';a="', b';a="\\"', b"0;a=b\r\n", b" ;"),
        ((b"", b""), (b"1", b"\r\na\r\n0\r\n\r\n"), (b"0\r\n", b"\r\n\r\n"), (b'1;a="', b'"\r\na\r\n')),
    ),
    "server's first flight": Parser(
        "core.tls.first_flight.FirstFlight",
        lambda data: firstflight.FirstFlight().feed(data),
        (b"\x16\3\3\0\0", b"\x16\3\3\0\4\0\0\0\0", b"\x16\3\3\0\1\0", b"\0\0\0\0", b"\x0b"),
        ((b"", b""), (b"\x16\3\3\xff\xff", b""), (b"\x16\3\3\0\4\x0b\xff\xff\xff", b"")),
    ),
    "request-target": Parser(
        "core.mra.target.split core.mra.target.absolute_url",
        _text(lambda raw: target.split(raw, CONTROL)),
        (*_WORDS, *_ESCAPES, b"/", b"?", b"#", b"@", b"["),
        (
            (b"", b""),
            (b"/", b""),
            (f"/{TOKEN}/".encode(), b""),
            (b"http://", b"/"),
            (b"http://localhost:", b"/"),
            (b"a", b"://"),
        ),
    ),
    "token": Parser(
        "core.mra.target.decode",
        _text(target._decode.__wrapped__),
        (*_WORDS, b"=", b"%3d", b"YWFhYS9h", b"Ly8v", b"Li4u"),
    ),
    "host": Parser(
        "core.mra.target.canonical_host core.mra.target.canonical_port core.tls.hostname.is_address",
        _text(lambda raw: (hostname.is_address.__wrapped__(raw), target.canonical_host(raw))),
        (*_WORDS, b"0x", b"a-", b"xn--", b"1.", b"::", b"0:"),
        ((b"", b""), (b"[", b"]"), (b"a", b"a"), (b"1.1.1.", b"")),
    ),
    "port": Parser("core.mra.target.canonical_port", _text(target.canonical_port), _WORDS),
    "readings of a path": Parser(
        "core.mra.readings.readings",
        _text(readings.readings),
        (*_WORDS, *_ESCAPES, b"/", b"/a/..", b"\\", b"+", b"/+", b"%00", b"%e1%85%9f", b"%f0", b"%25", b"%ef%b7%ba"),
        ((b"/", b""), (b"/ok/", b"/../x"), (b"/%2e", b"")),
    ),
    "allow list": Parser(
        "core.mra.allowlist.parse_rules_csv core.mra.allowlist_csv.parse_rules_csv core.mra.allowlist_lines.parse",
        _text(lambda text: allowlist.parse_rules_csv(text, "growth")),
        (*_WORDS, *_LINES, *_ENTRIES),
        (
            (b"", b""),
            (RULES.encode(), b""),
            (RULES.encode() + b'"', b'"\n'),
            (RULES.encode() + b"https://a/", b",,,,\n"),
        ),
    ),
    "allow-list tests": Parser(
        "core.mra.allowlist_csv.parse_tests_csv",
        _text(lambda text: allowlist_csv.parse_tests_csv(text, "growth")),
        (*_WORDS, *_LINES, b"http://a/,allow,,,GET\n"),
        ((b"", b""), (b"Url,ExpectedResult,Deployment,Description,HttpMethod\n", b"")),
    ),
    "bytes of a CSV file": Parser(
        "core.mra.allowlist_lines.decode_csv",
        lambda data: allowlist_lines.decode_csv(data, "growth"),
        (*_WORDS, *_LINES, b"a\0"),
        ((b"", b""), (b"\xff\xfe", b""), (b"\xef\xbb\xbf", b""), (b"PK\3\4", b"")),
    ),
    "configuration": Parser(
        "config.model.from_mapping config.loading.load config.hosts.canonical_hosts config.live.split_change"
        " config.problems.describe config.problems.describe_unknown",
        _settings,
        (b"a\n", b"\n", b"1\n", b"a.\n", b"origin\n"),
    ),
    "configuration file": Parser(
        "config.loading.parse_toml",
        _text(lambda text: config.parse_toml(text, "growth")),
        (*_WORDS, *_LINES, b"a.a.", b"[a]\n", b"[[a]]\n", b"a=1,", b"[", b"{a=", b"#", b"\\u0041", b"'", b"1_", b"9"),
        ((b"", b""), (b"a", b"=1\n"), (b'a="', b'"'), (b"a=[", b"]"), (b"a={", b"}"), (b"a=", b"\n"), (b"[a", b"]\n")),
    ),
    "address": Parser(
        "config.values.split_address",
        _text(config.split_address),
        (*_WORDS, b"["),
        ((b"", b""), (b"", b":1"), (b"1:", b"")),
    ),
    "nearest word": Parser(
        "core.nearest.did_you_mean core.nearest.nearest",
        _text(lambda raw: nearest.did_you_mean(raw, ("abcabc", "a" * 60))),
        _WORDS,
    ),
    "nearest word of many": Parser(
        "core.nearest.did_you_mean", _text(lambda raw: nearest.did_you_mean("a" * 60, raw.split("\n"))), _LINES
    ),
    "certificate file": Parser(
        "tls.trust_store.parse_pem tls.trust_store.load_store",
        lambda data: trust.parse_pem(data, "growth"),
        (
            *(_WORDS + _LINES + _ARMOUR),
            *(line + b"\n" for line in _ARMOUR),
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN PKCS7-----\nMIAG\n-----END PKCS7-----\n",
            b"BEGIN CERTIFICATE\n",
            b"END CERTIFICATE\n",
            b"\x30\x80",
            _tlv(0x30, b""),
        ),
        (
            (b"", b""),
            (b"-----BEGIN ", b"-----"),
            (b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"),
            (b"\x30\x84\0\0\xff\xff", b""),
        ),
    ),
    "certificate's names": Parser(
        "core.tls.hostname.names_of core.tls.hostname.match_name core.tls.der.values "
        "core.tls.der.first core.tls.der.certificate_parts",
        _names,
        (
            *_NAMES,
            _tlv(0x31, _tlv(0x30, _tlv(6, bytes.fromhex("550403")) + _tlv(0x0C, b"a"))),
            b"\x30\x80",
            b"\0",
            b"*",
            b"a.",
        ),
    ),
    "certificate's one long name": Parser(
        "core.tls.hostname.match_name",
        lambda data: hostname.match_name.__wrapped__(
            hostname.CertificateNames((data.decode("latin-1"),)),
            data.decode("latin-1").replace("*", "a"),
            ip_san_accepted=True,
        ),
        (*_WORDS, b"*", b"*."),
        ((b"", b""), (b"*.", b""), (b"*", b".steven.lab"), (b"a*.", b".b")),
    ),
    "log": Parser(
        "core.log.reader.read core.log.reader.is_cut core.log.reader.continues core.log.joining.well_formed "
        "diagnose.diagnosis.find",
        _text(_read),
        (*_WORDS, *_LINES, *_LOG, *_ENVELOPES, *(line + b"\n" for line in (*_LOG, *_ENVELOPES))),
        (
            (b"", b""),
            (b"<13>1 2022-07-11T18:55:26.000Z vcsc traffic_server 1 - [", b"] x"),
            (b'{"message": "', b'"}'),
            (_LOG_LINE, b""),
            (_LOG_LINE, b'"'),
            (_WARNED, b""),
            (_WARNED + b"a). Action=Terminate Error=", b""),
        ),
    ),
    "bytes of a log": Parser(
        "core.log.quiet.is_twin",
        _streamed,
        (
            *_WORDS,
            *_LINES,
            *_LOG,
            *_ENVELOPES,
            *(line + b"\n" for line in (*_LOG, *_ENVELOPES)),
            b"HTTPMSG:\n|",
            b" A:",
        ),
        ((b"", b""), (b"", b"\n"), (_LOG_LINE, b'"\n'), (b"12:" + _LOG_LINE, b""), (_WARNED, b"\n")),
    ),
    "order of a log": Parser(
        "core.log.order.order_of core.log.order.put_in_order core.log.order.arranged core.log.order.clocks_of",
        lambda data: (logorder.order_of(data), logorder.put_in_order(data, logorder.Order(True, True))),
        (
            *_WORDS,
            *_LINES,
            *(line + b"\n" for line in (*_LOG, *_ENVELOPES)),
            b'Detail="Sending Request" Txn-id="',
            b"2026-01-29 14:01:16",
            b"connection failed for 'a' SNI (a)",
            b"HTTPMSG:\n",
            b"SNI (",
        ),
        ((b"", b""), (b"2026-01-29 14:01:17\n", b"\n2026-01-29 14:01:16")),
    ),
    "line of another module": Parser(
        "core.log.neighbours.may_be_neighbour core.log.neighbours.read_neighbour core.log.neighbours.read_fields "
        "core.log.neighbours.status_line core.log.neighbours.is_failure",
        _text(_neighbours),
        (*_WORDS, *_LOG, b'Detail="Failed to authenticate user" ', b"edgeconfigprovisioning ", b"HTTPMSG: |HTTP/1.1 "),
        (
            (b"", b""),
            (b"", b'Detail="Failed to authenticate user"'),
            (b'edgeconfigprovisioning: Action="Received" Request-url="a" ', b""),
            (b"edgeconfigprovisioning: Detail=\"Failed to authenticate user\" Server=\"('a', '", b"', 1)\""),
        ),
    ),
    "line in an envelope": Parser(
        "core.log.envelope.plain core.log.envelope.may_matter core.log.envelope.is_changed core.log.envelope.undone "
        "core.log.cleaning.straighten core.log.cleaning.unwrap "
        "core.log.cleaning.records core.log.cleaning.unlink core.log.cleaning.mended core.tls.tlserror.without_tail",
        _text(_cleaned),
        (*_WORDS, *_LOG, *_ENVELOPES, b'{"m": "x"},', b'"x",', b'["1", "x"],', b'{"a": [[]]},'),
        (
            (b"", b""),
            (b"", b" traffic_server[1]: x"),
            (b"", b"[ET_NET 0] x"),
            (b'{"message": "traffic_server[1]: ', b'"}'),
            (b"<13>1 2022-07-11T18:55:26.000Z vcsc traffic_server 1 - [", b"] x"),
            (b'traffic_server[1]: UTCTime=\\"', b'"'),
            (b'{"app": "traffic_server", "a": [', b"1]}"),
        ),
    ),
    "list of addresses": Parser(
        "diagnose.address_sources.parse_list diagnose.address_sources.parse_address",
        _text(lambda text: address_sources.parse_list(text, "file")),
        (*_WORDS, *_LINES, b"a:1\n", b"#", b"[::1]:1\n", b":", b"\n"),
    ),
    "AXL response": Parser(
        "diagnose.axl.result diagnose.axl.node_names diagnose.axl.hosts_with_role",
        _axl,
        (*_WORDS, *_LINES, b"<a>", b"<processNode><name>a</name></processNode>", b"&amp;", b"<a", b' a="b"'),
        (
            (b"", b""),
            (b"<a>", b"</a>"),
            (b"<a><processNode><name>", b"</name></processNode></a>"),
            (b"Supported axl versions: [", b"]"),
            (b"Supported axl versions", b":"),
        ),
    ),
    "request line of a log": Parser(
        "diagnose.request_line.parse_request_line diagnose.request_line.is_absolute_form "
        "diagnose.request_line.is_loopback diagnose.request_line.authority",
        _text(
            lambda raw: (
                request_line.parse_request_line(raw),
                request_line.is_absolute_form(raw),
                request_line.is_loopback(raw),
                request_line.authority(raw),
            )
        ),
        (*_WORDS, *_ESCAPES, b"/", b"YWFh", b"http://"),
        ((b"", b""), (b"GET http://", b"/ HTTP/1.1"), (b"GET /", b"/get_edge_config HTTP/1.1"), (b"https://", b":1")),
    ),
    "log field": Parser(
        "core.log.escape.escape core.log.escape.escape_field core.log.escape.unescape core.log.escape.visible",
        _text(lambda text: [logescape.unescape(logescape.escape_field(text, kind)) for kind in logescape.KINDS]),
        (*_WORDS, b"\\x4", b"\\u{", b"\\n", b"\\\\", b"\\u{10FFFF}"),
    ),
    "OpenSSL's error": Parser(
        "core.tls.tlserror.alert_number core.tls.tlserror.error_string core.tls.tlserror.is_whole "
        "diagnose.tlscode.parse",
        _explained,
        (*_WORDS, b"tlsv1 ", b"alert "),
        ((b"", b""), (b"tlsv1 alert ", b""), (b"error:1416F086:SSL routines:", b""), (b"error:1416F086:a:b:", b"")),
    ),
    "start of a file": Parser(
        "diagnose.file_kind.kind_of",
        lambda data: file_kind.kind_of(data[: expansion.SNIFFED]),
        (*_WORDS, *_LINES, b"-----BEGIN CERTIFICATE-----", b"-----BEGIN ", b"*c xConfiguration ", b"<?xml ?> ", b"\0"),
    ),
    "mail message": Parser(
        "diagnose.mail.is_mail diagnose.mail.is_body diagnose.mail.parts",
        _mail,
        (
            *_WORDS,
            *_LINES,
            b"A: b\n",
            b"\n",
            b" ",
            b"--x\n",
            b"Content-Type: multipart/mixed; boundary=x\n",
            b"=3D",
            b"=\n",
        ),
        (
            (b"", b""),
            (b"From: a\n", b"\n\n"),
            (b"From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n", b"\n--x--\n"),
            (b"From: a\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n", b""),
            (b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=", b"\n\na"),
        ),
    ),
    "name of an archive's member": Parser(
        "diagnose.file_names.peer_of diagnose.file_names.role_of diagnose.file_names.time_of "
        "diagnose.file_names.is_log_name diagnose.file_names.oldest_first diagnose.file_names.order "
        "diagnose.file_names.why_refused",
        _text(_named),
        (*_WORDS, b"ca_", b"_ca_", b"/ca_", b"ca_x_2026-01-29_", b"../"),
    ),
    "configuration dump": Parser(
        "diagnose.xconf.parse_settings",
        lambda data: xconf.parse_settings(data.split(b"\n")),
        (*_WORDS, *_LINES, b"*c xConfiguration ", b'*c xConfiguration Ciphers HTTPSCiphers Value: "a"\n', b'"', b": "),
        ((b"", b""), (b"*c xConfiguration ", b""), (b'*c xConfiguration a: "', b"!")),
    ),
    "release": Parser(
        "core.release.find_release core.release.verify_mode",
        _text(lambda text: _each(text, release.find_release, release.verify_mode)),
        (*_WORDS, b"X14.2", b"14."),
    ),
    "JSON body": Parser(
        "web.strictjson.loads",
        strictjson.loads,
        (*_WORDS, *_LINES, b"[", b"{", b'{"a":', b'"a",', b"1,", b"1e9,", b"\\u0041", b'\\"', b"1"),
        ((b"", b""), (b"[", b"]"), (b'{"a": [', b"]}"), (b'{"a": "', b'"}'), (b'{"', b'": 1}')),
    ),
    "SOAP envelope": Parser(
        "mocks.soap.read_call",
        _soap,
        (*_WORDS, b"<a>", b"</a>", b"<a/>", b"<!DOCTYPE a>", b"<!--", b"<![CDATA[", b"&amp;", b' xmlns:b="c"'),
        ((b"", b""), (_ENVELOPE, _END_OF_ENVELOPE), (_ENVELOPE + b"<a>", b"</a>" + _END_OF_ENVELOPE)),
    ),
    "certificate and key of a fault point": Parser(
        "mocks.recipes.certified_of_pem mocks.recipes.read_certificates mocks.recipes.read_key",
        _point,
        (*_WORDS, *_LINES, b"-----BEGIN ", b"-----BEGIN A-----\n", b"-----BEGIN EC PRIVATE KEY-----", *_ARMOUR),
        ((b"", b""), (b"-----BEGIN PRIVATE KEY-----\n", b"\n-----END PRIVATE KEY-----\n")),
    ),
    "key in a message": Parser(
        "core.tls.private_keys.without_keys",
        _text(private_keys.without_keys),
        (*_WORDS, *_LINES, b"-----BEGIN ", b"-----BEGIN PRIVATE KEY-----", b"-----END ", b"-----END A"),
        ((b"", b""), (b"-----BEGIN PRIVATE KEY-----", b"")),
    ),
    "cipher string": Parser(
        "tls.verification.check_ciphers",
        _text(lambda text: tls.check_ciphers(config.from_mapping({"upstream": {"ciphers": text}}).upstream.ciphers)),
        (*_WORDS, b"ALL:", b"ALL+", b"!aNULL:", b"@STRENGTH:", b"AES256-SHA:", b"-ALL:ALL:"),
    ),
    "capture": Parser(
        "core.capture.reading.is_capture core.capture.reading.read_packets diagnose.capture.read_capture",
        _capture,
        (
            b"\0",
            b"\xff",
            _segment(1, b""),
            _segment(1, _MESSAGE),
            _segment(5000, b"x" * 100),
            _segment(1, b"", tcppacket.SYN) + _segment(1, b"", tcppacket.RST),
            _BLOCKS,
            _INTERFACE,
            pcapng.packet_block(_segment(1, _MESSAGE)[16:], 1),
            pcapng.secrets_block(b""),
        ),
        ((_PCAP, b""), (_BLOCKS, b""), (_PCAP + _segment(0, b"", tcppacket.SYN), _segment(1, b"x"))),
    ),
    "TLS of one end": Parser(
        "core.capture.handshake.Side",
        _stream,
        (b"\x16\x03\x03\x00\x00", b"\x16\x03\x03\x00\x01\x0b", _MESSAGE, b"\x15\x03\x03\x00\x02\x01\x00", b"\0"),
        ((b"", b""), (b"\x16\x03\x03\x40\x00\x0b\x01\xff\xff", b""), (b"\x14\x03\x03\x00\x01\x01", b"")),
    ),
    "Host of the control API": Parser(
        "web.guard.is_loopback web.guard.check_sender", _text(guard.is_loopback), (*_WORDS, b"[", b"@", b"%")
    ),
}
NOT_PARSERS: Final = {
    "core.capture.packet.checksum": "of what we write",
    "core.mra.allowlist_lines.did_you_mean": "as core.nearest.did_you_mean",
    "core.mra.allowlist_lines.listed": "writes",
    "core.mra.allowlist_lines.shown": "writes",
    "core.release.cipher_string": "joins texts",
    "core.release.has_login_failover": "looks a release up",
    "core.release.signature_algorithms": "looks a word up",
    "diagnose.address_sources.parse_each": "calls the parser that it is given",
    "diagnose.axl.request": "writes",
    "diagnose.axl.list_nodes_operation": "writes",
    "config.values.is_loopback": "an address, which split_address has read",
    "web.guard.is_json": "one comparison",
    "web.guard.is_pem": "one comparison",
    "core.log.cleaning.is_clean": "three searches",
    "diagnose.xconf.setting_line": "writes",
    "diagnose.request_line.service_of": "covered with the request line",
    "core.mra.allowlist.automatic_rules": "a host, covered with the host",
    "core.http.framing.chunk": "writes",
    "core.http.framing.last_chunk": "writes",
    "core.http.rewrite.response_age": "a date, covered with the response head",
    "core.http.framing.values": "part of the request head's and the response head's",
    "core.http.framing.list_items": "part of the request head's and the response head's",
    "core.tls.fingerprint.canonical_fingerprint": "hexadecimal digits that an expression has matched",
    "core.tls.fingerprint.fingerprint": "one digest",
    "core.tls.hostname.is_address": "covered with the host",
    "core.http.rewrite.trailer_fields": "fields that the chunked body's parser has read",
    "core.tls.verdict.error_text": "looks a number up",
}
"""Public functions of the modules that take text and are no parsers, with the reason."""
MODULES: Final = (
    config.hosts,
    config.live,
    config.loading,
    config.model,
    config.problems,
    config.values,
    nearest,
    allowlist,
    allowlist_csv,
    allowlist_lines,
    capture,
    capture_findings,
    mail,
    packets,
    tlshandshake,
    tcppacket,
    reading,
    reassembly,
    logclean,
    logenvelope,
    private_keys,
    recipes,
    release,
    soap,
    strictjson,
    tlscode,
    file_kind,
    file_names,
    sources,
    xconf,
    der,
    fingerprint,
    firstflight,
    framing,
    hostname,
    logescape,
    logneighbours,
    logorder,
    logquiet,
    logread,
    message,
    readings,
    reply,
    response_template,
    request_line,
    address_sources,
    axl,
    target,
    tlserror,
    verdict,
    trust,
    guard,
)
"""Modules whose public functions that take text are all in one of the two tables."""


def public_parsers() -> Iterator[tuple[str, Any]]:
    """Return the public functions of ``MODULES`` whose first parameter is text; each must be in a table."""
    for module in MODULES:
        for name, value in vars(module).items():
            code = getattr(getattr(value, "__wrapped__", value), "__annotations__", None)
            if name.startswith("_") or not callable(value) or isinstance(value, type) or not code:
                continue
            first = str(next(iter(code.values())))
            if value.__module__ == module.__name__ and any(word in first for word in ("str", "bytes", "Fields")):
                yield f"{module.__name__.removeprefix('mralab.')}.{name}", value
