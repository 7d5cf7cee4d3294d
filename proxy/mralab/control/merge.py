"""Merge the answers of several workers into one. Pure."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
_SAME: Final = ("code", "server", "port")
_NO_LADDER: Final[dict[str, Any]] = {"schema": "mralab/ladder", "version": 1}


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


def merge_ladders(ladders: Sequence[dict[str, Any]], findings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one ladder with the steps of all, in the order of time.

    A participant of several ladders is one, with every address. ``findings`` are those of ``merge_findings``.
    """
    indexes: dict[tuple[Any, ...], int] = {}
    for index, finding in enumerate(findings):
        indexes.setdefault(_place(finding), index)
    participants: dict[tuple[str, str], dict[str, Any]] = {}
    steps: list[dict[str, Any]] = []
    for ladder in ladders:
        ids: dict[str, str] = {}
        for one in ladder["participants"]:
            is_server = one["id"].startswith("server-")
            key = (one["role"], one["name"] or repr(one["addresses"])) if is_server else (one["id"], "")
            known = participants.setdefault(key, {**one, "addresses": []})
            known["addresses"] = list(dict.fromkeys([*known["addresses"], *one["addresses"]]))
            if is_server:
                known["id"] = f"server-{[*participants].index(key) - 1}"
            elif one["id"] == "client":
                known["name"] = known["addresses"][0] if len(known["addresses"]) == 1 else ""
            else:
                known["name"] = known["name"] or one["name"]
            ids[one["id"]] = known["id"]
        steps += [{**step, "from": ids[step["from"]], "to": ids[step["to"]]} for step in ladder["steps"]]
    steps.sort(key=lambda step: step["at"])
    for number, step in enumerate(steps, 1):
        step["number"], step["finding"] = number, indexes.get(_place(step)) if step["code"] else None
    first = ladders[0] if ladders else _NO_LADDER
    return {
        **first,
        "participants": list(participants.values()),
        "steps": steps,
        "transactions": sum(ladder["transactions"] for ladder in ladders),
        "omitted": sum(ladder["omitted"] for ladder in ladders),
    }


def _place(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    return finding["code"], finding["server"].lower(), finding["port"]
