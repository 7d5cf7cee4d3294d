"""Preflight: what X14.2 would refuse of live servers, every fault at once, without a request."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mralab.config import Config, from_mapping
from mralab.diagnose.preflight import Checked, Question, check, parse_questions, questions
from mralab.errors import InputError
from mralab.lab.lab import Lab
from mralab.net.trust import TrustStore

HOST = "cucm.steven.lab"


def before(lab: Lab, **tables: Any) -> Config:
    """The configuration of one who stands before a lab's CUCM."""
    cucm = lab.cucm
    ports = {port: cucm.ports[port] for port in (8443, 6972)}
    entry = {"ip": cucm.ip, "dial": "127.0.0.1", "ports": ports}
    return from_mapping({"hosts": {cucm.fqdn: entry, cucm.ip: {"dial": "127.0.0.1", "ports": ports}}, **tables})


def trusting(lab: Lab, *names: str) -> TrustStore:
    return TrustStore(lab.cucm.certificate(name).cert for name in names)


def codes(answers: Sequence[Checked]) -> dict[tuple[str, int, tuple[str, ...]], list[str]]:
    return {
        (answer.question.host, answer.question.port, tuple(answer.prefer)): [one.code for one in answer.findings]
        for answer in answers
    }


async def test_the_articles_servers_are_asked_both_ways() -> None:
    async with Lab(scenario="ecdsa-first") as lab:
        config = before(lab)
        answers = await check(questions(config), config, trusting(lab, "steven-DC-CA"))
        requests = [one for port in (lab.cucm.uds, lab.cucm.tftp) for seen in port.seen for one in seen.requests]
    found = codes(answers)
    assert found[HOST, 8443, ("rsa",)] == []
    assert found[HOST, 8443, ("ecdsa",)] == ["self-signed"]
    assert found["10.48.36.215", 8443, ("rsa",)] == ["name-not-in-certificate"]
    assert found["10.48.36.215", 8443, ("ecdsa",)] == ["self-signed", "name-not-in-certificate"]  # both at once
    assert {host: found[host, 6972, ("ecdsa",)] for host in (HOST, "10.48.36.215")} == {
        HOST: ["self-signed"],
        "10.48.36.215": ["self-signed", "name-not-in-certificate"],
    }
    assert requests == []


async def test_each_fault_has_its_line_and_the_certificate_its_words() -> None:
    async with Lab(scenario="ecdsa-first") as lab:
        config = before(lab)
        (rsa,) = [
            one
            for one in await check([Question("10.48.36.215", 8443)], config, trusting(lab, "steven-DC-CA"))
            if one.prefer == ("rsa",)
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
        sock.bind(("127.0.0.1", 0))  # bound, and nobody listens
        yield sock.getsockname()[1]


async def test_what_is_no_tls_or_not_there_has_its_code(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answers = await check(
            [
                Question("127.0.0.1", closed_port),
                Question("127.0.0.1", silent.getsockname()[1]),
                Question("no-such-name.invalid", 8443),
            ],
            from_mapping({}),
            TrustStore(),
            seconds=0.3,
        )
    assert [[one.code for one in answer.findings] for answer in answers] == [["unreachable"], ["timeout"], ["dns"]]
    assert all(answer.certificate is None and answer.prefer == ("ecdsa", "rsa") for answer in answers)


def test_every_wrong_server_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_questions(["cucm.steven.lab", "a b:1", "x:99999", "[::1]:8443"])
    assert len(caught.value.problems) == 3
    assert parse_questions(["[::1]:8443", "CUCM.steven.lab:1", "cucm.steven.lab:1"]) == (
        Question("::1", 8443),
        Question(HOST, 1),
    )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mralab", "preflight", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


async def test_as_a_command_it_says_what_would_be_refused_and_exits_1(tmp_path: Path) -> None:
    async with Lab() as lab:
        (tmp_path / "ca.pem").write_text(lab.cucm.certificate("steven-DC-CA").pem)
        address = f"127.0.0.1:{lab.cucm.uds_port}"
        shown = await asyncio.to_thread(run, address, "--trust", str(tmp_path / "ca.pem"))
        told = await asyncio.to_thread(run, address, "--trust", str(tmp_path / "ca.pem"), "--json")
    assert shown.returncode == told.returncode == 1
    assert shown.stdout.startswith("X14.2 would refuse 1 of 1.\n")
    assert "RSA first" in shown.stdout
    answers = json.loads(told.stdout)
    assert {answer["findings"][-1]["code"] for answer in answers} == {"name-not-in-certificate"}
    assert shown.stderr == told.stderr == ""


def test_as_a_command_it_wants_to_know_whom_to_ask() -> None:
    result = run()
    assert result.returncode == 2
    assert "which servers?" in result.stderr
    assert run("nonsense").returncode == 2
