"""Archives and folders that are damaged, copied by other systems, or malicious."""

from __future__ import annotations

import base64
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from mralab.diagnose.case import Case
from mralab.diagnose.expansion import Limits
from mralab.diagnose.file_kind import NOT_TEXT, kind_of
from mralab.diagnose.file_names import peer_of, role_of
from mralab.diagnose.sources import Sources

from .test_sources import CASE, FOLDER, LINE, LOG, PEM, archive, walked

APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + b"\0" * 100
STAMP = "exp-c1_2026-01-29_14_05_00"


def _headers() -> list[int]:
    with tarfile.open(fileobj=io.BytesIO(CASE)) as opened:
        return [member.offset for member in opened.getmembers()]


# -- damaged


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (CASE[: _headers()[1]] + os.urandom(512) + CASE[_headers()[1] + 512 :], "is damaged: "),
        (CASE[: _headers()[1]], "is truncated"),
        (CASE[: _headers()[1] + 100], "is truncated"),
    ],
    ids=["a header of noise", "no end", "half a header"],
)
def test_an_archive_that_fails_between_members_says_so(damaged: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "case.tar"
    file.write_bytes(damaged)
    found, sources = walked(file)
    assert [kind for kind, _, _ in found] == ["log"]
    (problem,) = sources.problems
    assert problem.path == str(file)
    assert reason in problem.reason


def test_data_after_a_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress(LINE) + b"garbage")
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(LINE) + b"\0" * 999)
    (tmp_path / "members.gz").write_bytes(gzip.compress(LINE) + gzip.compress(LINE))
    found, sources = walked(tmp_path)
    assert sorted(len(text) for _, _, text in found) == [len(LINE), len(LINE), 2 * len(LINE)]
    (problem,) = sources.problems
    assert problem.reason == "is damaged after the compressed data: the data before that is read"


def test_an_old_tar_without_a_magic_number_is_an_archive(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo(LOG).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"%011o\0" % len(LINE)
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "v7.tar").write_bytes(bytes(header) + LINE.ljust(512, b"\0") + bytes(1024))
    found, sources = walked(tmp_path)
    assert (found, sources.problems) == ([("log", "exp-c1", LINE.decode())], [])


# -- malicious


def _raw(name: str, kind: bytes, size: int, data: bytes = b"") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT) + data + b"\0" * (-len(data) % 512)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_huge_extension_header_is_not_kept_in_memory(kind: bytes, tmp_path: Path) -> None:
    file = tmp_path / "huge.tar"
    file.write_bytes(archive((LOG, LINE))[:1024] + _raw("x", kind, 1 << 30, b"a" * (3 << 20)))
    found, sources = walked(file)
    assert [text for _, _, text in found] == [LINE.decode()]
    assert sources.problems[0].reason == "has a member with more than 2 MiB of headers: the rest is not read"


def test_a_negative_size_ends_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "negative.tar"
    header = bytearray(_raw("x", tarfile.REGTYPE, 0))
    header[124:136] = b"\xff" * 8 + (-512 & 0xFFFFFFFF).to_bytes(4, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    file.write_bytes(archive((LOG, LINE))[:1024] + bytes(header) + bytes(1024))
    found, sources = walked(file)
    assert [text for _, _, text in found] == [LINE.decode()]
    assert "damaged" in sources.problems[0].reason


def test_the_holes_of_a_sparse_member_count(tmp_path: Path) -> None:
    data = LINE * 999
    keys = {"major": "0", "minor": "1", "name": LOG, "size": str(1 << 40), "numblocks": "1", "map": f"0,{len(data)}"}
    sparse = {f"GNU.sparse.{key}": value for key, value in keys.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as opened:
        member = tarfile.TarInfo("GNUSparseFile.0/x")
        member.size, member.pax_headers = len(data), sparse
        opened.addfile(member, io.BytesIO(data))
    file = tmp_path / "sparse.tar"
    file.write_bytes(buffer.getvalue())
    sources = Sources([str(file)], limits=Limits(total=1 << 24))
    size = sum(len(chunk) for source in sources for chunk in sources.chunks(source))
    assert size <= 1 << 25
    assert "expands to more than" in sources.problems[0].reason


# -- copied by other systems


@pytest.mark.parametrize(
    "name",
    [
        f"diagnostic_log_{STAMP}\\loggingsnapshot_{STAMP}.txt",
        f"loggingsnapshot_{STAMP.replace('_05_', ':05:').replace('_14', '_14')}.txt",
        "C:\\cases\\exp\\loggingsnapshot_exp-c1_2026-01-29_14_05_00.txt",
        "SR 699000001 loggingsnapshot_exp-c1_2026-01-29_14_05_00.txt",
        "loggingsnapshot_exp-c1_2026-01-29_14%3A05%3A00.txt",
    ],
)
def test_names_that_other_systems_make(name: str) -> None:
    assert peer_of(name) == "exp-c1"


@pytest.mark.parametrize(
    "name",
    [
        f"case.zip:diagnostic_log_{STAMP}\\ca_{STAMP}.pem",
        "case.zip:diagnostic_log_exp-c1_2026-01-29_14:05:00/ca_exp-c1_2026-01-29_14:05:00.pem",
        f"diagnostic_log_{STAMP}.tar.gz:ca_{STAMP}.pem",
        f"/cases/server_x_2026-01-01_00_00_00/ca_{STAMP}.pem",
    ],
)
def test_the_kind_of_a_file_by_its_name(name: str) -> None:
    assert (role_of(name), peer_of(name)) == ("ca", "exp-c1")


def test_files_of_macos_and_windows_are_skipped_with_one_message(tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(LOG, LINE)
        opened.writestr(f"__MACOSX/{FOLDER}/._log.txt", APPLE_DOUBLE)
        opened.writestr(f"{FOLDER}/._loggingsnapshot_{STAMP}.txt", APPLE_DOUBLE)
        opened.writestr(f"{FOLDER}/.DS_Store", b"\0\0\0\1Bud1" + b"\0" * 90)
    found, sources = walked(file)
    assert [kind for kind, _, _ in found] == ["log"]
    assert [str(problem) for problem in sources.problems] == []


def test_hidden_files_of_a_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + b"\0" * 90)
    (tmp_path / "._a.log").write_bytes(APPLE_DOUBLE)
    (tmp_path / ".log").write_bytes(LINE)
    found, sources = walked(tmp_path)
    assert (found, sources.problems) == ([("log", "", LINE.decode())], [])


def test_a_linked_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "a.log").write_bytes(LINE)
    (tmp_path / "case" / "loop").symlink_to(tmp_path / "case")
    (tmp_path / "case" / "self").symlink_to("self")
    found, sources = walked(tmp_path / "case")
    assert len(found) == 1
    assert [str(problem) for problem in sources.problems] == [
        f"{tmp_path}/case/loop: is a link to a folder: not followed",
        f"{tmp_path}/case/self: is a link that leads nowhere: not read",
    ]


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(LINE)
    (tmp_path / "link.log").symlink_to("a.log")
    found, sources = walked(tmp_path, tmp_path / "a.log", tmp_path / ".." / tmp_path.name / "a.log")
    assert len(found) == 1
    assert sources.problems == []


def test_an_archive_and_the_folder_it_was_unpacked_to_are_read_once(tmp_path: Path) -> None:
    (tmp_path / f"{FOLDER}.tar.gz").write_bytes(gzip.compress(CASE))
    with tarfile.open(fileobj=io.BytesIO(CASE)) as opened:
        for member in opened:
            file = opened.extractfile(member)
            if file is not None:  # extractall without a filter warns since 3.12, which 3.11.2 does not have
                (tmp_path / member.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / member.name).write_bytes(file.read())
    found, sources = walked(tmp_path)
    assert sorted(kind for kind, _, _ in found) == ["capture", "certificates", "configuration", "log"]
    assert len(sources.problems) == 4
    assert all(problem.reason.startswith("is the same as ") for problem in sources.problems)


def test_rotated_logs_are_read_in_order_of_time(tmp_path: Path) -> None:
    for number, name in enumerate(("x.txt.10", "x.txt.2.gz", "x.txt.1", "x.txt", "y.txt")):
        text = LINE.replace(b"2030", b"%d" % number)
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    found, _ = walked(tmp_path)
    assert [text[text.index("[") + 1] for _, _, text in found] == list("01234")


# -- kinds of files


def test_rotated_logs_that_a_shell_lists_are_read_in_order_of_time(tmp_path: Path) -> None:
    names = ["a.log", "a.log.1", "a.log.10.gz", "a.log.2.gz", "b.log", "b.log.old", "c.log.1"]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(LINE + b"%d" % number)
    found, _ = walked(*(tmp_path / name for name in names))
    order = [names[int(content[-1])] for _, _, content in found]
    assert order == ["a.log.10.gz", "a.log.2.gz", "a.log.1", "a.log", "b.log.old", "b.log", "c.log.1"]


def test_a_log_in_which_a_setting_was_pasted_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "case.txt").write_bytes(b'*c xConfiguration EdgeConfigServer VerifyOriginServer: "On"\n' + LINE + PEM)
    found, _ = walked(tmp_path)
    assert [kind for kind, _, _ in found] == ["log"]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, data in members:
            opened.writestr(name, data)
    return buffer.getvalue()


def test_a_zip_in_an_archive_or_a_pipe_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outer.zip").write_bytes(zipped(("inner.zip", zipped(("a.log", LINE))), ("b.log", LINE)))
    (tmp_path / "outer.tar").write_bytes(archive(("inner.zip", zipped(("c.log", LINE)))))
    found, sources = walked(tmp_path)
    assert (len(found), sources.problems) == (3, [])
    monkeypatch.setattr("mralab.diagnose.sources._MOST_ZIP", 100)
    found, sources = walked(tmp_path / "outer.tar")
    assert found == []
    assert sources.problems[0].reason == "a ZIP archive of more than 0 MiB that is not a file: unpack it first"


def test_a_rotated_log_in_an_archive_in_a_zip_is_read(tmp_path: Path) -> None:
    peer = gzip.compress(archive((f"{LOG}.1.gz", gzip.compress(LINE)), ("messages", LINE)))
    (tmp_path / "all.zip").write_bytes(zipped((f"{FOLDER}.tar.gz", peer)))
    found, sources = walked(tmp_path)
    assert (found, sources.problems) == ([("log", "exp-c1", LINE.decode())] * 2, [])


def test_a_member_that_cannot_be_opened_hides_no_other(tmp_path: Path) -> None:
    """Windows packs large files with Deflate64, which zipfile does not know."""
    data = bytearray(zipped(("big.txt", LINE), ("loggingsnapshot.txt", LINE)))
    data[8] = data[data.index(b"PK\1\2") + 10] = 9
    (tmp_path / "a.zip").write_bytes(data)
    found, sources = walked(tmp_path / "a.zip")
    assert [content.encode() for _, _, content in found] == [LINE]
    (problem,) = sources.problems
    assert problem.path.endswith("a.zip:big.txt")
    assert "method that is not supported" in problem.reason


class Pipe(io.RawIOBase):
    """A file that a writer of ZIP archives cannot go back in: the sizes of a member come behind it."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]  # a buffer
        return len(bytes(data))  # type: ignore[call-overload]


def archive_of(form: str, *contents: bytes) -> bytes:
    target: Pipe | io.BytesIO = Pipe() if form == "pipe" else io.BytesIO()
    method = zipfile.ZIP_STORED if form == "stored" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w", method) as opened:
        for number, data in enumerate(contents):
            with opened.open(f"m\xfcnchen{number}.log", "w", force_zip64=form == "large") as member:
                member.write(data)
    return target.data if isinstance(target, Pipe) else target.getvalue()


CONTENTS = [LINE * count for count in (3, 2000, 1)]


@pytest.mark.parametrize("form", ["stored", "deflated", "large", "pipe"])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_truncated_zip_gives_what_precedes_the_end(form: str, depth: int, tmp_path: Path) -> None:
    data = archive_of(form, *CONTENTS)
    members = [data.index(b"PK\3\4", at) for at in range(3)]
    for end in (
        len(data) - 20,
        data.index(b"PK\1\2"),
        data.index(b"PK\1\2") - 1,
        members[-1],
        members[-1] - 30,
        40,
        10,
    ):
        cut = data[:end]
        (tmp_path / "a").write_bytes(gzip.compress(cut) if depth else cut)
        found, sources = walked(tmp_path / "a")
        whole = [content.encode() for _, _, content in found]
        for content, expected in zip(whole, CONTENTS, strict=False):
            assert expected.startswith(content)
        assert sum(map(len, whole)) >= sum(map(len, CONTENTS)) * (end > data.index(b"PK\1\2") - 1)
        assert any("truncated" in problem.reason for problem in sources.problems)


def test_a_truncated_zip_names_what_it_does_not_read(tmp_path: Path) -> None:
    data = bytearray(zipped(("secret.txt", LINE), ("/etc/x", LINE), ("folder/", b""), ("a.log", LINE)))
    data[6] |= 1
    (tmp_path / "a.zip").write_bytes(data[:-10])
    found, sources = walked(tmp_path / "a.zip")
    assert [content.encode() for _, _, content in found] == [LINE]
    reasons = [problem.reason.partition(":")[0] for problem in sources.problems[1:]]
    assert reasons == ["encrypted", "its name is a path outside the archive"]


def test_a_bomb_without_a_size_ends_at_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive_of("pipe", bytes(1 << 24), LINE)[:-20])
    _, sources = walked(tmp_path / "a.zip", limits=Limits(free=1 << 20))
    assert any("expands to more than" in problem.reason for problem in sources.problems)


@pytest.mark.parametrize(
    "data",
    [
        archive(),
        zipped(),
        archive(("folder/", b""))[:512] + b"\0" * 1024,
        archive(("core", b"")),
        zipped(("core", b"")),
    ],
)
def test_an_archive_without_a_file_says_so(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    found, sources = walked(tmp_path / "a")
    assert found == []
    assert len(sources.problems) == 1


EMPTY = (("a.txt", b""), ("core", b""), ("rrd/cpu.rrd", b""), (LOG, LINE))


@pytest.mark.parametrize("data", [archive(*EMPTY), zipped(*EMPTY)])
def test_an_empty_member_with_the_name_of_a_log_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    found, sources = walked(tmp_path / "a")
    assert len(found) == 1
    assert [(problem.path.rpartition(":")[2], problem.reason) for problem in sources.problems] == [
        ("a.txt", "is empty")
    ]


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"\x04\x22\x4d\x18", "lz4 -d"),
        (b"\x1f\x9d\x90", "gzip -d"),
        (b"LZIP\x01", "lzip -d"),
        (base64.encodebytes(gzip.compress(LINE)), "base64 -d"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQE\n-----END PGP MESSAGE-----\n", "PGP"),
        (b"SQLite format 3\0", "database"),
        (b"ElfFile\0", "Windows event log"),
        (b"MZ\x90\0\3\0", "program"),
        (b"PK\7\x08PK\3\4", "several files"),
        (b'{"schema": "mralab/diagnose", "version": 1, "summary": ', "report of mralab"),
        (b'{\n  "schema": "mralab/diagnose",', "report of mralab"),
    ],
)
def test_what_cannot_be_read_is_called_by_its_name(start: bytes, says: str) -> None:
    kind, reason = kind_of(start)
    assert kind is None
    assert says in reason


def test_the_older_form_of_xz_is_expanded(tmp_path: Path) -> None:
    (tmp_path / "a.lzma").write_bytes(lzma.compress(LINE, lzma.FORMAT_ALONE))
    found, _ = walked(tmp_path / "a.lzma")
    assert [content.encode() for _, _, content in found] == [LINE]


@pytest.mark.parametrize("seed", range(5))
def test_binary_data_is_no_log(seed: int, tmp_path: Path) -> None:
    data = random.Random(seed).randbytes(1 << 15)
    (tmp_path / "a").write_bytes(b"\x85\x01" + data)
    case = Case()
    case.read(Sources([str(tmp_path / "a")]))
    assert case.files == []
    assert [problem.reason for problem in case.problems] == [NOT_TEXT]
    assert case.counts.lines == 0
