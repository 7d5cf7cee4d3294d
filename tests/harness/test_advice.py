"""Remedies for a test's own code come first if a test runs the proxy, before those for an Expressway."""

from __future__ import annotations

import pytest

from mralab import Lab, Proxy
from mralab.diagnose.findings import Finding
from mralab.diagnose.remedies import REMEDIES, Remedy
from mralab.harness.advice import CODE, advised
from mralab.mocks.pki import Pki

from .test_proxy import get


def finding(code: str, *remedies: str, server: str = "cucm.lab", dial: str = "") -> Finding:
    return Finding(
        code=code, server=server, ip="192.0.2.1", port=8443, error="", depth=0, action="Terminate", count=1, first=1.0,
        last=1.0, evidence=(), cause="", remedies=tuple(REMEDIES[name] for name in remedies), reference="", dial=dial,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            finding("issuer-missing", "trust-chain", "sign"),
            "In this test: mra_proxy.trust(ca), with the CA that signed the certificate of cucm.lab.",
        ),
        (
            finding("self-signed", "trust-itself"),
            "In this test: mra_proxy.trust(certificate), with the certificate of cucm.lab itself.",
        ),
        (
            finding("not-allowed", "add-host", "allow-rule-only"),
            'In this test: mra_proxy.add_host("cucm.lab", (address, port)), with the address of your mock.',
        ),
        (
            finding("expired", "renew"),
            "In this test: give your mock a certificate for cucm.lab, such as "
            'ca.issue_cert("cucm.lab") of a trustme CA.',
        ),
        (
            finding("unreachable", "check-network", "check-port", dial="127.0.0.1:1"),
            "In this test: 127.0.0.1:1 was dialled; start your mock there, or "
            'mra_proxy.add_host("cucm.lab", (address, port)) with its address.',
        ),
        (
            finding("unknown-host", "check-dns"),
            'In this test: mra_proxy.add_host("cucm.lab", (address, port)) with its address.',
        ),
    ],
)
def test_the_remedy_for_the_test_is_first(given: Finding, text: str) -> None:
    assert advised(given, "mra_proxy").remedies == (Remedy(CODE, text, "this test"), *given.remedies)


def test_some_findings_have_no_remedy_in_a_test() -> None:
    for given in (finding("bad-token", "check-url"), finding("self-signed", "trust-itself", server="")):
        assert advised(given, "mra_proxy") is given


def test_a_proxy_has_them() -> None:
    with Proxy(hosts={"cucm.lab": ("127.0.0.1", 1)}) as proxy:
        assert get(proxy, "https://cucm.lab:8443/") == 502
        (refused,) = proxy.findings
        assert refused.remedies[0].code == CODE
        assert "127.0.0.1:1 was dialled; start your mock there, or proxy.add_host" in refused.remedies[0].text
        assert proxy.transactions[0].dial == refused.dial == "127.0.0.1:1"


def test_a_lab_has_those_of_an_expressway(pki: Pki) -> None:
    with Lab(pki=pki) as lab:
        lab.login()
        assert lab.findings[0].remedies[0].code == "trust-certificate"
