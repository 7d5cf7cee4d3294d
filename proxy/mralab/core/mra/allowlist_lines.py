"""The lines of an allow list's CSV file: columns, header, and faults of the whole file.

Blanks are accepted around a value, after a closing quote and at the end of a line, and so are the empty rows and
trailing empty columns that spreadsheets write. A fault of the whole file (another separator, no header, tests instead
of rules) is one problem, which names the cause. A fault in several lines is one problem with their numbers. The time is
linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from mralab.core.mra.allowlist_rules import METHODS
from mralab.core.nearest import nearest

from ..counting import counted

HEADER: Final = ("Url", "Deployment", "HttpMethods", "MatchType", "Description")
TESTS_HEADER: Final = ("Url", "ExpectedResult", "Deployment", "Description", "HttpMethod")
MATCHES: Final = {"exact": "exact", "prefix": "prefix", "starts-with": "prefix", "startswith": "prefix", "": "prefix"}
"""``MatchType`` in the file -> ``match`` of a rule (administrator guide X15.0; the default in CSV is prefix)."""
BLANKS: Final = " \t\x0b\x0c\xa0\u2007\u202f\u3000\u200b\u2060\ufeff"

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SEPARATORS: Final = ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"))
_TYPOGRAPHIC: Final = frozenset("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u2039\u203a")
_WRONG_QUOTES: Final = 'typographic quotes (\u201c \u201d) do not enclose a value; use straight ones (")'
_SINGLE_QUOTES: Final = "single quotes (') do not enclose a value; use double ones (\")"
_INVISIBLE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tabs, line separators, changes of direction: no value needs them, and terminals obey."""
_SEP_LINE: Final = re.compile(r'[\s"]*sep\s*=.{0,3}["\s]*', re.IGNORECASE)
_MOST_LINES_OF_A_CELL: Final = 20

T = TypeVar("T")
Checked = tuple[T | None, list[str]]


class RulesError(ValueError):
    """An unusable CSV file. ``problems`` has all its problems, as ``source:LINE: problem``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """``problems`` in the order of the file."""
        super().__init__("\n".join(problems))
        self.problems = problems


def decode_csv(data: bytes, source: str) -> str:
    """Return the text of a CSV file in UTF-8, with or without byte order mark. Raises :class:`RulesError`."""
    cause = ""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        cause = "a spreadsheet, not CSV; export it as CSV (UTF-8)"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        cause = "UTF-16 text; save it as CSV UTF-8"
    if cause:
        raise RulesError((f"{source}: is {cause}",))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{data[error.start]:02x} is not UTF-8 text; save the file as CSV UTF-8"
        raise RulesError((f"{source}:{line}: {wrong}",)) from error


class _NotCsvError(ValueError):
    """A line that cannot be split into columns. ``open``: the only reason is a quote that is not closed."""

    def __init__(self, message: str, *, open: bool = False) -> None:  # noqa: A002 - the attribute's name
        super().__init__(message)
        self.open = open


class _WholeFileError(Exception):
    """A fault of the whole file, which ends its parsing."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse(
    text: str, source: str, header: tuple[str, ...], check: Callable[[list[str]], Checked[T]]
) -> list[tuple[int, T]]:
    """Return line number and value of each row.

    ``check`` gets the cells of a row in the order of ``header`` and returns its value, or None and the problems. Raises
    :class:`RulesError` with all problems.
    """
    found: list[tuple[int, T]] = []
    problems: dict[str, list[int]] = {}
    try:
        for line, row, line_problems in _rows(text, header, check):
            value, row_problems = check(row) if row is not None else (None, [])
            found_problems = line_problems if row is None else _row_problems(row, header, row_problems)
            for problem in found_problems:
                problems.setdefault(problem, []).append(line)
            if value is not None and not found_problems:
                found.append((line, value))
    except _WholeFileError as error:
        raise RulesError((f"{source}:{error.line}: {error}",)) from None
    if problems:
        raise RulesError(tuple(f"{source}:{lines[0]}: {text}{_also(lines)}" for text, lines in problems.items()))
    return found


def _row_problems(row: list[str], header: tuple[str, ...], found: list[str]) -> list[str]:
    """Return the problems that ``check`` found in a row, or their common cause, and each control character."""
    cells = dict(zip(header, row, strict=True))
    odd = {name: match.group() for name, cell in cells.items() if (match := _INVISIBLE.search(cell))}
    texts = ("Description", "Deployment")  # may begin with any quote
    if found and (quotes := _wrong_quotes(cell for name, cell in cells.items() if name not in texts)):
        found = [quotes]
    return [
        *(f"{name} has the control character {character!a}; delete it" for name, character in odd.items()),
        *(problem for problem in found if not problem.startswith(tuple(odd))),
    ]


def _wrong_quotes(cells: Iterable[str]) -> str:
    """Return the problem that other quotes than double ones enclose a value, or nothing."""
    first = {cell[:1] for cell in cells}
    if first & _TYPOGRAPHIC:
        return _WRONG_QUOTES
    return _SINGLE_QUOTES if "'" in first else ""


def _also(lines: list[int]) -> str:
    others = [str(line) for line in dict.fromkeys(lines[1:]) if line != lines[0]]
    return f" (also in {'line' if len(others) == 1 else 'lines'} {listed(others)})" if others else ""


def _rows(
    text: str, header: tuple[str, ...], check: Callable[[list[str]], Checked[T]]
) -> Iterator[tuple[int, list[str] | None, list[str]]]:
    """Yield line number, cells in the order of ``header`` and no problems; or None and the problems of the line."""
    if (at := text.find("\0")) >= 0:
        number = text.count("\n", 0, at) + 1
        raise _WholeFileError(number, "has NUL characters: it is UTF-16 text, or no text at all; save it as CSV UTF-8")
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    columns: tuple[int, ...] | None = None
    more_columns = False
    skip_to = 0
    for number, line in enumerate(lines, start=1):
        if number <= skip_to or not line.strip(BLANKS + ",") or line.lstrip(BLANKS).startswith("#"):
            continue
        if columns is None:
            _check_separator(line, number)
        try:
            cells = _split(line)
        except _NotCsvError as error:
            last = _end_of_cell(lines, number) if error.open else 0
            skip_to = max(skip_to, last)
            over = f"a value continues over lines {number} to {last}; a row must be one line"
            if columns is None:
                raise _WholeFileError(number, f"not CSV: {over if last else error}") from None
            yield number, None, [over if last else f"not CSV: {error}"]
            continue
        if columns is None:
            columns, wrong = _columns(cells, number, header)
            more_columns = len(cells) > len(header)  # a problem of the header; not repeated for each row
            if wrong:
                yield number, None, wrong
            if not columns:  # no header: check the rows only if their columns seem to be right
                if len(cells) > len(header) or check(cells)[0] is None:
                    return
                columns = tuple(range(len(header)))
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if tuple(cells) == header:
            yield number, None, ["the header is repeated; only the first line may be the header"]
        elif len(cells) == 1 and (word := _other_separator(line)):
            yield number, None, [f"columns are separated by {word}, not by commas"]
        elif len(cells) == 1 and "," in cells[0]:
            yield number, None, ["the whole line is in quotes; only single values may be"]
        elif len(cells) > len(columns):
            if not more_columns:
                yield number, None, [_too_many(cells, header)]
        else:
            padded = [*cells, *[""] * (len(header) - len(cells))]
            yield number, [padded[column] if column >= 0 else "" for column in columns], []
    if columns is None:
        raise _WholeFileError(max(len(lines) - (not lines[-1]), 1), f"no header line; it must be {','.join(header)}")


def _split(line: str) -> list[str]:
    """Return the columns of a line, without their quotes and without blanks around them. Raises ``_NotCsvError``."""
    if '"' not in line:
        return [value.strip(BLANKS) for value in line.split(",")]
    cells: list[str] = []
    at = 0
    while True:
        start = _skip_blanks(line, at)
        if line[start : start + 1] == '"':
            value, end = _quoted(line, start + 1, len(cells) + 1)
        else:
            comma = line.find(",", start)
            end = comma if comma >= 0 else len(line)
            value = line[start:end].strip(BLANKS)
        cells.append(value)
        if end >= len(line):
            return cells
        at = end + 1


def _skip_blanks(line: str, at: int) -> int:
    while at < len(line) and line[at] in BLANKS:
        at += 1
    return at


def _quoted(line: str, start: int, column: int) -> tuple[str, int]:
    """Return the value after an opening quote, and the index of the comma or line end after it."""
    parts: list[str] = []
    while True:
        close = line.find('"', start)
        if close < 0:
            raise _NotCsvError(f"the quote that opens column {column} is not closed", open=True)
        parts.append(line[start:close])
        if line[close + 1 : close + 2] != '"':
            break
        parts.append('"')
        start = close + 2
    comma = line.find(",", close)
    end = comma if comma >= 0 else len(line)
    if rest := line[close + 1 : end].strip(BLANKS):
        raise _NotCsvError(f'text after the closing quote of column {column}: {shown(rest)} (a quote in a value is "")')
    return "".join(parts), end


def _end_of_cell(lines: list[str], number: int) -> int:
    """Return the number of the line that closes the quote left open on line ``number``, 0 if there is none."""
    for last in range(number + 1, min(number + _MOST_LINES_OF_A_CELL, len(lines)) + 1):
        try:
            _split(" ".join(lines[number - 1 : last]))
        except _NotCsvError as error:
            if not error.open:
                return 0
        else:
            return last
    return 0


# -- faults of the whole file


def _check_separator(line: str, number: int) -> None:
    """Raise ``_WholeFileError`` if the first line's columns are not separated by commas."""
    if len(line) < 40 and _SEP_LINE.fullmatch(line):
        raise _WholeFileError(number, f"{shown(line)} is a line for spreadsheets only; delete it and use commas")
    known = {name.lower() for name in (*HEADER, *TESTS_HEADER)}

    def names(separator: str) -> int:
        return sum(cell.strip(BLANKS + '"').lower() in known for cell in line.split(separator))

    for separator, word in _SEPARATORS:
        other = names(separator) > max(1, names(","))
        if other or ("://" in line.partition(separator)[0] and _other_separator(line) == word):
            raise _WholeFileError(number, f"columns are separated by {word}, not by commas; save it with commas")


def _other_separator(line: str) -> str:
    """Return the name of another separator that a line has instead of commas, or nothing."""
    for separator, word in _SEPARATORS:
        if line.count(separator) > max(1, line.count(",")):
            return word
    return ""


def _columns(cells: list[str], line: int, header: tuple[str, ...]) -> tuple[tuple[int, ...], list[str]]:
    """Return the index of each column of ``header`` in a row, and the problems of the file's header line.

    No indexes: the line is not a header. Raises ``_WholeFileError`` for tests instead of rules, or the reverse.
    """
    while cells and not cells[-1]:
        cells.pop()
    if tuple(cells) == header:
        return tuple(range(len(header))), []
    right = f"the header must be {','.join(header)}"
    folded = [cell.lower() for cell in cells]
    names = [name.lower() for name in header]
    _check_kind(cells, folded, line, header)
    if not set(folded) & set(names):
        if len(cells) == 1 and set(cells[0].lower().split(",")) & set(names):
            raise _WholeFileError(line, f"whole lines are in quotes; only single values may be: {','.join(header)}")
        return (), [f"no header line; the first line must be {','.join(header)}"]
    if sorted(folded) == sorted(names):
        order = "" if folded == names else "order"
        case = "" if set(cells) == set(header) else "upper and lower case"
        differs = " and ".join(filter(None, (order, case)))
        return tuple(folded.index(name) for name in names), [f"{right}; this one differs in {differs}"]
    twice = [cell for at, cell in enumerate(cells) if folded.index(folded[at]) != at]
    wrong = [f"column {shown(name)} occurs twice; {right}" for name in twice]
    for cell, fold in zip(cells, folded, strict=True):
        if fold not in names:
            wrong.append(f"column {shown(cell)} is unknown{did_you_mean(fold, header)}; {right}")
    if not wrong:
        missing = [name for name in header if name.lower() not in folded]
        wrong.append(f"wrong header; {right} ({listed(missing)} {'is' if len(missing) == 1 else 'are'} missing)")
        return tuple(folded.index(name) if name in folded else -1 for name in names), wrong
    return tuple(range(len(header))), wrong


def _check_kind(cells: list[str], folded: list[str], line: int, header: tuple[str, ...]) -> None:
    """Raise ``_WholeFileError`` for tests instead of rules, or rules instead of tests."""
    second = folded[1] if len(folded) > 1 else ""
    has_url = bool(cells) and "://" in cells[0]
    if header == HEADER and ("expectedresult" in folded or (has_url and second in ("allow", "block"))):
        raise _WholeFileError(
            line,
            "these are tests of an allow list (ExpectedResult: allow or block), not rules;"
            f" the header of rules is {','.join(HEADER)}",
        )
    if header == TESTS_HEADER and "expectedresult" not in folded and {"httpmethods", "matchtype"} & set(folded):
        raise _WholeFileError(
            line,
            "these are rules of an allow list (HttpMethods, MatchType), not tests;"
            f" the header of tests is {','.join(TESTS_HEADER)}",
        )


def _too_many(cells: list[str], header: tuple[str, ...]) -> str:
    """Return the problem of a row with more columns than the header."""
    count = f"{counted(len(cells), 'column')} where the header names {len(header)}"
    if quotes := _wrong_quotes(cells):
        return quotes
    if header == HEADER and cells[2].upper() in METHODS and cells[3].upper() in METHODS:
        return f'{count} (several methods need quotes: "GET,PUT")'
    if header == HEADER and cells[3].lower() in MATCHES:
        return "the description has a comma; put it in quotes"
    if header == TESTS_HEADER and cells[1].lower() in ("allow", "block") and cells[-1].upper() in ("", *METHODS):
        return "the description has a comma; put it in quotes"
    return f"{count} (a value with a comma in it needs quotes)"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` with the nearest of ``choices`` in any case, or nothing."""
    near = nearest(word, choices)
    return f" (did you mean {near}?)" if near else ""


def shown(text: str) -> str:
    """Return at most 80 characters of a value, quoted for a message."""
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}..."


def listed(words: Iterable[str]) -> str:
    """Return the first six words, separated by commas."""
    every = list(words)
    return ", ".join(every[:6]) + (", ..." if len(every) > 6 else "")
