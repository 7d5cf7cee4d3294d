"""Certificates from the ``openssl`` command, as administrators make them: one folder for each failure."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

HOST: Final = "cucm.example.test"
PAST: Final = ("20200101000000Z", "20210101000000Z")
PRESENT: Final = ("20240101000000Z", "20490101000000Z")

needs_openssl: Final = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")

_CONFIGURATION: Final = """
[ca]
default_ca = lab
[lab]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
x509_extensions = v3
[any]
countryName = optional
organizationName = optional
commonName = supplied
[req]
distinguished_name = none
string_mask = {strings}
[none]
[v3]
{extensions}
"""
CA_EXTENSIONS: Final = """basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
_LEAF_EXTENSIONS: Final = """keyUsage = digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid, issuer
certificatePolicies = 1.2.3.4
1.2.3.4.5.6 = ASN1:UTF8String:of the customer
"""


@dataclass(frozen=True)
class Made:
    """A certificate that openssl made, and its key."""

    pem: Path
    key: Path


class Openssl:
    """A folder of certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def certificate(
        self,
        subject: str,
        issuer: Made | None = None,
        *,
        extensions: str = CA_EXTENSIONS,
        dates: tuple[str, str] = PRESENT,
        key: Sequence[str] | Path = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        options: Sequence[str] = ("-md", "sha256"),
        strings: str = "utf8only",
    ) -> Made:
        """Issue a certificate; self-signed without an issuer."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir(parents=True)
        made = Made(folder / "made.pem", key if isinstance(key, Path) else folder / "made.key")
        if not isinstance(key, Path):
            _run("genpkey", *key, "-out", made.key)
        (folder / "index.txt").touch()
        (folder / "serial").write_text(f"{0x4A00000000000000000000000000000000000000 + self._count:X}\n")
        configuration = folder / "openssl.cnf"
        configuration.write_text(_CONFIGURATION.format(folder=folder, extensions=extensions, strings=strings))
        _run("req", "-new", "-config", configuration, "-key", made.key, "-subj", subject, "-out", folder / "csr.pem")
        by = ("-selfsign", "-keyfile", made.key) if issuer is None else ("-cert", issuer.pem, "-keyfile", issuer.key)
        times = ("-startdate", dates[0], "-enddate", dates[1])
        request = ("-preserveDN", "-notext", "-in", folder / "csr.pem", "-out", made.pem)
        _run("ca", "-batch", "-config", configuration, *by, *times, *options, *request)
        return made

    def leaf(self, issuer: Made | None, names: str = f"DNS:{HOST}", cn: str = HOST, **changes: Any) -> Made:
        """Issue a server's certificate for the subject alternative names given."""
        extensions = f"{_LEAF_EXTENSIONS}subjectAltName = {names}\n"
        return self.certificate(f"/C=DE/O=Example/CN={cn}", issuer, **{"extensions": extensions, **changes})


RSA_2048: Final = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
RSA_1024: Final = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
P_384: Final = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
PSS: Final = ("-md", "sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")

Parts = tuple[list[Made], list[Made]]
"""The chain that the server presents, and what is trusted."""


def _rsa_multi_san(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", key=RSA_2048)
    issuing = openssl.certificate("/O=Example/CN=Example Issuing", root, key=RSA_2048)
    names = "DNS:cucm1.example.test, DNS:cucm2.example.test, IP:192.0.2.7, email:a@example.test"
    return [openssl.leaf(issuing, names, "cucm-ms.example.test", key=RSA_2048), issuing, root], [root]


def _ec_self_signed(openssl: Openssl) -> Parts:
    return [openssl.leaf(None, key=P_384, options=("-md", "sha384"))], []


def _missing_intermediate(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root")
    issuing = openssl.certificate("/O=Example/CN=Example Issuing", root)
    return [openssl.leaf(issuing)], [root]


def _expired(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root")
    return [openssl.leaf(root, dates=PAST), root], [root]


def _wildcard(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root")
    return [openssl.leaf(root, "DNS:*.voice.example.test", "*.voice.example.test", key=RSA_2048), root], [root]


def _reissued(openssl: Openssl) -> Parts:
    """Make a CA that was reissued with another key; the old certificate is trusted."""
    old = openssl.certificate("/O=Example/CN=Example Root")
    new = openssl.certificate("/O=Example/CN=Example Root")
    return [openssl.leaf(new), new], [old]


def _reissued_without_identifiers(openssl: Openssl) -> Parts:
    bare = "basicConstraints = critical, CA:TRUE\n"
    old = openssl.certificate("/O=Example/CN=Example Root", extensions=bare)
    new = openssl.certificate("/O=Example/CN=Example Root", extensions=bare)
    return [openssl.leaf(new, extensions=f"subjectAltName = DNS:{HOST}\n")], [old]


def _cross_signed(openssl: Openssl) -> Parts:
    """Make a server that sends a cross-signed copy of the CA, while the CA's own root with the same key is trusted."""
    elder = openssl.certificate("/O=Example/CN=Elder Root")
    root = openssl.certificate("/O=Example/CN=Example Root")
    crossed = openssl.certificate("/O=Example/CN=Example Root", elder, key=root.key)
    return [openssl.leaf(root), crossed], [root]


def _small_and_sha1(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", key=RSA_2048)
    issuing = openssl.certificate("/O=Example/CN=Example Issuing", root, key=RSA_1024, options=("-md", "sha1"))
    return [openssl.leaf(issuing, key=RSA_1024, options=("-md", "sha1")), issuing], [root]


def _md5(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", key=RSA_2048)
    return [openssl.leaf(root, options=("-md", "md5")), root], [root]


def _no_server(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", strings="nombstr")
    extensions = f"extendedKeyUsage = clientAuth\nsubjectAltName = DNS:{HOST}\n"
    return [openssl.leaf(root, extensions=extensions)], [root]


def _expired_ca(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root")
    issuing = openssl.certificate("/O=Example/CN=Example Issuing", root, dates=PAST)
    return [openssl.leaf(issuing), issuing], [root]


def _pss(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", key=RSA_2048, options=PSS)
    return [openssl.leaf(root, options=PSS, dates=PAST), root], []


def _good(openssl: Openssl) -> Parts:
    root = openssl.certificate("/O=Example/CN=Example Root", key=("-algorithm", "ED25519"), options=("-md", "null"))
    issuing = openssl.certificate("/O=Example/CN=Example Issuing", root, options=("-md", "null"))
    return [openssl.leaf(issuing), issuing], [root]


SETS: Final[dict[str, Callable[[Openssl], Parts]]] = {
    "RSA, several names": _rsa_multi_san,
    "EC, self-signed": _ec_self_signed,
    "missing intermediate": _missing_intermediate,
    "expired": _expired,
    "wildcard": _wildcard,
    "CA re-issued with another key": _reissued,
    "CA re-issued, without key identifiers": _reissued_without_identifiers,
    "cross-signed": _cross_signed,
    "RSA 1024 and SHA-1": _small_and_sha1,
    "MD5": _md5,
    "no server certificate": _no_server,
    "expired CA": _expired_ca,
    "RSA-PSS": _pss,
    "Ed25519 root": _good,
}
GOOD: Final = ("cross-signed", "RSA 1024 and SHA-1", "Ed25519 root")
"""The sets that X14.2 accepts: OpenSSL 1.1.1's level 1 takes 80 bits."""
FAILING: Final = tuple(SETS)[:5]
"""Sets that fail each in another way."""


def _run(*arguments: str | Path) -> None:
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
