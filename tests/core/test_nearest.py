"""Suggestions for misspelt words: one threshold, case-insensitive, bounded input."""

from __future__ import annotations

from pathlib import Path

import pytest

import mralab
from mralab.core.nearest import STRICT_CUTOFF, did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "words", "near"),
    [
        ("wrokers", ("listen", "workers"), "workers"),
        ("WORKER", ("listen", "workers"), "workers"),
        ("worker", ("Listen", "Workers"), "Workers"),
        ("kee", ("key", "cn"), "key"),
        ("colour", ("key", "cn"), ""),
        ("", ("key", ""), ""),
        ("key", (), ""),
        ("a" * 250 + "b", ("a" * 251,), "a" * 251),
        ("a" * 256, ("a" * 256,), ""),
        ("key", (*(f"other{number}" for number in range(1000)), "key"), ""),
    ],
)
def test_the_nearest_word(word: str, words: tuple[str, ...], near: str) -> None:
    assert nearest(word, words) == near
    assert did_you_mean(word, words) == (f"; did you mean {near!r}?" if near else "")


def test_a_dangerous_suggestion_needs_more_similarity() -> None:
    assert nearest("open", ("on",)) == "on"
    assert nearest("open", ("on",), STRICT_CUTOFF) == ""


def test_no_other_module_compares_words_with_difflib() -> None:
    root = Path(mralab.__file__).parent
    users = [str(file.relative_to(root)) for file in root.rglob("*.py") if "difflib" in file.read_text("utf-8")]
    assert users == ["core/nearest.py"]
