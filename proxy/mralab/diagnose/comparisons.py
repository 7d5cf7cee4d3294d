"""Compare what a case shows: before and after, peer with peer, a server's ports, the nodes of one service.

Each function adds sentences to entries, or yields entries of its own. A sentence is added only if the files show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..core.hostport import host_port
from ..core.log.escape import escape
from ..core.release import RSA_FIRST
from .answered_servers import Answers
from .case import Case, PeerCase
from .case_entry import Entry, derived, names_text, place, time_text
from .certificate_text import certificate_of, parsed_certificate
from .findings import Finding
from .occurrence import CISCO_218018, MRA_GUIDE
from .outlook import (
    CHAIN_CODES,
    ISSUER_CODES,
    NAME_CODE,
    VERIFICATION_CODES,
    is_about,
    is_elsewhere,
    is_ended_by_answers,
    proves_repaired,
)

COMPARED_CODES: Final = ("ecdsa-suspected", "redundancy-lost")
"""Codes of findings that only a comparison gives; ``rules.CODES`` has the others."""

_ECDSA_REMEDIES: Final = {
    "self-signed": "trust-itself",
    "unknown-ca": "trust-chain",
    "issuer-missing": "trust-chain",
    "partial-chain": "trust-root",
}
"""Codes of what an unexpected ECDSA certificate fails with -> what has to be trusted then (keys of ``REMEDIES``)."""

_INDEPENDENT_OF_PEER: Final = frozenset(
    (NAME_CODE, "expired", "not-yet-valid", "wrong-purpose", "weak", "name-constraints")
)
"""Faults of the server's own certificate, which another trusted CA list does not cure."""
_NOT_OF_A_NODE: Final = frozenset(("not-allowed", "bad-token"))


def compare_times(case: Case, merged: Sequence[Entry]) -> None:
    """Say what happened at a server before and after, and which findings are over."""
    by_place: defaultdict[tuple[str, int | None], list[Entry]] = defaultdict(list)
    for entry in merged:
        if entry.finding.server and entry.last:
            by_place[entry.key].append(entry)
    for entries in by_place.values():
        for entry in entries:
            for other in entries:
                if other is not entry:
                    _note_succession(entry, other)
    for entry in merged:
        _note_answers(case, entry)


def _note_succession(earlier: Entry, later: Entry) -> None:
    """Say that one fault came after another, and whether the later one proves the earlier one repaired.

    Only the lines of one peer can show that: each has a trusted CA list of its own.
    """
    if not {earlier.finding.code, later.finding.code} <= VERIFICATION_CODES:
        return
    if later.finding.action == "Continue":  # audit mode reports all faults of a handshake, one after the other
        return
    both = earlier.peers.keys() & later.peers.keys()
    peers = [name for name in earlier.peers if name in both]
    if not peers or any(earlier.peers[name].last >= later.peers[name].first for name in peers):
        return
    until = time_text(max(earlier.peers[name].last for name in peers))
    since = time_text(min(later.peers[name].first for name in peers))
    is_everywhere = earlier.peers.keys() <= later.peers.keys()
    on = "" if is_everywhere and later.peers.keys() <= earlier.peers.keys() else f"On {names_text(peers)}, "
    later.history.append(
        _capitalized(f"{on}until {until} it was {earlier.finding.code}, which has not occurred since.")
    )
    if proves_repaired(earlier.finding.code, later.finding.code):
        if is_everywhere:
            earlier.category = "no-issue"
        order = (
            "X14.2 checks the name only once the chain is good"
            if later.finding.code == NAME_CODE
            else "X14.2 checks the dates only once the issuer is trusted"
        )
        earlier.history.append(
            _capitalized(f"{on}repaired: since {since} the fault is {later.finding.code}, and {order}.")
        )
    else:
        earlier.history.append(
            _capitalized(f"{on}not seen after {until}; since {since} the fault is {later.finding.code}.")
        )


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _note_answers(case: Case, entry: Entry) -> None:
    """Say that the server answered before or after, on the peers that the entry concerns."""
    finding = entry.finding
    if not is_ended_by_answers(finding) or not entry.last or entry.category == "no-issue":
        return
    answers = {name: case.peers[name].diagnosis.answers() for name in entry.peers}
    about = {name: [one for one in each if is_about(one, finding)] for name, each in answers.items()}
    proofs = {name: [one for one in each if not is_elsewhere(one, finding)] for name, each in about.items()}
    after = {
        name: max(one.last for one in each)
        for name, each in proofs.items()
        if each and max(one.last for one in each) > entry.peers[name].last
    }
    if len(after) == len(entry.peers):
        if entry.category == "issue-found":
            entry.category = "potential-problem"
        entry.history.append(
            f"The server answered after the last failure, at {time_text(max(after.values()))}: "
            "it was repaired, or fails only sometimes."
        )
    elif after:
        others = [name for name in entry.peers if name not in after]
        entry.history.append(
            f"The server answered {names_text(after)} after its last failure there, at "
            f"{time_text(max(after.values()))}; {names_text(others)} got no answer after its own last failure."
        )
    elif between := [one.last for each in proofs.values() for one in each if entry.first < one.last < entry.last]:
        entry.history.append(
            f"The server answered in between, last at {time_text(max(between))}: it fails only sometimes, as where "
            "several servers have the name, or something was changed and changed back."
        )
    elif before := [one.first for each in proofs.values() for one in each if one.first < entry.first]:
        entry.history.append(f"The server answered before, first at {time_text(min(before))}.")
    if elsewhere := [one for each in about.values() for one in each if is_elsewhere(one, finding)]:
        addresses = names_text(dict.fromkeys(one.ip for one in elsewhere))
        entry.history.append(
            f"Requests for the same name were answered at {addresses}, not at {escape(finding.ip)}: the name has "
            "several addresses, and the servers there may present different certificates."
        )
    if finding.code == NAME_CODE:
        _note_other_names(entry, [one for each in answers.values() for one in each])


def _note_other_names(entry: Entry, answers: Iterable[Answers]) -> None:
    """Say which other names of the same server are answered."""
    finding = entry.finding
    others = {
        one.server.lower(): host_port(one.server, one.port)
        for one in answers
        if one.is_at(finding.server, finding.ip, finding.port) and not one.is_named(finding.server) and one.server
    }
    if others:
        entry.history.append(
            f"Requests for {names_text(others.values())}, at the same address, were answered: the fault is in the name "
            "that clients request."
        )


def compare_peers(case: Case, merged: Sequence[Entry]) -> None:
    """Say which findings hold on one peer only, while other peers got answers from the same server."""
    answering = [peer for peer in case.peers.values() if peer.diagnosis.answers() and not peer.diagnosis.is_edge()]
    for entry in merged:
        finding = entry.finding
        if not finding.server or len(case.peers) < 2 or finding.code not in VERIFICATION_CODES:
            continue
        others = [peer.name for peer in answering if peer.name not in entry.peers and _answered(peer, finding)]
        unverified = [name for name in others if _verifies_nothing(case.peers[name])]
        verified = [name for name in others if name not in unverified]
        names = names_text(entry.peers)
        if unverified:
            entry.history.append(
                f"{names_text(unverified)} got answers from the same server, with VerifyOriginServer Off: that says "
                "nothing about the certificate."
            )
        if not verified:
            continue
        first = (
            "compare what differs, first the trusted CA list, which peers do not share"
            if finding.code in ISSUER_CODES or finding.code not in _INDEPENDENT_OF_PEER
            else "compare what differs: VerifyOriginServer, the release, and whether the certificate was replaced in "
            "between"
        )
        entry.history.append(
            f"Only on {names}: {names_text(verified)} reached the same server and got answers, so {first}."
        )
        entry.history += _missing_certificates(case, entry, verified)


def _answered(peer: PeerCase, finding: Finding) -> bool:
    return any(is_about(answers, finding) for answers in peer.diagnosis.answers())


def _verifies_nothing(peer: PeerCase) -> bool:
    """Return whether a peer's configuration dump has VerifyOriginServer Off."""
    return peer.settings is not None and peer.settings.verify == "off"


def _prefers_rsa(peer: PeerCase) -> bool:
    """Return whether every cipher string of a peer's configuration dump begins with the RSA cipher."""
    ciphers = peer.settings.ciphers if peer.settings is not None else ()
    return bool(ciphers) and all(value.startswith(RSA_FIRST) for _, value in ciphers)


def _missing_certificates(case: Case, entry: Entry, others: Sequence[str]) -> Iterator[str]:
    """Name the certificates that the trust stores of the good peers have and that of a failing one lacks."""
    stores = [case.peers[name].trust_store for name in others]
    good = [store for store in stores if store is not None]
    if not good or entry.finding.code not in CHAIN_CODES:
        return
    have = "has" if len(others) == 1 else "have"
    shared = set(good[0]).intersection(*good[1:])
    for name in entry.peers:
        store = case.peers[name].trust_store
        if store is None:
            continue
        lacking = [certificate_of(one) for one in good[0] if one in shared and one not in store]
        listed = ", ".join(f"{escape(one.subject)} ({one.fingerprint})" for one in lacking if one)
        if listed:
            yield f"The trusted CA list of {escape(name)} lacks what {names_text(others)} {have}: {listed}."


def suspected_ecdsa(case: Case, merged: Sequence[Entry]) -> Iterator[Entry]:
    """Yield a finding for each server that works on 8443 and not on 6972: its ECDSA certificate is suspected."""
    for entry in merged:
        finding = entry.finding
        if finding.port != 6972 or finding.code not in _ECDSA_REMEDIES or entry.category == "no-issue":
            continue
        works = any(
            answers.is_at(finding.server, finding.ip, 8443)
            for name in entry.peers
            for answers in case.peers[name].diagnosis.answers()
        )
        fails = any(other.key[1] == 8443 and _is_one_server(other.finding, finding) for other in merged)
        works_elsewhere = any(
            _answered(peer, finding)
            for peer in case.peers.values()
            if peer.name not in entry.peers and not _verifies_nothing(peer)
        )
        rsa_first = all(_prefers_rsa(case.peers[name]) for name in entry.peers)
        if not works or fails or works_elsewhere or rsa_first:
            continue
        chain = entry.captured.chain if entry.captured is not None else ()
        shown = parsed_certificate(chain[0]) if chain else None
        if shown is not None and not shown.key.startswith("EC"):
            continue
        seen = (
            f"The capture shows an ECDSA certificate on 6972 ({shown.key})."
            if shown is not None
            else "The log does not show which certificate was presented; a capture or mralab preflight does."
        )
        often = " and often still self-signed" if finding.code == "self-signed" else ""
        yield Entry(
            derived(
                "ecdsa-suspected",
                finding,
                f"{place(finding)} is refused and {host_port(escape(finding.server), 8443)} works: the two ports "
                "probably present different certificates. X14.2 offers ECDSA ciphers first. On 8443 CUCM has only its "
                "RSA certificate by default (enterprise parameter HTTPS Ciphers); on 6972 it then presents "
                f"tomcat-ECDSA, which is a certificate of its own{often}. {seen}",
                (_ECDSA_REMEDIES[finding.code], "prefer-rsa"),
                CISCO_218018,
            ),
            peers=dict.fromkeys(entry.peers, finding),
            category="potential-problem",
        )


def _is_one_server(one: Finding, other: Finding) -> bool:
    return one.server.lower() == other.server.lower() or one.ip == other.ip != ""


def lost_redundancy(case: Case, merged: Sequence[Entry]) -> Iterator[Entry]:
    """Yield a finding for each server that fails while other servers of the same service answer."""
    services = {key: name for peer in case.peers.values() for key, name in peer.diagnosis.services().items() if name}
    answered = [answers for peer in case.peers.values() for answers in peer.diagnosis.answers()]
    reported: set[tuple[str, int | None]] = set()
    for entry in merged:
        service = services.get(entry.key)
        finding = entry.finding
        failing = entry.category == "issue-found" and not {entry.key, (finding.ip, finding.port)} & reported
        if service is None or not failing or finding.code in _NOT_OF_A_NODE:
            continue
        if any(one.is_at(finding.server, finding.ip, finding.port) for one in answered):
            continue  # the node works, at least by another name
        others = sorted(
            {
                one.server
                for one in answered
                if one.port == finding.port and services.get((one.server.lower(), one.port)) == service
            }
        )
        if not others:
            continue
        reported |= {entry.key, (finding.ip or entry.key[0], finding.port)}
        yield Entry(
            derived(
                "redundancy-lost",
                entry.finding,
                f"{place(entry.finding)} fails for {service} ({entry.finding.code}), while {names_text(others)} "
                + (
                    "answers: logins can succeed through it, and nothing is left if it fails as well."
                    if len(others) == 1
                    else "answer: logins can succeed through those, and nothing is left if they fail as well."
                ),
                (),
                MRA_GUIDE,
            ),
            peers=dict.fromkeys(entry.peers, entry.finding),
            category="potential-problem",
        )
