import asyncio

import aiohttp
import pytest
from aiohttp import web

from mralab.errors import InputError
from mralab.harness.proxy import Proxy
from mralab.lab.login import login
from mralab.mocks.cucm import Cucm
from mralab.mocks.edge import Edge
from mralab.mocks.listener import TlsListener
from tests.mocks.relay import USERS, relay, token

STEPS = [
    "get_edge_config",
    "version",
    "clusterUser",
    "servers",
    "user",
    "devices",
    "devices?max=100",
    "CSFemusk.cnf.xml",
    "SPDefault.cnf.xml",
    "jabber-config.xml",
]


def ports(cucm: Cucm) -> dict[tuple[str, int], int]:
    return {(name, asked): really for name in (cucm.fqdn, cucm.ip) for asked, really in cucm.ports.items()}


@pytest.mark.parametrize(("advertise", "address"), [("fqdn", "cucm.steven.lab"), ("ip", "10.48.36.215")])
async def test_a_login_through_edge_and_proxy(cucm: Cucm, advertise: str, address: str) -> None:
    cucm.advertise = "ip" if advertise == "ip" else "fqdn"
    async with (
        relay(ports(cucm)) as proxy,
        Edge(lambda: ("127.0.0.1", proxy.port), cucm=cucm, users=USERS) as edge,
    ):
        done = await login("emusk", f"http://127.0.0.1:{edge.port}/", password="secret")
    assert done.ok, done
    assert [step.name for step in done.steps] == STEPS
    assert done.steps[6].url == f"https://{address}:8443/cucm-uds/user/emusk/devices?max=100"
    assert done.steps[7].server == f"{address}:6972"
    assert len({step.tracking_id for step in done.steps}) == len(STEPS)
    assert all(step.status == 200 and step.seconds > 0 and step.meaning for step in done.steps)


async def test_the_token_is_the_articles(cucm: Cucm) -> None:
    async with relay(ports(cucm)) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret")
    sent = {step.name: step.request_url.split("/", 3)[3] for step in done.steps}
    https = "c3RldmVuLmxhYi9odHRwcy9jdWNtLnN0ZXZlbi5sYWIv"
    assert sent["user"] == f"{https}ODQ0Mw/cucm-uds/user/emusk"
    assert sent["CSFemusk.cnf.xml"] == f"{https}Njk3Mg/CSFemusk.cnf.xml"
    assert sent["get_edge_config"].startswith("c3RldmVuLmxhYg/get_edge_config?service_name=_cisco-uds")


async def test_a_bare_proxy_has_no_edge_config_and_that_is_no_failure(cucm: Cucm) -> None:
    cucm.advertise = "ip"
    async with relay(ports(cucm)) as proxy:
        done = await login("emusk", f"http://127.0.0.1:{proxy.port}", password="secret")
    assert done.ok, done
    assert done.steps[0].status == 404
    assert "goes on with cucm.steven.lab" in done.steps[0].meaning
    assert done.steps[1].server == "cucm.steven.lab:8443"
    assert done.steps[3].server == "10.48.36.215:8443"  # where clusterUser sent it


async def test_trying_for_an_edge_config_is_no_finding(cucm: Cucm) -> None:
    hosts = {cucm.fqdn: {"dial": "127.0.0.1", "ports": cucm.ports}}
    async with Proxy(hosts=hosts, trust=[cucm.certificate("steven-DC-CA"), cucm.certificate("tomcat-ECDSA")]) as proxy:
        done = await login("emusk", proxy.base_url, password="secret")
        assert done.ok, done
        assert (done.steps[0].status, proxy.transactions[0].status) == (404, 404)  # asked, and answered by nobody
        assert [finding.code for finding in proxy.findings] == []
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{proxy.base_url}/{token('steven.lab')}/cucm-uds/version") as response,
        ):
            assert response.status == 404
        assert [finding.code for finding in proxy.findings] == ["bad-token"]


async def test_one_server_is_begun_with_instead(cucm: Cucm) -> None:
    sub = {("sub.steven.lab", 8443): cucm.uds_port}
    async with relay({**ports(cucm), **sub}) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret", server="sub.steven.lab")
    assert done.steps[1].server == "sub.steven.lab:8443"


async def test_a_name_with_marks_of_its_own(cucm: Cucm) -> None:
    async with relay(ports(cucm)) as proxy:
        for name in ("a<b>&", "ünal"):
            done = await login(name, f"127.0.0.1:{proxy.port}", password=USERS[name])
            assert done.ok, done


async def test_6972_refused_leaves_the_rest_alone(cucm: Cucm) -> None:
    async with relay(ports(cucm), {6972: 502}) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret")
    assert not done.ok
    failed = [step for step in done.steps if not step.ok]
    assert [step.name for step in failed] == STEPS[7:]
    assert {(step.status, step.reason) for step in failed} == {(502, "connect failed")}
    assert failed[0].meaning == (
        "Expressway-C could not connect to cucm.steven.lab:6972, or did not accept its certificate, "
        "so the phone configuration cannot be loaded: Jabber shows no phone services."
    )


async def test_8443_refused_is_seen_at_every_step_and_the_files_are_tried(cucm: Cucm) -> None:
    async with relay(ports(cucm), {8443: 502}) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret")
    assert [step.status for step in done.steps[1:7]] == [502] * 6
    assert not any(step.ok for step in done.steps[1:7])
    assert [step.ok for step in done.steps[7:]] == [True, True, True]


async def test_a_wrong_password_at_cucm(cucm: Cucm) -> None:
    async with relay(ports(cucm)) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="wrong")
    user = done.steps[4]
    assert (user.status, user.ok) == (401, False)
    assert user.meaning.startswith("CUCM did not accept the user name and password")
    assert [step.skipped for step in done.steps[5:7]] == [True, True]


async def test_a_wrong_password_at_the_edge_ends_the_login(cucm: Cucm) -> None:
    async with Edge(lambda: ("127.0.0.1", 1), cucm=cucm, users=USERS) as edge:
        done = await login("emusk", f"http://127.0.0.1:{edge.port}", password="wrong")
    assert done.steps[0].status == 401
    assert done.steps[0].meaning.startswith("The edge configuration server did not accept")
    assert all(step.skipped for step in done.steps[1:])


async def test_an_unknown_user(cucm: Cucm) -> None:
    async with relay(ports(cucm)) as proxy:
        done = await login("nobody", f"127.0.0.1:{proxy.port}", password="x")
    assert "CUCM does not know nobody" in done.steps[2].meaning
    assert [step.skipped for step in done.steps[3:7]] == [True] * 4


async def test_https_to_a_port_without_tls_is_named_as_such(cucm: Cucm) -> None:
    async with Edge(lambda: ("127.0.0.1", 1), cucm=cucm, users=USERS) as edge:
        done = await login("emusk", f"https://127.0.0.1:{edge.port}", password="x")
    assert not done.ok
    assert done.steps[0].status is None
    assert done.steps[0].reason.startswith("TLS: ")


async def test_nobody_listening_is_a_failed_step() -> None:
    done = await login("emusk", "http://127.0.0.1:1", password="x")
    assert not done.ok
    assert (done.steps[0].status, done.steps[0].reason) == (None, "Connection refused")
    assert done.steps[0].meaning == (
        "http://127.0.0.1:1 cannot be reached (Connection refused), so Jabber finds no services and cannot sign in."
    )
    assert all(step.skipped for step in done.steps[1:])


@pytest.mark.parametrize(
    ("status", "means"),
    [(401, "did not accept"), (403, "allow list"), (404, "The resource is not there"), (429, "too often"),
     (502, "did not accept its certificate"), (504, "did not answer in time"), (500, "answered 500")],
)  # fmt: skip
async def test_each_status_has_its_meaning(cucm: Cucm, status: int, means: str) -> None:
    async with relay(ports(cucm), {8443: status}) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret")
    assert means in done.steps[1].meaning


@pytest.mark.parametrize("body", [b"<html>", b"", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', b"\xff\x00"])
async def test_an_answer_that_is_no_xml(body: bytes) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TlsListener(app, None) as server:
        done = await login("emusk", f"127.0.0.1:{server.port}", password="x")
    assert "is not XML" in done.steps[0].meaning


async def test_bytes_that_are_no_http() -> None:
    async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        done = await login("emusk", f"127.0.0.1:{server.sockets[0].getsockname()[1]}", password="x")
    assert done.steps[0].status is None
    assert done.steps[0].reason


@pytest.mark.parametrize(
    "via",
    ["ftp://x", "http://", "", "http://x:99999", "http://[::1", "http://a b", "http://u:p@x", "http://x/?q", "\udcff"],
)
async def test_what_is_no_url_is_wrong_usage(via: str) -> None:
    with pytest.raises(InputError, match="not an http or https URL"):
        await login("emusk", via, password="x")


async def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        await login("a:b", "ftp://x", password="x\udcff", domain="a/b", server="c d")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "USER 'a",
        "--password",
        "--via ftp",
        "--domain a/b",
        "--server c d",
    ]


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("a\nb", "x"), ("\udcff", "x"), ("emusk", "a\0b")])
async def test_credentials_that_cannot_be_sent_are_wrong_usage(user: str, password: str) -> None:
    with pytest.raises(InputError, match=r"USER|--password"):
        await login(user, "http://127.0.0.1:1", password=password)


async def test_a_cucm_that_advertises_nonsense_is_not_followed(cucm: Cucm) -> None:
    asked = ports(cucm)
    cucm.fqdn = "no/host ü"
    async with relay(asked) as proxy:
        done = await login("emusk", f"127.0.0.1:{proxy.port}", password="secret")
    assert done.ok, done
    assert {step.server for step in done.steps[1:7]} == {"cucm.steven.lab:8443"}
