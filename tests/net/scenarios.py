"""53 scenarios as a table: how a server behaves, and the outcome with Traffic Server 8.1.11 and OpenSSL 1.1.1.

Traffic Server 9.2.9 was observed with each. Where it differs, the row follows 8.1.11 and a comment gives the outcome of
9.2.9.
"""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cryptography.x509.oid import ExtendedKeyUsageOID

from ..oracle.pki import Minted, mint, purposes, rsa_key
from .conftest import Server, read_request

NAME: Final = ("", 0)
"""An entry of ``faults``: the certificate does not contain the name."""

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
OK: Final = "HTTP/1.1 200 OK"
FAILED: Final = "HTTP/1.1 502 connect failed"
VERIFY_FAILED: Final = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
HANDSHAKE_FAILURE: Final = "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure"
NOT_TLS: Final = "error:1408F10B:SSL routines:ssl3_get_record:wrong version number"
LOCAL_ISSUER: Final = ("unable to get local issuer certificate", 0)
FIRST: Final = ("unable to verify the first certificate", 0)
EXPIRED: Final = ("certificate has expired", 0)
UNKNOWN_CA: Final = "TLSV1_ALERT_UNKNOWN_CA"
MISNAMED: Final = "TLSV1_ALERT_INTERNAL_ERROR"


class Scenario(NamedTuple):
    """How a server behaves, and the outcome of a request for it.

    - ``host``: host in the request; empty for ``NAME.ats.test``.
    - ``faults``: (text, depth) of each WARNING in mode ``audit``; mode ``on`` stops at the first.
    - ``alert``: why the handshake ended, as the server sees it: the alert for the first fault, or the server's reason.
    - ``status``, ``error``, ``once``: outcome if verification finds no fault or is off: the status line (empty for a
      reset), the text of the ERROR line if there is one, and whether there is a single attempt.
    - ``method``: the request's method.
    - ``setup``: changes the server's TLS context.
    - ``before_tls``, ``handle``: serve a connection instead of the handshake, or after it.
    - ``upstream``: keys of the proxy's ``[upstream]``.
    - ``server``: ``tls``, ``refuses`` (its port is closed), ``unknown`` or ``servfail`` (the answer of DNS).
    """

    host: str = ""
    faults: tuple[tuple[str, int], ...] = ()
    alert: str = ""
    status: str = OK
    error: str = ""
    once: bool = False
    method: str = "GET"
    setup: Callable[[ssl.SSLContext], None] | None = None
    before_tls: Callable[[socket.socket], None] | None = None
    handle: Callable[[Any, Server], None] | None = None
    upstream: Mapping[str, Any] = {}
    server: str = "tls"


# -- behaviour of servers


def _version(version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> Callable[[ssl.SSLContext], None]:
    def change(context: ssl.SSLContext) -> None:
        context.set_ciphers(ciphers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version

    return change


def _ask_for_a_certificate(context: ssl.SSLContext) -> None:
    _version(ssl.TLSVersion.TLSv1_2)(context)
    context.verify_mode = ssl.CERT_REQUIRED


def _plain(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _end(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)  # then read to the end: closing with unread bytes would send a reset
    _silent(sock)


def _reset(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _silent(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def _answering(answer: bytes) -> Callable[[Any, Server], None]:
    def handle(stream: Any, server: Server) -> None:
        if request := read_request(stream):
            server.requests.append(request)
            stream.sendall(answer)

    return handle


def _close(stream: Any, server: Server) -> None:
    server.requests.append(read_request(stream))
    socket.socket.shutdown(stream, socket.SHUT_RDWR)  # without a close_notify


def _stall(stream: Any, server: Server) -> None:
    server.requests.append(read_request(stream))
    stream.recv(1)


answer_ok = _answering(ANSWER)
_QUICK: Final = {"connect_timeout": 0.15, "response_timeout": 0.15}
_TLS12: Final = _version(ssl.TLSVersion.TLSv1_2)
_UNTRUSTED: Final = Scenario(faults=(LOCAL_ISSUER, FIRST), alert=UNKNOWN_CA)
_MISNAMED: Final = Scenario(faults=(NAME,), alert=MISNAMED)

SCENARIOS: Final[dict[str, Scenario]] = {
    # names
    "good-san-dns": Scenario(),
    "good-cn-only": Scenario(),
    "san-mismatch-cn-match": Scenario(),
    "two-cns-first-matches": Scenario(),
    "empty-subject-san-ok": Scenario(),
    "wildcard-one-label": Scenario(),
    "wildcard-two-labels": _MISNAMED._replace(host="a.wildcard-two-labels.ats.test"),
    "wildcard-toplevel": _MISNAMED._replace(host="wildcardtoplevel.test"),
    "wildcard-partial-prefix": Scenario("foo.partial.ats.test"),
    "wildcard-double": _MISNAMED._replace(host="a.b.dbl.ats.test"),
    "wildcard-in-cn": Scenario(),
    "wildcard-idna": Scenario("xn--bcher-kva.idn.ats.test"),
    "san-uppercase": Scenario(),
    "san-trailing-dot": _MISNAMED,
    "name-mismatch": _MISNAMED,
    "mismatch-tls12": _MISNAMED._replace(setup=_TLS12),
    "ip-literal-ipaddress-san": _MISNAMED._replace(host="127.0.9.1"),
    "ip-literal-no-ip-san": _MISNAMED._replace(host="127.0.9.2"),
    "ip-literal-as-dnsname-san": Scenario("127.0.9.3"),
    # chains
    "self-signed-untrusted": Scenario(faults=(("self signed certificate", 0),), alert=UNKNOWN_CA),
    "self-signed-in-store": Scenario(),
    "unknown-ca-chain-sent": Scenario(faults=(("self signed certificate in certificate chain", 1),), alert=UNKNOWN_CA),
    "unknown-ca-leaf-only": _UNTRUSTED,
    "untrusted-tls12": _UNTRUSTED._replace(setup=_TLS12),
    "untrusted-post": _UNTRUSTED._replace(method="POST"),
    "intermediate-sent": Scenario(),
    "intermediate-missing-but-in-store": Scenario(),
    "partial-chain-inter-in-store": Scenario(faults=(("unable to get issuer certificate", 1),), alert=UNKNOWN_CA),
    "expired-leaf": Scenario(faults=(EXPIRED,), alert="SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    "eku-server": Scenario(),
    "mismatch-and-untrusted": Scenario(faults=(LOCAL_ISSUER, FIRST, NAME), alert=UNKNOWN_CA),
    "expired-and-mismatch": Scenario(faults=(EXPIRED, NAME), alert="SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    "chain-depth-6-intermediates": Scenario(),
    "weak-rsa-1024": Scenario(),  # 9.2.9 on OpenSSL 3, level 2: EE certificate key too weak
    # other than certificates
    "upstream-not-tls": Scenario(status=FAILED, error=NOT_TLS, before_tls=_plain),
    "upstream-close-at-accept": Scenario(status=FAILED, before_tls=_end),
    "upstream-rst-after-clienthello": Scenario(status="HTTP/1.1 502 Connection reset by peer", before_tls=_reset),
    # 9.2.9 on OpenSSL 3 offers neither TLS 1.0 nor this cipher
    "upstream-tls10-only": Scenario(setup=_version(ssl.TLSVersion.TLSv1)),
    "no-shared-cipher": Scenario(setup=_version(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA:@SECLEVEL=0")),
    "upstream-tls12-only": Scenario(setup=_TLS12),
    "client-cert-required-tls12": Scenario(
        alert="PEER_DID_NOT_RETURN_A_CERTIFICATE", status=FAILED, error=HANDSHAKE_FAILURE, setup=_ask_for_a_certificate
    ),
    "connection-refused": Scenario(status=FAILED, server="refuses"),  # 9.2.9: Broken pipe
    "connection-refused-post": Scenario(status=FAILED, server="refuses", method="POST"),
    # 9.2.9: 500
    "dns-nxdomain": Scenario("nxdomain.invalid", status="HTTP/1.1 502 Cannot find server.", server="unknown"),
    "dns-servfail": Scenario("servfail.ats.test", status="HTTP/1.1 502 Cannot find server.", server="servfail"),
    "tls-stall-no-serverhello": Scenario(  # 9.2.9: connect failed
        status="HTTP/1.1 502 internal error - server connection terminated",
        before_tls=_silent,
        upstream=_QUICK,
    ),
    "http-stall-after-tls": Scenario(status="HTTP/1.1 504 Connection Timed Out", handle=_stall, upstream=_QUICK),
    "http-stall-after-tls-default-retries-post": Scenario(
        status="HTTP/1.1 504 Connection Timed Out", handle=_stall, upstream=_QUICK, method="POST", once=True
    ),
    # 9.2.9: Malformed Server Response Status
    "http-close-before-response": Scenario(status="HTTP/1.1 502 Server Hangup", handle=_close),
    "http-close-before-response-post": Scenario(
        status="HTTP/1.1 502 Server Hangup", handle=_close, method="POST", once=True
    ),
    "http-garbage-response": Scenario(
        status="HTTP/1.1 502 Invalid HTTP Response", handle=_answering(b"\x00\x01garbage no http here\r\n\r\n")
    ),
    "http-truncated-body": Scenario(
        status="", handle=_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), once=True
    ),
    "http-500-from-origin": Scenario(
        status="HTTP/1.1 500 Custom Boom",
        handle=_answering(b"HTTP/1.1 500 Custom Boom\r\nContent-Length: 5\r\nConnection: close\r\n\r\nboom\n"),
        once=True,
    ),
}


# -- certificates


class Certificates(NamedTuple):
    """The chain that each server sends, leaf first, and the certificates of the trust store."""

    chains: dict[str, tuple[Minted, ...]]
    trust: tuple[Minted, ...]

    @property
    def trust_pem(self) -> bytes:
        return b"".join(one.pem for one in self.trust)


def mint_all() -> Certificates:
    """Mint the certificates of all scenarios; one without an entry gets a good leaf below the trusted root."""
    root, unknown = mint("A root", ca=True), mint("A root nobody knows", ca=True)
    kept = mint("An intermediate of the store", issuer=root, ca=True)
    orphan = mint("An intermediate of the store, its root unknown", issuer=unknown, ca=True)
    sent = mint("An intermediate that is sent", issuer=root, ca=True)
    deep = [mint("Step 0", issuer=root, ca=True)]
    for number in range(1, 6):
        deep.insert(0, mint(f"Step {number}", issuer=deep[0], ca=True))

    def leaf(name: str, issuer: Minted = root, **options: Any) -> Minted:
        return mint("x", issuer=issuer, dns=[SCENARIOS[name].host or f"{name}.ats.test"], **options)

    def san(*dns: str, **options: Any) -> tuple[Minted]:
        return (mint("x", issuer=options.pop("issuer", root), dns=dns, **options),)

    rsa = rsa_key(2048)
    own = mint("self-signed-in-store.ats.test", dns=["self-signed-in-store.ats.test"])
    chains: dict[str, tuple[Minted, ...]] = {name: (leaf(name),) for name in SCENARIOS}
    chains |= {
        "good-cn-only": (mint("good-cn-only.ats.test", issuer=root),),
        "san-mismatch-cn-match": (mint("san-mismatch-cn-match.ats.test", issuer=root, dns=["other.ats.test"]),),
        "two-cns-first-matches": (mint("two-cns-first-matches.ats.test", "zzz.test", issuer=root),),
        "empty-subject-san-ok": (mint(issuer=root, dns=["empty-subject-san-ok.ats.test"]),),
        "wildcard-one-label": san("*.ats.test"),
        "wildcard-two-labels": san("*.ats.test"),
        "wildcard-toplevel": san("*.test"),
        "wildcard-partial-prefix": san("f*.partial.ats.test"),
        "wildcard-double": san("*.*.dbl.ats.test"),
        "wildcard-in-cn": (mint("*.ats.test", issuer=root),),
        "wildcard-idna": san("*.idn.ats.test"),
        "san-uppercase": san("SAN-UPPERCASE.ATS.TEST"),
        "san-trailing-dot": san("san-trailing-dot.ats.test."),
        "name-mismatch": san("somebody.else.test"),
        "mismatch-tls12": san("somebody.else.test", key=rsa),
        "ip-literal-ipaddress-san": san(ips=["127.0.9.1"]),
        "ip-literal-no-ip-san": san("foo.ats.test"),
        "self-signed-untrusted": (mint("self-signed-untrusted.ats.test", dns=["self-signed-untrusted.ats.test"]),),
        "self-signed-in-store": (own,),
        "unknown-ca-chain-sent": (leaf("unknown-ca-chain-sent", unknown), unknown),
        "unknown-ca-leaf-only": (leaf("unknown-ca-leaf-only", unknown),),
        "untrusted-tls12": (leaf("untrusted-tls12", unknown, key=rsa),),
        "untrusted-post": (leaf("untrusted-post", unknown),),
        "intermediate-sent": (leaf("intermediate-sent", sent), sent),
        "intermediate-missing-but-in-store": (leaf("intermediate-missing-but-in-store", kept),),
        "partial-chain-inter-in-store": (leaf("partial-chain-inter-in-store", orphan),),
        "expired-leaf": (leaf("expired-leaf", days=(-10, -2)),),
        "eku-server": (leaf("eku-server", extensions=[purposes(ExtendedKeyUsageOID.SERVER_AUTH)]),),
        "mismatch-and-untrusted": san("somebody.else.test", issuer=unknown),
        "expired-and-mismatch": san("somebody.else.test", days=(-10, -2)),
        "chain-depth-6-intermediates": (leaf("chain-depth-6-intermediates", deep[0]), *deep),
        "weak-rsa-1024": (leaf("weak-rsa-1024", key=rsa_key(1024)),),
    }
    for name in ("upstream-tls10-only", "upstream-tls12-only", "no-shared-cipher", "client-cert-required-tls12"):
        chains[name] = (leaf(name, key=rsa),)
    return Certificates(chains, (root, kept, orphan, own))


def context_of(chain: tuple[Minted, ...], setup: Callable[[ssl.SSLContext], None] | None) -> ssl.SSLContext:
    """Return the TLS context of a server that sends ``chain`` and accepts all that OpenSSL 1.1.1 offers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(b"".join(one.pem for one in chain) + chain[0].key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    if setup is not None:
        setup(context)
    return context
