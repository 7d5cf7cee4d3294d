"""Save what servers presented: a PEM file for each chain, and one for each certificate to upload.

``HOST_PORT_rsa.pem`` and ``HOST_PORT_ecdsa.pem`` have the chain, leaf first. ``upload_NAME_FINGERPRINT.pem`` has one
certificate, as Expressway's Trusted CA certificate page takes it. A file with other content is never overwritten.
"""

from __future__ import annotations

import os
import re
import ssl
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from ..core.tls.fingerprint import fingerprint
from . import chain
from .findings import Finding
from .handshake import Address, ServerName
from .server_check import ServerCheck
from .uploads import TRUST

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]|^[.-]")
_LONGEST: Final = 100  # characters of a host or subject in a file name; a file name has at most 255 bytes
_MODE: Final = 0o644


class Saved(NamedTuple):
    """The checks with the files that were written, and what could not be written."""

    checks: tuple[ServerCheck, ...]
    problems: tuple[str, ...]


def save(checks: Iterable[ServerCheck], folder: Path) -> Saved:
    """Write the chains and the certificates to upload to ``folder``, which exists."""
    by_address: dict[Address | ServerName, list[ServerCheck]] = defaultdict(list)
    checks = tuple(checks)
    for check in checks:
        if check.sent and not check.source:
            by_address[check.address].append(check)
    problems: dict[str, None] = {}

    def written(file: Path, ders: Sequence[bytes]) -> str:
        if problem := _write(file, "".join(map(ssl.DER_cert_to_PEM_cert, ders)).encode()):
            problems[problem] = None
            return ""
        return str(file)

    saved = []
    for check in checks:
        presented = ""
        if check.sent and not check.source:
            presented = written(folder / _chain_name(check, by_address[check.address]), check.sent)
        uploads = tuple(
            filter(None, (written(folder / _upload_name(one), [chain.der(one)]) for one in check.certificates_to_trust))
        )
        findings = tuple(_with_uploads(finding, uploads) for finding in check.findings)
        saved.append(replace(check, findings=findings, saved=presented, uploads=uploads))
    return Saved(tuple(saved), tuple(problems))


def _chain_name(check: ServerCheck, of_address: Sequence[ServerCheck]) -> str:
    """Return ``HOST_PORT_TYPE.pem``: the type that the handshake preferred, or of the key if both gave one chain."""
    if len(of_address) > 1:
        kind = f"_{check.prefer[0]}"
    else:
        key = check.certificate.key if check.certificate is not None else ""
        kind = "_rsa" if key.startswith("RSA") else "_ecdsa" if key.startswith("EC") else ""
    return f"{_safe(check.address.host)}_{check.address.port}{kind}.pem"


def _upload_name(certificate: x509.Certificate) -> str:
    digits = fingerprint(chain.der(certificate)).replace(":", "")[:8]
    return f"upload_{_safe(chain.title(certificate.subject), unique=False)}_{digits}.pem"


def _safe(text: str, *, unique: bool = True) -> str:
    """Return text that is safe in a file name; if it had to be changed, with a hash of the original to stay unique."""
    safe = _UNSAFE.sub("-" if ":" in text else "_", text)[:_LONGEST]
    return safe if safe == text or not unique else f"{safe}_{sha256(text.encode()).hexdigest()[:8]}"


def _with_uploads(finding: Finding, uploads: Sequence[str]) -> Finding:
    """Return the finding with the files to upload in its first remedy that adds a certificate."""
    remedies = list(finding.remedies)
    for number, remedy in enumerate(remedies):
        if uploads and remedy.code == TRUST:
            text = (
                f"File to upload: {uploads[0]}; first compare its fingerprint with the one that its owner publishes."
                if len(uploads) == 1
                else f"Files to upload: {', '.join(uploads)}; first compare their fingerprints with those that their "
                "owners publish."
            )
            remedies[number] = replace(remedy, text=f"{remedy.text} {text}")
            break
    return replace(finding, remedies=tuple(remedies))


def _write(file: Path, data: bytes) -> str:
    """Create a file, or leave one that has the same content. Return why that is not possible, or nothing."""
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)  # follows no link
    except FileExistsError:
        return "" if _has(file, data) else f"{file}: exists with other content: not overwritten"
    except OSError as error:
        return f"{file}: cannot be written: {error.strerror}"
    try:
        with os.fdopen(number, "wb") as stream:
            os.fchmod(number, _MODE)  # whatever the umask is: certificates are public
            stream.write(data)
    except OSError as error:
        with suppress(OSError):
            file.unlink()
        return f"{file}: cannot be written: {error.strerror}"
    return ""


def _has(file: Path, data: bytes) -> bool:
    """Return whether a regular file has exactly this content."""
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            return stream.read(len(data) + 1) == data
    except OSError:
        return False
