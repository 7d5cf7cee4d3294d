"""What an Expressway's configuration dump says of verification: ``xconf_dump_HOST_DATE_TIME.txt``.

A line is ``*c xConfiguration PATH: "VALUE"`` (Expressway Administrator Guide X15.5; the form of this line for
VerifyOriginServer is inferred from its siblings). The layout of the ``.xml`` twin is not public, and it is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..core.release import VerifyMode, verify_mode

_LINE: Final = re.compile(rb'\*c xConfiguration ([A-Za-z0-9 ]{1,200}?)[ \t]*:[ \t]*"?([^"\r\n]{0,4000})"?[ \t\r]*\Z')
_VERIFY: Final = "edgeconfigserver verifyoriginserver"
_CIPHERS: Final = re.compile(r"ciphers ([a-z]+tlsciphers|httpsciphers) value")
_LONGEST: Final = 8192


class ExpresswaySettings(NamedTuple):
    """Settings that decide what is offered and verified.

    ``verify`` is None where the dump has no VerifyOriginServer, as a release before X14.2 (or one whose command
    reference no longer lists it). ``ciphers`` has each cipher string by its key, such as ``UcClientTLSCiphers``.
    ``lines`` is the number of lines that were settings.
    """

    verify: VerifyMode | None = None
    ciphers: tuple[tuple[str, str], ...] = ()
    lines: int = 0


def setting_line(path: str, value: str) -> str:
    """Return a setting as the command line and a dump show it."""
    return f'*c xConfiguration {path}: "{value}"'


def parse_settings(lines: Iterable[bytes]) -> ExpresswaySettings:
    """Return the settings of a dump, given as its lines. The last of a repeated setting counts."""
    verify: VerifyMode | None = None
    ciphers: dict[str, str] = {}
    count = 0
    for line in lines:
        match = _LINE.match(line[:_LONGEST])
        if match is None:
            continue
        count += 1
        path, value = match[1].decode("ascii"), match[2].decode("utf-8", "replace")
        words = " ".join(path.lower().split())
        if words == _VERIFY:
            try:
                verify = verify_mode(value)
            except ValueError:
                continue
        elif _CIPHERS.fullmatch(words):
            ciphers[path.split()[1]] = value
    return ExpresswaySettings(verify, tuple(ciphers.items()), count)
