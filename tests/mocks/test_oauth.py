"""Sign-on: get_edge_sso, and tokens from the edge and from CUCM that UDS and the edge accept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from mralab.mocks.cucm import Cucm
from mralab.mocks.edge import Edge

from .client import Answer, Client, client
from .relay import USERS, token

EMUSK = ("emusk", USERS["emusk"])
DOMAIN = token("steven.lab")
LOCAL = "authorize?response_type=token&realm=local&client_id=C1&device_id=D1"
CUCM = "/ssosp/oauth/authorize?scope=UnifiedCommunications:readwrite&response_type=token&client_id=C1"


@pytest.fixture
async def edge(cucm: Cucm) -> AsyncIterator[Client]:
    async with (
        Edge(lambda: ("127.0.0.1", 1), cucm=cucm, users=USERS, tokens=cucm.cluster.tokens) as running,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, f"http://127.0.0.1:{running.port}")


@pytest.fixture
async def uds(cucm: Cucm) -> AsyncIterator[Client]:
    async with client(cucm) as running:
        yield running


def granted(answer: Answer) -> dict[str, list[str]]:
    assert answer.status == 302
    target = urlsplit(answer.headers["Location"])
    assert target.path == "oauthcb"
    return parse_qs(target.fragment)


async def accepted(uds: Client, edge: Client, access_token: str) -> list[int]:
    headers = {"Authorization": f"Bearer {access_token}"}
    paths = ((uds, "/cucm-uds/user/emusk"), (edge, f"/{DOMAIN}/get_edge_config"))
    return [(await where.send(path, headers=headers)).status for where, path in paths]


async def test_clients_are_sent_to_local_passwords(edge: Client) -> None:
    answer = await edge.send(f"/{DOMAIN}/get_edge_sso?email=emusk@steven.lab")
    assert (answer.status, answer.headers["Server"]) == (200, "CE_C ECS")
    states = {each.tag: each.find("Status") for each in answer.xml.iterfind("Response/*")}
    assert {name: state is not None and state.get("enabled") for name, state in states.items()} == {
        "SingleSignOn": "false",
        "OAuth": "true",
    }
    assert (await edge.send(f"/{token('other.lab')}/get_edge_sso?email=a@other.lab")).status == 403


async def test_the_edges_token_opens_cucm_and_the_edge(edge: Client, uds: Client) -> None:
    grant = granted(await edge.send(f"/{DOMAIN}/{LOCAL}", user=EMUSK))
    assert (grant["token_type"], grant["expires_in"]) == (["Bearer"], ["3600"])
    assert await accepted(uds, edge, grant["access_token"][0]) == [200, 200]
    assert await accepted(uds, edge, "made-up") == [401, 401]


async def test_cucms_token_opens_both_as_well(edge: Client, uds: Client) -> None:
    grant = granted(await uds.send(f"{CUCM}&state=s%201", user=EMUSK))
    assert (grant["scope"], grant["state"]) == (["UnifiedCommunications:readwrite"], ["s 1"])
    assert await accepted(uds, edge, grant["access_token"][0]) == [200, 200]


async def test_a_token_needs_the_password(edge: Client, uds: Client) -> None:
    at_edge = await edge.send(f"/{DOMAIN}/{LOCAL}", user=("emusk", "wrong"))
    assert (at_edge.status, at_edge.headers["WWW-Authenticate"]) == (401, 'Basic realm="Cisco-Edge"')
    at_cucm = await uds.send(CUCM)
    assert (at_cucm.status, at_cucm.headers["WWW-Authenticate"]) == (401, 'Basic realm="Cisco Web Services Realm"')


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("realm=local&response_type=code&client_id=C1", 400, b"unsupported_response_type\n"),
        ("realm=local&response_type=token", 400, b"invalid_request\n"),
        ("realm=sso&response_type=token&client_id=C1", 404, b""),
    ],
)
async def test_other_grants_are_refused(edge: Client, query: str, status: int, body: bytes) -> None:
    answer = await edge.send(f"/{DOMAIN}/authorize?{query}", user=EMUSK)
    assert (answer.status, answer.body) == (status, body if status == 400 else answer.body)


@pytest.mark.parametrize("path", ["/ssosp/saml/login", "/ssosp/oauth/token", "/ssosp/oauth/authorize/x"])
async def test_nothing_else_of_ssosp_is_there(uds: Client, path: str) -> None:
    assert (await uds.send(path, user=EMUSK)).status == 404


@pytest.mark.parametrize("path", [f"/{DOMAIN}/get_edge_other", f"/{DOMAIN}/get_edge_sso/x", "/authorize"])
async def test_other_paths_go_to_the_proxy(edge: Client, path: str) -> None:
    assert (await edge.send(path)).status == 502  # there is none
