"""Certificates of any shape for tests of ``diagnose``, and a TLS server that presents them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Minted:
    """A certificate and its key."""

    cert: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(Encoding.DER)

    @property
    def secret(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def pem(self) -> str:
        return self.cert.public_bytes(Encoding.PEM).decode()


def _subject(name: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    return x509.Name([*([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []), *parts])


def mint(
    name: str,
    issuer: Minted | None = None,
    *,
    ca: bool | None = None,
    sans: Sequence[str] = (),
    days: tuple[int, int] = (-10, 365),
    purposes: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    path_length: int | None = None,
    organization: str = "",
    key: Key | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    name_aki: bool = False,
) -> Minted:
    """Issue a certificate; self-signed without an issuer. ``days`` from now: valid from, valid until."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer or Minted(None, key)  # type: ignore[arg-type]  # only its key is used
    subject = _subject(name, organization)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.cert.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        held = issuer.cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(held)
        if name_aki:
            above = x509.DirectoryName(issuer.cert.issuer)
            aki = x509.AuthorityKeyIdentifier(held.digest, [above], issuer.cert.serial_number)
        builder = builder.add_extension(aki, critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if not ca:
        if sans:
            names: list[x509.GeneralName] = [
                x509.IPAddress(ip_address(san)) if san[0].isdigit() else x509.DNSName(san) for san in sans
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Minted(builder.sign(signer.key, hashes.SHA256()), key)


def server_context(folder: Path, *chain: Minted, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """Return the context of a server that presents a chain, leaf first."""
    file = folder / f"{chain[0].cert.serial_number}.pem"
    file.write_text(chain[0].secret + "".join(minted.pem for minted in chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")  # weak keys too
    context.load_cert_chain(file)
    return context


@contextlib.contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """Run a server on a free loopback port that does handshakes, sends nothing, and closes after its client.

    It uses threads, because asyncio's server sends no alert for a failed handshake.
    """

    def served(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as tls:
            while tls.recv(65536):
                pass

    def accepted() -> None:
        while True:
            connection, _ = listener.accept()
            if ending.is_set():
                connection.close()
                return
            threading.Thread(target=served, args=(connection,), daemon=True).start()

    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accepted, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ending.set()
            socket.create_connection(listener.getsockname()).close()  # accept() returns
            thread.join(10)
