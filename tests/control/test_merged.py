"""Answers of several workers are merged."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mralab.control.merge import merge_findings, merge_lines, merge_transactions

STAMP = "2022-07-11T18:55:26.{:03}+02:00 vcsc traffic_server[{}]: x"


@given(st.lists(st.lists(st.integers(0, 999)).map(sorted), max_size=4))
def test_all_lines_are_merged_in_the_order_of_their_timestamps(logs: list[list[int]]) -> None:
    lines = [[STAMP.format(number, pid) for number in log] for pid, log in enumerate(logs)]
    merged = merge_lines(lines)
    assert [line[:23] for line in merged] == sorted(line[:23] for log in lines for line in log)
    for pid, log in enumerate(lines):
        assert [line for line in merged if f"[{pid}]" in line] == log


def test_the_lines_of_a_message_stay_together() -> None:
    first = [STAMP.format(1, 0), "|GET / HTTP/1.1", " Host: x", " |", STAMP.format(5, 0)]
    second = [STAMP.format(1, 1), "|HTTP/1.1 200 OK", " |", STAMP.format(2, 1)]
    assert merge_lines([first, second]) == [*first[:4], *second, first[4]]


def test_transactions_have_their_worker_and_are_sorted_by_start() -> None:
    merged = merge_transactions({0: [{"started": 1.0}, {"started": 3.0}], 2: [{"started": 2.0}]})
    assert [(served["worker"], served["started"]) for served in merged] == [(0, 1.0), (2, 2.0), (0, 3.0)]


def test_one_cause_is_one_finding_with_the_latest_evidence() -> None:
    def finding(code: str, count: int, first: float, last: float, evidence: str) -> dict[str, Any]:
        at = {"first": first, "last": last, "evidence": [evidence]}
        return {"code": code, "server": "cucm", "port": 8443, "count": count, **at}

    merged = merge_findings(
        [
            [finding("expired", 2, 5.0, 6.0, "old")],
            [finding("dns", 1, 3.0, 3.0, "dns"), finding("expired", 1, 4.0, 9.0, "new")],
        ]
    )
    assert merged == [finding("dns", 1, 3.0, 3.0, "dns"), finding("expired", 3, 4.0, 9.0, "new")]
