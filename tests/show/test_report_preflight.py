"""The report of ``mralab preflight``: verdict, chain and remedy of each server; hostile certificates stay text."""

from __future__ import annotations

from pathlib import Path

from mralab.config import Config
from mralab.diagnose.certificate_files import check_files, parse_names, read_chains
from mralab.diagnose.preflight import Address, check
from mralab.lab.lab import Lab
from mralab.show.html import report_html
from mralab.show.report_preflight import preflight_page
from mralab.tls.trust_store import TrustStore
from tests.cli.command import mralab
from tests.diagnose.minted import NOW, mint

from .documents import parsed


def report_of_file(folder: Path, name: str, pem: str) -> str:
    (folder / "server.pem").write_text(pem)
    checks = check_files(read_chains([folder / "server.pem"]), parse_names([name]), Config(), TrustStore())
    return report_html(preflight_page(checks, 0, NOW))


async def test_refused_servers_come_first_with_ladder_chain_and_remedy() -> None:
    async with Lab("X14.2", scenario="ip") as lab:
        addresses = [Address("cucm.steven.lab", 8443), Address("10.48.36.215", 8443)]
        checks = await check(addresses, lab.proxy.config, lab.proxy.trusted)
        html = report_html(preflight_page(checks, 2, NOW))
    document = parsed(html)
    titles = [text for block, text in document.texts if block == "h2"]
    assert titles == ["10.48.36.215:8443", "cucm.steven.lab:8443"]
    text = document.all_text()
    assert "X14.2 would refuse 1 of 2" in text
    assert "1: not in certificate" in text
    assert "10.48.36.215 not in the certificate" in text
    assert "xConfiguration EdgeConfigServer VerifyOriginServer: Off" in [
        text for block, text in document.texts if block == "pre"
    ]
    assert "TIME vcsc traffic_server[PID]" in text


def test_a_certificate_file_of_a_hostile_authority(tmp_path: Path) -> None:
    subject = '</style><script>alert("x")</script>\u202e\x1b[2J'
    leaf = mint(subject, sans=["<img src=x onerror=alert(1)>.lab", "cucm.steven.lab"])
    html = report_of_file(tmp_path, "cucm.steven.lab:8443", leaf.pem)
    document = parsed(html)
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "<img src=x onerror=alert(1)>.lab" in document.all_text()
    assert "cucm.steven.lab matches dNSName cucm.steven.lab" in document.all_text()


def test_a_certificate_of_a_thousand_names_lists_some(tmp_path: Path) -> None:
    leaf = mint("many", sans=[f"host{number}.lab" for number in range(1000)])
    html = report_of_file(tmp_path, "cucm.steven.lab:8443", leaf.pem)
    assert "and 950 more" in parsed(html).all_text()


def test_an_expired_certificate_says_so_beside_its_dates(tmp_path: Path) -> None:
    leaf = mint("cucm.steven.lab", sans=["cucm.steven.lab"], days=(-20, -10))
    rows = [
        text for block, text in parsed(report_of_file(tmp_path, "cucm.steven.lab", leaf.pem)).texts if block == "dd"
    ]
    assert any(row.endswith("expired") for row in rows)


def test_the_command_writes_the_report(tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text(mint("cucm.steven.lab", sans=["cucm.steven.lab"]).pem)
    arguments = ["preflight", "--certificate", str(tmp_path / "server.pem"), "--name", "cucm.steven.lab:8443"]
    ended = mralab(*arguments, "--html", str(tmp_path / "preflight.html"))
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == mralab(*arguments).stdout
    assert "The trust store is empty" in parsed((tmp_path / "preflight.html").read_text("utf-8")).all_text()
