"""Comparisons of peers, names, ports and times, and findings that a filter hides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mralab.core.log.events import (
    NameMismatch,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.mra.target import Target, encode
from mralab.diagnose.case_entry import Entry
from mralab.diagnose.conclusions import Wanted
from mralab.diagnose.diagnosis import find
from mralab.diagnose.findings import Findings

from .minted import mint
from .test_conclusions import ADDRESSES, DAY, HOST, START, UDS, Log, archive, diagnosed, found, only, report

UNKNOWN = "self signed certificate in certificate chain"
FILE = "/CSFemusk.cnf.xml"
IP = "192.0.2.11"
OFF = '*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\n'


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (IP, HOST.upper()):
        monkeypatch.setitem(ADDRESSES, name, IP)


# -- before and after


def test_a_name_fault_on_another_peer_proves_nothing_about_the_chain_on_the_first(tmp_path: Path) -> None:
    result = report(tmp_path, Log("exp-c1").untrusted(), Log("exp-c2", START + DAY).misnamed())
    assert {one.category for one in result.findings} == {"issue-found"}
    assert all(not one.history for one in result.findings)


def test_a_succession_on_some_peers_names_them_and_is_not_called_repaired(tmp_path: Path) -> None:
    result = report(tmp_path, Log("exp-c1").untrusted().pause().misnamed(), Log("exp-c2").untrusted())
    assert {one.category for one in result.findings} == {"issue-found"}
    by_code = {one.code: one.history for one in result.findings}
    assert by_code["name-not-in-certificate"][0].startswith("On exp-c1, until 2026-01-29 15:20:01 UTC it was self")
    assert by_code["self-signed"][0].startswith("On exp-c1, repaired: since 2026-01-30")


def test_answers_to_one_peer_do_not_end_what_fails_on_another(tmp_path: Path) -> None:
    first = Log("exp-c1").untrusted().pause().request()
    finding = only(report(tmp_path, first, Log("exp-c2").pause(DAY / 2).untrusted()))
    assert finding.category == "issue-found"
    assert finding.history == (
        "The server answered exp-c1 after its last failure there, at 2026-01-30 15:20:02 UTC; exp-c2 got no answer "
        "after its own last failure.",
    )


def test_a_success_in_audit_mode_is_not_a_repair(tmp_path: Path) -> None:
    log = Log()
    token = encode(Target("example.test", "https", HOST, 8443))
    url = f"http://vcs_control.example.test:8443/{token}{UDS}"
    log._add(
        RequestReceived(0, 1, "", "127.0.0.1", 40000, f"GET {url} HTTP/1.1"),
        RequestSent(0, 1, "", IP, 8443, f"GET {UDS} HTTP/1.1"),
        VerifyFailed(0, 0, HOST, "Continue", "self signed certificate", HOST, IP, 0),
    )
    log._add(ResponseReceived(0, 1, IP, 8443, "HTTP/1.1 200 "), ResponseSent(0, 1, "127.0.0.1", 40000, "HTTP/1.1 200 "))
    finding = only(report(tmp_path, log))
    assert (finding.category, finding.history) == ("potential-problem", ())


# -- one server, several names


def test_answers_to_a_name_do_not_end_the_fault_of_the_address(tmp_path: Path) -> None:
    """In the article discovery knows the name, while System > Server has the address."""
    result = report(tmp_path, Log().request().misnamed(IP).request())
    assert found(result) == [("name-not-in-certificate", IP, 8443, "issue-found")]
    assert result.findings[0].history == (
        f"Requests for {HOST}:8443, at the same address, were answered: the fault is in the name that clients request.",
    )


def test_a_chain_fault_belongs_to_the_server_under_any_name(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log().untrusted(host=IP).pause().request()))
    assert finding.category == "potential-problem"
    assert "answered after the last failure" in finding.history[0]


def test_redundancy_is_not_lost_to_another_name_of_the_same_node(tmp_path: Path) -> None:
    assert [one.code for one in report(tmp_path, Log().request().misnamed(IP)).findings] == ["name-not-in-certificate"]
    log = Log().request().request(host="cucm2.example.test").misnamed(IP)
    assert [one.code for one in report(tmp_path, log).findings] == ["name-not-in-certificate"]


def test_names_of_servers_are_case_insensitive(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log().untrusted().untrusted(host=HOST.upper())))
    assert (finding.count, finding.server.lower()) == (2, HOST)
    answered = only(report(tmp_path, Log().untrusted().pause().request(host=HOST.upper())))
    assert "answered after the last failure" in answered.history[0]


# -- peers


def test_the_trusted_ca_list_is_not_blamed_for_a_name(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log("exp-c1").request(), Log("exp-c2").misnamed()))
    assert "trusted CA list" not in finding.history[0]
    assert "whether the certificate was replaced in between" in finding.history[0]


def test_a_peer_that_verifies_nothing_proves_nothing(tmp_path: Path) -> None:
    ca = mint("Example CA", ca=True)
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", Log("exp-c1").request(), ca, xconf=OFF))
    (tmp_path / "2.tar.gz").write_bytes(archive("exp-c2", Log("exp-c2").untrusted(UNKNOWN, 1)))
    finding = only(diagnosed([tmp_path]))
    assert "exp-c1 got answers from the same server, with VerifyOriginServer Off" in finding.history[0]
    assert all("lacks what" not in sentence for sentence in finding.history)


def test_ecdsa_is_not_suspected_where_another_peer_reaches_6972(tmp_path: Path) -> None:
    good = Log("exp-c1").request().request(port=6972, path=FILE)
    bad = Log("exp-c2").request().untrusted(UNKNOWN, 1, port=6972, path=FILE)
    assert found(report(tmp_path, good, bad)) == [("unknown-ca", HOST, 6972, "issue-found")]


def test_ecdsa_is_not_suspected_because_8443_works_on_another_peer(tmp_path: Path) -> None:
    bad = Log("exp-c2").untrusted(UNKNOWN, 1, port=6972, path=FILE)
    assert found(report(tmp_path, Log("exp-c1").request(), bad)) == [("unknown-ca", HOST, 6972, "issue-found")]


def test_verification_off_in_the_dump_does_not_contradict_the_log(tmp_path: Path) -> None:
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", Log("exp-c1").untrusted(), xconf=OFF))
    result = diagnosed([tmp_path])
    assert [one.code for one in result.findings] == ["self-signed"]
    (check,) = result.checks
    assert check.category == "missing-information"
    assert "the log refused certificates until 2026-01-29 15:20:01 UTC" in check.text


# -- what a filter hides


def test_a_filter_hides_findings_and_changes_no_conclusion(tmp_path: Path) -> None:
    log = Log().request().untrusted(port=6972, path=FILE).misnamed()
    whole = report(tmp_path, log)
    for finding in whole.findings:
        wanted = Wanted(codes=(finding.code,), servers=(f"{finding.server}:{finding.port}",))
        assert report(tmp_path, log, wanted=wanted).findings == (finding,)
    chosen = report(tmp_path, log, wanted=Wanted(codes=("dns",)))
    assert (chosen.findings, chosen.checks) == ((), ())
    hidden = len(whole.findings)
    lines = len(log.text.splitlines())
    assert chosen.summary == f"No finding matches the filters in {lines} lines; {hidden} do not match."
    assert report(tmp_path, log, wanted=Wanted(servers=("other.test",))).checks == ()


@pytest.mark.parametrize(
    "server", ["2001:DB8::1", "[2001:db8::1]", "[2001:db8::1]:8443", "[2001:DB8:0:0::1]:8443", "2001:db8:0::1"]
)
def test_a_server_with_an_ipv6_address_is_found_in_every_form(server: str) -> None:
    (finding,) = _ipv6_finding()
    assert Wanted(servers=(server,)).includes(finding)
    assert not Wanted(servers=(server.replace("1", "2", 1),)).includes(finding)
    assert not Wanted(servers=("[2001:db8::1]:6972",)).includes(finding)


def _ipv6_finding() -> Findings:
    line = (
        "2026-01-29T15:20:01.000+00:00 exp-c1 traffic_server[2030]: [ET_NET 0] WARNING: SNI (2001:db8::1) not in "
        "certificate. Action=Terminate server=2001:db8::1(2001:db8::1)"
    )
    sent = (
        '2026-01-29T15:20:01.000+00:00 exp-c1 traffic_server[2030]: UTCTime="2026-01-29 15:20:01,000" '
        'Module="network.http.trafficserver" Level="INFO": Detail="Sending Request" Txn-id="1" TrackingID="" '
        'Dst-ip="2001:db8::1" Dst-port="8443" Msg="GET /x HTTP/1.1"'
    )
    return find([sent, line])


# -- what was read


def test_plain_http_has_no_certificate(tmp_path: Path) -> None:
    log = Log().request(port=6970, path=FILE)
    https, http = (encode(Target("example.test", scheme, HOST, 6970)) for scheme in ("https", "http"))
    log.lines = [line.replace(https, http) for line in log.lines]
    (check,) = report(tmp_path, log).checks
    assert check.text == "answered to exp-c1 over plain HTTP, without a certificate"


def test_lines_outside_the_chosen_time_are_not_called_another_log(tmp_path: Path) -> None:
    result = report(tmp_path, Log().untrusted(), since=datetime(2027, 1, 1, tzinfo=UTC))
    (check,) = result.checks
    assert check.text == "no line of traffic_server in the chosen time (--since, --until)"
    assert result.summary == "Nothing to diagnose in 10 lines."


def test_nothing_to_diagnose_is_not_called_no_issue(tmp_path: Path) -> None:
    (tmp_path / "messages").write_text("Jan 29 14:01:16 exp-c sshd[1]: session opened\n")
    assert diagnosed([tmp_path]).summary == "Nothing to diagnose in 1 line."
    (tmp_path / "messages").write_text(OFF)
    assert diagnosed([tmp_path]).summary == "Nothing to diagnose."


def test_each_peer_of_a_log_has_its_lines(tmp_path: Path) -> None:
    both = Log("exp-c1").request()
    both.lines += Log("exp-c2").untrusted().lines
    result = report(tmp_path, both)
    assert [(peer.name, peer.lines) for peer in result.peers] == [("exp-c1", 18), ("exp-c2", 18)]


def test_the_newest_lines_are_the_newest_by_time(tmp_path: Path) -> None:
    """FILE.1 of rotated logs is older than FILE, but after it in alphabetical order."""
    (tmp_path / "x.txt").write_bytes(Log(at=START + DAY).untrusted().text)
    (tmp_path / "x.txt.1").write_bytes(Log().untrusted().text)
    finding = only(diagnosed([tmp_path]))
    assert [line.file for line in finding.evidence] == [f"{tmp_path}/x.txt"] * 2


# --- several addresses, several ports


def test_an_answer_from_another_address_of_the_name_is_not_a_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log().untrusted()
    monkeypatch.setitem(ADDRESSES, HOST, "192.0.2.99")
    finding = only(report(tmp_path, log.request()))
    assert finding.category == "issue-found"
    assert "answered at 192.0.2.99, not at 192.0.2.11" in finding.history[0]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_faults_of_two_ports_at_the_same_time_are_not_certain(order: tuple[int, int], tmp_path: Path) -> None:
    log = Log()
    for txn, (port, path) in enumerate(((8443, UDS), (6972, FILE)), 1):
        url = f"http://vcs_control.example.test:8443/{encode(Target('example.test', 'https', HOST, port))}{path}"
        log._add(
            RequestReceived(0, txn, "", "127.0.0.1", 40000 + txn, f"GET {url} HTTP/1.1"),
            RequestSent(0, txn, "", IP, port, f"GET {path} HTTP/1.1"),
        )
    log._add(VerifyFailed(0, 0, HOST, "Terminate", "self signed certificate", HOST, IP, 0))
    log._add(NameMismatch(0, 0, HOST, "Terminate", HOST, IP))
    for txn in order:
        log._add(ResponseSent(0, txn, "127.0.0.1", 40000 + txn, "HTTP/1.1 502 connect failed"))
    result = report(tmp_path, log)
    assert sorted((one.port or 0, one.confidence) for one in result.findings) == [(6972, "likely"), (8443, "likely")]
    assert all("most probable" in one.confidence_reason for one in result.findings)


def test_a_repaired_fault_is_not_to_be_fixed_first(tmp_path: Path) -> None:
    log = Log().untrusted().pause().misnamed().pause().request()
    result = report(tmp_path, log)
    assert [(one.code, one.category) for one in result.findings] == [
        ("name-not-in-certificate", "potential-problem"),
        ("self-signed", "no-issue"),
    ]
    assert "fix" not in result.findings[0].cause
    assert "Its chain of CAs was accepted." in result.findings[0].cause
    assert "fix" not in result.findings[1].cause
    assert len(result.findings[1].history) == 1
    again = report(tmp_path, Log().untrusted().misnamed().untrusted())
    assert "fix self-signed before this" in again.findings[1].cause


def test_a_node_by_name_and_address_loses_redundancy_once(tmp_path: Path) -> None:
    log = Log().misnamed(IP).misnamed().request(host="cucm2.example.test")
    codes = [one.code for one in report(tmp_path, log).findings]
    assert codes == ["name-not-in-certificate", "name-not-in-certificate", "redundancy-lost"]


def test_the_number_of_comparisons_grows_linearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients choose the names of servers, so a log may have any number of them."""
    calls = 0

    def counted(entry: Entry) -> tuple[str, int | None]:
        nonlocal calls
        calls += 1
        return entry.finding.server.lower(), entry.finding.port

    monkeypatch.setattr(Entry, "key", property(counted))
    head = "2026-01-29T14:01:16.974-05:00 exp-c traffic_server[2030]: [ET_NET 1] WARNING: SNI "
    lines = [f"{head}(n{n}) not in certificate. Action=Terminate server=n{n}(192.0.2.1)" for n in range(500)]
    (tmp_path / "a.log").write_text("\n".join(lines))
    assert len(diagnosed([tmp_path]).findings) == 500
    assert calls <= 20 * 500
