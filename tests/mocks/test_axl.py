"""AXL: zeep and preflight as clients, roles, faults in AXL's form, versions, and Expressway-C's names."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep

from mralab.mocks.application import MAX_BODY
from mralab.mocks.cluster import ADMINISTRATOR, STANDARD_AXL, Cluster, ExpresswayC, Person
from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki
from tests.cli.command import mralab

from .client import Answer, Client, client

WSDL = Path(__file__).with_name("wsdl") / "axl.wsdl"
ADMIN = (ADMINISTRATOR, "cisco123")
USERS = {"emusk": "secret", "jdoe": "x"}
ALL_NODES = "<searchCriteria><name>%</name></searchCriteria>"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(dict(USERS), people={"jdoe": Person("Jane", "Doe", "jane@steven.lab", "1001", "Sales")})


@pytest.fixture
async def cucm(pki: Pki, cluster: Cluster) -> AsyncIterator[Cucm]:
    async with (
        Cucm(pki, {}, cluster=cluster) as publisher,
        Cucm(pki, {}, cluster=cluster, fqdn="cucm-sub.steven.lab", ip="10.48.36.216"),
    ):
        yield publisher


@pytest.fixture
async def axl(cucm: Cucm) -> AsyncIterator[Client]:
    async with client(cucm) as running:
        yield running


def envelope(operation: str, content: str = "", version: str = "14.0") -> str:
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<a:{operation} xmlns:a="http://www.cisco.com/AXL/API/{version}">{content}</a:{operation}>'
        "</e:Body></e:Envelope>"
    )


async def call(
    axl: Client, operation: str, content: str = "", version: str = "14.0", user: tuple[str, str] | None = ADMIN
) -> Answer:
    headers = {"Content-Type": "text/xml", "SOAPAction": f'"CUCM:DB ver={version} {operation}"'}
    return await axl.send("/axl/", "POST", user=user, body=envelope(operation, content, version), headers=headers)


async def fault(axl: Client, operation: str, content: str = "") -> tuple[str, str]:
    """Return code and text of the fault with which a call ends."""
    answer = await call(axl, operation, content)
    assert (answer.status, answer.texts("faultcode")) == (500, ["soapenv:Server"])
    assert answer.texts("request") == [operation]
    (code,), (text,) = answer.texts("axlcode"), answer.texts("axlmessage")
    assert answer.texts("faultstring") == [text]
    return str(code), str(text)


def service(cucm: Cucm, user: tuple[str, str] = ADMIN) -> Any:
    """Return a zeep client of the AXL mock, made from our own WSDL."""
    session = requests.Session()
    session.auth, session.verify, session.trust_env = user, False, False
    untyped: Any = zeep
    made = untyped.Client(str(WSDL), transport=untyped.Transport(session=session, timeout=10, operation_timeout=10))
    return made.create_service("{http://www.cisco.com/AXLAPIService/}AxlBinding", f"{cucm.urls[8443]}axl/")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_zeep_lists_nodes_and_writes_expressway_cs_names(cucm: Cucm, cluster: Cluster) -> None:
    def walk() -> tuple[Any, Any, Any]:
        axl = service(cucm)
        search = {"name": "%", "processNodeRole": "CUCM Voice/Video"}
        nodes = axl.listProcessNode(search, {"name": "", "nodeUsage": ""})
        version = axl.getCCMVersion()["version"]
        names = {"HostNameOrIP": "vcsc.steven.lab", "X509SubjectNameorSubjectAlternateName": "vcsc.steven.lab"}
        return nodes, version, axl.addExpresswayCConfiguration(names)

    nodes, version, key = await asyncio.to_thread(walk)
    assert [(node["name"], node["nodeUsage"]) for node in nodes] == [
        ("EnterpriseWideData", "Publisher"),
        ("cucm.steven.lab", "Publisher"),
        ("cucm-sub.steven.lab", "Subscriber"),
    ]
    assert {node["processNodeRole"] for node in nodes} == {None}
    assert version.startswith("14.0.1.")
    assert key.startswith("{")
    assert cluster.expressways == {"vcsc.steven.lab": ExpresswayC("vcsc.steven.lab", "", "vcsc.steven.lab")}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_zeep_reads_the_faults(cucm: Cucm) -> None:
    def failures() -> tuple[str, str, str]:
        with pytest.raises(zeep.exceptions.Fault) as unknown:
            service(cucm).listCss()
        with pytest.raises(zeep.exceptions.Fault) as forbidden:
            service(cucm, ("jdoe", "x")).getCCMVersion()
        with pytest.raises(zeep.exceptions.TransportError) as refused:
            service(cucm, ("jdoe", "wrong")).getCCMVersion()
        return unknown.value.message, forbidden.value.message, str(refused.value.status_code)

    unknown, forbidden, refused = await asyncio.to_thread(failures)
    assert unknown.startswith("listCss is not an operation of this mock; it has addExpresswayCConfiguration, ")
    assert forbidden == f'User jdoe is not authorized: it needs the role "{STANDARD_AXL}"'
    assert refused == "401"


async def test_preflight_finds_the_nodes(cucm: Cucm, pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pki["steven-DC-CA"].pem)
    (tmp_path / "lab.toml").write_text(
        f'[hosts]\n"cucm.steven.lab" = {{ dial = "127.0.0.1", ports = {{ 8443 = {cucm.uds_port} }} }}\n'
        '"cucm-sub.steven.lab" = { dial = "127.0.0.1", ports = { 8443 = 1, 6971 = 1, 6972 = 1 } }\n'
    )
    result = await asyncio.to_thread(
        mralab,
        *("preflight", "-c", str(tmp_path / "lab.toml"), "--trust", str(tmp_path / "ca.pem"), "--json"),
        *("--axl", "cucm.steven.lab", "--axl-user", ADMINISTRATOR),
        environment={"MRALAB_AXL_PASSWORD": "cisco123"},
    )
    assert "cucm-sub.steven.lab:8443" in result.stdout, result.stderr
    assert "EnterpriseWideData" not in result.stdout


async def test_a_client_can_test_its_password(axl: Client) -> None:
    assert (await axl.send("/axl/")).status == 401
    assert (await axl.send("/axl/", user=("jdoe", "x"))).status == 403
    assert (await axl.send("/axl", user=ADMIN)).status == 200
    assert (await axl.send("/axl/", "PUT", user=ADMIN)).status == 405


async def test_an_end_user_with_the_role_may_call(axl: Client, cluster: Cluster) -> None:
    assert (await call(axl, "getCCMVersion", user=("jdoe", "x"))).status == 403
    cluster.roles = {"jdoe": [STANDARD_AXL]}
    assert (await call(axl, "getCCMVersion", user=("jdoe", "x"))).status == 200
    assert (await call(axl, "getCCMVersion")).status == 403


@pytest.mark.parametrize("version", ["11.5", "12.0", "12.5", "14.0"])
async def test_the_response_has_the_version_of_the_request(axl: Client, version: str) -> None:
    answer = await call(axl, "getCCMVersion", version=version)
    assert answer.xml[0][0].tag == f"{{http://www.cisco.com/AXL/API/{version}}}getCCMVersionResponse"


@pytest.mark.parametrize("version", ["10.5", "15.0", "x"])
async def test_an_unknown_version_is_599_with_those_supported(axl: Client, version: str) -> None:
    answer = await call(axl, "getCCMVersion", version=version)
    assert (answer.status, answer.body) == (
        599,
        b"Incorrect axl version. Supported axl versions: [11.5, 12.0, 12.5, 14.0]",
    )


async def test_without_a_namespace_the_soap_action_has_the_version(axl: Client) -> None:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><getCCMVersion/></e:Body></e:Envelope>'
    )
    headers = {"SOAPAction": "CUCM:DB ver=12.5 getCCMVersion"}
    assert (await axl.send("/axl/", "POST", user=ADMIN, body=body, headers=headers)).status == 200
    assert (await axl.send("/axl/", "POST", user=ADMIN, body=body)).status == 599


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("<userid>%</userid>", ["emusk", "jdoe"]),
        ("<userid>J%</userid>", ["jdoe"]),
        ("<userid>%do%</userid>", ["jdoe"]),
        ("<userid>jdoe</userid>", ["jdoe"]),
        ("<userid>doe</userid>", []),
        ("<lastName>%o%e</lastName><firstName>%</firstName>", ["jdoe"]),
        ("<userid>jd%doe</userid>", []),
    ],
)
async def test_users_are_searched(axl: Client, search: str, names: list[str]) -> None:
    answer = await call(
        axl, "listUser", f"<searchCriteria>{search}</searchCriteria><returnedTags><userid/></returnedTags>"
    )
    assert answer.texts("userid") == names
    assert answer.texts("firstName") == []


async def test_many_wildcards_take_little_time(axl: Client, cluster: Cluster) -> None:
    cluster.users = {"a" * 5000: "x"}
    pattern = "%a" * 2000 + "%b"
    assert (await call(axl, "listUser", f"<searchCriteria><userid>{pattern}</userid></searchCriteria>")).texts(
        "user"
    ) == []


async def test_lists_in_pages(axl: Client) -> None:
    every = "<searchCriteria><name>%</name></searchCriteria><returnedTags><name/></returnedTags>"
    assert (await call(axl, "listPhone", every)).texts("name") == ["CSFemusk", "CSFjdoe"]
    assert (await call(axl, "listPhone", f"{every}<skip>1</skip><first>5</first>")).texts("name") == ["CSFjdoe"]
    assert (await call(axl, "listPhone", f"{every}<first>1</first>")).texts("name") == ["CSFemusk"]
    assert await fault(axl, "listPhone", f"{every}<first>all</first>") == ("-1", "first is not a number")


async def test_a_user_and_a_phone(axl: Client) -> None:
    user = await call(axl, "getUser", "<userid>jdoe</userid>")
    assert (user.texts("telephoneNumber"), user.texts("device")) == (["1001"], ["CSFjdoe"])
    phone = await call(axl, "getPhone", "<name>CSFjdoe</name>")
    assert phone.texts("ownerUserName") == ["jdoe"]
    uuid = str(phone.xml[0][0][0][0].get("uuid"))
    assert (await call(axl, "getPhone", f"<uuid>{uuid.lower()}</uuid>")).texts("name") == ["CSFjdoe"]


@pytest.mark.parametrize(
    ("operation", "content", "code", "text"),
    [
        ("getUser", "<userid>x</userid>", "5007", "Item not valid: The specified User was not found"),
        ("getPhone", "<name>x</name>", "5007", "Item not valid: The specified Phone was not found"),
        ("getUser", "", "-1", "getUser needs userid or uuid"),
        ("listUser", "", "-1", "searchCriteria is missing or empty; possible are userid, firstName"),
        (
            "listProcessNode",
            "<searchCriteria><mac>1</mac></searchCriteria>",
            "-1",
            "searchCriteria has no mac; possible",
        ),
        ("addExpresswayCConfiguration", "", "-1", "addExpresswayCConfiguration needs expresswayCConfiguration"),
    ],
)
async def test_faults(axl: Client, operation: str, content: str, code: str, text: str) -> None:
    got = await fault(axl, operation, content)
    assert got[0] == code
    assert got[1].startswith(text)


async def test_an_expressway_c_is_added_changed_and_removed(axl: Client, cluster: Cluster) -> None:
    def names(**fields: str) -> str:
        return "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())

    given = names(HostNameOrIP="c1", description="one", X509SubjectNameorSubjectAlternateName="c1.steven.lab")
    add = f"<expresswayCConfiguration>{given}</expresswayCConfiguration>"
    (key,) = (await call(axl, "addExpresswayCConfiguration", add)).texts("return")
    assert (await fault(axl, "addExpresswayCConfiguration", add))[0] == "-239"
    got = await call(axl, "getExpresswayCConfiguration", f"<uuid>{key}</uuid>")
    assert got.texts("X509SubjectNameorSubjectAlternateName") == ["c1.steven.lab"]
    change = names(HostNameOrIP="c1", newHostNameOrIP="c2", description="two")
    assert (await call(axl, "updateExpresswayCConfiguration", change)).status == 200
    assert cluster.expressways == {"c2": ExpresswayC("c2", "two", "c1.steven.lab")}
    every = "<searchCriteria><HostNameOrIP>%</HostNameOrIP></searchCriteria>"
    assert (await call(axl, "listExpresswayCConfiguration", every)).texts("HostNameOrIP") == ["c2"]
    assert (await fault(axl, "removeExpresswayCConfiguration", names(HostNameOrIP="c1")))[0] == "5007"
    assert (await call(axl, "removeExpresswayCConfiguration", names(HostNameOrIP="c2"))).status == 200
    assert cluster.expressways == {}
    long = f"<expresswayCConfiguration>{names(HostNameOrIP='c', description='d' * 51)}</expresswayCConfiguration>"
    assert await fault(axl, "addExpresswayCConfiguration", long) == ("-1", "description is longer than 50 characters")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "the request is not XML: "),
        ("<a>", "the request is not XML: "),
        ("<a/>", "the request is not a SOAP envelope"),
        ('<?xml version="1.0" encoding="none"?><a/>', "the request is not XML: "),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a document type is not accepted"),
        (
            '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Envelope>',
            "the SOAP body has 0 operations",
        ),
    ],
)
async def test_an_invalid_request_is_a_fault(axl: Client, body: str, text: str) -> None:
    answer = await axl.send("/axl/", "POST", user=ADMIN, body=body)
    assert answer.status == 500
    assert str(answer.texts("faultstring")[0]).startswith(text)
    assert (await axl.send("/axl/", "POST", body=body)).status == 401


async def test_a_large_request_is_refused(axl: Client) -> None:
    assert (await axl.send("/axl/", "POST", user=ADMIN, body=io.BytesIO(b" " * (MAX_BODY + 1)))).status == 413
