"""The report of ``mralab diagnose``: what it shows, in which order, and that foreign text stays text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mralab.diagnose.case import Case
from mralab.diagnose.conclusions import conclude
from mralab.diagnose.sources import Sources
from mralab.show.html import report_html
from mralab.show.report_diagnosis import diagnosis_page
from tests.cli.command import mralab

from .documents import outline, parsed

GOLDEN = Path(__file__).parents[1] / "golden"
OUTLINE = GOLDEN / "report-diagnose.txt"
LOGS = ("article-6972-untrusted.log", "article-8443-name-mismatch-debug.log", "article-8443-success.log")


def report_of(*paths: str) -> str:
    case = Case(ladders=True)
    case.read(Sources(paths))
    report = conclude(case)
    ladders = {peer.name: peer.ladder.ladder(report.findings) for peer in case.peers.values() if peer.ladder}
    return report_html(diagnosis_page(report, ladders))


@pytest.fixture(scope="module")
def article() -> str:
    return report_of(*(str(GOLDEN / name) for name in LOGS))


def test_the_report_of_the_article_s_logs(article: str) -> None:
    """After an intended change: ``python -m tests.show.test_report_diagnosis``."""
    assert outline(article).replace(f"{GOLDEN}/", "") == OUTLINE.read_text("utf-8")


def test_the_answer_comes_before_the_ladders_and_the_ladder_before_the_cause(article: str) -> None:
    places = [
        article.index(text)
        for text in ("2 issues found", "<svg", "presented a self-signed", "Maintenance &gt; Security", "WARNING: Core")
    ]
    assert places == sorted(places)


def test_the_ladder_shows_the_refused_step_with_the_number_of_its_finding(article: str) -> None:
    document = parsed(article)
    labels = [text for block, text in document.texts if block == "text"]
    assert "1: self signed certificate" in labels
    assert "502 connect failed" in labels
    assert len(document.named("svg")) == 2
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in document.named("svg"))


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        file = tmp_path / f"{seed}.html"
        command = [sys.executable, "-m", "mralab", "diagnose", str(GOLDEN), "--html", str(file)]
        subprocess.run(
            command, check=False, capture_output=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        written.append(file.read_bytes())
    assert written[0] == written[1]


HOSTILE = 'cucm"><script>alert(1)</script>\x1b[31m\u202e.lab'


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    log = (GOLDEN / LOGS[0]).read_text("utf-8").replace("cucm.steven.lab", HOSTILE).replace("/CSFemusk", "/<i>x</i>")
    (tmp_path / "<i>hostile.log").write_text(log, "utf-8")
    html = report_of(str(tmp_path))
    document = parsed(html)
    assert not {"script", "i"} & {tag for tag, _ in document.elements}
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "<script>alert(1)</script>" in document.all_text()
    assert "<i>hostile.log" in document.all_text()


def test_a_word_of_a_megabyte_is_cut(tmp_path: Path) -> None:
    log = (GOLDEN / LOGS[0]).read_text("utf-8").replace("self signed certificate", "x" * 1_000_000)
    (tmp_path / "long.log").write_text(log, "utf-8")
    html = report_of(str(tmp_path))
    parsed(html)
    assert len(html) < 200_000


def test_a_log_with_thousands_of_failures_gives_a_readable_report(tmp_path: Path) -> None:
    log = (GOLDEN / LOGS[0]).read_text("utf-8")
    many = "".join(log.replace('Txn-id="191"', f'Txn-id="{number}"') for number in range(1000))
    (tmp_path / "many.log").write_text(many, "utf-8")
    html = report_of(str(tmp_path))
    assert len(html) < 500_000
    assert "more requests are not drawn" in html


def test_a_log_without_findings(tmp_path: Path) -> None:
    document = parsed(report_of(str(GOLDEN / LOGS[2])))
    assert "No issue found" in document.all_text()
    assert document.named("svg") == []


def test_nothing_readable_is_a_report_too(tmp_path: Path) -> None:
    document = parsed(report_of(str(tmp_path / "missing.log")))
    assert "missing.log: cannot be read" in document.all_text()


def test_the_command_prints_the_same_with_a_report(tmp_path: Path) -> None:
    log = str(GOLDEN / LOGS[0])
    plain = mralab("diagnose", log)
    both = mralab("diagnose", log, "--html", str(tmp_path / "report.html"))
    assert (both.stdout, both.stderr, both.returncode) == (plain.stdout, plain.stderr, plain.returncode)
    assert "self-signed" in parsed((tmp_path / "report.html").read_text("utf-8")).all_text()


if __name__ == "__main__":
    os.chdir(GOLDEN)
    OUTLINE.write_text(outline(report_of(*LOGS)), "utf-8")
