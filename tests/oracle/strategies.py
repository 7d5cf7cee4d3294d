"""Hypothesis strategies: a requested host, and the certificate that its server presents.

Names in the certificate are made from the host by a few edits, so that most of them nearly match it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type as StringType
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import strategies as st

from .pki import Minted, mint, purposes

HOSTS: Final = (
    "onlyone",
    "a.c",
    "ab.uk",
    "a.b.c",
    "abc.b.c",
    "part.test",
    "foo.part.test",
    "one.two.part.test",
    "a-b.c-d.test",
    "0.9.test",
    "a1.b2.c3.d4.e5.test",
    "dotted.part.test.",
    "xn--bcher-kva.test",
    "xn--bcher-kva.part.test",
    "one.xn--bcher-kva.test",
    "foo.xn--p1ai",
    "l" * 63 + ".part.test",
    "127.0.9.7",
    "127.0.9.8",
)
"""No underscore: there 9.2.9 and 8.1.11 differ, which ``cases.DEVIATIONS`` has."""

_ALPHABET: Final = "ab.*-\0_A"
_STRING_TYPES: Final = ("UTF8String", "PrintableString", "T61String", "IA5String", "BMPString", "UniversalString")
_NOT_PRINTABLE: Final = frozenset("*\0_")  # cryptography refuses it in a PrintableString
_ISSUERS: Final = ("root",) * 12 + ("intermediate", "missing", "unknown", "unknown, root sent", "itself")
_DAYS: Final = ((-1.0, 365.0),) * 12 + ((-10.0, -2.0), (2.0, 10.0))
_PURPOSES: Final = (None,) * 12 + (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Drawn:
    """A drawn host, and the drawn parts of a certificate."""

    host: str
    sans: tuple[x509.GeneralName, ...]
    cns: tuple[tuple[str, str], ...]
    issuer: str
    days: tuple[float, float]
    purpose: ObjectIdentifier | None
    tls12: bool


@st.composite
def patterns(draw: st.DrawFn, host: str) -> str:
    """Return variants of the host after some edits, most of them with wildcards."""
    labels = host.split(".")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.one_of(st.just(0), st.integers(0, len(labels) - 1)))
        label = labels[at]
        cut = draw(st.integers(0, len(label)))
        edit = draw(st.sampled_from(("star", "front", "back", "middle", "second star", "upper", "more", "less", "end")))
        if edit == "star":
            labels[at] = "*"
        elif edit == "front":
            labels[at] = "*" + label[cut:]
        elif edit == "back":
            labels[at] = label[:cut] + "*"
        elif edit == "middle":
            labels[at] = label[:cut] + "*" + label[cut + draw(st.integers(0, 2)) :]
        elif edit == "second star":
            labels[at] = "*" + label + "*"
        elif edit == "upper":
            labels[at] = label.upper()
        elif edit == "more":
            labels.insert(at, draw(st.sampled_from(("*", "a", "xn--a"))))
        elif edit == "less":
            labels = labels[:at] + labels[at + 1 :] or ["x"]
        else:
            labels.append(draw(st.sampled_from(("", "*", "b"))))
    return ".".join(labels)


def _names(host: str) -> st.SearchStrategy[str]:
    return st.one_of(patterns(host), patterns(host), st.text(_ALPHABET, max_size=9))


def _general_names(host: str) -> st.SearchStrategy[x509.GeneralName]:
    other = (
        x509.RFC822Name(f"admin@{host.strip('.')}"),
        x509.UniformResourceIdentifier(f"https://{host}/"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])),
        x509.RegisteredID(ObjectIdentifier("1.2.3")),
        x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.55555.2"), b"\x0c\x01x"),
        x509.IPAddress(ip_address(host if host[:4] == "127." else "127.0.9.9")),
    )
    return st.one_of(_names(host).map(x509.DNSName), _names(host).map(x509.DNSName), st.sampled_from(other))


def _encodable(cn: tuple[str, str]) -> tuple[str, str]:
    text, kind = cn
    return (text, "UTF8String") if kind == "PrintableString" and _NOT_PRINTABLE & set(text) else cn


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    host = draw(st.sampled_from(HOSTS))
    cn = st.tuples(_names(host).map(lambda text: text[:64] or "x"), st.sampled_from(_STRING_TYPES)).map(_encodable)
    return Drawn(
        host,
        tuple(draw(st.lists(_general_names(host), max_size=3))),
        tuple(draw(st.lists(cn, max_size=2))),
        draw(st.sampled_from(_ISSUERS)),
        draw(st.sampled_from(_DAYS)),
        draw(st.sampled_from(_PURPOSES)),
        draw(st.booleans()),
    )


class Authorities:
    """The signing CAs: a trusted root, an intermediate below it, and an untrusted root."""

    def __init__(self, root: Minted) -> None:
        self.root = root
        self.intermediate = mint("Sub of strategies", issuer=root, ca=True)
        self.unknown = mint("Root that nobody knows", ca=True)

    def chain(self, it: Drawn) -> tuple[Minted, ...]:
        """Return the drawn certificate and the certificates that are sent with it."""
        issuer, sent = {
            "root": (self.root, ()),
            "intermediate": (self.intermediate, (self.intermediate,)),
            "missing": (self.intermediate, ()),
            "unknown": (self.unknown, ()),
            "unknown, root sent": (self.unknown, (self.unknown,)),
            "itself": (None, ()),
        }[it.issuer]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, StringType[kind]) for text, kind in it.cns])
        leaf = mint(
            subject=subject,
            issuer=issuer,
            sans=it.sans,
            days=it.days,
            key=ec.generate_private_key(ec.SECP256R1()),
            extensions=[purposes(it.purpose)] if it.purpose else (),
        )
        return (leaf, *sent)
