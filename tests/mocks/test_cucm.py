import asyncio
import ssl
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from defusedxml.ElementTree import fromstring
from yarl import URL

from mralab.errors import InputError, MralabError
from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki, mint, read_recipes

from .client import asking_first, handshake
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


RSA_FIRST = "rsa_pss_rsae_sha256:ecdsa_secp384r1_sha384"
ECDSA_FIRST = "ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256"


@pytest.mark.parametrize(
    ("https_ciphers", "port", "sigalgs", "name"),
    [
        ("all", 8443, RSA_FIRST, "tomcat"),
        ("all", 8443, ECDSA_FIRST, "tomcat-ECDSA"),
        ("rsa", 8443, ECDSA_FIRST, "tomcat"),
        ("rsa", 6971, ECDSA_FIRST, "CallManager-ECDSA"),
        ("rsa", 6971, RSA_FIRST, "CallManager"),
        ("rsa", 6972, ECDSA_FIRST, "tomcat-ECDSA"),
    ],
)
async def test_in_tls_1_3_the_clients_signature_algorithms_choose(
    cucm: Cucm, https_ciphers: str, port: int, sigalgs: str, name: str
) -> None:
    cucm.https_ciphers = https_ciphers
    refused = await asyncio.to_thread(handshake, cucm.ports[port], sigalgs=sigalgs)
    assert "no peer certificate available" in refused
    cucm.tls = ("1.2", "1.3")
    assert cucm.tls == ("1.2", "1.3")
    printed = await asyncio.to_thread(handshake, cucm.ports[port], sigalgs=sigalgs)
    assert cucm.certificate(name).pem.strip() in printed


@pytest.mark.parametrize(
    ("https_ciphers", "port", "kind", "name"),
    [
        ("RSA Ciphers Only", 8443, "RSA", "tomcat"),
        ("All Supported EC and RSA Ciphers", 443, "ECDSA", "tomcat-ECDSA"),
        ("RSA Ciphers Only", 443, "RSA", "tomcat"),
        ("RSA Ciphers Only", 8443, "ECDSA", "tomcat"),
        ("All Supported EC and RSA Ciphers", 8443, "RSA", "tomcat"),
        ("All Supported EC and RSA Ciphers", 8443, "ECDSA", "tomcat-ECDSA"),
        ("RSA Ciphers Only", 6972, "RSA", "tomcat"),
        ("RSA Ciphers Only", 6972, "ECDSA", "tomcat-ECDSA"),
        ("RSA Ciphers Only", 6971, "RSA", "CallManager"),
        ("RSA Ciphers Only", 6971, "ECDSA", "CallManager-ECDSA"),
    ],
)
async def test_each_port_presents_its_own_certificates(
    cucm: Cucm, https_ciphers: str, port: int, kind: str, name: str
) -> None:
    cucm.https_ciphers = https_ciphers
    printed = await asyncio.to_thread(handshake, cucm.ports[port], asking_first(kind))
    wanted = cucm.certificate(name)
    assert cucm.presented(port) is wanted
    assert wanted.pem.strip() in printed


async def test_8443_of_a_default_cucm_has_nothing_for_a_client_of_ecdsa_alone(cucm: Cucm) -> None:
    assert cucm.https_ciphers == "RSA Ciphers Only"
    printed = await asyncio.to_thread(handshake, cucm.uds_port, "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "no peer certificate available" in printed
    cucm.https_ciphers = "all"
    assert cucm.https_ciphers == "All Supported EC and RSA Ciphers"
    printed = await asyncio.to_thread(handshake, cucm.uds_port, "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert cucm.certificate("tomcat-ECDSA").pem.strip() in printed


async def test_6972_has_no_ecdsa_with_aes128_gcm(cucm: Cucm) -> None:
    offered = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
    await asyncio.to_thread(handshake, cucm.tftp_port, offered)
    assert cucm.presented(6972) is cucm.certificate("tomcat")


@pytest.mark.parametrize("value", ["RSA Cipher Only", "", "ecdsa"])
async def test_https_ciphers_takes_the_words_of_cucm(cucm: Cucm, value: str) -> None:
    with pytest.raises(InputError, match="'RSA Ciphers Only' nor 'All Supported EC and RSA Ciphers'"):
        cucm.https_ciphers = value
    assert cucm.https_ciphers == "RSA Ciphers Only"


@pytest.mark.parametrize("port", [6971, 6972])
async def test_tftp_over_tls_asks_for_a_client_certificate_and_goes_on_without(cucm: Cucm, port: int) -> None:
    assert "Client Certificate Types" in await asyncio.to_thread(handshake, cucm.ports[port])
    assert "Client Certificate Types" not in await asyncio.to_thread(handshake, cucm.uds_port)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{6970}", "https://127.0.0.1:{6971}", "https://127.0.0.1:{6972}"])
async def test_every_tftp_port_has_the_files(cucm: Cucm, session: aiohttp.ClientSession, url: str) -> None:
    port = int(url[-5:-1])
    address = url.replace(f"{{{port}}}", str(cucm.ports[port]))
    async with session.get(f"{address}/SPDefault.cnf.xml") as response:
        assert response.status == 200
        assert fromstring(await response.read()).tag == "serviceProfile"


async def test_the_service_profiles_url_names_a_port_that_is_there(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with session.get(uds(cucm, "user/emusk"), headers=EMUSK) as response:
        profile = URL(str(at(fromstring(await response.read()), "serviceProfile/uri").text))
    assert (profile.scheme, profile.port in cucm.ports) == ("http", True)


@pytest.mark.parametrize("port", [80, 6970])
async def test_a_port_without_tls_has_no_certificate(cucm: Cucm, port: int) -> None:
    for call in (cucm.presented, cucm.serve):
        with pytest.raises(MralabError, match=f"has no TLS port {port}; it has 443, 6971, 6972, 8443"):
            call(port)


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
        assert len({*one.ports.values(), *other.ports.values()}) == 14
