"""The types of configuration values: addresses, file names, cipher strings, and the checks behind them.

Each check raises ``ValueError`` with a message that completes the sentence "KEY: ...".
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import unicodedata
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from ..core.release import DEFAULT, RELEASES, VerifyMode, find_release, verify_mode
from .keys import FILE_NAME, SECRET


def split_address(value: str) -> tuple[str, int]:
    """Return host and port of ``'127.0.0.1:8443'`` or ``'[::1]:0'``. Raises ``ValueError``."""
    host, colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host):
        raise ValueError(f"{value!r} is not 'host:port'")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and str(int(port)) == port and int(port) <= 65535):
        raise ValueError(f"{port!r} is not a port (0 to 65535)")
    if bare != "localhost":
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError(f"{bare!r} is not an IP address of this machine (127.0.0.1, ::1, localhost)") from None
    return bare, int(port)


def _check_address(value: object) -> object:
    """Check ``host:port``: the host is an IP address, in brackets if it is IPv6, or ``localhost``."""
    if not isinstance(value, str):
        raise ValueError("must be a string 'host:port'")
    split_address(value)
    return value


def _check_admin_address(value: object) -> object:
    """Check an address, or an empty string. Outside loopback it needs a token, which ``model`` checks."""
    return value if value == "" else _check_address(value)


def is_loopback(address: str) -> bool:
    """Return whether ``host:port`` is on loopback."""
    host, _ = split_address(address)
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _check_token(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(_TOKEN, value):
        raise ValueError(f"must have {SHORTEST_TOKEN} to 256 printable ASCII characters without blanks, or be empty")
    return value


def _check_port_of_name(value: object) -> object:
    if isinstance(value, str) and (port := value.partition(":")[2]).isdecimal() and not 0 < int(port) <= 65535:
        raise ValueError(f"{port!r} is not a port (1 to 65535)")
    return value


def _check_ip(value: object) -> object:
    if value == "":
        return value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(value)
            return value
    raise ValueError("must be an IP address, or empty")


def _to_release(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be a string such as {DEFAULT!r}")
    return find_release(value).name


def _to_verify_mode(value: object) -> object:
    return value if value is None else verify_mode(value)


SHORTEST_TOKEN: Final = 16
_TOKEN: Final = rf"^([!-~]{{{SHORTEST_TOKEN},256}})?$"
_ONE_LINE: Final = r"^[^\x00-\x1f\x7f]*$"


def _to_file_name(value: object) -> object:
    """Return a file name given as text or as a path."""
    if isinstance(value, PathLike):
        value = fspath(value)
    if not isinstance(value, str):
        raise ValueError("must be the name of a file, or empty")
    if not re.fullmatch(_ONE_LINE, value):  # refuses PEM text: file names appear in messages, private keys must not
        raise ValueError("must be the name of a file, in one line without control characters")
    return value


_INVISIBLE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")  # general categories of Unicode
_VISIBLE_NAME: Final = (
    "^(?!~[^/])[^"
    "\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd"
    "\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
    "]*$"
)
"""Regular expression, for schemas, of file names that every machine accepts: visible, not in another user's home."""


_LONGEST_PATH: Final = 4096  # bytes, PATH_MAX of Linux


def _check_path(value: str) -> str:
    """Check a path: no invisible character, no NUL (which ends a string in C), no unknown user's home."""
    if len(value) > _LONGEST_PATH:
        raise ValueError(f"has {len(value)} characters; a path has at most {_LONGEST_PATH}")
    for character in value:
        if unicodedata.category(character) in _INVISIBLE:
            raise ValueError(f"has the character {character!a}, which is not shown")
    try:
        Path(value).expanduser()
    except RuntimeError:
        raise ValueError("begins with the home directory of a user who does not exist, or has none") from None
    return value


_LONGEST_CIPHERS: Final = 4096
_CIPHERS: Final = "^(?!.*@[Ss][Ee][Cc][Ll][Ee][Vv][Ee][Ll])[ -~]*$"
"""Regular expression, for schemas, of what ``_check_ciphers`` accepts."""


def _check_ciphers(value: str) -> str:
    """Check a cipher string: OpenSSL reads a C string, so text after a NUL would be shown but not be in force."""
    if len(value) > _LONGEST_CIPHERS:
        raise ValueError(f"has {len(value)} characters; {_LONGEST_CIPHERS} are more than any cipher string needs")
    if not (value.isascii() and value.isprintable()):
        odd = next(character for character in value if not (character.isascii() and character.isprintable()))
        raise ValueError(f"has the character {odd!a}; cipher strings are printable ASCII")
    if "@SECLEVEL" in value.upper():
        raise ValueError("sets @SECLEVEL, which has no effect: keys and digests are judged as OpenSSL 1.1.1's level 1")
    return value


ReleaseName = Annotated[str, BeforeValidator(_to_release), Field(json_schema_extra={"enum": list(RELEASES)})]
"""Any spelling that ``find_release`` takes; the schema lists the releases' own names."""
OriginMode = Annotated[VerifyMode | None, BeforeValidator(_to_verify_mode)]
Address = Annotated[str, BeforeValidator(_check_address)]
AdminAddress = Annotated[str, BeforeValidator(_check_admin_address)]
Token = Annotated[str, BeforeValidator(_check_token), Field(repr=False, json_schema_extra={"pattern": _TOKEN}), SECRET]
"""A secret: no message, dump for people or event may have it."""
HostWithPort = Annotated[str, BeforeValidator(_check_port_of_name), Field(pattern=r"^[A-Za-z0-9._\-]+(:[0-9]{1,5})?$")]
IpText = Annotated[str, BeforeValidator(_check_ip)]
PathText = Annotated[str, AfterValidator(_check_path), Field(json_schema_extra={"maxLength": _LONGEST_PATH}), FILE_NAME]
File = Annotated[
    str,
    BeforeValidator(_to_file_name),
    AfterValidator(_check_path),
    Field(json_schema_extra={"pattern": _VISIBLE_NAME, "maxLength": _LONGEST_PATH}),
    FILE_NAME,
]
Ciphers = Annotated[
    str,
    AfterValidator(_check_ciphers),
    Field(json_schema_extra={"pattern": _CIPHERS, "maxLength": _LONGEST_CIPHERS}),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
