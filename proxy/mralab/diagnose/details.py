"""What a certificate contains that explains a fault: dates, purposes, key, constraints, names."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Final

from cryptography import x509

from ..core.log.escape import escape
from ..core.tls.hostname import CertificateNames, is_address
from . import chain
from .chain import Shown

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


def _expired(shown: Shown, certificate: x509.Certificate) -> list[str]:
    ago = -chain.days_left(certificate, shown.now) - 1
    sentences = [f"It was valid until {_date(certificate.not_valid_after_utc)} ({days(ago)} ago)."]
    if (renewed := renewal(shown, certificate)) is not None:
        whence = "the server sent" if renewed in shown.sent else "another server of this run sent"
        sentences.append(
            f"It is the one in the trust store, which comes first; {whence} a renewed one with the same name and key, "
            f"valid until {_date(renewed.not_valid_after_utc)}."
        )
    elif certificate in shown.store and certificate not in shown.sent:
        sentences.append("It is the one in the trust store; the server did not send it.")
    return sentences


def renewal(shown: Shown, certificate: x509.Certificate) -> x509.Certificate | None:
    """Return a sent certificate in date with the name and key of a trusted one that has expired, None without one."""
    if certificate not in shown.store:
        return None
    for one in (*shown.sent[1:], *shown.elsewhere):
        in_date = one.not_valid_before_utc <= shown.now <= one.not_valid_after_utc
        if in_date and chain.same_name(one.subject, certificate.subject) and chain.same_key(one, certificate):
            return one
    return None


def _not_yet(shown: Shown, certificate: x509.Certificate) -> list[str]:
    wait = (certificate.not_valid_before_utc - shown.now).days
    return [f"It is valid from {_date(certificate.not_valid_before_utc)} ({days(wait)} from now)."]


def _purpose(shown: Shown, certificate: x509.Certificate) -> list[str]:
    sentences = []
    usages = chain.extension(certificate, x509.ExtendedKeyUsage)
    if usages is not None:
        present = [_PURPOSES.get(oid.dotted_string, oid.dotted_string) for oid in usages]
        lacks = "" if _SERVER_PURPOSES & set(present) else "; serverAuth is missing"
        lacks += f", and OpenSSL does not take {_ANY} for it" if lacks and _ANY in present else ""
        sentences.append(f"Its extended key usage has {', '.join(present)}{lacks}.")
    if (usage := _key_usage(certificate)) is not None:
        sentences.append(f"Its key usage has {usage}.")
    basic = chain.extension(certificate, x509.BasicConstraints)
    if certificate not in shown.sent[:1] and (basic is None or not basic.ca):
        sentences.append(_not_a_ca(basic))
    if any(one.oid == _NETSCAPE_TYPE for one in _extensions(certificate)):
        sentences.append("It has a Netscape certificate type, which OpenSSL heeds.")
    return sentences


def _not_a_ca(basic: x509.BasicConstraints | None) -> str:
    if basic is None:
        return "It has no basic constraints, which every CA certificate needs."
    return "Its basic constraints say CA:FALSE."


def _extensions(certificate: x509.Certificate) -> list[x509.Extension[x509.ExtensionType]]:
    """Return a certificate's extensions, none where they cannot be read."""
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


def _strength(_: Shown, certificate: x509.Certificate) -> list[str]:
    digest = chain.digest(certificate)
    return [f"Its key is {chain.key(certificate) or 'unreadable'}, its signature uses {digest or 'an unknown digest'}."]


def _as_ca(_: Shown, certificate: x509.Certificate) -> list[str]:
    basic = chain.extension(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca:
        sentences = [_not_a_ca(basic)]
    else:
        limit = "without a path length" if basic.path_length is None else f"with path length {basic.path_length}"
        sentences = [f"Its basic constraints say CA:TRUE {limit}."]
    if (usage := _key_usage(certificate)) is not None:
        sentences.append(f"Its key usage has {usage}.")
    return sentences


def _critical(_: Shown, certificate: x509.Certificate) -> list[str]:
    unknown = [
        one.oid.dotted_string
        for one in _extensions(certificate)
        if one.critical and isinstance(one.value, x509.UnrecognizedExtension)
    ]
    return [f"Critical extensions that are not generally known: {', '.join(unknown)}."] if unknown else []


def _constraints(shown: Shown, _: x509.Certificate) -> list[str]:
    sentences = []
    for link in shown.links[1:]:
        limits = chain.extension(link.certificate, x509.NameConstraints)
        if limits is not None:
            permitted = ", ".join(_general_name(one) for one in limits.permitted_subtrees or ())
            excluded = ", ".join(_general_name(one) for one in limits.excluded_subtrees or ())
            words = [
                text for text in (permitted and f"permits {permitted}", excluded and f"excludes {excluded}") if text
            ]
            if words:
                sentences.append(escape(f"The CA {chain.quoted(link.certificate.subject)} {' and '.join(words)}."))
    return sentences


def _general_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    return str(name.value) or "every name of its kind"


def _signature(shown: Shown, certificate: x509.Certificate) -> list[str]:
    issuer = chain.quoted(certificate.issuer)
    if trusted_signer(shown, certificate) is not None:
        return [
            f"The trust store has a CA {issuer} that made its signature, but verification stopped at another "
            "certificate of that name."
        ]
    known = dict.fromkeys((*shown.store, *shown.sent[1:]))
    same = [one for one in known if chain.same_name(one.subject, certificate.issuer)]
    if same and not any(chain.signed_by(certificate, one) for one in same):
        return [f"No known CA {issuer} made its signature."]
    return []


def trusted_signer(shown: Shown, certificate: x509.Certificate) -> x509.Certificate | None:
    """Return the trusted CA that signed a certificate whose signature does not fit another of that name, if any."""
    same = [one for one in shown.store if chain.same_name(one.subject, certificate.issuer)]
    return next((one for one in same if len(same) > 1 and chain.signed_by(certificate, one)), None)


def _names(shown: Shown, _: x509.Certificate) -> list[str]:
    names, asked = shown.names, shown.name
    alternatives = [_visible(name) for name in (*names.dns, *names.ips)]
    listed = ", ".join(alternatives[:_MOST_NAMES]) + (", ..." if len(alternatives) > _MOST_NAMES else "")
    common = f"its CN is {_visible(names.cn)}" if names.cn else "it has no CN"
    sentences = [f"It contains {listed or 'no alternative names'}; {common}."]
    if asked in names.ips and not shown.ip_san:
        sentences.append(f"It has {asked} as an address, which does not count here (verify.ip_san = ignore).")
    for pattern in names.dns:
        base = pattern.removeprefix("*")
        if base != pattern and f".{asked}".casefold().endswith(base.casefold()):
            sentences.append(f"{escape(pattern)} stands for exactly one label before {escape(base)}.")
    if (nearest := nearest_name(asked, names)) is not None:
        sentences.append(f"The nearest to {escape(asked)} is {_visible(nearest)}.")
    return sentences


def _visible(name: str) -> str:
    """Return a name for people, in quotes where blanks around it would not be seen."""
    return escape(name) if name == name.strip() else f"'{escape(name)}'"


def nearest_name(asked: str, names: CertificateNames) -> str | None:
    """Return the name in a certificate that is most like the one asked for, None if none is near."""
    known: list[str] = list(dict.fromkeys((*names.dns, *names.ips, *((names.cn,) if names.cn else ()))))
    if is_address(asked):
        known = [name for name in known if is_address(name)]
    label = asked.casefold().partition(".")[0]
    for name in known:
        if not is_address(name) and name.casefold().partition(".")[0] == label:
            return name
    folded = {name.casefold(): name for name in known}
    matches: list[str] = get_close_matches(asked.casefold(), list(folded), 1, 0.6)
    return folded[matches[0]] if matches else None


def only_short(shown: Shown) -> bool:
    """Whether clients use a short name, whose full form is in the certificate."""
    short = shown.name.casefold()
    return "." not in short and any(name.casefold().startswith(f"{short}.") for name in shown.names.dns)


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
