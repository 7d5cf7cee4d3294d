"""The buffer of recent events: it gives the same journal as all events, and is bounded."""

from __future__ import annotations

from mralab.core.log.events import (
    RequestAllowed,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.planned import BriefRequest, BriefResponse, PlannedRequest, PlannedResponse
from mralab.core.outcome import Outcome
from mralab.diagnose.event_buffer import Recent
from mralab.diagnose.journal import Journal


def request(number: int, path: str = "/x") -> RequestReceived:
    return RequestReceived(float(number), number, "", "127.0.0.1", 40000, f"GET http://vcs{path} HTTP/1.1")


def test_the_journal_of_a_buffer_equals_a_journal_of_the_events() -> None:
    recent, journal = Recent("vcsc", 1), Journal("vcsc", 1)
    for event in (request(1), ResponseSent(1.5, 1, "127.0.0.1", 40000, "HTTP/1.1 404 Not Found"), request(2)):
        recent.take(event)
        journal.take(event)
    result = recent.journal_of(recent.events())
    assert result.lines == journal.lines
    assert result.transactions == journal.transactions
    recent.clear()
    assert recent.events() == ()


def test_the_latest_events_are_kept() -> None:
    recent = Recent("vcsc", 1, most=100)
    for number in range(1000):
        recent.take(request(number))
        kept = recent.events()
        assert len(kept) <= 100
        assert kept[-1] == request(number)
    assert recent.lost + len(recent.events()) == 1000
    assert len(recent.events()) >= 50


def test_long_heads_are_bounded_by_size() -> None:
    recent = Recent("vcsc", 1, most_text=1 << 20)
    for number in range(100):
        recent.take(request(number, "/" + "x" * 100_000))
        recent.take(
            ResponseReceived(0.0, number, "10.0.0.1", 8443, "HTTP/1.1 200 " + "y" * 100_000, (("a", "b" * 1000),))
        )
        assert sum(len(event.start_line) for event in recent.events() if isinstance(event, RequestReceived)) < 1 << 19


def test_invalid_requests_are_bounded() -> None:
    recent = Recent("vcsc", 1, most=100)
    for number in range(1000):
        recent.take(RequestRejected(0.0, "127.0.0.1", 40000, "a control character in the head", number))
        recent.take(ResponseSent(0.0, number, "127.0.0.1", 40000, "HTTP/1.0 400 Invalid HTTP Request"))
        assert len(recent.events()) <= 101
    assert recent.lost + len(recent.events()) == 2000


def test_long_tracking_ids_and_reasons_are_bounded_by_size() -> None:
    recent = Recent("vcsc", 1, most_text=1 << 20)
    for number in range(100):
        recent.take(request(number)._replace(tracking_id=str(number) * 50_000))
        recent.take(RequestRejected(0.0, "127.0.0.1", 40000, "x" * 50_000, number))
        events = recent.events()
        assert sum(len(event.tracking_id) for event in events if isinstance(event, RequestReceived)) < 1 << 19
        assert sum(len(event.reason) for event in events if isinstance(event, RequestRejected)) < 1 << 19


def test_many_small_fields_are_bounded_by_memory() -> None:
    recent = Recent("vcsc", 1, most_text=1 << 20)
    for number in range(100):
        recent.take(request(number)._replace(headers=(("a", ""),) * 1000))
    assert sum(len(event.headers) for event in recent.events() if isinstance(event, RequestReceived)) < 3000


def refused(chain: tuple[bytes, ...]) -> VerifyFailed:
    return VerifyFailed(0.0, 0, "cucm", "Terminate", "certificate has expired", "cucm", "10.0.0.1", 0, 1, chain)


def test_chains_are_bounded_by_size_if_a_server_presents_another_one_each_time() -> None:
    recent = Recent("vcsc", 1, most_text=1 << 20)
    for number in range(200):
        recent.take(request(number))
        recent.take(refused((number.to_bytes(4) * 5000,)))
        kept = [event.presented for event in recent.events() if isinstance(event, VerifyFailed)]
        assert sum(len(chain[0]) for chain in kept) <= (1 << 20) + 20_000


def test_the_same_chains_again_and_again_drop_nothing() -> None:
    recent = Recent("vcsc", 1, most_text=1 << 20)
    chains = [(bytes([number]) * 20_000,) for number in range(10)]
    for number in range(1000):
        recent.take(request(number))
        recent.take(refused(chains[number % 10]))
    assert recent.lost == 0


def briefs(number: int) -> tuple[BriefRequest, BriefResponse]:
    plan = PlannedRequest(
        RequestReceived(0.0, 0, "", "127.0.0.1", 0, "GET http://vcs/x HTTP/1.1"),
        RequestAllowed(0.0, "", "1", "GET", "https://a:1/x", "https://a:1", "prefix", ""),
        RequestSent(0.0, 0, "", "10.0.0.1", 1, "GET /x HTTP/1.1"),
    )
    response = PlannedResponse(
        ResponseReceived(0.0, 0, "10.0.0.1", 1, "HTTP/1.1 200 OK"),
        ResponseSent(0.0, 0, "127.0.0.1", 0, "HTTP/1.1 200 OK"),
    )
    return BriefRequest(plan, 0.0, number, "", 1), BriefResponse(response, 0.0, number, 1, Outcome.PASSED)


def test_events_in_brief_count_as_events() -> None:
    recent, plain = Recent("vcsc", 1, most=100), Recent("vcsc", 1, most=100)
    for number in range(1000):
        for brief in briefs(number):
            recent.take(brief)
            for event in brief.events():
                plain.take(event)
        kept = recent.events()
        assert len(kept) <= 103
        assert kept == plain.events()[-len(kept) :] or len(kept) > len(plain.events())
    assert recent.lost + len(recent.events()) == 5000
    requests = [event for event in recent.events() if isinstance(event, RequestReceived)]
    assert recent.lost_requests + len(requests) == 1000
    assert len(recent.events()) >= 45
    assert len(recent.journal_of(recent.events()).transactions) == len(requests)
