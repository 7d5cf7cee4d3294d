"""Assessment of handshakes: causes and remedies with certificate, chain and trust store at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from mralab.config import from_mapping
from mralab.core.http.error_pages import ERROR_PAGES
from mralab.core.tls.fingerprint import fingerprint
from mralab.core.tls.hostname import CertificateNames
from mralab.core.tls.verdict import CertificateFault, error_text
from mralab.diagnose import chain
from mralab.diagnose.assessment import assess
from mralab.diagnose.chain_causes import rule_for_chain
from mralab.diagnose.details import nearest_name
from mralab.diagnose.findings import Finding
from mralab.diagnose.handshake import Address, Handshake
from mralab.diagnose.occurrence import Occurrence
from mralab.diagnose.presented import PresentedChain
from mralab.diagnose.rules import advice, causes, rule_for
from mralab.diagnose.sentence import denied_by
from mralab.diagnose.server_check import ServerCheck

from .minted import NOW, Minted, mint

HOST = "cucm.example.test"
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
NAME = CertificateFault(None, 0)
ROOT = mint("Example Root", ca=True, organization="Example")
INTERMEDIATE = mint("Example Issuing", ROOT, ca=True, organization="Example")
OTHER_ROOT = mint("Other Root", ca=True, organization="Other")


def judged(
    sent: Sequence[Minted],
    faults: Sequence[CertificateFault],
    store: Sequence[Minted] = (),
    elsewhere: Sequence[Minted] = (),
    host: str = HOST,
    port: int = 8443,
    **verify: str,
) -> ServerCheck:
    handshake = Handshake(
        Address(host, port),
        "ecdsa",
        "192.0.2.1",
        "192.0.2.1:8443",
        tuple(minted.der for minted in sent),
        faults=tuple(faults),
    )
    config = from_mapping({"verify": verify})
    return assess(handshake, config, [minted.cert for minted in store], [minted.cert for minted in elsewhere], NOW)


def only(sent: Sequence[Minted], fault: CertificateFault, store: Sequence[Minted] = (), **more: Any) -> Finding:
    (finding,) = judged(sent, [fault], store, **more).findings
    return finding


def codes(finding: Finding) -> list[str]:
    return [remedy.code for remedy in finding.remedies]


# -- issuers


def test_a_leaf_sent_alone_has_the_error_of_the_log_and_a_more_precise_cause() -> None:
    leaf = mint(HOST, INTERMEDIATE, sans=[HOST])
    (finding,) = judged([leaf], [CertificateFault(20, 0), CertificateFault(21, 0)], [OTHER_ROOT]).findings
    assert (finding.code, finding.error) == ("issuer-missing", "unable to get local issuer certificate")
    assert "sent its certificate alone" in finding.cause
    assert "'Example Issuing' that issued 'cucm.example.test'" in finding.cause
    assert "The trust store has 'Other Root': if 'Example Issuing' is an intermediate CA under that" in finding.cause
    assert codes(finding) == ["trust-certificate", "send-chain", "reissue", "verify-origin-off"]
    assert "log cannot tell" not in finding.cause
    assert all("unable to get local issuer" in line for line in finding.evidence if "WARNING" in line)


def test_a_missing_intermediate_that_another_server_sent_has_a_trusted_root() -> None:
    leaf = mint(HOST, INTERMEDIATE, sans=[HOST])
    finding = only([leaf], CertificateFault(20, 0), [ROOT], elsewhere=[INTERMEDIATE])
    assert "its root 'Example Root' is already trusted" in finding.cause
    assert "another server" in finding.cause
    assert codes(finding) == ["send-chain", "trust-certificate", "verify-origin-off"]
    assert "'Example Issuing'" in finding.remedies[0].text
    untrusted = only([leaf], CertificateFault(20, 0), [OTHER_ROOT], elsewhere=[INTERMEDIATE])
    assert "is missing: its root" not in untrusted.cause


def test_a_missing_intermediate_whose_issuer_the_leaf_names_has_a_trusted_root() -> None:
    leaf = mint(HOST, INTERMEDIATE, sans=[HOST], name_aki=True)
    finding = only([leaf], CertificateFault(20, 0), [ROOT])
    assert "its root 'Example Root' is already trusted" in finding.cause


def test_a_trusted_root_that_may_be_related_is_named_as_a_guess() -> None:
    finding = only([mint(HOST, INTERMEDIATE, sans=[HOST])], CertificateFault(20, 0), [OTHER_ROOT, ROOT])
    assert (
        "'Example Root' of the same organization: if 'Example Issuing' is an intermediate CA under that"
        in finding.cause
    )
    assert codes(finding)[0] == "send-chain"
    assert "is missing: its root" not in finding.cause
    assert "The trust store is empty." in only([mint(HOST, INTERMEDIATE)], CertificateFault(20, 0)).cause
    many = [mint(f"Root {number}", ca=True) for number in range(6)]
    assert "has 6 certificates" in only([mint(HOST, INTERMEDIATE)], CertificateFault(20, 0), many).cause
    beside = only([mint(HOST, INTERMEDIATE, sans=[HOST]), OTHER_ROOT], CertificateFault(20, 0), [OTHER_ROOT])
    assert "'Other Root', which the server sent too: if" in beside.cause


def test_a_ca_reissued_with_another_key_is_recognised() -> None:
    again = mint("Example Root", ca=True, organization="Example")
    leaf = mint(HOST, again, sans=[HOST])
    finding = only([leaf], CertificateFault(20, 0), [ROOT])
    assert "has a CA 'Example Root', but not the one that issued 'cucm.example.test'" in finding.cause
    held = chain.extension(ROOT.cert, x509.SubjectKeyIdentifier)
    wanted = chain.extension(leaf.cert, x509.AuthorityKeyIdentifier)
    assert held is not None
    assert wanted is not None
    assert wanted.key_identifier is not None
    assert held.digest.hex(":").upper() in finding.cause
    assert wanted.key_identifier.hex(":").upper() in finding.cause
    assert codes(finding) == ["trust-certificate", "reissue", "verify-origin-off"]
    assert "stops at the first entry whose subject matches" in finding.remedies[0].text
    sent_too = only([leaf, again], CertificateFault(19, 1), [ROOT])
    assert sent_too.code == "unknown-ca"
    assert "is not the one that is trusted" in sent_too.cause


def test_an_unknown_root_is_named_with_its_fingerprint() -> None:
    leaf = mint(HOST, INTERMEDIATE, sans=[HOST])
    finding = only([leaf, INTERMEDIATE, ROOT], CertificateFault(19, 2), [OTHER_ROOT])
    assert (finding.code, finding.depth) == ("unknown-ca", 2)
    assert "'Example Root', which is not in Expressway-C's trust store" in finding.cause
    assert fingerprint(ROOT.cert.public_bytes(Encoding.DER)) in finding.cause
    above = only([leaf, INTERMEDIATE], CertificateFault(20, 1), [OTHER_ROOT])
    assert above.code == "unknown-ca"
    assert "'Example Root' that issued 'Example Issuing'" in above.cause
    assert codes(above)[0] == "trust-certificate"


def test_a_trusted_intermediate_without_its_root() -> None:
    finding = only([mint(HOST, INTERMEDIATE, sans=[HOST])], CertificateFault(2, 1), [INTERMEDIATE])
    assert finding.code == "partial-chain"
    assert "trusts the intermediate CA 'Example Issuing', but not the CA 'Example Root'" in finding.cause


def test_a_self_signed_certificate_with_the_subject_of_a_trusted_one() -> None:
    leaf = mint(HOST, sans=[HOST])
    finding = only([leaf], CertificateFault(18, 0), [])
    assert codes(finding) == ["trust-certificate", "reissue", "verify-origin-off"]
    assert "tomcat-ECDSA certificate" in finding.remedies[0].text
    old = mint(HOST, sans=[HOST])
    twice = only([leaf], CertificateFault(18, 0), [old])
    assert "two certificates with one subject cannot both be used" in twice.cause
    assert codes(twice) == ["reissue", "trust-certificate", "verify-origin-off"]


def test_the_certificate_is_named_by_port_and_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    leaf = mint(HOST, sans=[HOST], key=key)
    assert "Add the tomcat certificate of" in only([leaf], CertificateFault(18, 0)).remedies[0].text
    callmanager = only([leaf], CertificateFault(18, 0), port=6971).remedies[0].text
    assert "Add the CallManager certificate of" in callmanager
    assert "reuse the tomcat certificate" in callmanager


# -- the certificate itself


def test_dates_are_part_of_the_cause() -> None:
    expired = only([mint(HOST, ROOT, sans=[HOST], days=(-400, -25))], CertificateFault(10, 0), [ROOT])
    until = (NOW - timedelta(days=25)).strftime("%Y-%m-%d")
    assert f"was valid until {until}" in expired.cause
    assert "24 days ago" in expired.cause or "25 days ago" in expired.cause
    early = only([mint(HOST, ROOT, sans=[HOST], days=(3, 300))], CertificateFault(9, 0), [ROOT])
    assert f"valid from {(NOW + timedelta(days=3)).strftime('%Y-%m-%d')}" in early.cause
    old_ca = mint("Old CA", ROOT, ca=True, days=(-400, -2))
    above = only([mint(HOST, old_ca, sans=[HOST]), old_ca], CertificateFault(10, 1), [ROOT])
    assert "The CA certificate Old CA (depth 1)" in above.cause


def test_purposes_that_are_present_are_listed() -> None:
    leaf = mint(HOST, ROOT, sans=[HOST], purposes=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])
    finding = only([leaf], CertificateFault(26, 0), [ROOT])
    assert finding.code == "wrong-purpose"
    assert "extended key usage has clientAuth, codeSigning; serverAuth is missing" in finding.cause
    usage = x509.KeyUsage(False, False, False, False, False, False, True, False, False)
    signing = mint(HOST, ROOT, sans=[HOST], extensions=[(usage, True)])
    cause = only([signing], CertificateFault(26, 0), [ROOT]).cause
    assert "serverAuth is missing" not in cause
    assert "key usage has cRLSign" in cause


def test_name_constraints_of_cas_are_part_of_the_cause() -> None:
    no_ca = mint("Not a CA", ROOT, ca=False, purposes=[])
    assert "CA:FALSE" in only([mint(HOST, no_ca, sans=[HOST]), no_ca], CertificateFault(79, 1), [ROOT]).cause
    limited = mint("Limited", ROOT, ca=True, path_length=0)
    under = mint("Under", limited, ca=True)
    finding = only([mint(HOST, under, sans=[HOST]), under, limited], CertificateFault(25, 2), [ROOT])
    assert (finding.code, "with path length 0" in finding.cause) == ("invalid-ca", True)
    assert "trust-certificate" not in codes(finding)
    constraint = x509.NameConstraints([x509.DNSName("elsewhere.test")], None)
    narrow = mint("Narrow", ROOT, ca=True, extensions=[(constraint, True)])
    finding = only([mint(HOST, narrow, sans=[HOST]), narrow], CertificateFault(47, 0), [ROOT])
    assert "The CA 'Narrow' permits elsewhere.test." in finding.cause
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    finding = only([mint(HOST, ROOT, sans=[HOST], extensions=[(strange, True)])], CertificateFault(34, 0), [ROOT])
    assert "1.2.3.4.5" in finding.cause


def test_a_signature_by_another_key_is_explained() -> None:
    impostor = mint("Example Root", ca=True, organization="Example")
    leaf = mint(HOST, impostor, sans=[HOST])
    finding = only([leaf], CertificateFault(7, 0), [ROOT])
    assert finding.code == "bad-signature"
    assert "No known CA 'Example Root' made its signature" in finding.cause
    assert "trust-certificate" not in codes(finding)


def test_names_are_listed_with_the_nearest() -> None:
    leaf = mint("cucm-ms.example.test", ROOT, sans=["cucm-sub.example.test", "cucm1.example.test"])
    finding = only([leaf], NAME, [ROOT])
    assert "It contains cucm-sub.example.test, cucm1.example.test; its CN is cucm-ms.example.test." in finding.cause
    assert "The nearest to cucm.example.test is cucm1.example.test." in finding.cause
    assert "chain of CAs was accepted" in finding.cause
    address = only([mint(HOST, ROOT, sans=[HOST, "192.0.2.7"])], NAME, [ROOT], host="192.0.2.1")
    assert "Clients are sent to the IP address 192.0.2.1" in address.cause
    assert "The nearest to 192.0.2.1 is 192.0.2.7." in address.cause
    ignored = only([mint(HOST, ROOT, sans=["192.0.2.1"])], NAME, [ROOT], host="192.0.2.1", ip_san="ignore")
    assert "does not count here" in ignored.cause
    short = only([mint(HOST, ROOT, sans=[HOST])], NAME, [ROOT], host="cucm")
    assert "The nearest to cucm is cucm.example.test." in short.cause
    assert codes(short)[0] == "change-server-name"


def test_a_wildcard_that_does_not_match_is_explained() -> None:
    finding = only([mint("x", ROOT, sans=["*.example.test"])], NAME, [ROOT], host="pub.cucm.example.test")
    assert "*.example.test stands for exactly one label before .example.test." in finding.cause


def test_two_trusted_cas_with_one_subject_are_a_note() -> None:
    twin = mint("Example Root", ca=True, organization="Example")
    leaf = mint(HOST, ROOT, sans=[HOST])
    result = judged([leaf], [], [twin, ROOT])
    assert result.ok
    assert any("has 2 certificates 'Example Root'" in note for note in result.notes)
    assert judged([leaf], [], [ROOT, OTHER_ROOT]).notes == ()


@pytest.mark.parametrize(
    ("asked", "names", "nearest"),
    [
        ("cucm.a.test", ["x.test", "cucm.b.test"], "cucm.b.test"),
        ("cucm-pub.a.test", ["cucm-pub1.a.test"], "cucm-pub1.a.test"),
        ("192.0.2.1", ["a.test"], None),
        ("a.test", [], None),
        ("a.test", ["entirely-different.example"], None),
    ],
)
def test_the_nearest_name(asked: str, names: list[str], nearest: str | None) -> None:
    assert nearest_name(asked, CertificateNames(tuple(names))) == nearest


# -- several faults, expiry, and what cannot be read


def test_several_faults_of_one_certificate_are_in_order_and_do_not_contradict() -> None:
    leaf = mint("other.example.test", OTHER_ROOT, sans=["other.example.test"], days=(-400, -25))
    result = judged([leaf], [CertificateFault(20, 0), CertificateFault(21, 0), CertificateFault(10, 0), NAME], [ROOT])
    assert [finding.code for finding in result.findings] == ["issuer-missing", "expired", "name-not-in-certificate"]
    first, second, third = result.findings
    assert "Fix this first" in first.cause
    assert first.cause.index("certificate has expired") < first.cause.index("SNI not in certificate")
    assert "Fix issuer-missing first" in second.cause
    assert "Fix issuer-missing and expired first" in third.cause
    assert not re.search("good chain|chain of CAs was accepted", " ".join(finding.cause for finding in result.findings))
    assert [line.count("WARNING") for line in result.lines] == [0, 0, 1, 1, 1, 1, 0, 0]
    assert result.as_json()["order"] == ["issuer-missing", "expired", "name-not-in-certificate"]


NUMBERS = (2, 7, 9, 10, 18, 19, 20, 22, 23, 24, 25, 26, 34, 47, 66, 67, 68, None)


def test_no_sentence_of_preflight_contradicts_another_fault() -> None:
    """Sentences carry claims, as for findings from logs."""
    leaf = mint("other.example.test", INTERMEDIATE, sans=["other.example.test"])
    again = mint("Example Issuing", ROOT, ca=True, organization="Example")
    walked = 0
    for sent, store in ([leaf], [ROOT]), ([leaf], [again]), ([leaf, INTERMEDIATE], []), ([leaf, INTERMEDIATE], [ROOT]):
        shown = PresentedChain(
            HOST, 8443, tuple(minted.cert for minted in sent), tuple(minted.cert for minted in store), NOW
        )
        for size in (2, 3):
            for numbers in combinations(NUMBERS, size):
                found = []
                for number in numbers:
                    text = error_text(number, "1.1.1") if number is not None else "not in certificate"
                    occurrence = Occurrence(
                        "chain" if number else "name", HOST, "", text, 0, 0, (), 8443, 0, "Terminate"
                    )
                    rule = rule_for(occurrence)
                    assert rule is not None
                    found.append((occurrence, rule_for_chain(rule, occurrence, shown)))
                codes = {rule.code for _, rule in found}
                for occurrence, rule in found:
                    others = codes - {rule.code}
                    spoken = [
                        *causes(rule, occurrence, others),
                        *(item.sentence for item in advice(rule, occurrence, others)),
                    ]
                    assert not [each for each in spoken if each.asserts & denied_by(others)]
                    assert causes(rule, occurrence, others)
                    walked += 1
    assert walked > 8_000


def test_no_combination_of_faults_fails_or_repeats_a_code() -> None:
    leaf = mint("other.example.test", INTERMEDIATE, sans=["other.example.test"])
    for size in (1, 2, 3):
        for numbers in combinations(NUMBERS, size):
            result = judged([leaf, INTERMEDIATE], [CertificateFault(number, 0) for number in numbers], [ROOT])
            found = [finding.code for finding in result.findings]
            assert found
            assert len(found) == len(set(found))
            for finding in result.findings:
                assert "{" not in finding.cause + "".join(remedy.text for remedy in finding.remedies)
                assert ("chain of CAs was accepted" in finding.cause) <= (found == ["name-not-in-certificate"])


def test_expiry_within_30_days_covers_cas() -> None:
    soon_ca = mint("Soon CA", ROOT, ca=True, days=(-300, 5))
    leaf = mint(HOST, soon_ca, sans=[HOST], days=(-300, 29))
    result = judged([leaf, soon_ca], [], [ROOT])
    assert result.state == "accepted"
    assert [(expiry.subject, expiry.depth) for expiry in result.expiring] == [(f"CN={HOST}", 0), ("CN=Soon CA", 1)]
    assert [expiry.days for expiry in result.expiring] in ([29, 5], [28, 4])
    assert any("expires on" in note for note in result.notes)
    assert result.as_json()["expiring"][1]["not_after"].startswith((NOW + timedelta(days=5)).strftime("%Y-%m-%d"))
    assert judged([mint(HOST, ROOT, sans=[HOST], days=(-1, 33))], [], [ROOT]).expiring == ()
    assert judged([mint(HOST, ROOT, sans=[HOST], days=(-9, -1))], [CertificateFault(10, 0)], [ROOT]).expiring == ()
    trusted = mint("Old Root", ca=True, days=(-300, 20))
    assert len(judged([mint(HOST, trusted, sans=[HOST])], [], [trusted]).expiring) == 1


def test_chain_members_are_marked_as_sent_and_trusted() -> None:
    leaf = mint(HOST, INTERMEDIATE, sans=[HOST])
    result = judged([leaf, INTERMEDIATE], [], [ROOT])
    assert [(member.subject, member.sent, member.trusted) for member in result.chain] == [
        (f"CN={HOST}", True, False),
        ("CN=Example Issuing,O=Example", True, False),
        ("CN=Example Root,O=Example", False, True),
    ]
    assert result.chain[0].key == "EC 256"
    assert result.chain[0].days_left in (364, 365)


@pytest.mark.parametrize("sent", [(), (b"",), (b"\x30\x03\x02\x01\x01",), (b"\x00" * 50,)])
@pytest.mark.parametrize("number", [20, 18, 10, 26, 50, None])
def test_an_unreadable_certificate_gets_the_same_causes_as_a_log(sent: tuple[bytes, ...], number: int | None) -> None:
    handshake = Handshake(Address(HOST, 8443), "rsa", "192.0.2.1", sent=sent, faults=(CertificateFault(number, 0),))
    result = assess(handshake, from_mapping({}), [ROOT.cert], [], NOW)
    assert result.state == "refused"
    assert result.findings[0].cause
    assert result.chain == ()
    assert result.as_json()["findings"]


def test_names_of_a_certificate_are_safe_on_a_terminal_and_in_templates() -> None:
    name = "x\x1b[2J{place}{nothing}%s"
    evil = mint(name, ca=True)
    for number in (18, 20, 19, 10, 26, None):
        for sent in ([evil], [mint(name, evil), evil], [mint(name, evil)]):
            for finding in judged(sent, [CertificateFault(number, len(sent) - 1 if number else 0)], [ROOT]).findings:
                texts = [finding.cause, *(remedy.text for remedy in finding.remedies)]
                assert all(text.isprintable() for text in texts)
                assert "{nothing}" in finding.cause


# -- handshakes that failed


def test_an_alert_after_a_certificate_request_is_a_refused_client_certificate() -> None:
    for reason in ("sslv3 alert handshake failure", "sslv3 alert bad certificate", "tlsv13 alert certificate required"):
        handshake = Handshake(
            Address(HOST, 8443), "rsa", "192.0.2.1", sent=(ROOT.der,), error_reason=reason, certificate_requested=True
        )
        result = assess(handshake, from_mapping({}), [ROOT.cert], [], NOW)
        assert (result.state, result.findings[0].code) == ("failed", "rejected-by-server")
        assert "requires a client certificate" in result.findings[0].cause
    mismatch = assess(
        Handshake(Address(HOST, 8443), "rsa", "192.0.2.1", error_reason="sslv3 alert handshake failure"),
        from_mapping({}),
        [],
        [],
        NOW,
    )
    assert mismatch.findings[0].code == "tls-mismatch"
    assert mismatch.lines[-2].endswith("sslv3 alert handshake failure")


def test_a_server_that_closes_the_connection_after_its_certificate_has_failed() -> None:
    handshake = Handshake(
        Address(HOST, 8443),
        "rsa",
        "192.0.2.1",
        sent=(ROOT.der,),
        error_page=ERROR_PAGES["connect-failed"],
        failure="the server closed it",
    )
    result = assess(handshake, from_mapping({}), [ROOT.cert], [], NOW)
    assert (result.state, result.findings[0].code) == ("failed", "handshake-failed")
    assert "the server closed it" in result.findings[0].cause


# -- certificates with one subject: the cause depends on the trust store


def issued_again(serial: int, key: Any) -> x509.AuthorityKeyIdentifier:
    held = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier(held.digest, [x509.DirectoryName(ROOT.cert.subject)], serial)


def referring(aki: x509.AuthorityKeyIdentifier) -> Minted:
    """Return a leaf signed by ROOT with the given authority key identifier."""
    leaf = mint(HOST, ROOT, sans=[HOST])
    names = leaf.cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    builder = (
        x509.CertificateBuilder(subject_name=leaf.cert.subject, issuer_name=ROOT.cert.subject)
        .public_key(leaf.key.public_key())
        .serial_number(leaf.cert.serial_number)
        .not_valid_before(leaf.cert.not_valid_before_utc)
        .not_valid_after(leaf.cert.not_valid_after_utc)
        .add_extension(names, critical=False)
        .add_extension(aki, critical=False)
    )
    return Minted(builder.sign(ROOT.key, hashes.SHA256()), leaf.key)


@pytest.mark.parametrize(
    ("aki", "difference"),
    [
        (issued_again(0xABCD, ROOT.key), "has the serial number ABCD"),
        (x509.AuthorityKeyIdentifier(b"\1" * 20, None, None), "its authority key identifier is 01:01:01"),
        (
            x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(OTHER_ROOT.cert.subject)], ROOT.cert.serial_number),
            "refers to a CA issued by 'Other Root', that CA was issued by 'Example Root'",
        ),
    ],
    ids=["serial", "key identifier", "issuer"],
)
def test_the_cause_does_not_deny_a_signature_that_is_valid(aki: x509.AuthorityKeyIdentifier, difference: str) -> None:
    leaf = referring(aki)
    assert not chain.may_have_issued(ROOT.cert, leaf.cert)
    finding = only([leaf], CertificateFault(20, 0), [ROOT])
    assert "whose key signed" in finding.cause
    assert difference in finding.cause
    assert "did not sign" not in finding.cause
    assert "another key" not in finding.cause


def test_a_root_with_another_serial_number_and_the_same_key() -> None:
    again = mint("Example Root", ca=True, organization="Example", key=ROOT.key)
    leaf = referring(issued_again(again.cert.serial_number, ROOT.key))
    finding = only([leaf, again], CertificateFault(19, 1), [ROOT])
    assert "with the same key" in finding.cause
    assert f"{again.cert.serial_number:X}" in finding.cause
    assert "another key" not in finding.cause


def test_a_trusted_self_signed_certificate_after_another_with_its_subject() -> None:
    """Tomcat and CallManager, self-signed with one CN (CSCve56019): verification stops at the first of that name."""
    tomcat, callmanager = mint(HOST, sans=[HOST]), mint(HOST, sans=[HOST])
    finding = only([tomcat], CertificateFault(18, 0), [callmanager, tomcat])
    assert "which is in Expressway-C's trust store" in finding.cause
    assert "not itself" not in finding.cause
    assert codes(finding) == ["reissue", "remove-certificate", "verify-origin-off"]


def test_a_trusted_leaf_does_not_replace_its_ca() -> None:
    leaf = mint(HOST, OTHER_ROOT, sans=[HOST])
    finding = only([leaf], CertificateFault(20, 0), [leaf, ROOT])
    assert f"'{HOST}' itself is in the trust store. That is not enough" in finding.cause


def test_a_missing_root_is_not_called_an_intermediate() -> None:
    leaf = mint(HOST, OTHER_ROOT, sans=[HOST])
    finding = only([leaf], CertificateFault(20, 0), [ROOT], elsewhere=[OTHER_ROOT])
    assert "'Other Root' is a root CA (another server of this run sent it)" in finding.cause
    assert codes(finding) == ["trust-certificate", "reissue", "verify-origin-off"]


def test_a_chain_that_is_too_long_is_not_reported_as_incomplete() -> None:
    cas = [ROOT]
    for number in range(12):
        cas.append(mint(f"Step {number}", cas[-1], ca=True))
    sent = [mint(HOST, cas[-1], sans=[HOST]), *reversed(cas[1:])]
    long, missing = judged(sent, [CertificateFault(22, 8), CertificateFault(20, 8)], [ROOT]).findings
    assert long.code == "chain-too-long"
    assert "OpenSSL stopped before it" in missing.cause
    assert "did not send" not in missing.cause
    assert not {"trust-certificate", "send-chain"} & set(codes(missing))


def test_cas_that_signed_each_other_are_a_loop() -> None:
    one, other = mint("One", ca=True), mint("Other", ca=True)
    upper = mint("Other", one, ca=True, key=other.key)
    lower = mint("One", other, ca=True, key=one.key)
    leaf = mint(HOST, lower, sans=[HOST])
    finding = only([leaf, lower, upper], CertificateFault(20, 2), [ROOT])
    assert "is a loop" in finding.cause
    assert "did not s" not in finding.cause
    assert "trust-certificate" not in codes(finding)


def test_an_expired_trusted_ca_whose_renewal_was_sent() -> None:
    old = mint("Issuing", ROOT, ca=True, days=(-400, -2))
    renewed = mint("Issuing", ROOT, ca=True, key=old.key)
    leaf = mint(HOST, renewed, sans=[HOST])
    finding = only([leaf, renewed], CertificateFault(10, 1), [ROOT, old])
    assert "the server sent a renewed one with the same name and key" in finding.cause
    assert finding.remedies[0].text.startswith("Replace the expired certificate 'Issuing' in the trusted CA list")
    alone = only([leaf], CertificateFault(10, 1), [ROOT, old])
    assert "It is the one in the trust store; the server did not send it." in alone.cause


def test_a_signature_by_another_trusted_ca_with_that_name_is_explained() -> None:
    twin = mint("Example Root", ca=True, organization="Example")
    finding = only([mint(HOST, twin, sans=[HOST])], CertificateFault(7, 0), [ROOT, twin])
    assert "The trust store has a CA 'Example Root' that made its signature" in finding.cause
    assert codes(finding)[0] == "remove-certificate"


def test_a_wrong_purpose_is_explained_by_the_extensions_of_the_certificate() -> None:
    no_ca = mint("No CA", ROOT, ca=False, purposes=())
    finding = only([mint(HOST, no_ca, sans=[HOST]), no_ca], CertificateFault(26, 1), [ROOT])
    assert "Its basic constraints say CA:FALSE." in finding.cause
    clients = mint("For clients", ROOT, ca=True, extensions=[(x509.ExtendedKeyUsage([CLIENT]), False)])
    finding = only([mint(HOST, clients, sans=[HOST]), clients], CertificateFault(26, 1), [ROOT])
    assert "serverAuth is missing" in finding.cause
    assert "server authentication in its extended key usage" in finding.remedies[0].text
    anything = mint(HOST, ROOT, sans=[HOST], purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    finding = only([anything], CertificateFault(26, 0), [ROOT])
    assert "serverAuth is missing, and OpenSSL does not accept anyExtendedKeyUsage for it" in finding.cause


def test_the_remedy_for_a_weak_ca_replaces_the_ca() -> None:
    finding = only([mint(HOST, INTERMEDIATE, sans=[HOST]), INTERMEDIATE], CertificateFault(68, 1), [ROOT])
    assert finding.remedies[0].text.startswith("Have the CA at depth 1 reissued with a key and a signature")


def test_one_fault_of_two_certificates_names_both() -> None:
    old = mint("Issuing", ROOT, ca=True, days=(-400, -2))
    leaf = mint(HOST, old, sans=[HOST], days=(-300, -3))
    finding = only([leaf, old], CertificateFault(10, 1), [ROOT])
    assert "depth 0" not in finding.cause
    (finding,) = judged([leaf, old], [CertificateFault(10, 1), CertificateFault(10, 0)], [ROOT]).findings
    sentence = f"The same fault is reported for the certificate '{HOST}' at depth 0: certificate has expired."
    assert sentence in finding.cause
    assert [line.rpartition("=")[2] for line in finding.evidence[:2]] == ["1", "0"]


def test_constraints_on_directory_names_are_written_as_names() -> None:
    limits = x509.NameConstraints([x509.DirectoryName(OTHER_ROOT.cert.subject)], None)
    narrow = mint("Narrow", ROOT, ca=True, extensions=[(limits, True)])
    finding = only([mint(HOST, narrow, sans=[HOST]), narrow], CertificateFault(47, 0), [ROOT])
    assert "permits CN=Other Root,O=Other." in finding.cause


def test_a_subject_that_is_not_text_is_tolerated() -> None:
    """With a BIT STRING as CN ``cryptography`` raises TypeError, while OpenSSL continues."""
    der = ROOT.der.replace(b"\x0c\x0cExample Root", b"\x03\x0c\0xample Root")
    assert der != ROOT.der
    odd = x509.load_der_x509_certificate(der)
    assert chain.parse(der) is None
    leaf = mint(HOST, OTHER_ROOT, sans=[HOST])
    handshake = Handshake(
        Address(HOST, 8443), "rsa", "192.0.2.1", sent=(leaf.der, der), faults=(CertificateFault(20, 0),)
    )
    result = assess(handshake, from_mapping({}), [odd, ROOT.cert], [], NOW)
    assert "The trust store has 'Example Root'" in result.findings[0].cause


def test_alert_40_without_a_certificate_request_is_a_tls_mismatch() -> None:
    def failed(requested: bool | None) -> Finding:
        handshake = Handshake(Address(HOST, 8443), "rsa", "192.0.2.1", certificate_requested=requested)
        text = "error:0A000410:SSL routines::sslv3 alert"
        handshake = replace(handshake, error_reason="sslv3 alert handshake failure", error_text=text)
        (finding,) = assess(handshake, from_mapping({}), [ROOT.cert], [], NOW).findings
        return finding

    assert (failed(False).code, failed(True).code) == ("tls-mismatch", "rejected-by-server")
    assert "did not request a client certificate" in failed(False).cause
    assert "check-own-certificate" not in codes(failed(False))


def test_a_wildcard_does_not_match_its_own_domain_and_blanks_are_visible() -> None:
    bare = only([mint("x", ROOT, sans=["*.example.test"])], NAME, [ROOT], host="example.test")
    assert "*.example.test stands for exactly one label before .example.test." in bare.cause
    blank = only([mint("x", ROOT, sans=[f"{HOST} "])], NAME, [ROOT])
    assert f"It contains '{HOST} '; its CN is x." in blank.cause
    assert f"The nearest to {HOST} is '{HOST} '." in blank.cause
