"""Sentences about the contents of a certificate that explain a fault: dates, purposes, key, constraints, names."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509

from ..core.log.escape import escape
from ..core.nearest import nearest
from ..core.tls.hostname import CertificateNames, is_address
from . import chain
from .presented import PresentedChain

_PURPOSES: Final = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.5": "ipsecEndSystem",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.4.1.311.10.3.3": "msSGC",
    "2.16.840.1.113730.4.1": "nsSGC",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
_SERVER_PURPOSES: Final = frozenset(("serverAuth", "msSGC", "nsSGC"))  # OpenSSL: XKU_SSL_SERVER, XKU_SGC
_ANY: Final = "anyExtendedKeyUsage"
_NETSCAPE_TYPE: Final = x509.ObjectIdentifier("2.16.840.1.113730.1.1")
_MOST_NAMES: Final = 12  # listed in a cause


def _expired(presented: PresentedChain, certificate: x509.Certificate) -> list[str]:
    ago = -chain.days_left(certificate, presented.now) - 1
    sentences = [f"It was valid until {_date(certificate.not_valid_after_utc)} ({days(ago)} ago)."]
    if (renewed := renewal(presented, certificate)) is not None:
        sender = "the server sent" if renewed in presented.sent else "another server of this run sent"
        sentences.append(
            f"It is the one in the trust store, which comes first; {sender} a renewed one with the same name and key, "
            f"valid until {_date(renewed.not_valid_after_utc)}."
        )
    elif certificate in presented.trust_store and certificate not in presented.sent:
        sentences.append("It is the one in the trust store; the server did not send it.")
    return sentences


def renewal(presented: PresentedChain, certificate: x509.Certificate) -> x509.Certificate | None:
    """Return a sent certificate in date with the name and key of an expired trusted one; None if there is none."""
    if certificate not in presented.trust_store:
        return None
    for sent in (*presented.sent[1:], *presented.sent_by_others):
        same_ca = chain.same_name(sent.subject, certificate.subject) and chain.same_key(sent, certificate)
        if same_ca and chain.is_in_date(sent, presented.now):
            return sent
    return None


def _not_yet(presented: PresentedChain, certificate: x509.Certificate) -> list[str]:
    wait = (certificate.not_valid_before_utc - presented.now).days
    return [f"It is valid from {_date(certificate.not_valid_before_utc)} ({days(wait)} from now)."]


def _purpose(presented: PresentedChain, certificate: x509.Certificate) -> list[str]:
    sentences = []
    usages = chain.extension(certificate, x509.ExtendedKeyUsage)
    if usages is not None:
        present = [_PURPOSES.get(oid.dotted_string, oid.dotted_string) for oid in usages]
        missing = "" if _SERVER_PURPOSES & set(present) else "; serverAuth is missing"
        missing += f", and OpenSSL does not accept {_ANY} for it" if missing and _ANY in present else ""
        sentences.append(f"Its extended key usage has {', '.join(present)}{missing}.")
    if (usage := _key_usage(certificate)) is not None:
        sentences.append(f"Its key usage has {usage}.")
    basic = chain.extension(certificate, x509.BasicConstraints)
    if certificate not in presented.sent[:1] and (basic is None or not basic.ca):
        sentences.append(_not_a_ca(basic))
    if any(extension.oid == _NETSCAPE_TYPE for extension in _extensions(certificate)):
        sentences.append("It has a Netscape certificate type, which OpenSSL enforces.")
    return sentences


def _not_a_ca(basic: x509.BasicConstraints | None) -> str:
    if basic is None:
        return "It has no basic constraints, which every CA certificate needs."
    return "Its basic constraints say CA:FALSE."


def _extensions(certificate: x509.Certificate) -> list[x509.Extension[x509.ExtensionType]]:
    """Return a certificate's extensions; empty if they cannot be read."""
    try:
        return list(certificate.extensions)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []


def _key_usage(certificate: x509.Certificate) -> str | None:
    usage = chain.extension(certificate, x509.KeyUsage)
    if usage is None:
        return None
    names: dict[str, bool] = {
        "digitalSignature": usage.digital_signature,
        "keyEncipherment": usage.key_encipherment,
        "dataEncipherment": usage.data_encipherment,
        "keyAgreement": usage.key_agreement,
        "keyCertSign": usage.key_cert_sign,
        "cRLSign": usage.crl_sign,
    }
    return ", ".join(name for name, present in names.items() if present) or "none of the common ones"


def _strength(_: PresentedChain, certificate: x509.Certificate) -> list[str]:
    digest = chain.digest(certificate)
    return [f"Its key is {chain.key(certificate) or 'unreadable'}, its signature uses {digest or 'an unknown digest'}."]


def _as_ca(_: PresentedChain, certificate: x509.Certificate) -> list[str]:
    basic = chain.extension(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca:
        sentences = [_not_a_ca(basic)]
    else:
        limit = "without a path length" if basic.path_length is None else f"with path length {basic.path_length}"
        sentences = [f"Its basic constraints say CA:TRUE {limit}."]
    if (usage := _key_usage(certificate)) is not None:
        sentences.append(f"Its key usage has {usage}.")
    return sentences


def _critical(_: PresentedChain, certificate: x509.Certificate) -> list[str]:
    unknown = [
        extension.oid.dotted_string
        for extension in _extensions(certificate)
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)
    ]
    return [f"Critical extensions that are not generally known: {', '.join(unknown)}."] if unknown else []


def _constraints(presented: PresentedChain, _: x509.Certificate) -> list[str]:
    sentences = []
    for link in presented.links[1:]:
        limits = chain.extension(link.certificate, x509.NameConstraints)
        if limits is not None:
            permitted = ", ".join(_general_name(name) for name in limits.permitted_subtrees or ())
            excluded = ", ".join(_general_name(name) for name in limits.excluded_subtrees or ())
            parts = [
                text for text in (permitted and f"permits {permitted}", excluded and f"excludes {excluded}") if text
            ]
            if parts:
                sentences.append(escape(f"The CA {chain.quoted(link.certificate.subject)} {' and '.join(parts)}."))
    return sentences


def _general_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    return str(name.value) or "every name of its kind"


def _signature(presented: PresentedChain, certificate: x509.Certificate) -> list[str]:
    issuer = chain.quoted(certificate.issuer)
    if trusted_signer(presented, certificate) is not None:
        return [
            f"The trust store has a CA {issuer} that made its signature, but verification stopped at another "
            "certificate of that name."
        ]
    known = dict.fromkeys((*presented.trust_store, *presented.sent[1:]))
    namesakes = [ca for ca in known if chain.same_name(ca.subject, certificate.issuer)]
    if namesakes and not any(chain.signed_by(certificate, ca) for ca in namesakes):
        return [f"No known CA {issuer} made its signature."]
    return []


def trusted_signer(presented: PresentedChain, certificate: x509.Certificate) -> x509.Certificate | None:
    """Return the trusted CA that signed ``certificate`` if another trusted CA has the same name; None otherwise."""
    namesakes = [ca for ca in presented.trust_store if chain.same_name(ca.subject, certificate.issuer)]
    return next((ca for ca in namesakes if len(namesakes) > 1 and chain.signed_by(certificate, ca)), None)


def _names(presented: PresentedChain, _: x509.Certificate) -> list[str]:
    names, server_name = presented.names, presented.server_name
    alternatives = [_visible(name) for name in (*names.dns, *names.ips)]
    listed = ", ".join(alternatives[:_MOST_NAMES]) + (", ..." if len(alternatives) > _MOST_NAMES else "")
    common = f"its CN is {_visible(names.cn)}" if names.cn else "it has no CN"
    sentences = [f"It contains {listed or 'no alternative names'}; {common}."]
    if server_name in names.ips and not presented.ip_san:
        sentences.append(f"It has {server_name} as an address, which does not count here (verify.ip_san = ignore).")
    for pattern in names.dns:
        base = pattern.removeprefix("*")
        if base != pattern and f".{server_name}".casefold().endswith(base.casefold()):
            sentences.append(f"{escape(pattern)} stands for exactly one label before {escape(base)}.")
    if (near := nearest_name(server_name, names)) is not None:
        sentences.append(f"The nearest to {escape(server_name)} is {_visible(near)}.")
    return sentences


def _visible(name: str) -> str:
    """Return a name to display, quoted if blanks at its ends would not be visible."""
    return escape(name) if name == name.strip() else f"'{escape(name)}'"


def nearest_name(server_name: str, names: CertificateNames) -> str | None:
    """Return the name in a certificate that is most similar to ``server_name``; None if no name is similar."""
    known: list[str] = list(dict.fromkeys((*names.dns, *names.ips, *((names.cn,) if names.cn else ()))))
    if is_address(server_name):
        known = [name for name in known if is_address(name)]
    label = server_name.casefold().partition(".")[0]
    for name in known:
        if not is_address(name) and name.casefold().partition(".")[0] == label:
            return name
    return nearest(server_name, known) or None


def only_short(presented: PresentedChain) -> bool:
    """Return whether clients use a short name, and the certificate has its full form."""
    short = presented.server_name.casefold()
    return "." not in short and any(name.casefold().startswith(f"{short}.") for name in presented.names.dns)


DETAILS: Final = {
    "expired": _expired,
    "not-yet-valid": _not_yet,
    "wrong-purpose": _purpose,
    "weak": _strength,
    "unsupported-key": _strength,
    "invalid-ca": _as_ca,
    "critical-extension": _critical,
    "name-constraints": _constraints,
    "bad-signature": _signature,
    "name-not-in-certificate": _names,
}


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def days(count: int) -> str:
    """Return a number of days in words."""
    return "less than a day" if count < 1 else "1 day" if count == 1 else f"{count} days"
