"""Readings of a path by different servers: path traversals in all spellings, and names that are not traversals."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.mra.readings import readings


@given(st.from_regex(r"(/[A-Za-z0-9_~,=-][A-Za-z0-9._~,=-]*)+/?(\?[!-~]*)?", fullmatch=True))
def test_an_ordinary_path_has_one_reading(path: str) -> None:
    assert readings(path) == {path.partition("?")[0]}


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/./b/.", "/a/b/"),
        ("/../../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/%252e%252e/b", "/b"),
        ("/a/..%2fb", "/b"),
        ("/a/..%252fb", "/b"),
        ("/a\\..\\b", "/b"),
        ("/a/..%5cb", "/b"),
        ("/a/..;x=1/b", "/b"),
        ("/a/..%3bx/b", "/b"),
        ("/a;x/b", "/a/b"),
        ("//b", "/b"),
        ("/a//../b", "/b"),
        ("/a//../b", "/a/b"),
        ("/b%00/../c", "/b"),
        ("/b%2500c", "/b"),
        ("/b%3fc", "/b"),
        ("/b%23c", "/b"),
        ("/a/%2f../b", "/b"),
        ("/a%20b", "/a b"),
        ("/a/%c0%ae%c0%ae/b", "/b"),
        ("/a/..%c0%afb", "/b"),
        ("/a/..%c1%9cb", "/b"),
        ("/a/%e0%80%ae%f0%80%80%ae/b", "/b"),
        ("/a/%25c0%25ae./b", "/b"),
        ("/a/%u002e%u002E/b", "/b"),
        ("/a/..%u2215b", "/b"),
        ("/a/%ef%bc%8e%ef%bc%8e%ef%bc%8fb", "/b"),
    ],
)
def test_readings_include_those_of_other_servers(path: str, reading: str) -> None:
    assert {path, reading} <= readings(path + "?q=/../%2e")


@given(
    st.lists(st.sampled_from(["/", ".", "..", "%2e", "%252f", "%5c", ";", "\\", "a", "%00", "%c0%ae", "%u002f"])).map(
        "".join
    )
)
def test_readings_of_readings_are_readings(tail: str) -> None:
    found = readings("/" + tail)
    if "" not in found:
        for reading in found:
            assert readings(reading.partition("?")[0]) <= found


DOTS: tuple[str, ...] = (
    "..",
    "%2e%2e",
    ".%2E",
    "%252e.",
    "%u002e.",
    "%c0%ae.",
    "%c0%2e.",
    "%e0%40%ae.",
    "%f8%80%80%80%ae.",
    "%e2%80%a5",
)
DOTS += (
    "%e2%80%a4.",
    "%ef%bc%8e%ef%bc%8e",
    "%ef%b9%92.",
    "%u2025",
    "%uff0e.",
    "%ef%b8%b0",
    "%25e2%2580%25a5",
    "%2%0ae.",
)
# Characters that some server drops, reads as blanks or cannot decode: C0 and C1 controls, blanks, default-ignorable
# code points, bidirectional controls, combining marks, private use, noncharacters, non-UTF-8 octets, surrogates.
DROPPED: tuple[str, ...] = (
    "%00",
    "%09",
    "%0a",
    "%0d",
    "%7f",
    "%20",
    "+",
    "%2b",
    "%c2%85",
    "%c2%a0",
    "%c2%ad",
    "%cd%8f",
    "%e1%85%9f",
)
DROPPED += ("%e3%85%a4", "%ef%be%a0", "%e2%80%8b", "%e2%80%8d", "%e2%80%8e", "%e2%80%ae", "%e2%81%a0", "%e2%81%a6")
DROPPED += ("%ef%bb%bf", "%ef%b8%8f", "%f3%a0%80%81", "%e3%80%80", "%e2%80%a8", "%cc%88", "%e2%83%9d", "%ee%80%80")
DROPPED += ("%ef%bf%bd", "%ff", "%80", "%e2%80", "%ed%a0%80", "%u200b", "%ud800", "%u3164", "%20%20", "%2520", "%85")
SLASHES: tuple[str, ...] = (
    "/",
    "%2f",
    "%5c",
    "\\",
    "%252f",
    "%c0%af",
    "%c0%2f",
    "%c1%9c",
    "%u2215",
    "%u2216",
    "%ef%bc%8f",
    "%ef%bc%bc",
)
SLASHES += ("%e2%81%84", "%e2%88%95", "%e2%88%96", "%ef%b9%a8", "%e2%a7%b8", "//", ";x/", "%3bx/", "%ef%bc%9bx/")
pieces = st.lists(st.sampled_from(DROPPED), max_size=2).map("".join)


@st.composite
def traversals(draw: st.DrawFn) -> str:
    """Draw a path below ``/ok/`` that some server reads as ``/secret``."""
    dots = draw(st.sampled_from(DOTS))
    at = draw(st.sampled_from([0, len(dots)] + [1] * dots.startswith(".") + [len(dots) - 1] * dots.endswith(".")))
    around = draw(pieces) + dots[:at] + draw(pieces) + dots[at:] + draw(pieces)
    return "/ok" + draw(st.sampled_from(SLASHES)) + around + draw(st.sampled_from(SLASHES)) + "secret"


@given(traversals())
def test_a_traversal_in_any_reading_is_not_allowed_below_a_prefix(path: str) -> None:
    assert not all(reading.startswith("/ok/") for reading in readings(path))


@pytest.mark.parametrize("dropped", [*DROPPED, *(f"%{octet:02x}" for octet in range(0x21)), "%7f"])
@pytest.mark.parametrize(
    "form", ["/ok/{0}../secret", "/ok/.{0}./secret", "/ok/..{0}/secret", "/ok/..{0}", "/ok/{0}.{0}.{0}/"]
)
def test_dots_with_characters_that_a_server_may_drop_are_undecidable(form: str, dropped: str) -> None:
    found = readings(form.format(dropped))
    assert "" in found or any(not reading.startswith("/ok/") for reading in found)


@pytest.mark.parametrize(
    "path", ["/ok/...", "/ok/..../x", "/ok/.. ./x", "/ok/..:/x", "/ok/..::$INDEX_ALLOCATION/x", "/ok/+./x"]
)
def test_a_segment_of_dots_needs_a_name(path: str) -> None:
    assert "" in readings(path)


@pytest.mark.parametrize("dot", "\u00b7\u2022\u2026\u2027\u3002\uff61\u30fb\u06d4\u0589\u2e31\u2024\ufe52")
def test_dots_of_other_scripts_need_a_name_too(dot: str) -> None:
    for form in ("/ok/{0}{0}/secret", "/ok/.{0}/secret", "/ok/{0}{0}", "/ok/%20{0}{0}%20/secret"):
        path = form.format(quote(dot))
        assert any(not reading.startswith("/ok/") for reading in readings(path)), path
    assert all(reading.startswith("/ok/") for reading in readings(f"/ok/a{quote(dot)}b.txt"))


@pytest.mark.parametrize("sign", "\u00a5\u20a9\uffe5\uffe6")
def test_characters_that_are_backslashes_in_some_code_pages(sign: str) -> None:
    assert "/secret" in readings(f"/ok/..{quote(sign)}secret")
    assert all(reading.startswith("/ok/") for reading in readings(f"/ok/{quote(sign)}100"))


def test_a_segment_that_may_disappear_next_to_a_dot_segment_is_undecidable() -> None:
    assert "" in readings("/ok/a/%20/../x")
    assert "" in readings("/ok/a/%e2%80%8b/%2e%2e/x")
    assert "" not in readings("/ok/a/%20/x")


@pytest.mark.parametrize(
    "path",
    [
        "/tftp/J%C3%BCrgen.cnf.xml",
        "/tftp/Ju%CC%88rgen%20M.cnf.xml",
        "/tftp/J%FCrgen.xml",
        "/files/%E6%97%A5%E6%9C%AC%E8%AA%9E.pdf",
        "/files/%D8%B9%D8%B1%D8%A8%D9%8A",
        "/files/%E0%A4%B9%E0%A4%BF.txt",
        "/files/%EF%AC%81le.txt",
        "/files/a%20b%20.txt",
        "/files/%E2%9D%A4.jpg",
        "/files/100%25%20sure",
        "/files/%20",
        "/files/a+b.c+",
        "/files/Caf%C3%A9...",
        "/files/..well-known",
        "/files/%E3%80%8C%E5%90%8D%E3%80%8D.cnf",
        "/files/Report%20%E2%80%93%20final.pdf",
    ],
)
def test_names_in_all_languages_have_one_reading(path: str) -> None:
    assert readings(path) == {path, unquote(path, "latin-1")}


SOLIDUS = re.compile(r"(?:FRACTION|DIVISION) SLASH|SET MINUS|(?:[A-Z]+ ){0,2}SOLIDUS(?: OPERATOR)?")
NOT_A_SLASH = re.compile(r"COMBINING|TAG|CIRCLED|DOTTED|SUPERSET")
PARTS = frozenset("./\\%;:?#\u2044")


def folded_path_part(character: str) -> str:
    """Return the folded form of a character if it has a meaning in paths, otherwise an empty string."""
    name = unicodedata.name(character, "")
    if SOLIDUS.fullmatch(name) and not NOT_A_SLASH.match(name) and "DOUBLE" not in name:
        return "\\" if "REVERSE" in name or "MINUS" in name else "/"
    folded = "" if "\ud800" <= character < "\ue000" else unicodedata.normalize("NFKC", character)
    return "" if PARTS.isdisjoint(folded) else folded.replace("\u2044", "/")


def test_every_character_that_folds_to_a_part_of_a_path_is_read_so() -> None:
    """The characters are from Unicode's data: compatibility decompositions, and names that contain a slash."""
    all_folded = {chr(code): folded for code in range(0x80, 0x110000) if (folded := folded_path_part(chr(code)))}
    assert set("\u2025\u2024\uff0e\ufe52\u2215\u2044\u2216\uff0f\uff3c\u2100\uff05\uff1b") <= set(all_folded)
    for character, folded in all_folded.items():
        expected = re.split("[?#]", f"/a{folded}b")[0]
        assert expected in readings(f"/a{quote(character)}b"), (hex(ord(character)), folded)
        # The vulgar fractions are also Latin-1, whose octets are part of other characters in UTF-8.
        assert not 0xFF < ord(character) < 0x10000 or expected in readings(f"/a%u{ord(character):04x}b")


def test_a_path_that_is_long_or_has_many_readings_has_one_that_no_rule_covers() -> None:
    assert readings("/%2e" + "a" * 3000) == {"/%2e" + "a" * 3000, ""}
    assert "" in readings("/%" + "25" * 100 + "2e")
    assert readings("/" + "a" * 100_000) == {"/" + "a" * 100_000}
