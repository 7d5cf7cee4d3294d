"""UDS beyond what a login needs: discovery by mail, pages, the directory, other methods, several nodes."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator

import pytest
import requests
from defusedxml.ElementTree import fromstring

from mralab.mocks.cluster import Cluster, Device, Person
from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki

from .client import Client, client
from .relay import at

USERS = {"emusk": "secret", "jdoe": "x", "jroe": "y", "Zed": "z"}
PEOPLE = {
    "emusk": Person(mail="Emusk@steven.lab", devices=tuple(Device(f"SEP00000000000{n}") for n in range(5))),
    "jdoe": Person("Jane", "Doe", "jane@steven.lab", "1001", "Sales", im_and_presence=False),
    "jroe": Person("John", "Roe", "john@steven.lab", "1002"),
}
EMUSK = ("emusk", "secret")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(dict(USERS), people=dict(PEOPLE))


@pytest.fixture
async def cucm(pki: Pki, cluster: Cluster) -> AsyncIterator[Cucm]:
    async with Cucm(pki, USERS, cluster=cluster) as running:
        yield running


@pytest.fixture
async def uds(cucm: Cucm) -> AsyncIterator[Client]:
    async with client(cucm) as running:
        yield running


@pytest.mark.parametrize("query", ["username=emusk", "email=EMUSK@steven.lab", "useridentifier=emusk"])
async def test_a_home_cluster_is_found_by_name_and_mail(uds: Client, query: str) -> None:
    answer = await uds.send(f"/cucm-uds/clusterUser?{query}")
    assert at(answer.xml, "result").get("found") == "true"
    assert at(answer.xml, "result").get("uri") == "https://cucm.steven.lab:8443/cucm-uds/user/emusk"


@pytest.mark.parametrize("query", ["username=EMUSK", "email=nobody@steven.lab", "email="])
async def test_a_user_who_is_not_there(uds: Client, query: str) -> None:
    answer = await uds.send(f"/cucm-uds/clusterUser?{query}")
    if query == "email=":
        assert answer.status == 400
    else:
        assert at(answer.xml, "result").get("found") == "false"


async def test_every_node_names_the_publisher_as_home_cluster_and_lists_all(pki: Pki, cluster: Cluster) -> None:
    async with (
        Cucm(pki, {}, cluster=cluster) as publisher,
        Cucm(pki, {}, cluster=cluster, fqdn="cucm-sub.steven.lab", ip="10.48.36.216") as subscriber,
        client(subscriber, 443) as uds,
    ):
        publisher.advertise = "ip"
        found = await uds.send("/cucm-uds/clusterUser?username=emusk")
        assert found.texts("homeCluster") == ["10.48.36.215"]
        servers = await uds.send("/cucm-uds/servers")
        assert servers.texts("server") == ["10.48.36.215", "cucm-sub.steven.lab"]
        user = await uds.send("/cucm-uds/user/emusk", user=EMUSK)
        assert user.texts("uri")[0] == "http://cucm-sub.steven.lab:6970/SPDefault.cnf.xml"
        assert user.status == 200


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("", "01234"), ("?max=2", "01"), ("?start=3", "34"), ("?start=1&max=2", "12"), ("?start=9", ""), ("?max=0", "")],
)
async def test_devices_in_pages(uds: Client, query: str, numbers: str) -> None:
    answer = await uds.send(f"/cucm-uds/user/emusk/devices{query}", user=EMUSK)
    assert answer.texts("name") == [f"SEP00000000000{number}" for number in numbers]
    assert [each.get("uri", "").rpartition("/")[2] for each in answer.xml] == [str(int(each) + 1) for each in numbers]


@pytest.mark.parametrize("query", ["start=x", "max=-1", "max=%D9%A3", "start=1&max=x"])
@pytest.mark.parametrize("path", ["user/emusk/devices", "users"])
async def test_a_page_that_is_no_number_is_a_bad_request(uds: Client, path: str, query: str) -> None:
    assert (await uds.send(f"/cucm-uds/{path}?{query}", user=EMUSK)).status == 400


async def test_the_directory_needs_a_users_password(uds: Client) -> None:
    for user in (None, ("emusk", "wrong")):
        answer = await uds.send("/cucm-uds/users", user=user)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Cisco Web Services Realm"'
    assert (await uds.send("/cucm-uds/users", user=EMUSK)).status == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Zed", "emusk", "jdoe", "jroe"]),
        ("?name=jane%20d", ["jdoe"]),
        ("?name=J", ["jdoe", "jroe"]),
        ("?last=ro", ["jroe"]),
        ("?first=jo&last=doe", []),
        ("?number=100", ["jdoe", "jroe"]),
        ("?email=jane", ["jdoe"]),
        ("?username=ze", ["Zed"]),
        ("?max=1&start=1", ["emusk"]),
    ],
)
async def test_directory_search(uds: Client, query: str, names: list[str]) -> None:
    answer = await uds.send(f"/cucm-uds/users{query}", user=EMUSK)
    assert answer.texts("userName") == names
    assert answer.xml.get("returnedCount") == str(len(names))


async def test_the_directory_counts_what_it_found(uds: Client) -> None:
    root = (await uds.send("/cucm-uds/users?name=j&max=1", user=EMUSK)).xml
    counts = {name: root.get(name) for name in ("start", "requestedCount", "returnedCount", "totalCount")}
    assert counts == {"start": "0", "requestedCount": "1", "returnedCount": "1", "totalCount": "2"}


async def test_a_token_stands_for_its_user(uds: Client, cluster: Cluster) -> None:
    headers = {"Authorization": f"Bearer {cluster.tokens.issue('jdoe')}"}
    assert (await uds.send("/cucm-uds/user/jdoe", headers=headers)).status == 200
    assert (await uds.send("/cucm-uds/user/jroe", headers=headers)).status == 403
    cluster.tokens.revoke_user("jdoe")
    assert (await uds.send("/cucm-uds/user/jdoe", headers=headers)).status == 401


async def test_credentials_are_accepted_from_their_user_and_do_not_change(uds: Client, cluster: Cluster) -> None:
    body = "<credentials><password>new</password></credentials>"
    path = "/cucm-uds/user/emusk/credentials"
    answer = await uds.send(path, "PUT", user=EMUSK, body=body)
    assert (answer.status, answer.reason, answer.body) == (204, "", b"")
    assert cluster.users == USERS
    assert (await uds.send(path, "PUT", body=body)).status == 401
    assert (await uds.send(path, "PUT", user=("jdoe", "x"), body=body)).status == 403
    assert (await uds.send(path, user=EMUSK)).status == 405


async def test_other_methods_and_paths_are_refused_without_a_reason_phrase(uds: Client) -> None:
    answer = await uds.send("/cucm-uds/servers", "DELETE")
    assert (answer.status, answer.reason, answer.headers["Allow"]) == (405, "", "GET, HEAD")
    assert (await uds.send("/cucm-uds/servers", "HEAD")).status == 200
    for path in ("/", "/cucm-uds", "/cucm-uds/private/users", "/cucm-uds/user/emusk/speedDials", "/ccmadmin/"):
        answer = await uds.send(path)
        assert (answer.status, answer.reason, answer.body) == (404, "", b"")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_walks_from_the_user_to_the_files(cucm: Cucm) -> None:
    cucm.advertise = "fqdn"
    places = [f"{cucm.fqdn}:{port}:127.0.0.1:{real}" for port, real in cucm.ports.items()]
    dialled = [option for place in places for option in ("--connect-to", place)]

    async def get(url: str) -> str:
        command = ["curl", "-sSfk", "--noproxy", "*", "-u", "emusk:secret", *dialled, url]
        return await asyncio.to_thread(subprocess.check_output, command, text=True, timeout=20)

    found = fromstring(await get(f"https://{cucm.fqdn}:8443/cucm-uds/clusterUser?username=emusk"))
    user = fromstring(await get(str(at(found, "result").get("uri"))))
    for uri in ("serviceProfile/uri", "jabberProfile/uri"):
        fromstring(await get(str(at(user, uri).text)))
    devices = fromstring(await get(f"{at(found, 'result').get('uri')}/devices?max=1"))
    name = at(devices, "device/name").text
    for port, scheme in ((6970, "http"), (6971, "https"), (6972, "https")):
        file = fromstring(await get(f"{scheme}://{cucm.fqdn}:{port}/{name}.cnf.xml"))
        assert at(file, "deviceName").text == name


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_requests_walks_from_the_servers_to_the_devices(cucm: Cucm) -> None:
    def walk() -> tuple[list[int], list[str | None]]:
        with requests.Session() as session:
            session.verify, session.trust_env, session.auth = False, False, EMUSK
            paths = ("version", "servers", "users?name=j", "user/emusk", "user/emusk/devices?max=2", "user/jdoe")
            answers = [session.get(f"{cucm.urls[8443]}cucm-uds/{path}", timeout=10) for path in paths]
        devices = fromstring(answers[4].content).iter("name")
        return [each.status_code for each in answers], [each.text for each in devices]

    assert await asyncio.to_thread(walk) == ([200, 200, 200, 200, 200, 403], ["SEP000000000000", "SEP000000000001"])
