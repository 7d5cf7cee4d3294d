"""Facts about certificates, which are cached except for very large certificates."""

from __future__ import annotations

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mralab.tls import certificate


def der(ca: trustme.CA, *names: str) -> bytes:
    return x509.load_pem_x509_certificate(ca.issue_cert(*names).cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)


def test_a_huge_certificate_is_verified_but_not_cached() -> None:
    ca = trustme.CA()
    huge = der(ca, *(f"name{number}.steven.lab" for number in range(1000)))
    assert len(huge) > certificate.LARGEST_CACHED
    assert len(certificate.read_facts(huge).names.dns) == 1000
    assert huge not in certificate._cache
    usual = der(ca, "cucm.steven.lab")
    assert certificate.read_facts(usual) is certificate.read_facts(usual)
