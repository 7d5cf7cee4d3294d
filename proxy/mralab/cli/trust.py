"""``mralab trust``: the trust store of a running proxy."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from ..core.log.escape import visible
from ..errors import InputError
from .control_api import admin_option, connect
from .document import print_answer_document
from .group import FILE, json_option
from .root import main

_FINGERPRINT = re.compile(r"(?:sha-?256 Fingerprint=)?((?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2})", re.IGNORECASE)
"""Also as ``openssl x509 -fingerprint -sha256`` prints it."""
_INCOMPLETE_FINGERPRINT = re.compile(r"(sha.* Fingerprint=)?([0-9A-F]{2}:)+[0-9A-F]{2}:?", re.IGNORECASE)


@main.group()
def trust() -> None:
    """Show or change the trust store of a running proxy.

    \b
    Example:
      mralab trust add steven-DC-CA.pem --admin 127.0.0.1:41235
    """


@trust.command("list")
@admin_option
@json_option
def trust_list(admin: str | None, as_json: bool) -> None:
    """List the certificates in the trust store.

    \b
    Example:
      mralab trust list --admin 127.0.0.1:41235
    """
    _show_store(connect(admin).request("GET", "/api/trust"), "", as_json)


@trust.command("add")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@admin_option
@json_option
def trust_add(files: tuple[Path, ...], admin: str | None, as_json: bool) -> None:
    """Trust the certificates in files.

    Formats: PEM, DER or PKCS#7, such as .p7b. The certificates apply from the next request.

    \b
    Example:
      mralab trust add root.pem intermediate.pem
    """
    from ..tls.trust_store import load_certificates

    remote = connect(admin)
    pem = "".join(_pem(certificate) for certificates in load_certificates(files) for certificate in certificates)
    answer = remote.request("POST", "/api/trust", {"pem": pem})
    _show_store(answer, f"{answer['added']} added", as_json)


@trust.command("remove")
@click.argument("what", nargs=-1, required=True, metavar="FINGERPRINT|FILE...")
@admin_option
@json_option
def trust_remove(what: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """Remove certificates from the trust store.

    Each is given by its SHA-256 fingerprint or by a file that contains it.

    Exit 1: some were not in the trust store; the others have been removed.

    \b
    Example:
      mralab trust remove root.pem
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from ..core.tls.fingerprint import canonical_fingerprint, fingerprint
    from ..tls.trust_store import load_certificates

    remote = connect(admin)
    named = {canonical_fingerprint(word.rpartition("=")[2]): word for word in what if _FINGERPRINT.fullmatch(word)}
    files = [word for word in what if not _FINGERPRINT.fullmatch(word)]
    wrong = [word for word in files if _INCOMPLETE_FINGERPRINT.fullmatch(word) and not Path(word).exists()]
    if wrong:
        raise InputError(
            [f"{word}: is neither a SHA-256 fingerprint, which has 32 bytes, nor a file" for word in wrong]
        )
    for file, certificates in zip(files, load_certificates(Path(word) for word in files), strict=True):
        named |= {
            fingerprint(each.public_bytes(Encoding.DER)): f"{file}: {each.subject.rfc4514_string()}"
            for each in certificates
        }
    present = {each["fingerprint"] for each in remote.request("GET", "/api/trust")["certificates"]}
    answer = remote.request("DELETE", "/api/trust", {"fingerprints": list(named)})
    absent = [name for digest, name in named.items() if digest not in present]
    _show_store(answer, f"{answer['removed']} removed", as_json)
    for name in absent:
        click.echo(f"{name}: not in the trust store", err=True)
    sys.exit(1 if absent else 0)


def _pem(certificate: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return str(certificate.public_bytes(Encoding.PEM).decode("ascii"))


def _show_store(answer: Any, done: str, as_json: bool) -> None:
    if as_json:
        print_answer_document("trust", answer)
        return
    certificates = answer["certificates"]
    count = f"{len(certificates)} in the trust store"
    click.echo(f"{done}; {count}" if done else count)
    for each in certificates:
        click.echo(visible(f"{each['fingerprint']}  {each['subject']}  until {each['not_after'][:10]}"))
