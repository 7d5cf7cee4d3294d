"""The strict JSON parser."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.web.strictjson import StrictJsonError, loads

from .conftest import Administered

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=20,
)


@given(_VALUES, st.booleans())
def test_unambiguous_json_is_parsed(value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(_VALUES, _TEXT, st.integers(0, 3))
def test_a_repeated_name_is_refused_at_any_depth(value: Any, name: str, depth: int) -> None:
    member = f"{json.dumps(name)}: {json.dumps(value)}"
    text = f"{{{member}, {member}}}"
    for _ in range(depth):
        text = f'{{"outer": [{text}]}}'
    with pytest.raises(StrictJsonError, match="given more than once"):
        loads(text.encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_parsed_or_refused_with_printable_problems(data: bytes) -> None:
    try:
        loads(data)
    except StrictJsonError as error:
        assert error.problems
        assert all(problem.isprintable() for problem in error.problems)


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (b'{"a": 1, "a": 1}', ["a: given more than once"]),
        (b'{"a": 1, "\\u0061": 2}', ["a: given more than once"]),
        (
            b'{"v": {"o": 1, "o": 2, "o": 3}, "u": [{"x": 1, "x": 1}], "v": 1}',
            ["v: given more than once", "u.0.x: given more than once"],
        ),
        (b'\xef\xbb\xbf{}', ["begins with a byte order mark (RFC 8259 section 8.1)"]),
        ('{"a": 1}'.encode("utf-16"), ["not UTF-8 text (byte 0)"]),
        (b'{"a": "x\\u0000y", "b\\u0000": 1}', ["b\\x00: the name has a control character (U+0000)",
                                                "a: has a control character (U+0000)"]),
        (b'{"a": ["ok", "\\ud800"]}', ["a.1: has half of a surrogate pair (U+D800)"]),
        (b'{"a": "\\udc00\\ud800"}', ["a: has half of a surrogate pair (U+DC00)"]),
        (b'{"a": "\\u001b[2J"}', ["a: has a control character (U+001B)"]),
        (b'{"a": 1e400}', ["the number 1e400 is too large or too long"]),
        (b'{"a": -1e999}', ["the number -1e999 is too large or too long"]),
        (b'{"a": NaN}', ["NaN is not a JSON number"]),
        (b'{"a": -Infinity}', ["-Infinity is not a JSON number"]),
        (b"1" * 5000, ["the number " + "1" * 57 + "... is too large"]),
        (b"1." + b"1" * 5000, ["the number 1." + "1" * 55 + "... is too large or too long"]),
        (b"[" * 33 + b"]" * 33, ["nested more than 32 deep"]),
        (b"[" * 60_000, ["nested more than 32 deep"]),
        (b'{"a":' * 5_000, ["nested more than 32 deep"]),
        (b"[" * 500_000, ["has more than 65536 characters outside strings"]),
        (b"{%b}" % b",".join(b'"%d": 1' % n for n in range(257)), ["an object has more than 256 names"]),
        (b'{"a": {%b}}' % b",".join(b'"a": 1' for _ in range(257)), ["an object has more than 256 names"]),
        (b'{"a": [%b]}' % b",".join(b"0" for _ in range(1001)), ["a: has more than 1000 items"]),
        (b'{"%b": 1}' % (b"k" * 257), ["k" * 57 + "...: the name is longer than 256 characters"]),
        (b'{"a": "%b"}' % (b"x" * 4097), ["a: is longer than 4096 characters"]),
        (b"[%b]" % (b"0," * 40_000), ["has more than 65536 characters outside strings"]),
        (b" " * 70_000, ["has more than 65536 characters outside strings"]),
        (b'"' * 20_001, ["has more than 20000 quotation marks"]),
        (b'"' + b"\\" * 500_000, None),
        (b"{} {}", ["Extra data: line 1 column 4 (char 3)"]),
        (b"{}\x00", ["Extra data: line 1 column 3 (char 2)"]),
        (b"", ["Expecting value: line 1 column 1 (char 0)"]),
        (b"{'a': 1}", ["Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"]),
        (b'{"a": 1,}', None),
        (b'{"a": 01}', None),
        (b'{"a": "\n\x01"}', None),
    ],
)  # fmt: skip
def test_each_problem_names_its_key(data: bytes, problems: list[str] | None) -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(data)
    if problems is not None:
        assert sorted(caught.value.problems) == sorted(problems)


@pytest.mark.parametrize(
    "text",
    [
        '["[[[[", "]", "\\"[", "\\\\"]',
        "[" * 32 + "]" * 32,
        '{"pem": "a\\r\\n\\tb"}',
        "[[],[],[]]",
        '"[' + "[" * 99 + '"',
    ],
)
def test_brackets_in_strings_and_side_by_side_are_not_depth(text: str) -> None:
    assert loads(text.encode()) == json.loads(text)


def test_long_texts_are_accepted_at_their_own_key_only() -> None:
    text = "x" * 100_000
    assert loads(json.dumps({"pem": text}).encode(), ("pem",)) == {"pem": text}
    with pytest.raises(StrictJsonError, match=r"^a\.pem: is longer than 4096 characters$"):
        loads(json.dumps({"a": {"pem": text}}).encode(), ("pem",))


def test_at_most_fifty_problems_are_reported() -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(b"[%b]" % b",".join(b'"\\u0000"' for _ in range(1000)))
    assert len(caught.value.problems) == 50


def test_integers_and_fractions_keep_their_type() -> None:
    assert [type(one) for one in loads(b"[4.0, 4.5, 4, 1e3, -0.0]")] == [int, float, int, int, int]


UNREADABLE = [
    ("PATCH", "/api/config", b'{"verify": {"origin": "on"}, "verify": {"origin": "off"}}', "verify: given more"),
    ("PATCH", "/api/config", b'{"verify": {"origin": "on", "origin": "off"}}', "verify.origin: given more"),
    ("PATCH", "/api/config", b'{"upstream": {"ciphers": "ALL\\u0000:!aNULL"}}', "upstream.ciphers: has a control"),
    ("PATCH", "/api/config", b'{"upstream": {"attempts": 1e400}}', "1e400"),
    ("PATCH", "/api/config", b'\xef\xbb\xbf{"verify": {"origin": "off"}}', "byte order mark"),
    ("PATCH", "/api/config", b'{"verify": {"origin": "off"}} x', "Extra data"),
    ("POST", "/api/trust", b'{"pem": "", "pem": ""}', "pem: given more than once"),
    ("POST", "/api/trust", b'{"pem": "\\u0000"}', "pem: has a control character (U+0000)"),
    ("DELETE", "/api/trust", b'{"fingerprints": [], "fingerprints": []}', "fingerprints: given more than once"),
    ("POST", "/api/reset", b'{"a": 1, "a": 1}', "a: given more than once"),
]


async def test_the_control_api_refuses_ambiguous_json(admin: Administered) -> None:
    before = await admin.ask("GET", "/api/config")
    headers = {"Content-Type": "application/json"}
    for method, path, body, part in UNREADABLE:
        url = f"http://{admin.address}{path}"
        async with admin.session.request(method, url, data=body, headers=headers) as response:
            assert response.status == 400, body
            assert part in (await response.json())["error"]["message"]
    assert await admin.ask("GET", "/api/config") == before


@pytest.mark.parametrize(
    "piece",
    [
        b"[", b'{"a":', b'"a",', b"0,", b"1", b"{},", b'"', b'\\"', b"\\\\", b" ", b'{"a":1},', b'"\\u0000",',
        b"-----BEGIN CERTIFICATE-----",
    ],
)  # fmt: skip
def test_the_time_grows_linearly_with_the_text(piece: bytes) -> None:
    """Compare the executed lines of Python for a megabyte and for half of it."""

    def lines(size: int) -> int:
        data, counted = b'{"pem": [' + piece * (size // len(piece)), 0

        def trace(_: Any, event: str, __: Any) -> Any:
            nonlocal counted
            counted += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with contextlib.suppress(StrictJsonError):
                loads(data, ("pem",))
        finally:
            sys.settrace(before)
        return counted

    assert lines(1 << 20) <= 2 * lines(1 << 19) + 100
    assert lines(1 << 20) < 500_000
