import datetime as dt
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from OpenSSL import crypto

from mralab.errors import ConfigError
from mralab.mocks.node_certificates import NodeCertificates
from mralab.mocks.pki import Certified, Pki, mint, read_recipes

NOW = dt.datetime(2022, 7, 11, 16, 55, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint()


def verify(leaf: Certified, *trusted: Certified) -> str:
    store = crypto.X509Store()
    for each in trusted:
        store.add_cert(crypto.X509.from_cryptography(each.cert))
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf.cert)).verify_certificate()
    except crypto.X509StoreContextError as error:
        return str(error)
    return "ok"


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize(
    ("name", "subject", "issuer", "kind"),
    [
        ("steven-DC-CA", "steven-DC-CA", "steven-DC-CA", "rsa"),
        ("tomcat", "cucm-ms.steven.lab", "steven-DC-CA", "rsa"),
        ("CallManager", "cucm.steven.lab", "steven-DC-CA", "rsa"),
        ("tomcat-ECDSA", "cucm-EC.steven.lab", "cucm-EC.steven.lab", "ec"),
        ("CallManager-ECDSA", "cucm-EC.steven.lab", "cucm-EC.steven.lab", "ec"),
    ],
)
def test_the_articles_certificates(pki: Pki, name: str, subject: str, issuer: str, kind: str) -> None:
    made = pki[name]
    assert common_name(made.cert.subject) == subject
    assert common_name(made.cert.issuer) == issuer
    assert made.kind == kind


PUBLISHER, SUBSCRIBER = "cucm.steven.lab", "cucm-sub.steven.lab"


@pytest.mark.parametrize(
    ("name", "sans"),
    [
        ("tomcat", [PUBLISHER, SUBSCRIBER]),
        ("CallManager", [PUBLISHER, SUBSCRIBER]),
        ("tomcat-ECDSA", [PUBLISHER]),
        ("CallManager-ECDSA", [PUBLISHER]),
        ("cucm-sub-tomcat-ECDSA", [SUBSCRIBER]),
        ("cucm-sub-CallManager-ECDSA", [SUBSCRIBER]),
        ("imp-tomcat", ["imp.steven.lab"]),
        ("imp-tomcat-ECDSA", ["imp.steven.lab"]),
        ("unity-tomcat", ["unity.steven.lab"]),
        ("unity-tomcat-ECDSA", ["unity.steven.lab"]),
    ],
)
def test_certificates_name_their_servers_in_sans(pki: Pki, name: str, sans: list[str]) -> None:
    extension = pki[name].cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == sans


def test_a_node_has_its_own_certificates_and_the_multi_server_ones(pki: Pki) -> None:
    subscriber = NodeCertificates(pki, "cucm-sub")
    assert subscriber["tomcat"] is pki["tomcat"]
    assert subscriber["tomcat-ECDSA"] is pki["cucm-sub-tomcat-ECDSA"]
    assert subscriber.authorities == pki.authorities == ("steven-DC-CA",)
    assert (list(subscriber), len(subscriber)) == (list(pki), len(pki))
    with pytest.raises(KeyError):
        subscriber["cup"]


def test_subjects_keep_the_order_of_the_recipe(pki: Pki) -> None:
    assert pki["tomcat"].cert.subject.rfc4514_string() == (
        "CN=cucm-ms.steven.lab,OU=TAC,O=Cisco,L=Diegem,ST=Belgium,C=BE"
    )
    assert pki["steven-DC-CA"].cert.subject.rfc4514_string() == "CN=steven-DC-CA,DC=steven,DC=lab"


def test_key_identifiers_link_a_certificate_to_its_issuer(pki: Pki) -> None:
    for made in pki.values():
        issuer = made.chain[0] if made.chain else made.cert
        above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        named = made.cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert named.key_identifier == above.digest
        made.cert.verify_directly_issued_by(issuer)


def test_the_chain_is_valid_only_with_its_own_root(pki: Pki) -> None:
    authority, one, other = (pki[name] for name in ("steven-DC-CA", "CallManager-ECDSA", "tomcat-ECDSA"))
    assert verify(pki["tomcat"], authority) == "ok"
    assert verify(pki["tomcat"], one) == "unable to get local issuer certificate"
    assert verify(one, one) == "ok"
    assert verify(one, one, other) == "ok"
    assert verify(one, authority) in ("self-signed certificate", "self signed certificate")


def test_a_ca_with_the_same_subject_and_another_key_is_not_the_issuer(pki: Pki) -> None:
    one, other = pki["CallManager-ECDSA"], pki["tomcat-ECDSA"]
    assert one.cert.subject == other.cert.subject
    assert verify(one, other) != "ok"


def test_a_certificate_is_minted_once(pki: Pki) -> None:
    assert pki["tomcat"] is pki["tomcat"]


def test_pem_forms(pki: Pki) -> None:
    made = pki["tomcat"]
    assert x509.load_pem_x509_certificate(made.pem.encode()) == made.cert
    assert x509.load_pem_x509_certificates(made.chain_pem.encode()) == [made.cert, pki["steven-DC-CA"].cert]
    assert made.fingerprint.replace(":", "").lower() == made.cert.fingerprint(hashes.SHA256()).hex()
    assert made.fingerprint.count(":") == 31


def test_days_count_from_now() -> None:
    made = mint({"a": {"subject": ["CN=a"], "key": "ec-p256", "days": [-3, -1]}}, now=NOW)["a"]
    assert made.cert.not_valid_before_utc == NOW - dt.timedelta(days=3)
    assert made.cert.not_valid_after_utc == NOW - dt.timedelta(days=1)


def test_rsa_keys_are_shared_in_a_process_unless_fresh() -> None:
    recipe = {"shared": {"subject": ["CN=shared"]}}
    first, second, fresh = mint(recipe)["shared"], mint(recipe)["shared"], mint(recipe, fresh=True)["shared"]
    assert first.key.public_key() == second.key.public_key()
    assert first.cert != second.cert
    assert fresh.key.public_key() != first.key.public_key()


def test_only_the_owner_can_read_written_keys(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "tomcat.key").write_text("open to all")
    pki.write(tmp_path)
    pki.write(tmp_path)
    assert (tmp_path / "tomcat.pem").read_text() == pki["tomcat"].chain_pem
    assert (tmp_path / "tomcat.key").read_text() == pki["tomcat"].key_pem
    assert {stat.S_IMODE(key.stat().st_mode) for key in tmp_path.glob("*.key")} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2 * len(pki)


def test_all_problems_are_reported_at_once() -> None:
    recipes: dict[str, dict[str, object]] = {
        "a": {"subject": ["CM=x", "CN"], "kee": "rsa2048", "key": "rsa2049"},
        "b": {"subject": ["C=BEL"], "issuer": "bb", "sans": ["dns:", "ip:1.2.3", "cucm"], "key": "ec-p256"},
        "bb-ca": {
            "subject": ["CN=x"],
            "days": [1],
            "eku": ["serverauth"],
            "key_usage": ["signs"],
            "ca": "yes",
        },
        "no subject": {"path_length": 1},
    }
    with pytest.raises(ConfigError) as caught:
        mint(recipes, source="my.toml")
    problems = caught.value.problems
    expected = [
        "my.toml: [a] kee: unknown key; did you mean 'key'?",
        "my.toml: [a] subject: 'CM=x': unknown type; did you mean 'C",
        "my.toml: [a] subject: 'CN' is not TYPE=value",
        "my.toml: [a] key: 'rsa2049' is not one of rsa2048, ec-p256, ec-p384; did you mean 'rsa2048'?",
        "my.toml: [b] subject: 'C=BEL': ",
        "my.toml: [b] issuer: 'bb' is not one of a, b, bb-ca, no subject",
        "my.toml: [b] sans: 'dns:' is not dns:NAME or ip:ADDRESS",
        "my.toml: [b] sans: 'ip:1.2.3': ",
        "my.toml: [b] sans: 'cucm' is not dns:NAME or ip:ADDRESS",
        "my.toml: [bb-ca] ca: 'yes' is not true or false",
        "my.toml: [bb-ca] eku: 'serverauth': unknown purpose; did you mean 'serverAuth'?",
        "my.toml: [bb-ca] key_usage: 'signs': unknown usage",
        "my.toml: [bb-ca] days: [1] is not [from, until] in days",
        "my.toml: [no subject]: use only letters",
        "my.toml: [no subject] subject: missing",
        "my.toml: [no subject] path_length: must be 0 or more, and needs ca = true",
    ]
    for line, start in zip(problems, expected, strict=True):
        assert line.startswith(start)


def test_a_cycle_of_issuers_is_reported_once() -> None:
    recipes = {
        name: {"subject": [f"CN={name}"], "issuer": issuer, "key": "ec-p256"}
        for name, issuer in (("leaf", "one"), ("one", "two"), ("two", "one"))
    }
    with pytest.raises(ConfigError) as caught:
        mint(recipes)
    assert caught.value.problems == ("certs/pki.toml: [one] issuer: is a cycle: one <- two <- one",)


def test_changed_recipes_of_one_caller_are_not_those_of_the_next() -> None:
    changed = read_recipes()
    changed["tomcat"]["sans"].append("dns:other.example.test")
    del changed["imp-tomcat"]
    assert read_recipes()["tomcat"]["sans"] == ["dns:cucm.steven.lab", "dns:cucm-sub.steven.lab"]
    assert "imp-tomcat" in read_recipes()


def test_invalid_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pki.toml"
    file.write_text("[a]\nsubject = CN\n")
    with pytest.raises(ConfigError, match=r"pki\.toml: .*line 2"):
        read_recipes(file)
    file.write_text("key = 1\n")
    with pytest.raises(ConfigError, match=r"pki\.toml: key: must be in the table"):
        read_recipes(file)
    with pytest.raises(ConfigError, match="No such file"):
        read_recipes(tmp_path / "none.toml")


def test_authorities_are_the_recipes_that_issue_others() -> None:
    assert mint().authorities == ("steven-DC-CA",)
    recipes: dict[str, dict[str, Any]] = {
        "root": {"subject": ["CN=root"], "ca": True},
        "below": {"subject": ["CN=below"], "ca": True, "issuer": "root"},
        "leaf": {"subject": ["CN=leaf"], "issuer": "below"},
        "own": {"subject": ["CN=own"], "ca": True},
    }
    assert mint(recipes).authorities == ("root", "below")


def test_further_recipes_stand_beside_what_is_minted_already(pki: Pki) -> None:
    extended = pki.extended({"other": {"subject": ["CN=other"], "issuer": "steven-DC-CA"}})
    assert extended["other"].chain == (pki["steven-DC-CA"].cert,)
    assert extended["tomcat-ECDSA"] is pki["tomcat-ECDSA"]
    assert set(extended) == {*pki, "other"}
    again = extended.extended({"below": {"subject": ["CN=below"], "issuer": "other"}})
    assert again["below"].chain[0] == extended["other"].cert


def test_further_recipes_are_checked(pki: Pki) -> None:
    with pytest.raises(ConfigError) as caught:
        pki.extended({"other": {"subject": ["CN=other"], "issuer": "tomcta"}}, "mine.toml")
    assert caught.value.problems[0].startswith("mine.toml: [other] issuer: 'tomcta' is not one of ")
    with pytest.raises(ConfigError, match=r"recipes: \[tomcat\] exists already"):
        pki.extended({"tomcat": {"subject": ["CN=other"]}})
