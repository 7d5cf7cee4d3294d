"""How the traffic server of each Expressway release connects to servers: one row per release.

``RELEASES`` has every release from X12.5 to X15.5 that a public source names, and the numbers between the first and
the last named one of a train. ``find_release`` reads a release as people write it, ``verify_mode`` a mode of
verification.

Each value of a row has its source (``Release.sources``): ``published`` with the document, or ``inferred`` with the
reason. Two values are the same for all releases, because no public source distinguishes releases: ``ATTEMPTS`` and the
wording of OpenSSL 1.1.1 (``[verify] openssl``). Logs of older releases have texts of OpenSSL 1.0; the release in which
that changed is not public.

Cisco's documents disagree on the first release that verifies: document 225476 says X14.0.8; document 218018, the X14.2
release notes and the Mobile and Remote Access guide say X14.2. The rows follow 225476, which is later and more
specific: X14.0.8 to X14.0.10 verify.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from .nearest import STRICT_CUTOFF, did_you_mean

VerifyMode = Literal["on", "off", "audit"]
Preference = Literal["rsa", "ecdsa"]
Number = tuple[int, int, int]

BEFORE: Final = "X14.0.7"
"""The article's release before the upgrade, which does not verify servers."""
DEFAULT: Final = "X14.2"
"""The article's release after the upgrade, and the configuration's default."""

CIPHERS: Final = "EECDH:EDH:HIGH:-AES256+SHA:!MEDIUM:!LOW:!3DES:!MD5:!PSK:!eNULL:!aNULL:!aDH"
"""Default cipher string of X14.2 and X15.0.2 (Cisco document 222186)."""
RSA_FIRST: Final = "ECDHE-RSA-AES256-GCM-SHA384"
"""Cipher before the default string if RSA certificates are preferred (X14.2 release notes)."""

ATTEMPTS: Final = 2
"""Attempts per request: the article's capture of X14.2; for other releases inferred."""


class Release(NamedTuple):
    """A release's defaults for ``[verify]`` and ``[upstream]``.

    ``sources`` has a text for each of ``name``, ``verify``, ``prefer`` and ``tls``, which starts with ``published: ``
    or ``inferred: ``.
    """

    name: str
    verify: VerifyMode
    prefer: Preference
    tls: tuple[str, ...]
    sources: Mapping[str, str]


class _Train(NamedTuple):
    """The maintenance releases ``first`` to ``last`` of a train such as X14.0. Documents name those in ``named``."""

    major: int
    minor: int
    first: int
    last: int
    named: tuple[int, ...]
    document: str
    verify: tuple[VerifyMode, str]
    prefer: tuple[Preference, str]
    tls: tuple[tuple[str, ...], str]


_NEVER: Final[tuple[VerifyMode, str]] = (
    "off",
    "published: verification starts with X14.0.8 (Cisco 225476) or X14.2 (218018)",
)
_FROM_14_0_8: Final[tuple[VerifyMode, str]] = (
    "on",
    "published: Cisco 225476, verification since X14.0.8; 218018 names X14.2 instead",
)
_FROM_14_2: Final[tuple[VerifyMode, str]] = (
    "on",
    "published: X14.2 release notes, Cisco 218018, Mobile and Remote Access guide (X14.2 or later)",
)
_FROM_15: Final[tuple[VerifyMode, str]] = (
    "on",
    "published: Mobile and Remote Access guide (X14.2 or later); X15.0's commands no longer have VerifyOriginServer",
)
_RSA_12: Final[tuple[Preference, str]] = (
    "rsa",
    "inferred: the X14.2 release notes announce ECDSA first as a change for upgrades from before X14.0",
)
_RSA_14: Final[tuple[Preference, str]] = (
    "rsa",
    "inferred: the X14.2 release notes find the RSA prefix in the cipher string of systems upgraded from X14.0",
)
_ECDSA: Final[tuple[Preference, str]] = (
    "ecdsa",
    "published: X14.2 release notes, a fresh installation prefers ECDSA (an upgrade from X14.0 keeps RSA first)",
)
_ECDSA_14_3: Final[tuple[Preference, str]] = ("ecdsa", "inferred: as X14.2; no later document says otherwise")
_RSA_15: Final[tuple[Preference, str]] = (
    "rsa",
    'published: Cisco 225476 on X15, "RSA algorithm is chosen mostly over ECDSA"',
)
_TLS_12: Final = (("1.2",), "inferred: the article's capture of X14.2 shows TLS 1.2")
_TLS_14_2: Final = (("1.2",), "published: the article's capture (Cisco 218018)")
_TLS_15: Final = (
    ("1.2", "1.3"),
    "inferred: Cisco 225476, TLS 1.3 is enforced in X15; X15.0 administrator guide, TLS 1.2 is the default minimum",
)
_RANGE_OF_BUG: Final = "CSCwr73373, found in X14.0.0 to X14.3.7 and X15.0.0 to X15.3.2"

_TRAINS: Final = (
    _Train(12, 5, 0, 0, (0,), "Mobile and Remote Access guide X12.5", _NEVER, _RSA_12, _TLS_12),
    _Train(12, 6, 0, 3, (0, 3), "administrator guide X12.6; REST since X12.6.3", _NEVER, _RSA_12, _TLS_12),
    _Train(
        14,
        0,
        0,
        7,
        (0, 2, 7),
        "administrator guide X14.0.2; release notes X14.0.7; " + _RANGE_OF_BUG,
        _NEVER,
        _RSA_14,
        _TLS_12,
    ),
    _Train(14, 0, 8, 10, (8, 9, 10), "release notes X14.0.8 to X14.0.10", _FROM_14_0_8, _RSA_14, _TLS_12),
    _Train(14, 2, 0, 5, (0, 1, 2, 5), "release notes X14.2 to X14.2.5", _FROM_14_2, _ECDSA, _TLS_14_2),
    _Train(14, 3, 0, 7, (0, 7), "IP Port Usage X14.3; " + _RANGE_OF_BUG, _FROM_14_2, _ECDSA_14_3, _TLS_12),
    _Train(15, 0, 0, 2, (0, 2), "administrator guide X15.0; Cisco 222186 on X15.0.2", _FROM_15, _RSA_15, _TLS_15),
    _Train(15, 1, 0, 0, (0,), "release notes X15.1 (their text was not found)", _FROM_15, _RSA_15, _TLS_15),
    _Train(15, 2, 0, 0, (0,), "Cisco 225476 on X15.2", _FROM_15, _RSA_15, _TLS_15),
    _Train(15, 3, 0, 2, (0, 2), "Cisco 225476 on X15.3; " + _RANGE_OF_BUG, _FROM_15, _RSA_15, _TLS_15),
    _Train(15, 4, 0, 0, (0,), "administrator guide X15.4; Cisco 225693", _FROM_15, _RSA_15, _TLS_15),
    _Train(15, 5, 0, 0, (0,), "administrator guide X15.5; Cisco 225693", _FROM_15, _RSA_15, _TLS_15),
)


def _name(number: Number) -> str:
    major, minor, maintenance = number
    return f"X{major}.{minor}" + (f".{maintenance}" if maintenance else "")


def _rows() -> Iterator[tuple[Number, Release]]:
    for train in _TRAINS:
        last = _name((train.major, train.minor, train.named[-1]))
        for maintenance in range(train.first, train.last + 1):
            number = (train.major, train.minor, maintenance)
            named = maintenance in train.named
            source = f"published: {train.document}" if named else f"inferred: numbered before {last}"
            sources = {"name": source, "verify": train.verify[1], "prefer": train.prefer[1], "tls": train.tls[1]}
            yield (
                number,
                Release(_name(number), train.verify[0], train.prefer[0], train.tls[0], MappingProxyType(sources)),
            )


_BY_NUMBER: Final[dict[Number, Release]] = dict(_rows())
RELEASES: Final[dict[str, Release]] = {row.name: row for row in _BY_NUMBER.values()}
"""Rows by name (``X14.2``, ``X14.0.8``), the oldest first."""
OLDEST: Final = next(iter(RELEASES))
NEWEST: Final = next(reversed(RELEASES))

_PART: Final = r"(0|[1-9][0-9]{0,3})"  # no leading zero: X14.02 could be X14.0.2 or X14.2
_RELEASE: Final = re.compile(rf"[xX]?{_PART}\.{_PART}(?:\.{_PART})?")
_WITH_PREFIX: Final = re.compile(
    rf"(?i:(?:cisco|expressway(?:-[ce])?|vcs|release|version|v|x|[ :=])*){_RELEASE.pattern}"
)
"""A release after words like ``version``. Text after it, or ``before X14.2``, could mean another release."""


def find_release(text: str) -> Release:
    """Return the row of a release as people write it: ``X14.2``, ``x14.2``, ``14.2``, ``X14.2.0``.

    Raises ``ValueError`` for any other, with the known releases. The nearest one is suggested only if it is certainly
    the intended one.
    """
    match = _RELEASE.fullmatch(text.strip())
    number = _number(match) if match else None
    row = _BY_NUMBER.get(number) if number else None
    if row is not None:
        return row
    raise ValueError(f"is not a known release; known: {', '.join(_known())}{_near_release(text, number)}")


LOGIN_FAILOVER_SINCE: Final = "X14.2"
"""First release that leaves known-bad UDS nodes out of get_edge_config (X14.2 release notes)."""


def has_login_failover(release: str) -> bool:
    """Return whether Expressway of this release asks another UDS node when one does not answer.

    Raises ``ValueError`` for an unknown release.
    """
    names = tuple(RELEASES)
    return names.index(find_release(release).name) >= names.index(LOGIN_FAILOVER_SINCE)


def _number(match: re.Match[str]) -> Number:
    major, minor, maintenance = match.groups("0")
    return int(major), int(minor), int(maintenance)


def _known() -> Iterator[str]:
    """Yield all releases by train: ``X14.2 to X14.2.5``."""
    spans: dict[tuple[int, int], list[str]] = {}
    for number, row in _BY_NUMBER.items():
        spans.setdefault(number[:2], []).append(row.name)
    for names in spans.values():
        yield names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _near_release(text: str, number: Number | None) -> str:
    """Return ``; did you mean 'X14.2.5'?`` for a number after a train's last, or for a release after a known word.

    Empty for others: the nearest release could verify servers although the intended one does not.
    """
    near = None
    if number is not None:
        train = [row for known, row in _BY_NUMBER.items() if known[:2] == number[:2]]
        near = train[-1] if train else None
    elif match := _WITH_PREFIX.fullmatch(text.strip()):
        near = _BY_NUMBER.get(_number(match))
    return f"; did you mean {near.name!r}?" if near else ""


_MODES: Final[Mapping[str, VerifyMode]] = MappingProxyType(
    {
        "on": "on",
        "off": "off",
        "audit": "audit",
        "enforced": "on",
        "disabled": "off",
        "permissive": "audit",
    }
)
"""Words of this configuration, of ``VerifyOriginServer`` (On, Off) and of Traffic Server."""


def verify_mode(word: object) -> VerifyMode:
    """Return the mode for a word in any case: ``On``, ``off``, ``ENFORCED``, ``PERMISSIVE``, ``audit``...

    Raises ``ValueError`` for any other word, with the known ones.
    """
    text = word.strip().lower() if isinstance(word, str) else ""
    if text in _MODES:
        return _MODES[text]
    raise ValueError(f"must be on, off or audit (also ENFORCED, DISABLED, PERMISSIVE){_near_mode(text)}")


def _near_mode(word: str) -> str:
    """Return a hint for a misspelt word; empty for negations and near opposites (``no``, ``disenforced``)."""
    both = "on" in word and "of" in word
    modes = [mode for mode in _MODES if word.startswith(mode[0]) and not both]
    return did_you_mean(word, modes, STRICT_CUTOFF)


# In TLS 1.3 the signature algorithms select the server's certificate, not the cipher suites. Both lists have the
# algorithms that OpenSSL 1.1.1 offers. RSA first is the order that Cisco documents for SIP (225476); no order is
# published for the traffic server.
_ECDSA_SIGNATURES: Final = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448"
_SIGNATURES: Final[dict[Preference, str]] = {
    "ecdsa": (
        f"{_ECDSA_SIGNATURES}:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:"
        "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA224:RSA+SHA224:"
        "ECDSA+SHA1:RSA+SHA1"
    ),
    "rsa": (
        "rsa_pss_rsae_sha512:rsa_pss_rsae_sha384:rsa_pss_rsae_sha256:rsa_pss_pss_sha512:rsa_pss_pss_sha384:"
        "rsa_pss_pss_sha256:RSA+SHA512:RSA+SHA384:RSA+SHA256:ecdsa_secp521r1_sha512:ecdsa_secp384r1_sha384:"
        "ecdsa_secp256r1_sha256:ed25519:ed448:RSA+SHA224:ECDSA+SHA224:RSA+SHA1:ECDSA+SHA1"
    ),
}


def signature_algorithms(prefer: Preference) -> str:
    """Return OpenSSL's list of signature algorithms that prefers a ``prefer`` certificate in TLS 1.3."""
    return _SIGNATURES[prefer]


def cipher_string(ciphers: str, prefer: Preference, reorder: bool = False) -> str:
    """Return the OpenSSL cipher string that prefers a ``prefer`` certificate in TLS 1.2 and older.

    ``ciphers`` is the administrator's own string. It is used unchanged; with ``reorder``, its ciphers of the other kind
    move to the end (Cisco's ``:+ECDSA``). Empty: Cisco's default, for RSA with the prefix that Cisco documents.
    """
    if ciphers:
        return f"{ciphers}:+{'ECDSA' if prefer == 'rsa' else 'aRSA'}" if reorder else ciphers
    return f"{RSA_FIRST}:{CIPHERS}" if prefer == "rsa" else CIPHERS
