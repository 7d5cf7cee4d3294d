"""Diagnostic-logging archives, written and read back."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mralab.diagnose.archive import Recording, log_lines, pack
from mralab.errors import InputError

LINES = ("2022-07-11T18:55:26.000+02:00 vcsc traffic_server[18242]: x", "|GET / HTTP/1.1", "\xfc \u2028".strip())


def test_a_packed_archive_can_be_read(tmp_path: Path) -> None:
    recording = Recording("vcsc", 1657558544.5, LINES)
    archive = tmp_path / recording.archive_name
    archive.write_bytes(pack(recording))
    assert log_lines(archive) == list(LINES)
    assert recording.archive_name.startswith("diagnostic_log_vcsc_2022-07-11_")
    with tarfile.open(archive) as opened:
        assert opened.getnames() == [recording.log_name]
        assert "/loggingsnapshot_vcsc_2022-07-11_" in recording.log_name
        assert {(member.isfile(), member.mode, member.uid) for member in opened} == {(True, 0o640, 0)}


def test_an_incomplete_archive_says_so(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(pack(Recording("vcsc", 0.0, LINES, 7, ("worker 1 (pid 4): no answer within 2 s",))))
    assert log_lines(archive) == list(LINES)
    with tarfile.open(archive) as opened:
        note = opened.extractfile(opened.getmembers()[1])
        assert note is not None
        assert note.read().decode().splitlines() == [
            "incomplete: worker 1 (pid 4): no answer within 2 s",
            "incomplete: the oldest 7 events were not kept",
        ]


def test_the_log_of_an_expressways_archive_is_found_among_its_other_files(tmp_path: Path) -> None:
    place = "vcsc_2022-07-11_18_55_44"
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, data in (
            (f"xconf_dump_{place}.txt", b"*c xConfiguration x\n"),
            (f"eth0_diagnostic_logging_tcpdump00_{place}.pcap", b"\xd4\xc3\xb2\xa1\x02\x00"),
            (f"loggingsnapshot_{place}.txt", b"one\nt\xe9st\n"),
            (f"ca_{place}.pem", b"-----BEGIN CERTIFICATE-----\n"),
        ):
            member = tarfile.TarInfo(f"diagnostic_log_{place}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert log_lines(tmp_path / "a.tar.gz") == ["one", "t\\xe9st"]


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"no archive"])
def test_a_file_that_is_not_an_archive_is_an_input_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar\.gz: not a diagnostic-logging archive"):
        log_lines(tmp_path / "a.tar.gz")
