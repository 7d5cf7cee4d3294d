"""Conclusions from all files of a case: comparisons of peers, ports and times, and missing information."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.diagnose.case import Case
from mralab.diagnose.conclusions import Wanted, conclude
from mralab.diagnose.report import Finding, Report
from mralab.diagnose.sources import Sources

from .minted import Minted, mint

VERIFY_FAILED = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
ADDRESSES = {"cucm1.example.test": "192.0.2.11", "cucm2.example.test": "192.0.2.12", "imp.example.test": "192.0.2.13"}
HOST = "cucm1.example.test"
DAY = 86400.0
START = 1_769_700_000.0  # 2026-01-29 15:20:00 UTC
UDS = "/cucm-uds/user/emusk/devices"


class Log:
    """A log with one request a second."""

    def __init__(self, peer: str = "exp-c1", at: float = START) -> None:
        self._writer = LineWriter(peer, 2030)
        self._at = at
        self._txn = 0
        self.lines: list[str] = []

    def _add(self, *events: Event) -> None:
        self._at += 1
        self.lines += [self._writer.format(event._replace(at=self._at)) for event in events]

    def request(self, *tls: Event, host: str = HOST, port: int = 8443, path: str = UDS, attempts: int = 1) -> Log:
        """Add a request that the server answered, or that ended with these lines."""
        self._txn += 1
        txn, ip = self._txn, ADDRESSES[host]
        token = encode(Target("example.test", "https", host, port))
        url = f"http://vcs_control.example.test:8443/{token}{path}"
        received = RequestReceived(0, txn, "", "127.0.0.1", 40000 + txn, f"GET {url} HTTP/1.1")
        sent = [RequestSent(0, txn, "", ip, port, f"GET {path} HTTP/1.1")] * attempts
        answer: list[Event] = list(tls) or [ResponseReceived(0, txn, ip, port, "HTTP/1.1 200 ")]
        status = "502 connect failed" if tls else "200 "
        self._add(received, *sent, *answer, ResponseSent(0, txn, "127.0.0.1", 40000 + txn, f"HTTP/1.1 {status}"))
        return self

    def untrusted(self, error: str = "self signed certificate", depth: int = 0, host: str = HOST, port: int = 8443,
                  path: str = UDS) -> Log:  # fmt: skip
        warning = VerifyFailed(0, 0, host, "Terminate", error, host, ADDRESSES[host], depth)
        return self.request(warning, HandshakeFailed(0, 0, host, VERIFY_FAILED), host=host, port=port, path=path)

    def misnamed(self, host: str = HOST) -> Log:
        warning = NameMismatch(0, 0, host, "Terminate", host, ADDRESSES[host])
        return self.request(warning, HandshakeFailed(0, 0, host, VERIFY_FAILED), host=host)

    def pause(self, seconds: float = DAY) -> Log:
        self._at += seconds
        return self

    @property
    def text(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


def report(folder: Path, *logs: Log, wanted: Wanted | None = None, **limits: datetime) -> Report:
    for number, log in enumerate(logs):
        (folder / f"{number}.log").write_bytes(log.text)
    return diagnosed([folder], wanted, **limits)


def diagnosed(paths: Iterable[Path], wanted: Wanted | None = None, **limits: datetime) -> Report:
    case = Case(None, limits.get("since"), limits.get("until"))
    case.read(Sources([str(path) for path in paths]))
    return conclude(case, wanted)


def only(found: Report) -> Finding:
    (finding,) = found.findings
    return finding


def found(result: Report) -> list[tuple[str, str, int | None, str]]:
    return [(one.code, one.server, one.port, one.category) for one in result.findings]


def archive(peer: str, log: Log, *trusted: Minted, xconf: str = "") -> bytes:
    stamp = f"{peer}_2026-01-29_16_00_00"
    members = {
        f"loggingsnapshot_{stamp}.txt": log.text,
        f"ca_{stamp}.pem": "".join(one.pem for one in trusted).encode(),
        f"xconf_dump_{stamp}.txt": xconf.encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, data in members.items():
            member = tarfile.TarInfo(f"diagnostic_log_{stamp}/{name}")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue())


# -- evidence


def test_evidence_names_file_and_line_of_the_newest_lines(tmp_path: Path) -> None:
    log = Log().untrusted().request(port=6972).untrusted()
    finding = only(report(tmp_path, log))
    numbers = [number for number, line in enumerate(log.text.decode().splitlines(), 1) if "[ET_NET" in line]
    assert [(line.file, line.line) for line in finding.evidence] == [(f"{tmp_path}/0.log", at) for at in numbers[-2:]]
    assert finding.evidence[0].text.endswith("depth=0")
    assert (finding.count, finding.confidence, finding.peers) == (2, "certain", ("exp-c1",))
    assert finding.first == datetime.fromtimestamp(START + 1, UTC)
    assert finding.last == datetime.fromtimestamp(START + 3, UTC)


def test_a_fault_without_a_request_has_no_port_and_says_so(tmp_path: Path) -> None:
    log = Log().untrusted()
    log.lines = [line for line in log.lines if "WARNING" in line]
    finding = only(report(tmp_path, log))
    assert (finding.port, finding.confidence) == (None, "uncertain")
    assert "no request" in finding.confidence_reason


def test_since_until_server_and_code_filter(tmp_path: Path) -> None:
    log = Log().untrusted().pause().misnamed()
    later = datetime.fromtimestamp(START + DAY / 2, UTC)
    assert found(report(tmp_path, log, since=later)) == [("name-not-in-certificate", HOST, 8443, "issue-found")]
    assert found(report(tmp_path, log, until=later)) == [("self-signed", HOST, 8443, "issue-found")]
    assert [one.code for one in report(tmp_path, log, wanted=Wanted(codes=("self-signed",))).findings] == [
        "self-signed"
    ]
    for server in (HOST, HOST.upper(), f"{HOST}:8443", "192.0.2.11", "192.0.2.11:8443"):
        assert len(report(tmp_path, log, wanted=Wanted(servers=(server,))).findings) == 2
    assert report(tmp_path, log, wanted=Wanted(servers=(f"{HOST}:6972",))).findings == ()


# -- next faults


def test_what_may_fail_next_has_not_been_checked_in_any_line(tmp_path: Path) -> None:
    untrusted = only(report(tmp_path, Log().untrusted(port=6972)))
    assert any("checks the name once the chain is good" in sentence for sentence in untrusted.next)
    assert any("asks for Expressway-C's own certificate" in sentence for sentence in untrusted.next)
    misnamed = only(report(tmp_path, Log().misnamed()))
    assert misnamed.next == ()
    assert "mralab preflight cucm1.example.test:8443" in untrusted.check.replace(":6972", ":8443")
    assert [remedy.code for remedy in untrusted.remedies][-1] == "verify-origin-off"


# -- logins


def test_a_refused_login_beside_a_refused_certificate_is_not_called_a_wrong_password(tmp_path: Path) -> None:
    line = (
        'edgeconfigprovisioning: Level="INFO" Detail="Failed to authenticate user against server" Username="emusk" '
        f'Server="(\'https\', \'{HOST}\', 8443)" Reason="failed" UTCTime="2026-01-29 15:20:01,000"'
    )
    log = Log().untrusted()
    log.lines.append(f"2026-01-29T15:20:01.000+00:00 exp-c1 {line}")
    result = report(tmp_path, log)
    assert found(result)[0] == ("self-signed", HOST, 8443, "issue-found")
    login = result.findings[1]
    assert (login.code, login.server, login.port) == ("login-not-completed", HOST, 8443)
    assert "The certificate of cucm1.example.test:8443 is refused as well: repair that first." in login.cause
    alone = only(report(tmp_path, log, wanted=Wanted(codes=("login-not-completed",))))
    assert alone.cause == login.cause  # a filter hides findings and does not change the others
    log.lines = log.lines[-1:]
    assert f"No line blames a certificate of {HOST}." in only(report(tmp_path, log)).cause


# -- before and after


def test_a_name_fault_after_a_chain_fault_proves_the_chain_repaired(tmp_path: Path) -> None:
    result = report(tmp_path, Log().untrusted().pause().misnamed())
    assert found(result) == [
        ("name-not-in-certificate", HOST, 8443, "issue-found"),
        ("self-signed", HOST, 8443, "no-issue"),
    ]
    assert result.findings[0].history == (
        "Until 2026-01-29 15:20:01 UTC it was self-signed, which has not occurred since.",
    )
    assert "Repaired: since 2026-01-30" in result.findings[1].history[0]
    assert result.findings[1].remedies == ()


@pytest.mark.parametrize("code", ["expired", "not-yet-valid"])
def test_a_fault_in_the_dates_after_an_unknown_issuer_proves_the_issuer_known(tmp_path: Path, code: str) -> None:
    dates = {"expired": "certificate has expired", "not-yet-valid": "certificate is not yet valid"}
    log = Log().untrusted("unable to get local issuer certificate").pause().untrusted(dates[code])
    later, earlier = report(tmp_path, log).findings
    assert [(later.code, later.category), (earlier.code, earlier.category)] == [
        (code, "issue-found"),
        ("issuer-missing", "no-issue"),
    ]
    assert "issuer-missing" not in later.cause  # it is repaired, so nothing has to be fixed before this
    assert code not in earlier.cause
    assert later.history == ("Until 2026-01-29 15:20:01 UTC it was issuer-missing, which has not occurred since.",)
    assert earlier.history[0].startswith(f"Repaired: since 2026-01-30 15:20:02 UTC the fault is {code}, and X14.2")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("certificate has expired", "unable to get local issuer certificate"),
        ("unable to get local issuer certificate", "self signed certificate in certificate chain"),
        ("certificate has expired", "certificate is not yet valid"),
    ],
)
def test_a_fault_that_is_checked_earlier_or_at_the_same_time_proves_nothing(
    tmp_path: Path, first: str, then: str
) -> None:
    result = report(tmp_path, Log().untrusted(first).pause().untrusted(then))
    assert {one.category for one in result.findings} == {"issue-found"}
    assert all("Other handshakes" in one.cause for one in result.findings)


def test_a_name_fault_does_not_prove_what_is_checked_after_the_name(tmp_path: Path) -> None:
    result = report(tmp_path, Log().untrusted("permitted subtree violation").pause().misnamed())
    assert {one.code: one.category for one in result.findings} == {
        "name-constraints": "issue-found",
        "name-not-in-certificate": "issue-found",
    }


@pytest.mark.parametrize("then", ["certificate has expired", "not in certificate"])
def test_faults_of_one_handshake_in_audit_mode_are_not_called_repaired(tmp_path: Path, then: str) -> None:
    """In audit mode each fault of a handshake has a WARNING of its own, perhaps a millisecond later."""
    ip, log = ADDRESSES[HOST], Log().request()
    later: Event = (
        NameMismatch(START + 1.002, 0, HOST, "Continue", HOST, ip)
        if then == "not in certificate"
        else VerifyFailed(START + 1.002, 0, HOST, "Continue", then, HOST, ip, 0)
    )
    first = VerifyFailed(START + 1.001, 0, HOST, "Continue", "unable to get local issuer certificate", HOST, ip, 0)
    log.lines += [LineWriter("exp-c1", 2030).format(event) for event in (first, later)]
    result = report(tmp_path, log)
    assert len(result.findings) == 2
    assert {one.category for one in result.findings} == {"potential-problem"}
    assert all(not one.history for one in result.findings)


def test_two_faults_in_turn_are_not_called_repaired(tmp_path: Path) -> None:
    result = report(tmp_path, Log().untrusted().misnamed().untrusted())
    assert {one.category for one in result.findings} == {"issue-found"}
    assert all(not one.history for one in result.findings)


def test_a_server_that_answered_afterwards(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log().untrusted().pause().request()))
    assert finding.category == "potential-problem"
    assert "answered after the last failure, at 2026-01-30" in finding.history[0]
    before = only(report(tmp_path, Log().request().untrusted()))
    assert before.category == "issue-found"
    assert "answered before, first at 2026-01-29 15:20:01 UTC" in before.history[0]


# -- peers


def test_a_server_that_answered_in_between(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log().untrusted().request().untrusted()))
    assert finding.category == "issue-found"
    assert finding.history[0].startswith("The server answered in between, last at 2026-01-29 15:20:02 UTC")


def test_a_fault_on_every_peer_is_one_finding(tmp_path: Path) -> None:
    finding = only(report(tmp_path, Log("exp-c1").untrusted(), Log("exp-c2").untrusted().untrusted()))
    assert (finding.peers, finding.count, finding.history) == (("exp-c1", "exp-c2"), 3, ())


def test_a_fault_on_one_peer_names_it_and_what_its_trust_store_lacks(tmp_path: Path) -> None:
    ca, other = mint("Example CA", ca=True), mint("Other CA", ca=True)
    unknown = "self signed certificate in certificate chain"
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", Log("exp-c1").request(), ca, other))
    (tmp_path / "2.tar.gz").write_bytes(archive("exp-c2", Log("exp-c2").untrusted(unknown, 1), other))
    result = diagnosed([tmp_path])
    finding = only(result)
    assert (finding.code, finding.peers) == ("unknown-ca", ("exp-c2",))
    assert "Only on exp-c2: exp-c1 reached the same server" in finding.history[0]
    assert "lacks what exp-c1 has: CN=Example CA (" in finding.history[1]
    assert "Other CA" not in finding.history[1]
    assert [len(peer.trust_store or ()) for peer in result.peers] == [2, 1]


def test_a_peer_that_does_not_verify_proves_nothing(tmp_path: Path) -> None:
    off = '*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\n'
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", Log("exp-c1").request(), mint("CA", ca=True), xconf=off))
    (tmp_path / "2.tar.gz").write_bytes(archive("exp-c2", Log("exp-c2").untrusted(), mint("CA", ca=True)))
    finding = only(diagnosed([tmp_path]))
    assert finding.history == (
        "exp-c1 got answers from the same server, with VerifyOriginServer Off: that says nothing about the "
        "certificate.",
    )


def test_the_host_in_the_lines_tells_peers_of_one_file_apart(tmp_path: Path) -> None:
    first, second = Log("exp-c1").request(), Log("exp-c2").untrusted()
    first.lines += second.lines
    finding = only(report(tmp_path, first))
    assert finding.peers == ("exp-c2",)
    assert "Only on exp-c2" in finding.history[0]


# -- ports and nodes


def test_8443_works_and_6972_does_not(tmp_path: Path) -> None:
    result = report(tmp_path, Log().request().untrusted(port=6972, path="/CSFemusk.cnf.xml"))
    assert found(result) == [
        ("self-signed", HOST, 6972, "issue-found"),
        ("ecdsa-suspected", HOST, 6972, "potential-problem"),
    ]
    suspected = result.findings[1]
    assert "tomcat-ECDSA" in suspected.cause
    assert "does not show which certificate" in suspected.cause
    assert [remedy.code for remedy in suspected.remedies] == ["trust-certificate", "prefer-rsa"]
    assert "Add the tomcat-ECDSA certificate of cucm1.example.test itself" in suspected.remedies[0].text
    assert found(report(tmp_path, Log().untrusted().untrusted(port=6972))) == [
        ("self-signed", HOST, 8443, "issue-found"),
        ("self-signed", HOST, 6972, "issue-found"),
    ]


@pytest.mark.parametrize(
    ("error", "first"),
    [
        ("unable to get local issuer certificate", "Add the root and all intermediate CAs above the tomcat-ECDSA"),
        (
            "self signed certificate in certificate chain",
            "Add the root and all intermediate CAs above the tomcat-ECDSA",
        ),
        ("unable to get issuer certificate", "Add the missing CAs, up to and including the root,"),
    ],
)
def test_a_suspected_ecdsa_certificate_that_a_ca_has_signed_is_not_to_be_trusted_itself(
    tmp_path: Path, error: str, first: str
) -> None:
    """OpenSSL accepts a certificate in the trust store as the end of a chain only if it is self-signed."""
    log = Log().request().untrusted(error, port=6972, path="/CSFemusk.cnf.xml")
    suspected = report(tmp_path, log).findings[1]
    assert suspected.code == "ecdsa-suspected"
    assert suspected.remedies[0].text.startswith(first)
    assert "often still self-signed" not in suspected.cause
    assert [remedy.code for remedy in suspected.remedies] == ["trust-certificate", "prefer-rsa"]


def test_ecdsa_is_not_suspected_where_rsa_comes_first(tmp_path: Path) -> None:
    rsa = '*c xConfiguration Ciphers UcClientTLSCiphers Value: "ECDHE-RSA-AES256-GCM-SHA384:EECDH"\n'
    log = Log().request().untrusted(port=6972, path="/CSFemusk.cnf.xml")
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", log, mint("CA", ca=True), xconf=rsa))
    assert [one.code for one in diagnosed([tmp_path]).findings] == ["self-signed"]


def test_redundancy_is_lost_where_a_node_of_the_same_service_fails(tmp_path: Path) -> None:
    log = Log().request(host="cucm2.example.test").untrusted()
    result = report(tmp_path, log)
    assert found(result)[1] == ("redundancy-lost", HOST, 8443, "potential-problem")
    assert "cucm2.example.test answers" in result.findings[1].cause
    other_service = Log().request(host="imp.example.test", path="/EPASSoap/service/v80").untrusted()
    assert [one.code for one in report(tmp_path, other_service).findings] == ["self-signed"]


# -- what is missing


def test_a_report_without_findings_lists_what_was_read(tmp_path: Path) -> None:
    result = report(tmp_path, log := Log().request())
    assert result.summary == f"No issue found in {len(log.text.splitlines())} lines."
    assert [(check.category, check.subject) for check in result.checks] == [("no-issue", f"{HOST}:8443")]


def test_another_log_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "messages").write_text("Jan 29 14:01:16 exp-c sshd[1]: session opened\n" * 3)
    result = diagnosed([tmp_path])
    assert result.findings == ()
    assert [check.category for check in result.checks] == ["missing-information"]
    assert "3 lines and none of traffic_server" in result.checks[0].text


def test_verification_off_is_not_applicable(tmp_path: Path) -> None:
    xconf = '*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\n'
    (tmp_path / "1.tar.gz").write_bytes(archive("exp-c1", Log().request(), mint("CA", ca=True), xconf=xconf))
    result = diagnosed([tmp_path])
    assert [check.category for check in result.checks] == ["not-applicable", "no-issue"]
    assert result.peers[0].verify_origin_server == "off"


def test_a_private_key_is_refused_and_the_rest_read(tmp_path: Path) -> None:
    (tmp_path / "0.log").write_bytes(Log().untrusted().text)
    (tmp_path / "key.pem").write_text(mint("x").secret)
    result = diagnosed([tmp_path])
    assert [one.code for one in result.findings] == ["self-signed"]
    assert [problem.path for problem in result.problems] == [f"{tmp_path}/key.pem:1"]
    assert "private key" in result.problems[0].reason
