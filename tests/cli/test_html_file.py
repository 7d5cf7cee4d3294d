"""``--html FILE``: where it cannot be written, that is known before the command begins."""

from __future__ import annotations

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


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    ended = mralab("diagnose", LOG, "--html", str(tmp_path))
    assert ended.returncode == 2
    assert "is a directory" in ended.stderr


def test_a_file_that_exists_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("x" * 10_000_000)
    assert mralab("diagnose", LOG, "--html", str(file)).returncode == 1
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert file.read_text("utf-8").endswith("</html>")


def test_a_command_that_fails_leaves_no_empty_file(tmp_path: Path) -> None:
    ended = mralab("diagnose", LOG, "--server", "other.lab", "--html", str(tmp_path / "report.html"))
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named() -> None:
    ended = mralab("diagnose", LOG, "--html", "/dev/full")
    assert ended.returncode == 2
    assert "--html /dev/full: cannot be written: No space left on device" in ended.stderr
