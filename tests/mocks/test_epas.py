"""The IM and Presence node: a SOAP client logs in, reads its settings and gets a password for XMPP; failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep

from mralab.mocks.cluster import Cluster, Person
from mralab.mocks.cucm import Cucm
from mralab.mocks.imp import Imp
from mralab.mocks.node_certificates import NodeCertificates
from mralab.mocks.pki import Pki

from .client import Answer, Client, asking_first, client, handshake

WSDL = Path(__file__).with_name("wsdl") / "epas.wsdl"
USERS = {"emusk": "secret", "jdoe": "x"}
ADDRESSES = ["/EPASSoap/service", *(f"/EPASSoap/service/{version}" for version in ("v70", "v80", "v105", "latest"))]


@pytest.fixture
async def imp(pki: Pki) -> AsyncIterator[Imp]:
    cluster = Cluster(dict(USERS), people={"jdoe": Person(im_and_presence=False)})
    async with (
        Cucm(pki, {}, cluster=cluster),
        Cucm(pki, {}, cluster=cluster, fqdn="cucm-sub.steven.lab", ip="10.48.36.216"),
        Imp(NodeCertificates(pki, "imp"), cluster) as running,
    ):
        yield running


@pytest.fixture
async def epas(imp: Imp) -> AsyncIterator[Client]:
    async with client(imp) as running:
        yield running


async def call(
    epas: Client, operation: str, content: str = "", path: str = "/EPASSoap/service/v80", key: str = ""
) -> Answer:
    header = f"<s:Header><n:session-key>{key}</n:session-key></s:Header>" if key else ""
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:n="urn:cisco:epas:soap">'
        f"{header}<s:Body>{content or f'<n:{operation}/>'}</s:Body></s:Envelope>"
    )
    action = f"urn:cisco:epas:soap/EpasSoapServiceInterface/{operation}"
    headers = {"Content-Type": "application/soap+xml; charset=utf-8", "SOAPAction": action}
    return await epas.send(path, "POST", body=body, headers=headers)


def login(user: str = "emusk", password: str = USERS["emusk"], force: str = "true") -> str:
    return (
        f'<n:login client-version="14" client-type="CUPC" force="{force}">'
        f"<n:username>{user}</n:username><n:password>{password}</n:password></n:login>"
    )


async def log_in(epas: Client, **how: str) -> str:
    (key,) = (await call(epas, "login", login(**how))).texts("session-key")
    return str(key)


async def failure(answer: Answer) -> str:
    assert answer.status == 500
    assert answer.headers["Content-Type"].startswith("application/soap+xml")
    assert answer.texts("Value") == ["env:Sender"]
    error = answer.xml.find(".//{urn:cisco:epas:soap}error")
    assert error is not None
    assert answer.texts("Text") == [error.text]
    return str(error.get("code"))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("path", ADDRESSES)
async def test_zeep_logs_in(imp: Imp, path: str) -> None:
    def session_key() -> Any:
        session = requests.Session()
        session.verify, session.trust_env = False, False
        untyped: Any = zeep
        made = untyped.Client(str(WSDL), transport=untyped.Transport(session=session, operation_timeout=10))
        service = made.create_service("{urn:cisco:epas:soap}EpasBinding", f"{imp.urls[8443].rstrip('/')}{path}")
        return service.login("emusk", "secret", **{"client-type": "CUPC", "force": "true"})["session-key"]

    assert imp.sessions.user(await asyncio.to_thread(session_key)) == "emusk"


async def test_a_session_reads_settings_and_gets_a_password_for_xmpp(epas: Client, imp: Imp) -> None:
    answer = await call(epas, "login", login("emusk@steven.lab"))
    assert answer.xml[0][0].tag == "{urn:cisco:epas:soap}login-resp"
    assert answer.texts("version") == ["v70", "v80", "v105", "latest"]
    key = str(answer.texts("session-key")[0])
    config = await call(epas, "get-all-config", key=key)
    properties = {each.get("name"): each.text for each in config.xml.iter("{urn:cisco:epas:soap}property")}
    assert properties == {
        "Presence.Domain": "steven.lab",
        "Presence.JID": "emusk@steven.lab",
        "Presence.Primary.Address": "imp.steven.lab",
        "CallControl.Primary.Address": "cucm.steven.lab",
        "CallControl.Backup1.Address": "cucm-sub.steven.lab",
    }
    passwords = [(await call(epas, "get-onetime-password", key=key)).texts("password")[0] for _ in range(2)]
    assert len(set(passwords)) == 2
    assert {imp.one_time_passwords.user(str(each)) for each in passwords} == {"emusk"}
    assert (await call(epas, "logout", key=key)).status == 200
    assert await failure(await call(epas, "get-all-config", key=key)) == "invalid-session"


async def test_a_forced_login_ends_the_users_other_sessions(epas: Client, imp: Imp) -> None:
    first, second = await log_in(epas, force="false"), await log_in(epas, force="false")
    assert imp.sessions.user(first) == imp.sessions.user(second) == "emusk"
    third = await log_in(epas)
    assert [imp.sessions.user(each) for each in (first, second, third)] == [None, None, "emusk"]


@pytest.mark.parametrize(
    ("user", "password", "code"),
    [
        ("emusk", "wrong", "authentication-failed"),
        ("nobody", "", "authentication-failed"),
        ("emusk@other.lab", "secret", "authentication-failed"),
        ("jdoe", "x", "not-enabled"),
    ],
)
async def test_logins_that_fail(epas: Client, user: str, password: str, code: str) -> None:
    assert await failure(await call(epas, "login", login(user, password))) == code


async def test_a_session_key_is_needed(epas: Client) -> None:
    for operation in ("get-all-config", "get-onetime-password", "logout"):
        assert await failure(await call(epas, operation)) == "invalid-session"
        assert await failure(await call(epas, operation, key="x")) == "invalid-session"


async def test_only_login_is_on_the_uri_without_a_version(epas: Client) -> None:
    key = await log_in(epas)
    answer = await call(epas, "get-all-config", key=key, path="/EPASSoap/service")
    assert await failure(answer) == "unknown-operation"
    assert await failure(await call(epas, "get-contacts", key=key)) == "unknown-operation"


async def test_other_uris_and_methods(epas: Client) -> None:
    assert (await call(epas, "login", login(), path="/EPASSoap/service/v60")).status == 404
    assert (await epas.send("/EPASSoap/service?wsdl")).status == 405
    assert (await epas.send("/EPASSoap/", "POST")).status == 404


async def test_soap_1_1_is_answered_in_kind_and_nonsense_is_a_fault(epas: Client) -> None:
    envelope = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><logout/></e:Body></e:Envelope>'
    answer = await epas.send("/EPASSoap/service/v80", "POST", body=envelope)
    assert (answer.status, answer.texts("faultcode")) == (500, ["soapenv:Server"])
    assert await failure(await epas.send("/EPASSoap/service/v80", "POST", body="<!DOCTYPE a><a/>")) == "invalid-request"


@pytest.mark.parametrize("port", [8443, 443])
async def test_it_has_its_own_certificates(imp: Imp, pki: Pki, port: int) -> None:
    for https_ciphers, name in (("rsa", "imp-tomcat"), ("all", "imp-tomcat-ECDSA")):
        imp.https_ciphers = https_ciphers
        printed = await asyncio.to_thread(handshake, imp.ports[port], asking_first("ECDSA"))
        assert pki[name].pem.strip() in printed


async def test_it_has_axl_as_well(epas: Client) -> None:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        '<a:listProcessNode xmlns:a="http://www.cisco.com/AXL/API/14.0"><searchCriteria>'
        "<processNodeRole>CUCM IM and Presence</processNodeRole></searchCriteria></a:listProcessNode>"
        "</e:Body></e:Envelope>"
    )
    answer = await epas.send("/axl/", "POST", user=("administrator", "cisco123"), body=body)
    assert answer.texts("name") == ["imp.steven.lab"]
