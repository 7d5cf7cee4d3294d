"""Your mock behind an Expressway-C: what a remote client gets, before and after X14.2."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import trustme

from mralab import FaultPoint, Proxy, fault

VERSION = "https://cucm.example.com:8443/cucm-uds/version"


def test_version(mra_proxy: Proxy, mra_ca: trustme.CA, mra_release: str, cucm: tuple[str, int]) -> None:
    """Runs twice: through X14.0.7, and through X14.2, which must trust the certificate's CA."""
    mra_proxy.add_host("cucm.example.com", cucm)
    mra_proxy.trust(mra_ca)
    with urlopen(mra_proxy.url(for_=VERSION)) as answer:
        assert b"14.0.1" in answer.read()
    assert mra_proxy.allowed("cucm.example.com")


def test_another_name(mra_proxy: Proxy, mra_ca: trustme.CA, cucm: tuple[str, int]) -> None:
    """System > Server has a name that the certificate does not contain."""
    mra_proxy.add_host("cucm-pub.example.com", cucm)
    mra_proxy.trust(mra_ca)
    with pytest.raises(HTTPError, match="502"):
        urlopen(mra_proxy.url(for_=VERSION.replace("cucm.", "cucm-pub.")))
    assert mra_proxy.refused("cucm-pub.example.com", because="name-not-in-certificate")


@pytest.mark.mralab(verify="audit")
def test_what_would_be_refused(mra_proxy: Proxy, cucm: tuple[str, int]) -> None:
    """Audit: traffic flows, and the findings say what X14.2 would refuse."""
    mra_proxy.add_host("cucm.example.com", cucm)
    with urlopen(mra_proxy.url(for_=VERSION)) as answer:
        assert answer.status == 200
    assert [finding.code for finding in mra_proxy.findings] == ["issuer-missing"]


def test_expired(mra_proxy: Proxy, mra_ca: trustme.CA, cucm: tuple[str, int]) -> None:
    """The mock's certificate expires: a fault point in front of it presents it signed again with past dates."""
    certificate = mra_ca.issue_cert("cucm.example.com")
    with FaultPoint(dial=cucm, certificate=certificate, issuer=mra_ca) as point:
        mra_proxy.add_host("cucm.example.com", point.address)
        mra_proxy.trust(mra_ca)
        with point.inject(fault.Expire(days=3)), pytest.raises(HTTPError, match="502"):
            urlopen(mra_proxy.url(for_=VERSION))
        assert mra_proxy.refused("cucm.example.com", because="expired")
        urlopen(mra_proxy.url(for_=VERSION)).close()  # the fault is lifted
