"""The proxy's own certificate: presented to servers that request one, refused by servers, and misconfigured."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

import mralab
from mralab.config import Config, from_mapping
from mralab.core.log.events import HandshakeFailed, ResponseSent
from mralab.diagnose.diagnosis import find
from mralab.errors import ConfigError
from mralab.net.settings import from_message, load_settings
from mralab.tls.identity import load_identity
from mralab.tls.trust_store import TrustStore
from mralab.tls.verification import TlsContext, TlsSettings

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context

VCS = "vcsc.steven.lab"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def pem(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems) + certificate.private_key_pem.bytes()


def key_of(certificate: trustme.LeafCert) -> bytes:
    return certificate.private_key_pem.bytes()


def demanding(certificate: trustme.LeafCert, trusted: trustme.CA, version: str, *, must: bool = True) -> ssl.SSLContext:
    """Return the context of a server that verifies clients, as a CUCM with Expressway-C in its trust store."""
    context = server_context(certificate)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    context.verify_mode = ssl.CERT_REQUIRED if must else ssl.CERT_OPTIONAL
    trusted.configure_trust(context)
    return context


@pytest.fixture
def identity(tmp_path: Path, ca: trustme.CA) -> Path:
    """Expressway-C's certificate and key in a file."""
    file = tmp_path / "vcsc.pem"
    file.write_bytes(pem(ca.issue_cert(VCS)))
    return file


# -- in handshakes


def show_peer(stream: Any, server: Server) -> None:
    """Respond, and record the subject of the certificate that was presented."""
    while request := read_request(stream):
        server.requests.append(request)
        peer = stream.getpeercert()
        server.alerts.append(peer["subjectAltName"][0][1] if peer else "no certificate")
        stream.sendall(OK)
        if b"\r\nConnection: close\r\n" in request:
            return


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("must", [True, False])
async def test_it_is_presented_to_a_server_that_requests_one(
    version: str,
    must: bool,
    ca: trustme.CA,
    identity: Path,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
) -> None:
    server = serving(demanding(ca.issue_cert(HOST), ca, version, must=must), handle=show_peer)
    proxy: RunningProxy = await proxying(server, upstream={"tls": [version], "certificate": str(identity)})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert server.alerts == [VCS]


async def test_it_is_not_presented_to_other_servers(
    ca: trustme.CA, identity: Path, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)), handle=show_peer)
    proxy: RunningProxy = await proxying(server, upstream={"certificate": str(identity)})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert server.alerts == ["no certificate"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_does_not_trust_it_refuses_and_says_why(
    version: str,
    method: str,
    ca: trustme.CA,
    identity: Path,
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
) -> None:
    """In TLS 1.3 the alert arrives after the client's handshake has ended and the request was sent."""
    server = serving(demanding(ca.issue_cert(HOST), trustme.CA(), version))
    proxy: RunningProxy = await proxying(
        server, upstream={"tls": [version], "certificate": str(identity), "attempts": 2}
    )
    body = b"ab" if method == "POST" else b""
    length = "Content-Length: 2\r\n" if body else ""
    answer = await proxy.get(server.port, method=method, headers=length, body=body)
    assert answer.split()[1] == b"502"
    events = await proxy.events()
    attempts = 1 if (version, method) == ("1.3", "POST") else 2  # it was sent, so it cannot be repeated
    failed = [event for event in events if isinstance(event, HandshakeFailed)]
    assert [event.error for event in failed] == [
        "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca"
    ] * attempts
    assert isinstance(events[-1], ResponseSent)
    assert server.requests == []
    found = find(proxy.log.read_text().splitlines())
    assert [finding.code for finding in found] == ["rejected-by-server"]


async def test_a_refusal_is_reported_while_a_large_body_is_being_sent(
    ca: trustme.CA, identity: Path, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    """The server has closed the connection: writing resets it, but its alert was received before."""
    server = serving(demanding(ca.issue_cert(HOST), trustme.CA(), "1.3"))
    proxy: RunningProxy = await proxying(server, upstream={"tls": ["1.3"], "certificate": str(identity), "attempts": 1})
    body = bytes(4 << 20)
    answer = await proxy.get(server.port, method="POST", headers=f"Content-Length: {len(body)}\r\n", body=body)
    assert answer == b"RESET" or answer.split()[1] == b"502"
    failed = [event.error for event in await proxy.events() if isinstance(event, HandshakeFailed)]
    assert failed == ["error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca"]


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("1.2", "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure"),
        ("1.3", "error:1409445C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required"),
    ],
)
async def test_the_alert_of_a_server_that_requires_one_is_reported(
    version: str, error: str, ca: trustme.CA, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(demanding(ca.issue_cert(HOST), ca, version))
    proxy: RunningProxy = await proxying(server, upstream={"tls": [version], "attempts": 1})
    assert (await proxy.get(server.port)).split()[1] == b"502"
    assert [event.error for event in await proxy.events() if isinstance(event, HandshakeFailed)] == [error]


async def test_a_connection_that_breaks_later_is_not_a_refusal(
    ca: trustme.CA, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    def answers_half(stream: Any, server: Server) -> None:
        read_request(stream)
        stream.sendall(OK[:-10])
        raise OSError

    server = serving(demanding(ca.issue_cert(HOST), ca, "1.3", must=False), handle=answers_half)
    proxy: RunningProxy = await proxying(server, upstream={"tls": ["1.3"], "attempts": 1})
    await proxy.get(server.port)
    assert not [event for event in await proxy.events() if isinstance(event, HandshakeFailed)]


async def test_another_one_applies_from_the_next_request_and_kept_connections_are_not_used(
    ca: trustme.CA, identity: Path, tmp_path: Path, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(demanding(ca.issue_cert(HOST), ca, "1.2", must=False), handle=show_peer)
    settings = {"connections": "keep-alive", "prefer": "ecdsa", "tls": ["1.2"]}  # all that /api/config shows
    proxy: RunningProxy = await proxying(server, upstream=settings)
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    await proxy.change(upstream={"certificate": str(identity)})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    other = tmp_path / "other.pem"
    other.write_bytes(pem(ca.issue_cert("other.steven.lab")))
    await proxy.change(upstream={"certificate": str(other)})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert server.alerts == ["no certificate", VCS, "other.steven.lab"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("asks", [True, False])
def test_whether_a_server_requested_one_and_of_which_cas(version: str, asks: bool, ca: trustme.CA) -> None:
    certificate, root = ca.issue_cert(HOST), x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey(key)
    context.use_certificate(x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()))
    if asks:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.add_client_ca(root)
    server = SSL.Connection(context, None)
    server.set_accept_state()
    tls = TlsContext(TlsSettings("on", True, "DEFAULT", (version,)), TrustStore([root])).connect(HOST)
    assert (tls.version, tls.client_certificate_requested, tls.acceptable_issuers()) == ("", False, [])
    server.bio_write(tls.start())
    while not tls.established:
        with contextlib.suppress(SSL.WantReadError):
            server.do_handshake()
        tls.receive(server.bio_read(65536))
        if sent := tls.outgoing():
            server.bio_write(sent)
    assert (tls.version, tls.client_certificate_requested) == (version, asks)
    assert tls.acceptable_issuers() == ([root.subject.rfc4514_string()] if asks else [])
    tls.free()


# -- the file


def config(folder: Path, **upstream: Any) -> Config:
    return from_mapping({"upstream": upstream, "allow": {"rules": ""}, "trust": {"store": ""}}, folder)


def problems(folder: Path, **upstream: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_settings(config(folder, **upstream))
    return [problem.replace(f"{folder}/", "") for problem in raised.value.problems]


def encrypted(certificate: trustme.LeafCert, kind: PrivateFormat) -> bytes:
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, kind, BestAvailableEncryption(b"secret"))


@pytest.fixture(scope="module")
def one(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert(VCS)


def test_a_key_may_have_a_file_of_its_own(tmp_path: Path, one: trustme.LeafCert) -> None:
    (tmp_path / "c.pem").write_bytes(one.cert_chain_pems[0].bytes())
    (tmp_path / "k.pem").write_bytes(key_of(one))
    identity = load_settings(config(tmp_path, certificate="c.pem", key="k.pem")).identity
    assert identity is not None
    assert identity.certificates == (x509.load_pem_x509_certificate(one.cert_chain_pems[0].bytes()),)


def test_text_around_the_blocks_and_windows_line_ends_are_accepted(tmp_path: Path, one: trustme.LeafCert) -> None:
    text = b"subject=CN = x\n" + key_of(one) + b"Bag Attributes\n" + one.cert_chain_pems[0].bytes() + b"\n\n"
    (tmp_path / "c.pem").write_bytes(text.replace(b"\n", b"\r\n"))
    assert load_identity(tmp_path / "c.pem").certificates


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda one, other: one.cert_chain_pems[0].bytes(), "holds no private key; add it, or name its file as"),
        (lambda one, other: key_of(one), "holds no certificate"),
        (lambda one, other: one.cert_chain_pems[0].bytes() + key_of(other), "the private key is not that of"),
        (
            lambda one, other: other.cert_chain_pems[0].bytes() + one.cert_chain_pems[0].bytes() + key_of(one),
            "the private key is that of certificate 2, which must come first",
        ),
        (lambda one, other: pem(one) + key_of(one), "holds 2 private keys; one is needed"),
        (
            lambda one, other: one.cert_chain_pems[0].bytes() + encrypted(one, PrivateFormat.PKCS8),
            "the private key is encrypted; one without a passphrase is needed",
        ),
        (
            lambda one, other: one.cert_chain_pems[0].bytes() + encrypted(one, PrivateFormat.TraditionalOpenSSL),
            "the private key is encrypted; one without a passphrase is needed",
        ),
        (
            lambda one, other: x509.load_pem_x509_certificate(one.cert_chain_pems[0].bytes()).public_bytes(
                Encoding.DER
            ),
            "is binary (DER or PKCS #12); PEM is needed",
        ),
        (lambda one, other: b"nothing of the kind\n", "holds neither certificate nor private key in PEM"),
        (lambda one, other: b"", "holds neither certificate nor private key in PEM"),
        (lambda one, other: pem(one)[:-40], "a '-----BEGIN' without its '-----END': the file is cut short or damaged"),
        (
            lambda one, other: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + key_of(one),
            "a certificate that cannot be read",
        ),
        (
            lambda one, other: (
                one.cert_chain_pems[0].bytes() + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
            ),
            "the private key cannot be read",
        ),
        (
            lambda one, other: pem(one) + b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "a PEM block 'public key': neither a certificate nor a private key",
        ),
        (lambda one, other: b"\xff" * (2 << 20), "has more than 1048576 bytes"),
    ],
    ids=[
        *("no key", "no certificate", "key of another", "wrong order", "two keys", "encrypted", "encrypted, old form"),
        *("DER", "text", "empty", "cut short", "damaged certificate", "damaged key", "public key", "huge"),
    ],
)
def test_an_unusable_file_is_refused_with_the_reason(
    make: Callable[[trustme.LeafCert, trustme.LeafCert], bytes],
    problem: str,
    tmp_path: Path,
    ca: trustme.CA,
    one: trustme.LeafCert,
) -> None:
    data = make(one, ca.issue_cert("other.steven.lab"))
    (tmp_path / "c.pem").write_bytes(data)
    found = problems(tmp_path, certificate="c.pem")
    assert any(problem in text for text in found), found
    assert all(text.startswith("upstream.certificate: c.pem") for text in found), found
    secret = {line for line in data.decode("latin-1").splitlines() if len(line) > 20 and "-----" not in line}
    assert not [line for line in secret if any(line in text for text in found)]


def test_a_byte_order_mark_and_blank_lines_are_accepted(tmp_path: Path, one: trustme.LeafCert) -> None:
    (tmp_path / "own.pem").write_bytes(b"\xef\xbb\xbf" + pem(one).replace(b"\n", b"\n\n"))
    assert load_identity(tmp_path / "own.pem").certificates


def test_a_key_in_the_file_is_not_reported_as_missing(tmp_path: Path, one: trustme.LeafCert) -> None:
    """A key in OpenSSH's format is a private key; a block without its end may be one."""

    def problems(data: bytes) -> str:
        (tmp_path / "own.pem").write_bytes(data)
        with pytest.raises(ConfigError) as caught:
            load_identity(tmp_path / "own.pem")
        return str(caught.value)

    certificate = one.cert_chain_pems[0].bytes()
    secret = load_pem_private_key(key_of(one), None)
    openssh = problems(certificate + secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    assert "a private key in another format ('OPENSSH PRIVATE KEY')" in openssh
    cut = problems(certificate + key_of(one)[:150])
    assert "without its '-----END'" in cut
    assert "neither" not in openssh
    assert "holds no private key" not in openssh + cut
    assert "UTF-16" in problems(pem(one).decode().encode("utf-16"))


def test_files_that_are_not_there_are_named(tmp_path: Path, one: trustme.LeafCert) -> None:
    assert problems(tmp_path, certificate="c.pem", key="k.pem") == [
        "upstream.certificate: c.pem cannot be read: No such file or directory",
        "upstream.key: k.pem cannot be read: No such file or directory",
    ]
    (tmp_path / "folder").mkdir()
    assert problems(tmp_path, certificate="folder") == ["upstream.certificate: folder is not a file"]
    (tmp_path / "c.pem").write_bytes(pem(one))
    (tmp_path / "k.pem").write_bytes(key_of(one))
    assert problems(tmp_path, certificate="c.pem", key="k.pem") == [
        "upstream.certificate: c.pem holds a private key, and upstream.key names k.pem for it"
    ]
    assert problems(tmp_path, key="k.pem") == [
        "upstream.key: 'k.pem' is the key of no certificate: upstream.certificate is not set"
    ]


def test_a_home_of_nobody_is_a_problem(tmp_path: Path) -> None:
    assert "home directory" in problems(tmp_path, certificate="~no-such-user-here/c.pem")[0]


def test_a_file_of_problems_gives_the_first_of_them(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(b"-----BEGIN X-----\n" * 50_000)
    found = problems(tmp_path, certificate="c.pem")
    assert found[20].endswith("and 49980 more problems")
    assert len(found) < 25


@given(data=st.data())
def test_whatever_is_in_the_file_is_taken_or_refused(data: st.DataObject, one: trustme.LeafCert) -> None:
    """Any blocks, truncated and mixed with other text, give an identity with a matching key, or problems."""
    good = [blob.bytes() for blob in one.cert_chain_pems] + [key_of(one)]
    pieces = data.draw(st.lists(st.sampled_from(good) | st.binary(max_size=40), max_size=5))
    text = b"".join(pieces)
    text = text[: data.draw(st.integers(0, len(text)))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "c.pem")
        file.write_bytes(text)
        try:
            identity = load_identity(file)
        except ConfigError as error:
            assert error.problems
            assert all("upstream.certificate" in problem for problem in error.problems)
            assert not [line for line in key_of(one).splitlines()[1:-1] if line.decode() in str(error)]
        else:
            assert identity.certificates[0] == x509.load_pem_x509_certificate(good[0])


def test_its_problem_is_reported_with_all_others(tmp_path: Path) -> None:
    given = {"upstream": {"certificate": "c.pem", "ciphers": "NO-SUCH"}, "trust": {"store": "t.pem"}}
    with pytest.raises(ConfigError) as raised:
        load_settings(from_mapping(given, tmp_path))
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "trust.store",
        "upstream.certificate",
        "upstream.ciphers",
    ]


def test_a_key_of_a_kind_that_tls_cannot_use_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    other = X25519PrivateKey.generate()
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder(name, name, other.public_key(), 1, now, now + datetime.timedelta(1)).sign(
        key, hashes.SHA256()
    )
    (tmp_path / "c.pem").write_bytes(
        built.public_bytes(Encoding.PEM) + other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    assert "OpenSSL cannot use" in problems(tmp_path, certificate="c.pem")[0]


# -- the key is a secret


def test_the_key_is_in_no_text(tmp_path: Path, one: trustme.LeafCert) -> None:
    (tmp_path / "c.pem").write_bytes(pem(one))
    settings = load_settings(config(tmp_path, certificate="c.pem"))
    secret = {line for line in key_of(one).decode().splitlines() if not line.startswith("-----")}
    for text in (repr(settings), str(settings), repr(settings.identity), settings.config.model_dump_json()):
        assert not [line for line in secret if line in text]
    assert VCS.split(".")[0] in repr(settings) or "Identity" in repr(settings)


def test_the_content_of_a_file_instead_of_its_name_is_refused_and_not_printed(one: trustme.LeafCert) -> None:
    with pytest.raises(ConfigError) as raised:
        from_mapping({"upstream": {"certificate": pem(one).decode(), "key": key_of(one).decode()}})
    assert [problem.split(": ", 2)[1] for problem in raised.value.problems] == ["upstream.certificate", "upstream.key"]
    assert "-----BEGIN" not in str(raised.value)


def test_workers_use_the_files_that_the_main_process_read(tmp_path: Path, one: trustme.LeafCert) -> None:
    (tmp_path / "c.pem").write_bytes(pem(one))
    settings = load_settings(config(tmp_path, certificate="c.pem"))
    (tmp_path / "c.pem").unlink()
    there = from_message(settings.message(with_rules=True), ())
    assert settings.identity is not None
    assert there.identity is not None
    assert there.identity.certificates == settings.identity.certificates
    assert there.identity.secret_pem() == settings.identity.secret_pem()
    assert from_message(load_settings(config(tmp_path)).message(with_rules=True), ()).identity is None


async def test_it_works_from_python(
    ca: trustme.CA, identity: Path, serving: Callable[..., Server], tmp_path: Path
) -> None:
    server = serving(demanding(ca.issue_cert(HOST), ca, "1.2"), handle=show_peer)
    hosts = {HOST: ("127.0.0.1", server.port)}
    trust = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    async with mralab.Proxy(hosts=hosts, trust=trust, upstream={"certificate": identity}) as proxy:
        it = proxy.url(f"https://{HOST}:8443/cucm-uds/version")
        async with aiohttp.ClientSession() as session, session.get(it) as response:
            assert response.status == 200
    assert server.alerts == [VCS]
