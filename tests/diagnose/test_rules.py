"""Rules: each error text of OpenSSL has its code, and remedies and sentences are consistent for a server."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.bindings.openssl.binding import Binding

from mralab.core.tls.tlserror import ALERTS, error_string
from mralab.diagnose.diagnosis import find
from mralab.diagnose.occurrence import FindingRule, Kind, Occurrence
from mralab.diagnose.remedies import REMEDIES
from mralab.diagnose.remedy_wordings import ALTERNATIVES
from mralab.diagnose.repair import NEXT
from mralab.diagnose.rules import CODES, RULES, Remedy, advice, causes, explain, rule_for
from mralab.diagnose.sentence import CLAIMS, DENIES, denied_by
from mralab.diagnose.tlscode import parse

FIELD = Path(__file__).parent.parent / "field"

# crypto/x509/x509_txt.c of 1.0.2u, 1.1.1w and 3.0 to 4.0: text -> expected code.
TEXTS: Final[dict[str, str]] = {
    "unspecified certificate verification error": "verification-error",
    "unable to get issuer certificate": "partial-chain",
    "unable to get certificate CRL": "revocation-unknown",
    "unable to decrypt certificate's signature": "bad-signature",
    "unable to decrypt CRL's signature": "revocation-unknown",
    "unable to decode issuer public key": "unsupported-key",
    "certificate signature failure": "bad-signature",
    "CRL signature failure": "revocation-unknown",
    "certificate is not yet valid": "not-yet-valid",
    "certificate is not yet valid or the system clock is incorrect": "not-yet-valid",
    "certificate has expired": "expired",
    "CRL is not yet valid": "revocation-unknown",
    "CRL has expired": "revocation-unknown",
    "format error in certificate's notBefore field": "malformed-certificate",
    "format error in certificate's notAfter field": "malformed-certificate",
    "format error in CRL's lastUpdate field": "revocation-unknown",
    "format error in CRL's nextUpdate field": "revocation-unknown",
    "out of memory": "verification-error",
    "self signed certificate": "self-signed",
    "self-signed certificate": "self-signed",
    "self signed certificate in certificate chain": "unknown-ca",
    "self-signed certificate in certificate chain": "unknown-ca",
    "unable to get local issuer certificate": "issuer-missing",
    "unable to verify the first certificate": "issuer-missing",
    "certificate chain too long": "chain-too-long",
    "certificate revoked": "revoked",
    "invalid CA certificate": "invalid-ca",
    "issuer certificate doesn't have a public key": "unsupported-key",
    "invalid non-CA certificate (has CA markings)": "invalid-ca",
    "path length constraint exceeded": "invalid-ca",
    "proxy path length constraint exceeded": "proxy-certificate",
    "proxy certificates not allowed, please set the appropriate flag": "proxy-certificate",
    "proxy subject name violation": "proxy-certificate",
    "unsupported certificate purpose": "wrong-purpose",
    "unsuitable certificate purpose": "wrong-purpose",
    "certificate not trusted": "distrusted",
    "certificate rejected": "distrusted",
    "application verification failure": "no-certificate",
    "subject issuer mismatch": "issuer-mismatch",
    "authority and subject key identifier mismatch": "issuer-mismatch",
    "authority and issuer serial number mismatch": "issuer-mismatch",
    "key usage does not include certificate signing": "invalid-ca",
    "unable to get CRL issuer certificate": "revocation-unknown",
    "unhandled critical extension": "critical-extension",
    "key usage does not include CRL signing": "revocation-unknown",
    "key usage does not include digital signature": "proxy-certificate",
    "unhandled critical CRL extension": "revocation-unknown",
    "invalid or inconsistent certificate extension": "malformed-certificate",
    "invalid or inconsistent certificate policy extension": "certificate-policy",
    "no explicit policy": "certificate-policy",
    "Different CRL scope": "revocation-unknown",
    "different CRL scope": "revocation-unknown",
    "Unsupported extension feature": "malformed-certificate",
    "unsupported extension feature": "malformed-certificate",
    "RFC 3779 resource not subset of parent's resources": "malformed-certificate",
    "permitted subtree violation": "name-constraints",
    "excluded subtree violation": "name-constraints",
    "name constraints minimum and maximum not supported": "name-constraints",
    "unsupported name constraint type": "name-constraints",
    "unsupported or invalid name constraint syntax": "name-constraints",
    "unsupported or invalid name syntax": "malformed-certificate",
    "CRL path validation error": "revocation-unknown",
    "Path Loop": "chain-too-long",
    "path loop": "chain-too-long",
    "Suite B: certificate version invalid": "suite-b",
    "Suite B: invalid public key algorithm": "suite-b",
    "Suite B: invalid ECC curve": "suite-b",
    "Suite B: invalid signature algorithm": "suite-b",
    "Suite B: curve not allowed for this LOS": "suite-b",
    "Suite B: cannot sign P-384 with P-256": "suite-b",
    "Hostname mismatch": "name-not-in-certificate",
    "hostname mismatch": "name-not-in-certificate",
    "Email address mismatch": "name-not-in-certificate",
    "email address mismatch": "name-not-in-certificate",
    "IP address mismatch": "name-not-in-certificate",
    "No matching DANE TLSA records": "dane",
    "no matching DANE TLSA records": "dane",
    "EE certificate key too weak": "weak",
    "CA certificate key too weak": "weak",
    "CA signature digest algorithm too weak": "weak",
    "Invalid certificate verification context": "verification-error",
    "invalid certificate verification context": "verification-error",
    "Issuer certificate lookup error": "verification-error",
    "issuer certificate lookup error": "verification-error",
    "Certificate Transparency required, but no valid SCTs found": "transparency",
    "OCSP verification needed": "revocation-unknown",
    "OCSP verification failed": "revocation-unknown",
    "OCSP unknown cert": "revocation-unknown",
    "Cannot find certificate signature algorithm": "bad-signature",
    "subject signature algorithm and issuer public key algorithm mismatch": "bad-signature",
    "cert info signature and signature algorithm mismatch": "bad-signature",
    "cert info siganature and signature algorithm mismatch": "bad-signature",  # this spelling is OpenSSL 3.0's
    "Path length invalid for non-CA cert": "invalid-ca",
    "Path length given without key usage keyCertSign": "invalid-ca",
    "Key usage keyCertSign invalid for non-CA cert": "invalid-ca",
    "Issuer name empty": "malformed-certificate",
    "Subject name empty": "malformed-certificate",
    "Missing Authority Key Identifier": "malformed-certificate",
    "Missing Subject Key Identifier": "malformed-certificate",
    "Empty Subject Alternative Name extension": "malformed-certificate",
    "Subject empty and Subject Alt Name extension not critical": "malformed-certificate",
    "Basic Constraints of CA cert not marked critical": "invalid-ca",
    "Authority Key Identifier marked critical": "malformed-certificate",
    "Subject Key Identifier marked critical": "malformed-certificate",
    "CA cert does not include key usage extension": "invalid-ca",
    "Using cert extension requires at least X509v3": "malformed-certificate",
    "Certificate public key has explicit ECC parameters": "unsupported-key",
    "Raw public key untrusted, no trusted keys configured": "distrusted",
    "OCSP response(s) invalid": "revocation-unknown",
    "OCSP response signature verification failure": "revocation-unknown",
    "OCSP response not yet valid (contains a date in the future)": "revocation-unknown",
    "OCSP response has expired": "revocation-unknown",
    "no OCSP response available for certificate": "revocation-unknown",
    "Empty Authority Key Identifier": "malformed-certificate",
    "Authority Key Identifier issuer and serial number must be paired": "malformed-certificate",
    "unknown certificate verification error": "verify-failed",
    "error number 1234": "verify-failed",
}
TRUST_AT_FAULT: Final = frozenset(
    ("self-signed", "unknown-ca", "issuer-missing", "partial-chain", "issuer-mismatch", "distrusted")
)


def fault(error: str, depth: int = 0, kind: Kind = "chain", action: str = "Terminate", port: int = 8443) -> Occurrence:
    return Occurrence(kind, "cucm.example.test", "192.0.2.1", error, 0, 0, ("line",), port, depth, action)


def rule_of(occurrence: Occurrence) -> FindingRule:
    rule = rule_for(occurrence)
    assert rule is not None
    return rule


def explained(occurrence: Occurrence, *other_codes: str) -> tuple[str, str, tuple[Remedy, ...]]:
    rule = rule_of(occurrence)
    return rule.code, *explain(rule, occurrence, other_codes)


def own_texts() -> set[str]:
    """Return every text of the OpenSSL that this Python uses."""
    lib, ffi = Binding.lib, Binding.ffi
    return {ffi.string(lib.X509_verify_cert_error_string(number)).decode() for number in range(1, 200)}


# -- verify errors


@pytest.mark.parametrize(("text", "code"), TEXTS.items())
@pytest.mark.parametrize("depth", [0, 1])
def test_each_verify_text_has_its_code_and_remedies_that_fit(text: str, code: str, depth: int) -> None:
    if depth and text == "unable to get local issuer certificate":
        code = "unknown-ca"
    found, cause, remedies = explained(fault(text, depth))
    assert found == code
    assert ("trust-certificate" in [remedy.code for remedy in remedies]) is (
        code in TRUST_AT_FAULT and not text.startswith("Raw")
    )
    assert len(remedies) > 1
    assert remedies[-1].code == "verify-origin-off"
    assert remedies[-1].text.startswith("For the short term only")
    assert "xConfiguration EdgeConfigServer VerifyOriginServer: Off" in remedies[-1].text
    assert [remedy.code for remedy in remedies].count("verify-origin-off") == 1
    assert "cucm.example.test:8443" in cause
    assert all(remedy.where for remedy in remedies)


def test_the_texts_of_this_openssl_are_all_known() -> None:
    assert own_texts() - TEXTS.keys() == set()


@pytest.mark.parametrize("text", ["", "x", "an error that OpenSSL 9 will add", "certificate", "{place}"])
def test_an_unknown_text_gets_the_general_rule_without_a_trust_remedy(text: str) -> None:
    code, cause, remedies = explained(fault(text))
    assert code == "verify-failed"
    assert text in cause
    assert "trust-certificate" not in [remedy.code for remedy in remedies]


def test_field_case_of_two_x509_texts() -> None:
    findings = find((FIELD / "14-x509-texts-a.log").read_text().splitlines())
    assert [(finding.code, finding.server) for finding in findings] == [
        ("critical-extension", "h1.example.test"),
        ("name-constraints", "h2.example.test"),
    ]
    assert all(remedy.code != "trust-certificate" for finding in findings for remedy in finding.remedies)


# -- handshake errors


@pytest.mark.parametrize("number", ALERTS)
@pytest.mark.parametrize("known", [True, False], ids=["text", "code alone"])
@pytest.mark.parametrize("form", ["1.1", "3"])
def test_an_alert_is_known_by_its_code(number: int, known: bool, form: str) -> None:
    reason = 1000 + number
    head = f"error:{0x14094000 + reason:08X}" if form == "1.1" else f"error:{0x0A000000 + reason:08X}"
    tail = ":SSL routines:ssl3_read_bytes:something that OpenSSL 9 says" if known else ""
    assert parse(head + tail).reason == f"alert {ALERTS[number]}"
    assert explained(fault(head + tail, kind="handshake"))[0] in CODES


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("error:14094410", "tls-mismatch", "client certificate"),
        ("error:14094410:lib(20):func(148):reason(1040)", "tls-mismatch", "cipher"),
        ("error:14077410:SSL routines:SSL23_GET_SERVER_HELLO:sslv3 alert handshake failure", "tls-mismatch", "cipher"),
        ("error:14094412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate", "rejected-by-server", "read"),
        ("error:14094413", "rejected-by-server", "kind"),
        ("error:14094414", "rejected-by-server", "revoked"),
        ("error:14094415", "rejected-by-server", "expired"),
        ("error:14094416", "rejected-by-server", "no particular reason"),
        ("error:14094418", "rejected-by-server", "does not trust the CA"),
        ("error:14094419", "rejected-by-server", "access"),
        ("error:1409441B", "handshake-failed", "signature"),
        ("error:1409442E", "tls-mismatch", "TLS version"),
        ("error:1409442F", "tls-mismatch", "stronger"),
        ("error:14094438", "handshake-failed", "internal error"),
        ("error:14094458", "unrecognized-name", "SNI"),
        ("error:1409445C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required", "rejected-by-server", "none"),
        ("error:0A00045C", "rejected-by-server", "requires a client certificate"),
        ("error:0A000418:SSL routines::tlsv1 alert unknown ca", "rejected-by-server", "does not trust the CA"),
        ("error:140940C8:SSL routines:ssl3_read_bytes:tlsv1 alert", "handshake-failed", "failed"),
        ("error:1416F086", "verify-failed", "that says why is not in this log"),
        (
            "error:14090086:SSL routines:ssl3_get_server_certificate:certificate verify failed",
            "verify-failed",
            "that says why is not in this log",
        ),
        ("error:14090086", "verify-failed", "Expressway-C did not accept"),
        (
            "error:14089086:SSL routines:ssl3_get_client_certificate:certificate verify failed",
            "verify-failed",
            "client",
        ),
        ("error:14089086", "verify-failed", "its client"),
        ("error:0A000086:SSL routines::certificate verify failed", "verify-failed", "that says why is not in this log"),
        ("error:1408F10B", "not-tls", "wrong version number"),
        ("error:140770FC:SSL routines:SSL23_GET_SERVER_HELLO:unknown protocol", "not-tls", "unknown protocol"),
        ("error:1407609C", "not-tls", "http request"),
        ("error:0A00010B:lib(20)::reason(267)", "not-tls", "wrong version number"),
        ("error:141A10F4", "handshake-failed", "unexpected message"),
        ("error:1425F102", "tls-mismatch", "unsupported protocol"),
        ("error:14171102", "tls-mismatch", "unsupported protocol"),
        ("error:1417110A", "tls-mismatch", "wrong ssl version"),
        ("error:141A318A", "tls-mismatch", "dh key too small"),
        ("error:14082174:SSL routines:SSL3_CHECK_CERT_AND_ALGORITHM:dh key too small", "tls-mismatch", "dh key"),
        ("error:1414D172", "tls-mismatch", "wrong signature type"),
        ("error:1421C105", "tls-mismatch", "wrong cipher"),
        ("error:141640B5:SSL routines::no ciphers available", "tls-mismatch", "no ciphers"),
        ("error:0A000126:SSL routines::unexpected eof while reading", "handshake-failed", "closed the connection"),
        ("error:0407008A:rsa routines:RSA_padding_check_PKCS1_type_1:invalid padding", "handshake-failed", "padding"),
        ("error:0A071003:dsa routines:DSA_do_verify:BN lib", "handshake-failed", "BN lib"),
        ("error:14094FFF", "handshake-failed", "14094FFF"),
        ("sslv3 alert certificate expired", "rejected-by-server", "expired"),
        ("", "handshake-failed", "no reason given"),
    ],
)
def test_handshake_errors_are_read_by_code_and_text(error: str, code: str, says: str) -> None:
    found, cause, remedies = explained(fault(error, kind="handshake"))
    assert (found, says in cause) == (code, True), cause
    assert remedies
    assert "complaint" not in cause


def test_each_reason_to_refuse_a_client_certificate_has_its_own_cause() -> None:
    causes_by_alert = {
        number: explained(fault(f"error:{0x14094000 + 1000 + number:08X}", kind="handshake"))
        for number in (41, 42, 43, 44, 45, 46, 48, 49, 116)
    }
    without_reason = {re.sub(r"\(alert [^)]*\)", "", cause) for _, cause, _ in causes_by_alert.values()}
    assert len(without_reason) == len(causes_by_alert) - 1  # 41 and 116 mean the same in two generations of TLS
    trusting = {number for number, (_, cause, _) in causes_by_alert.items() if "does not trust" in cause}
    assert trusting == {48}
    assert causes_by_alert[48][2][0].code == "trust-us"
    assert causes_by_alert[45][2][0].code == "renew-own-certificate"
    assert causes_by_alert[116][2][0].code == "check-own-certificate"


# -- several faults at one place

REPRESENTATIVES: Final = tuple(
    [fault(text, depth, action=action) for text in TEXTS for depth in (0, 1) for action in ("Terminate", "Continue")]
    + [fault("not in certificate", 0, "name", action) for action in ("Terminate", "Continue")]
    + [fault(f"error:{0x14094000 + 1000 + number:08X}", kind="handshake", action="") for number in ALERTS]
    + [
        fault(error, kind="handshake", action="")
        for error in ("error:1408F10B", "error:1416F086", "error:1425F102", "error:0A000126", "other")
    ]
    + [
        fault(status, kind="answer", action="")
        for status in ("502 Cannot find server.", "504 Timed Out", "502 Server Hangup", "502 connect failed")
    ]
)


def one_of_each() -> list[Occurrence]:
    """Return one occurrence for each rule and action."""
    kept: dict[tuple[int, str], Occurrence] = {}
    for occurrence in REPRESENTATIVES:
        kept.setdefault((RULES.index(rule_of(occurrence)), occurrence.action), occurrence)
    return list(kept.values())


def test_no_sentence_contradicts_another_finding_at_the_same_server() -> None:
    walked = 0
    codes = {rule_of(occurrence).code for occurrence in one_of_each()}
    for occurrence in one_of_each():
        rule = rule_of(occurrence)
        others = sorted(codes - {rule.code})
        for size in (1, 2):
            for other_codes in combinations(others, size):
                cause = causes(rule, occurrence, other_codes)
                remedies = advice(rule, occurrence, other_codes)
                spoken = [*cause, *(chosen.sentence for chosen in remedies)]
                denied = denied_by(other_codes)
                assert not [sentence for sentence in spoken if sentence.asserts & denied], (rule.code, other_codes)
                own = [sentence for sentence in cause if sentence.asserts & DENIES.get(rule.code, set())]
                assert not own, (rule.code, own)
                assert cause, (rule.code, other_codes)  # at least one sentence remains
                assert remedies, (rule.code, other_codes)
                walked += 1
                assert denied_by((*other_codes, rule.code)) <= CLAIMS
    assert walked > 20_000


def test_sentences_change_next_to_other_findings() -> None:
    """Cover sentences without claims, in which the test above cannot find contradictions."""
    name = fault("not in certificate", kind="name")
    assert "chain of CAs was accepted" in explained(name)[1]
    assert "accepted" not in explained(name, "unknown-ca")[1]
    assert "accepted" not in explained(fault("not in certificate", kind="name", action="Continue"))[1]
    itself = explained(fault("self signed certificate"), "expired")[2]
    assert [remedy.code for remedy in itself] == ["reissue", "trust-certificate", "verify-origin-off"]
    assert "has to be replaced" in itself[1].text
    used = {claim for entry in ALTERNATIVES.values() for sentence in entry for claim in sentence.asserts}
    used |= {claim for rule in RULES for each in rule.sentences() for sentence in each for claim in sentence.asserts}
    assert used <= CLAIMS
    # Every claim is denied by some code, except the one that unread lines deny.
    assert all(any(claim in denied for denied in DENIES.values()) for claim in used - {"log-read"})


def test_the_table_of_denials_matches_the_meaning_of_the_codes() -> None:
    """Check the table of denials, on which the tests of contradictions rely."""
    of_chains = {rule.code for rule in RULES if rule.kind == "chain"} - {"name-not-in-certificate"}
    assert all({"chain-good", "never-tls"} <= DENIES[code] for code in of_chains)
    untrusted = {code for code, denied in DENIES.items() if "issuer-trusted" in denied}
    assert untrusted == {"self-signed", "unknown-ca", "issuer-missing", "issuer-mismatch", "distrusted"}
    replaced = {code for code, denied in DENIES.items() if "certificate-stays" in denied}
    assert {"expired", "revoked", "weak", "wrong-purpose", "bad-signature", "critical-extension"} <= replaced
    assert not replaced & TRUST_AT_FAULT
    assert "name-matches" in DENIES["name-not-in-certificate"]
    assert "speaks-tls" in DENIES["not-tls"]


def test_the_last_alternative_wording_is_always_true() -> None:
    spoken = {name for rule in RULES for name in rule.remedies}
    assert all(wordings[-1].asserts == frozenset() for name, wordings in ALTERNATIVES.items() if name in spoken)
    assert all(wordings[0].text == REMEDIES[name].text for name, wordings in ALTERNATIVES.items())
    assert {name for rule in RULES for name in rule.remedies} <= REMEDIES.keys()
    assert DENIES.keys() <= set(CODES)
    assert NEXT.keys() <= set(CODES)
    assert {rule.code for rule in RULES if rule.kind in ("chain", "name")} == NEXT.keys()


def test_an_audited_chain_has_an_order_of_repair() -> None:
    other_codes = ("expired", "name-not-in-certificate", "unknown-ca")
    first = explained(fault("self signed certificate in certificate chain", 1, action="Continue"), *other_codes)[1]
    assert "Fix this first" in first
    assert first.index("certificate has expired") < first.index("SNI not in certificate")
    assert "One new certificate can fix them all" in first
    last = explained(fault("not in certificate", kind="name", action="Continue"), *other_codes)[1]
    assert "Fix unknown-ca and expired first" in last


def test_faults_of_separate_handshakes_are_not_combined() -> None:
    cause = explained(fault("certificate has expired"), "name-not-in-certificate")[1]
    assert "with another certificate or at another time" in cause
    assert "fix this first, then name-not-in-certificate" in cause
    assert "Fix" not in explained(fault("certificate has expired"), "timeout")[1]


def test_a_refused_connection_is_not_attributed_to_a_certificate_without_a_line() -> None:
    refused = fault("502 connect failed", kind="answer", action="")
    refused.ip = "192.0.2.1"
    assert "No line blames a certificate" in explained(refused)[1]
    assert "blames a certificate" not in explained(refused, "expired")[1]
    refused.unread = 2
    assert "No line that was read blames a certificate; 2 lines" in explained(refused)[1]
    assert "blames a certificate" not in explained(refused, "expired")[1]


# -- ports


@pytest.mark.parametrize(
    ("port", "certificate", "reuse"),
    [
        (8443, "tomcat certificate (tomcat-ECDSA if HTTPS Ciphers allows EC)", False),
        (443, "tomcat certificate (tomcat-ECDSA if HTTPS Ciphers allows EC)", False),
        (6971, "CallManager or CallManager-ECDSA certificate", True),
        (6972, "tomcat or tomcat-ECDSA certificate", False),
        (7443, "tomcat or tomcat-ECDSA certificate", False),
        (5061, "CallManager or CallManager-ECDSA certificate (cup or cup-ECDSA on IM and Presence)", True),
        (5222, "cup-xmpp or cup-xmpp-ECDSA certificate", False),
        (4711, "the certificate of", False),
    ],
)
def test_remedies_name_the_certificates_of_the_port(port: int, certificate: str, reuse: bool) -> None:
    texts = [remedy.text for remedy in explained(fault("self signed certificate", port=port))[2]]
    assert certificate in texts[0]
    assert ["reuse the tomcat certificate" in text for text in texts] == [reuse, False, False]


@pytest.mark.parametrize(
    ("text", "expected", "unexpected"),
    [
        ("Key usage keyCertSign invalid for non-CA cert", "CA extensions that contradict", "signed another"),
        ("invalid CA certificate", "CA extensions that contradict", "signed another"),
        ("email address mismatch", "e-mail address", "is for other names"),
        ("invalid or inconsistent certificate policy extension", "extension that is not valid", "chain requires"),
        ("RFC 3779 resource not subset of parent's resources", "or uses a part of it", "nothing"),
    ],
)
def test_causes_at_depth_0_claim_no_more_than_openssl(text: str, expected: str, unexpected: str) -> None:
    cause = explained(fault(text, 0))[1]
    assert expected in cause
    assert unexpected not in cause


@pytest.mark.parametrize(("number", "expected"), [(90, "cancelled"), (100, "renegotiate TLS"), (99, "has no name")])
def test_alerts_that_do_not_blame_the_received_data(number: int, expected: str) -> None:
    text = error_string(f"reason({1000 + number})", "1.1.1")
    cause = explained(fault(text, kind="handshake"))[1]
    assert expected in cause
    assert "could not use" not in cause


def test_the_depth_is_named_where_a_ca_is_at_fault_and_nothing_of_cas_where_it_is_not() -> None:
    for error in ("invalid non-CA certificate", "invalid or inconsistent certificate extension"):
        of_leaf, of_ca = (explained(fault(error, depth))[2] for depth in (0, 1))
        assert of_leaf[0].text.startswith("Reissue the tomcat certificate")
        assert "depth" not in of_leaf[0].text
        assert " CA" not in of_leaf[0].text
        assert "or have the CA at depth 1 reissued, without that fault." in of_ca[0].text
