"""Clients of the mocks, which accept any certificate: HTTP with XML, and handshakes of openssl."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, NamedTuple
from xml.etree.ElementTree import Element

import aiohttp
from defusedxml.ElementTree import fromstring
from multidict import CIMultiDictProxy
from yarl import URL

from mralab.mocks.node import Node


class Answer(NamedTuple):
    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def xml(self) -> Element:
        root: Element = fromstring(self.body, forbid_dtd=True)
        return root

    def texts(self, name: str) -> list[str | None]:
        """Return the texts of all elements with this local name, in any namespace."""
        return [each.text for each in self.xml.iter() if str(each.tag).rpartition("}")[2] == name]


class Client(NamedTuple):
    """Requests to one port of a node."""

    session: aiohttp.ClientSession
    base: str

    async def send(
        self,
        path: str,
        method: str = "GET",
        *,
        user: tuple[str, str] | None = None,
        body: bytes | str | IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        headers = dict(headers or {})
        if user is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"
        url = URL(f"{self.base}{path}", encoded=True)
        async with self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, response.reason or "", response.headers, await response.read())


@asynccontextmanager
async def client(node: Node, port: int = 8443) -> AsyncIterator[Client]:
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=anything)) as session:
        yield Client(session, node.urls[port].rstrip("/"))


def handshake(port: int, ciphers: str = "", sigalgs: str = "") -> str:
    """Return the output of openssl s_client for a TLS 1.2 handshake, or a TLS 1.3 one with ``sigalgs``."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3" if sigalgs else "-tls1_2"]
    command += ["-cipher", ciphers] if ciphers else []
    command += ["-sigalgs", sigalgs] if sigalgs else []
    return subprocess.run(command, capture_output=True, text=True, input="", timeout=10, check=False).stdout


def asking_first(kind: str) -> str:
    """Return the cipher string of a client that accepts both kinds of certificate and prefers this one."""
    other = "ECDSA" if kind == "RSA" else "RSA"
    return ":".join(f"ECDHE-{each}-AES256-GCM-SHA384" for each in (kind, other))
