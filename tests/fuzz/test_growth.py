"""Parsers take linear time for any input, and every parser is in the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mralab

from .growth import BOUND, growth, too_long
from .parsers import MODULES, NOT_PARSERS, PARSERS, public_parsers

NO_FOREIGN_INPUT = {
    "cli": "the user's own command line",
    "mocks": "requests of the lab's own clients",
    "lab": "the lab's own clients",
    "show": "our own output",
    "core.hostport": "a URL in place of HOST:PORT, from the command line or a list of at most 1 MB",
    "diagnose.address_sources": "the same",
    "web.switches": "the user's own command line",
    "web.event_client": "our own control API's events",
    "web.client": "our own control API's answers",
    "control.merge": "our own log's lines",
    "tls.verification": "one alert record: a fixed length",
    "core.log.writer": "names of header fields, one search each",
    "core.log.grammar": "read by core.log.reader",
    "core.log.joining": "read by core.log.reader",
    "core.log.prefix": "read by core.log.reader",
    "core.log.stream": "read with the log",
    "core.log.twin": "read by core.log.reader",
    "diagnose.case": "two ends of a file, 64 KB each, and one search in a line",
    "diagnose.occurrence": "the error's text, read with the log",
    "net.tracking_ids": "our own random digits",
    "tls.openssl": "OpenSSL's own texts",
    "diagnose.rules": "read with the log",
    "diagnose.saving": "replaces single characters of a name",
}


@pytest.mark.parametrize("name", PARSERS)
def test_time_grows_linearly(name: str) -> None:
    assert too_long(PARSERS[name]) == []


def test_a_quadratic_parser_is_found() -> None:
    lazy = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
    # A disturbance of the smaller input's measurement decreases the ratio: one of three is enough.
    assert any(growth(lazy.findall, lambda size: b"-----BEGIN A-----" * (size // 17)) > BOUND for _ in range(3))


def test_every_public_parser_is_in_the_table() -> None:
    known = {function for parser in PARSERS.values() for function in parser.functions.split()} | set(NOT_PARSERS)
    assert sorted({name for name, _ in public_parsers()} - known) == []


def test_every_module_with_expressions_is_in_the_table() -> None:
    root = Path(mralab.__file__).parent
    modules = {
        ".".join(file.relative_to(root).with_suffix("").parts)
        for file in root.rglob("*.py")
        if re.search(r"\bre\.(compile|match|search|fullmatch|sub|split|findall|finditer)\(", file.read_text("utf-8"))
    }
    known = {module.__name__.removeprefix("mralab.") for module in MODULES} | set(NO_FOREIGN_INPUT)
    assert sorted(name for name in modules if name not in known and name.split(".")[0] not in known) == []
