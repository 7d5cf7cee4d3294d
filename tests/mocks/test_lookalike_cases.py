"""Look-alikes of the chains in tests/oracle, where the proxy is compared with Traffic Server, have the same faults."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mralab.core.tls.verdict import CertificateFault
from mralab.errors import TrustStoreError
from mralab.mocks.lookalike import mint_lookalikes
from mralab.tls.offline import verify
from mralab.tls.trust_store import TrustStore, parse_pem

from ..oracle.cases import Case, build
from ..oracle.pki import Minted

CASES, TRUSTED = build()


def loaded(minted: Sequence[Minted]) -> list[x509.Certificate]:
    """Return the certificates, without those that a file of certificates cannot contain."""
    certificates = []
    for each in minted:
        try:
            certificates += parse_pem(each.pem, "the case")
        except TrustStoreError:
            continue
    return certificates


STORE = loaded(TRUSTED)
READABLE = [case for case in CASES if len(loaded(case.chain)) == len(case.chain)]


def faults(chain: Sequence[x509.Certificate], name: str, store: Sequence[x509.Certificate]) -> list[CertificateFault]:
    ders = [each.public_bytes(Encoding.DER) for each in chain]
    return verify(ders, name, TrustStore(store), ip_san=True).faults


def test_most_cases_can_be_read() -> None:
    assert len(READABLE) > 0.9 * len(CASES)


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.name)
def test_the_faults_are_the_same(case: Case) -> None:
    chain = loaded(case.chain)
    copies = mint_lookalikes([chain], STORE)
    presented = copies.presented(chain)
    expected = faults(chain, case.host, STORE)
    assert faults([presented.cert, *presented.chain], case.host, copies.trusted(STORE)) == expected
