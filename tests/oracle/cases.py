"""Cases of the comparison with Traffic Server: certificate chains and requested names.

These are hand-written; ``strategies`` draws others. ``DEVIATIONS`` are the cases in which mralab follows 8.1.11 instead
of 9.2.9.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from .pki import (
    ISSUER,
    SUBJECT,
    Minted,
    Tlv,
    altered,
    extension,
    mint,
    printable_subject,
    purposes,
    rsa_key,
    serial,
    tlv,
    unknown_extension,
    usage,
    validity,
    version,
)

DEVIATIONS: Final = {
    "wildcard-underscore": "9.x lets a wildcard stand for '_', 8.1.11 does not (X509HostnameValidator.cc)",
    "partial-wildcard-underscore": "9.x lets a wildcard stand for '_', 8.1.11 does not (X509HostnameValidator.cc)",
}


@dataclass(frozen=True)
class Case:
    """A server that presents ``chain`` and is requested as ``host`` (if that is an address, it listens there)."""

    name: str
    host: str
    chain: tuple[Minted, ...]
    tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    def with_chain(self, chain: tuple[Minted, ...], *, tls12: bool) -> Case:
        """Return the same server with other certificates."""
        return replace(self, chain=chain, tls=ssl.TLSVersion.TLSv1_2 if tls12 else ssl.TLSVersion.TLSv1_3)

    @property
    def about(self) -> str:
        leaf = self.chain[0].certificate
        try:
            sans = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return f"{self.name}: host {self.host}, subject {leaf.subject.rfc4514_string()}, no SAN"
        entries = ", ".join(str(entry.value) for entry in sans)
        return f"{self.name}: host {self.host}, subject {leaf.subject.rfc4514_string()}, SAN {entries}"


def build() -> tuple[list[Case], list[Minted]]:
    """Return all cases, and the certificates of the trust store, ``Root A`` first."""
    root = mint("Root A", ca=True)
    cases: list[Case] = []
    trust: list[Minted] = []

    def add(name: str, leaf: Minted, *more: Minted, host: str = "", tls: ssl.TLSVersion | None = None) -> None:
        cases.append(Case(name, host or f"{name}.ats.test", (leaf, *more), tls or ssl.TLSVersion.TLSv1_3))

    _names(root, add)
    _chains(root, add, trust)
    _keys_and_signatures(root, add, trust)
    _twins(root, add, trust)
    _oddities(root, add)
    return cases, [root, *trust]


class _Add(Protocol):
    def __call__(
        self, name: str, leaf: Minted, *more: Minted, host: str = "", tls: ssl.TLSVersion | None = None
    ) -> None: ...


def _names(root: Minted, add: _Add) -> None:
    def san(name: str, host: str, *patterns: str, cns: Sequence[str] = ("x",), ips: Sequence[str] = ()) -> None:
        add(name, mint(*cns, issuer=root, dns=patterns, ips=ips), host=host)

    def cn(name: str, host: str, *cns: str) -> None:
        add(name, mint(*cns, issuer=root), host=host)

    san("san-match", "san-match.ats.test", "san-match.ats.test")
    san("san-second", "san-second.ats.test", "other.ats.test", "san-second.ats.test")
    san("san-mismatch", "san-mismatch.ats.test", "other.ats.test")
    san("san-mismatch-cn-match", "smcm.ats.test", "other.ats.test", cns=("smcm.ats.test",))
    san("san-upper-case", "upper.ats.test", "UPPER.ATS.Test")
    san("san-trailing-dot", "dot.ats.test", "dot.ats.test.")
    san("san-no-subject", "nosubject.ats.test", "nosubject.ats.test", cns=())
    cn("cn-match", "cn-match.ats.test", "cn-match.ats.test")
    cn("cn-upper-case", "cn-upper.ats.test", "CN-UPPER.ATS.TEST")
    cn("cn-wildcard", "some.cnwild.test", "*.cnwild.test")
    cn("cn-first-of-two", "cn1.ats.test", "cn1.ats.test", "zzz.ats.test")
    cn("cn-second-of-two", "cn2.ats.test", "zzz.ats.test", "cn2.ats.test")
    cn("cn-not-ascii", "xn--bcher-kva.ats.test", "b\u00fccher.ats.test")
    san("name-underscore-literal", "a_b.under.test", "a_b.under.test")
    san("wildcard-underscore", "a_b.wunder.test", "*.wunder.test")
    san("partial-wildcard-underscore", "fo_o.punder.test", "f*.punder.test")
    san("wildcard-one-label", "one.wild.test", "*.wild.test")
    san("wildcard-two-labels", "one.two.wild.test", "*.wild.test")
    san("wildcard-bare-domain", "wild.test", "*.wild.test")
    san("wildcard-top-level", "wildtop.test", "*.test")
    san("wildcard-front", "foo.part.test", "*oo.part.test")
    san("wildcard-back", "foo.part.test", "fo*.part.test")
    san("wildcard-back-empty", "foo.part.test", "foo*.part.test")
    san("wildcard-middle", "foo.part.test", "f*o.part.test")
    san("wildcard-two-stars", "foo.part.test", "*o*.part.test")
    san("wildcard-second-label", "foo.part.test", "foo.*.test")
    san("wildcard-twice", "foo.part.test", "*.*.test")
    san("wildcard-idna", "xn--bcher-kva.idn.test", "*.idn.test")
    san("wildcard-idna-partial", "xn--bcher-kva.idn.test", "xn--*.idn.test")
    san("wildcard-short-subject", "a.b.c", "*.b.c")
    san("wildcard-short-pattern", "abc.b.c", "*.b.c")
    san("wildcard-trailing-dot", "foo.part.test", "*.part.test.")
    san("name-trailing-dot", "asked.dot.test.", "asked.dot.test.")
    san("name-trailing-dot-not-in-san", "asked2.dot.test.", "asked2.dot.test")
    san("name-one-label", "onlyone", "onlyone")
    san("ip-as-ipaddress", "127.0.9.1", ips=("127.0.9.1",))
    san("ip-as-dns", "127.0.9.2", "127.0.9.2")
    cn("ip-as-cn", "127.0.9.3", "127.0.9.3")
    san("ip-not-named", "127.0.9.4", "foo.ats.test")
    san("ip-wildcard", "127.0.9.5", "*.0.9.5")
    san("ip-as-ipaddress-and-dns", "127.0.9.6", "127.0.9.6", ips=("127.0.9.6",))
    add("name-mismatch-tls12", mint("x", issuer=root, dns=["no.test"], key=rsa_key(2048)), tls=ssl.TLSVersion.TLSv1_2)


def _chains(root: Minted, add: _Add, trust: list[Minted]) -> None:
    def leaf(name: str, issuer: Minted | None = root, **options: object) -> Minted:
        return mint("x", issuer=issuer, dns=[f"{name}.ats.test"], **options)  # type: ignore[arg-type]

    def simple(name: str, issuer: Minted | None, *more: Minted, **options: object) -> Minted:
        made = leaf(name, issuer, **options)
        add(name, made, *more)
        return made

    unknown = mint("Unknown Root", ca=True)
    sub = mint("Sub", issuer=root, ca=True)
    simple("self-signed", None)
    trust.append(simple("self-signed-in-store", None))
    trust.append(simple("leaf-in-store", root))
    trust.append(simple("leaf-in-store-its-ca-not", unknown))
    simple("unknown-ca-sent", unknown, unknown)
    simple("unknown-ca-not-sent", unknown)
    add("unknown-ca-tls12", leaf("unknown-ca-tls12", unknown, key=rsa_key(2048)), tls=ssl.TLSVersion.TLSv1_2)
    add("unknown-and-mismatch", mint("x", issuer=unknown, dns=["no.test"]))
    simple("intermediate-sent", sub, sub)
    simple("intermediate-and-root-sent", sub, sub, root)
    simple("intermediate-missing", sub)
    stored = mint("Sub in the store", issuer=root, ca=True)
    trust.append(stored)
    simple("intermediate-in-store", stored)
    orphan = mint("Sub of an unknown root, in the store", issuer=unknown, ca=True)
    trust.append(orphan)
    simple("partial-chain", orphan)
    simple("partial-chain-root-sent", orphan, orphan, unknown)
    simple("intermediates-out-of-order", mint("Low", issuer=sub, ca=True), sub)
    simple("superfluous-certificate", root, unknown)
    simple("expired", root, days=(-10, -2))
    simple("not-yet-valid", root, days=(2, 10))
    add("expired-and-mismatch", mint("x", issuer=root, dns=["no.test"], days=(-10, -2)))
    simple("expired-and-unknown", unknown, days=(-10, -2))
    simple("expired-self-signed", None, days=(-10, -2))
    old = mint("Old Sub", issuer=root, ca=True, days=(-10, -2))
    early = mint("Early Sub", issuer=root, ca=True, days=(2, 10))
    simple("intermediate-expired", old, old)
    simple("intermediate-not-yet-valid", early, early)
    simple("intermediate-and-leaf-expired", old, old, days=(-9, -3))
    old_root, early_root = mint("Old Root", ca=True, days=(-10, -2)), mint("Early Root", ca=True, days=(2, 10))
    trust += [old_root, early_root]
    simple("root-expired", old_root)
    simple("root-not-yet-valid", early_root)
    simple("eku-server", root, extensions=[purposes(Purpose.SERVER_AUTH)])
    simple("eku-client", root, extensions=[purposes(Purpose.CLIENT_AUTH)])
    simple("eku-both", root, extensions=[purposes(Purpose.CLIENT_AUTH, Purpose.SERVER_AUTH)])
    simple("eku-any", root, extensions=[purposes(Purpose.ANY_EXTENDED_KEY_USAGE)])
    clients = mint("Clients only", issuer=root, ca=True, extensions=[purposes(Purpose.CLIENT_AUTH)])
    simple("eku-of-ca-client", clients, clients)
    add("eku-client-and-mismatch", mint("x", issuer=root, extensions=[purposes(Purpose.CLIENT_AUTH)]))
    simple("usage-signature", root, extensions=[usage("digital_signature")])
    simple("usage-agreement", root, extensions=[usage("key_agreement")])
    simple("usage-crl-only", root, extensions=[usage("crl_sign")])
    silent = mint("May not sign", issuer=root, ca=True, extensions=[usage("digital_signature")])
    simple("ca-may-not-sign", silent, silent)
    plain = mint("Not a CA", issuer=root)
    simple("issuer-no-ca", plain, plain)
    bare = mint("No constraints", issuer=root, ca=None)
    simple("issuer-without-constraints", bare, bare)
    simple("leaf-is-a-ca", root, ca=True)
    simple("leaf-without-constraints", root, ca=None)
    short = mint("Short", issuer=root, ca=True, path_length=0)
    below = mint("Below Short", issuer=short, ca=True)
    simple("path-length-kept", short, short)
    simple("path-length-exceeded", below, below, short)
    for count in (6, 7, 8, 9):
        chain: list[Minted] = []
        for number in range(count):
            chain.insert(0, mint(f"Step {count}.{number}", issuer=chain[0] if chain else root, ca=True))
        simple(f"intermediates-{count}", chain[0], *chain)
    twins = [mint("Twin", ca=True), mint("Twin", ca=True)]
    bare_twins = [mint("Bare Twin", ca=True, identifiers=False) for _ in range(2)]
    trust += twins + bare_twins
    for number in (0, 1):
        simple(f"same-named-ca-{number}", twins[number])
        simple(f"same-named-ca-no-identifiers-{number}", bare_twins[number], identifiers=False)
    simple("same-named-ca-unknown", mint("Twin", ca=True))
    simple("same-named-ca-unknown-no-identifiers", mint("Bare Twin", ca=True, identifiers=False), identifiers=False)
    simple("forged-root", mint("Root A", ca=True, identifiers=False), identifiers=False)
    simple("unknown-extension-critical", root, extensions=[unknown_extension(True)])
    simple("unknown-extension", root, extensions=[unknown_extension(False)])
    odd = mint("Odd Sub", issuer=root, ca=True, extensions=[unknown_extension(True)])
    simple("ca-unknown-extension-critical", odd, odd)

    def constrained(permitted: str | None, excluded: str | None) -> Minted:
        constraints = x509.NameConstraints(
            [x509.DNSName(permitted)] if permitted else None, [x509.DNSName(excluded)] if excluded else None
        )
        return mint(f"Only {permitted} not {excluded}", issuer=root, ca=True, extensions=[(constraints, True)])

    ours, theirs, without = constrained("ats.test", None), constrained("no.test", None), constrained(None, "ats.test")
    simple("name-permitted", ours, ours)
    simple("name-not-permitted", theirs, theirs)
    simple("name-excluded", without, without)
    add("cn-not-permitted", mint("cn-not-permitted.ats.test", issuer=theirs), theirs)
    add(
        "ip-san-under-constraints",
        mint("x", issuer=ours, dns=["ip-san-under-constraints.ats.test"], ips=["10.0.0.1"]),
        ours,
    )
    simple("rsa-2048", root, key=rsa_key(2048))
    simple("rsa-1024", root, key=rsa_key(1024))
    simple("ec-384", root, key=ec.generate_private_key(ec.SECP384R1()))
    simple("sha512-leaf", root, digest=hashes.SHA512())


def _keys_and_signatures(root: Minted, add: _Add, trust: list[Minted]) -> None:
    def leaf(name: str, issuer: Minted, **options: object) -> Minted:
        return mint("x", issuer=issuer, dns=[f"{name}.ats.test"], **options)  # type: ignore[arg-type]

    for name, key in (
        ("ed25519", ed25519.Ed25519PrivateKey.generate()),
        ("p521", ec.generate_private_key(ec.SECP521R1())),
    ):
        add(f"leaf-{name}", leaf(f"leaf-{name}", root, key=key))
        signer = mint(f"Root {name}", ca=True, key=key)
        trust.append(signer)
        add(f"root-{name}", leaf(f"root-{name}", signer))
    rsa_root = mint("Root RSA", ca=True, key=rsa_key(2048))
    weak_root = mint("Root RSA 1024", ca=True, key=rsa_key(1024))
    trust += [rsa_root, weak_root]
    add("rsa-root", leaf("rsa-root", rsa_root))
    add("rsa-1024-root", leaf("rsa-1024-root", weak_root))
    add("md5", altered(leaf("md5", rsa_root), rsa_root, lambda _: None, md5=True))
    add("md5-and-mismatch", altered(mint("x", issuer=rsa_root), rsa_root, lambda _: None, md5=True))
    old = leaf("md5-and-expired", rsa_root, days=(-10, -2))
    add("md5-and-expired", altered(old, rsa_root, lambda _: None, md5=True))
    other = mint("Unknown RSA", ca=True, key=rsa_key(2048))
    add("md5-and-unknown", altered(leaf("md5-and-unknown", other), other, lambda _: None, md5=True))
    md5_sub = altered(mint("Sub MD5", issuer=rsa_root, ca=True), rsa_root, lambda _: None, md5=True)
    add("md5-intermediate", leaf("md5-intermediate", md5_sub), md5_sub)

    def by(name: str, issuer: Minted, *sent: Minted) -> None:
        add(name, altered(leaf(name, issuer), issuer, lambda _: None, md5=True), *sent)

    old_root = mint("Old RSA", ca=True, key=rsa_key(2048), days=(-10, -2))
    trust.append(old_root)
    by("md5-and-root-expired", old_root)
    old_sub = mint("Old RSA Sub", issuer=rsa_root, ca=True, key=rsa_key(2048), days=(-10, -2))
    by("md5-and-intermediate-expired", old_sub, old_sub)
    weak_sub = altered(mint("MD5 Sub", issuer=rsa_root, ca=True, key=rsa_key(2048)), rsa_root, lambda _: None, md5=True)
    by("md5-twice", weak_sub, weak_sub)
    old_weak = mint("Old MD5 Sub", issuer=old_root, ca=True, key=rsa_key(2048), days=(-10, -2))
    old_weak = altered(old_weak, old_root, lambda _: None, md5=True)
    by("md5-twice-and-all-expired", old_weak, old_weak)
    add("md5-intermediate-and-root-expired", leaf("md5-intermediate-and-root-expired", old_weak), old_weak)
    plain = mint("RSA, not a CA", issuer=rsa_root, key=rsa_key(2048))
    by("md5-and-issuer-no-ca", plain, plain)
    by("md5-and-root-sent-unknown", other, other)
    silent = mint("RSA, may not sign", issuer=rsa_root, ca=True, key=rsa_key(2048), extensions=[usage("crl_sign")])
    by("md5-and-ca-may-not-sign", silent, silent)
    md5_root = altered(mint("Root MD5", ca=True, key=rsa_key(2048)), rsa_root, lambda _: None, md5=True)
    add("md5-root-sent", leaf("md5-root-sent", md5_root), md5_root)
    forged = leaf("signature-forged", mint("Root A", ca=True))
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    add(
        "signature-forged",
        mint(
            "x",
            issuer=Minted(root.certificate, forged.key),
            dns=["signature-forged.ats.test"],
            identifiers=False,
            extensions=[(aki, False)],
        ),
    )


def _twins(root: Minted, add: _Add, trust: list[Minted]) -> None:
    """Add cases with several certificates for one subject and key, and chains with two possible issuers."""
    key = ec.generate_private_key(ec.SECP256R1())
    trust += [mint("Renewed", ca=True, key=key, days=(-10, -2)), mint("Renewed", ca=True, key=key)]
    add("root-renewed", mint("x", issuer=trust[-1], dns=["root-renewed.ats.test"]))
    key = ec.generate_private_key(ec.SECP256R1())
    trust += [mint("Renewed later", ca=True, key=key), mint("Renewed later", ca=True, key=key, days=(-10, -2))]
    add("root-renewed-other-order", mint("x", issuer=trust[-2], dns=["root-renewed-other-order.ats.test"]))
    unknown = mint("Cross root nobody knows", ca=True)
    key = ec.generate_private_key(ec.SECP256R1())
    ours, theirs = (mint("Crossed", issuer=issuer, ca=True, key=key) for issuer in (root, unknown))
    add("crossed-good-sent", mint("x", issuer=ours, dns=["crossed-good-sent.ats.test"]), ours)
    add("crossed-bad-sent", mint("x", issuer=ours, dns=["crossed-bad-sent.ats.test"]), theirs)
    add("crossed-both-sent", mint("x", issuer=ours, dns=["crossed-both-sent.ats.test"]), theirs, ours)
    add(
        "crossed-both-and-root-sent",
        mint("x", issuer=ours, dns=["crossed-both-and-root-sent.ats.test"]),
        theirs,
        unknown,
        ours,
    )
    stored = mint("Crossed in the store", issuer=root, ca=True)
    trust.append(stored)
    away = mint("Crossed in the store", issuer=unknown, ca=True, key=stored.key)
    add("crossed-good-in-store", mint("x", issuer=stored, dns=["crossed-good-in-store.ats.test"]), away, unknown)
    both_old = mint("Old twice", issuer=root, ca=True, days=(-10, -2))
    young = mint("Old twice", issuer=root, ca=True, key=both_old.key)
    add("intermediate-renewed", mint("x", issuer=young, dns=["intermediate-renewed.ats.test"]), both_old, young)


def _oddities(root: Minted, add: _Add) -> None:
    """Add certificates that cryptography reads differently than OpenSSL, or not at all."""

    def odd(name: str, change: Callable[[list[Tlv]], None], *cns: str, dns: Sequence[str] | None = None) -> None:
        names = [f"{name}.ats.test"] if dns is None else dns
        add(name, altered(mint(*(cns or ("x",)), issuer=root, dns=names), root, change))

    odd("odd-printable", printable_subject, "*.ats.test", dns=())
    odd("odd-printable-mismatch", printable_subject, "*.no.test", dns=())
    odd("odd-time-offset", validity(b"200101000000+0100", b"490101000000+0100"))
    odd("odd-time-fraction", validity(b"200101000000.5Z", b"490101000000Z"))
    odd("odd-time-garbage", validity(b"xx0101000000Z", b"490101000000Z"))
    odd("odd-time-garbage-end", validity(b"200101000000Z", b"xx0101000000Z"))
    odd("odd-time-month", validity(b"201301000000Z", b"490101000000Z"))
    odd("odd-time-garbage-mismatch", validity(b"xx0101000000Z", b"490101000000Z"), dns=("no.test",))
    for number in (1, 2, 4):
        odd(f"odd-version-{number}", version(number), f"odd-version-{number}.ats.test", dns=())
    odd("odd-version-2-mismatch", version(2), "no.test", dns=())
    odd("odd-serial-zero", serial(b"\0"))
    odd("odd-serial-negative", serial(b"\x80"))
    odd("odd-serial-long", serial(b"\x01" * 40))
    odd("odd-policy-broken", extension("551d20", b"\x04\x00"))
    odd(
        "odd-purpose-critical", extension("551d25", tlv(0x30, tlv(6, bytes.fromhex("2b06010505070301"))), critical=True)
    )
    odd("odd-no-names", lambda _: None, dns=())
    odd("odd-bit-string-name", _bit_string_subject, "odd.ats.test", dns=())
    first = altered(mint("Old-fashioned CA", issuer=root), root, version(1))
    add("issuer-version-1", mint("x", issuer=first, dns=["issuer-version-1.ats.test"]), first)
    broken = altered(mint("Time-worn CA", issuer=root, ca=True), root, validity(b"xx0101000000Z", b"490101000000Z"))
    add("intermediate-time-garbage", mint("x", issuer=broken, dns=["intermediate-time-garbage.ats.test"]), broken)
    starred = altered(mint("Starred * CA", issuer=root, ca=True), root, printable_subject)
    renamed = mint("x", issuer=starred, dns=["intermediate-printable.ats.test"])
    add("intermediate-printable", altered(renamed, starred, _printable_issuer), starred)


def _printable_issuer(fields: list[Tlv]) -> None:
    fields[ISSUER] = (0x30, fields[ISSUER][1].replace(b"\x55\x04\x03\x0c", b"\x55\x04\x03\x13"))


def _bit_string_subject(fields: list[Tlv]) -> None:
    fields[SUBJECT] = (0x30, fields[SUBJECT][1].replace(b"\x55\x04\x03\x0c\x0codd", b"\x55\x04\x03\x03\x0c\x00dd"))
