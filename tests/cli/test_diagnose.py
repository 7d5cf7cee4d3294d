"""``mralab diagnose``: output, filters, exit codes and unreadable input."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mralab.diagnose.report import Report

from .command import mralab

GOLDEN = Path(__file__).parents[1] / "golden"
FIELD = Path(__file__).parents[1] / "field"
UNTRUSTED = GOLDEN / "article-6972-untrusted.log"
MISNAMED = GOLDEN / "article-8443-name-mismatch-debug.log"
GOOD = GOLDEN / "article-8443-success.log"


def document(*arguments: object) -> Report:
    shown = mralab("diagnose", "--json", *map(str, arguments))
    assert shown.stderr == ""
    return Report.model_validate_json(shown.stdout)


def test_the_article_s_logs_give_its_two_diagnoses_and_remedies() -> None:
    shown = mralab("diagnose", str(UNTRUSTED), str(MISNAMED))
    assert (shown.returncode, shown.stderr) == (1, "")
    first, *_ = shown.stdout.splitlines()
    assert first == (
        "2 issues found in 16 lines: self-signed at cucm.steven.lab:6972; name-not-in-certificate at 10.48.36.215:8443."
    )
    text = " ".join(shown.stdout.split())
    assert "1. Issue found: self-signed at cucm.steven.lab:6972 (10.48.36.215), on vcsc" in text
    assert "Maintenance > Security > Trusted CA certificate" in text
    assert "2. Issue found: name-not-in-certificate at 10.48.36.215:8443, on vcsc" in text
    assert "CUCM: System > Server" in text
    lines = UNTRUSTED.read_text().splitlines()
    assert f"{UNTRUSTED}:4: {lines[3]}" in shown.stdout  # never broken
    assert text.index("self-signed at") < text.index("VerifyOriginServer: Off")


def test_a_good_log_ends_with_0(tmp_path: Path) -> None:
    shown = mralab("diagnose", str(GOOD))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("No issue found in ")
    assert "cucm.steven.lab:8443: answered to vcsc" in shown.stdout


def test_json_is_a_versioned_document() -> None:
    found = document(UNTRUSTED, FIELD / "06-grep.log")
    assert (found.schema_, found.version) == ("mralab/diagnose", 1)
    assert [(one.code, one.server, one.port, one.peers) for one in found.findings] == [
        ("self-signed", "cucm.steven.lab", 6972, ("vcsc",)),
        ("unknown-ca", "cucm.example.test", 8443, ("exp-c",)),
    ]
    assert [one.path for one in found.inputs] == [str(UNTRUSTED), str(FIELD / "06-grep.log")]
    assert found.findings[0].remedies[-1].code == "verify-origin-off"


def test_standard_input_and_gzip(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mralab", "diagnose", "-", "--json"]
    piped = subprocess.run(command, input=UNTRUSTED.read_bytes(), capture_output=True, timeout=30, check=False)
    assert piped.returncode == 1
    assert json.loads(piped.stdout)["findings"][0]["evidence"][0]["file"] == "standard input"
    (tmp_path / "log.gz").write_bytes(gzip.compress(UNTRUSTED.read_bytes()))
    assert [one.code for one in document(tmp_path / "log.gz").findings] == ["self-signed"]


def test_all_invalid_filters_are_reported() -> None:
    ended = mralab("diagnose", str(GOOD), "--code", "self-singed", "--code", "nothing-like-it",
                   "--since", "2026-02-01", "--until", "2026-01-01")  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--code self-singed: there is no such code; did you mean 'self-signed'?" in ended.stderr
    assert "--code nothing-like-it" in ended.stderr
    assert "hint: the codes are in docs/findings.md" in ended.stderr
    assert "is after --until" in ended.stderr
    ended = mralab("diagnose", str(GOOD), "--since", "Tuesday")
    assert "is not a time: write 2026-01-29T14:01:16+01:00" in ended.stderr


def test_every_code_of_a_report_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(GOOD.read_bytes() + UNTRUSTED.read_bytes())
    codes = [one.code for one in document(tmp_path / "a.log").findings]
    assert codes == ["self-signed", "ecdsa-suspected"]
    for code in codes:
        assert [one.code for one in document(tmp_path / "a.log", "--code", code).findings] == [code]


def test_a_server_that_is_in_no_file_is_an_error() -> None:
    ended = mralab("diagnose", str(UNTRUSTED), "--server", "cucm.steven.lba", "--server", "cucm.steven.lab:6972")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("--server cucm.steven.lba: no file shows it; did you mean 'cucm.steven.lab'?")
    assert mralab("diagnose", str(UNTRUSTED), "--server", "cucm.steven.lab:6972").returncode == 1


def test_unreadable_files_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "broken.tar.gz").write_bytes(gzip.compress(UNTRUSTED.read_bytes() * 99)[:400])
    (tmp_path / "rubbish").write_bytes(bytes(range(256)) * 8)
    shown = mralab("diagnose", str(tmp_path), str(MISNAMED), str(tmp_path / "missing"))
    assert shown.returncode == 1
    assert "name-not-in-certificate" in shown.stdout
    assert f"- {tmp_path}/broken.tar.gz: is truncated" in shown.stdout
    assert f"- {tmp_path}/rubbish: is not text" in shown.stdout
    assert f"- {tmp_path}/missing: cannot be read: No such file or directory" in shown.stdout
    assert shown.stdout.splitlines()[1:3] == ["", "Not read"]  # right after the summary


def test_nothing_readable_ends_with_2(tmp_path: Path) -> None:
    ended = mralab("diagnose", str(tmp_path / "missing.log"))
    assert ended.returncode == 2
    assert ended.stdout.startswith("Nothing could be read.")
    assert "missing.log: cannot be read" in ended.stdout


@pytest.mark.parametrize("content", [b"Jan 29 14:01:16 exp-c sshd[1]: session opened\n", b"\x00\x01\xff\x80\n" * 99])
def test_files_without_a_line_of_traffic_server_are_not_called_good(tmp_path: Path, content: bytes) -> None:
    """A script that checks the exit code would take another log for one without problems."""
    (tmp_path / "other.log").write_bytes(content)
    ended = mralab("diagnose", str(tmp_path / "other.log"))
    assert ended.returncode == 2
    assert not ended.stdout.startswith("No issue")


def test_a_quiet_time_of_a_log_ends_with_0(tmp_path: Path) -> None:
    ended = mralab("diagnose", str(UNTRUSTED), "--since", "2027-01-01")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "no line of traffic_server in the chosen time" in ended.stdout


def test_0_is_not_the_answer_if_a_path_could_not_be_opened(tmp_path: Path) -> None:
    quiet = (str(UNTRUSTED), "--since", "2027-01-01")
    missing = str(tmp_path / "vcsd.log")
    for path in (missing, ""):
        ended = mralab("diagnose", path, *quiet)
        assert ended.returncode == 2
        assert f"{path or '(an empty path)'}: cannot be read: No such file or directory" in ended.stdout
    assert mralab("diagnose", missing, str(UNTRUSTED)).returncode == 1
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")  # in a folder, only named
    assert mralab("diagnose", str(tmp_path), *quiet).returncode == 0


@pytest.mark.parametrize("word", ["explain", "analyze", "Analyse"])
def test_misspelt_codes_get_a_suggestion(word: str) -> None:
    ended = mralab(word, "some.log")
    assert ended.returncode == 2
    assert "did you mean 'diagnose'?" in ended.stderr


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    log = UNTRUSTED.read_text().replace("cucm.steven.lab", "cucm\x1b[31m\u202e.lab")
    (tmp_path / "hostile.log").write_text(log)
    shown = mralab("diagnose", str(tmp_path / "hostile.log"))
    assert "\x1b" not in shown.stdout
    assert "\u202e" not in shown.stdout


def test_a_file_name_that_is_not_utf_8_is_shown_in_json(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/caf\xe9.log"
    Path(os.fsdecode(file)).write_bytes(UNTRUSTED.read_bytes())
    found = document(tmp_path)
    assert found.inputs[0].path == f"{tmp_path}/caf\\xe9.log"
    assert found.findings[0].evidence[0].file == f"{tmp_path}/caf\\xe9.log"
    assert "caf" in mralab("diagnose", str(tmp_path)).stdout


def test_standard_input_that_is_closed_is_named() -> None:
    command = ["sh", "-c", 'exec "$0" -m mralab diagnose - <&-', sys.executable]
    ended = subprocess.run(command, capture_output=True, timeout=30, check=False, text=True)
    assert ended.returncode == 2
    assert "- standard input: is closed" in ended.stdout


def test_an_empty_path_is_not_a_folder() -> None:
    assert mralab("diagnose", "").returncode == 2


@pytest.mark.parametrize(
    ("until", "found"),
    [
        ("2022-07-11", True),
        ("2022-07-10", False),
        ("2022-07-11 18:55+02:00", True),
        ("2022-07-11T18:54+02:00", False),
        ("2022-07-11T18:55:26+02:00", True),
        ("2022-07-11T18:55:26,015+02:00", False),
        ("2022-07-11T16:55:26.016Z", True),
    ],
)
def test_until_includes_the_unit_that_it_names(until: str, found: bool) -> None:  # the fault is at 18:55:26.016+02:00
    assert bool(document(UNTRUSTED, "--since", "2022-07-10", "--until", until).findings) == found


def without_utctime(log: str, stamp: str) -> str:
    """Return the lines of TLS, which have no UTCTime, with this timestamp."""
    return "".join(f"{stamp} {line.partition(' ')[2]}\n" for line in log.splitlines() if "[ET_NET" in line)


def test_stamps_without_year_and_zone_are_named_once(tmp_path: Path) -> None:
    lines = UNTRUSTED.read_text()
    for name in ("one.log", "two.log"):
        (tmp_path / name).write_text(without_utctime(lines, "Jan 29 14:01:16"))
    text = " ".join(mralab("diagnose", str(tmp_path)).stdout.split())
    assert text.count("neither year nor zone") == 1
    assert f"- {tmp_path}/one.log and 1 other log: the stamps have neither year nor zone: times are " in text
    (tmp_path / "one.log").write_text(without_utctime(lines, "2026-01-29T14:01:16"))
    shown = " ".join(mralab("diagnose", str(tmp_path / "one.log")).stdout.split())
    assert "one.log: the stamps have no zone: times are shown as if they were UTC" in shown


def test_a_zone_in_stamps_or_utctime_in_lines_is_enough(tmp_path: Path) -> None:
    lines = UNTRUSTED.read_text().splitlines()
    (tmp_path / "log").write_text("".join(f"Jul 11 18:55:26 {line.partition(' ')[2]}\n" for line in lines))
    for known in (UNTRUSTED, FIELD / "06-grep.log", tmp_path / "log"):
        assert not [one for one in document(known).checks if "zone" in one.text]


def test_findings_without_information_are_counted_as_findings(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(UNTRUSTED.read_text().splitlines(keepends=True)[4:5]))
    assert mralab("diagnose", str(tmp_path / "log")).stdout.startswith("1 finding with missing information in 1 line.")
