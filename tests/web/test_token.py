"""``proxy.admin_token``: the control API for other machines or containers, only if configured."""

from __future__ import annotations

import json
import socket
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from mralab.config import from_mapping
from mralab.errors import ConfigError, MralabError
from mralab.web.client import Admin, RemoteError
from mralab.web.event_client import follow
from mralab.web.guard import ForbiddenError, Received, UnauthorizedError, check
from tests.serving import running, toml

TOKEN = "0123456789abcdef-secret"
OTHER = "192.0.2.7"


def received(peer: str = OTHER, host: str = "proxy.test:8080", *authorization: str, **fields: str) -> Received:
    headers = CIMultiDict({"Host": host, **{name.replace("_", "-"): value for name, value in fields.items()}})
    for value in authorization:
        headers.add("Authorization", value)
    return Received("GET", "/api/log", headers, peer)


def own_address() -> str:
    """Return an address of this machine besides loopback, or an empty string. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address = str(sock.getsockname()[0])
    return "" if address.startswith("127.") else address


def test_another_machine_with_the_token_may_use_the_api() -> None:
    check(received(OTHER, "proxy.test:8080", f"Bearer {TOKEN}"), TOKEN)
    check(received(OTHER, "proxy.test:8080", f"bearer {TOKEN}", Origin="http://proxy.test:8080"), TOKEN)


@pytest.mark.parametrize(
    "authorization",
    [
        (),
        ("Bearer ",),
        ("Bearer wrong",),
        (f"Bearer {TOKEN}x",),
        (f"Bearer {TOKEN[:-1]}",),
        (f"Basic {TOKEN}",),
        (TOKEN,),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        ("Bearer \udcff",),
    ],
)
def test_another_machine_without_it_may_not(authorization: tuple[str, ...]) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        check(received(OTHER, "proxy.test:8080", *authorization), TOKEN)
    assert (caught.value.status, caught.value.code) == (401, "token-missing")
    assert TOKEN not in f"{caught.value.message} {caught.value.hint}"


def test_without_a_token_every_other_machine_is_refused() -> None:
    for authorization in ((), ("Bearer ",), (f"Bearer {TOKEN}",)):
        with pytest.raises(ForbiddenError):
            check(received(OTHER, "127.0.0.1:1", *authorization))


def test_the_rules_for_this_machine_stay() -> None:
    check(received("127.0.0.1", "127.0.0.1:1"), TOKEN)
    with pytest.raises(ForbiddenError):  # DNS rebinding
        check(received("127.0.0.1", "evil.test:1"), TOKEN)
    for fields in ({"Origin": "http://evil.test"}, {"X_Forwarded_For": "1.2.3.4"}, {"Sec_Fetch_Site": "cross-site"}):
        with pytest.raises(ForbiddenError):
            check(received(OTHER, "proxy.test:8080", f"Bearer {TOKEN}", **fields), TOKEN)


@pytest.mark.parametrize("token", ["short", "with a blank in it", "é" * 20, "x" * 257, 1234567890123456])
def test_an_invalid_token_is_refused_and_not_shown(token: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping({"proxy": {"admin_token": token}})
    (problem,) = caught.value.problems
    assert problem.startswith("configuration: proxy.admin_token: must have 16 to 256 printable ASCII characters")
    assert str(token) not in problem


def test_an_address_outside_loopback_needs_a_token() -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping({"proxy": {"admin": "0.0.0.0:0"}})
    assert "set proxy.admin_token" in str(caught.value)
    config = from_mapping({"proxy": {"admin": "0.0.0.0:0", "admin_token": TOKEN}})
    assert config.changed(release="X14.0.7").proxy.admin_token == TOKEN
    assert TOKEN not in repr(config)


@pytest.mark.parametrize("token", [f"{TOKEN}\r", f"{TOKEN}\n", f"{TOKEN}\u20ac", f"{TOKEN}\udcff", f"{TOKEN} {TOKEN}"])
async def test_a_token_that_no_proxy_can_have_is_refused_and_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example from a file with Windows line ends: the error about the header would show the token."""
    monkeypatch.setenv("MRALAB_ADMIN_TOKEN", token)
    with pytest.raises(MralabError) as caught:
        Admin("127.0.0.1:1")
    assert caught.value.message.startswith("MRALAB_ADMIN_TOKEN: ")
    with pytest.raises(MralabError) as followed:
        await anext(follow("127.0.0.1", 1))
    assert followed.value.message == caught.value.message
    assert TOKEN not in f"{caught.value} {caught.value.hint}"


def configuration(folder: Path, workers: int) -> None:
    proxy = {"listen": "127.0.0.1:0", "admin": "0.0.0.0:0", "admin_token": TOKEN, "workers": workers}
    tables = {"proxy": proxy, "trust": {"store": ""}, "allow": {"rules": ""}, "log": {"file": "log"}}
    (folder / "mralab.toml").write_text(toml(tables))


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_token_is_needed_from_elsewhere_and_shown_nowhere(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address besides loopback")
    configuration(tmp_path, workers)
    async with running(tmp_path) as (_, start), aiohttp.ClientSession() as session:
        port = start["admin"].rpartition(":")[2]
        url = f"http://{address}:{port}/api"
        for _ in range(3):
            async with session.get(f"{url}/health") as response:
                assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
                assert (await response.json())["error"]["code"] == "token-missing"
        texts = []
        for base, headers in ((url, {"Authorization": f"Bearer {TOKEN}"}), (f"http://127.0.0.1:{port}/api", {})):
            for path in ("config", "health", "log", "openapi.json"):
                async with session.get(f"{base}/{path}", headers=headers) as response:
                    assert response.status == 200
                    texts.append(await response.text())
        with pytest.raises(RemoteError):
            Admin(f"{address}:{port}").request("GET", "/api/config")
        monkeypatch.setenv("MRALAB_ADMIN_TOKEN", TOKEN)
        assert Admin(f"{address}:{port}").request("GET", "/api/config")["proxy"]["admin"] == "0.0.0.0:0"
        async with aclosing(follow(address, int(port))) as events:
            first = await anext(events)
        assert first is not None
        assert first.kind == "follows"
    errors = (tmp_path / "stderr.txt").read_text()
    assert errors.count("without proxy.admin_token") == 1
    assert not [text for text in (*texts, errors, (tmp_path / "log").read_text(), json.dumps(start)) if TOKEN in text]
