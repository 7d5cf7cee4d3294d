"""``verified`` means that a certificate was presented, checked and accepted: servers that avoid one of these."""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from mralab.core.log.events import HandshakeFailed, VerifyFailed
from mralab.core.release import CIPHERS, VerifyMode
from mralab.core.tls.verdict import NO_CERTIFICATE
from mralab.tls.openssl import TlsError
from mralab.tls.trust_store import TrustStore
from mralab.tls.verification import TlsClient, TlsContext, TlsSettings, offers_anonymous

from .conftest import HOST, RunningProxy, Server, server_context

ANONYMOUS = "AECDH-AES128-SHA"


def anonymous_context() -> ssl.SSLContext:
    """Return the context of a server without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ANONYMOUS}:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("ciphers", ["ALL", "aNULL", ANONYMOUS])
async def test_a_server_without_a_certificate_gets_no_request(
    ciphers: str, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(anonymous_context())
    proxy: RunningProxy = await proxying(server, upstream={"ciphers": ciphers, "attempts": 1})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
    assert await proxy.metrics("mralab_handshakes_total") == {("refused",): 1}
    events = await proxy.events()
    assert server.requests == []
    refusals = [event for event in events if isinstance(event, VerifyFailed)]
    assert [(event.action, event.error, event.depth) for event in refusals] == [
        ("Terminate", "application verification failure", 0)
    ]
    assert [event.error for event in events if isinstance(event, HandshakeFailed)] == [
        "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
    ]


async def test_audit_tolerates_a_server_without_a_certificate_and_says_so(
    serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(anonymous_context())
    proxy: RunningProxy = await proxying(server, verify={"origin": "audit"}, upstream={"ciphers": "ALL"})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert await proxy.metrics("mralab_handshakes_total") == {("tolerated",): 1}
    failures = [event for event in await proxy.events() if isinstance(event, VerifyFailed)]
    assert [(event.action, event.error) for event in failures] == [("Continue", "application verification failure")]


async def test_off_counts_a_server_without_a_certificate_as_unverified(
    serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(anonymous_context())
    proxy: RunningProxy = await proxying(server, verify={"origin": "off"}, upstream={"ciphers": "ALL"})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert await proxy.metrics("mralab_handshakes_total") == {("unverified",): 1}
    assert not [event for event in await proxy.events() if isinstance(event, VerifyFailed)]


def test_which_ciphers_are_anonymous() -> None:
    assert offers_anonymous("ALL")
    assert offers_anonymous("HIGH:+ADH")
    assert not offers_anonymous(CIPHERS)
    assert not offers_anonymous("ALL:!aNULL")


def finite_field_context(certificate: trustme.LeafCert, bits: int, folder: Path) -> ssl.SSLContext:
    """Return the context of a server that offers only DHE with the modulus 2**bits - 1.

    The generator is 3: with so few powers of 2, a shared secret of 1, which OpenSSL refuses, would not be rare.
    """
    numbers = [DER_INTEGER + _der_length(n) + n for n in (b"\0" + b"\xff" * (bits // 8), b"\3")]
    body = b"".join(numbers)
    encoded = base64.encodebytes(b"\x30" + _der_length(body) + body).decode()
    (folder / "dh.pem").write_text(f"-----BEGIN DH PARAMETERS-----\n{encoded}-----END DH PARAMETERS-----\n")
    context = server_context(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
    context.load_dh_params(str(folder / "dh.pem"))
    return context


def _der_length(content: bytes) -> bytes:
    size = len(content)
    return bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")


DER_INTEGER = b"\2"


@pytest.mark.parametrize(("bits", "status"), [(2048, b"200"), (8192, b"502")])
async def test_a_modulus_that_takes_too_long_to_calculate_with_is_refused(
    bits: int,
    status: bytes,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    ca: trustme.CA,
    tmp_path: Path,
) -> None:
    certificate = ca.issue_cert(HOST, key_type=trustme.KeyType.RSA)
    server = serving(finite_field_context(certificate, bits, tmp_path))
    proxy: RunningProxy = await proxying(server, upstream={"attempts": 1})
    assert (await proxy.get(server.port)).split(b" ")[1] == status
    errors = [event.error for event in await proxy.events() if isinstance(event, HandshakeFailed)]
    if status == b"200":
        assert errors == []
    else:
        assert errors == ["error:02800067:Diffie-Hellman routines::modulus too large"]
        assert server.requests == []


# -- renegotiation


def server_of(certificate: trustme.LeafCert | None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(0x10000)  # SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION: a resumed session has no certificate
    context.set_cipher_list(b"ALL:@SECLEVEL=0" if certificate else f"{ANONYMOUS}:@SECLEVEL=0".encode())
    if certificate is not None:
        key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        context.use_privatekey(key)
        context.use_certificate(x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()))
    return context


class Pair:
    """Our client and OpenSSL's server, byte by byte."""

    def __init__(self, tls: TlsClient, server: SSL.Context) -> None:
        self.tls, self.server = tls, SSL.Connection(server, None)
        self.server.set_accept_state()
        self.plain = b""
        self.server.bio_write(self.tls.start())
        self.exchange()

    def exchange(self) -> None:
        """Transfer bytes until neither end sends any. Raises ``TlsError`` of the client."""
        while True:
            with contextlib.suppress(SSL.Error):
                self.server.recv(1024)
            try:
                data = self.server.bio_read(65536)
            except SSL.WantReadError:
                return
            self.plain += self.tls.receive(data)
            if sent := self.tls.outgoing():
                self.server.bio_write(sent)

    def renegotiate(self, context: SSL.Context) -> None:
        self.server.set_context(context)
        self.server.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            self.server.do_handshake()
        self.exchange()


def client(mode: VerifyMode, ca: trustme.CA, ciphers: str = CIPHERS) -> TlsClient:
    store = TrustStore([x509.load_pem_x509_certificate(ca.cert_pem.bytes())])
    return TlsContext(TlsSettings(mode, True, ciphers, ("1.2",)), store).connect(HOST)


@pytest.mark.parametrize("mode", ["on", "audit"])
def test_a_renegotiation_with_the_same_certificate_goes_on(mode: VerifyMode, ca: trustme.CA) -> None:
    certificate = ca.issue_cert(HOST)
    pair = Pair(client(mode, ca), server_of(certificate))
    pair.renegotiate(server_of(certificate))
    assert pair.server.total_renegotiations() == 1
    assert pair.server.send(b"ok") == 2
    pair.exchange()
    assert pair.plain == b"ok"
    assert pair.tls.verdict.outcome == "verified"


@pytest.mark.parametrize("mode", ["on", "audit"])
@pytest.mark.parametrize("trusted", [True, False], ids=["another good certificate", "an unknown one"])
def test_a_renegotiation_cannot_change_the_certificate(mode: VerifyMode, trusted: bool, ca: trustme.CA) -> None:
    pair = Pair(client(mode, ca), server_of(ca.issue_cert(HOST)))
    other = (ca if trusted else trustme.CA()).issue_cert(HOST)
    with pytest.raises(TlsError, match="certificate verify failed"):
        pair.renegotiate(server_of(other))
    assert pair.plain == b""


@pytest.mark.parametrize("mode", ["on", "audit"])
def test_a_renegotiation_needs_a_certificate(mode: VerifyMode, ca: trustme.CA) -> None:
    pair = Pair(client(mode, ca, "ALL"), server_of(ca.issue_cert(HOST)))
    assert pair.tls.verdict.outcome == "verified"
    with pytest.raises(TlsError, match="handshake failure"):  # its own, after our no_renegotiation
        pair.renegotiate(server_of(None))
    assert pair.server.get_cipher_name() != ANONYMOUS


# -- the verdict


@pytest.mark.parametrize("mode", ["on", "audit"])
def test_nothing_is_verified_before_the_certificate_was_judged(mode: VerifyMode, ca: trustme.CA) -> None:
    tls = client(mode, ca)
    assert (tls.verdict.judged, tls.verdict.outcome) == (False, "unverified")
    assert tls.verdict.add(NO_CERTIFICATE) is (mode == "audit")
    assert tls.verdict.outcome == ("tolerated" if mode == "audit" else "refused")


def test_a_callback_that_fails_leaves_nothing_verified(ca: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> str:
        raise RuntimeError("no name check today")

    monkeypatch.setattr("mralab.tls.verification.match_name", fails)
    tls = client("on", ca)
    with pytest.raises(RuntimeError, match="no name check"):
        Pair(tls, server_of(ca.issue_cert(HOST)))
    assert not tls.established


def test_the_certificate_is_available_after_the_handshake(ca: trustme.CA) -> None:
    certificate = ca.issue_cert(HOST)
    tls = client("on", ca)
    Pair(tls, server_of(certificate))
    stranger = client("on", trustme.CA())
    with pytest.raises(TlsError):
        Pair(stranger, server_of(certificate))
    for one in (tls, stranger):
        assert x509.load_der_x509_certificate(one.verdict.leaf) == x509.load_pem_x509_certificate(
            certificate.cert_chain_pems[0].bytes()
        )
