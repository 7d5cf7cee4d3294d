"""A mock server's handshake offer, and the TLS context made from it."""

from __future__ import annotations

import ssl
import tempfile
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from ..errors import MralabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509

    from .pki import Certified

_WEAK: Final = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")
"""OpenSSL's reasons to refuse a certificate of its own at the security level of Python's contexts, 2."""
VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
"""TLS versions by the names that offers and faults have for them."""
_OLD: Final = ("1.0", "1.1")
_OLD_CIPHERS: Final = "DEFAULT:@SECLEVEL=0"  # OpenSSL 3 signs with SHA-1, as TLS 1.0 and 1.1 do, at level 0 only


@dataclass(frozen=True, slots=True)
class TlsOffer:
    """What a server offers in a handshake: its certificates, TLS versions, ciphers and CertificateRequest."""

    certified: tuple[Certified, ...]
    """Certificates to present: at most one RSA and one EC."""
    tls: tuple[str, ...] = ("1.2",)
    """TLS versions: ``"1.0"`` to ``"1.3"``."""
    ask_client: tuple[x509.Certificate, ...] = ()
    """CAs of the CertificateRequest, and client certificates that are trusted themselves; empty: no request."""
    ciphers: str = ""
    """OpenSSL cipher string; empty: OpenSSL's default."""

    def context(self) -> ServerContext:
        """Return a new TLS context with this offer. Raises ``MralabError`` if OpenSSL refuses a certificate."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        versions = [VERSIONS[version] for version in self.tls]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, for versions before 1.2
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        # The client's cipher order decides which certificate is presented; Python's default is the server's order.
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if ciphers := self.ciphers or (_OLD_CIPHERS if min(self.tls) in _OLD else ""):
            context.set_ciphers(ciphers)
        for each in self.certified:
            # load_cert_chain reads files only. This one is readable by its owner only (0600) and removed at once.
            with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
                file.write(each.key_pem + each.chain_pem)
                file.flush()
                try:
                    self._load(context, file.name)
                except ssl.SSLError as error:
                    raise MralabError(f"{each.name}: OpenSSL cannot present it: {error.reason or error}") from error
        context.offer = self
        if trusted := b"".join(each.public_bytes(Encoding.DER) for each in self.ask_client):
            context.load_verify_locations(cadata=trusted)
            context.verify_mode = ssl.CERT_OPTIONAL
            # Without this flag OpenSSL accepts no certificate as trusted in itself unless it is a root.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _load(self, context: ssl.SSLContext, file: str) -> None:
        try:
            context.load_cert_chain(file)
        except ssl.SSLError as error:
            if error.reason not in _WEAK:
                raise
            # Old servers present such certificates. Whether they are good enough is for the client to decide.
            context.set_ciphers(f"{self.ciphers or 'DEFAULT'}:@SECLEVEL=0")
            context.load_cert_chain(file)


class ServerContext(ssl.SSLContext):
    """A server's ``ssl.SSLContext`` with the offer that it was made from."""

    offer: TlsOffer = TlsOffer(())

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the certificates loaded (``rsa``, ``ec``)."""
        return frozenset(each.kind for each in self.offer.certified)


def server_context(
    *certified: Certified,
    tls: Sequence[str] = ("1.2",),
    ask_client: Iterable[x509.Certificate] = (),
    ciphers: str = "",
) -> ServerContext:
    """Return a server's TLS context that presents one of ``certified``: at most one RSA and one EC.

    ``tls`` are the versions offered, ``"1.0"`` to ``"1.3"``. With ``ask_client`` the server sends a
    CertificateRequest. A client certificate is optional, but must be one of these or be issued by one of them.
    """
    return TlsOffer(certified, tuple(tls), tuple(ask_client), ciphers).context()
