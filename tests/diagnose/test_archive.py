"""Diagnostic-logging archives have the form of an Expressway's, and all their content is read back."""

from __future__ import annotations

import tarfile
from pathlib import Path

from mralab.diagnose.archive import Member, Recording, pack
from mralab.diagnose.case import Case
from mralab.diagnose.sources import Sources

from .minted import mint

LINES = ("2022-07-11T18:55:26.000+02:00 vcsc traffic_server[18242]: x", "|GET / HTTP/1.1", "\xfc \u2028".strip())


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_members_are_named_by_kind_host_and_time(tmp_path: Path) -> None:
    recording = Recording("vcsc", 1657558544.5, LINES, members=(Member("ca", ".pem", b""),))
    archive = tmp_path / recording.archive_name
    archive.write_bytes(pack(recording))
    assert recording.archive_name.startswith("diagnostic_log_vcsc_2022-07-11_")
    log, ca = names(archive)
    assert "/loggingsnapshot_vcsc_2022-07-11_" in log
    assert "/ca_vcsc_2022-07-11_" in ca
    with tarfile.open(archive) as opened:
        assert {(member.isfile(), member.mode, member.uid) for member in opened} == {(True, 0o640, 0)}
        content = opened.extractfile(log)
        assert content is not None
        assert content.read().decode() == "".join(f"{line}\n" for line in LINES)


def test_an_archive_lists_what_is_missing(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(pack(Recording("vcsc", 0.0, LINES, 7, ("worker 1 (pid 4): no answer within 2 s",))))
    with tarfile.open(archive) as opened:
        note = opened.extractfile(opened.getmembers()[1])
        assert note is not None
        assert note.read().decode().splitlines() == [
            "incomplete: worker 1 (pid 4): no answer within 2 s",
            "incomplete: the oldest 7 events were not kept",
        ]


def test_all_content_is_read_back(tmp_path: Path) -> None:
    ca, own = mint("Example CA", ca=True), mint("vcsc.example.test")
    members = (
        Member("xconf_dump", ".txt", b'*c xConfiguration EdgeConfigServer VerifyOriginServer: "On"\n'),
        Member("xstat_dump", ".txt", b"*s mralab\n"),
        Member("ca", ".pem", ca.pem.encode()),
        Member("server", ".pem", own.pem.encode()),
    )
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(pack(Recording("vcsc", 1657558544.5, LINES, members=members)))
    case = Case()
    case.read(Sources([str(archive)]))
    (peer,) = case.peers.values()
    assert (peer.name, peer.lines, peer.diagnosis.records) == ("vcsc", 3, 1)
    assert peer.settings is not None
    assert peer.settings.verify == "on"
    assert peer.trust_store == (ca.cert,)
    assert peer.certificate == own.cert
    assert case.problems == []
