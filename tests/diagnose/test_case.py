"""Files of one Expressway from several archives."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from .minted import Minted, mint
from .test_conclusions import Log, diagnosed, found

STAMPS = ("2026-01-28_16_00_00", "2026-01-29_09_00_00", "2026-01-29_16:00:00")
CAS = [mint(f"CA {number}") for number in range(3)]


def setting(value: str) -> bytes:
    return f'*c xConfiguration EdgeConfigServer VerifyOriginServer: "{value}"\n'.encode()


def written(folder: Path, stamp: str, name: str, data: bytes, extension: str = "txt") -> Path:
    file = folder / f"{name}_exp-c1_{stamp}.{extension}"
    file.write_bytes(data)
    return file


def pem(*certificates: Minted) -> bytes:
    return "".join(one.pem for one in certificates).encode()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_dump_counts_in_whatever_order_files_are_given(order: tuple[int, ...], tmp_path: Path) -> None:
    dumps = [
        written(tmp_path, stamp, "xconf_dump", setting(value))
        for stamp, value in zip(STAMPS, ["Off", "Off", "On"], strict=True)
    ]
    stores = [written(tmp_path, stamp, "ca", pem(ca), "pem") for stamp, ca in zip(STAMPS, CAS, strict=True)]
    log = written(tmp_path, STAMPS[2], "loggingsnapshot", Log().untrusted().text)
    result = diagnosed([log, *(dumps[at] for at in order), *(stores[at] for at in order)])
    (peer,) = result.peers
    assert peer.verify_origin_server == "on"
    assert [one.subject for one in peer.trust_store or ()] == ["CN=CA 2"]
    assert not [check for check in result.checks if "VerifyOriginServer" in check.text]


def test_files_of_one_archive_add_to_its_trust_store(tmp_path: Path) -> None:
    folders = []
    for number in range(2):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        written(folders[-1], STAMPS[0], "ca", pem(CAS[number]), "pem")
    (peer,) = diagnosed(folders).peers
    assert [one.subject for one in peer.trust_store or ()] == ["CN=CA 0", "CN=CA 1"]


@pytest.mark.parametrize(("name", "what"), [("ca", "file of certificates"), ("xconf_dump", "configuration dump")])
def test_a_file_that_is_not_what_its_name_says_is_no_log(name: str, what: str, tmp_path: Path) -> None:
    written(tmp_path, STAMPS[0], name, b"not available\n")
    written(tmp_path, STAMPS[0], "loggingsnapshot", Log().untrusted().text)
    result = diagnosed([tmp_path])
    (problem,) = result.problems
    assert problem.reason == f"is no {what} that can be read, as its name says"
    assert [one.kind for one in result.inputs] == ["log"]


# -- a log that was split into files anywhere

WHOLE = Log().request().untrusted().misnamed(host="imp.example.test").text.replace(b"\n\n", b"\n")
EXPECTED = [
    ("self-signed", "cucm1.example.test", 8443, "issue-found"),
    ("name-not-in-certificate", "imp.example.test", 8443, "issue-found"),
    ("redundancy-lost", "imp.example.test", 8443, "potential-problem"),
]
PLACES = range(1, len(WHOLE), 29)


@pytest.mark.parametrize("at", PLACES)
def test_a_line_that_goes_on_in_the_next_file_is_joined(at: int, tmp_path: Path) -> None:
    (tmp_path / "messages.1").write_bytes(WHOLE[:at])
    (tmp_path / "messages").write_bytes(WHOLE[at:])
    result = diagnosed([tmp_path])
    assert found(result) == EXPECTED
    assert {one.confidence for one in result.findings} == {"certain"}
    assert result.unread.lines == 0


def test_lines_of_other_files_are_not_joined(tmp_path: Path) -> None:
    """What is cut at the end of a log is read as it stands if the next file does not go on with it."""
    at = WHOLE.index(b"Action=") + 3
    (tmp_path / "a.log").write_bytes(WHOLE[:at])
    (tmp_path / "b.log").write_bytes(Log("exp-c2").request().text)
    result = diagnosed([tmp_path])
    assert result.unread.lines == 1
    (example,) = result.unread.examples
    assert (example.file, example.line) == (str(tmp_path / "a.log"), WHOLE[:at].count(b"\n") + 1)
    assert {one.path: one.lines for one in result.inputs} == {
        str(tmp_path / "a.log"): WHOLE[:at].count(b"\n") + 1,
        str(tmp_path / "b.log"): 8,
    }


def test_the_last_line_of_a_log_may_lack_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(WHOLE.removesuffix(b"\n"))
    assert found(diagnosed([tmp_path])) == EXPECTED
