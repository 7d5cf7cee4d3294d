"""Suspicious settings: each warning names the key, the consequence and what to do."""

from __future__ import annotations

import datetime
import resource
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mralab.config import from_mapping
from mralab.net.settings import load_settings, warnings
from mralab.tls.trust_store import TrustStore, load_store

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
HOSTS = {"hosts": {"cucm.lab": {"dial": "127.0.0.1"}}}
RULES = "Url,Deployment,HttpMethods,MatchType,Description\n"


def certificate(name: str, first: int, last: int) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.datetime(first, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(last, 1, 1, tzinfo=datetime.UTC))
        .sign(key, hashes.SHA256())
    )


def found(folder: Path, tables: dict[str, Any], store: TrustStore | None = None) -> list[str]:
    settings = load_settings(from_mapping(tables, folder), store)
    return warnings(settings, NOW)


@pytest.fixture(scope="module")
def good() -> TrustStore:
    return TrustStore([certificate("good", 2020, 2030)])


def test_a_configuration_that_can_work_has_no_warning(tmp_path: Path, good: TrustStore) -> None:
    (tmp_path / "allowlist.csv").write_text(RULES + "https://h/,,,,\n")
    assert found(tmp_path, {}, good) == []
    assert found(tmp_path, {**HOSTS, "allow": {"rules": ""}}, good) == []
    assert found(tmp_path, {**HOSTS, "release": "X14.0.7", "trust": {"store": ""}}) == []
    assert found(tmp_path, {**HOSTS, "allow": {"rules": "", "automatic": False, "everything": True}}, good) == []


def test_an_empty_file_can_allow_nothing_and_trusts_nothing(tmp_path: Path) -> None:
    trust, allow = found(tmp_path, {})
    assert trust == (
        f"trust.store: {tmp_path}/trust does not exist, so every https server is refused;"
        ' put the certificates of its CA there, or set verify.origin = "off"'
    )
    assert allow == (
        f"allow.rules: {tmp_path}/allowlist.csv does not exist and [hosts] is empty, so every request is answered 403;"
        " add rules for your servers"
    )


def test_why_nothing_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert found(tmp_path, {**HOSTS, "trust": {"store": "empty"}})[0].startswith(
        f"trust.store: {tmp_path}/empty holds no certificate, so every https server is refused;"
    )
    assert found(tmp_path, {**HOSTS, "trust": {"store": ""}})[0].startswith('trust.store: "" trusts no certificate')
    audit = {**HOSTS, "trust": {"store": ""}, "verify": {"origin": "audit"}}
    assert "every https server is logged as faulty" in found(tmp_path, audit)[0]


def test_why_nothing_is_allowed(tmp_path: Path, good: TrustStore) -> None:
    (tmp_path / "rules.csv").write_text(RULES)
    (only,) = found(tmp_path, {**HOSTS, "allow": {"rules": "rules.csv", "automatic": False}}, good)
    assert f"{tmp_path}/rules.csv has no rules and allow.automatic is false, so every request is answered 403" in only
    every, none = found(tmp_path, {"allow": {"rules": "", "everything": True}}, good)
    assert every.startswith("allow.everything: has no effect without [hosts]")
    assert none.startswith('allow.rules: "" names no rules and [hosts] is empty')


def test_certificates_out_of_date(tmp_path: Path) -> None:
    store = TrustStore(
        [certificate("old", 2010, 2020), certificate("good", 2020, 2030), certificate("new", 2027, 2030)]
    )
    assert found(tmp_path, HOSTS, store) == [
        "trust.store: CN=old expired on 2020-01-01; a chain that needs it is refused",
        "trust.store: CN=new is not valid before 2027-01-01; a chain that needs it is refused",
    ]
    many = TrustStore([certificate(f"old{number}", 2010, 2020) for number in range(8)])
    assert found(tmp_path, HOSTS, many)[5:] == ["trust.store: 3 more like this"]
    assert found(tmp_path, {**HOSTS, "verify": {"origin": "off"}}, many) == []


def test_methods_that_expressway_does_not_know(tmp_path: Path, good: TrustStore) -> None:
    (tmp_path / "allowlist.csv").write_text(RULES + 'https://h/a,,"GET,PURGE,TRACE",,\n')
    assert found(tmp_path, {}, good) == [
        "allow.rules: https://h:443/a allows PURGE, TRACE, unknown to Expressway, which has OPTIONS, GET, HEAD, POST,"
        " PUT, DELETE"
    ]


def test_connections_that_the_process_cannot_have(
    tmp_path: Path, good: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1064, 1064))
    few = {**HOSTS, "limits": {"connections": 2000}, "proxy": {"workers": 2}}
    assert found(tmp_path, few, good) == [
        "limits.connections: 1000 need 2064 file descriptors in each worker, and the limit is 1064; using 500."
        " Raise the limit (ulimit -n)"
    ]
    assert found(tmp_path, {**HOSTS, "limits": {"connections": 500}}, good) == []
    assert found(tmp_path, HOSTS, good) == []  # the default is reduced without a warning
    (one,) = found(tmp_path, {**HOSTS, "limits": {"connections": 1}, "proxy": {"workers": 3}}, good)
    assert one == "limits.connections: 1 is less than proxy.workers; each of the 3 workers takes one client"


def test_a_store_of_files_has_its_dates_judged_too(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert warnings(load_settings(from_mapping(HOSTS, tmp_path), load_store(tmp_path / "ca.pem"))) == []
