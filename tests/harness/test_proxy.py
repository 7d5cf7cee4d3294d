"""``mralab.Proxy``: the traffic server in front of a test's own mock, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import trustme
from cryptography import x509

from mralab import Lab, Proxy
from mralab.config import HostEntry, from_mapping
from mralab.core.hostport import host_port
from mralab.core.mra.allowlist import automatic_rules
from mralab.core.mra.target import Target, encode
from mralab.diagnose.assertions import UnknownCodeError
from mralab.errors import ConfigError, InputError, ListenError, TrustStoreError
from mralab.mocks.pki import Pki, mint

from .mock import BODY, mock

HOST = "cucm.steven.lab"
URL = f"https://{HOST}:8443/cucm-uds/version"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def address(ca: trustme.CA) -> Iterator[tuple[str, int]]:
    with mock(ca.issue_cert(HOST)) as running:
        yield running


@pytest.fixture(scope="module")
def misnamed(ca: trustme.CA) -> Iterator[tuple[str, int]]:
    with mock(ca.issue_cert("other.steven.lab")) as running:
        yield running


def get(proxy: Proxy, url: str = URL) -> int:
    try:
        with urlopen(proxy.url(for_=url), timeout=20) as answer:  # noqa: S310 - a URL of our own
            assert answer.read() == BODY
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_the_five_lines_in_a_synchronous_test(address: tuple[str, int], ca: trustme.CA) -> None:
    with Proxy(release="X14.2", hosts={HOST: address}, trust=[ca]) as proxy:
        assert get(proxy) == 200
        assert proxy.allowed(HOST)
        assert proxy.transactions[0].verdict == "passed"
        assert 'Detail="Sending Request"' in "\n".join(proxy.log)


async def test_the_same_in_an_asynchronous_one(address: tuple[str, int], ca: trustme.CA) -> None:
    async with Proxy(release="X14.2", hosts={HOST: address}) as proxy:
        assert await asyncio.to_thread(get, proxy) == 502
        assert proxy.refused(HOST, because="issuer-missing")
        await proxy.trust(ca)
        proxy.clear()
        assert await asyncio.to_thread(get, proxy) == 200
        assert not proxy.findings
        await proxy.distrust(ca)
        assert await asyncio.to_thread(get, proxy) == 502


def test_settings_change_from_the_next_request_on_and_reset_restores_them(
    address: tuple[str, int], ca: trustme.CA
) -> None:
    with Proxy(release="X14.0.7") as proxy:
        assert get(proxy) == 403
        assert proxy.refused(HOST, because="not-allowed")
        proxy.add_host(HOST, address)
        assert get(proxy) == 200
        proxy.release = "X14.2"
        assert (proxy.release, get(proxy)) == ("X14.2", 502)
        proxy.verify_origin_server("Off")
        assert get(proxy) == 200
        proxy.verify_origin_server("On")
        assert get(proxy) == 502
        proxy.upgrade("X14.0.7")
        assert get(proxy) == 502  # the setting of xConfiguration survives an upgrade
        proxy.trust(ca)
        assert get(proxy) == 200
        assert repr(proxy) == f"<Proxy X14.0.7 at http://127.0.0.1:{proxy.port}>"
        proxy.reset()
        assert (proxy.release, proxy.log, proxy.transactions, len(proxy.trusted)) == ("X14.0.7", (), (), 0)
        assert get(proxy) == 403


@pytest.mark.parametrize(
    "where",
    [
        lambda port: ("127.0.0.1", port),
        lambda port: {8443: ("127.0.0.1", port), 6972: ("127.0.0.1", 1)},
        lambda port: {"ip": "10.48.36.215", "dial": "127.0.0.1", "ports": {8443: port}},
        lambda port: HostEntry(dial="127.0.0.1", port=port),
    ],
    ids=["any port", "by port", "table", "entry"],
)
def test_hosts_are_accepted_in_several_forms(
    address: tuple[str, int], ca: trustme.CA, where: Callable[[int], Any]
) -> None:
    with Proxy(hosts={HOST.upper(): where(address[1])}, trust=ca) as proxy:
        assert get(proxy) == 200


def test_all_invalid_hosts_are_reported_at_once() -> None:
    wrong: Any = {"a.lab": 41021, "b.lab": {8443: ("127.0.0.1", 1), 6972: ("127.0.0.2", 2)}}
    with pytest.raises(ConfigError) as caught:
        Proxy(hosts=wrong)
    assert "'a.lab': 41021 is neither" in str(caught.value)
    assert "'b.lab': is on several addresses (127.0.0.1, 127.0.0.2)" in str(caught.value)


def _forms(ca: trustme.CA, folder: Path) -> dict[str, Any]:
    pem = ca.cert_pem.bytes()
    (folder / "ca.pem").write_bytes(pem)
    return {
        "trustme": ca,
        "bytes": pem,
        "text": pem.decode(),
        "path": folder / "ca.pem",
        "path as text": str(folder / "ca.pem"),
        "folder": folder,
        "x509": x509.load_pem_x509_certificate(pem),
        "list": [pem, ca],
    }


def test_trust_accepts_certificates_in_every_form(address: tuple[str, int], ca: trustme.CA, tmp_path: Path) -> None:
    with Proxy(hosts={HOST: address}) as proxy:
        for name, form in _forms(ca, tmp_path).items():
            proxy.trust(form)
            assert (name, get(proxy), len(proxy.trusted)) == (name, 200, 1)
            proxy.distrust(form)
            assert (name, get(proxy), len(proxy.trusted)) == (name, 502, 0)


def test_a_servers_own_certificate_is_trusted_as_such() -> None:
    pki = mint({"self": {"subject": [f"CN={HOST}"], "key": "ec-p256", "sans": [f"dns:{HOST}"]}})
    leaf = trustme.CA().issue_cert(HOST)
    with Proxy(trust=[pki["self"], leaf]) as proxy:
        subjects = [each.subject.rfc4514_string() for each in proxy.trusted.certificates]
    assert subjects[0] == f"CN={HOST}"
    assert len(subjects) == 2


def test_all_invalid_certificates_are_reported_at_once(tmp_path: Path) -> None:
    wrong: Any = [b"nonsense", tmp_path / "no.pem", 7]
    with pytest.raises(TrustStoreError) as caught:
        Proxy(trust=wrong)
    assert "the PEM given: holds no PEM certificate" in str(caught.value)
    assert "no.pem: cannot be read" in str(caught.value)
    assert "7: not a certificate to trust" in str(caught.value)


@pytest.mark.parametrize("form", ["text", "path", "rules"])
def test_given_rules_replace_the_default(address: tuple[str, int], ca: trustme.CA, tmp_path: Path, form: str) -> None:
    text = f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:8443/cucm-uds/,,,prefix,\n"
    (tmp_path / "rules.csv").write_text(text)
    rules: Any = {"text": text, "path": tmp_path / "rules.csv", "rules": automatic_rules(HOST)}[form]
    with Proxy(hosts={HOST: address}, trust=ca, rules=rules) as proxy:
        assert get(proxy) == 200
        assert get(proxy, f"https://{HOST}:8443/axl/") == 403
        proxy.trust(ca)  # rules stay when something else changes
        assert get(proxy, f"https://{HOST}:8443/axl/") == 403


def test_rules_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"rules:1: column 'Uri' is unknown"):
        Proxy(rules="Uri,Deployment,HttpMethods,MatchType,Description\n")
    with pytest.raises(ConfigError, match=r"no\.csv: cannot be read"):
        Proxy(rules="no.csv")


def test_a_configuration_is_used_unchanged(address: tuple[str, int], ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = from_mapping(
        {
            "proxy": {"listen": "127.0.0.1:0"},
            "trust": {"store": "ca.pem"},
            "hosts": {HOST: {"dial": address[0], "ports": {8443: address[1]}}},
        },
        tmp_path,
    )
    with Proxy(config, trust=trustme.CA()) as proxy:
        assert get(proxy) == 200
        assert get(proxy, f"https://{HOST}:8443/axl/") == 403  # its own allow list: automatic rules
        assert len(proxy.trusted) == 2
    assert "/cucm-uds/version" in (tmp_path / "traffic_server.log").read_text()


def test_tables_and_verify_mode(misnamed: tuple[str, int], ca: trustme.CA, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Proxy(
        hosts={HOST: misnamed}, trust=ca, verify="audit", log_file=log, upstream={"connections": "keep-alive"}
    ) as proxy:
        assert get(proxy) == 200
        assert proxy.config.upstream.connections == "keep-alive"
        judged = proxy.refused(HOST, because="name-not-in-certificate")
        assert not judged
        assert "although name-not-in-certificate (8443)" in repr(judged)
    assert "Action=Continue" in log.read_text()


# -- messages of assertions


def test_the_message_of_a_failing_assertion_says_what_happened(misnamed: tuple[str, int], ca: trustme.CA) -> None:
    with Proxy(hosts={HOST: misnamed}, trust=ca) as proxy:
        assert repr(proxy.refused(HOST)) == f"{HOST} was not refused: no request came in"
        get(proxy)
        right = proxy.refused(HOST, because="name-not-in-certificate")
        assert right
        assert repr(right) == f"{HOST} was refused because of name-not-in-certificate"
        wrong = {
            proxy.refused(HOST, because="self-signed"): (
                f"{HOST} was refused, but because of name-not-in-certificate (8443), not self-signed"
            ),
            proxy.refused(HOST, port=6972): f"{HOST}:6972 was not refused: it was requested on 8443 only",
            proxy.refused("cucm2.steven.lab"): (
                f"cucm2.steven.lab was not refused: it was not requested; did you mean '{HOST}'? "
                f"Requested: {HOST}:8443, {HOST} (name-not-in-certificate)"
            ),
            proxy.allowed(HOST): (
                f"{HOST} was not allowed: GET {URL} got 502 connect failed, dialled at "
                f"{host_port(*misnamed)} (name-not-in-certificate (8443))"
            ),
        }
        for judged, text in wrong.items():
            assert not judged
            assert repr(judged) == text
        proxy.clear()
        proxy.verify_origin_server("Off")
        get(proxy)
        assert repr(proxy.refused(HOST)) == f"{HOST} was not refused: GET {URL} got 200 OK"
        get(proxy, "https://nowhere.lab:8443/")
        assert repr(proxy.allowed("nowhere.lab")) == (
            "nowhere.lab was not allowed: GET https://nowhere.lab:8443/ got 403 Forbidden (host nowhere.lab is not in "
            "[hosts], and no rule names it) (not-allowed (8443))"
        )
        assert proxy.findings[0].cause.count("[hosts]") == 1
        proxy.clear()
        get(proxy, f"https://x{HOST}:8443/")
        assert proxy.findings[0].cause.endswith(f"; did you mean {HOST}?")  # and no full stop after it


def test_an_unknown_code_is_an_error_and_not_false() -> None:
    with Proxy() as proxy, pytest.raises(UnknownCodeError, match="did you mean 'name-not-in-certificate"):
        proxy.refused(HOST, because="name-not-in-cert")


@pytest.mark.parametrize("url", ["ftp://a/", "https:///x", "https://a:99999/", "https://a b/", "https://u@a/", "x"])
def test_a_url_that_leads_nowhere(url: str) -> None:
    with pytest.raises(InputError, match="such as https://cucm"):
        Proxy().url(for_=url)


@pytest.mark.parametrize(
    ("url", "target", "rest"),
    [
        ("https://A.lab/x%2fy?b=%3D&c", Target("steven.lab", "https", "a.lab", 443), "/x%2fy?b=%3D&c"),
        ("http://10.48.36.215", Target("steven.lab", "http", "10.48.36.215", 80), "/"),
        ("https://[2001:DB8:0::1]:8443/?", Target("steven.lab", "https", "2001:db8::1", 8443), "/"),
    ],
)
def test_urls_have_a_token_and_the_rest_of_the_path(url: str, target: Target, rest: str) -> None:
    assert Proxy().url(for_=url) == f"http://:0/{encode(target)}{rest}"
    assert Proxy(domain="b.lab").url(for_=url) == f"http://:0/{encode(target._replace(domain='b.lab'))}{rest}"


def test_a_port_in_use_is_an_error_in_both_forms(address: tuple[str, int]) -> None:
    taken = from_mapping({"proxy": {"listen": f"{address[0]}:{address[1]}"}, "log": {"file": os.devnull}})
    before = threading.active_count()
    with pytest.raises(ListenError, match="cannot be listened on"):
        Proxy(taken).__enter__()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("On", "on"),
        ("OFF", "off"),
        ("ENFORCED", "on"),
        ("Disabled", "off"),
        ("PERMISSIVE", "audit"),
        ("audit", "audit"),
    ],
)
def test_verify_origin_server_takes_every_word_of_the_configuration(value: str, mode: str) -> None:
    with Proxy() as proxy:
        proxy.verify_origin_server(value)
        assert proxy.config.verify_mode == mode


@pytest.mark.parametrize("value", ["Of", "enabled", "", True, None])
def test_verify_origin_server_refuses_other_words(value: Any) -> None:
    with pytest.raises(InputError, match="neither On nor Off"):
        Proxy().verify_origin_server(value)


def test_a_host_in_two_spellings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"hosts\.'a\.lab': is listed twice, in two spellings"):
        Proxy(hosts={"A.lab": ("127.0.0.1", 1), "a.lab": ("127.0.0.1", 2)})


# -- nothing is left behind


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_200_labs_in_one_process_leave_nothing_behind() -> None:
    pki = mint()
    alive: list[weakref.ref[object]] = []

    async def some(count: int) -> None:
        for number in range(count):
            async with Lab(pki=pki) as lab:
                if number % 10 == 0:
                    assert not (await lab.login()).ok
                alive.extend(weakref.ref(part) for part in (lab, lab.proxy, lab.cucm, lab.cucm.uds))
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(some(1))  # allocates what a process allocates once
    files, threads = _open_files(), threading.active_count()
    asyncio.run(some(199))
    gc.collect()
    assert (_open_files(), threading.active_count()) == (files, threads)
    assert len(alive) == 800
    assert [part() for part in alive if part() is not None] == []


def test_servers_in_threads_leave_nothing_behind(pki: Pki, tmp_path_factory: Any) -> None:
    with Lab(pki=pki), Proxy():
        pass
    files, threads = _open_files(), threading.active_count()
    for _ in range(20):
        with Lab(pki=pki), Proxy():
            pass
    assert (_open_files(), threading.active_count()) == (files, threads)


def test_a_lab_in_a_thread_reads_as_the_contract_says(pki: Pki) -> None:
    with Lab(release="X14.2", pki=pki) as lab:
        assert not lab.login("emusk").ok
        assert lab.findings[0].code == "self-signed"
        assert lab.refused(HOST, because="self-signed", port=6972)
        lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        assert lab.login("emusk").ok
        lab.upgrade("X14.0.7")
        lab.distrust(lab.cucm.certificate("tomcat-ECDSA"))
        assert lab.login("emusk").ok
        assert lab.allowed(HOST)


async def test_a_lab_of_another_loop_can_be_awaited(pki: Pki) -> None:
    whole = Lab(pki=pki, scenario="ip")
    with whole:
        assert not (await whole.login()).ok
        assert whole.refused("10.48.36.215", because="name-not-in-certificate")
        await whole.upgrade("X14.0.7")
        assert (await whole.login()).ok


def test_a_scenario_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="did you mean 'fqdn'"):
        Lab(scenario="fqnd")
