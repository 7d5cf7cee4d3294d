"""Clients of the mocks that accept any certificate, and XML as they read it."""

from __future__ import annotations

import base64
import ssl
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
        """The texts of all elements with this local name, whatever their namespace."""
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
