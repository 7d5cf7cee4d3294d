"""A certificate chain that a server presented, as the page, the report and the control API show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, Field

from ..core.tls.hostname import CertificateNames, is_address, match_name, names_of
from . import chain
from .certificate_text import certificate_of
from .report import Certificate

Validity = Literal["in date", "expired", "not yet valid"]


class PresentedCertificate(Certificate):
    """One certificate of a chain."""

    depth: int = Field(description="0 for the server's own certificate.")
    validity: Validity = Field(description="At the time of the handshake.")
    self_signed: bool = Field(description="Subject and issuer are the same.")
    matched: bool | None = Field(description="Whether it is for the requested name; null for a CA certificate.")
    pem: str = Field(description="The certificate itself, empty if only its description is known.")


class PresentedCertificates(BaseModel):
    """What a server presented in one handshake."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_serialization_defaults_required=True)

    server: str = Field(description="Name or address that was requested, which the first certificate must contain.")
    port: int | None
    matching: str = Field(description="The name that matches, such as dNSName *.steven.lab; empty if none does.")
    certificates: tuple[PresentedCertificate, ...] = Field(description="As sent, the server's own first.")


def presented(
    sent: Iterable[bytes], server: str, port: int | None, now: datetime, *, ip_san: bool = True
) -> PresentedCertificates:
    """Return what a server sent (DER, its own certificate first) for a request to ``server`` at the time ``now``.

    A certificate that cannot be read ends the list. ``ip_san`` is whether iPAddress entries count.
    """
    readable: list[tuple[Certificate, str]] = []
    names = CertificateNames()
    for der in sent:
        certificate = chain.parse(der)
        words = certificate_of(certificate) if certificate is not None else None
        if certificate is None or words is None:
            break
        names = names_of(der) if not readable else names
        readable.append((words, certificate.public_bytes(Encoding.PEM).decode("ascii")))
    return _presented(readable, server, port, match_name(names, server, ip_san_accepted=ip_san), now)


def described(
    certificates: Sequence[Certificate], server: str, port: int | None, now: datetime, *, ip_san: bool = True
) -> PresentedCertificates:
    """Return the same for certificates of which only the description is known."""
    names = CertificateNames()
    if certificates:
        first = certificates[0]
        dns = tuple(name for name in first.names if not is_address(name))
        names = CertificateNames(dns, tuple(filter(is_address, first.names)), first.cn or None)
    without_pem = [(certificate, "") for certificate in certificates]
    return _presented(without_pem, server, port, match_name(names, server, ip_san_accepted=ip_san), now)


def _presented(
    certificates: Sequence[tuple[Certificate, str]], server: str, port: int | None, matching: str | None, now: datetime
) -> PresentedCertificates:
    return PresentedCertificates(
        server=server,
        port=port,
        matching=matching or "",
        certificates=tuple(
            PresentedCertificate(
                **{name: getattr(words, name) for name in Certificate.model_fields},
                depth=depth,
                validity=_validity(words, now),
                self_signed=words.subject == words.issuer,
                matched=None if depth else matching is not None,
                pem=pem,
            )
            for depth, (words, pem) in enumerate(certificates)
        ),
    )


def _validity(certificate: Certificate, now: datetime) -> Validity:
    if now < certificate.not_before:
        return "not yet valid"
    return "in date" if now <= certificate.not_after else "expired"
