"""``preflight --save``: presented certificates and certificates to upload, in files that are never overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mralab.config import from_mapping
from mralab.diagnose import saving
from mralab.diagnose.certificate_files import FileChain, check_files
from mralab.diagnose.handshake import Address
from mralab.diagnose.server_check import ServerCheck
from mralab.tls.trust_store import TrustStore
from tests.cli.command import mralab

from .minted import Minted, mint, server_context, serving

HOST = "127.0.0.1"
ROOT = mint("Root", ca=True)
ISSUING = mint("Issuing CA", ROOT, ca=True)


@pytest.fixture
def trust(tmp_path: Path) -> str:
    file = tmp_path / "trust.pem"
    file.write_text(mint("Another Root", ca=True).pem)
    return str(file)


def two_certificates(folder: Path, ecdsa: Minted, own: Minted) -> ssl.SSLContext:
    """Return a server's context that lets the client choose."""
    context = server_context(folder, ecdsa)
    (folder / "rsa.pem").write_text(own.secret + own.pem)
    context.load_cert_chain(folder / "rsa.pem")
    context.set_ciphers("ECDHE+AESGCM")
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def preflight(*arguments: str) -> list[dict[str, Any]]:
    result = mralab("preflight", *arguments, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    servers: list[dict[str, Any]] = json.loads(result.stdout)["servers"]
    return servers


def same_findings(live: dict[str, Any], file: dict[str, Any]) -> bool:
    keys = ("code", "cause", "error", "depth")
    return [[one[key] for key in keys] for one in live["findings"]] == [
        [one[key] for key in keys] for one in file["findings"]
    ]


def loaded(file: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(file.read_bytes())


def test_both_certificates_are_saved_and_checked_again_from_their_files(tmp_path: Path, trust: str) -> None:
    leaf = mint(HOST, ISSUING, sans=["127.0.0.9"])
    own = mint(HOST, sans=[HOST], key=rsa.generate_private_key(65537, 2048))
    folder = tmp_path / "new" / "saved"
    with serving(two_certificates(tmp_path, leaf, own)) as port:
        live = preflight(f"{HOST}:{port}", "--trust", trust, "--save", str(folder))
    files = {"ecdsa": folder / f"{HOST}_{port}_ecdsa.pem", "rsa": folder / f"{HOST}_{port}_rsa.pem"}
    assert {check["prefer"][0]: check["saved"] for check in live} == {key: str(file) for key, file in files.items()}
    assert loaded(files["ecdsa"]) == [leaf.cert]
    assert loaded(files["rsa"]) == [own.cert]
    for check in live:
        again = preflight("--certificate", check["saved"], "--name", f"{HOST}:{port}", "--trust", trust)
        assert same_findings(check, again[0])
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


def test_one_file_if_both_preferences_got_the_same_and_a_root_to_upload(tmp_path: Path, trust: str) -> None:
    leaf = mint(HOST, ISSUING, sans=[HOST])
    arguments = ("--trust", trust, "--save", str(tmp_path / "saved"))
    with serving(server_context(tmp_path, leaf, ISSUING, ROOT)) as port:
        (check,) = preflight(f"{HOST}:{port}", *arguments)
        shown = mralab("preflight", f"{HOST}:{port}", *arguments).stdout
    assert loaded(Path(check["saved"])) == [leaf.cert, ISSUING.cert, ROOT.cert]
    names = sorted(file.name for file in (tmp_path / "saved").iterdir())
    assert [name.rpartition("_")[0] for name in names] == [f"{HOST}_{port}", "upload_Issuing_CA", "upload_Root"]
    assert [loaded(Path(file)) for file in check["uploads"]] == [[ISSUING.cert], [ROOT.cert]]
    assert f"Files to upload: {', '.join(check['uploads'])};" in check["findings"][0]["remedies"][0]["text"]
    assert all(file in shown for file in (check["saved"], *check["uploads"]))


def test_a_self_signed_certificate_is_ready_for_upload_unless_it_has_to_be_replaced(tmp_path: Path, trust: str) -> None:
    good, bad = mint(HOST, sans=[HOST]), mint("elsewhere", sans=["elsewhere.test"])
    with serving(server_context(tmp_path, good)) as one, serving(server_context(tmp_path, bad)) as two:
        checks = preflight(f"{HOST}:{one}", f"{HOST}:{two}", "--trust", trust, "--save", str(tmp_path / "saved"))
    assert [len(check["uploads"]) for check in checks] == [1, 0]
    assert loaded(Path(checks[0]["uploads"][0])) == [good.cert]
    assert f"File to upload: {checks[0]['uploads'][0]};" in checks[0]["findings"][0]["remedies"][0]["text"]
    assert "to upload" not in str(checks[1]["findings"])


def test_a_ca_that_another_server_sent_is_ready_for_upload(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text(ROOT.pem)
    leaf = mint(HOST, ISSUING, sans=[HOST])
    with (
        serving(server_context(tmp_path, leaf, ISSUING)) as whole,
        serving(server_context(tmp_path, mint(HOST, ISSUING, sans=[HOST]))) as alone,
    ):
        servers = (f"{HOST}:{whole}", f"{HOST}:{alone}")
        good, bad = preflight(*servers, "--trust", str(tmp_path / "root.pem"), "--save", str(tmp_path / "saved"))
    assert (good["state"], good["uploads"]) == ("accepted", [])
    assert loaded(Path(bad["uploads"][0])) == [ISSUING.cert]
    assert bad["missing_ca"]["root_trusted"] is True


@contextlib.contextmanager
def occupied(file: Path, kind: str) -> Iterator[None]:
    """Create a file at a path that will be written, and check that it is not changed."""
    if kind == "folder":
        file.mkdir()
    elif kind == "link":
        (file.parent / "target").write_text("kept")
        file.symlink_to(file.parent / "target")
    else:
        file.write_text("kept")
    yield
    assert file.is_dir() if kind == "folder" else file.read_text() == "kept"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_an_existing_file_is_an_error_after_the_report(tmp_path: Path, trust: str, kind: str) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    with serving(server_context(tmp_path, mint(HOST, sans=[HOST]))) as port:
        file = folder / f"{HOST}_{port}_ecdsa.pem"
        with occupied(file, kind):
            result = mralab("preflight", f"{HOST}:{port}", "--trust", trust, "--save", str(folder))
    assert result.returncode == 2
    assert result.stdout.startswith("X14.2 would refuse the server.\n")
    assert result.stderr.splitlines()[0] == f"{file}: exists with other content: not overwritten"
    assert "the chain that the server sent is in" not in result.stdout


def test_a_folder_that_cannot_be_created_is_an_error_before_anything_is_dialled(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = mralab("preflight", f"{HOST}:1", "--save", str(tmp_path / "file" / "below"))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"--save {tmp_path}/file/below: cannot be created: Not a directory\n  hint: choose another folder\n"
    )


def check_of(host: str, certificate: Minted) -> ServerCheck:
    """Return the check of a server that presented a certificate."""
    chains = [FileChain("", (certificate.der,))]
    (check,) = check_files(chains, [Address(host, 8443)], from_mapping({}), TrustStore())
    return replace(check, prefer=("ecdsa", "rsa"))


@pytest.mark.parametrize(
    "host",
    ["2001:db8::1", "../../etc/passwd", "..", ".hidden", "-rf", "a\0b", "a\nb", "x" * 253, "a/b", "a b", ""],
)
def test_no_host_leads_out_of_the_folder(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    certificate = mint(f"../{host or 'x'}"[:60].replace("\0", "/"), sans=["x.test"])
    checks, problems = saving.save([check_of(host, certificate)], folder)
    assert problems == ()
    assert [file.parent for file in map(Path, (checks[0].saved, *checks[0].uploads))] == [folder] * (
        1 + len(checks[0].uploads)
    )
    for file in folder.iterdir():
        assert file.is_file()
        assert file.name.isascii()
        assert file.name.isprintable()
        assert file.name[0] not in ".-"
    assert sorted(os.listdir(tmp_path)) == ["saved"]  # noqa: PTH208 - names as they are


def test_hosts_that_are_made_safe_stay_apart(tmp_path: Path) -> None:
    certificates = [mint(host, sans=["x.test"]) for host in ("a b", "a_b")]
    checks, problems = saving.save([check_of("a b", certificates[0]), check_of("a_b", certificates[1])], tmp_path)
    assert problems == ()
    assert len({check.saved for check in checks}) == 2
