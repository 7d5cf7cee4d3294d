"""Preflight: faults for which X14.2 would refuse live servers, all at once, without a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mralab.config import Config, from_mapping
from mralab.diagnose.preflight import Address, ServerCheck, check, configured_addresses, parse_addresses, summary
from mralab.errors import InputError
from mralab.lab.lab import Lab
from mralab.show.terminal import preflight_report
from mralab.tls.identity import load_identity
from mralab.tls.trust_store import TrustStore
from tests.cli.command import mralab

from .minted import mint, server_context, serving

HOST = "cucm.steven.lab"


def before(lab: Lab, **tables: Any) -> Config:
    """Return the configuration of a client that dials a lab's CUCM."""
    cucm = lab.cucm
    ports = {port: cucm.ports[port] for port in (8443, 6972)}
    entry = {"ip": cucm.ip, "dial": "127.0.0.1", "ports": ports}
    return from_mapping({"hosts": {cucm.fqdn: entry, cucm.ip: {"dial": "127.0.0.1", "ports": ports}}, **tables})


def trusting(lab: Lab, *names: str) -> TrustStore:
    return TrustStore(lab.cucm.certificate(name).cert for name in names)


def codes(answers: Sequence[ServerCheck]) -> dict[tuple[str, int | None, tuple[str, ...]], list[str]]:
    return {
        (answer.address.host, answer.address.port, tuple(answer.prefer)): [finding.code for finding in answer.findings]
        for answer in answers
    }


async def test_the_articles_servers_are_checked_with_both_preferences() -> None:
    async with Lab(scenario="ecdsa-first") as lab:
        config = before(lab)
        answers = await check(configured_addresses(config), config, trusting(lab, "steven-DC-CA"))
        requests = [
            request for port in (lab.cucm.uds, lab.cucm.tftp) for seen in port.seen for request in seen.requests
        ]
    found = codes(answers)
    assert found[HOST, 8443, ("rsa",)] == []
    assert found[HOST, 8443, ("ecdsa",)] == ["self-signed"]
    assert found["10.48.36.215", 8443, ("rsa",)] == ["name-not-in-certificate"]
    assert found["10.48.36.215", 8443, ("ecdsa",)] == [
        "self-signed",
        "name-not-in-certificate",
    ]  # both handshakes at the same time
    assert {host: found[host, 6972, ("ecdsa",)] for host in (HOST, "10.48.36.215")} == {
        HOST: ["self-signed"],
        "10.48.36.215": ["self-signed", "name-not-in-certificate"],
    }
    assert requests == []


async def test_each_fault_has_a_log_line_and_the_certificate_a_summary() -> None:
    async with Lab(scenario="ecdsa-first") as lab:
        config = before(lab)
        (rsa,) = [
            result
            for result in await check([Address("10.48.36.215", 8443)], config, trusting(lab, "steven-DC-CA"))
            if result.prefer == ("rsa",)
        ]
    assert rsa.certificate is not None
    assert rsa.certificate.cn == "cucm-ms.steven.lab"
    assert any(
        line.endswith(
            "WARNING: SNI (10.48.36.215) not in certificate. Action=Terminate server=10.48.36.215(10.48.36.215)"
        )
        for line in rsa.lines
    )
    assert any("1416F086" in line for line in rsa.lines)
    assert rsa.findings[0].port == 8443


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, but not listening
        yield sock.getsockname()[1]


async def test_a_server_that_cannot_be_reached_is_not_reported_as_refused(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answers = await check(
            [
                Address("127.0.0.1", closed_port),
                Address("127.0.0.1", silent.getsockname()[1]),
                Address("no-such-name.invalid", 8443),
            ],
            from_mapping({}),
            TrustStore(),
            seconds=0.3,
        )
    assert [[finding.code for finding in answer.findings] for answer in answers] == [
        ["unreachable"],
        ["timeout"],
        ["dns"],
    ]
    assert all(answer.certificate is None and answer.prefer == ("ecdsa", "rsa") for answer in answers)
    assert {answer.state for answer in answers} == {"not-asked"}
    assert all(not answer.lines and not answer.ok for answer in answers)
    assert "Connection refused" in answers[0].findings[0].cause
    assert f"127.0.0.1:{closed_port}" in answers[0].findings[0].cause
    assert "no answer within 0.3 s" in answers[1].findings[0].cause
    assert "nothing was dialled" in answers[2].findings[0].cause
    assert all("nothing is known about its certificate" in answer.findings[0].cause for answer in answers)
    assert summary(answers)[0] == "What X14.2 would do with all 3 servers could not be checked."


async def test_a_server_without_tls_has_failed_and_is_not_refused() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with (
        await asyncio.start_server(http, "127.0.0.1", 0) as plain_http,
        await asyncio.start_server(closes, "127.0.0.1", 0) as closing,
    ):
        ports = [server.sockets[0].getsockname()[1] for server in (plain_http, closing)]
        answers = await check([Address("127.0.0.1", port) for port in ports], from_mapping({}), TrustStore())
    assert [(answer.state, answer.findings[0].code) for answer in answers] == [
        ("failed", "not-tls"),
        ("not-asked", "unreachable"),
    ]
    assert "1408F10B" in answers[0].findings[0].evidence[0]
    assert "closed it during the TLS handshake" in answers[1].findings[0].cause
    assert summary(answers) == [
        "TLS fails with 1 of 2 servers; 1 of 2 servers could not be checked.",
        f"127.0.0.1:{ports[0]}: TLS fails with either order (not-tls)",
        f"127.0.0.1:{ports[1]}: could not be checked with either order (unreachable)",
    ]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("insists", [True, False])
async def test_a_server_that_requests_a_client_certificate(
    tmp_path: Path, version: ssl.TLSVersion, insists: bool
) -> None:
    root = mint("Root", ca=True)
    context = server_context(tmp_path, mint(HOST, root, sans=[HOST]), version=version)
    context.verify_mode = ssl.CERT_REQUIRED if insists else ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=root.pem)
    with serving(context) as port:
        config = from_mapping(
            {"hosts": {HOST: {"dial": "127.0.0.1", "ports": {8443: port}}}, "upstream": {"tls": ["1.2", "1.3"]}}
        )
        (answer,) = await check([Address(HOST, 8443)], config, TrustStore([root.cert]))
    assert answer.certificate is not None
    if insists:
        assert (answer.state, [finding.code for finding in answer.findings]) == ("failed", ["rejected-by-server"])
        assert "client certificate" in answer.findings[0].cause
        assert answer.findings[0].remedies
    else:
        assert (answer.state, answer.findings) == ("accepted", ())
        assert any("client certificate" in note for note in answer.notes)
        assert answer.as_json()["client_certificate_requested"] is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("trusted", [True, False])
async def test_the_configured_client_certificate_is_presented(
    tmp_path: Path, version: ssl.TLSVersion, trusted: bool
) -> None:
    root = mint("Root", ca=True)
    own = mint("expc.example.test", root if trusted else None, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH])
    (tmp_path / "own.pem").write_text(own.secret + own.pem)
    context = server_context(tmp_path, mint(HOST, root, sans=[HOST]), version=version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=root.pem)
    with serving(context) as port:
        config = from_mapping(
            {"hosts": {HOST: {"dial": "127.0.0.1", "ports": {8443: port}}}, "upstream": {"tls": ["1.2", "1.3"]}}
        )
        identity = load_identity(tmp_path / "own.pem")
        (answer,) = await check([Address(HOST, 8443)], config, TrustStore([root.cert]), identity=identity)
    assert answer.certificate_presented
    if trusted:
        assert (answer.state, answer.findings) == ("accepted", ())
        assert "has accepted the configured one" in answer.notes[0]
    else:
        assert (answer.state, [finding.code for finding in answer.findings]) == ("failed", ["rejected-by-server"])
        assert "does not trust the CA that signed it" in answer.findings[0].cause
        late = version == ssl.TLSVersion.TLSv1_3  # after the handshake: the proxy's response for that
        assert answer.lines[-1].endswith(f'HTTP/1.1 502 {"Server Hangup" if late else "connect failed"}"')


async def test_several_faults_at_once_and_a_note_for_an_accepted_server(tmp_path: Path) -> None:
    root, other = mint("Root", ca=True), mint("Other Root", ca=True)
    soon = server_context(tmp_path, mint(HOST, root, sans=[HOST], days=(-300, 12)))
    bad = server_context(tmp_path, mint("elsewhere.test", other, sans=["elsewhere.test"], days=(-300, -2)))
    with serving(soon) as good_port, serving(bad) as bad_port:
        ports = {8443: good_port, 6972: bad_port}
        config = from_mapping({"hosts": {HOST: {"dial": "127.0.0.1", "ports": ports}}})
        answers = await check(configured_addresses(config), config, TrustStore([root.cert]))
    refused, accepted = answers
    assert [finding.code for finding in refused.findings] == ["issuer-missing", "expired", "name-not-in-certificate"]
    assert refused.findings[0].error == "unable to get local issuer certificate"
    assert all("chain of CAs was accepted" not in finding.cause for finding in refused.findings)
    assert "1416F086" in refused.findings[0].evidence[1]
    assert accepted.ok
    assert "expires on" in accepted.notes[0]
    assert summary(answers) == [
        "X14.2 would refuse 1 of 2 servers.",
        f"{HOST}:6972: refused with either order (issuer-missing, then expired, then name-not-in-certificate)",
        f"{HOST}:8443: {accepted.expiring[0]}",
    ]


async def test_a_missing_intermediate_is_recognised_from_another_port(tmp_path: Path) -> None:
    root = mint("Root", ca=True)
    issuing = mint("Issuing", root, ca=True)
    leaf = mint(HOST, issuing, sans=[HOST])
    with (
        serving(server_context(tmp_path, leaf, issuing)) as whole,
        serving(server_context(tmp_path, mint(HOST, issuing, sans=[HOST]))) as alone,
    ):
        config = from_mapping({"hosts": {HOST: {"dial": "127.0.0.1", "ports": {8443: whole, 6972: alone}}}})
        answers = await check(configured_addresses(config), config, TrustStore([root.cert]))
    assert [(answer.address.port, answer.state) for answer in answers] == [(6972, "refused"), (8443, "accepted")]
    assert "its root 'Root' is already trusted" in answers[0].findings[0].cause


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
async def test_the_screen_shows_every_name_unbroken(tmp_path: Path, width: int) -> None:
    root = mint("Root", ca=True)
    long = "subscriber-of-the-voice-cluster.voice.emea.corporate.example-enterprise.com"
    names = [f"node-{number:02d}.{long}" for number in range(30)]
    files = [mint("x", root, sans=names, days=(-5, 20)), mint("y", None, sans=[long], days=(-5, -2))]
    with contextlib.ExitStack() as servers:
        ports = [servers.enter_context(serving(server_context(tmp_path, minted))) for minted in files]
        hosts = {
            name: {"dial": "127.0.0.1", "ports": {8443: port}} for name, port in zip((HOST, long), ports, strict=True)
        }
        config = from_mapping({"hosts": hosts})
        answers = await check(configured_addresses(config), config, TrustStore([root.cert]))
    shown = preflight_report(answers, width).plain
    assert all(name in shown for name in (*names, f"{HOST}:8443", f"{long}:8443", "by CN=Root", "EC 256"))
    assert "19 days from now" in " ".join(shown.split())
    assert all(len(line) <= max(width, 39) or len(line.split()) <= 2 or ":8443, " in line for line in shown.split("\n"))
    whole = " ".join(shown.split())
    for answer in answers:
        for finding in answer.findings:
            assert finding.cause in whole
            assert all(remedy.text in whole for remedy in finding.remedies)


async def test_each_preference_has_its_own_result(tmp_path: Path) -> None:
    root = mint("Root", ca=True)
    context = server_context(tmp_path, mint(HOST, root, sans=[HOST]))
    rsa_leaf = mint(HOST, sans=[HOST], key=rsa.generate_private_key(65537, 2048))
    (tmp_path / "rsa.pem").write_text(rsa_leaf.secret + rsa_leaf.pem)
    context.load_cert_chain(tmp_path / "rsa.pem")
    context.set_ciphers("ECDHE+AESGCM")
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    with serving(context) as port:
        config = from_mapping({"hosts": {HOST: {"dial": "127.0.0.1", "ports": {8443: port}}}})
        answers = await check(configured_addresses(config), config, TrustStore([root.cert]))
    assert summary(answers) == [
        "X14.2 would refuse the server.",
        f"{HOST}:8443: accepted with ECDSA first; refused with RSA first (self-signed)",
    ]


def test_all_invalid_addresses_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        parse_addresses(["cucm.steven.lab", "a b:1", "x:99999", "[::1]:8443"])
    assert len(caught.value.problems) == 3
    assert parse_addresses(["[::1]:8443", "CUCM.steven.lab:1", "cucm.steven.lab:1"]) == (
        Address("::1", 8443),
        Address(HOST, 1),
    )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return mralab("preflight", *arguments)


async def test_the_command_reports_refusals_and_exits_1(tmp_path: Path) -> None:
    async with Lab() as lab:
        (tmp_path / "ca.pem").write_text(lab.cucm.certificate("steven-DC-CA").pem)
        address = f"127.0.0.1:{lab.cucm.uds_port}"
        shown = await asyncio.to_thread(run, address, "--trust", str(tmp_path / "ca.pem"))
        document = await asyncio.to_thread(run, address, "--trust", str(tmp_path / "ca.pem"), "--json")
    assert shown.returncode == document.returncode == 1
    assert shown.stdout.startswith("X14.2 would refuse the server.\n")
    assert "RSA first" in shown.stdout
    answers = json.loads(document.stdout)["servers"]
    assert {answer["findings"][-1]["code"] for answer in answers} == {"name-not-in-certificate"}
    for answer in answers:
        assert answer["state"] == "refused"
        assert answer["certificate"]["names"]
        assert answer["certificate"]["days_left"] > 0
        assert answer["chain"][0]["issuer"]
        assert answer["dial"] == address
    words = " ".join(re.sub("[^ -~]", " ", shown.stdout).split())
    assert re.search(r"until 20\d\d-", words)
    assert "names:" in words
    assert shown.stderr == document.stderr == ""
    assert "trust store is empty" not in shown.stdout


def test_the_command_requires_servers() -> None:
    result = run()
    assert result.returncode == 2
    assert "no servers given" in result.stderr
    assert run("nonsense").returncode == 2


def test_the_command_exits_3_for_an_unreachable_server(closed_port: int) -> None:
    result = run(f"127.0.0.1:{closed_port}")
    assert result.returncode == 3
    assert result.stdout.startswith("What X14.2 would do with the server could not be checked.\n")
    assert "The trust store is empty" in result.stdout
    assert "not checked" in result.stdout


def test_a_url_in_place_of_a_server_is_answered_with_the_server() -> None:
    with pytest.raises(InputError) as caught:
        parse_addresses(["https://cucm.steven.lab/x", "https://u:p@[::1]:8443"])
    assert caught.value.problems == (
        "'https://cucm.steven.lab/x' is not HOST:PORT: it is a URL; write cucm.steven.lab:PORT",
        "'https://u:p@[::1]:8443' is not HOST:PORT: it is a URL; write [::1]:8443",
    )


@pytest.mark.parametrize(
    ("release", "checked_as"),
    [("X15.5", "X15.5"), ("X14.0.8", "X14.0.8"), ("X14.2", "X14.2"), ("X14.0.7", "X14.2")],
)
def test_servers_are_checked_as_the_configuration_s_release(
    release: str, checked_as: str, tmp_path: Path, closed_port: int
) -> None:
    (tmp_path / "mralab.toml").write_text(f'release = "{release}"\ntrust.store = ""\nallow.rules = ""\n')
    arguments = (f"127.0.0.1:{closed_port}", "-c", str(tmp_path / "mralab.toml"))
    shown = run(*arguments)
    assert shown.stdout.startswith(f"What {checked_as} would do with the server could not be checked.")
    note = "" if release == checked_as else f"{release} verifies no server: checking as X14.2 would\n"
    assert shown.stderr == note
    document = json.loads(run(*arguments, "--json").stdout)
    assert (document["release"], document["version"]) == (checked_as, 1)
    assert document["summary"].startswith(f"What {checked_as} would do ")


async def test_the_advice_for_an_unknown_name_has_dns_and_hosts() -> None:
    (answer,) = await check([Address("no-such-name.invalid", 8443)], from_mapping({}), TrustStore(), seconds=0.3)
    assert [remedy.code for remedy in answer.findings[0].remedies] == ["check-dns", "add-host"]
