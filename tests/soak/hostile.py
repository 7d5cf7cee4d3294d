"""Requests of the soak to the control API during traffic: the largest and costliest bodies that its limits allow."""

from __future__ import annotations

import asyncio
import random
from typing import Any, NamedTuple

from tests.serving import control

MEGABYTE = (1 << 20) - 1000


class Call(NamedTuple):
    """A request to the control API and the status that it gets."""

    method: str
    path: str
    body: Any
    status: int


def calls(pem: str) -> tuple[Call, ...]:
    """Return all calls. None changes anything, because ``pem`` is trusted already."""
    keys = {f"key{number}": 1 for number in range(60_000)}
    few = {f"key{number}": 1 for number in range(900)}
    unknown = [f"{number:064x}" for number in range(1000)]  # the limit of a list
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return (
        Call("POST", "/api/trust", {"pem": "-----BEGIN CERTIFICATE-----" * (MEGABYTE // 27)}, 409),
        Call("POST", "/api/trust", {"pem": damaged * (MEGABYTE // (len(damaged) + 3))}, 409),
        Call("POST", "/api/trust", {"pem": pem * (MEGABYTE // (len(pem) + pem.count("\n")))}, 200),
        Call("POST", "/api/trust", {"pem": "A" * MEGABYTE}, 409),
        Call("POST", "/api/trust", keys, 400),
        Call("POST", "/api/trust", few, 400),
        Call("PATCH", "/api/config", keys, 400),
        Call("PATCH", "/api/config", few, 400),
        Call("PATCH", "/api/config", {"verify": few, "upstream": few}, 400),
        Call("PATCH", "/api/config", {"verify": {"origin": "o" * MEGABYTE}}, 400),
        Call("PATCH", "/api/config", {"upstream": {"ciphers": "ALL:" * (MEGABYTE // 4)}}, 400),
        Call("PATCH", "/api/config", {"upstream": {"tls": ["x"] * (MEGABYTE // 5)}}, 400),
        Call("DELETE", "/api/trust", {"fingerprints": unknown}, 200),
        Call("DELETE", "/api/trust", {"fingerprints": unknown * 15}, 400),
        Call("DELETE", "/api/trust", {"fingerprints": ["x"] * (MEGABYTE // 5)}, 400),
        Call("GET", "/api/transactions", None, 200),
        Call("GET", "/api/findings", None, 200),
        Call("GET", "/api/log", None, 200),
        Call("GET", "/metrics-and-more" * 400, None, 404),
        Call("POST", "/api/reset", None, 200),
    )


class Hostile:
    """Sends the calls, one after the other, until it is stopped."""

    def __init__(self, admin: str, pem: str, rnd: random.Random) -> None:
        self._admin = admin
        self._calls = calls(pem)
        self._rnd = rnd
        self.sent = 0
        self.wrong: list[str] = []

    async def once(self) -> None:
        """Send a first request, which makes the proxy import the control API."""
        assert (await asyncio.to_thread(control, self._admin, "GET", "/api/health"))[0] == 200

    async def run(self, stop: asyncio.Event) -> None:
        """Send calls in random order until ``stop``, each once before any is repeated."""
        while not stop.is_set():
            for call in self._rnd.sample(self._calls, len(self._calls)):
                if stop.is_set():
                    return
                try:
                    status, answer = await asyncio.to_thread(control, self._admin, call.method, call.path, call.body)
                except (OSError, ValueError) as error:
                    status, answer = 0, repr(error)
                self.sent += 1
                if status != call.status and len(self.wrong) < 5:
                    self.wrong.append(
                        f"{call.method} {call.path[:40]} {str(call.body)[:40]}: {status} {str(answer)[:200]}"
                    )
                await asyncio.sleep(0.02 * self._rnd.random())
