"""What each Expressway release does to the connections of its traffic server.

Source: Cisco document 218018 (verification since X14.2), the X14.2 release notes ("ECDSA certificates are preferred
over RSA") and document 222186 (the default cipher string). What is not public (which TLS versions the traffic server
itself offers) follows the article's captures: TLS 1.2.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

VerifyMode = Literal["on", "off", "audit"]
Preference = Literal["rsa", "ecdsa"]

CIPHERS: Final = "EECDH:EDH:HIGH:-AES256+SHA:!MEDIUM:!LOW:!3DES:!MD5:!PSK:!eNULL:!aNULL:!aDH"
RSA_FIRST: Final = "ECDHE-RSA-AES256-GCM-SHA384"


class Release(NamedTuple):
    """A release's defaults for ``[verify]`` and ``[upstream]``."""

    name: str
    verify: VerifyMode
    prefer: Preference
    tls: tuple[str, ...]


RELEASES: Final[dict[str, Release]] = {
    "X14.0.7": Release("X14.0.7", verify="off", prefer="rsa", tls=("1.2",)),
    "X14.2": Release("X14.2", verify="on", prefer="ecdsa", tls=("1.2",)),
}


# In TLS 1.3 these choose the server's certificate, not the cipher suites. Both lists have the algorithms that OpenSSL
# 1.1.1 offers. RSA first is the order that Expressway documents for SIP (Cisco 225476); for its traffic server none is
# published.
_ECDSA_SIGNATURES: Final = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448"
_SIGNATURES: Final[dict[Preference, str]] = {
    "ecdsa": (
        f"{_ECDSA_SIGNATURES}:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:"
        "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA224:RSA+SHA224:"
        "ECDSA+SHA1:RSA+SHA1"
    ),
    "rsa": (
        "rsa_pss_rsae_sha512:rsa_pss_rsae_sha384:rsa_pss_rsae_sha256:rsa_pss_pss_sha512:rsa_pss_pss_sha384:"
        "rsa_pss_pss_sha256:RSA+SHA512:RSA+SHA384:RSA+SHA256:ecdsa_secp521r1_sha512:ecdsa_secp384r1_sha384:"
        "ecdsa_secp256r1_sha256:ed25519:ed448:RSA+SHA224:ECDSA+SHA224:RSA+SHA1:ECDSA+SHA1"
    ),
}


def signature_algorithms(prefer: Preference) -> str:
    """Return OpenSSL's list of signature algorithms that asks for ``prefer``'s certificate first in TLS 1.3."""
    return _SIGNATURES[prefer]


def cipher_string(ciphers: str, prefer: Preference) -> str:
    """The OpenSSL cipher string that asks for ``prefer``'s certificate first.

    ``ciphers`` is the administrator's own string and is taken as it is; empty is Cisco's default. RSA comes first by
    the prefix that Cisco documents.
    """
    if ciphers:
        return ciphers
    return f"{RSA_FIRST}:{CIPHERS}" if prefer == "rsa" else CIPHERS
