import asyncio
import ssl
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from defusedxml.ElementTree import fromstring
from yarl import URL

from mralab.lab.cucm import Cucm
from mralab.lab.pki import Pki, mint, read_recipes

from .relay import at, basic

EMUSK = basic("emusk")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=anything)) as session:
        yield session


def uds(cucm: Cucm, path: str) -> URL:
    return URL(f"https://127.0.0.1:{cucm.uds_port}/cucm-uds/{path}", encoded=True)


def tftp(cucm: Cucm, path: str) -> URL:
    return URL(f"https://127.0.0.1:{cucm.tftp_port}/{path}", encoded=True)


async def test_answers_have_no_reason_phrase_as_in_the_articles_log(cucm: Cucm) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", cucm.uds_port, ssl=context)
    writer.write(b"GET /cucm-uds/version HTTP/1.1\r\nHost: cucm\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 \r\n"
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(("advertise", "address"), [("fqdn", "cucm.steven.lab"), ("ip", "10.48.36.215")])
async def test_clients_are_sent_to_what_system_server_says(
    cucm: Cucm, session: aiohttp.ClientSession, advertise: str, address: str
) -> None:
    cucm.advertise = "ip" if advertise == "ip" else "fqdn"
    cucm.peers = ("cucm-sub.steven.lab",)
    async with session.get(uds(cucm, "servers")) as response:
        servers = fromstring(await response.read())
    assert [each.text for each in servers.iter("server")] == [address, "cucm-sub.steven.lab"]
    async with session.get(uds(cucm, "clusterUser?username=emusk")) as response:
        found = fromstring(await response.read())
    assert at(found, "result").get("found") == "true"
    assert at(found, "homeCluster").text == address
    assert at(found, "homeCluster").get("serversUri") == f"https://{address}:8443/cucm-uds/servers"


async def test_an_unknown_user_has_no_cluster(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with session.get(uds(cucm, "clusterUser?username=nobody")) as response:
        assert at(fromstring(await response.read()), "result").attrib == {"found": "false"}


async def test_version(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with session.get(uds(cucm, "version")) as response:
        assert response.headers["Content-Type"] == "application/xml; charset=UTF-8"
        answer = fromstring(await response.read())
    assert answer.tag == "versionInformation"
    assert at(answer, "capabilities/usersResourceAuthEnabled").text == "true"


@pytest.mark.parametrize("path", ["user/emusk", "user/emusk/devices"])
async def test_a_users_data_wants_the_users_password(cucm: Cucm, session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(uds(cucm, path)) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Cisco Web Services Realm"'
    for wrong in ("Basic !", "Basic ZW11c2s=", "Basic /////w==", "Bearer x", "Basic"):
        async with session.get(uds(cucm, path), headers={"Authorization": wrong}) as response:
            assert response.status == 401
    async with session.get(uds(cucm, path), headers=basic("emusk", "wrong")) as response:
        assert response.status == 401
    async with session.get(uds(cucm, path), headers=basic("ünal")) as response:
        assert response.status == 403
    async with session.get(uds(cucm, path), headers=EMUSK) as response:
        assert response.status == 200


@pytest.mark.parametrize(("query", "names"), [("", ["CSFemusk"]), ("?max=100", ["CSFemusk"]), ("?max=0", [])])
async def test_devices(cucm: Cucm, session: aiohttp.ClientSession, query: str, names: list[str]) -> None:
    async with session.get(uds(cucm, f"user/emusk/devices{query}"), headers=EMUSK) as response:
        devices = fromstring(await response.read())
    assert [each.text for each in devices.iter("name")] == names


async def test_a_limit_that_is_no_number_is_a_bad_request(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with session.get(uds(cucm, "user/emusk/devices?max=x"), headers=EMUSK) as response:
        assert response.status == 400


async def test_names_are_escaped(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    name = "a<b>&"
    auth = basic(name)
    async with session.get(uds(cucm, f"user/{quote(name)}"), headers=auth) as response:
        user = fromstring(await response.read())
    assert at(user, "userName").text == name
    assert str(user.get("uri")).endswith("/user/a%3Cb%3E%26")
    async with session.get(tftp(cucm, f"CSF{quote(name)}.cnf.xml")) as response:
        assert at(fromstring(await response.read()), "deviceName").text == f"CSF{name}"
    async with session.get(uds(cucm, "clusterUser?username=%00%3C%0B")) as response:
        assert str(fromstring(await response.read()).get("uri")).endswith("username=%00%3C%0B")


@pytest.mark.parametrize("path", ["CSFemusk.cnf.xml", "SPDefault.cnf.xml", "jabber-config.xml"])
async def test_the_files_of_a_login(cucm: Cucm, session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(tftp(cucm, path)) as response:
        assert (response.status, response.reason) == (200, "")
        fromstring(await response.read())


@pytest.mark.parametrize("path", ["CSFnobody.cnf.xml", "", "jabber-config.xml/", "CSFemusk.cnf.xml.sgn"])
async def test_no_other_file_is_there(cucm: Cucm, session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(tftp(cucm, path)) as response:
        assert response.status == 404
    async with session.get(uds(cucm, path)) as response:
        assert response.status == 404


def handshake(port: int, ciphers: str = "") -> str:
    """What openssl s_client says of a TLS 1.2 handshake."""
    import subprocess

    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"]
    command += ["-cipher", ciphers] if ciphers else []
    return subprocess.run(command, capture_output=True, text=True, input="", timeout=10, check=False).stdout


async def test_6972_shows_the_ecdsa_certificate_whatever_is_asked_for_first(cucm: Cucm) -> None:
    said = await asyncio.to_thread(
        handshake, cucm.tftp_port, "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"
    )
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in said
    assert "cucm-EC.steven.lab" in said
    assert cucm.presented(6972) is cucm.certificate("CallManager-ECDSA")


async def test_6972_asks_for_a_client_certificate_and_goes_on_without(cucm: Cucm) -> None:
    assert "Client Certificate Types" in await asyncio.to_thread(handshake, cucm.tftp_port)
    assert "Client Certificate Types" not in await asyncio.to_thread(handshake, cucm.uds_port)
    assert [seen.handshake for seen in cucm.tftp.seen] == [True]


@pytest.mark.parametrize(("kind", "name"), [("RSA", "tomcat"), ("ECDSA", "tomcat-ECDSA")])
async def test_8443_shows_what_is_asked_for_first(cucm: Cucm, kind: str, name: str) -> None:
    other = "ECDSA" if kind == "RSA" else "RSA"
    order = ":".join(f"ECDHE-{each}-AES256-GCM-SHA384" for each in (kind, other))
    await asyncio.to_thread(handshake, cucm.uds_port, order)
    assert cucm.presented(8443) is cucm.certificate(name)


async def test_a_certificate_can_be_reissued(cucm: Cucm) -> None:
    recipes = read_recipes()
    recipes["tomcat"]["sans"] = ["dns:cucm.steven.lab", "ip:10.48.36.215"]
    cucm.install("tomcat", mint(recipes)["tomcat"])
    cucm.serve(8443, "tomcat")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=mint(recipes)["steven-DC-CA"].pem)
    _, writer = await asyncio.open_connection("127.0.0.1", cucm.uds_port, ssl=context, server_hostname="10.48.36.215")
    writer.close()
    await writer.wait_closed()


async def test_labs_run_side_by_side(pki: Pki) -> None:
    async with Cucm(pki, {}) as one, Cucm(pki, {}) as other:
        assert len({one.uds_port, one.tftp_port, other.uds_port, other.tftp_port}) == 4
