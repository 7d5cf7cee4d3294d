"""The commands that act on a running proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from mralab.diagnose.archive import log_lines
from mralab.web.xconfiguration import SpellingError, parse, read_back
from tests.net.conftest import HOST, Server, server_context
from tests.test_serve import Serving, config_for, serving
from tests.test_workers import get


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(ca: trustme.CA) -> Iterator[Server]:
    yield from Server(server_context(ca.issue_cert(HOST))).run()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, config_for(server, trustme.CA(), folder)) as one:
        yield one


def mralab(
    *arguments: str, admin: str = "", cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mralab", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=cwd,
        env={**os.environ, "MRALAB_ADMIN": admin, **(environment or {})},
    )


def test_trust(running: Serving, server: Server, ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    der = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).public_bytes(Encoding.DER)
    (tmp_path / "ca.der").write_bytes(der)
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\n")

    before = mralab("trust", "list", admin=running.admin)
    assert (before.returncode, before.stdout.splitlines()[0]) == (0, "1 in the trust store")
    assert get(running, server) == 502

    bad = mralab("trust", "add", "ca.pem", "bad.pem", "none.pem", admin=running.admin, cwd=tmp_path)
    assert bad.returncode == 2
    assert "bad.pem:1: '-----BEGIN CERTIFICATE-----' without" in bad.stderr
    assert "none.pem: cannot be read" in bad.stderr
    assert get(running, server) == 502

    added = mralab("trust", "add", "ca.der", "--admin", running.admin, cwd=tmp_path)
    assert added.stdout.splitlines()[0] == "1 added; 2 in the trust store"
    assert get(running, server) == 200
    listed = json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout)["certificates"]
    assert len(listed) == 2

    removed = mralab("trust", "remove", "ca.pem", admin=running.admin, cwd=tmp_path)
    assert removed.stdout.splitlines()[0] == "1 removed; 1 in the trust store"
    assert get(running, server) == 502


def test_trust_remove_of_what_is_not_there_exits_1_and_names_it(
    running: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    subject = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject.rfc4514_string()
    before = json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout)
    absent = mralab("trust", "remove", "ca.pem", "ab" * 32, admin=running.admin, cwd=tmp_path)
    assert (absent.returncode, absent.stdout.splitlines()[0]) == (1, "0 removed; 1 in the trust store")
    assert set(absent.stderr.splitlines()) == {
        f"{'ab' * 32}: not in the trust store",
        f"ca.pem: {subject}: not in the trust store",
    }
    mralab("trust", "add", "ca.pem", admin=running.admin, cwd=tmp_path)
    mixed = mralab("trust", "remove", "ca.pem", "ab" * 32, "--json", admin=running.admin, cwd=tmp_path)
    assert (mixed.returncode, json.loads(mixed.stdout)["removed"]) == (1, 1)
    assert mixed.stderr == f"{'ab' * 32}: not in the trust store\n"
    assert json.loads(mralab("trust", "list", "--json", admin=running.admin).stdout) == before


def test_trust_remove_takes_a_fingerprint_as_openssl_prints_it_and_refuses_half_of_one(
    running: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    digest = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).fingerprint(SHA256()).hex(":").upper()
    mralab("trust", "add", "ca.pem", admin=running.admin, cwd=tmp_path)
    half = mralab("trust", "remove", digest[:47], admin=running.admin, cwd=tmp_path)
    assert (half.returncode, half.stdout) == (2, "")
    assert half.stderr == f"{digest[:47]}: is neither a SHA-256 fingerprint, which has 32 bytes, nor a file\n"
    removed = mralab("trust", "remove", f"sha256 Fingerprint={digest}", admin=running.admin, cwd=tmp_path)
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (0, "1 removed; 1 in the trust store")


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_trust_takes_pkcs7(running: Serving, tmp_path: Path, encoding: Encoding) -> None:
    chain = [x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes()) for _ in range(2)]
    (tmp_path / "chain.p7b").write_bytes(pkcs7.serialize_certificates(chain, encoding))
    added = mralab("trust", "add", "chain.p7b", admin=running.admin, cwd=tmp_path)
    assert added.stdout.splitlines()[0] == "2 added; 3 in the trust store"
    removed = mralab("trust", "remove", "chain.p7b", admin=running.admin, cwd=tmp_path)
    assert (removed.returncode, removed.stdout.splitlines()[0]) == (0, "2 removed; 1 in the trust store")


@pytest.mark.parametrize("command", ["add", "remove"])
def test_trust_takes_files_only(running: Serving, tmp_path: Path, command: str) -> None:
    for file in (str(tmp_path), "/proc/self/mem", "/dev/zero", str(tmp_path / "\udcff.pem")):
        result = mralab("trust", command, file, admin=running.admin)
        assert (result.returncode, result.stdout) == (2, "")
        assert "Traceback" not in result.stderr
        assert result.stderr.strip()


def test_xconfiguration(running: Serving, server: Server) -> None:
    words = ("EdgeConfigServer", "VerifyOriginServer:")
    off = mralab("xConfiguration", *words, "Off", admin=running.admin)
    assert off.stdout == '*c xConfiguration EdgeConfigServer VerifyOriginServer: "Off"\n'
    assert get(running, server) == 200
    read = mralab("xconfiguration", "EdgeConfigServer", "VerifyOriginServer", "--json", admin=running.admin)
    assert json.loads(read.stdout) == {"verify": {"origin": "off"}}
    mralab("xconfiguration", *words, "On", admin=running.admin)
    assert get(running, server) == 502
    wrong = mralab("xconfiguration", "EdgeConfServer", "VerifyOriginServr:", "Of", admin=running.admin)
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[:3] == [
        "'EdgeConfServer': no such setting; did you mean 'EdgeConfigServer'?",
        "'VerifyOriginServr': no such setting; did you mean 'VerifyOriginServer'?",
        "'Of': must be On or Off; did you mean 'Off'?",
    ]


def test_diagnostic_logging(running: Serving, server: Server, tmp_path: Path) -> None:
    early = mralab("diagnostic-logging", "stop", admin=running.admin)
    assert (early.returncode, early.stdout) == (2, "")
    assert early.stderr.startswith("diagnostic logging was not started")
    assert mralab("diagnostic-logging", "start", admin=running.admin).stdout.startswith("started 2")
    get(running, server)
    stopped = mralab("diagnostic-logging", "stop", admin=running.admin, cwd=tmp_path)
    (archive,) = tmp_path.iterdir()
    assert stopped.stdout == f"{archive.name}\n"
    assert log_lines(archive)[-1].endswith('Msg="HTTP/1.1 502 connect failed"')
    mralab("diagnostic-logging", "start", admin=running.admin)
    out = mralab("diagnostic-logging", "stop", "--out", "none/a.tar.gz", admin=running.admin, cwd=tmp_path)
    assert (out.returncode, out.stdout) == (2, "")
    assert out.stderr.startswith("none/a.tar.gz: cannot be written")
    # Nothing is lost: the log goes on.
    saved = mralab("diagnostic-logging", "stop", "--out", "a.tar.gz", admin=running.admin, cwd=tmp_path)
    assert (saved.returncode, saved.stdout) == (0, "a.tar.gz\n")
    early = mralab("diagnostic-logging", "stop", "--out", "b.tar.gz", admin=running.admin, cwd=tmp_path)
    assert early.returncode == 2
    assert not (tmp_path / "b.tar.gz").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_archive_that_cannot_be_saved_where_wanted_is_saved_elsewhere(running: Serving, tmp_path: Path) -> None:
    mralab("diagnostic-logging", "start", admin=running.admin)
    out = mralab(
        "diagnostic-logging", "stop", "--out", "/dev/full", admin=running.admin, environment={"TMPDIR": str(tmp_path)}
    )
    assert (out.returncode, out.stdout) == (2, "")
    first, hint = out.stderr.splitlines()
    assert first == "/dev/full: cannot be written: No space left on device"
    log_lines(Path(hint.removeprefix("  hint: the archive is in ")))


@pytest.mark.parametrize(
    ("admin", "said"),
    [
        ("", "no running proxy given: pass --admin HOST:PORT or set MRALAB_ADMIN"),
        ("127.0.0.1:1", "no control API at 127.0.0.1:1: Connection refused"),
        ("cucm", "admin: 'cucm' is not 'host:port'"),
    ],
)
def test_where_nobody_is_there_that_is_said(admin: str, said: str) -> None:
    result = mralab("trust", "list", admin=admin)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_something_else_that_answers_is_no_control_api(running: Serving) -> None:
    result = mralab("trust", "list", admin=f"127.0.0.1:{running.port}")
    assert result.returncode == 2
    assert "does not answer as a control API does (status 404)" in result.stderr


@pytest.mark.parametrize("command", ["trust", "trust add", "trust list", "trust remove", "xconfiguration"])
def test_help_has_an_example(command: str) -> None:
    assert "Example:\n    mralab " in mralab(*command.split(), "--help").stdout


def test_a_wrong_word_gets_the_nearest() -> None:
    assert "did you mean 'remove'?" in mralab("trust", "remov").stderr
    assert "did you mean 'diagnostic-logging'?" in mralab("diagnostic-loging").stderr


@given(
    st.sampled_from(["On", "Off", "on", "OFF", '"Off"', "'On'"]),
    st.sampled_from(["EdgeConfigServer VerifyOriginServer:{}", "edgeconfigserver verifyoriginserver: {}"]),
    st.booleans(),
)
def test_spellings_that_the_expressway_takes(value: str, text: str, split: bool) -> None:
    line = text.format(value)
    assert parse(line.split() if split else [line]) == value.strip("\"'").capitalize()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("EdgeConfigServer VerifyOriginServer off", "did you mean 'VerifyOriginServer: Off'?"),
        ("EdgeConfigServer VerifyOriginServer:", "'': must be On or Off"),
        ("EdgeConfigServer: Off", "a word is missing; did you mean 'VerifyOriginServer'?"),
        ("Zones", "'Zones': no such setting; did you mean 'EdgeConfigServer'?"),
    ],
)
def test_spellings_that_it_does_not_take(line: str, problem: str) -> None:
    with pytest.raises(SpellingError) as error:
        parse(line.split())
    assert problem in error.value.message


def test_reading_back() -> None:
    assert parse(["EdgeConfigServer", "VerifyOriginServer"]) is None


def test_xconfiguration_takes_the_words_that_a_verify_mode_has_elsewhere() -> None:
    words = ("ON", "enforced", "Disabled", "PERMISSIVE")
    assert [parse(["EdgeConfigServer", "VerifyOriginServer:", word]) for word in words] == ["On", "On", "Off", "audit"]
    assert read_back("on").endswith('VerifyOriginServer: "On"')
    assert read_back("audit").endswith('VerifyOriginServer: "Off"')
