"""The configuration file: valid values, and all messages about invalid ones at once."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from mralab import Proxy
from mralab.config import Config, TrustTable, UpstreamTable, from_mapping, load, split_address
from mralab.errors import ConfigError
from mralab.net.settings import load_settings


def _problems(text: str, tmp_path: Path) -> str:
    file = tmp_path / "mralab.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    return str(raised.value)


def test_an_empty_file_is_valid_and_is_x14_2(tmp_path: Path) -> None:
    file = tmp_path / "mralab.toml"
    file.write_text("")
    config = load(file)
    assert (config.release, config.verify_mode, config.preference) == ("X14.2", "on", "ecdsa")
    assert config.tls_versions == ("1.2",)
    assert load_settings(config).store.certificates == ()


def test_the_release_decides_the_keys_that_the_file_does_not_set() -> None:
    old = from_mapping({"release": "X14.0.7"})
    assert (old.verify_mode, old.preference) == ("off", "rsa")
    assert old.cipher_string.startswith("ECDHE-RSA-AES256-GCM-SHA384:EECDH:")
    both_set = from_mapping({"release": "X14.0.7", "verify": {"origin": "on"}, "upstream": {"prefer": "ecdsa"}})
    assert (both_set.verify_mode, both_set.preference) == ("on", "ecdsa")


def test_all_errors_are_reported_at_once_with_the_nearest_word(tmp_path: Path) -> None:
    text = _problems(
        'relase = "X14.2"\nrelease = "X14.9"\n[proxy]\nwrokers = 2\nlisten = "127.0.0.1"\n'
        '[verify]\norigin = "onn"\n[hosts.a]\ndail = "1"\n[upstream]\nattempts = 0\n',
        tmp_path,
    )
    assert len(text.splitlines()) == 7
    assert "mralab.toml: proxy.wrokers: unknown key; did you mean 'workers'?" in text
    assert "relase: unknown table or key; did you mean 'release'?" in text
    assert (
        "verify.origin: must be on, off or audit (also ENFORCED, DISABLED, PERMISSIVE); did you mean 'on'? (is 'onn')"
        in text
    )
    assert "hosts.a.dail: unknown key; did you mean 'dial'?" in text


def test_the_error_of_invalid_toml_has_the_line(tmp_path: Path) -> None:
    assert "mralab.toml: is not TOML" in _problems("[proxy\n", tmp_path)
    assert "line 1" in _problems("[proxy\n", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_all_files_that_it_names_are_checked_together(tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(
        "Url,Deployment,HttpMethods,MatchType,Description\nftp://x/,,,,\nhttps://h/,,GET,prefxi,\n"
    )
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n")
    config = from_mapping(
        {"allow": {"rules": "rules.csv"}, "trust": {"store": "ca.pem"}, "upstream": {"ciphers": "NOPE"}},
        tmp_path,
    )
    with pytest.raises(ConfigError) as raised:
        load_settings(config)
    text = str(raised.value)
    assert "ca.pem:1: a certificate that cannot be read" in text
    assert "rules.csv:2:" in text
    assert "rules.csv:3:" in text
    assert "upstream.ciphers" in text


@pytest.mark.parametrize("store", ["nowhere.pem", "key.pem", "text.pem", "cut.pem"])
def test_an_unusable_trust_store_is_refused(tmp_path: Path, store: str) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "text.pem").write_text("hello\n")
    (tmp_path / "cut.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    with pytest.raises(ConfigError, match=store):
        load_settings(from_mapping({"trust": {"store": store}}, tmp_path))


@pytest.mark.parametrize("value", ["127.0.0.1", "x:1", "127.0.0.1:70000", "::1:80", ":1", "127.0.0.1:-1"])
def test_addresses_are_host_and_port(value: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not"):
        split_address(value)
    assert split_address("[::1]:0") == ("::1", 0)


def test_a_changed_copy_keeps_the_rest() -> None:
    config = from_mapping({"hosts": {"a": {"dial": "127.0.0.1"}}})
    changed = config.changed(verify={"origin": "off"}, release="X14.0.7")
    assert (changed.verify_mode, changed.release, list(changed.hosts)) == ("off", "X14.0.7", ["a"])
    assert isinstance(changed, Config)
    with pytest.raises(ConfigError, match="verify"):
        config.changed(verify={"orign": "off"})


def test_problems_of_hosts_come_with_all_others() -> None:
    with pytest.raises(ConfigError) as raised:
        from_mapping({"hosts": {"10.1": {"dial": "::1"}}, "proxy": {"workers": 0}})
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize(("word", "mode"), [("On", "on"), ("OFF", "off"), ("ENFORCED", "on"), ("Permissive", "audit")])
def test_the_verification_modes_of_the_product_are_accepted(word: str, mode: str) -> None:
    config = from_mapping({"verify": {"origin": word}})
    assert (config.verify_mode, config.verify.origin) == (mode, mode)
    assert from_mapping({}).changed(verify={"origin": word}).verify_mode == mode


def test_the_python_api_accepts_them_too() -> None:
    word: Any = "Permissive"
    assert Proxy(verify=word, release="14.2").config.verify_mode == "audit"


def test_a_release_is_kept_under_its_own_name() -> None:
    config = from_mapping({"release": "x14.0.8"})
    assert (config.release, config.verify_mode, config.preference) == ("X14.0.8", "on", "rsa")
    unknown = r"release: is not a known release; known: .*; did you mean 'X14.0.10'\? \(is"
    with pytest.raises(ConfigError, match=unknown):
        from_mapping({"release": "X14.0.11"})
    with pytest.raises(ConfigError, match="release: must be a string"):
        from_mapping({"release": 14.2})


def test_prefer_reorders_the_ciphers_of_the_file_and_adds_none() -> None:
    ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    alone = from_mapping({"upstream": {"ciphers": ciphers}})
    assert (alone.cipher_string, alone.preference_in_force) == (ciphers, None)
    names = [cipher.split("-")[1] for cipher in _ciphers(alone)]
    assert names == ["ECDSA", "RSA"]
    for prefer, order in (("rsa", ["RSA", "ECDSA"]), ("ecdsa", ["ECDSA", "RSA"])):
        both = alone.changed(upstream={"prefer": prefer})
        assert [cipher.split("-")[1] for cipher in _ciphers(both)] == order
        assert both.preference_in_force == prefer


def _ciphers(config: Config) -> list[str]:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(config.cipher_string.encode())
    offered = SSL.Connection(context).get_cipher_list()
    return [name for name in offered if name.startswith("ECDHE-")]


def test_a_key_that_could_have_no_effect_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"upstream\.ciphers: has no effect in TLS 1\.3"):
        from_mapping({"upstream": {"ciphers": "HIGH", "tls": ["1.3"]}})


def test_hosts_are_named_as_requests_name_them() -> None:
    config = from_mapping({"hosts": {"2001:DB8::0:1": {"dial": "::1"}, "CUCM.Lab": {"dial": "127.0.0.1"}}})
    assert list(config.hosts) == ["2001:db8::1", "cucm.lab"]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (
            {"cucm.lab": {"dial": "::1"}, "CUCM.lab": {"dial": "::1"}},
            "hosts.'CUCM.lab': is the same host as hosts.'cucm.lab'",
        ),
        ({"::1": {"dial": "::1"}, "0::1": {"dial": "::1"}}, "hosts.'0::1': is the same host as hosts.'::1'"),
        ({"[::1]": {"dial": "::1"}}, "write an IPv6 address without brackets"),
        ({"caf\u00e9.lab": {"dial": "::1"}}, "has an illegal character"),
        ({"10.1": {"dial": "::1"}}, "is not a host name or address"),
        ({"a:8443": {"dial": "::1"}}, "is not a host name or address"),
        ({"": {"dial": "::1"}}, "the host is empty"),
        (
            {"a": {"dial": "::1", "ports": {"8443": 1, "08443": 2}}},
            "hosts.a.ports.08443: port '08443' is not one of 1 to 65535",
        ),
        ({"a": {"dial": "::1", "ports": {"9" * 5000: 1}}}, "hosts.a.ports."),
        ({"a": {"dial": "::1", "ports": {"\u0661": 1}}}, "hosts.a.ports."),
        ({"a": {}}, "has neither ip, dial nor ports"),
        ({"a": {"port": 1}}, "has ports, but no dial or ip"),
    ],
)
def test_a_host_that_no_request_can_name_is_an_error(hosts: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_mapping({"hosts": hosts})
    assert words in str(raised.value)


def test_the_port_of_control_host_is_a_port() -> None:
    with pytest.raises(ConfigError, match=r"proxy\.control_host: '70000' is not a port"):
        from_mapping({"proxy": {"control_host": "vcs_control.lab:70000"}})


def test_a_value_that_would_be_shown_differently_than_used_is_an_error(tmp_path: Path) -> None:
    text = r"""
[proxy]
listen = "127.0.0.1:08443"
[trust]
store = "ca.pem\u0000.txt"
[allow]
rules = "rules\u202e.csv"
[log]
file = "a\nb"
hostname = "vcsc\u0000"
[upstream]
ciphers = "HIGH\u0000:!aNULL"
[hosts]
"cucm.steven.lab" = { dial = "127.0.0.1", ports = { 8443 = 1, "08443" = 2, "٨٤٤٣" = 3, "8444 " = 4, "0" = 5 } }
"CUCM.steven.lab" = { dial = "127.0.0.2" }
"2001:db8::1" = { dial = "127.0.0.1" }
"2001:DB8:0::1" = { dial = "127.0.0.1" }
"a\u0000b" = { dial = "127.0.0.1" }
"10.1" = { dial = "127.0.0.1" }
"" = { dial = "127.0.0.1" }
"""
    found = _problems(text, tmp_path).splitlines()
    for key in (
        "proxy.listen",
        "trust.store",
        "allow.rules",
        "log.file",
        "log.hostname",
        "upstream.ciphers",
        "hosts.cucm.steven.lab.ports.08443",
        r"hosts.cucm.steven.lab.ports.\u0668",
        "hosts.cucm.steven.lab.ports.8444 ",
        "hosts.cucm.steven.lab.ports.0",
        "hosts.'CUCM.steven.lab': is the same host as hosts.'cucm.steven.lab'",
        "hosts.'2001:DB8:0::1': is the same host as hosts.'2001:db8::1'",
        r"hosts.'a\x00b'",
        "hosts.'10.1'",
        "hosts.''",
    ):
        assert [problem for problem in found if problem.startswith(f"{tmp_path / 'mralab.toml'}: {key}")], (key, found)
    assert len(found) == 15


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        ".".join("a" * 500) + " = 1",
        "[proxy]\nworkers = " + "9" * 5000,
        '[log]\nfile = "~nobody-of-this-name/log"',
        "[proxy]\nworkers = 1\nworkers = 2",
        "proxy.workers = 1\n[proxy]\nworkers = 2",
        '[hosts]\n"a" = { ip = "1.1.1.1" }\na.dial = "127.0.0.1"',
    ],
)
def test_odd_toml_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    assert len(_problems(text, tmp_path).splitlines()) == 1


def test_a_host_is_compared_in_one_form() -> None:
    config = from_mapping({"hosts": {"2001:DB8::0:1": {"dial": "127.0.0.1", "ports": {8443: 1, "6972": 2}}}})
    assert config.hosts["2001:db8::1"].ports == {8443: 1, 6972: 2}


def test_the_first_hundred_problems_are_listed() -> None:
    with pytest.raises(ConfigError) as raised:
        from_mapping({f"k{number}": 1 for number in range(1000)})
    assert str(raised.value).count("unknown table or key") == 100
    assert str(raised.value).endswith("and 900 more problems")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('proxy = "x"', "proxy: must be a table (is 'x')"),
        ('[[proxy]]\nlisten = "127.0.0.1:0"', "proxy: must be a table"),
        ("hosts = []", "hosts: must be a table"),
        (
            '[hosts]\n"a.lab" = "10.0.0.1"',
            "hosts.a.lab: must be a table such as { dial = \"127.0.0.1\", port = 8443 } (is '10.0.0.1')",
        ),
        (
            "[verify]\norigin = true",
            "verify.origin: must be on, off or audit (also ENFORCED, DISABLED, PERMISSIVE) (is true)",
        ),
        ("[hosts]\na.lab = { ip = '10.0.0.1' }", 'hosts.a.lab: unknown key; a name with dots needs quotes: "a.lab..."'),
        (
            '[hosts]\n"cucm.lab" = { dial = "127.0.0.1", prots = { 8443 = 1 } }',
            "hosts.cucm.lab.prots: unknown key; did you mean 'ports'?",
        ),
        ('[hosts]\n"a.lab" = { xyz = {} }', "hosts.a.lab.xyz: unknown key"),
        ('[hosts]\n"a.lab" = { dial = "b.lab" }', "hosts.a.lab.dial: must be an IP address, or empty (is 'b.lab')"),
        ('[hosts]\n"a.lab" = { ip = 1 }', "hosts.a.lab.ip: must be an IP address, or empty (is 1)"),
        (
            '[hosts]\n"https://a.lab" = { dial = "127.0.0.1" }',
            "hosts.'https://a.lab': is not a host name or address: write the name alone, without https:// and path",
        ),
        (
            '[hosts]\n"a.lab:8443" = { dial = "127.0.0.1" }',
            "hosts.'a.lab:8443': is not a host name or address: write the name alone; its ports belong into 'ports'",
        ),
        ('store = "x"', "store: unknown table or key; it belongs to [trust]"),
        ('listen = "x"', "listen: unknown table or key; it belongs to [proxy]"),
        ('[proxy]\nworkers = "2"', "proxy.workers: must be a whole number, without quotes (is '2')"),
        ('[allow]\neverything = "yes"', "allow.everything: must be true or false, without quotes (is 'yes')"),
        (
            '[upstream]\nconnect_timeout = "30s"',
            "upstream.connect_timeout: must be a number, without quotes (is '30s')",
        ),
        ('[upstream]\ntls = "1.2"', "upstream.tls: must be a list, in brackets (is '1.2')"),
        ('"\\u001b[31m" = 1', "\\x1b[31m: unknown table or key"),
    ],
)
def test_the_error_of_a_misplaced_or_mistyped_value_uses_the_terms_of_toml(
    text: str, problem: str, tmp_path: Path
) -> None:
    assert _problems(text, tmp_path) == f"{tmp_path}/mralab.toml: {problem}"


def test_a_byte_order_mark_and_all_line_ends_are_accepted_but_not_utf_16(tmp_path: Path) -> None:
    file = tmp_path / "mralab.toml"
    file.write_bytes(b'\xef\xbb\xbfrelease = "X14.0.7"\r\n[verify]\r\norigin = "Off"\r\n')
    assert load(file).release == "X14.0.7"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        file.write_bytes('release = "X14.2"'.encode(encoding))
        with pytest.raises(ConfigError, match="is UTF-16 text; save it as UTF-8"):
            load(file)


@pytest.mark.parametrize("ciphers", ["ALL:@SECLEVEL=5", "ALL@seclevel=0", "@SECLEVEL=2:ECDHE-RSA-AES256-GCM-SHA384"])
def test_a_security_level_is_refused_because_it_would_have_no_effect(ciphers: str) -> None:
    with pytest.raises(ConfigError, match=r"upstream\.ciphers: sets @SECLEVEL, which has no effect"):
        from_mapping({"upstream": {"ciphers": ciphers}})
    pattern = UpstreamTable.model_json_schema()["properties"]["ciphers"]["pattern"]
    assert not re.search(pattern, ciphers)
    assert re.search(pattern, ciphers.replace("@", ""))


def test_the_schema_of_a_file_name_allows_the_same_characters_as_the_configuration() -> None:
    pattern = UpstreamTable.model_json_schema()["properties"]["key"]["pattern"]
    for number in [*range(0xD800), *range(0xE000, 0x10000)]:  # above, Unicode grows with the version of Python
        shown = unicodedata.category(chr(number)) not in ("Cc", "Cf", "Zl", "Zp")
        assert bool(re.fullmatch(pattern, "x" + chr(number))) == shown, hex(number)
    assert re.fullmatch(pattern, "~/key.pem")
    assert not re.fullmatch(pattern, "~nobody-of-this-name/key.pem")


def test_a_path_that_no_system_call_takes_is_an_error() -> None:
    for table, key in (("trust", "store"), ("upstream", "certificate")):
        with pytest.raises(ConfigError, match=rf"{table}\.{key}: has 4097 characters; a path has at most 4096"):
            from_mapping({table: {key: "x" * 4097}})
        from_mapping({table: {key: "x" * 4096}})
    for model, key in ((TrustTable, "store"), (UpstreamTable, "certificate")):
        assert model.model_json_schema()["properties"][key]["maxLength"] == 4096
