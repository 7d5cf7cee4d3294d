"""Merge the answers of several workers into one. Pure."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
_SAME: Final = ("code", "server", "port")


def merge_lines(logs: Iterable[list[str]]) -> list[str]:
    """Return log lines ordered by timestamp. Lines without one (HTTPMSG) stay after the line they belong to."""
    return [line for _, _, line in heapq.merge(*(_stamped(number, lines) for number, lines in enumerate(logs)))]


def _stamped(number: int, lines: list[str]) -> Iterator[tuple[str, tuple[int, int], str]]:
    stamp = ""
    for place, line in enumerate(lines):
        if (match := _STAMP.match(line)) is not None and match[0] > stamp:
            stamp = match[0]
        yield stamp, (number, place), line


def merge_transactions(answers: Mapping[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return transactions in the order of their start, each with its worker's number."""
    numbered = [[{"worker": number, **transaction} for transaction in answer] for number, answer in answers.items()]
    return sorted((transaction for answer in numbered for transaction in answer), key=lambda each: each["started"])


def merge_findings(answers: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return one finding for each cause, server and port, with the latest evidence."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for finding in (finding for answer in answers for finding in answer):
        key = tuple(finding[name] for name in _SAME)
        known = merged.get(key)
        if known is None:
            merged[key] = finding
            continue
        latest = finding if finding["last"] > known["last"] else known
        merged[key] = {
            **latest,
            "count": known["count"] + finding["count"],
            "first": min(known["first"], finding["first"]),
        }
    return sorted(merged.values(), key=lambda finding: finding["first"])
