"""Clients of other projects use a lab as a real CUCM: ciscoaxl, zeep, requests and curl.

zeep needs a WSDL to call an operation. Cisco's are not in this repository: ciscoaxl includes Cisco's AXL schema, and
for zeep alone tests/mocks/wsdl has our own WSDLs. Nodes serve no WSDL, because clients load theirs from a file.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from defusedxml.ElementTree import fromstring

from mralab.lab.lab import ADMINISTRATOR, PASSWORD, Lab, SyncLab
from mralab.mocks.cluster import Device, Person
from mralab.mocks.imp import Imp
from mralab.mocks.pki import Pki

WSDL = Path(__file__).parents[1] / "mocks" / "wsdl"
CUCM = "https://cucm.steven.lab:8443"
UDS = f"{CUCM}/cucm-uds"
REALM = 'Basic realm="Cisco Web Services Realm"'
USERS = {"emusk": PASSWORD, "jdoe": "secret1", "jroe": "secret2"}
PHONES = tuple(Device(f"SEP00000000000{number}") for number in range(150))


@pytest.fixture
def lab(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncLab]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests takes them even where a client verifies nothing
        monkeypatch.delenv(name, raising=False)
    with Lab("X14.2", scenario="healthy", pki=pki, users=USERS) as running:
        running.cucm.cluster.people = {
            "emusk": Person(devices=PHONES),
            "jdoe": Person("Jane", "Doe", "jane@steven.lab", "1001"),
            "jroe": Person("John", "Roe", "john@steven.lab", "1002"),
        }
        yield running


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("version", ["11.5", "12.5"])
def test_ciscoaxl_lists_the_nodes(lab: SyncLab, version: str) -> None:
    ciscoaxl: Any = pytest.importorskip("ciscoaxl", reason="needs the package ciscoaxl, which has Cisco's AXL schema")
    ucm = ciscoaxl.axl(ADMINISTRATOR, PASSWORD, "127.0.0.1", version, lab.cucm.ports[8443])
    names = [node["name"] for node in ucm.list_process_nodes()]
    assert names == ["EnterpriseWideData", "cucm.steven.lab", "cucm-sub.steven.lab"]
    assert ucm.get_user("jdoe")["lastName"] == "Doe"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_zeep_lists_the_nodes(lab: SyncLab) -> None:
    with requests.Session() as session:
        session.auth, session.verify, session.trust_env = (ADMINISTRATOR, PASSWORD), False, False
        untyped: Any = zeep
        made = untyped.Client(str(WSDL / "axl.wsdl"), transport=untyped.Transport(session=session))
        axl = made.create_service("{http://www.cisco.com/AXLAPIService/}AxlBinding", f"{lab.cucm.urls[8443]}axl/")
        roles = ("CUCM Voice/Video", "CUCM IM and Presence")
        found = {
            role: [node["name"] for node in axl.listProcessNode({"name": "%", "processNodeRole": role}, {"name": ""})]
            for role in roles
        }
    assert found == {
        "CUCM Voice/Video": ["EnterpriseWideData", "cucm.steven.lab", "cucm-sub.steven.lab"],
        "CUCM IM and Presence": ["imp.steven.lab"],
    }


def test_zeep_logs_in_to_im_and_presence_through_the_proxy(lab: SyncLab) -> None:
    with requests.Session() as session:
        session.trust_env = False
        untyped: Any = zeep
        made = untyped.Client(str(WSDL / "epas.wsdl"), transport=untyped.Transport(session=session))
        url = lab.proxy.url("https://imp.steven.lab:8443/EPASSoap/service/v80")
        service = made.create_service("{urn:cisco:epas:soap}EpasBinding", url)
        key = service.login("emusk", PASSWORD, **{"client-type": "CUPC", "force": "true"})["session-key"]
        with pytest.raises(zeep.exceptions.Fault, match="User name or password of emusk is wrong"):
            service.login("emusk", "wrong", **{"client-type": "CUPC", "force": "true"})
    imp = lab.nodes["imp"]
    assert isinstance(imp, Imp)
    assert imp.sessions.user(key) == "emusk"
    assert lab.allowed("imp.steven.lab", port=8443)


Send = Callable[..., tuple[int, dict[str, str], str]]
"""URL, user and password, method -> status, headers by their names in lower case, and body."""


def _body(method: str) -> str:
    return "" if method == "GET" else "<credentials><password>new</password></credentials>"


def by_requests(lab: SyncLab) -> Send:
    def send(url: str, user: tuple[str, str] | None = None, method: str = "GET") -> tuple[int, dict[str, str], str]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, lab.proxy.url(url), auth=user, data=_body(method), timeout=10)
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text

    return send


def by_curl(lab: SyncLab) -> Send:
    def send(url: str, user: tuple[str, str] | None = None, method: str = "GET") -> tuple[int, dict[str, str], str]:
        credentials = ["-u", ":".join(user)] if user else []
        body = ["-d", _body(method)] if _body(method) else []
        command = ["curl", "-sSi", "--noproxy", "*", "-X", method, *credentials, *body, lab.proxy.url(url)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        head, _, content = out.partition("\n\n")  # text mode reads CRLF as LF
        status, *fields = head.splitlines()
        parts = (field.partition(": ") for field in fields)
        return int(status.split()[1]), {name.lower(): value for name, _, value in parts}, content

    return send


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(by_requests, id="requests"),
        pytest.param(by_curl, id="curl", marks=pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")),
    ],
)
def test_the_whole_of_uds_through_the_proxy(lab: SyncLab, client: Callable[[SyncLab], Send]) -> None:
    send = client(lab)
    me, wrong = ("emusk", PASSWORD), ("emusk", "wrong")

    def texts(path: str, name: str, user: tuple[str, str] | None = me) -> list[str | None]:
        status, _, body = send(f"{UDS}/{path}", user)
        assert status == 200, path
        return [each.text for each in fromstring(body).iter(name)]

    assert texts("version", "usersResourceAuthEnabled", None) == ["true"]
    assert texts("servers", "server", None) == ["cucm.steven.lab", "cucm-sub.steven.lab"]
    assert texts("clusterUser?username=emusk", "homeCluster", None) == ["cucm.steven.lab"]
    assert texts("clusterUser?email=jane@steven.lab", "homeCluster", None) == ["cucm.steven.lab"]
    assert '<result found="false"' in send(f"{UDS}/clusterUser?username=none")[2]
    assert texts("user/emusk", "userName") == ["emusk"]
    phones = [device.name for device in PHONES]
    assert texts("user/emusk/devices", "name") == phones
    assert texts("user/emusk/devices?max=100", "name") == phones[:100]
    assert texts("user/emusk/devices?max=100&start=100", "name") == phones[100:]
    assert texts("users?name=j", "userName") == ["jdoe", "jroe"]
    assert texts("users?last=roe", "userName") == ["jroe"]
    assert texts("users?name=j&max=1", "userName") == ["jdoe"]
    assert texts("users?name=j&max=1&start=1", "userName") == ["jroe"]
    assert send(f"{UDS}/user/emusk/credentials", me, "PUT")[0] == 204
    for path in ("user/emusk", "user/emusk/devices", "users"):
        for user in (None, wrong):
            status, headers, _ = send(f"{UDS}/{path}", user)
            assert (status, headers["www-authenticate"]) == (401, REALM), path
    assert send(f"{UDS}/user/jdoe", me)[0] == 403
    assert send(f"{UDS}/clusterUser", me)[0] == 400
    assert send(f"{UDS}/private/users", me)[0] == 404


@pytest.mark.parametrize(
    "url",
    [
        f"{UDS}/private/users",
        "https://cucm.steven.lab:6972/CSFemusk.cnf.xml.sgn",
        "https://unity.steven.lab:7443/anything",
        "https://imp.steven.lab:8443/EPASSoap/service/v90",
    ],
)
def test_the_log_names_what_a_node_does_not_have(lab: SyncLab, url: str) -> None:
    assert by_requests(lab)(url, None, "POST" if "EPASSoap" in url else "GET")[0] == 404
    (allowed,) = (line for line in lab.log if 'Event="Request Allowed"' in line)
    assert f'Request="{url}"' in allowed
    (received,) = (line for line in lab.log if 'Detail="Receive Response"' in line)
    assert received.endswith('Msg="HTTP/1.1 404 "')
