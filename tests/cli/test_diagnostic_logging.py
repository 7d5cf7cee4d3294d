"""``mralab diagnostic-logging`` collects the log of a running proxy in an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from mralab.diagnose.case import Case
from mralab.diagnose.sources import Sources
from tests.net.conftest import Server
from tests.serving import Serving, get

from .command import mralab


def archived(archive: Path) -> Case:
    """Return the content of an archive, which must be readable."""
    case = Case()
    case.read(Sources([str(archive)]))
    assert case.problems == []
    return case


def test_an_archive_has_the_lines_since_the_start(running: Serving, server: Server, tmp_path: Path) -> None:
    early = mralab("diagnostic-logging", "stop", admin=running.admin)
    assert (early.returncode, early.stdout) == (2, "")
    assert early.stderr.startswith("diagnostic logging was not started")
    assert mralab("diagnostic-logging", "start", admin=running.admin).stdout.startswith("started 2")
    get(running, server)
    stopped = mralab("diagnostic-logging", "stop", admin=running.admin, cwd=tmp_path)
    (archive,) = tmp_path.iterdir()
    assert stopped.stdout == f"{archive.name}\n"
    (peer,) = archived(archive).peers.values()
    assert peer.diagnosis.findings()[0].code == "issuer-missing"
    assert peer.settings is not None
    assert peer.settings.verify == "on"
    assert peer.trust_store is not None
    assert [connection.outcome for _, connection in peer.connections] == ["refused-by-client"] * 2
    mralab("diagnostic-logging", "start", admin=running.admin)
    out = mralab("diagnostic-logging", "stop", "--out", "none/a.tar.gz", admin=running.admin, cwd=tmp_path)
    assert (out.returncode, out.stdout) == (2, "")
    assert out.stderr.startswith("--out none/a.tar.gz: cannot be written")
    # The log continues, so no line is lost.
    saved = mralab("diagnostic-logging", "stop", "--out", "a.tar.gz", admin=running.admin, cwd=tmp_path)
    assert (saved.returncode, saved.stdout) == (0, "a.tar.gz\n")
    early = mralab("diagnostic-logging", "stop", "--out", "b.tar.gz", admin=running.admin, cwd=tmp_path)
    assert early.returncode == 2
    assert not (tmp_path / "b.tar.gz").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_archive_that_cannot_be_written_is_saved_in_a_temporary_folder(
    running: Serving, server: Server, tmp_path: Path
) -> None:
    mralab("diagnostic-logging", "start", admin=running.admin)
    get(running, server)
    out = mralab(
        "diagnostic-logging", "stop", "--out", "/dev/full", admin=running.admin, environment={"TMPDIR": str(tmp_path)}
    )
    assert (out.returncode, out.stdout) == (2, "")
    first, hint = out.stderr.splitlines()
    assert first == "--out /dev/full: cannot be written: No space left on device"
    assert archived(Path(hint.removeprefix("  hint: the archive is in "))).peers
