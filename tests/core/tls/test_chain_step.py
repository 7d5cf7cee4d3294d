"""Steps of OpenSSL's verification without OpenSSL: each test makes the callback's calls of one handshake."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mralab.core.release import VerifyMode
from mralab.core.tls.chain_step import CertificateFacts, Step, judge_step
from mralab.core.tls.hostname import CertificateNames
from mralab.core.tls.verdict import CertificateFault, Verdict

EXPIRED, UNKNOWN_ISSUER, LONE_LEAF, SELF_SIGNED_IN_CHAIN, NO_CA = 10, 20, 21, 19, 24
WEAK_LEAF_KEY, WEAK_CA_KEY, WEAK_DIGEST = 66, 67, 68


def member(name: str, issuer: str, *, bits: int = 112, weakly_signed: bool = False) -> CertificateFacts:
    return CertificateFacts(CertificateNames(), bits, weakly_signed, 0.0, issuer.encode(), name.encode())


LEAF, INTERMEDIATE, ROOT = member("leaf", "intermediate"), member("intermediate", "root"), member("root", "root")


def accepted(certificate: CertificateFacts, depth: int) -> Step:
    return Step(certificate, 0, depth, True)


def refused(certificate: CertificateFacts, depth: int, error: int) -> Step:
    return Step(certificate, error, depth, False)


def second_pass(*chain: CertificateFacts) -> list[Step]:
    """Return the calls for a chain that OpenSSL accepts; the leaf is the first argument."""
    return [accepted(certificate, depth) for depth, certificate in reversed(list(enumerate(chain)))]


def walk(steps: Sequence[Step], sent: Sequence[CertificateFacts], mode: VerifyMode = "audit") -> list[tuple[int, int]]:
    """Return error and depth of each fault that a handshake reports, until it ends."""
    verdict = Verdict("cucm.steven.lab", mode)
    for step in steps:
        for fault in judge_step(step, verdict.faults, lambda: sent):
            if not verdict.add(fault):
                return [(fault.number or 0, fault.depth) for fault in verdict.faults]
    return [(fault.number or 0, fault.depth) for fault in verdict.faults]


def test_a_strong_chain_has_no_fault() -> None:
    assert walk(second_pass(LEAF, INTERMEDIATE, ROOT), [LEAF, INTERMEDIATE]) == []


def test_a_fault_that_openssl_reports_is_reported_as_it_is() -> None:
    steps = [refused(LEAF, 0, UNKNOWN_ISSUER), refused(LEAF, 0, LONE_LEAF), accepted(LEAF, 0)]
    assert walk(steps, [LEAF]) == [(UNKNOWN_ISSUER, 0), (LONE_LEAF, 0)]
    assert walk(steps, [LEAF], "on") == [(UNKNOWN_ISSUER, 0)]


@pytest.mark.parametrize("bits", [0, 64, 79])
def test_a_weak_key_of_the_leaf_comes_before_any_other_fault(bits: int) -> None:
    weak = member("leaf", "intermediate", bits=bits)
    steps = [refused(INTERMEDIATE, 1, NO_CA), *second_pass(weak, INTERMEDIATE, ROOT)]
    assert walk(steps, [weak, INTERMEDIATE]) == [(WEAK_LEAF_KEY, 0), (NO_CA, 1)]
    assert walk(steps, [weak, INTERMEDIATE], "on") == [(WEAK_LEAF_KEY, 0)]
    assert walk(second_pass(weak, ROOT), [weak]) == [(WEAK_LEAF_KEY, 0)]


def test_80_bits_are_enough() -> None:
    leaf, ca = member("leaf", "ca", bits=80), member("ca", "root", bits=80)
    assert walk(second_pass(leaf, ca, ROOT), [leaf, ca]) == []


def test_weak_members_come_after_the_faults_of_building_the_chain() -> None:
    leaf = member("leaf", "intermediate", weakly_signed=True)
    weak = member("intermediate", "root", bits=64)
    steps = [refused(weak, 1, NO_CA), *second_pass(leaf, weak, ROOT)]
    assert walk(steps, [leaf, weak]) == [(NO_CA, 1), (WEAK_DIGEST, 0), (WEAK_CA_KEY, 1)]


def test_weak_members_come_before_any_date_and_count_once() -> None:
    leaf = member("leaf", "intermediate", weakly_signed=True)
    weak = member("intermediate", "root", bits=64, weakly_signed=True)
    steps = [
        *(refused(ROOT, 2, EXPIRED), accepted(ROOT, 2)),
        *(refused(weak, 1, EXPIRED), accepted(weak, 1)),
        *(refused(leaf, 0, EXPIRED), accepted(leaf, 0)),
    ]
    weaknesses = [(WEAK_DIGEST, 0), (WEAK_CA_KEY, 1), (WEAK_DIGEST, 1)]
    assert walk(steps, [leaf, weak]) == [*weaknesses, (EXPIRED, 2), (EXPIRED, 1), (EXPIRED, 0)]
    assert walk(steps, [leaf, weak], "on") == [(WEAK_DIGEST, 0)]


def test_a_weak_root_of_the_trust_store_is_found_at_its_own_step_after_the_members_below() -> None:
    root = member("root", "root", bits=64)
    leaf = member("leaf", "root", weakly_signed=True)
    assert walk(second_pass(leaf, root), [leaf]) == [(WEAK_DIGEST, 0), (WEAK_CA_KEY, 1)]


def test_certificates_sent_in_any_order_and_besides_the_chain() -> None:
    leaf = member("leaf", "intermediate", weakly_signed=True)
    weak = member("intermediate", "root", bits=64)
    other = member("other", "other", bits=1, weakly_signed=True)
    steps = [refused(ROOT, 2, EXPIRED), *second_pass(leaf, weak, ROOT)]
    assert walk(steps, [leaf, other, ROOT, weak]) == [(WEAK_DIGEST, 0), (WEAK_CA_KEY, 1), (EXPIRED, 2)]


def test_the_digest_of_a_leaf_alone_is_not_checked() -> None:
    """The leaf is the last of its chain, and check_auth_level of OpenSSL 1.1.1 skips the last."""
    leaf = member("leaf", "nobody", weakly_signed=True)
    steps = [refused(leaf, 0, UNKNOWN_ISSUER), refused(leaf, 0, LONE_LEAF), accepted(leaf, 0)]
    assert walk(steps, [leaf]) == [(UNKNOWN_ISSUER, 0), (LONE_LEAF, 0)]


def test_an_empty_chain_is_not_a_further_fault() -> None:
    assert walk([refused(ROOT, 1, SELF_SIGNED_IN_CHAIN), refused(ROOT, 1, EXPIRED)], []) == [
        (SELF_SIGNED_IN_CHAIN, 1),
        (EXPIRED, 1),
    ]


def test_of_the_sent_certificates_only_those_above_the_leaf_are_read() -> None:
    def unreadable() -> list[CertificateFacts]:
        raise AssertionError

    weak = member("leaf", "root", bits=64, weakly_signed=True)
    assert judge_step(accepted(ROOT, 1), (), unreadable) == []
    assert judge_step(refused(weak, 0, EXPIRED), (), unreadable) == [
        CertificateFault(WEAK_LEAF_KEY, 0),
        CertificateFault(WEAK_DIGEST, 0),
        CertificateFault(EXPIRED, 0),
    ]
