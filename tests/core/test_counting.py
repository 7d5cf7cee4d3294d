"""Numbers with their nouns."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import mralab
from mralab.core.counting import capitalized, counted, share


@pytest.mark.parametrize(("number", "text"), [(0, "0 lines"), (1, "1 line"), (2, "2 lines")])
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "line") == text


@pytest.mark.parametrize(
    ("number", "total", "text"),
    [
        (1, 1, "the server"),
        (0, 2, "none of 2 servers"),
        (1, 2, "1 of 2 servers"),
        (2, 2, "both servers"),
        (2, 3, "2 of 3 servers"),
        (3, 3, "all 3 servers"),
    ],
)
def test_a_share_of_one_is_no_fraction(number: int, total: int, text: str) -> None:
    assert share(number, total, "server") == text


def test_the_other_capitals_of_a_sentence_stay() -> None:
    assert [capitalized(text) for text in ("", "the CA", "X14.2")] == ["", "The CA", "X14.2"]


NOUNS = re.compile(
    r"^ (?:more |log |of the )?(lines|servers|certificates|rules|requests|packets|events|entries|tests|peers|findings"
    r"|issues|scenarios|logins|clients|hosts|changes|steps)\b"
)
CHECKED_BEFORE = {
    ("diagnose/issuer.py", "certificates"),  # more than a few
    ("diagnose/chain_notes.py", "certificates"),  # two at least
    ("lab/like.py", "certificates"),  # a kind of key, not a number
    ("core/capture/reading.py", "packets"),  # more than one
    ("show/report_run.py", "scenarios"),  # more than one
}


def test_no_number_stands_before_a_fixed_plural() -> None:
    """``1 servers``: use ``counted``, or choose by the number in the same expression."""
    root = Path(mralab.__file__).parent
    found = set()
    for file in root.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        chosen = {id(part) for node in ast.walk(tree) if isinstance(node, ast.IfExp) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.JoinedStr) or id(node) in chosen:
                continue
            for value, after in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                    noun = NOUNS.match(str(after.value))
                    is_name = isinstance(value.value, ast.Name) and value.value.id.isupper()
                    if noun and not is_name:
                        found.add((file.relative_to(root).as_posix(), noun[1]))
    assert found <= CHECKED_BEFORE
