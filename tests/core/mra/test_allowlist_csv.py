"""CSV files of the allow list from editors and spreadsheets: blanks are harmless, and each cause is one problem."""

from __future__ import annotations

import contextlib
import csv
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.mra.allowlist import (
    METHODS,
    RulesError,
    decode_csv,
    parse_rules_csv,
    parse_tests_csv,
    unknown_methods,
)
from mralab.core.mra.target import Target

RULES = "Url,Deployment,HttpMethods,MatchType,Description"
TESTS = "Url,ExpectedResult,Deployment,Description,HttpMethod"

# Cisco's printed example has a blank after a closing quote and at the ends of lines (field case 20).
PRINTED = """Url,Deployment,HttpMethods,MatchType,Description\x20
https://node1.example.test:8443/one,,GET,,"First Rule"\x20
http://node2.example.test:8000/two,,"GET,PUT",exact,\x20
https://node3.example.test/three,,,prefix,"Third Rule"
"""
# Saved by a spreadsheet with another separator (field case 22).
SEMICOLONS = """Url;Deployment;HttpMethods;MatchType;Description
https://node1.example.test:8443/one;;GET;prefix;First
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(RulesError) as caught:
        parse_rules_csv(text, "r")
    return caught.value.problems


def problems_of_tests(text: str) -> tuple[str, ...]:
    with pytest.raises(RulesError) as caught:
        parse_tests_csv(text, "t")
    return caught.value.problems


def test_the_printed_example_with_its_blanks_is_three_rules() -> None:
    first, second, third = parse_rules_csv(PRINTED, "r")
    assert (first.url, first.methods, first.match, first.description) == (
        "https://node1.example.test:8443/one",
        frozenset(("GET",)),
        "prefix",
        "First Rule",
    )
    assert (second.methods, second.match, third.url) == (
        frozenset(("GET", "PUT")),
        "exact",
        "https://node3.example.test:443/three",
    )


BLANK = st.sampled_from(["", " ", "  ", "\t", " \t ", "\xa0", "\u200b", "\ufeff", "\u3000"])
QUOTED = st.sampled_from(['""', '"a ""b"" c"', '"x, y"', "plain", '"GET"'])


@given(st.lists(st.tuples(BLANK, QUOTED, BLANK), min_size=1, max_size=3), BLANK, st.sampled_from(["\n", "\r\n", "\r"]))
def test_blanks_around_values_never_matter(cells: list[tuple[str, str, str]], blank: str, end: str) -> None:
    for before, value, after in cells:
        methods = f'{after}" GET , PUT "{before}'
        row = f"{blank}https://h/a{after},{before},{methods},{before}exact{after},{before}{value}{after}"
        header = ",".join(f"{before}{name}{after}" for name in RULES.split(","))
        (rule,) = parse_rules_csv(f"\ufeff{header}{end}{blank}{end}{row}{end}{blank}", "r")
        (plain,) = parse_rules_csv(f'{RULES}\nhttps://h/a,,"GET,PUT",exact,{value}\n', "r")
        assert rule == plain


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), max_size=20), max_size=4))
def test_what_pythons_csv_module_writes_is_read_the_same(descriptions: list[str]) -> None:
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        out = io.StringIO()
        writer = csv.writer(out, quoting=quoting)
        writer.writerow(RULES.split(","))
        writer.writerows(["https://h/", "", "GET", "exact", description] for description in descriptions)
        found = [rule.description for rule in parse_rules_csv(out.getvalue(), "r")]
        if quoting == csv.QUOTE_ALL:
            assert found == descriptions
        assert len(found) == len(descriptions)


def test_empty_rows_and_columns_of_a_spreadsheet_are_ignored() -> None:
    (rule,) = parse_rules_csv(f"{RULES},,\n,,,,,,\nhttps://h/,,,,d,,\n , , \n", "r")
    assert rule.description == "d"


@pytest.mark.parametrize(
    ("written", "match"),
    [("exact", "exact"), ("Prefix", "prefix"), ("starts-with", "prefix"), ("StartsWith", "prefix"), ("", "prefix")],
)
def test_match_types(written: str, match: str) -> None:
    assert parse_rules_csv(f"{RULES}\nhttps://h/,,,{written},\n", "r")[0].match == match


ROW = "https://h/{},,GET,prefix,d"
MANY = "\n".join(ROW.format(number) for number in range(5))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SEMICOLONS, "r:1: columns are separated by semicolons, not by commas; save it with commas"),
        (SEMICOLONS.replace(";", "\t"), "r:1: columns are separated by tabs, not by commas; save it with commas"),
        (SEMICOLONS.replace(";", " | "), "r:1: columns are separated by vertical bars, not by commas; save it with"),
        (SEMICOLONS.replace("Url", '"Url"').lower(), "r:1: columns are separated by semicolons"),
        (SEMICOLONS.splitlines()[1], "r:1: columns are separated by semicolons"),
        ('"sep = ;"\n' + SEMICOLONS, "r:1: '\"sep = ;\"' is a line for spreadsheets only; delete it"),
        ("sep=;\n" + SEMICOLONS, "r:1: 'sep=;' is a line for spreadsheets only; delete it"),
        (
            f"{RULES}\n{MANY.replace(',', ';')}",
            "r:2: columns are separated by semicolons, not by commas (also in lines",
        ),
        (
            f"{RULES}\n" + MANY.replace("d", "d, and more"),
            "r:2: the description has a comma; put it in quotes (also in",
        ),
        (
            f"{RULES}\n" + MANY.replace("GET", "GET,PUT"),
            'r:2: 6 columns where the header names 5 (several methods need quotes: "GET,PUT") (also in lines 3, 4, 5',
        ),
        (f"{RULES}\nhttps://h/,,GET,PUT\n", 'r:2: several methods need quotes: "GET,PUT"'),
        (f"{RULES}\nhttps://h/,,\u201cGET,PUT\u201d,exact\n", "r:2: typographic quotes"),
        (f"{RULES}\nhttps://h/,,\u201cGET,PUT\u201d,exact,d\n", "r:2: typographic quotes"),
        (f"{RULES}\nhttps://h/,,\u2018GET,PUT\u2019,exact\n", "r:2: typographic quotes"),
        (f"{RULES}\nhttps://h/,,'GET,PUT',exact\n", "r:2: single quotes (') do not enclose a value; use double ones"),
        (f"{RULES}\n'https://h/',,GET,exact,d\n", "r:2: single quotes (') do not enclose a value; use double ones"),
        (f'{RULES}\n"https://h/,,GET,exact,d"\n', "r:2: the whole line is in quotes; only single values may be"),
        (f"{RULES},Owner\nhttps://h/,,,,d,me\n", "r:1: column 'Owner' is unknown"),
        (f"{RULES}\nhttps://h/a,b,,GET,prefix,d\n", "r:2: 6 columns where the header names 5 (a value with a comma in"),
        (f"{TESTS}\nhttps://h/,allow,,d,GET\nhttps://h/,block,,d,GET\n", "r:1: these are tests of an allow list"),
        (f"{TESTS.lower()}\nhttps://h/,allow,,d,GET\n", "r:1: these are tests of an allow list"),
        ("https://h/,allow,,d,GET\nhttps://h/,block,,d,GET\n", "r:1: these are tests of an allow list"),
        (MANY, f"r:1: no header line; the first line must be {RULES}"),
        (f'""\n{MANY}', f"r:1: no header line; the first line must be {RULES}"),
        (f"some notes\n{MANY}", f"r:1: no header line; the first line must be {RULES}"),
        (f"{RULES.lower()}\n{MANY}", f"r:1: the header must be {RULES}; this one differs in upper and lower case"),
        (
            "Url,MatchType,Deployment,HttpMethods,Description\nhttps://h/,exact,,GET,d\n",
            f"r:1: the header must be {RULES}; this one differs in order",
        ),
        (
            "URL,MatchType,Deployment,HttpMethods,Description\nhttps://h/,exact,,GET,d\n",
            f"r:1: the header must be {RULES}; this one differs in order and upper and lower case",
        ),
        ("Url,HttpMethods,MatchType\nhttps://h/,GET,exact\n", "(Deployment, Description are missing)"),
        (f"Url,{RULES}\n", "r:1: column 'Url' occurs twice; the header must be"),
        (f'"{RULES}"\n"{ROW}"\n', "r:1: whole lines are in quotes; only single values may be"),
        (f"{RULES}\n{MANY}\n{RULES}\n", "r:7: the header is repeated; only the first line may be the header"),
        (
            f'{RULES}\nhttps://h/,,GET,exact,"two\nlines"\nhttps://h/\n',
            "r:2: a value continues over lines 2 to 3; a row",
        ),
        (
            f'{RULES}\nhttps://h/,,GET,exact,"open\nhttps://h/\n',
            "r:2: not CSV: the quote that opens column 5 is not closed",
        ),
        (
            f'{RULES}\nhttps://h/,,"GET"x,exact,\n',
            "r:2: not CSV: text after the closing quote of column 3: 'x' (a quote",
        ),
        (
            f"{RULES}\nhttps://h/,,,,{'d' * 129}\nhttps://h/,,,,{'e' * 200}\n",
            "r:2: Description has more than 128 charac",
        ),
        (
            f"{RULES}\nhttps://h/,,GETT,,\n",
            "r:2: HttpMethods has 'GETT', not one of OPTIONS, GET, HEAD, POST, PUT, DELETE",
        ),
        (f"{RULES}\nhttps://h/,,psot,,\n", "(did you mean POST?)"),
        (f"{RULES}\nhttps://h/,,GET;PUT,,\n", "r:2: HttpMethods 'GET;PUT': methods are separated by commas"),
        (f"{RULES}\nhttps://h/,,GET PUT,,\n", "r:2: HttpMethods 'GET PUT': methods are separated by commas"),
        (f"{RULES}\nhttps://h/,,GET|PUT,,\n", "r:2: HttpMethods 'GET|PUT': methods are separated by commas"),
        (
            f'{RULES}\nhttps://h/,,"{",".join(f"GET{n}" for n in range(99))}",,\n',
            "r:2: HttpMethods has more than 32 met",
        ),
        (f"{RULES}\nhttps://h/,,*,,\n", "r:2: HttpMethods has '*', not one of"),
        (f"{RULES}\n{MANY}\n".encode("utf-16-le").decode("latin-1"), "r:1: has NUL characters: it is UTF-16 text"),
    ],
)
def test_one_cause_is_one_problem_that_names_it(text: str, problem: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert problem in found[0]


def test_rows_under_a_wrong_header_are_checked_too() -> None:
    found = problems("Url,MatchType,Deployment,HttpMethods,Description\nhttps://h/,exakt,,GET,d\n")
    assert [problem.partition(" ")[0] for problem in found] == ["r:1:", "r:2:"]
    assert "MatchType 'exakt' is neither exact nor prefix (did you mean exact?)" in found[1]
    found = problems(f"{MANY}\nhttps://h/,,GET,exakt,d\n")
    assert [problem.partition(" ")[0] for problem in found] == ["r:1:", "r:6:"]


def test_the_same_fault_in_many_lines_is_one_problem_with_their_numbers() -> None:
    assert problems(f"{RULES}\n" + ",,,,d\n" * 3) == ("r:2: Url is missing (also in lines 3, 4)",)
    assert problems(f"{RULES}\n" + ",,,,d\n" * 20) == ("r:2: Url is missing (also in lines 3, 4, 5, 6, 7, 8, ...)",)


def test_methods_unknown_to_expressway_are_accepted_and_reported() -> None:
    rules = parse_rules_csv(f'{RULES}\nhttps://h/a,,"get,FOO,trace",,\nhttps://h/b,,"{",".join(METHODS)}",,\n', "r")
    assert rules[0].allowed_methods == {"GET", "FOO", "TRACE"}
    assert [(rule.path, methods) for rule, methods in unknown_methods(rules)] == [("/a", ("FOO", "TRACE"))]


def test_the_tests_file_of_the_guide() -> None:
    text = (
        f'{TESTS}\nhttp://myServer4/myPath4,block,,,POST\nhttps://[2001:DB8::1]:8443/p?q=1, Allow ,sales.lab,"a, b"\n'
    )
    first, second = parse_tests_csv(text, "t")
    assert (first.line, first.url, first.method, first.expected) == (2, "http://myserver4:80/myPath4", "POST", "block")
    assert second == (3, Target("", "https", "2001:db8::1", 8443), "/p?q=1", "GET", "allow", "sales.lab", "a, b")


def test_a_test_may_request_a_path_that_no_rule_could_have() -> None:
    (test,) = parse_tests_csv(f"{TESTS}\nhttps://h/a/%2e%2e/b,block\n", "t")
    assert test.path == "/a/%2e%2e/b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{RULES}\n{MANY}", "t:1: these are rules of an allow list (HttpMethods, MatchType), not tests"),
        (
            f"{TESTS}\nhttps://h/,alow,,,\n",
            "t:2: ExpectedResult 'alow' is neither allow nor block (did you mean allow?)",
        ),
        (f"{TESTS}\nhttps://h/\n", "t:2: ExpectedResult is missing: allow or block"),
        (f'{TESTS}\nhttps://h/,allow,,,"GET,PUT"\n', "t:2: HttpMethod 'GET,PUT' is not a single method"),
        (f"{TESTS}\nhttps://h/,allow,,,GETT\n", "t:2: HttpMethod has 'GETT', not one of"),
        (f"{TESTS}\nhttps://h/,allow,,a, b,GET\n", "t:2: the description has a comma; put it in quotes"),
        (f"{TESTS}\nh/,allow\n", "t:2: Url 'h/' is not protocol://host[:port][/path]"),
        (f"{TESTS.replace(',', ';')}\n", "t:1: columns are separated by semicolons"),
        ("", f"t:1: no header line; it must be {TESTS}"),
    ],
)
def test_tests_that_cannot_be_used(text: str, problem: str) -> None:
    (found,) = problems_of_tests(text)
    assert problem in found


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (RULES.encode("utf-16"), "r: is UTF-16 text; save it as CSV UTF-8"),
        (b"PK\x03\x04....", "r: is a spreadsheet, not CSV; export it as CSV (UTF-8)"),
        (
            f"{RULES}\nhttps://h/,,,,".encode() + b"caf\xe9",
            "r:2: byte 0xe9 is not UTF-8 text; save the file as CSV UTF-8",
        ),
    ],
)
def test_bytes_that_are_not_utf8_text(data: bytes, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        decode_csv(data, "r")
    assert caught.value.problems == (problem,)


def test_utf8_with_and_without_a_byte_order_mark() -> None:
    assert decode_csv(b"\xef\xbb\xbfUrl", "r") == decode_csv(b"Url", "r") == "Url"


def _steps(text: str) -> int:
    """Return the number of executed lines for reading the text."""
    count = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        with contextlib.suppress(RulesError):
            parse_rules_csv(text, "r")
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(
    "line",
    ['https://h/,,GET,exact,"open\n', ",,,,\n", "https://h/,,GETT,exakt,d\n", '"a" x\n', "a;b;c\n", '""""""""\n'],
)
def test_the_work_grows_linearly_with_the_text(line: str) -> None:
    small, large = (_steps(f"{RULES}\n" + line * count) for count in (50, 200))
    assert large < 5 * small


@pytest.mark.parametrize("cell", ['"a",', " ,", '" ",', "a,", '""'])
def test_the_work_on_one_line_grows_linearly_with_the_line(cell: str) -> None:
    small, large = (_steps(f"{RULES}\n" + cell * count) for count in (200, 800))
    assert large < 5 * small


@given(st.text(), st.binary())
def test_any_text_is_tests_or_an_error_and_any_bytes_are_text_or_an_error(text: str, data: bytes) -> None:
    for each in (text, f"{TESTS}\n{text}", f"{TESTS}\nhttps://h/,allow,{text}"):
        try:
            parse_tests_csv(each, "t")
        except RulesError as error:
            assert error.problems
    try:
        parse_rules_csv(decode_csv(data, "r"), "r")
    except RulesError as error:
        assert error.problems


CONTROLS = [chr(number) for number in (*range(1, 9), 11, 12, *range(14, 32), *range(127, 160), 0x2028, 0x202E, 0x200F)]


@pytest.mark.parametrize("character", CONTROLS, ids=[f"U+{ord(character):04X}" for character in CONTROLS])
@pytest.mark.parametrize("at", range(5))
def test_a_control_character_is_refused_by_name_in_every_column(character: str, at: int) -> None:
    """A terminal executes it, so that a log would not show the value in force."""
    for header, parse, row in (
        (RULES, parse_rules_csv, ["https://h/a", "main", "GET", "exact", "note"]),
        (TESTS, parse_tests_csv, ["https://h/a", "allow", "main", "note", "GET"]),
    ):
        row[at] = row[at][:2] + character + row[at][2:]
        with pytest.raises(RulesError) as caught:
            parse(f"{header}\n{','.join(row)}\n", "r")
        name = header.split(",")[at]
        assert caught.value.problems == (f"r:2: {name} has the control character {character!a}; delete it",)


def test_a_control_character_hides_no_other_problem_of_its_row() -> None:
    with pytest.raises(RulesError) as caught:
        parse_rules_csv(f"{RULES}\nhttps://h/,,GETT,exact,\u201ca\x1b[2J\u201d\n", "r")
    assert [problem.split(" has ")[0] for problem in caught.value.problems] == ["r:2: Description", "r:2: HttpMethods"]


def test_a_tab_within_a_description_is_a_blank() -> None:
    (rule,) = parse_rules_csv(f"{RULES}\nhttps://h/,,GET,exact,\u201ca\tb\u201d\n", "r")
    assert rule.description == "\u201ca\tb\u201d"
