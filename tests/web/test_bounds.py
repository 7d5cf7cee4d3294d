"""Requests to the control API cannot delay traffic: slow work leaves the event loop, and every list is bounded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mralab.control.control
import mralab.net.policy
import mralab.web.api_proxy
from mralab.errors import MOST_PROBLEMS

from .conftest import Administered

MEGABYTE = (1 << 20) - 100  # the limit of a body


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[bool]]:
    """Record for each call of a slow function whether it was in the event loop's thread."""
    calls: dict[str, list[bool]] = {}
    loop = threading.get_ident()

    def record(module: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(module, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            calls.setdefault(name, []).append(threading.get_ident() == loop)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, called)

    record(mralab.web.api_proxy, "parse_pem")
    record(mralab.control.control, "load")
    record(mralab.net.policy, "TlsContext")
    record(mralab.net.policy, "AllowList")
    return calls


async def test_certificates_are_parsed_and_applied_outside_the_event_loop(
    admin: Administered, threads: dict[str, list[bool]], pem: str
) -> None:
    assert (await admin.ask("POST", "/api/trust", {"pem": pem}))[0] == 200
    assert await admin.status() == 200
    assert (await admin.ask("DELETE", "/api/trust", {"pem": pem}))[0] == 200
    assert await admin.status() == 502
    assert threads == {"parse_pem": [False] * 2, "TlsContext": [False] * 2, "AllowList": [False] * 2}


async def test_a_reload_is_parsed_and_applied_outside_the_event_loop(
    admin: Administered, threads: dict[str, list[bool]], tmp_path: Path
) -> None:
    (tmp_path / "new.toml").write_text('[verify]\norigin = "off"\n[trust]\nstore = ""\n')
    admin.control.file = tmp_path / "new.toml"
    await admin.control.reload()
    assert admin.proxy.config.verify_mode == "off"
    assert threads == {"load": [False], "TlsContext": [False], "AllowList": [False]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/trust", {f"key{number}": 1 for number in range(60_000)}),
        ("PATCH", "/api/config", {f"key{number}": 1 for number in range(60_000)}),
        ("PATCH", "/api/config", {"verify": {f"key{number}": 1 for number in range(60_000)}}),
        ("PATCH", "/api/config", {"verify": {"origin": "x" * (MEGABYTE - 100)}}),
        ("PATCH", "/api/config", {"verify": {"x" * (MEGABYTE - 100): 1}}),
        ("PATCH", "/api/config", {"upstream": {"tls": ["x"] * (MEGABYTE // 6)}}),
        ("PATCH", "/api/config", {"upstream": {"ciphers": "ALL:" * (MEGABYTE // 5)}}),
        ("DELETE", "/api/trust", {"fingerprints": ["x"] * (MEGABYTE // 6)}),
        ("DELETE", "/api/trust", {"fingerprints": [f"{number:05d}" for number in range(9000)]}),
        ("POST", "/api/trust", {"pem": "-----BEGIN CERTIFICATE-----" * (MEGABYTE // 28)}),
        ("POST", "/api/trust", {"pem": "-----BEGIN CERTIFICATE-----\n" * (MEGABYTE // 32)}),
        ("POST", "/api/trust", {"pem": "A" * (MEGABYTE - 20)}),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
async def test_a_long_body_gets_a_short_answer(
    admin: Administered, method: str, path: str, body: dict[str, Any]
) -> None:
    assert len(json.dumps(body)) < 1 << 20
    status, answer = await admin.ask(method, path, body)
    assert status in (400, 409)
    problems = answer["error"]["problems"]
    assert len(problems) <= MOST_PROBLEMS + 1
    assert len(json.dumps(answer)) < 300_000
    assert len(problems) <= MOST_PROBLEMS or problems[-1].endswith("more problems")
