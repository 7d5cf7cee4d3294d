"""Find the word that a misspelt one is most like, for "did you mean". Pure.

Every suggestion of mralab uses this module and one of its two cut-offs.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

CUTOFF: Final = 0.6
"""Least similarity of a suggestion: difflib's own default."""
STRICT_CUTOFF: Final = 0.75
"""For a setting whose wrong value would be dangerous: ``open`` must not suggest ``on``."""

_LONGEST: Final = 255  # characters of a word; a DNS name has at most 253
_MOST_WORDS: Final = 1000
_MOST_STEPS: Final = 1 << 22  # difflib compares two words in up to the product of their lengths


def nearest(word: str, words: Iterable[str], cutoff: float = CUTOFF) -> str:
    """Return the one of ``words`` most like ``word`` in any case, or an empty string if none is near.

    A word of more than 255 characters has no near one, and only the first of many words are compared (at most 1000,
    fewer for a long word), so the time is bounded for any input.
    """
    if not word or len(word) > _LONGEST:
        return ""
    most = min(_MOST_WORDS, _MOST_STEPS // len(word) ** 2)
    lowered = {candidate.lower(): candidate for candidate in islice(words, most)}
    matches: list[str] = get_close_matches(word.lower(), list(lowered), n=1, cutoff=cutoff)
    return lowered[matches[0]] if matches else ""


def did_you_mean(word: str, words: Iterable[str], cutoff: float = CUTOFF) -> str:
    """Return ``; did you mean 'WORD'?`` with the nearest of ``words``, or an empty string if none is near."""
    near = nearest(word, words, cutoff)
    return f"; did you mean {near!r}?" if near else ""
