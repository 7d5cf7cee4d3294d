"""The record of one TLS handshake with a server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cryptography import x509

from ..core.hostport import host_port
from ..core.http.error_pages import ErrorPage
from ..core.release import Preference
from ..core.tls.verdict import CertificateFault, CertificateSummary
from . import chain


class Address(NamedTuple):
    """A server and port that clients use: a name or an IP address (IPv6 without brackets), and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return host_port(self.host, self.port)


class ServerName(NamedTuple):
    """A server's name or IP address without a port, for a certificate whose port is not known."""

    host: str
    port: None = None

    def __str__(self) -> str:
        return self.host


@dataclass(frozen=True)
class Handshake:
    """One handshake in audit mode, with a client that prefers certificates of type ``prefer``.

    If the certificates were read from a file, ``source`` names it, and ``prefer`` is None: there was no connection.

    ``ip`` is the server's address as a log shows it, ``dial`` the address and port of the connection; both are empty if
    the name could not be resolved. ``sent`` has the certificates in DER, leaf first; ``certificate`` summarizes the
    leaf. ``faults`` are in the order in which OpenSSL found them. A failed handshake has OpenSSL's ``error_reason`` and
    ``error_text``, or a ``failure`` without an OpenSSL error, and the ``error_page`` that Traffic Server sends to its
    client. ``certificate_requested`` is whether the server requested a client certificate, None if the handshake did
    not get that far; ``certificate_presented`` is whether it received one.
    """

    address: Address | ServerName
    prefer: Preference | None
    ip: str = ""
    dial: str = ""
    sent: tuple[bytes, ...] = ()
    certificate: CertificateSummary | None = None
    faults: tuple[CertificateFault, ...] = ()
    error_reason: str = ""
    error_text: str = ""
    error_page: ErrorPage | None = None
    failure: str = ""
    certificate_requested: bool | None = None
    certificate_presented: bool = False
    source: str = ""

    @cached_property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The certificates that were sent, up to the first that cannot be parsed."""
        certificates: list[x509.Certificate] = []
        for der in self.sent:
            certificate = chain.parse(der)
            if certificate is None:
                break
            certificates.append(certificate)
        return tuple(certificates)
