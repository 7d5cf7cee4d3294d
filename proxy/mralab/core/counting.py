"""Numbers with their nouns, in sentences for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 line``, ``2 lines``."""
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def share(number: int, total: int, noun: str) -> str:
    """Return how many of all there are: ``the server``, ``none of 2 servers``, ``both servers``, ``1 of 3 servers``.

    ``total`` is at least 1; of a ``total`` of 1, ``number`` is 1.
    """
    if total == 1:
        return f"the {noun}"
    if number == total:
        return f"both {noun}s" if total == 2 else f"all {total} {noun}s"
    return f"{number or 'none'} of {total} {noun}s"


def capitalized(sentence: str) -> str:
    """Return a sentence with a capital at its beginning; the other letters stay."""
    return sentence[:1].upper() + sentence[1:]
