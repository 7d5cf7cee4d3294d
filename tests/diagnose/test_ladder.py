"""The ladder: steps between client, Expressway-C and servers, from a log or from events, with causes of failures."""

from __future__ import annotations

import pytest

from mralab.core.log.events import (
    ClientGone,
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.reader import read
from mralab.core.mra.target import Target, encode
from mralab.core.outcome import Outcome
from mralab.diagnose.diagnosis import find
from mralab.diagnose.journal import Journal
from mralab.diagnose.ladder import Ladder, LadderBuilder, LadderStep, ladder
from tests.diagnose.test_diagnosis import IP, NAME, answered, failed, golden, got, log, received, sent, untrusted
from tests.fuzz.growth import BOUND, growth


def arrows(drawn: Ladder) -> list[str]:
    """Return each step as ``FROM>TO kind``, with the first letter of a participant's role."""
    roles = {participant.id: participant.role for participant in drawn.participants}
    return [f"{roles[step.source]}>{roles[step.to]} {step.kind}" for step in drawn.steps]


def step_of(drawn: Ladder, kind: str) -> LadderStep:
    return next(step for step in drawn.steps if step.kind == kind)


def of_log(*events: Event) -> Ladder:
    return ladder(read(log(events)))


def of_events(*events: Event) -> Ladder:
    journal = Journal("vcsc", 7)
    for event in events:
        journal.take(event._replace(at=1000.0))
    return ladder(journal.records(), journal.findings)


def refused(txn: int, name: str = NAME) -> Event:
    return untrusted(name=name)._replace(txn=txn)


def requested(txn: int, path: str, port: int = 8443, host: str = NAME) -> Event:
    token = encode(Target("steven.lab", "https", host, port))
    return RequestReceived(0, txn, "", "127.0.0.1", 30000 + txn, f"GET http://vcs_control:8443/{token}{path} HTTP/1.1")


# -- the article's logs


def test_a_refused_certificate_of_the_article() -> None:
    lines = golden("article-6972-untrusted.log")
    drawn = ladder(read(lines))
    assert arrows(drawn) == [
        "Client>Expressway-C request",
        "Expressway-C>TFTP connect",
        "Expressway-C>TFTP refused",
        "Expressway-C>Client answer",
    ]
    request, connect, refusal, answer = drawn.steps
    assert request.label == "GET https://cucm.steven.lab:6972/CSFemusk.cnf.xml"
    assert request.text.startswith("GET http://vcs_control.steven.lab:8443/c3Rl")
    assert (connect.times, connect.ok) == (2, False)
    assert (refusal.text, refusal.code, refusal.finding, refusal.ok) == (
        "self signed certificate",
        "self-signed",
        0,
        False,
    )
    assert [line.text for line in refusal.lines] == [lines[3], lines[4]]
    assert (answer.label, answer.status, answer.outcome, answer.ok) == (
        "502 connect failed",
        502,
        Outcome.REFUSED,
        False,
    )
    assert {step.transaction for step in drawn.steps} == {191}
    assert all(step.certain for step in drawn.steps)
    client, own, server = drawn.participants
    assert (client.name, own.name) == ("127.0.0.1", "vcsc")
    assert (server.id, server.name, server.addresses) == ("server-1", NAME, (IP,))


def test_a_published_log_that_has_its_answers_twice() -> None:
    drawn = ladder(read(golden("article-8443-success.log")))
    assert arrows(drawn) == [
        "Client>Expressway-C request",
        "Expressway-C>CUCM connect",
        "CUCM>Expressway-C answer",
        "Expressway-C>Client answer",
    ]
    assert all(step.ok and step.finding is None and step.outcome is Outcome.PASSED for step in drawn.steps)
    assert drawn.transactions == 1


# -- from a log


def test_an_answered_request_has_no_failed_step() -> None:
    drawn = of_log(received(1), sent(1), got(1), answered(1, "200 OK"))
    assert [step.ok for step in drawn.steps] == [True, True, True, True]


def test_a_status_of_the_server_itself_is_not_refused_by_the_proxy() -> None:
    drawn = of_log(received(1), sent(1), got(1, status="401 Unauthorized"), answered(1, "401 Unauthorized"))
    assert [step.outcome for step in drawn.steps] == [Outcome.PASSED] * 4
    assert [step.ok for step in drawn.steps] == [True, True, False, False]


def test_a_line_of_tls_goes_to_the_only_request_that_it_can_be_about() -> None:
    other = "imp.steven.lab"
    drawn = of_log(received(1), received(2, host=other), sent(1), sent(2, ip="10.0.0.2"), untrusted(), failed())
    assert (step_of(drawn, "refused").transaction, step_of(drawn, "refused").certain) == (1, True)


def test_a_line_of_tls_that_two_requests_fit_is_not_certain() -> None:
    drawn = of_log(received(1), sent(1), received(2, 6972), sent(2, 6972), untrusted(), untrusted())
    steps = [step for step in drawn.steps if step.kind == "refused"]
    assert [step.transaction for step in steps] == [1, 2]
    assert not any(step.certain for step in steps)


def test_a_line_of_tls_without_a_request_stands_alone() -> None:
    drawn = of_log(untrusted(), failed())
    assert arrows(drawn) == ["Expressway-C>Server refused"]
    assert (drawn.steps[0].transaction, len(drawn.steps[0].lines)) == (0, 2)
    assert drawn.steps[0].code == "self-signed"


def test_audit_mode_is_a_handshake_with_a_finding() -> None:
    drawn = of_log(received(1), sent(1), untrusted(action="Continue"), got(1), answered(1, "200 OK"))
    fault = step_of(drawn, "handshake")
    assert (fault.ok, fault.code, fault.outcome) == (True, "self-signed", Outcome.TOLERATED)


def test_a_request_that_is_refused_on_one_port_and_answered_on_another() -> None:
    refused_one = [requested(1, "/cucm-uds/version"), sent(1), untrusted(), failed(), answered(1)]
    answered_one = [requested(2, "/SPDefault.cnf.xml", 6972), sent(2, 6972), got(2, 6972), answered(2, "200 OK")]
    drawn = of_log(*refused_one, *answered_one)
    assert [participant.role for participant in drawn.participants] == ["Client", "Expressway-C", "CUCM"]
    assert [step.port for step in drawn.steps if step.kind == "connect"] == [8443, 6972]


def test_an_address_belongs_to_the_host_whose_name_has_it() -> None:
    by_name = [requested(1, "/cucm-uds/version"), sent(1), got(1), answered(1, "200 OK")]
    by_address = [received(2, host=IP), sent(2), NameMismatch(0, 0, IP, "Terminate", IP, IP), answered(2)]
    drawn = of_log(*by_name, *by_address)
    (server,) = drawn.participants[2:]
    assert (server.name, server.addresses, server.role) == (NAME, (IP,), "CUCM")
    assert step_of(drawn, "refused").server == IP


def test_servers_are_in_the_order_of_their_roles() -> None:
    paths = [("/x", "a.lab"), ("/vmrest/", "u.lab"), ("/EPASSoap/", "i.lab"), ("/cucm-uds/v", "c.lab")]
    events: list[Event] = []
    for txn, (path, host) in enumerate(paths, 1):
        events += [requested(txn, path, host=host), sent(txn, ip=f"10.0.0.{txn}")]
    roles = [participant.role for participant in of_log(*events).participants]
    assert roles[2:] == ["CUCM", "IM and Presence", "Unity Connection", "Server"]


def test_the_log_of_an_expressway_e_is_drawn_up_to_expressway_c() -> None:
    start = "GET https://vcse.steven.lab:8443/c3RldmVuLmxhYg/get_edge_config HTTP/1.1"
    drawn = of_log(
        RequestReceived(0, 1, "", "192.0.2.7", 4000, start),
        RequestSent(0, 1, "", "10.0.0.5", 8443, "GET http://vcsc/c3RldmVuLmxhYg/get_edge_config HTTP/1.1"),
        answered(1, "504 Next Hop Timeout"),
    )
    assert [participant.role for participant in drawn.participants] == ["Client", "Expressway-E", "Expressway-C"]


def test_a_request_without_an_answer_is_pending() -> None:
    drawn = of_log(received(1), sent(1))
    assert [(step.outcome, step.ok) for step in drawn.steps] == [(Outcome.PENDING, True), (Outcome.PENDING, None)]


# -- from the events of a running proxy


def test_events_tie_a_line_of_tls_to_its_transaction() -> None:
    drawn = of_events(received(1), sent(1), received(2, 6972), sent(2, 6972), refused(2), failed()._replace(txn=2))
    step = step_of(drawn, "refused")
    assert (step.transaction, step.certain, step.port, len(step.lines)) == (2, True, 6972, 2)


def test_a_denied_request_reaches_no_server() -> None:
    url = f"https://{NAME}:8443/x"
    denied = RequestDenied(0, "emusk", "1", "GET", url, txn=1)
    drawn = of_events(
        received(1), denied, ResponseSent(0, 1, "127.0.0.1", 30001, "HTTP/1.1 403 Forbidden", (), Outcome.DENIED)
    )
    assert arrows(drawn) == ["Client>Expressway-C request", "Expressway-C>Client refused", "Expressway-C>Client answer"]
    assert step_of(drawn, "refused").label == "Access denied: Not in allow list"
    assert {step.outcome for step in drawn.steps} == {Outcome.DENIED}
    assert step_of(drawn, "refused").finding == 0


def test_a_denied_request_in_a_log_is_that_of_the_same_url() -> None:
    denied = RequestDenied(0, "emusk", "1", "GET", f"https://{NAME}:8443/x")
    drawn = of_log(received(1), denied, answered(1, "403 Forbidden"))
    assert step_of(drawn, "refused").transaction == 1
    assert step_of(drawn, "answer").outcome is Outcome.DENIED


def test_bytes_that_are_not_a_request() -> None:
    drawn = of_events(RequestRejected(0, "127.0.0.1", 9, "no host", 1), answered(1, "400 Bad Request"))
    assert arrows(drawn) == ["Expressway-C>Client refused", "Expressway-C>Client answer"]
    assert drawn.steps[1].outcome is Outcome.MALFORMED


def test_a_client_that_disconnected() -> None:
    drawn = of_events(received(1), sent(1), ClientGone(0, 1))
    assert {step.outcome for step in drawn.steps} == {Outcome.ABANDONED}


def test_the_line_of_the_allow_list_belongs_to_the_request() -> None:
    allowed = RequestAllowed(0, "emusk", "1", "GET", f"https://{NAME}:8443/x", "r", "prefix", "x", 1)
    drawn = of_events(received(1), allowed)
    assert len(drawn.steps[0].lines) == 2


def test_a_repeated_attempt_is_one_step() -> None:
    attempt = [sent(1), refused(1), failed()._replace(txn=1)]
    drawn = of_events(received(1), *attempt, *attempt, *attempt, answered(1))
    assert [(step.kind, step.times) for step in drawn.steps] == [
        ("request", 1),
        ("connect", 3),
        ("refused", 3),
        ("answer", 1),
    ]


def test_a_finding_s_index_is_that_of_the_findings_given() -> None:
    lines = log([received(1), sent(1), untrusted(), failed(), answered(1)])
    records = [*read(lines)]
    unrelated = find(log([received(1, host="x.lab"), sent(1, ip="10.9.9.9"), answered(1)]))
    drawn = ladder(records, [*unrelated, *find(lines)])
    assert step_of(drawn, "refused").finding == 1
    assert step_of(ladder(records, unrelated), "refused").finding is None


# -- bounds and foreign text


def test_a_rare_failure_is_not_lost_among_frequent_requests() -> None:
    rare = [received(1), sent(1), untrusted(), failed(), answered(1)]
    frequent = [event for txn in range(2, 100) for event in (received(txn), sent(txn), got(txn), answered(txn, "200"))]
    drawn = ladder(read(log([*rare, *frequent])), most=10)
    assert (drawn.transactions, drawn.omitted) == (99, 89)
    assert step_of(drawn, "refused").transaction == 1


def test_omitted_requests_are_not_kept_in_memory() -> None:
    builder = LadderBuilder(3)
    for record in read(log([event for txn in range(50) for event in (received(txn), answered(txn, "200"))])):
        builder.add(record)
    assert len(builder._steps) == 6


def test_long_and_hostile_texts_stay_texts() -> None:
    name = "<script>\u202e\x1b[2J" + "A" * 5000
    drawn = of_events(received(1), sent(1), VerifyFailed(0, 0, name, "Terminate", "x" * 9000, name, IP, 0, 1))
    step = step_of(drawn, "refused")
    assert len(step.text) == 1000
    assert all(len(line.text) < 4100 for line in step.lines)
    assert Ladder.model_validate_json(drawn.model_dump_json(by_alias=True)) == drawn


def test_the_json_form_names_its_schema() -> None:
    document = of_log(received(1)).model_dump(by_alias=True)
    assert (document["schema"], document["version"]) == ("mralab/ladder", 1)
    assert document["steps"][0]["from"] == "client"


@pytest.mark.parametrize("event", [untrusted(), HandshakeFailed(0, 0, NAME, "error:1"), sent(1)])
def test_time_grows_linearly(event: Event) -> None:
    """The input has lines of TLS while many requests wait for the same server."""

    def text(size: int) -> bytes:
        waiting = [one for txn in range(size // 200) for one in (received(txn), sent(txn))]
        return "".join(log([*waiting, *[event] * (size // 200)])).encode()

    assert growth(lambda lines: ladder(read(lines.decode().splitlines())), text) < BOUND
