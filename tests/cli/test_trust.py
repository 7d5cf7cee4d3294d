"""``mralab trust`` lists and changes the trust store of a running proxy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.net.conftest import Server
from tests.serving import Serving, get

from .command import mralab


def test_trusting_and_distrusting_a_ca(running: Serving, server: Server, ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    der = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).public_bytes(Encoding.DER)
    (tmp_path / "ca.der").write_bytes(der)
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\n")

    before = mralab("trust", "list", admin=running.admin)
    assert (before.returncode, before.stdout.splitlines()[0]) == (0, "1 in the trust store")
    assert get(running, server) == 502

    bad = mralab("trust", "add", "ca.pem", "bad.pem", "none.pem", admin=running.admin, cwd=tmp_path)
    assert bad.returncode == 2
    assert "bad.pem:1: '-----BEGIN CERTIFICATE-----' without" in bad.stderr
    assert "none.pem: cannot be read" in bad.stderr
    assert get(running, server) == 502

    added = mralab("trust", "add", "ca.der", "--admin", running.admin, cwd=tmp_path)
    assert added.stdout.splitlines()[0] == "1 added; 2 in the trust store"
    assert get(running, server) == 200
    listed = json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout)["certificates"]
    assert len(listed) == 2

    removed = mralab("trust", "remove", "ca.pem", admin=running.admin, cwd=tmp_path)
    assert removed.stdout.splitlines()[0] == "1 removed; 1 in the trust store"
    assert get(running, server) == 502


def test_removing_an_absent_certificate_exits_1_and_names_it(running: Serving, ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    subject = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject.rfc4514_string()
    before = json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout)
    absent = mralab("trust", "remove", "ca.pem", "ab" * 32, admin=running.admin, cwd=tmp_path)
    assert (absent.returncode, absent.stdout.splitlines()[0]) == (1, "0 removed; 1 in the trust store")
    assert set(absent.stderr.splitlines()) == {
        f"{'ab' * 32}: not in the trust store",
        f"ca.pem: {subject}: not in the trust store",
    }
    mralab("trust", "add", "ca.pem", admin=running.admin, cwd=tmp_path)
    mixed = mralab("trust", "remove", "ca.pem", "ab" * 32, "--json", admin=running.admin, cwd=tmp_path)
    assert (mixed.returncode, json.loads(mixed.stdout)["removed"]) == (1, 1)
    assert mixed.stderr == f"{'ab' * 32}: not in the trust store\n"
    assert json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout) == before


def test_remove_accepts_the_fingerprint_that_openssl_prints_but_no_part_of_one(
    running: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    digest = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).fingerprint(SHA256()).hex(":").upper()
    mralab("trust", "add", "ca.pem", admin=running.admin, cwd=tmp_path)
    half = mralab("trust", "remove", digest[:47], admin=running.admin, cwd=tmp_path)
    assert (half.returncode, half.stdout) == (2, "")
    assert half.stderr == f"{digest[:47]}: is neither a SHA-256 fingerprint, which has 32 bytes, nor a file\n"
    removed = mralab("trust", "remove", f"sha256 Fingerprint={digest}", admin=running.admin, cwd=tmp_path)
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (0, "1 removed; 1 in the trust store")


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_trust_accepts_pkcs7(running: Serving, tmp_path: Path, encoding: Encoding) -> None:
    chain = [x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes()) for _ in range(2)]
    (tmp_path / "chain.p7b").write_bytes(pkcs7.serialize_certificates(chain, encoding))
    added = mralab("trust", "add", "chain.p7b", admin=running.admin, cwd=tmp_path)
    assert added.stdout.splitlines()[0] == "2 added; 3 in the trust store"
    removed = mralab("trust", "remove", "chain.p7b", admin=running.admin, cwd=tmp_path)
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (0, "2 removed; 1 in the trust store")


@pytest.mark.parametrize("command", ["add", "remove"])
def test_trust_accepts_files_only(running: Serving, tmp_path: Path, command: str) -> None:
    for file in (str(tmp_path), "/proc/self/mem", "/dev/zero", str(tmp_path / "\udcff.pem")):
        result = mralab("trust", command, file, admin=running.admin)
        assert (result.returncode, result.stdout) == (2, "")
        assert "Traceback" not in result.stderr
        assert result.stderr.strip()
