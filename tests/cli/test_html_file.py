"""``--html FILE``: a file that cannot be written is an error before the command begins."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mralab.cli.output_file import OutputFile
from mralab.errors import MralabError

from .command import mralab, mralab_process

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
    with pytest.raises(MralabError, match="is a folder"), OutputFile(str(tmp_path)):
        pass


def test_a_file_that_exists_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("x" * 10_000_000)
    assert mralab("diagnose", LOG, "--html", str(file)).returncode == 1
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert file.read_text("utf-8").endswith("</html>")


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    with umask(0o027):
        assert mralab("diagnose", LOG, "--html", str(file)).returncode == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    file.chmod(0o604)
    assert mralab("diagnose", LOG, "--html", str(file)).returncode == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path, exists: bool) -> None:
    target, link = tmp_path / "there" / "report.html", tmp_path / "link.html"
    target.parent.mkdir()
    if exists:
        target.write_text("old")
    link.symlink_to("there/report.html")
    assert mralab("diagnose", LOG, "--html", str(link)).returncode == 1
    assert link.is_symlink()
    assert target.read_text("utf-8").startswith("<!doctype html>")
    assert [file.name for file in target.parent.iterdir()] == ["report.html"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    with file.open() as before, OutputFile(str(file)) as output:
        assert file.read_text() == "old"
        output.write(b"new" * 1_000_000)
        assert before.read() == "old"
    assert file.read_bytes() == b"new" * 1_000_000


def test_a_command_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    ended = mralab("diagnose", LOG, "--server", "other.lab", "--html", str(file))
    assert (ended.returncode, file.read_text()) == (2, "old")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_written_whole_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")

    def failing(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", failing)
    with OutputFile(str(file)) as output, pytest.raises((MralabError, KeyboardInterrupt)):
        output.write(b"new")
    assert file.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_file_that_cannot_be_renamed_onto_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the one file that is mounted into a container."""
    file = tmp_path / "report.html"
    file.write_text("old")

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    with OutputFile(str(file)) as output:
        output.write(b"new")
    assert file.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_fifo_that_nothing_reads_is_named_at_once(command: tuple[str, ...], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ended = mralab(*command, "--html", str(fifo), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"--html {fifo}: is a FIFO that nothing reads")
    assert [file.name for file in tmp_path.iterdir()] == ["fifo"]


def test_a_fifo_that_is_read_gets_the_report(tmp_path: Path) -> None:
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    number = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(number, True)
    with os.fdopen(number, "rb") as stream:
        reader = threading.Thread(target=lambda: read.append(stream.read()))
        with OutputFile(str(fifo)) as output:
            reader.start()
            output.write(b"x" * 1_000_000)
        reader.join(10)
    assert read == [b"x" * 1_000_000]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_pipe_of_the_shell_gets_the_report(tmp_path: Path) -> None:
    """``--html >(gzip > report.html.gz)``"""
    copy = tmp_path / "copy.html"
    command = f"{sys.executable} -m mralab diagnose {LOG} --html >(cat > {copy}); wait $!"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.startswith("1 issue found")
    assert copy.read_text("utf-8").endswith("</html>")


def test_a_device_is_written_to() -> None:
    ended = mralab("diagnose", LOG, "--html", "/dev/null")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_socket_or_a_block_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        ended = mralab("diagnose", LOG, "--html", str(tmp_path / "socket"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "socket: cannot be written: " in ended.stderr
    file = tmp_path / "disk"
    file.write_text("")
    real = file.stat()
    disk = os.stat_result((stat.S_IFBLK | 0o600, *real[1:]))
    monkeypatch.setattr(Path, "stat", lambda _: disk)
    with pytest.raises(MralabError, match="disk: is a block device"), OutputFile(str(file)):
        pass


def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    really = os.open

    def guarded(path: str | Path, flags: int, *mode: int, **options: int) -> int:
        if str(path) == str(file) and flags & os.O_WRONLY:  # root may write to every file
            raise PermissionError(13, "Permission denied")
        return really(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", guarded)
    ended = mralab("diagnose", LOG, "--html", str(file))
    assert (ended.returncode, ended.stdout, file.read_text()) == (2, "", "old")
    assert "Permission denied" in ended.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_standard_output_has_the_report_in_place_of_the_text(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    ended = mralab(*command, "--html", name, cwd=tmp_path)
    assert ended.returncode in (0, 1, 3)
    assert ended.stdout.startswith("<!doctype html>")
    assert ended.stdout.endswith("</html>")
    assert not (tmp_path / "-").exists()


def test_standard_output_of_a_process_has_the_report_only(tmp_path: Path) -> None:
    ended = mralab_process("diagnose", LOG, "--html", "-", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.startswith("<!doctype html>")
    assert ended.stdout.endswith("</html>")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_standard_output_cannot_have_report_and_json(command: tuple[str, ...], tmp_path: Path) -> None:
    ended = mralab(*command, "--html", "-", "--json", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("--html -: standard output is for the JSON (--json)")


def test_a_file_whose_name_is_a_dash_needs_a_folder(tmp_path: Path) -> None:
    assert mralab("diagnose", LOG, "--html", "./-", cwd=tmp_path).stdout.startswith("1 issue found")
    assert (tmp_path / "-").read_text("utf-8").startswith("<!doctype html>")


def test_the_file_that_standard_output_goes_to_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    command = [sys.executable, "-m", "mralab", "diagnose", LOG, "--html", str(file)]
    with file.open("w") as output:
        ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (ended.returncode, file.read_text()) == (2, "")
    assert "is the file that standard output goes to" in ended.stderr


def test_preflight_names_it_before_it_connects_to_axl(tmp_path: Path) -> None:
    for option in ("--html", "--save"):
        name = "missing/report.html" if option == "--html" else "file/saved"
        (tmp_path / "file").write_text("")
        ended = mralab("preflight", "--axl", "127.0.0.1:9", "--axl-user", "reader", option, name, cwd=tmp_path)
        assert ended.returncode == 2
        assert name in ended.stderr
        assert "AXL" not in ended.stderr


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
