"""Offline verification of certificates has the same faults in the same order as a handshake."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mralab.core.tls.verdict import CertificateFault
from mralab.tls.offline import LONGEST, UnreadableChainError, verify
from mralab.tls.openssl import TlsError
from mralab.tls.trust_store import TrustStore
from mralab.tls.verification import TlsContext, TlsSettings

from ..diagnose.minted import NOW, Minted, mint, server_context, serving

HOST = "cucm.example.test"
ROOT = mint("Example Root", ca=True)
ISSUING = mint("Example Issuing", ROOT, ca=True)
OLD_CA = mint("Old CA", ROOT, ca=True, days=(-400, -2))
RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - level 1 takes it (80 bits)
CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True)

CASES: dict[str, tuple[Sequence[Minted], Sequence[Minted]]] = {
    "good": ([mint(HOST, ISSUING, sans=[HOST]), ISSUING], [ROOT]),
    "RSA": ([mint(HOST, ROOT, sans=[HOST], key=RSA)], [ROOT]),
    "self-signed": ([mint(HOST, sans=[HOST])], []),
    "self-signed, trusted": ([SELF := mint(HOST, sans=[HOST])], [SELF]),
    "leaf alone": ([mint(HOST, ISSUING, sans=[HOST])], [ROOT]),
    "unknown root sent": ([mint(HOST, ISSUING, sans=[HOST]), ISSUING, ROOT], []),
    "intermediate trusted without its root": ([mint(HOST, ISSUING, sans=[HOST])], [ISSUING]),
    "expired": ([mint(HOST, ROOT, sans=[HOST], days=(-400, -1))], [ROOT]),
    "expired CA": ([mint(HOST, OLD_CA, sans=[HOST]), OLD_CA], [ROOT]),
    "not yet valid": ([mint(HOST, ROOT, sans=[HOST], days=(2, 400))], [ROOT]),
    "another name": ([mint("other.example.test", ROOT, sans=["other.example.test"])], [ROOT]),
    "everything": ([mint("other.example.test", OLD_CA, days=(-400, -1)), OLD_CA], []),
    "client only": ([mint(HOST, ROOT, sans=[HOST], purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])], [ROOT]),
    "critical extension": ([mint(HOST, ROOT, sans=[HOST], extensions=[CRITICAL])], [ROOT]),
    "RSA 1024": ([mint(HOST, ROOT, sans=[HOST], key=SMALL_RSA)], [ROOT]),
}


def on_the_wire(folder: Path, chain: Sequence[Minted], store: TrustStore) -> tuple[list[CertificateFault], bytes]:
    context = TlsContext(TlsSettings("audit", True, "ALL", ("1.2",)), store)
    with (
        serving(server_context(folder, *chain)) as port,
        socket.create_connection(("127.0.0.1", port), 10) as connection,
    ):
        tls = context.connect(HOST)
        connection.sendall(tls.start())
        with contextlib.suppress(TlsError):
            while not tls.established:
                tls.receive(connection.recv(65536))
                connection.sendall(tls.outgoing())
        return tls.verdict.faults, tls.verdict.leaf


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_judged_as_a_server_is(case: str, tmp_path: Path) -> None:
    chain, trusted = CASES[case]
    store = TrustStore(one.cert for one in trusted)
    verdict = verify([one.der for one in chain], HOST, store, ip_san=True)
    assert (verdict.faults, verdict.leaf) == on_the_wire(tmp_path, chain, store)
    assert bool(verdict.faults) == (case not in ("good", "RSA", "RSA 1024", "self-signed, trusted"))


def test_a_certificate_with_a_key_without_cipher_suites_is_verified_too() -> None:
    """Such as DSA, which some appliances use, and for which no handshake is possible."""
    key = dsa.generate_private_key(2048)
    leaf = mint(HOST, ROOT, sans=[HOST], key=key)  # type: ignore[arg-type]  # any key that can be certified
    assert verify([leaf.der], HOST, TrustStore([ROOT.cert]), ip_san=True).faults == []


def test_the_time_is_that_of_the_capture() -> None:
    leaf = mint(HOST, ROOT, sans=[HOST], days=(-5, -1))
    store = TrustStore([ROOT.cert])
    assert verify([leaf.der], HOST, store, ip_san=True).faults == [CertificateFault(10, 0)]
    assert verify([leaf.der], HOST, store, ip_san=True, at=NOW - timedelta(days=2)).faults == []
    early = verify([leaf.der], HOST, store, ip_san=True, at=NOW - timedelta(days=6))
    assert early.faults == [CertificateFault(9, 0)]


def test_an_address_in_the_certificate_counts_as_configured() -> None:
    leaf = mint("x", ROOT, sans=["192.0.2.10"])
    store = TrustStore([ROOT.cert])
    assert verify([leaf.der], "192.0.2.10", store, ip_san=True).faults == []
    assert verify([leaf.der], "192.0.2.10", store, ip_san=False).faults == [CertificateFault(None, 0)]


def test_a_chain_that_fills_many_records() -> None:
    others = [mint(f"CA {number} {'x' * 50}", ca=True) for number in range(80)]
    leaf = mint(HOST, ROOT, sans=[HOST])
    chain = [leaf.der, *(one.der for one in others)]
    assert sum(map(len, chain)) > 2 * 16384
    assert verify(chain, HOST, TrustStore([ROOT.cert]), ip_san=True).faults == []


def test_invalid_chains_are_refused() -> None:
    with pytest.raises(UnreadableChainError, match="cannot read"):
        verify([b"\x30\x03\x02\x01\x01"], HOST, TrustStore(), ip_san=True)
    with pytest.raises(UnreadableChainError, match=str(LONGEST)):
        verify([bytes(LONGEST + 1)], HOST, TrustStore(), ip_san=True)
    with pytest.raises(ValueError, match="at least one"):
        verify([], HOST, TrustStore(), ip_san=True)
