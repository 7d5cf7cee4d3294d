"""Kinds of files by their content, bounds for archives, and messages for unreadable parts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from mralab.diagnose.expansion import Limits
from mralab.diagnose.file_kind import kind_of
from mralab.diagnose.file_names import peer_of
from mralab.diagnose.sources import Sources

LINE = b"2026-01-29T14:01:16.974-05:00 exp-c traffic_server[2030]: [ET_NET 1] ERROR: SSL connection failed\n"
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
XCONF = b'*c xConfiguration EdgeConfigServer VerifyOriginServer: "On"\n'
FOLDER = "diagnostic_log_exp-c1_2026-01-29_14_05_00"
LOG = f"{FOLDER}/loggingsnapshot_exp-c1_2026-01-29_14_05_00.txt"
PCAP = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


CASE = archive(
    (LOG, LINE),
    (f"{FOLDER}/xconf_dump_exp-c1_2026-01-29_14_05_00.txt", XCONF),
    (f"{FOLDER}/ca_exp-c1_2026-01-29_14_05_00.pem", PEM),
    (f"{FOLDER}/eth0_diagnostic_logging_tcpdump00_exp-c1_2026-01-29_14_05_00.pcap", PCAP),
)


def walked(
    *paths: Path | str, limits: Limits | None = None, stdin: bytes = b""
) -> tuple[list[tuple[str, ...]], Sources]:
    """Return kind, peer and content of each source, and the sources with their problems."""
    sources = Sources([str(path) for path in paths], io.BytesIO(stdin), limits or Limits())
    return [(one.kind, one.peer, b"".join(sources.chunks(one)).decode("latin-1")) for one in sources], sources


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_in_any_compression(pack: type[bytes], tmp_path: Path) -> None:
    file = tmp_path / "case"  # without a suffix, to show that the content decides
    file.write_bytes(pack(CASE))
    found, sources = walked(file)
    assert [(kind, peer) for kind, peer, _ in found] == [
        ("log", "exp-c1"), ("configuration", "exp-c1"), ("certificates", "exp-c1"), ("capture", "exp-c1"),
    ]  # fmt: skip
    assert found[0][2] == LINE.decode()
    assert sources.problems == []


def test_a_zip_of_archives(tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("peers/one.tar.gz", gzip.compress(CASE))
        opened.writestr("plain.log", LINE)
    found, sources = walked(file)
    assert [kind for kind, _, _ in found] == ["log", "configuration", "certificates", "capture", "log"]
    assert sources.problems == []


def test_a_folder_standard_input_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "one.log").write_bytes(LINE)
    (tmp_path / "two.gz").write_bytes(gzip.compress(LINE))
    os.mkfifo(tmp_path / "pipe")
    found, sources = walked(tmp_path, "-", tmp_path / "missing.log", stdin=LINE)
    assert found == [("log", "", LINE.decode())] * 3
    assert [str(problem) for problem in sources.problems] == [
        f"{tmp_path}/pipe: is not a file: not read",
        f"{tmp_path}/missing.log: cannot be read: No such file or directory",
    ]


def test_a_truncated_archive_gives_what_precedes_the_end(tmp_path: Path) -> None:
    noise = os.urandom(300_000).hex().encode()
    packed = gzip.compress(archive((LOG, LINE), ("more.txt", noise)))
    file = tmp_path / "cut.tar.gz"
    file.write_bytes(packed[:-50_000])
    found, sources = walked(file)
    assert found[0] == ("log", "exp-c1", LINE.decode())
    assert [str(problem) for problem in sources.problems] == [
        f"{file}:more.txt: is truncated: the data up to its end is read"
    ]
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LINE * 1000 + noise)[:-50_000])
    found, sources = walked(tmp_path / "cut.gz")
    assert found[0][2].startswith(LINE.decode() * 1000)
    assert [problem.reason for problem in sources.problems] == ["is truncated: the data up to its end is read"]


@pytest.mark.parametrize("name", ["../outside.log", "/etc/outside.log", "a/../../outside.log", "..\\outside.log"])
def test_a_member_with_a_path_outside_the_archive_is_named_and_not_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / "case.tar"
    file.write_bytes(archive((name, LINE), (LOG, LINE)))
    before = sorted(tmp_path.rglob("*"))
    found, sources = walked(file)
    assert [kind for kind, _, _ in found] == ["log"]
    assert [problem.reason for problem in sources.problems] == ["its name is a path outside the archive: not read"]
    assert sorted(tmp_path.rglob("*")) == before


def test_links_and_devices_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(LINE)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("loggingsnapshot.txt")
            member.type, member.linkname = kind, str(tmp_path / "secret")
            opened.addfile(member)
    file = tmp_path / "links.tar"
    file.write_bytes(buffer.getvalue())
    found, sources = walked(file)
    assert found == []
    assert [problem.reason.split(" ")[1] for problem in sources.problems] == ["link", "link", "device"]


def test_bombs_end_at_a_bound(tmp_path: Path) -> None:
    few = Limits(members=5, total=1 << 20, ratio=20, free=1 << 16, nested=2)
    ratio = tmp_path / "ratio.gz"
    ratio.write_bytes(gzip.compress(LINE * 40_000))
    found, sources = walked(ratio, limits=few)
    assert len(found[0][2]) < 1 << 17
    assert [problem.reason for problem in sources.problems] == [
        "expands to more than 20 times its size: the rest is not read"
    ]
    members = tmp_path / "members.tar"
    members.write_bytes(archive(*((f"{number}.log", LINE) for number in range(9))))
    found, sources = walked(members, limits=few)
    assert len(found) == 5
    assert [problem.reason for problem in sources.problems] == ["has more than 5 members: the rest is not read"]
    nested = gzip.compress(gzip.compress(gzip.compress(LINE)))
    (tmp_path / "nested.gz").write_bytes(nested)
    found, sources = walked(tmp_path / "nested.gz", limits=few)
    assert found == []
    assert "levels deep" in sources.problems[0].reason


@pytest.mark.parametrize(
    ("start", "kind", "reason"),
    [
        (LINE, "log", ""),
        (b"anything that is text", "log", ""),
        ("\ufeffcopied".encode("utf-16"), "log", ""),
        (b"\xef\xbb\xbf" + LINE, "log", ""),
        (LINE + PEM, "log", ""),  # a log in which somebody pasted a certificate
        (PEM, "certificates", ""),
        (b"Bag Attributes\n" + PEM, "certificates", ""),
        (bytes.fromhex("30820321"), "certificates", ""),
        (PCAP, "capture", ""),
        (bytes.fromhex("0a0d0d0a1c000000"), "capture", ""),
        (XCONF, "configuration", ""),
        (b'*s EdgeConfigProvisioning: \n', "status", ""),
        (b"", None, "is empty"),
        (b"\0" * 512, None, "only blanks or NUL bytes"),
        (bytes(range(256)) * 9, None, "is not text"),
        (b"\x28\xb5\x2f\xfd....", None, "zstd -d"),
        (b"%PDF-1.7", None, "PDF"),
    ],
)  # fmt: skip
def test_content_decides(start: bytes, kind: str | None, reason: str) -> None:
    found, why = kind_of(start)
    assert found == kind
    assert reason in why
    assert bool(why) == (kind is None)


def test_exceeded_limits_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(PEM * 50_000)
    sources = Sources([str(tmp_path)])
    assert [sources.whole(one, 1 << 20) for one in sources] == [None]
    assert sources.problems[0].reason == "has more than 1 MiB: not read"


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        (LOG, "exp-c1"),
        ("xconf_dump_vcs_c_2_2026-01-29_14:05:00.xml", "vcs_c_2"),
        ("eth1_diagnostic_logging_tcpdump03_vcsc_2022-07-11_16_55_44.pcap", "vcsc"),
        (f"{FOLDER}.tar.gz", "exp-c1"),
        ("ca_exp-c1_2026-01-29_14_05_00.pem", "exp-c1"),
        ("loggingsnapshot.txt", ""),
        ("traffic_server.log", ""),
    ],
)
def test_the_peer_is_in_the_name(name: str, peer: str) -> None:
    assert peer_of(name) == peer
