"""``lab.reissue`` replaces the certificate of a server of the lab."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mralab import Lab, MralabError
from mralab.lab.reissuing import alternative_names
from mralab.mocks.node import Node
from mralab.mocks.pki import Pki
from mralab.mocks.recipes import expired

HOST, IP = "cucm.steven.lab", "10.48.36.215"


def names(node: Node) -> tuple[str, ...]:
    return alternative_names(node.certificate("tomcat").cert)


async def test_an_expired_certificate_is_renewed(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        old = expired(pki["tomcat"])
        lab.cucm.install("tomcat", old)
        assert not (await lab.login()).ok
        await lab.reissue(HOST)
        assert (await lab.login()).ok
        new = lab.cucm.certificate("tomcat")
        assert (new.cert.subject, new.kind) == (old.cert.subject, "rsa")
        assert new.cert.not_valid_before_utc < datetime.now(UTC) < new.cert.not_valid_after_utc
        assert new.cert.public_key() != old.cert.public_key()
        usage = new.cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ExtendedKeyUsageOID.SERVER_AUTH in usage


def test_a_synchronous_lab_has_it_too_and_the_port_chooses_the_certificate(pki: Pki) -> None:
    with Lab("X14.2", pki=pki) as lab:
        assert not lab.login().ok
        lab.reissue(HOST, 6972)
        assert lab.login().ok
        assert lab.cucm.certificate("tomcat") == pki["tomcat"]
        new = lab.cucm.certificate("tomcat-ECDSA")
        assert new.kind == "ec"
        new.cert.verify_directly_issued_by(pki["steven-DC-CA"].cert)


async def test_it_has_the_old_names_and_the_one_that_clients_request_or_those_given(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        before = names(lab.cucm)
        await lab.reissue(HOST)
        assert names(lab.cucm) == before
        await lab.reissue(IP)
        assert names(lab.cucm) == (*before, IP)
        await lab.reissue(HOST, names=["*.steven.lab", "2001:db8::1", "*.steven.lab"])
        assert names(lab.cucm) == ("*.steven.lab", "2001:db8::1")


async def test_a_server_that_clients_reach_by_its_address_gets_that_name(pki: Pki) -> None:
    async with Lab("X14.2", scenario="ip", pki=pki) as lab:
        assert not (await lab.login()).ok
        await lab.reissue(IP, 8443)
        await lab.reissue(IP, 6972)
        assert (await lab.login()).ok


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (("cucm.example.com",), None, r"cucm\.example\.com is not a server of the lab"),
        ((HOST, 6970), None, f"{HOST}: has no TLS port 6970"),
        ((HOST, 1), ["a"], f"{HOST}: has no TLS port 1"),
        ((HOST,), [], "names: is empty"),
        ((HOST,), ["a b"], "names: 'a b' is neither a host name nor an IP address"),
        ((HOST,), ["m\u00fcnchen.example"], r"names: 'm\u00fcnchen\.example' is neither"),
        ((HOST,), ["a\n"], r"names: 'a\\n' is neither"),
        ((HOST,), "cucm", "names: is one text"),
    ],
)
async def test_what_cannot_be_reissued_is_named(pki: Pki, arguments: Any, given: Any, message: str) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        before = lab.cucm.certificate("tomcat")
        with pytest.raises(MralabError, match=message):
            lab.reissue(*arguments, names=given)
        assert lab.cucm.certificate("tomcat") == before


async def test_every_peer_must_trust_the_ca(pki: Pki) -> None:
    async with Lab("X14.2", scenario="peer-without-ca", pki=pki) as lab:
        with pytest.raises(MralabError, match="no CA of the lab is in the trust store of every peer"):
            lab.reissue(HOST)
        await lab.trust(pki["steven-DC-CA"])
        await lab.reissue(HOST)
