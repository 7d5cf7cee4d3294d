"""The Expressway's own command line: ``xConfiguration EdgeConfigServer VerifyOriginServer: Off``. Pure.

Words match in any case. The format of the setting read back (``*c xConfiguration ..: "On"``) is emulated, not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..core.nearest import did_you_mean, nearest
from ..core.release import verify_mode
from ..diagnose.xconf import setting_line
from ..errors import InputError

_PATH: Final = ("EdgeConfigServer", "VerifyOriginServer")
_VALUES: Final = ("On", "Off")
_USAGE: Final = f"xConfiguration {' '.join(_PATH)}: {'|'.join(_VALUES)}"


class SpellingError(InputError):
    """Unknown settings or values, each with the nearest known one."""


def parse(words: Sequence[str]) -> str | None:
    """Return the value to set: ``On``, ``Off`` or ``audit`` (mralab's own); None to read the setting back.

    Accepts every word of ``core.release.verify_mode``. Raises ``SpellingError``.
    """
    text = " ".join(words)
    path, colon, value = text.partition(":")
    given = path.split()
    problems = []
    for place, right in enumerate(_PATH):
        if place >= len(given):
            if colon or not given:
                problems.append(f"a word is missing; did you mean {right!r}?")
        elif given[place].lower() != right.lower():
            problems.append(f"{given[place]!r}: no such setting; did you mean {right!r}?")
    extra = given[len(_PATH) :]
    if extra:
        near = nearest(extra[0], _VALUES) or "|".join(_VALUES)
        problems.append(f"{' '.join(extra)!r}: a value follows a colon; did you mean '{_PATH[-1]}: {near}'?")
    word = value.strip().strip("\"'")
    right_value = _value(word)
    if colon and right_value is None:
        near = did_you_mean(word, _VALUES)
        problems.append(f"{word!r}: must be {' or '.join(_VALUES)}{near}")
    if problems:
        raise SpellingError(problems, _USAGE)
    return right_value


def _value(word: str) -> str | None:
    try:
        mode = verify_mode(word)
    except ValueError:
        return None
    return {"on": "On", "off": "Off"}.get(mode, mode)


def read_back(mode: str) -> str:
    """Return the setting as the command line prints it, for a value of ``verify.origin``."""
    return setting_line(" ".join(_PATH), "On" if mode == "on" else "Off")
