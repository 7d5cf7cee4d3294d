"""What a diagnostic-logging archive has besides the log: the state of the proxy when logging started.

As in an Expressway's archive (administrator guide X15.5, Diagnostics; Cisco 225038): configuration and status dumps,
the trusted CA list, the server certificate. Which lines the dumps have is emulated: a real dump has thousands.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding

from ..diagnose.archive import Member
from ..diagnose.xconf import setting_line
from ..net.settings import Settings


def archive_members(settings: Settings) -> tuple[Member, ...]:
    """Return the members for settings that are in force."""
    members = [
        Member("xconf_dump", ".txt", _text(_configuration(settings))),
        Member("xstat_dump", ".txt", _text(_status(settings))),
    ]
    own = settings.identity.certificates if settings.identity is not None else ()
    for kind, certificates in (("ca", settings.store.certificates), ("server", own)):
        if certificates:
            pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
            members.append(Member(kind, ".pem", pem))
    return tuple(members)


def _configuration(settings: Settings) -> Iterator[str]:
    config = settings.config
    yield setting_line("Ciphers UcClientTLSCiphers Value", config.cipher_string)
    yield setting_line("Ciphers UcClientTLSProtocol Value", f"minTLSv{min(config.tls_versions)}")
    yield setting_line("EdgeConfigServer VerifyOriginServer", "On" if config.verify_mode == "on" else "Off")
    yield setting_line("SystemUnit Name", config.log.hostname)


def _status(settings: Settings) -> Iterator[str]:
    yield f'*s mralab Release: "{settings.config.release}"'
    yield f'*s mralab TrustStore Count: "{len(settings.store)}"'


def _text(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
