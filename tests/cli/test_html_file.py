"""``--html FILE``: a file that cannot be written is an error before the command begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .command import mralab

GOLDEN = Path(__file__).parents[1] / "golden"
LOG = str(GOLDEN / "article-6972-untrusted.log")
COMMANDS = (("diagnose", LOG), ("demo",), ("run", "healthy"), ("preflight", "127.0.0.1:9"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_missing_folder_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "missing" / "report.html"
    ended = mralab(*command, "--html", str(file), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"--html {file}: cannot be written: No such file or directory")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    ended = mralab("diagnose", LOG, "--html", str(tmp_path))
    assert ended.returncode == 2
    assert "is a directory" in ended.stderr


def test_a_file_that_exists_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("x" * 10_000_000)
    assert mralab("diagnose", LOG, "--html", str(file)).returncode == 1
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert file.read_text("utf-8").endswith("</html>")


def test_a_report_among_the_logs_is_not_read_as_a_log(tmp_path: Path) -> None:
    shutil.copy(LOG, tmp_path / "traffic_server.log")
    first = mralab("diagnose", ".", "--html", "report.html", cwd=tmp_path)
    again = mralab("diagnose", ".", "--html", "report.html", cwd=tmp_path)
    assert first.stdout.startswith("1 issue found in 6 lines: self-signed at cucm.steven.lab:6972.\n\n1. Issue found")
    assert again.stdout == first.stdout
    other = mralab("diagnose", ".", cwd=tmp_path)
    assert "- report.html: is a report of mralab: the log itself is needed\n" in other.stdout
    assert other.stdout.startswith("1 issue found in 6 lines: ")


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_the_command_reads_is_not_replaced(tmp_path: Path, link: bool) -> None:
    log = tmp_path / "traffic_server.log"
    log.write_bytes(Path(LOG).read_bytes())
    file = tmp_path / "report.html"
    if link:
        file.symlink_to(log)
    ended = mralab("diagnose", str(log), "--html", str(file if link else log))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is a file that this command reads" in ended.stderr
    assert log.read_bytes() == Path(LOG).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run",), (Path(__file__).parents[2] / "config/scenarios/healthy.toml").read_text()),
        (("preflight", "-c"), '[hosts."cucm.test"]\ndial = "127.0.0.1"\n'),
    ],
    ids=["run", "preflight"],
)
def test_a_scenario_or_a_configuration_is_not_replaced(arguments: tuple[str, ...], text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    ended = mralab(*arguments, str(file), "--html", str(file), cwd=tmp_path)
    assert ended.returncode == 2
    assert "is a file that this command reads" in ended.stderr
    assert file.read_text() == text


def test_a_command_that_fails_leaves_no_empty_file(tmp_path: Path) -> None:
    ended = mralab("diagnose", LOG, "--server", "other.lab", "--html", str(tmp_path / "report.html"))
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named() -> None:
    ended = mralab("diagnose", LOG, "--html", "/dev/full")
    assert ended.returncode == 2
    assert "--html /dev/full: cannot be written: No space left on device" in ended.stderr
