"""Explain why a chain does not end at a trusted root: which CA is missing, outdated or unknown.

Each function receives the chain, the depth of the fault and the certificate there, and returns a cause that replaces
the rule's. Names in a certificate are foreign text: ``literal`` and ``_sentence`` keep their braces from being read as
placeholders.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..core.log.escape import escape
from ..core.tls.fingerprint import fingerprint
from . import chain
from .presented import PresentedChain
from .sentence import Sentence, Wordings

_OFF: Final = "verify-origin-off"
_Cause = tuple[Sentence | Wordings, ...]


def literal(text: str) -> Sentence:
    """Return a finished sentence, in which braces are no placeholders."""
    return Sentence(_braces_doubled(text))


def _sentence(template: str, **names: str) -> Sentence:
    """Return a sentence with ``names`` filled in, and ``{place}`` left for ``rules.explain``."""
    return Sentence(template.format(place="{place}", **{key: _braces_doubled(name) for key, name in names.items()}))


def _braces_doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


class IssuerCause(NamedTuple):
    """A cause that replaces the rule's, and remedies that replace the rule's unless empty."""

    cause: _Cause
    remedies: tuple[str, ...] = ()


def _self_signed(presented: PresentedChain, _: int, leaf: x509.Certificate) -> IssuerCause:
    subject = chain.quoted(leaf.subject)
    if leaf in presented.trust_store:
        return IssuerCause(
            (
                _sentence("{place} presented a self-signed certificate, which is in Expressway-C's trust store."),
                literal(
                    f"But the trust store also has another certificate with the subject {subject}, and verification "
                    "stopped at that one: two certificates with one subject cannot both be used."
                ),
            ),
            ("sign", "remove-namesake", _OFF),
        )
    cause = (
        _sentence("{place} presented a self-signed certificate, which is not itself in Expressway-C's trust store."),
        literal(f"Its subject is {subject}, its SHA-256 fingerprint {fingerprint(leaf.public_bytes(Encoding.DER))}."),
    )
    if any(chain.same_name(trusted.subject, leaf.subject) for trusted in presented.trust_store):
        same_subject = literal(
            f"The trust store has another certificate with the subject {subject}, and Expressway-C stops at the first "
            "entry whose subject matches: two certificates with one subject cannot both be used."
        )
        return IssuerCause((*cause, same_subject), ("sign", "trust-itself", _OFF))
    return IssuerCause(cause)


def _issuer_missing(presented: PresentedChain, depth: int, certificate: x509.Certificate) -> IssuerCause:
    """Explain a chain that ends at ``certificate`` because its issuer is missing."""
    child, issuer = chain.quoted(certificate.subject), chain.quoted(certificate.issuer)
    if any(chain.may_have_issued(sent, certificate) for sent in presented.sent[1:]):
        return _chain_stopped(presented, depth, certificate)
    namesakes = [ca for ca in presented.trust_store if chain.same_name(ca.subject, certificate.issuer)]
    if namesakes:
        return _other_ca_trusted(certificate, namesakes)
    alone = depth == 0 and len(presented.sent) == 1
    sent_what = "sent its certificate alone, without the CA" if alone else "did not send the CA"
    cause: list[Sentence | Wordings] = [
        _sentence(
            f"{{place}} {sent_what} {{issuer}} that issued {{child}}, and the trust store does not have it either.",
            issuer=issuer,
            child=child,
        )
    ]
    wrong = [sent for sent in presented.sent[1:] if chain.same_name(sent.subject, certificate.issuer)]
    if wrong:
        difference = key_difference(certificate, wrong[0])
        cause.append(literal(f"It sent a CA with that name, but a different one: {difference}."))
    if certificate in presented.trust_store:
        cause.append(
            literal(
                f"{child} itself is in the trust store. That is not enough for a certificate that a CA issued: the "
                "CA has to be trusted."
            )
        )
    cause.append(literal(_identified(certificate)))
    where_from, remedies = _place_of_issuer(presented, certificate)
    return IssuerCause((*cause, where_from), remedies)


def _place_of_issuer(presented: PresentedChain, certificate: x509.Certificate) -> tuple[Sentence, tuple[str, ...]]:
    """Return a sentence about the missing issuer, whether a root or an intermediate CA, and the remedies."""
    issuer = chain.quoted(certificate.issuer)
    if (source := why_issuer_is_root(presented, certificate)) is not None:
        text = f"{issuer} is a root CA ({source}), which no server can make trusted by sending it."
        return literal(text), ("trust-chain", "sign", _OFF)
    root, source = trusted_root_above(presented, certificate)
    if root is not None:
        trusted = f"its root {chain.quoted(root)} is already trusted ({source})"
        text = f"Only the intermediate CA {issuer} is missing: {trusted}."
        return literal(text), ("send-intermediate", "trust-intermediate", _OFF)
    related = _related_cas(presented, certificate)
    store = presented.trust_store
    candidates = related or ([chain.quoted(ca.subject) for ca in store] if len(store) <= _FEW else [])
    if candidates:
        text = (
            f"The trust store has {_joined(candidates)}: if {issuer} is an intermediate CA under that, its root is "
            "already trusted, and only the server has to send it; if not, its root has to be trusted too."
        )
    elif store:
        text = (
            f"The trust store has {len(store)} certificates, and the certificate does not show whether one of them is "
            "its root."
        )
    else:
        text = (
            "The trust store is empty."
            if presented.store_is_known
            else "The trust store is not known here, so neither is whether it has the root."
        )
    first = ("send-intermediate", "trust-chain") if related else ("trust-chain", "send-chain")
    return literal(text), (*first, "sign", _OFF)


def _other_ca_trusted(certificate: x509.Certificate, namesakes: list[x509.Certificate]) -> IssuerCause:
    """Explain why none of the trusted CAs with the issuer's name is the issuer."""
    issuer, child = chain.quoted(certificate.issuer), chain.quoted(certificate.subject)
    signer = next((ca for ca in namesakes if chain.signed_by(certificate, ca)), None)
    if signer is not None:
        cause = (
            f"The trust store has a CA {issuer} whose key signed {child}, but {child} refers to another certificate of "
            f"that CA: {key_difference(certificate, signer)}. So OpenSSL does not accept the trusted one as its issuer."
        )
        return IssuerCause((literal(cause),), ("trust-version", "sign", _OFF))
    cause = (
        f"The trust store has a CA {issuer}, but not the one that issued {child}: "
        f"{key_difference(certificate, namesakes[0])}. A CA that is reissued with another key keeps its name."
    )
    return IssuerCause((literal(cause),), ("trust-again", "sign", _OFF))


def _chain_stopped(presented: PresentedChain, depth: int, certificate: x509.Certificate) -> IssuerCause:
    """Explain a chain that ends although the server sent the issuer: OpenSSL stops at its depth limit and at a loop."""
    child, issuer = chain.quoted(certificate.subject), chain.quoted(certificate.issuer)
    below = [link.certificate for link in presented.links[: depth + 1]]
    if any(chain.may_have_issued(lower, certificate) for lower in below):
        loop = _sentence(
            "The chain that {place} sent is a loop: {issuer}, which issued {child}, is below it as well, and no "
            "trusted CA is above them.",
            issuer=issuer,
            child=child,
        )
        return IssuerCause((loop,), ("shorten-chain", "inspect", _OFF))
    too_long = _sentence(
        "{place} sent the CA {issuer} that issued {child}, but OpenSSL stopped before it because the chain is longer "
        "than it follows; so this says nothing about trust.",
        issuer=issuer,
        child=child,
    )
    return IssuerCause((too_long,), ("shorten-chain", _OFF))


def _unknown_root(presented: PresentedChain, depth: int, certificate: x509.Certificate) -> IssuerCause:
    """Explain a chain that ends at a root that is not trusted, or at a CA whose issuer is missing."""
    if not chain.is_self_issued(certificate):
        return _issuer_missing(presented, depth, certificate)
    root = chain.quoted(certificate.subject)
    namesakes = [
        trusted
        for trusted in presented.trust_store
        if chain.same_name(trusted.subject, certificate.subject) and trusted != certificate
    ]
    if namesakes and certificate in presented.trust_store:
        cause = (
            f"The root CA {root} is in the trust store, but so is another certificate of that name, and verification "
            "stopped at that one: two certificates with one subject cannot both be used."
        )
        return IssuerCause((literal(cause),), ("remove-namesake", "sign", _OFF))
    if namesakes:
        same_key = next((trusted for trusted in namesakes if chain.same_key(certificate, trusted)), None)
        return IssuerCause(
            (
                _sentence("The root CA {root} that {place} sent is not the one that is trusted.", root=root),
                literal(_root_difference(certificate, same_key or namesakes[0])),
            ),
            ("trust-version" if same_key is not None else "trust-again", "sign", _OFF),
        )
    return IssuerCause(
        (
            _sentence(
                "{place} sent a chain that ends in the root CA {root}, which is not in Expressway-C's trust store.",
                root=root,
            ),
            literal(
                f"Its SHA-256 fingerprint is {fingerprint(certificate.public_bytes(Encoding.DER))}"
                f"{_key_of_root(certificate)}."
            ),
        )
    )


def _partial_chain(_: PresentedChain, depth: int, certificate: x509.Certificate) -> IssuerCause:
    cause = (
        f"Expressway-C trusts the intermediate CA {chain.quoted(certificate.subject)}, but not the CA "
        f"{chain.quoted(certificate.issuer)} that issued it: the chain ends before a root."
    )
    return IssuerCause((literal(cause), literal(_identified(certificate))))


def _identified(certificate: x509.Certificate) -> str:
    """Return a sentence with the subject and the key identifier of the CA that issued ``certificate``."""
    subject = escape(certificate.issuer.rfc4514_string())
    if key := chain.authority_key(certificate):
        return f"The missing CA certificate has the subject {subject} and the subject key identifier {key}."
    return (
        f"The missing CA certificate has the subject {subject}; {chain.quoted(certificate.subject)} has no authority "
        "key identifier, so only its signature distinguishes CAs of that name."
    )


def _key_of_root(root: x509.Certificate) -> str:
    key = chain.subject_key(root)
    return f", its subject key identifier {key}" if key else ""


ISSUER_CAUSES: Final[dict[str, Callable[[PresentedChain, int, x509.Certificate], IssuerCause]]] = {
    "self-signed": _self_signed,
    "issuer-missing": _issuer_missing,
    "unknown-ca": _unknown_root,
    "partial-chain": _partial_chain,
}


def why_issuer_is_root(presented: PresentedChain, certificate: x509.Certificate) -> str | None:
    """Return how it is known that the missing issuer is a root CA; None if it is not known."""
    for sent in presented.sent_by_others:
        is_issuer = chain.may_have_issued(sent, certificate) and chain.signed_by(certificate, sent)
        if is_issuer and chain.is_self_issued(sent):
            return "another server of this run sent it"
    name = _name_above_issuer(certificate)
    if name is not None and chain.same_name(name, certificate.issuer):
        return "the authority key identifier of the certificate says that it issued itself"
    return None


def trusted_root_above(presented: PresentedChain, certificate: x509.Certificate) -> tuple[x509.Name | None, str]:
    """Return the name of a trusted root above the missing issuer, and how that is known; None if it is not known."""
    for sent in presented.sent_by_others:
        if chain.may_have_issued(sent, certificate) and chain.signed_by(certificate, sent):
            links = chain.build((sent, *presented.sent_by_others), presented.trust_store, presented.now)
            certificates = [link.certificate for link in links]
            signatures_match = all(chain.signed_by(lower, upper) for lower, upper in pairwise(certificates))
            if signatures_match and links[-1].trusted and chain.is_self_issued(certificates[-1]):
                return certificates[-1].subject, "another server of this run sent that intermediate CA"
    name = _name_above_issuer(certificate)
    for trusted in presented.trust_store:
        if name is not None and chain.is_self_issued(trusted) and chain.same_name(name, trusted.subject):
            return trusted.subject, "the authority key identifier of the certificate names it"
    return None, ""


def _name_above_issuer(certificate: x509.Certificate) -> x509.Name | None:
    """Return the name of the CA that issued the issuer, from the authority key identifier; None if it has none."""
    authority = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    return chain.issuer_of_issuer(authority) if authority is not None else None


_FEW: Final = 5  # trusted certificates that are listed by name
_ORGANIZATION: Final = ("2.5.4.10", "0.9.2342.19200300.100.1.25")  # O and DC


def _related_cas(presented: PresentedChain, certificate: x509.Certificate) -> list[str]:
    """Return up to three trusted CAs that may be above the missing issuer. This is a guess, not a proof.

    They are CAs that the server sent with its certificate, or else CAs of the same organization (O or DC).
    """

    def organization(name: x509.Name) -> set[tuple[str, str]]:
        parts = ((part.oid.dotted_string, str(part.value).casefold()) for part in name)
        return {part for part in parts if part[0] in _ORGANIZATION}

    issuer_organization = organization(certificate.issuer)
    sent = [
        f"{chain.quoted(ca.subject)}, which the server sent too"
        for ca in presented.sent[1:]
        if ca in presented.trust_store
    ]
    same_organization = [
        f"{chain.quoted(ca.subject)} of the same organization"
        for ca in presented.trust_store
        if issuer_organization and issuer_organization == organization(ca.subject)
    ]
    return (sent or same_organization)[:3]


def _joined(texts: list[str]) -> str:
    return " and ".join((", ".join(texts[:-1]), texts[-1])) if len(texts) > 1 else texts[0]


def key_difference(certificate: x509.Certificate, ca: x509.Certificate) -> str:
    """Return why ``ca``, which has the issuer's name, is not the issuer of ``certificate``."""
    authority = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    if authority is None:
        return "the key of that CA did not sign it"
    subject_key = chain.extension(ca, x509.SubjectKeyIdentifier)
    if authority.key_identifier and subject_key is not None and authority.key_identifier != subject_key.digest:
        return (
            f"its authority key identifier is {chain.authority_key(certificate)}, the subject key identifier of that "
            f"CA is {chain.subject_key(ca)}"
        )
    serial = authority.authority_cert_serial_number
    if serial is not None and serial != ca.serial_number:
        return f"its authority key identifier has the serial number {serial:X}, that CA has {ca.serial_number:X}"
    name = chain.issuer_of_issuer(authority)
    if name is not None and not chain.same_name(name, ca.issuer):
        return (
            f"its authority key identifier refers to a CA issued by {chain.quoted(name)}, that CA was issued by "
            f"{chain.quoted(ca.issuer)}"
        )
    return "the key of that CA did not sign it"


def _root_difference(sent: x509.Certificate, trusted: x509.Certificate) -> str:
    """Return a sentence about a root CA that was sent and a trusted one with the same name."""
    if chain.same_key(sent, trusted):
        return (
            "The trust store has another certificate of that name with the same key, but the certificate below refers "
            f"to the one that was sent (serial number {sent.serial_number:X}, the trusted one has "
            f"{trusted.serial_number:X})."
        )
    sent_key, trusted_key = (chain.extension(root, x509.SubjectKeyIdentifier) for root in (sent, trusted))
    keys = ""
    if sent_key is not None and trusted_key is not None and sent_key.digest != trusted_key.digest:
        keys = f" (key {chain.subject_key(trusted)} instead of {chain.subject_key(sent)})"
    return f"The trust store has another certificate of that name{keys}: the CA was reissued with another key."
