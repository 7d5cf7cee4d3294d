"""Releases: sources of every value, spellings, hints that never cross the start of verification; verification modes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mralab
from mralab.core.release import BEFORE, DEFAULT, RELEASES, find_release, verify_mode
from tests.core import release_table


@pytest.mark.parametrize(
    ("written", "name", "verify"),
    [
        ("X14.2", "X14.2", "on"),
        ("x14.2", "X14.2", "on"),
        ("14.2", "X14.2", "on"),
        (" X14.2.0 ", "X14.2", "on"),
        ("X14.2.5", "X14.2.5", "on"),
        ("x14.3.1", "X14.3.1", "on"),
        ("X14.0.7", "X14.0.7", "off"),
        ("X14.0.8", "X14.0.8", "on"),
        ("14.0.9", "X14.0.9", "on"),
        ("X14.0.10", "X14.0.10", "on"),
        ("X14.0", "X14.0", "off"),
        ("X14.0.0", "X14.0", "off"),
        ("X14.0.2", "X14.0.2", "off"),
        ("X12.5", "X12.5", "off"),
        ("X12.6.3", "X12.6.3", "off"),
        ("X15.0", "X15.0", "on"),
        ("X15.3.2", "X15.3.2", "on"),
        ("X15.5", "X15.5", "on"),
    ],
)
def test_a_release_is_known_in_any_spelling(written: str, name: str, verify: str) -> None:
    row = find_release(written)
    assert (row.name, row.verify) == (name, verify)
    assert RELEASES[name] is row


def test_every_value_of_every_row_says_where_it_comes_from() -> None:
    for name, row in RELEASES.items():
        assert row.name == name
        assert set(row.sources) == {"name", "verify", "prefer", "tls"}
        assert all(re.match(r"(published|inferred): \S", source) for source in row.sources.values()), name
    assert RELEASES["X14.0.8"].sources["verify"].startswith("published: Cisco 225476")
    assert "218018" in RELEASES["X14.0.8"].sources["verify"]
    assert RELEASES["X14.2.5"].sources["name"].startswith("published")
    assert RELEASES["X14.2.4"].sources["name"].startswith("inferred")
    assert (RELEASES["X14.2"].prefer, RELEASES["X14.0.7"].prefer, RELEASES["X15.0"].prefer) == ("ecdsa", "rsa", "rsa")
    assert "1.3" in RELEASES["X15.0"].tls


def test_the_pair_before_and_after_is_defined_once() -> None:
    assert (RELEASES[BEFORE].verify, RELEASES[DEFAULT].verify) == ("off", "on")
    package = Path(mralab.__file__).parent
    again = [
        f"{file.relative_to(package)}:{node.lineno}"
        for file in package.rglob("*.py")
        if file != package / "core" / "release.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in (BEFORE, DEFAULT)
    ]
    assert again == []


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match="is not a known release") as caught:
        find_release(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("X14.0.11", "X14.0.10"),
        ("x 14.2", "X14.2"),
        ("Cisco Expressway-C version: x14.0.8", "X14.0.8"),
        ("X14.2.9", "X14.2.5"),
        ("X12.5.9", "X12.5"),
        ("Expressway X14.2", "X14.2"),
        ("v14.0.7", "X14.0.7"),
        ("X15.3.4", "X15.3.2"),
        # No hint: the release is unknown, or several could be meant.
        ("X14", ""),
        ("X14.1", ""),
        ("X14.7", ""),
        ("X14.02", ""),
        ("X14.2.0.7", ""),
        ("X12.7", ""),
        ("X14.0.7 or X14.2", ""),
        ("X16.0", ""),
        ("X8.11.4", ""),
        ("latest", ""),
        ("", ""),
        # No hint: the text around the number means, or may mean, another release.
        *((f"X14.0{rest}", "") for rest in (",8", "-8", " 8", ".x", ".O8", "SU8", " (8)", "..8", ".", "\n.8", "+")),
        ("X14.0.1O", ""),
        ("X14.0.1 0", ""),
        ("X14.0.7 or later", ""),
        ("before X14.2", ""),
        ("pre-X14.2", ""),
        ("<X14.2", ""),
        ("not X14.2", ""),
        ("X14.2 not yet", ""),
    ],
)
def test_the_error_for_an_unknown_release_has_the_known_ones_and_a_hint(written: str, hint: str) -> None:
    message = refusal(written)
    assert "X12.5, X12.6 to X12.6.3, X14.0 to X14.0.10, X14.2 to X14.2.5, X14.3 to X14.3.7" in message
    assert message.partition("; did you mean ")[2] == (f"{hint!r}?" if hint else "")


@given(st.tuples(st.integers(8, 17), st.integers(0, 12), st.integers(0, 30)))
def test_no_hint_leads_across_the_start_of_verification(number: tuple[int, int, int]) -> None:
    text = "X{}.{}.{}".format(*number)
    try:
        row = find_release(text)
    except ValueError as error:
        hint = str(error).partition("; did you mean '")[2].removesuffix("'?")
        verify = RELEASES[hint].verify if hint else ""
    else:
        verify = row.verify
    assert verify in ("", "on" if number >= (14, 0, 8) else "off")


@given(st.text(max_size=30))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        assert find_release(text).name in RELEASES
    except ValueError as error:
        assert "is not a known release" in str(error)


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (("on", "On", "ON", " on ", "ENFORCED", "enforced"), "on"),
        (("off", "Off", "OFF", "DISABLED", "Disabled"), "off"),
        (("audit", "Audit", "PERMISSIVE", "permissive"), "audit"),
    ],
)
def test_the_words_of_a_verify_mode(words: tuple[str, ...], mode: str) -> None:
    assert {verify_mode(word) for word in words} == {mode}


@pytest.mark.parametrize("word", ["", "yes", "onn", "true", True, None, 1, ["on"]])
def test_the_error_for_any_other_word_lists_all_of_them(word: object) -> None:
    with pytest.raises(ValueError, match=r"^must be on, off or audit \(also ENFORCED, DISABLED, PERMISSIVE\)"):
        verify_mode(word)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("onn", "on"),
        ("of", "off"),
        ("permisive", "permissive"),
        ("Enforce", "enforced"),
        *((word, "") for word in ("no", "enabled", "unenforced", "disenforced", "impermissive", "onoff", "off/on")),
    ],
)
def test_the_suggestion_for_a_misspelt_word_is_never_an_opposite(word: str, hint: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        verify_mode(word)
    assert str(caught.value).partition("; did you mean ")[2] == (f"{hint!r}?" if hint else "")


def test_the_document_has_the_rows() -> None:
    assert release_table.FILE.read_text() == release_table.table(), "python -m tests.core.release_table writes it"
