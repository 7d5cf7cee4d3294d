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


def cipher_string(ciphers: str, prefer: Preference) -> str:
    """The OpenSSL cipher string that asks for ``prefer``'s certificate first.

    ``ciphers`` is the administrator's own string and is taken as it is; empty is Cisco's default. RSA comes first by
    the prefix that Cisco documents.
    """
    if ciphers:
        return ciphers
    return f"{RSA_FIRST}:{CIPHERS}" if prefer == "rsa" else CIPHERS
