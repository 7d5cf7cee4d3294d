"""Outcomes of logins through a lab with real TLS: what the user would see, and which nodes were used."""

from __future__ import annotations

import base64

import pytest
from aiohttp import ClientSession, encode_basic_auth, web

from mralab.lab.lab import PASSWORD, Lab
from mralab.lab.login import login
from mralab.lab.scenario import scenario_named
from mralab.mocks.faults.answer import Answer
from mralab.mocks.faults.not_tls import NotTls
from mralab.mocks.faults.registry import Fault
from mralab.mocks.faults.stall import Stall
from mralab.mocks.listener import TlsListener
from mralab.mocks.pki import Pki

ALL = ("steven-DC-CA", "tomcat-ECDSA", "cucm-sub-tomcat-ECDSA")
HEALTHY = scenario_named("healthy")


async def test_signed_in_through_these_nodes(pki: Pki) -> None:
    async with Lab(scenario=HEALTHY, pki=pki) as lab:
        done = await lab.login()
    assert (done.ok, done.seen, done.screen) == (True, "signed in", "")
    assert repr(done) == "<Login of emusk: signed in>"
    assert done.nodes == {
        "get_edge_config": (done.steps[0].server,),
        "UDS": ("cucm.steven.lab:8443",),
        "TFTP": ("cucm.steven.lab:6972",),
        "IM and Presence": ("imp.steven.lab:8443",),
        "Unity Connection": ("unity.steven.lab:8443",),
    }


@pytest.mark.parametrize(
    ("bad", "seen"),
    [
        ({"imp"}, "signed in without presence"),
        ({"unity"}, "signed in without voicemail"),
        ({"imp", "unity"}, "signed in without presence and voicemail"),
        ({"cucm"}, "cannot sign in"),
    ],
)
async def test_a_bad_node_takes_its_service_away(pki: Pki, bad: set[str], seen: str) -> None:
    async with Lab(scenario=HEALTHY, pki=pki) as lab:
        for name in bad:
            lab.nodes[name].install("tomcat", pki["imp-tomcat" if name != "imp" else "unity-tomcat"])
        done = await lab.login()
    assert (done.ok, done.seen) == (False, seen)
    assert done.screen == ""  # Cisco publishes no text for a 502


async def test_a_wrong_password_has_its_text_on_the_screen(pki: Pki) -> None:
    async with Lab(scenario=HEALTHY, pki=pki) as lab:
        done = await lab.login(password="wrong")
    assert (done.seen, done.screen) == ("cannot sign in", "Your username or password is not correct")
    assert repr(done) == "<Login of emusk: cannot sign in; get_edge_config: 401 Unauthorized>"
    assert done.nodes == {}


async def test_no_home_cluster_and_no_permission_have_their_texts(pki: Pki) -> None:
    async with Lab(scenario=HEALTHY, pki=pki) as lab:
        done = await login("else", lab.proxy.base_url, password="x")
        assert done.screen == "Cannot find your services automatically"
        lab.proxy.change(allow={"automatic": False})
        done = await login("emusk", lab.proxy.base_url, password="x")
    assert (done.seen, done.screen) == ("cannot sign in", "Cannot communicate with the server")


async def test_presence_goes_on_to_the_next_node() -> None:
    async def answer(request: web.Request) -> web.Response:
        match request.path.partition("/")[2].partition("/")[2]:
            case "cucm-uds/version":
                return web.Response(text="<v><version>10.5.2</version></v>")
            case "cucm-uds/clusterUser":
                return web.Response(text='<c><result found="true"/></c>')
            case "cucm-uds/user/emusk":
                return web.Response(
                    text='<user><homeCluster enableImAndPresence="true">true</homeCluster><imAndPresence>'
                    "<server>one.steven.lab</server><server>two.steven.lab</server></imAndPresence></user>"
                )
            case "EPASSoap/service/v80":
                assert "<ns1:username>emusk</ns1:username>" in await request.text()
                answers.append(request.path)
                text = "<f><Text>is not &lt;there&gt;</Text></f>" if len(answers) < 2 else "<r><session-key/></r>"
                return web.Response(status=500 if len(answers) < 2 else 200, text=text)
        return web.Response(text="<a/>")

    answers: list[str] = []
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TlsListener(app, None) as server:
        done = await login("emusk", f"127.0.0.1:{server.port}", password="x&y")
    assert (done.ok, done.seen) == (True, "signed in")
    first, second = done.steps[-2:]
    assert (first.server, first.ok, first.replaced) == ("one.steven.lab:8443", False, True)
    assert first.meaning == (
        "one.steven.lab:8443 refused the login: is not <there>, so Jabber has no presence and no messages."
    )
    assert (second.server, second.ok) == ("two.steven.lab:8443", True)
    assert done.nodes["TFTP"] == ("cucm.steven.lab:6970",)  # CUCM 10: files over plain HTTP
    assert done.steps[7].url.startswith("http://")


@pytest.mark.parametrize(
    ("release", "seen", "server"),
    [("X14.0.7", "cannot sign in", ""), ("X14.2", "signed in", "cucm-sub.steven.lab:8443")],
)
async def test_a_publisher_that_is_down_is_left_out_since_x14_2(pki: Pki, release: str, seen: str, server: str) -> None:
    changes = {"home": ("cucm", "cucm-sub"), "down": ("cucm",), "trust": ALL}
    async with Lab(release, scenario=HEALTHY.model_copy(update=changes), pki=pki) as lab:
        (done,) = await lab.logins()
    assert done.seen == seen
    assert done.nodes.get("UDS", ()) == ((server,) if server else ())


@pytest.mark.parametrize("fault", [Stall(30), NotTls(), Answer(503)], ids=lambda each: type(each).__name__)
async def test_a_publisher_that_does_not_answer_expressway_is_left_out(pki: Pki, fault: Fault) -> None:
    scenario = HEALTHY.model_copy(update={"home": ("cucm", "cucm-sub"), "trust": ALL})
    async with Lab("X14.2", scenario=scenario, pki=pki) as lab:
        lab.cucm.inject(fault, port=8443)
        done = await lab.login()
    assert (done.seen, done.nodes["UDS"]) == ("signed in", ("cucm-sub.steven.lab:8443",))


async def test_all_nodes_are_named_if_none_answers(pki: Pki) -> None:
    changes = {"home": ("cucm", "cucm-sub"), "down": ("cucm", "cucm-sub"), "trust": ALL}
    async with Lab("X14.2", scenario=HEALTHY.model_copy(update=changes), pki=pki) as lab:
        done = await lab.login()
    assert (done.seen, done.steps[0].ok, done.steps[1].server) == ("cannot sign in", True, "cucm.steven.lab:8443")


@pytest.mark.parametrize(
    ("release", "down", "status"),
    [
        ("X14.0.7", (), 302),
        ("X14.0.7", ("cucm",), 502),
        ("X14.0.7", ("cucm-sub",), 302),
        ("X14.2", ("cucm",), 302),
        ("X14.2", ("cucm", "cucm-sub"), 502),
    ],
)
async def test_authorize_goes_on_to_another_node_since_x14_2(
    pki: Pki, release: str, down: tuple[str, ...], status: int
) -> None:
    changes = {"home": ("cucm", "cucm-sub"), "down": down}
    token = base64.b64encode(b"steven.lab").decode().rstrip("=")
    query = "response_type=token&realm=local&client_id=x"
    async with (
        Lab(release, scenario=HEALTHY.model_copy(update=changes), pki=pki) as lab,
        ClientSession(headers={"Authorization": encode_basic_auth("emusk", PASSWORD)}) as session,
        session.get(f"{lab.via}/{token}/authorize?{query}", allow_redirects=False) as response,
    ):
        assert response.status == status


async def test_a_publisher_with_a_bad_certificate_is_not_left_out(pki: Pki) -> None:
    scenario = HEALTHY.model_copy(update={"home": ("cucm", "cucm-sub"), "trust": ALL})
    async with Lab("X14.2", scenario=scenario, pki=pki) as lab:
        lab.cucm.install("tomcat", pki["imp-tomcat"])
        done = await lab.login()
    assert (done.seen, done.steps[1].server) == ("cannot sign in", "cucm.steven.lab:8443")
