"""Traffic Server's rules for whether a certificate is for a host name.

Source: Traffic Server 8.1.11, src/tscore/X509HostnameValidator.cc. The rules differ from RFC 6125 and from OpenSSL's
own check: the subject's first CN counts whenever no dNSName matches, even if there are dNSNames; a wildcard may cover
part of a label; and an address is compared as text with dNSNames and CN, never with iPAddress entries. Cisco documents
that an address in the SAN counts, so that last rule is a setting (``verify.ip_san``).

Names are read from the certificate's DER as OpenSSL reads them (``der`` has the reason).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from .der import SEQUENCE, NotDer, certificate_parts, first, values

_COMMON_NAME = bytes.fromhex("550403")  # 2.5.4.3
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")  # 2.5.29.17
_OID, _OCTET_STRING, _BOOLEAN = 0x06, 0x04, 0x01
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_GENERAL_NAMES = frozenset((0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x86, 0x87, 0x88))
"""Tags of GeneralName (RFC 5280 section 4.2.1.6): otherName [0] to registeredID [8]."""

_TEXT = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"} | dict.fromkeys((0x12, 0x13, 0x14, 0x16), "latin-1")
"""ASN.1 string types that OpenSSL accepts in a name, and how ASN1_STRING_to_UTF8 reads them (a_strex.c)."""

_NOT_TEXT = (0x03, 0x30)
"""BIT STRING and SEQUENCE. OpenSSL accepts them in a name too (B_ASN1_PRINTABLE), but does not read them as text."""

_MATCHED_BY_WILDCARD = re.compile(rb"[0-9A-Za-z-]*|\*")
"""8.x; 9.x adds the underscore."""


class CertificateNames(NamedTuple):
    """The names in a certificate, in the certificate's order.

    - ``dns``: dNSNames, byte for byte as Latin-1 text, including NULs; empty ones are left out.
    - ``ips``: iPAddress entries of 4 or 16 octets in canonical text; other lengths are left out.
    - ``cn``: the subject's first CN; None if it has no CN, or one that is not valid in its own encoding.
    - ``cn_not_a_string``: the type of the first CN is not a string (BIT STRING, SEQUENCE).
    """

    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    cn: str | None = None
    cn_not_a_string: bool = False


@lru_cache(512)  # called at each handshake, mostly for the same few names: saves 2 microseconds
def match_name(names: CertificateNames, name: str, *, ip_san_accepted: bool) -> str | None:
    """Return the name in the certificate that matches ``name`` (a host name, IPv4 or IPv6 text), or None.

    The result is like ``dNSName *.steven.lab``, ``iPAddress 10.48.36.215`` or ``CN cucm.steven.lab``. dNSNames are
    compared first, the CN last. An iPAddress counts only with ``ip_san_accepted``, and only the same address of the
    same family (an IPv4-mapped IPv6 address is another address, as for OpenSSL's X509_check_ip).

    A CN that is a BIT STRING or a SEQUENCE matches every name: validate_hostname returns its error, -1, as a bool. (A
    certificate with a CN of any other type, or whose octets do not fit its string type, is not loaded by OpenSSL.)
    """
    if not name:
        return None
    wanted = name.encode("utf-8", "surrogatepass")
    for pattern in names.dns:
        if _equal(pattern.encode("latin-1"), wanted):
            return f"dNSName {pattern}"
    if ip_san_accepted and names.ips and (address := _address(name)) is not None:
        for text in names.ips:
            if _address(text) == address:
                return f"iPAddress {text}"
    if names.cn_not_a_string:
        return "CN that is not a string"
    if names.cn is not None and _equal(names.cn.encode("utf-8", "surrogatepass"), wanted):
        return f"CN {names.cn}"
    return None


def names_of(certificate: bytes) -> CertificateNames:
    """Return the names in a certificate given in DER. Never raises: unreadable names are left out."""
    try:
        subject, extensions = _subject_and_extensions(certificate_parts(certificate)[0])
    except NotDer:
        return CertificateNames()
    cn, cn_not_a_string = _first_common_name(subject)
    try:
        dns, ips = _alternative_names(extensions)
    except NotDer:
        dns, ips = (), ()  # OpenSSL ignores a malformed SAN extension, and several of them
    return CertificateNames(dns, ips, cn, cn_not_a_string)


def _equal(pattern: bytes, subject: bytes) -> bool:
    """Return whether the certificate's ``pattern`` matches a name, without regard to case in ASCII (equal_wildcard)."""
    pattern, subject = pattern.lower(), subject.lower()
    star = None
    if len(subject) > 5 and subject[:1] != b".":
        star = _wildcard(pattern, idna=subject.startswith(b"xn--"))
    if star is None:
        return pattern == subject
    before, after = pattern[:star], pattern[star + 1 :]
    if len(subject) < len(before) + len(after) or not (subject.startswith(before) and subject.endswith(after)):
        return False
    matched = subject[star : len(subject) - len(after)]
    if not matched and not before and after[:1] == b".":
        return False  # a star that is the whole label matches at least one character
    return _MATCHED_BY_WILDCARD.fullmatch(matched) is not None


def _wildcard(pattern: bytes, *, idna: bool) -> int | None:
    """Return the index of the wildcard in ``pattern`` (find_wildcard_in_hostname); None: compare it literally.

    A wildcard is the first or the last character of the first label and the only star in it, and at least two more
    labels follow. For an internationalised name it must be the whole label.
    """
    final_dot = pattern.rfind(b".", 2, len(pattern) - 1)  # not the last character; the shortest is 'x.yz.w'
    label_end = pattern.find(b".")
    if len(pattern) < 5 or final_dot < 3 or not 0 < label_end < final_dot:
        return None
    label = pattern[:label_end]
    star = label.find(b"*")
    if star < 0 or label.count(b"*") > 1 or star not in (0, len(label) - 1):
        return None
    return None if idna and label != b"*" else star


@lru_cache(maxsize=4096)
def is_address(text: str) -> bool:
    """Return whether a host is an IPv4 or IPv6 address, not a name."""
    return _address(text) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _subject_and_extensions(tbs: bytes) -> tuple[bytes, bytes]:
    """Return the contents of ``subject`` and ``extensions`` in a TBSCertificate (RFC 5280 section 4.1)."""
    fields = list(values(tbs))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, then optional fields
    if len(fields) < 6 or fields[4][0] != SEQUENCE:
        raise NotDer
    explicit = next((content for tag, content in fields[6:] if tag == _EXTENSIONS), None)
    return fields[4][1], first(explicit, SEQUENCE) if explicit is not None else b""


def _first_common_name(subject: bytes) -> tuple[str | None, bool]:
    """Return the first CN as text, and whether its type is not a string."""
    try:
        for _, relative in values(subject):
            for _, attribute in values(relative):
                parts = list(values(attribute))
                if len(parts) == 2 and parts[0] == (_OID, _COMMON_NAME):
                    return _text(*parts[1])
    except NotDer:
        pass  # OpenSSL does not load a certificate with such a subject
    return None, False


def _text(tag: int, content: bytes) -> tuple[str | None, bool]:
    encoding = _TEXT.get(tag)
    if encoding is None:
        return None, tag in _NOT_TEXT
    if encoding == "utf-8":
        try:
            return content.decode("utf-8"), False
        except UnicodeDecodeError:
            return None, False
    width = {"latin-1": 1, "utf-16-be": 2, "utf-32-be": 4}[encoding]
    if len(content) % width:
        return None, False
    return content.decode(encoding, "replace"), False


def _alternative_names(extensions: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return dNSNames and iPAddresses of the SAN extension. Raises ``NotDer`` if malformed or not the only one."""
    found: list[bytes] = []
    for tag, extension in values(extensions):
        parts = [part for part in values(extension) if part[0] != _BOOLEAN]
        if tag != SEQUENCE or len(parts) != 2 or parts[1][0] != _OCTET_STRING:
            raise NotDer
        if parts[0] == (_OID, _SUBJECT_ALT_NAME):
            found.append(parts[1][1])
    if not found:
        return (), ()
    if len(found) > 1:
        raise NotDer  # X509_get_ext_d2i returns NULL for an extension that occurs twice
    dns: list[str] = []
    ips: list[str] = []
    for tag, content in values(first(found[0], SEQUENCE)):
        if tag not in _GENERAL_NAMES:
            raise NotDer
        if tag == _DNS_NAME and content:
            dns.append(content.decode("latin-1"))
        elif tag == _IP_ADDRESS and len(content) in (4, 16):
            ips.append(str(ip_address(content)))
    return tuple(dns), tuple(ips)
