"""What a mock server offers in a handshake, and the TLS context that offers it."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .pki import Certified

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class Offer:
    """A server's side of the handshake: what it can show, speaks and asks for."""

    certified: tuple[Certified, ...]
    """At most one RSA and one EC."""
    tls: tuple[str, ...] = ("1.2",)
    """Versions: ``"1.2"``, ``"1.3"``."""
    ask_client: tuple[Certified, ...] = ()
    """CAs of the CertificateRequest; none: there is no request."""
    ciphers: str = ""
    """OpenSSL cipher string; empty: OpenSSL's default."""

    def context(self) -> ServerContext:
        """Make the context that offers this."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        versions = [_VERSIONS[version] for version in self.tls]
        context.minimum_version, context.maximum_version = min(versions), max(versions)
        # The client's order of ciphers decides which certificate is shown; Python sets the server's by default.
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        for each in self.certified:
            # load_cert_chain reads files only: this one is its owner's (0600) and is gone at once.
            with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
                file.write(each.key_pem + each.chain_pem)
                file.flush()
                context.load_cert_chain(file.name)
        context.offer = self
        if authorities := "".join(each.pem for each in self.ask_client):
            context.load_verify_locations(cadata=authorities)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


class ServerContext(ssl.SSLContext):
    """A server's ``ssl.SSLContext`` that knows what it offers."""

    offer: Offer = Offer(())

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of certificates loaded into it (``rsa``, ``ec``)."""
        return frozenset(each.kind for each in self.offer.certified)


def server_context(
    *certified: Certified,
    tls: Sequence[str] = ("1.2",),
    ask_client: Iterable[Certified] = (),
    ciphers: str = "",
) -> ServerContext:
    """Build a server's TLS context that shows one of the ``certified``: at most one RSA and one EC.

    ``tls`` are the versions offered, ``"1.2"`` and ``"1.3"``. With ``ask_client`` the server sends a
    CertificateRequest and goes on without a client certificate; one that is sent must come from these CAs.
    """
    return Offer(certified, tuple(tls), tuple(ask_client), ciphers).context()
