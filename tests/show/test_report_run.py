"""The reports of ``mralab demo`` and ``mralab run``: before and after, the chain, and two runs that are the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mralab.lab.run import ScenarioResult, run_scenario
from mralab.lab.scenario import scenario_named
from mralab.mocks.pki import mint
from mralab.show.html import report_html
from mralab.show.report_run import run_page
from mralab.show.varying import without_times, without_varying
from tests.cli.command import mralab

from .documents import Document, parsed


async def results_of(folder: Path, *names: str) -> tuple[ScenarioResult, ...]:
    return tuple([await run_scenario(scenario_named(name), folder, mint()) for name in names])


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenarioResult, ...]:
    return asyncio.run(results_of(tmp_path_factory.mktemp("article"), "fqdn", "ip"))


def texts(document: Document, tag: str) -> list[str]:
    return [text for block, text in document.texts if block == tag]


def test_a_scenario_has_its_ladders_before_after_and_after_the_remedy(
    article: tuple[ScenarioResult, ...],
) -> None:
    html = report_html(run_page(article, "demo"))
    document = parsed(html)
    assert len(document.named("svg")) == 6
    assert len(document.named("figure")) == 6
    assert texts(document, "h2") == ["CUCM advertised by FQDN", "CUCM advertised by IP"]
    assert texts(document, "figcaption")[:3] == [
        "X14.0.7 signed in",
        "X14.2 configuration missing",
        "After the remedy signed in",
    ]
    widths = [attributes["width"] for attributes in document.named("svg")]
    assert widths[0] == widths[1]


def test_the_chain_has_the_requested_name_beside_the_certificate_s(article: tuple[ScenarioResult, ...]) -> None:
    document = parsed(report_html(run_page(article, "demo")))
    rows = texts(document, "dd")
    assert "cucm.steven.lab matches dNSName cucm.steven.lab" in rows
    assert "10.48.36.215 not in the certificate" in rows
    assert "from 10 days before the run until 730 days after the run in date" in rows
    assert "RSA 2048, signed with SHA256 with RSA" in rows
    assert "EC 384, signed with SHA384 with ECDSA" in rows


async def test_two_runs_give_the_same_report(article: tuple[ScenarioResult, ...], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = await results_of(tmp_path / "again", "fqdn", "ip")
    assert report_html(run_page(article, "run")) == report_html(run_page(again, "run"))


async def test_a_cluster_has_a_ladder_for_each_peer(tmp_path: Path) -> None:
    (result,) = await results_of(tmp_path, "peer-without-ca")
    labels = [attributes["aria-label"] for attributes in parsed(report_html(run_page([result], "run"))).named("svg")]
    assert labels[:2] == ["Login with X14.0.7 through vcsc", "Login with X14.0.7 through vcsc2"]
    captions = texts(parsed(report_html(run_page([result], "run"))), "figcaption")
    assert captions[2] == "X14.2 through vcsc 11 requests, none failed"
    assert captions[3].startswith("X14.2 through vcsc2 ")
    assert not captions[3].endswith(" 11 requests, none failed")


async def test_a_difference_is_in_the_summary_and_in_its_section(tmp_path: Path) -> None:
    (result,) = await results_of(tmp_path, "healthy")
    different = replace(result, differences=["X14.2: <b>expected</b> \u202e"])
    html = report_html(run_page([different], "run"))
    document = parsed(html)
    assert "Not as expected: healthy." in document.all_text()
    assert "Not as expected: X14.2: <b>expected</b> \\u{202E}" in document.all_text()


def test_the_command_writes_the_report_and_prints_its_usual_output(tmp_path: Path) -> None:
    ended = mralab("demo", "--out", str(tmp_path / "out"), "--html", str(tmp_path / "demo.html"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Every result is as in the article." in ended.stdout
    document = parsed((tmp_path / "demo.html").read_text("utf-8"))
    assert "Every result is as expected." in document.all_text()
    assert str(tmp_path) not in document.all_text()


def test_what_varies_has_a_name() -> None:
    line = (
        '2026-01-29T14:01:16.123+01:00 vcsc traffic_server[4711]: UTCTime="2026-01-29 13:01:16,123" Detail="x" '
        'TrackingID="bb0c8492-8c15-4537-a7d1-082dde781dbd" Src-ip="127.0.0.1" Src-port="35766" Dst-port="8443"'
    )
    assert without_varying(line) == (
        'TIME vcsc traffic_server[PID]: UTCTime="TIME" Detail="x" TrackingID="UUID" Src-ip="127.0.0.1" '
        'Src-port="PORT" Dst-port="8443"'
    )
    assert 'Src-port="35766"' in without_times(line)
    assert without_varying("dialled at 127.0.0.1:41236") == "dialled at 127.0.0.1:PORT"
