"""Prepared log lines of plans: their text equals the writer's for any values, and briefs give the same events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mralab.core.log.escape import escape
from mralab.core.log.events import Event, RequestAllowed, RequestReceived, RequestSent, ResponseReceived, ResponseSent
from mralab.core.log.planned import (
    BriefRequest,
    BriefResponse,
    PlannedRequest,
    PlannedResponse,
    write_request,
    write_response,
)
from mralab.core.log.writer import LineWriter
from mralab.core.outcome import Outcome

TEXT = st.text(st.characters(max_codepoint=255), max_size=30) | st.sampled_from(("null", "{txn}", "{{", "%s", 'a"b\\'))
PORTS = st.integers(0, 65535)
MOMENTS = st.floats(0, 4e9, allow_nan=False)


@given(st.lists(TEXT, min_size=11, max_size=11), TEXT, MOMENTS, st.integers(1, 10**9), PORTS, PORTS)
def test_lines_of_a_request(
    texts: list[str], tracking_id: str, at: float, txn: int, port: int, server_port: int
) -> None:
    ip, line, user, number, method, url, rule, match, kind, server, sent = texts
    plan = PlannedRequest(
        RequestReceived(0.0, 0, "", ip, 0, line),
        RequestAllowed(0.0, user, number, method, url, rule, match, kind),
        RequestSent(0.0, 0, "", server, server_port, sent, (), "127.0.0.1:1"),
    )
    events: tuple[Event, ...] = (
        RequestReceived(at, txn, tracking_id, ip, port, line),
        RequestAllowed(at, user, number, method, url, rule, match, kind, txn),
        RequestSent(at, txn, tracking_id, server, server_port, sent, (), "127.0.0.1:1"),
    )
    assert BriefRequest(plan, at, txn, tracking_id, port).events() == events
    writer = LineWriter("vcsc", 1, debug=True)
    lines = "".join([writer.format(event) for event in events])
    assert write_request(writer, plan.pieces(), txn, escape(tracking_id), port) == lines


@given(st.lists(TEXT, min_size=4, max_size=4), MOMENTS, st.integers(1, 10**9), PORTS, PORTS)
def test_lines_of_a_response(texts: list[str], at: float, txn: int, port: int, server_port: int) -> None:
    server, received, ip, sent = texts
    plan = PlannedResponse(ResponseReceived(0.0, 0, server, server_port, received), ResponseSent(0.0, 0, ip, 0, sent))
    events: tuple[Event, ...] = (
        ResponseReceived(at, txn, server, server_port, received),
        ResponseSent(at, txn, ip, port, sent, (), Outcome.TOLERATED),
    )
    assert BriefResponse(plan, at, txn, port, Outcome.TOLERATED).events() == events
    writer = LineWriter("vcsc", 1, debug=True)
    lines = "".join([writer.format(event) for event in events])
    assert write_response(writer, plan.pieces(), txn, port) == lines
