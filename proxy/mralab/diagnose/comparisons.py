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
from .case import Case, PeerCase
from .case_entry import Entry, derived, names_text, place, time_text
from .certificate_text import certificate_of, parsed_certificate
from .diagnosis import Answers
from .occurrence import CISCO_218018, MRA_GUIDE
from .outlook import CHAIN_CODES, NAME_CODE, VERIFICATION_CODES

_ECDSA_CODES: Final = frozenset(("self-signed", "unknown-ca", "issuer-missing", "partial-chain"))
_ENDED_BY_ANSWERS: Final = VERIFICATION_CODES | {"rejected-by-server", "unreachable", "timeout", "dns"}
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
                if other is not entry and entry.last < other.first:
                    _note_succession(entry, other)
    for entry in merged:
        _note_answers(entry, _answers_at(case, entry))


def _note_succession(earlier: Entry, later: Entry) -> None:
    """Say that one fault came after another; the chain is checked first, so a fault in the name proves it good."""
    if not {earlier.finding.code, later.finding.code} <= VERIFICATION_CODES:
        return
    until, since = time_text(earlier.last), time_text(later.first)
    later.history.append(f"Until {until} it was {earlier.finding.code}, which has not occurred since.")
    if earlier.finding.code in CHAIN_CODES and later.finding.code == NAME_CODE:
        earlier.category = "no-issue"
        earlier.history.append(
            f"Repaired: since {since} the fault is {NAME_CODE}, and X14.2 checks the name only once the chain is good."
        )
    else:
        earlier.history.append(f"Not seen after {until}; since {since} the fault is {later.finding.code}.")


def _answers_at(case: Case, entry: Entry) -> list[Answers]:
    """Return the answers of the entry's server and port to the peers that it concerns."""
    finding = entry.finding
    return [
        answers
        for name in entry.peers
        for answers in case.peers[name].diagnosis.answers()
        if answers.port == finding.port and (answers.server == finding.server or answers.ip == finding.ip != "")
    ]


def _note_answers(entry: Entry, answers: Sequence[Answers]) -> None:
    """Say that the server answered before or after."""
    if entry.finding.code not in _ENDED_BY_ANSWERS:
        return
    after = [one.last for one in answers if one.last > entry.last > 0]
    if after:
        if entry.category == "issue-found":
            entry.category = "potential-problem"
        entry.history.append(
            f"The server answered after the last failure, at {time_text(max(after))}: repaired, or not always."
        )
    elif answers and entry.first and min(one.first for one in answers) < entry.first:
        entry.history.append(f"The server answered before, first at {time_text(min(one.first for one in answers))}.")


def compare_peers(case: Case, merged: Sequence[Entry]) -> None:
    """Say which findings hold on one peer only, while other peers got answers from the same server."""
    for entry in merged:
        finding = entry.finding
        if not finding.server or len(case.peers) < 2 or finding.code not in VERIFICATION_CODES:
            continue
        others = {
            peer.name: answers
            for peer in case.peers.values()
            if peer.name not in entry.peers and not peer.diagnosis.is_edge()
            for answers in peer.diagnosis.answers()
            if answers.port == finding.port and (answers.server == finding.server or answers.ip == finding.ip != "")
        }
        verifying = [name for name in others if not _verifies_nothing(case.peers[name])]
        names = names_text(entry.peers)
        if verifying:
            entry.history.append(
                f"Only on {names}: {names_text(verifying)} reached the same server and got answers, so compare what "
                "differs, first the trusted CA list, which peers do not share."
            )
            entry.history += _missing_certificates(case, entry, verifying)
        elif others:
            entry.history.append(
                f"Only on {names}: {names_text(others)} reached the same server with VerifyOriginServer Off, so its "
                "answers say nothing about the certificate."
            )


def _verifies_nothing(peer: PeerCase) -> bool:
    """Return whether a peer's configuration dump has VerifyOriginServer Off."""
    return peer.settings is not None and peer.settings.verify == "off"


def _prefers_rsa(peer: PeerCase) -> bool:
    """Return whether every cipher string of a peer's configuration dump begins with the RSA cipher."""
    ciphers = peer.settings.ciphers if peer.settings is not None else ()
    return bool(ciphers) and all(value.startswith(RSA_FIRST) for _, value in ciphers)


def _missing_certificates(case: Case, entry: Entry, others: Iterable[str]) -> Iterator[str]:
    """Name the certificates that the trust stores of the good peers have and that of a failing one lacks."""
    stores = [case.peers[name].trust_store for name in others]
    good = [store for store in stores if store is not None]
    if not good or entry.finding.code not in CHAIN_CODES:
        return
    shared = set(good[0]).intersection(*good[1:])
    for name in entry.peers:
        store = case.peers[name].trust_store
        if store is None:
            continue
        lacking = [certificate_of(one) for one in good[0] if one in shared and one not in store]
        listed = ", ".join(f"{escape(one.subject)} ({one.fingerprint})" for one in lacking if one)
        if listed:
            yield f"The trusted CA list of {escape(name)} lacks what {names_text(others)} has: {listed}."


def suspected_ecdsa(case: Case, merged: Sequence[Entry]) -> Iterator[Entry]:
    """Yield a finding for each server that works on 8443 and not on 6972: its ECDSA certificate is suspected."""
    for entry in merged:
        finding = entry.finding
        if finding.port != 6972 or finding.code not in _ECDSA_CODES or entry.category == "no-issue":
            continue
        names = {finding.server, finding.ip} - {""}
        works = any(
            answers.port == 8443 and {answers.server, answers.ip} & names
            for peer in case.peers.values()
            for answers in peer.diagnosis.answers()
        )
        fails = any(other.key[1] == 8443 and {other.finding.server, other.finding.ip} & names for other in merged)
        if not works or fails or all(_prefers_rsa(case.peers[name]) for name in entry.peers):
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
        yield Entry(
            derived(
                "ecdsa-suspected",
                finding,
                f"{place(finding)} is refused and {host_port(escape(finding.server), 8443)} works: the two ports "
                "probably present different certificates. X14.2 offers ECDSA ciphers first. On 8443 CUCM has only its "
                "RSA certificate by default (enterprise parameter HTTPS Ciphers); on 6972 it then presents "
                f"tomcat-ECDSA, which is a certificate of its own and often still self-signed. {seen}",
                ("trust-itself", "prefer-rsa"),
                CISCO_218018,
            ),
            peers=dict.fromkeys(entry.peers, finding),
            category="potential-problem",
        )


def lost_redundancy(case: Case, merged: Sequence[Entry]) -> Iterator[Entry]:
    """Yield a finding for each server that fails while other servers of the same service answer."""
    services = {key: name for peer in case.peers.values() for key, name in peer.diagnosis.services().items() if name}
    answered = {(answers.server, answers.port) for peer in case.peers.values() for answers in peer.diagnosis.answers()}
    reported: set[tuple[str, int | None]] = set()
    for entry in merged:
        service = services.get(entry.key)
        failing = entry.category == "issue-found" and entry.key not in answered and entry.key not in reported
        if service is None or not failing or entry.finding.code in _NOT_OF_A_NODE:
            continue
        others = sorted(
            server
            for server, port in answered
            if port == entry.key[1] and server != entry.key[0] and services.get((server, port)) == service
        )
        if not others:
            continue
        reported.add(entry.key)
        yield Entry(
            derived(
                "redundancy-lost",
                entry.finding,
                f"{place(entry.finding)} fails for {service} ({entry.finding.code}), while {names_text(others)} "
                f"{'answers' if len(others) == 1 else 'answer'}: logins can succeed through those, and nothing is left "
                "if they fail as well.",
                (),
                MRA_GUIDE,
            ),
            peers=dict.fromkeys(entry.peers, entry.finding),
            category="potential-problem",
        )
