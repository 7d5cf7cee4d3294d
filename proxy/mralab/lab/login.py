"""The login of a Jabber client over MRA, as far as UDS and TFTP go, step by step through a running proxy.

The order is Jabber's: get_edge_config, then UDS on 8443 (servers, user, devices), then the files on 6972. If a step
fails, only the steps that need its response are skipped, so one login shows the state of every server and port.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import time
import unicodedata
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError

import aiohttp
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from yarl import URL

from ..core.hostport import bracketed
from ..core.mra.target import BadHost, Target, canonical_host, encode
from ..errors import InputError
from .scenario_model import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

UDS_PORT: Final = 8443
TFTP_PORT: Final = 6972
TIMEOUT: Final = 40.0
"""Seconds for one request: longer than a proxy waits for a server by default."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a login and its outcome."""

    name: str
    method: str
    url: str
    """URL on the server: ``https://cucm.steven.lab:8443/cucm-uds/version``."""
    server: str
    """Host and port of ``url``: ``cucm.steven.lab:8443``."""
    status: int | None = None
    """Status of the response; None without a response."""
    reason: str = ""
    seconds: float = 0.0
    ok: bool = False
    meaning: str = ""
    """The consequence for the user, in one sentence."""
    request_url: str = ""
    """URL requested from ``via``; empty if the step was skipped."""
    tracking_id: str = ""
    """TrackingID of the request, which is in the proxy's log lines."""
    skipped: bool = False
    """Whether no request was sent, because an earlier step failed."""


@dataclass(frozen=True, slots=True)
class Login:
    """A whole login."""

    user: str
    steps: tuple[Step, ...]

    @property
    def seen(self) -> Seen:
        """What the user sees."""
        if self.ok:
            return "signed in"
        signed_in = all(step.ok for step in self.steps if not step.server.endswith(f":{TFTP_PORT}"))
        return "configuration missing" if signed_in else "cannot sign in"

    @property
    def ok(self) -> bool:
        """Whether every step succeeded."""
        return all(step.ok for step in self.steps)


async def login(user: str, via: str, *, password: str, domain: str = "steven.lab", server: str | None = None) -> Login:
    """Log in as ``user``.

    ``via`` is the URL of a proxy, or of an edge in front of it that serves get_edge_config. ``server`` is the CUCM to
    start with if ``via`` serves no get_edge_config (default: ``cucm.DOMAIN``). Network errors are steps that fail.

    Raises:
        InputError: ``via`` is not an http or https URL, ``domain`` or ``server`` is not a host name, or ``user`` and
            ``password`` cannot be sent in Basic authorization.
    """
    base, domain, server = _usable(user, password, via, domain, server or f"cucm.{domain}")
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    headers = {"User-Agent": "mralab", "Accept": "*/*", "Authorization": f"Basic {credentials}"}
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, trust_env=False, cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        return await _Sequence(session, base, user, domain, server).run()


async def request_all(urls: Iterable[str]) -> None:
    """Request each URL of a proxy once. What becomes of it is in the proxy's log."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False) as session:
        for url in urls:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
                    await response.read()


class _Sequence:
    """One login in progress: the client's current server, and its steps so far."""

    def __init__(self, session: aiohttp.ClientSession, base: str, user: str, domain: str, server: str) -> None:
        self._session = session
        self._base = base
        self._user = user
        self._domain = domain
        self._server = server
        self._device = f"CSF{user}"
        self._steps: list[Step] = []

    async def run(self) -> Login:
        ready = await self._edge_config()
        await self._uds(ready)
        for file in (f"{self._device}.cnf.xml", "SPDefault.cnf.xml", "jabber-config.xml"):
            await self._request(file, TFTP_PORT, f"/{quote(file, safe='')}", ready)
        return Login(self._user, tuple(self._steps))

    async def _uds(self, ready: bool) -> None:
        await self._request("version", UDS_PORT, "/cucm-uds/version", ready)
        name = quote(self._user, safe="")
        cluster = await self._request("clusterUser", UDS_PORT, f"/cucm-uds/clusterUser?username={name}", ready)
        # Without a response the login goes on: get_edge_config has already named a server.
        known = ready if cluster is None else self._is_known(cluster)
        servers = await self._request("servers", UDS_PORT, "/cucm-uds/servers", known)
        if servers is not None:
            self._follow([_text(each) for each in servers.iter("server")])
        path = f"/cucm-uds/user/{name}"
        await self._request("user", UDS_PORT, path, known)
        signed_in = known and self._steps[-1].status != 401
        devices = await self._request("devices", UDS_PORT, f"{path}/devices", signed_in)
        all_devices = await self._request("devices?max=100", UDS_PORT, f"{path}/devices?max=100", signed_in)
        for body in (devices, all_devices):
            if body is not None:
                names = (_text(each) for each in body.iter("name"))
                self._device = next((name for name in names if name.startswith("CSF")), self._device)

    # -- responses

    async def _edge_config(self) -> bool:
        """Request the edge configuration. Return whether the login can go on."""
        path = "get_edge_config?service_name=_cisco-uds&service_name=_cuplogin"
        token = base64.b64encode(self._domain.encode("ascii")).decode("ascii").rstrip("=")
        url = f"{self._base}/{token}/{path}"
        step = Step("get_edge_config", "GET", url, urlsplit(self._base).netloc)
        step, body = await self._get(step, url)
        if step.status in (400, 404):
            meaning = (
                f"{step.server} does not serve get_edge_config: it has no edge configuration server in front, "
                f"so the login goes on with {self._server}."
            )
            self._steps.append(replace(step, ok=True, meaning=meaning))
            return True
        root = self._finish(step, body)
        if root is not None:
            self._follow([_text(each) for each in root.iterfind("edgeConfig/userUdsServer/server/address")])
        return root is not None

    def _is_known(self, cluster: Element) -> bool:
        result = cluster.find("result")
        if result is None or result.get("found") != "true":
            meaning = f"CUCM does not know {self._user}: there is no home cluster to sign in to."
            self._steps[-1] = replace(self._steps[-1], ok=False, meaning=meaning)
            return False
        self._follow([_text(each) for each in cluster.iter("homeCluster")])
        return True

    def _follow(self, advertised: list[str]) -> None:
        """Go on with a server that CUCM advertises (System > Server), as a client does."""
        hosts = [host for text in advertised if (host := _host(text))]
        if hosts and self._server not in hosts:
            self._server = hosts[0]

    # -- requests

    async def _request(self, name: str, port: int, path: str, possible: bool) -> Element | None:
        """Add one step. Return the XML of its response; None if it failed or was skipped."""
        target = Target(self._domain, "https", self._server, port)
        step = Step(name, "GET", target.url_for(path), target.authority)
        if not possible:
            self._steps.append(replace(step, skipped=True, meaning="Not requested: an earlier step failed."))
            return None
        step, body = await self._get(step, f"{self._base}/{encode(target)}{path}")
        return self._finish(step, body)

    async def _get(self, step: Step, url: str) -> tuple[Step, bytes]:
        tracking_id = str(uuid.uuid4())
        step = replace(step, request_url=url, tracking_id=tracking_id)
        start = time.perf_counter()
        status, body = None, b""
        try:
            async with self._session.get(
                URL(url, encoded=True), headers={"TrackingID": tracking_id}, allow_redirects=False
            ) as response:
                body = await response.read()
                status, reason = response.status, response.reason or ""
        except TimeoutError:
            reason = "timed out"
        except aiohttp.ClientConnectorError as error:
            reason = _reason(error.os_error)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            reason = str(error) or type(error).__name__
        return replace(step, status=status, reason=reason, seconds=time.perf_counter() - start), body

    def _finish(self, step: Step, body: bytes) -> Element | None:
        """Add the step with its outcome. Return the XML of its response; None if the step failed."""
        root = None
        if step.status is not None and 200 <= step.status < 300:
            try:
                root = fromstring(body)
            except (ParseError, DefusedXmlException, ValueError):
                cause = f"the response of {step.server} is not XML that can be parsed"
            else:
                cause = ""
        else:
            cause = self._cause(step)
        meaning = f"{_sentence(cause)}, so {_effect(step.name)}." if cause else _success(step.name)
        self._steps.append(replace(step, ok=root is not None, meaning=meaning))
        return root

    def _cause(self, step: Step) -> str:
        at_edge = step.name == "get_edge_config"
        match step.status:
            case None if step.reason == "timed out":
                return f"{self._base} did not answer within {TIMEOUT:.0f} seconds"
            case None:
                return f"{self._base} cannot be reached ({step.reason})"
            case 401:
                server = "the edge configuration server" if at_edge else "CUCM"
                return f"{server} did not accept the user name and password"
            case 403 if at_edge:
                return f"the domain {self._domain} is not enabled for MRA"
            case 403:
                return f"Expressway-C does not allow this URL (its allow list), or {step.server} forbids it"
            case 404 | 400:
                return f"the resource is not there on {step.server}, or the request was not understood"
            case 429:
                return "the user signed in too often in a short time"
            case 502:
                return (
                    f"Expressway-C could not connect to {step.server}, or did not accept its certificate"
                    if not at_edge
                    else "the edge could not reach Expressway-C"
                )
            case 504:
                return f"{step.server} did not answer in time"
            case other:
                return f"{step.server} answered {other} {step.reason}".rstrip()


_EFFECTS: Final = {
    "get_edge_config": "Jabber finds no services and cannot sign in",
    "version": "Jabber does not know the capabilities of this CUCM",
    "clusterUser": "Jabber cannot find the user's home cluster and cannot sign in",
    "servers": "Jabber knows no other server to use if this one fails",
    "user": "the user's settings cannot be loaded and Jabber cannot sign in",
    "devices": "Jabber cannot see which phones the user has",
    "devices?max=100": "Jabber cannot see which phones the user has",
    "SPDefault.cnf.xml": "the service profile cannot be loaded: voicemail and directory are missing",
    "jabber-config.xml": "Jabber runs without the administrator's settings",
}
_SUCCESSES: Final = {
    "get_edge_config": "Jabber knows where its services are.",
    "version": "Jabber knows the capabilities of this CUCM.",
    "clusterUser": "The user's home cluster is found.",
    "servers": "Jabber knows the servers of the cluster.",
    "user": "The user is signed in, the settings are loaded.",
    "devices": "Jabber knows the user's phones.",
    "devices?max=100": "Jabber knows the user's phones.",
    "SPDefault.cnf.xml": "The service profile is loaded.",
    "jabber-config.xml": "The administrator's settings are loaded.",
}


def _sentence(cause: str) -> str:
    """Return the cause with a capital letter, unless it starts with a URL or a server's name."""
    first, _, _ = cause.partition(" ")
    return cause if "." in first or ":" in first else cause[0].upper() + cause[1:]


def _effect(name: str) -> str:
    return _EFFECTS.get(name, "the phone configuration cannot be loaded: Jabber shows no phone services")


def _success(name: str) -> str:
    return _SUCCESSES.get(name, "The phone configuration is loaded.")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:  # its number is not an errno
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    # asyncio puts an address into strerror. getaddrinfo's numbers are negative, and os.strerror does not know them.
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _host(text: str) -> str:
    """Return a server's name or address in the form of tokens; empty if it is neither."""
    bare = text.strip("[]")
    try:
        return canonical_host(bracketed(bare))
    except BadHost:
        return ""


def _usable(user: str, password: str, via: str, domain: str, server: str) -> tuple[str, str, str]:
    """Return ``via`` as a URL (``127.0.0.1:8443`` becomes ``http://127.0.0.1:8443``), the domain and the server.

    Raises ``InputError`` with every problem in the arguments.
    """
    problems = []
    if not user or ":" in user:  # RFC 7617 section 2
        problems.append(
            f"USER {user!r}: {'has a colon' if user else 'is empty'}; Basic authorization cannot carry that"
        )
    problems += [
        f"{option}: has a control character, or is not UTF-8 text"
        for option, text in (("USER", user), ("--password", password))
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
    ]
    base = (via if "://" in via else f"http://{via}").rstrip("/")
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and base.isprintable()
        good = good and not (parts.query or parts.fragment or "@" in parts.netloc or " " in base)
    except ValueError:
        good = False
    if not good:
        problems.append(f"--via {via}: not an http or https URL such as http://127.0.0.1:8443")
    problems += [
        f"{option} {text}: not a host name"
        for option, text in (("--domain", domain), ("--server", server))
        if not _host(text)
    ]
    if problems:
        raise InputError(problems)
    return base, _host(domain), _host(server)
