"""Why a chain has no trusted end, seen with the trust store at hand: which CA is missing, outdated or unknown."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from cryptography import x509

from . import chain
from .chain import Shown
from .sentence import Sentence, Wordings, say


def plain(text: str) -> Sentence:
    """Return a finished sentence: braces in it are text of a certificate, not facts to fill in."""
    return Sentence(text.replace("{", "{{").replace("}", "}}"))


class Judged(NamedTuple):
    """A cause in place of the rule's, and remedies in place of the rule's unless empty."""

    cause: tuple[Sentence | Wordings, ...]
    remedies: tuple[str, ...] = ()


def _self_signed(shown: Shown, depth: int, leaf: x509.Certificate) -> Judged:
    name = chain.quoted(leaf.subject)
    twins = [one for one in shown.store if chain.same_name(one.subject, leaf.subject) and one != leaf]
    if leaf in shown.store:
        return Judged(
            (
                say("{place} presented a self-signed certificate, which is in Expressway-C's trust store."),
                plain(
                    f"But the trust store also has another certificate with the subject {name}, and verification "
                    "stopped at that one: two of one name cannot both be used."
                ),
            ),
            ("sign", "remove-namesake", "verify-origin-off"),
        )
    cause: list[Sentence | Wordings] = [
        say("{place} presented a self-signed certificate, which is not itself in Expressway-C's trust store."),
        plain(f"Its subject is {name}."),
    ]
    if twins:
        cause.append(
            plain(
                f"The trust store has another certificate with the subject {name}, and Expressway-C stops at the first "
                "entry whose subject matches: two of one name cannot both be used."
            )
        )
        return Judged(tuple(cause), ("sign", "trust-itself", "verify-origin-off"))
    return Judged(tuple(cause))


def _issuer_missing(shown: Shown, depth: int, certificate: x509.Certificate) -> Judged:
    """Judge a chain that ends at ``certificate``, whose issuer is missing."""
    child, issuer = chain.quoted(certificate.subject), chain.quoted(certificate.issuer)
    if any(chain.may_have_issued(one, certificate) for one in shown.sent[1:]):
        return _sent_in_vain(shown, depth, certificate)
    stale = [one for one in shown.store if chain.same_name(one.subject, certificate.issuer)]
    if stale:
        signer = next((one for one in stale if chain.signed_by(certificate, one)), None)
        if signer is not None:
            return Judged((plain(_misnamed(certificate, signer)),), ("trust-version", "sign", "verify-origin-off"))
        return Judged((plain(_reissued(certificate, stale[0])),), ("trust-again", "sign", "verify-origin-off"))
    alone = depth == 0 and len(shown.sent) == 1
    sent = "{place} sent its certificate alone, without the CA " if alone else "{place} did not send the CA "
    # The place is a fact of the rules; the names are text of the certificate.
    cause: list[Sentence | Wordings] = [
        Sentence(sent + plain(f"{issuer} that issued {child}, and the trust store does not have it either.").text)
    ]
    wrong = [one for one in shown.sent[1:] if chain.same_name(one.subject, certificate.issuer)]
    if wrong:
        cause.append(plain(f"It did send a CA of that name, but another one: {key_difference(certificate, wrong[0])}."))
    if certificate in shown.store:
        cause.append(
            plain(
                f"{child} itself is in the trust store. That is not enough for a certificate that a CA issued: the "
                "CA has to be trusted."
            )
        )
    if (evidence := _root_by(shown, certificate)) is not None:
        cause.append(plain(f"{issuer} is a root CA ({evidence}), which no server can make trusted by sending it."))
        return Judged(tuple(cause), ("trust-chain", "sign", "verify-origin-off"))
    root, found = _trusted_above(shown, certificate)
    if root is not None:
        cause.append(
            plain(
                f"Only the intermediate CA {issuer} is missing: "
                f"its root {chain.quoted(root)} is already trusted ({found})."
            )
        )
        return Judged(tuple(cause), ("send-intermediate", "trust-intermediate", "verify-origin-off"))
    related = _related(shown, certificate)
    few = [chain.quoted(one.subject) for one in shown.store] if len(shown.store) <= _FEW else []
    if candidates := related or few:
        cause.append(
            plain(
                f"The trust store has {_listed(candidates)}: if {issuer} is an intermediate CA under that, its root is "
                "already trusted, and only the server has to send it; if not, its root has to be trusted too."
            )
        )
    else:
        cause.append(
            plain(
                f"The trust store has {len(shown.store)} certificates, and the certificate does not say whether one of "
                "them is its root."
                if shown.store
                else "The trust store is empty."
            )
        )
    first = ("send-intermediate", "trust-chain") if related else ("trust-chain", "send-chain")
    return Judged(tuple(cause), (*first, "sign", "verify-origin-off"))


def _sent_in_vain(shown: Shown, depth: int, certificate: x509.Certificate) -> Judged:
    """Judge a chain that ends although the server sent the issuer: OpenSSL stops at its depth limit and at a loop."""
    child, issuer = chain.quoted(certificate.subject), chain.quoted(certificate.issuer)
    below = [link.certificate for link in shown.links[: depth + 1]]
    if any(chain.may_have_issued(one, certificate) for one in below):
        return Judged(
            (
                Sentence("The chain that {place} sent " + plain(f"leads in a circle: {issuer}, which issued").text),
                plain(f"{child}, is below it as well, and no trusted CA is above them."),
            ),
            ("shorten-chain", "inspect", "verify-origin-off"),
        )
    return Judged(
        (
            Sentence(
                "{place} sent " + plain(f"the CA {issuer} that issued {child}, but OpenSSL stopped before it").text
            ),
            plain("because the chain is longer than it follows; so this says nothing about trust."),
        ),
        ("shorten-chain", "verify-origin-off"),
    )


def _unknown_root(shown: Shown, depth: int, certificate: x509.Certificate) -> Judged:
    """Judge a chain that reaches a root which is not trusted, or a CA whose issuer is missing."""
    if not chain.is_self_issued(certificate):
        return _issuer_missing(shown, depth, certificate)
    root = chain.quoted(certificate.subject)
    stale = [one for one in shown.store if chain.same_name(one.subject, certificate.subject) and one != certificate]
    if stale and certificate in shown.store:
        return Judged(
            (
                plain(
                    f"The root CA {root} is in the trust store, but so is another certificate of that name, and "
                    "verification stopped at that one: two of one name cannot both be used."
                ),
            ),
            ("remove-namesake", "sign", "verify-origin-off"),
        )
    if stale:
        twin = next((one for one in stale if chain.same_key(certificate, one)), stale[0])
        return Judged(
            (
                Sentence(plain(f"The root CA {root} that ").text + "{place}" + " sent is not the one that is trusted."),
                plain(_root_difference(certificate, twin)),
            ),
            ("trust-version" if chain.same_key(certificate, twin) else "trust-again", "sign", "verify-origin-off"),
        )
    return Judged(
        (
            Sentence(
                "{place} sent a chain that ends in the root CA "
                + plain(f"{root}, which is not in Expressway-C's trust store.").text
            ),
            plain(f"Its SHA-256 fingerprint is {chain.fingerprint(certificate)}."),
        )
    )


def _partial(shown: Shown, depth: int, certificate: x509.Certificate) -> Judged:
    return Judged(
        (
            plain(
                f"Expressway-C trusts the intermediate CA {chain.quoted(certificate.subject)}, but not the CA "
                f"{chain.quoted(certificate.issuer)} that issued it: the chain ends before a root."
            ),
        )
    )


ISSUER_JUDGES: Final = {
    "self-signed": _self_signed,
    "issuer-missing": _issuer_missing,
    "unknown-ca": _unknown_root,
    "partial-chain": _partial,
}


def _root_by(shown: Shown, certificate: x509.Certificate) -> str | None:
    """Return how it is known that the missing issuer is a root CA; None if it is not known."""
    for one in shown.elsewhere:
        if chain.is_self_issued(one) and chain.may_have_issued(one, certificate) and chain.signed_by(certificate, one):
            return "another server of this run sent it"
    wanted = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    named = chain.issuer_of_issuer(wanted) if wanted is not None else None
    if named is not None and chain.same_name(named, certificate.issuer):
        return "the authority key identifier of the certificate says that it issued itself"
    return None


def _trusted_above(shown: Shown, certificate: x509.Certificate) -> tuple[x509.Name | None, str]:
    """Return the name of a trusted root above the missing issuer, and how that is known; None if it is not known."""
    for one in shown.elsewhere:
        if chain.may_have_issued(one, certificate) and chain.signed_by(certificate, one):
            links = chain.build((one, *shown.elsewhere), shown.store, shown.now)
            certificates = [link.certificate for link in links]
            genuine = all(chain.signed_by(lower, upper) for lower, upper in pairwise(certificates))
            if genuine and links[-1].trusted and chain.is_self_issued(certificates[-1]):
                return certificates[-1].subject, "another server of this run sent that intermediate CA"
    wanted = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    named = chain.issuer_of_issuer(wanted) if wanted is not None else None
    for trusted in shown.store:
        if named is not None and chain.is_self_issued(trusted) and chain.same_name(named, trusted.subject):
            return trusted.subject, "the authority key identifier of the certificate names it"
    return None, ""


_FEW: Final = 5  # trusted certificates that are listed by name
_ORGANIZATION: Final = ("2.5.4.10", "0.9.2342.19200300.100.1.25")  # O and DC


def _related(shown: Shown, certificate: x509.Certificate) -> list[str]:
    """Return trusted CAs that may well be above the missing issuer, at most three: a guess, and no proof of anything.

    They are those that the server sent beside its certificate, or those of the same organization (O or DC).
    """

    def organization(name: x509.Name) -> set[tuple[str, str]]:
        parts = ((part.oid.dotted_string, str(part.value).casefold()) for part in name)
        return {part for part in parts if part[0] in _ORGANIZATION}

    wanted = organization(certificate.issuer)
    sent = [f"{chain.quoted(one.subject)}, which the server sent too" for one in shown.sent[1:] if one in shown.store]
    alike = [one for one in shown.store if wanted and wanted == organization(one.subject)]
    return sent[:3] or [f"{chain.quoted(one.subject)} of the same organization" for one in alike][:3]


def _listed(texts: list[str]) -> str:
    return " and ".join((", ".join(texts[:-1]), texts[-1])) if len(texts) > 1 else texts[0]


def _reissued(certificate: x509.Certificate, trusted: x509.Certificate) -> str:
    return (
        f"The trust store has a CA {chain.quoted(certificate.issuer)}, but not the one that issued "
        f"{chain.quoted(certificate.subject)}: {key_difference(certificate, trusted)}. A CA that was issued again with "
        "another key keeps its name."
    )


def _misnamed(certificate: x509.Certificate, signer: x509.Certificate) -> str:
    issuer, child = chain.quoted(certificate.issuer), chain.quoted(certificate.subject)
    return (
        f"The trust store has a CA {issuer} whose key signed {child}, but {child} asks for another certificate of that "
        f"CA: {key_difference(certificate, signer)}. So OpenSSL does not take the trusted one for its issuer."
    )


def key_difference(certificate: x509.Certificate, other: x509.Certificate) -> str:
    """Return why ``other``, which has the issuer's name, is not the issuer of ``certificate``."""
    wanted = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    if wanted is None:
        return "the key of that CA did not sign it"
    held = chain.extension(other, x509.SubjectKeyIdentifier)
    if wanted.key_identifier and held is not None and wanted.key_identifier != held.digest:
        asked, has = _identifier(wanted.key_identifier), _identifier(held.digest)
        return f"its authority key identifier is {asked}, the subject key identifier of that CA is {has}"
    serial = wanted.authority_cert_serial_number
    if serial is not None and serial != other.serial_number:
        return f"its authority key identifier has the serial number {serial:X}, that CA has {other.serial_number:X}"
    named = chain.issuer_of_issuer(wanted)
    if named is not None and not chain.same_name(named, other.issuer):
        return (
            f"its authority key identifier asks for a CA issued by {chain.quoted(named)}, that CA was issued by "
            f"{chain.quoted(other.issuer)}"
        )
    return "the key of that CA did not sign it"


def _root_difference(sent: x509.Certificate, trusted: x509.Certificate) -> str:
    if chain.same_key(sent, trusted):
        return (
            "The trust store has another certificate of that name with the same key, but the certificate below asks "
            f"for the one that was sent (serial number {sent.serial_number:X}, the trusted one has "
            f"{trusted.serial_number:X})."
        )
    held, other = (chain.extension(one, x509.SubjectKeyIdentifier) for one in (sent, trusted))
    differ = held is not None and other is not None and held.digest != other.digest
    keys = (
        f" (key {_identifier(other.digest)} instead of {_identifier(held.digest)})" if differ and held and other else ""
    )
    return f"The trust store has another certificate of that name{keys}: the CA was issued again with another key."


def _identifier(value: bytes) -> str:
    return value.hex(":").upper()
