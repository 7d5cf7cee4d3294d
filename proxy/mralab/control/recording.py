"""A diagnostic log that runs: the proxy's state when it began, and the file for its packets.

Its archive has the members of an Expressway's (administrator guide X15.5, Diagnostics; Cisco 225038): besides the log,
configuration and status dumps, the trusted CA list, the server certificate and a packet capture. Which lines the dumps
have is emulated: a real dump has thousands. The capture has neither TLS secrets nor the plain requests of clients.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography.hazmat.primitives.serialization import Encoding

from ..diagnose.archive import Member
from ..diagnose.xconf import setting_line
from ..net.settings import Settings

LARGEST_CAPTURE: Final = 64 << 20
"""Bytes of a capture; an Expressway keeps up to 400 MB for each LAN interface (administrator guide X15.5)."""


class RunningRecording(NamedTuple):
    """``started`` is in seconds since the epoch, ``settings`` are those of that time."""

    started: float
    settings: Settings
    folder: Path

    @classmethod
    def begin(cls, settings: Settings) -> Self:
        """Begin now, with a folder of its own for the capture."""
        return cls(time.time(), settings, Path(tempfile.mkdtemp(prefix="mralab-")))

    @property
    def capture(self) -> Path:
        """The file for the packets. It exists once a process has begun it."""
        return self.folder / "capture.pcapng"

    def members(self) -> tuple[Member, ...]:
        """Return the members of the archive besides the log, and remove the folder."""
        settings = self.settings
        own = settings.identity.certificates if settings.identity is not None else ()
        pem = {
            kind: b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
            for kind, certificates in (("ca", settings.store.certificates), ("server", own))
        }
        packets = self.capture.read_bytes() if self.capture.exists() else b""
        self.discard()
        members = (
            Member("xconf_dump", ".txt", _text(_configuration(settings))),
            Member("xstat_dump", ".txt", _text(_status(settings))),
            Member("ca", ".pem", pem["ca"]),
            Member("server", ".pem", pem["server"]),
            Member("eth0_diagnostic_logging_tcpdump00", ".pcap", packets),
        )
        return tuple(member for member in members if member.data)

    def discard(self) -> None:
        """Remove the capture and its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


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
