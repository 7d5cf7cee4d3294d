"""``preflight --certificate``: certificate files are judged as the server that presents them would be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from mralab.diagnose.certificate_files import parse_names
from mralab.errors import InputError
from tests.cli.command import mralab

from .minted import Minted, mint, server_context, serving

HOST = "cucm.steven.lab"
ROOT = mint("Root", ca=True)
ISSUING = mint("Issuing", ROOT, ca=True)
LEAF = mint(HOST, ISSUING, sans=[HOST])


def pem(*certificates: Minted) -> str:
    return "".join(one.pem for one in certificates)


@pytest.fixture
def trust(tmp_path: Path) -> str:
    file = tmp_path / "trust.pem"
    file.write_text(ROOT.pem)
    return str(file)


def checks(*arguments: str, exit_code: int) -> list[dict[str, Any]]:
    result = mralab("preflight", *arguments, "--json")
    assert (result.returncode, result.stderr) == (exit_code, "")
    servers: list[dict[str, Any]] = json.loads(result.stdout)["servers"]
    return servers


def codes(check: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in check["findings"]]


def forms(*chain: Minted) -> dict[str, bytes]:
    certificates = [one.cert for one in chain]
    return {
        "pem": pem(*chain).encode(),
        "reversed pem": pem(*reversed(chain)).encode(),
        "pkcs7 der": pkcs7.serialize_certificates(certificates, Encoding.DER),
        "pkcs7 pem": pkcs7.serialize_certificates(certificates, Encoding.PEM),
    }


@pytest.mark.parametrize("form", forms(LEAF))
def test_a_chain_in_any_form_and_order_is_accepted(tmp_path: Path, trust: str, form: str) -> None:
    (tmp_path / "chain").write_bytes(forms(LEAF, ISSUING, ROOT)[form])
    (check,) = checks("--certificate", str(tmp_path / "chain"), "--name", HOST, "--trust", trust, exit_code=0)
    assert check["state"] == "accepted"
    assert check["certificate"]["cn"] == HOST
    assert check["source"] == str(tmp_path / "chain")
    assert (check["port"], check["prefer"], check["dial"], check["lines"]) == (None, [], "", [])


def test_a_der_leaf_alone_lacks_its_issuer_and_no_port_is_claimed(tmp_path: Path, trust: str) -> None:
    (tmp_path / "leaf.cer").write_bytes(LEAF.der)
    arguments = ("--certificate", str(tmp_path / "leaf.cer"), "--name", HOST, "--trust", trust)
    (check,) = checks(*arguments, exit_code=1)
    assert codes(check) == ["issuer-missing"]
    assert [re.findall("WARNING|ERROR", line)[0] for line in check["lines"]] == ["WARNING", "WARNING", "ERROR"]
    shown = mralab("preflight", *arguments).stdout
    assert shown.startswith(f"X14.2 would refuse the server.\n{HOST}, {tmp_path}/leaf.cer: refused (issuer-missing)\n")
    assert "8443" not in shown
    assert f"{HOST}:" not in shown.replace(f"{HOST}: ", "")


def test_with_a_port_the_certificate_has_cucms_name_and_the_lines_the_request(tmp_path: Path, trust: str) -> None:
    own = mint(HOST, sans=[HOST], key=rsa.generate_private_key(65537, 2048))
    (tmp_path / "tomcat.pem").write_text(own.pem)
    arguments = ("--certificate", str(tmp_path / "tomcat.pem"), "--name", f"{HOST}:8443", "--trust", trust)
    (check,) = checks(*arguments, exit_code=1)
    assert codes(check) == ["self-signed"]
    assert f"Add the tomcat certificate of {HOST} itself" in check["findings"][0]["remedies"][0]["text"]
    assert any("Receive Request" in line for line in check["lines"])


def test_each_server_certificate_of_a_file_is_checked_for_each_name(tmp_path: Path, trust: str) -> None:
    other = mint("pub", ISSUING, sans=["pub.steven.lab"])
    unrelated = mint("Unrelated Root", ca=True)
    (tmp_path / "all.pem").write_text(pem(ISSUING, LEAF, ROOT, other, unrelated))
    arguments = (
        "--certificate",
        str(tmp_path / "all.pem"),
        "--name",
        HOST,
        "--name",
        "pub.steven.lab",
        "--trust",
        trust,
    )
    found = {
        (check["source"].rpartition(" ")[2], check["host"]): codes(check) for check in checks(*arguments, exit_code=1)
    }
    assert found == {
        ("2", HOST): [],
        ("2", "pub.steven.lab"): ["name-not-in-certificate"],
        ("4", HOST): ["name-not-in-certificate"],
        ("4", "pub.steven.lab"): [],
    }


def test_a_root_next_to_a_leaf_without_the_ca_between_is_not_a_second_leaf(tmp_path: Path, trust: str) -> None:
    (tmp_path / "chain.pem").write_text(pem(ROOT, LEAF))
    (check,) = checks("--certificate", str(tmp_path / "chain.pem"), "--name", HOST, "--trust", trust, exit_code=1)
    assert (check["certificate"]["cn"], codes(check)) == (HOST, ["issuer-missing"])


def test_two_self_signed_certificates_of_one_name_are_both_checked(tmp_path: Path) -> None:
    old, new = mint(HOST, sans=[HOST], days=(-30, -1)), mint(HOST, sans=[HOST])
    (tmp_path / "both.pem").write_text(pem(old, new))
    (tmp_path / "trust.pem").write_text(new.pem)
    arguments = ("--certificate", str(tmp_path / "both.pem"), "--name", HOST, "--trust", str(tmp_path / "trust.pem"))
    assert [codes(check) for check in checks(*arguments, exit_code=1)] == [["self-signed", "expired"], []]


def test_a_server_and_its_file_have_the_same_findings(tmp_path: Path, trust: str) -> None:
    stranger = mint("Other", ca=True)
    leaf = mint("elsewhere", stranger, sans=["127.0.0.2"], days=(-30, 3))
    with serving(server_context(tmp_path, leaf, stranger)) as port:
        (live,) = checks(f"127.0.0.1:{port}", "--trust", trust, exit_code=1)
    (tmp_path / "chain.pem").write_text(pem(leaf, stranger))
    arguments = ("--certificate", str(tmp_path / "chain.pem"), "--name", f"127.0.0.1:{port}", "--trust", trust)
    (file,) = checks(*arguments, exit_code=1)
    assert codes(live) == ["unknown-ca", "name-not-in-certificate"]
    for live_finding, finding in zip(live["findings"], file["findings"], strict=True):
        for key in ("code", "cause", "error", "depth", "remedies", "server", "ip", "port"):
            assert finding[key] == live_finding[key]
    for key in ("certificate", "chain", "expiring", "missing_ca", "order"):
        assert file[key] == live[key]


def test_the_missing_ca_has_subject_and_key_identifier(tmp_path: Path, trust: str) -> None:
    leaf = mint(HOST, ISSUING, sans=[HOST], name_aki=True)
    (tmp_path / "leaf.pem").write_text(leaf.pem)
    (check,) = checks("--certificate", str(tmp_path / "leaf.pem"), "--name", HOST, "--trust", trust, exit_code=1)
    key = check["missing_ca"]["key_identifier"]
    assert check["missing_ca"] == {"subject": "CN=Issuing", "key_identifier": key, "root_trusted": True}
    assert len(key) == 59
    cause = check["findings"][0]["cause"]
    assert f"The missing CA certificate has the subject CN=Issuing and the subject key identifier {key}." in cause
    assert "its root 'Root' is already trusted" in cause


def test_an_untrusted_root_that_is_in_the_file_is_named_with_its_key(tmp_path: Path, trust: str) -> None:
    stranger = mint("Other", ca=True)
    (tmp_path / "chain.pem").write_text(pem(mint(HOST, stranger, sans=[HOST]), stranger))
    (check,) = checks("--certificate", str(tmp_path / "chain.pem"), "--name", HOST, "--trust", trust, exit_code=1)
    key = check["missing_ca"]["key_identifier"]
    assert check["missing_ca"] == {"subject": "CN=Other", "key_identifier": key, "root_trusted": False}
    assert f"its subject key identifier {key}." in check["findings"][0]["cause"]


def test_every_bad_file_and_name_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(LEAF.pem + LEAF.secret)
    (tmp_path / "binary.cer").write_bytes(bytes(range(256)))
    (tmp_path / "cut.pem").write_text(LEAF.pem[:200])
    (tmp_path / "utf16.pem").write_bytes(LEAF.pem.encode("utf-16"))
    (tmp_path / "long.pem").write_text(LEAF.pem * 20_000)
    names = ("key.pem", "binary.cer", "cut.pem", "utf16.pem", "none.pem", "")
    files = [part for name in names for part in ("--certificate", str(tmp_path / name))]
    result = mralab("preflight", *files, "--name", HOST, "--name", "a b")
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("'a b' is not a name or NAME:PORT")
    assert "holds a private key, so no certificate in it was loaded" in lines[1]
    for line, name in zip(lines[1:-1], names, strict=True):
        assert line.startswith(str(tmp_path / name))
    assert "hint: such as --name" in lines[-1]


def test_a_bundle_larger_than_a_handshake_is_reduced_to_the_chain(tmp_path: Path, trust: str) -> None:
    many = [mint(f"CA {number}", ca=True) for number in range(400)]
    (tmp_path / "bundle.pem").write_text(pem(*many, LEAF, ISSUING))
    (check,) = checks("--certificate", str(tmp_path / "bundle.pem"), "--name", HOST, "--trust", trust, exit_code=0)
    assert (check["source"], len(check["chain"])) == (str(tmp_path / "bundle.pem"), 3)


def test_a_chain_larger_than_a_handshake_is_an_error(tmp_path: Path) -> None:
    many = [mint("Issuing", ca=True) for _ in range(400)]
    (tmp_path / "bundle.pem").write_text(pem(LEAF, *many))
    result = mralab("preflight", "--certificate", str(tmp_path / "bundle.pem"), "--name", HOST)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"{tmp_path}/bundle.pem: the chain has more than 102400 bytes\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--certificate", "leaf.pem"), "--certificate needs --name"),
        (("--name", HOST), "--name needs --certificate"),
        (("--certificate", "leaf.pem", "--name", "x:99999"), "port '99999' is not one of 1 to 65535"),
    ],
)
def test_a_certificate_needs_a_name_and_the_reverse(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    (tmp_path / "leaf.pem").write_text(LEAF.pem)
    result = mralab("preflight", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert problem in result.stderr


@pytest.mark.parametrize("name", ["2001:db8::1", "[2001:db8::1]", "[2001:DB8::1]:8443"])
def test_a_name_may_be_an_ipv6_address(tmp_path: Path, name: str) -> None:
    (tmp_path / "leaf.pem").write_text(LEAF.pem)
    (check,) = checks("--certificate", str(tmp_path / "leaf.pem"), "--name", name, exit_code=1)
    assert check["host"] == "2001:db8::1"


def test_a_url_in_place_of_a_name_is_answered_with_the_name() -> None:
    with pytest.raises(InputError) as caught:
        parse_names(["https://cucm.steven.lab:8443/cucm-uds", "https://", "ldaps://cucm"])
    assert caught.value.problems == (
        "'https://cucm.steven.lab:8443/cucm-uds' is not a name or NAME:PORT: it is a URL; write cucm.steven.lab:8443",
        "'https://' is not a name or NAME:PORT: it is a URL; write HOST",
        "'ldaps://cucm' is not a name or NAME:PORT: it is a URL; write cucm",
    )
