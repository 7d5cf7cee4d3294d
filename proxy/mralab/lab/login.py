"""The login of a Jabber client over MRA, step by step through a running proxy.

The order is Jabber's: get_edge_config, then UDS on 8443 (home cluster, servers, user, devices), then the files on 6972
(CUCM 10 and older: 6970, plain HTTP), then IM and Presence and Unity Connection where the user has them. If a step
fails, only the steps that need its response are skipped, so one login shows the state of every server and port.

A client uses a single UDS server. Over MRA it goes on to the next server for IM and Presence and for SIP registration,
and for nothing else (Cisco, MRA Deployment Guide X15.0).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

import aiohttp
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from yarl import URL

from ..core.connection_reason import connection_reason
from ..core.hostport import bracketed
from ..core.mra.target import BadHost, Target, canonical_host, encode
from ..errors import InputError
from . import login_wording as wording
from .login_result import EDGE, PRESENCE, TFTP, UDS, VOICEMAIL, Login, Step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

__all__ = ["Login", "Step", "login", "request_all"]

TFTP_PORT: Final = 6972
PLAIN_TFTP_PORT: Final = 6970
FIRST_HTTPS_TFTP: Final = 11
"""CUCM's first release from which Jabber loads its files over HTTPS (Cisco's Jabber documentation)."""
TOMCAT_PORT: Final = 8443
TIMEOUT: Final = 40.0
"""Seconds for one request: longer than a proxy waits for a server by default."""


async def login(
    user: str,
    via: str,
    *,
    password: str,
    domain: str = "steven.lab",
    server: str | None = None,
    unity: Sequence[str] = (),
) -> Login:
    """Log in as ``user``.

    ``via`` is the URL of a proxy, or of an edge in front of it that serves get_edge_config. ``server`` is the CUCM to
    start with if ``via`` serves no get_edge_config (default: ``cucm.DOMAIN``). ``unity`` are the Unity Connection
    servers of the user's service profile, whose format is not public; the login uses the first. Network errors are
    steps that fail.

    Raises:
        InputError: ``via`` is not an http or https URL, ``domain``, ``server`` or one of ``unity`` is not a host name,
            or ``user`` and ``password`` cannot be sent in Basic authorization.
    """
    base, domain, server = _usable(user, password, via, domain, server or f"cucm.{domain}", unity)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    headers = {"User-Agent": "mralab", "Accept": "*/*", "Authorization": f"Basic {credentials}"}
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, trust_env=False, cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        sequence = _Sequence(session, base, user, password, domain, server)
        return await sequence.run([_host(each) for each in unity])


async def request_all(urls: Iterable[str]) -> None:
    """Request each URL of a proxy once. What becomes of it is in the proxy's log."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False) as session:
        for url in urls:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
                    await response.read()


class _Sequence:
    """One login in progress: the client's current server, and its steps so far."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, user: str, password: str, domain: str, server: str
    ) -> None:
        self._session = session
        self._base = base
        self._user = user
        self._password = password
        self._domain = domain
        self._server = server
        self._device = f"CSF{user}"
        self._tftp = ("https", TFTP_PORT)
        self._presence: list[str] = []
        # Expressway has found the home cluster before it names userUdsServer, the one UDS server that a client uses.
        self._is_home_known = False
        self._steps: list[Step] = []

    async def run(self, unity: Sequence[str]) -> Login:
        ready = await self._edge_config()
        signed_in = await self._uds(ready)
        for file in (f"{self._device}.cnf.xml", "SPDefault.cnf.xml", "jabber-config.xml"):
            await self._request(file, self._server, f"/{quote(file, safe='')}", ready, service=TFTP)
        await self._presence_login(signed_in)
        for server in unity[:1]:
            path = "/vmrest/mailbox/folders/inbox/messages"
            await self._request(wording.VOICEMAIL_INBOX, server, path, signed_in, service=VOICEMAIL)
        return Login(self._user, tuple(self._steps))

    async def _uds(self, ready: bool) -> bool:
        """Request UDS's resources. Return whether the user is signed in."""
        version = await self._uds_request("version", "/cucm-uds/version", ready)
        if version is not None and _major(version.findtext("version", "")) < FIRST_HTTPS_TFTP:
            self._tftp = ("http", PLAIN_TFTP_PORT)
        name = quote(self._user, safe="")
        cluster = await self._uds_request("clusterUser", f"/cucm-uds/clusterUser?username={name}", ready)
        # Without a response the login goes on: get_edge_config has already named a server.
        known = ready if cluster is None else self._is_known(cluster)
        servers = await self._uds_request("servers", "/cucm-uds/servers", known)
        if servers is not None:
            self._follow([_text(each) for each in servers.iter("server")])
        path = f"/cucm-uds/user/{name}"
        user = await self._uds_request("user", path, known)
        if user is not None:
            self._read_presence(user)
        may_go_on = known and self._steps[-1].status != 401
        devices = await self._uds_request("devices", f"{path}/devices", may_go_on)
        all_devices = await self._uds_request("devices?max=100", f"{path}/devices?max=100", may_go_on)
        for body in (devices, all_devices):
            if body is not None:
                names = (_text(each) for each in body.iter("name"))
                self._device = next((name for name in names if name.startswith("CSF")), self._device)
        return user is not None

    def _read_presence(self, user: Element) -> None:
        """Note the IM and Presence nodes of a user who is enabled for them."""
        home = user.find("homeCluster")
        if home is not None and home.get("enableImAndPresence") == "true":
            self._presence = [host for each in user.iterfind("imAndPresence/server") if (host := _host(_text(each)))]

    async def _presence_login(self, signed_in: bool) -> None:
        """Log in to the first IM and Presence node that accepts it: clients go on to the next one here."""
        name, path = wording.PRESENCE_LOGIN, "/EPASSoap/service/v80"
        for number, server in enumerate(self._presence, start=1):
            message = epas_login(self._user, self._password)
            body = await self._request(name, server, path, signed_in, service=PRESENCE, message=message)
            if body is not None and not any(_local(each) == "session-key" for each in body.iter()):
                step = self._steps[-1]
                meaning = wording.failure(step, f"{step.server} returned no session key")
                self._steps[-1] = replace(step, ok=False, meaning=meaning)
            if self._steps[-1].ok or self._steps[-1].skipped:
                return
            if number < len(self._presence):
                self._steps[-1] = replace(self._steps[-1], replaced=True)

    # -- responses

    async def _edge_config(self) -> bool:
        """Request the edge configuration. Return whether the login can go on."""
        path = "get_edge_config?service_name=_cisco-uds&service_name=_cuplogin"
        token = base64.b64encode(self._domain.encode("ascii")).decode("ascii").rstrip("=")
        url = f"{self._base}/{token}/{path}"
        step = Step("get_edge_config", "GET", url, urlsplit(self._base).netloc, EDGE)
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
            addresses = map(_text, root.iterfind("edgeConfig/userUdsServer/server/address"))
            if named := next(filter(None, map(_host, addresses)), ""):
                self._server, self._is_home_known = named, True
        return root is not None

    def _is_known(self, cluster: Element) -> bool:
        result = cluster.find("result")
        if result is None or result.get("found") != "true":
            meaning = f"CUCM does not know {self._user}: there is no home cluster to sign in to."
            self._steps[-1] = replace(self._steps[-1], ok=False, meaning=meaning, screen=wording.NO_SERVICES)
            return False
        if not self._is_home_known:
            self._follow([_text(each) for each in cluster.iter("homeCluster")])
        return True

    def _follow(self, advertised: list[str]) -> None:
        """Go on with a server that CUCM advertises (System > Server), as a client does."""
        hosts = [host for text in advertised if (host := _host(text))]
        if hosts and self._server not in hosts:
            self._server = hosts[0]

    # -- requests

    async def _uds_request(self, name: str, path: str, possible: bool) -> Element | None:
        return await self._request(name, self._server, path, possible, service=UDS)

    async def _request(
        self, name: str, server: str, path: str, possible: bool, *, service: str, message: bytes = b""
    ) -> Element | None:
        """Add one step: POST of ``message``, or GET. Return the response's XML; None if it failed or was skipped."""
        scheme, port = self._tftp if service == TFTP else ("https", TOMCAT_PORT)
        target = Target(self._domain, scheme, server, port)
        step = Step(name, "POST" if message else "GET", target.url_for(path), target.authority, service)
        if not possible:
            self._steps.append(replace(step, skipped=True, meaning="Not requested: an earlier step failed."))
            return None
        step, body = await self._get(step, f"{self._base}/{encode(target)}{path}", message)
        return self._finish(step, body)

    async def _get(self, step: Step, url: str, message: bytes = b"") -> tuple[Step, bytes]:
        """Send the request of a step. Return the step with the response's status, and the body."""
        tracking_id = str(uuid.uuid4())
        headers = {"TrackingID": tracking_id, **(_SOAP_HEADERS if message else {})}
        step = replace(step, request_url=url, tracking_id=tracking_id)
        start = time.perf_counter()
        status, body = None, b""
        try:
            async with self._session.request(
                step.method, URL(url, encoded=True), headers=headers, data=message or None, allow_redirects=False
            ) as response:
                body = await response.read()
                status, reason = response.status, response.reason or ""
        except TimeoutError:
            reason = "timed out"
        except aiohttp.ClientConnectorError as error:
            reason = _reason(error.os_error)
            step = replace(step, screen=wording.screen(step, unknown_host=isinstance(error.os_error, socket.gaierror)))
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
            cause = wording.cause(step, base=self._base, domain=self._domain, limit=TIMEOUT)
            if step.service == PRESENCE and (text := _soap_fault(body)):
                cause = f"{step.server} refused the login: {text}"
        meaning = wording.failure(step, cause) if cause else wording.success(step.name)
        screen = step.screen if root is not None else step.screen or wording.screen(step)
        self._steps.append(replace(step, ok=root is not None, meaning=meaning, screen=screen))
        return root


_SOAP_HEADERS: Final = {
    "Content-Type": "application/soap+xml; charset=utf-8",
    "SOAPAction": "urn:cisco:epas:soap/EpasSoapServiceInterface/login",
}


def epas_login(user: str, password: str) -> bytes:
    """Return the SOAP 1.2 message that logs in to an IM and Presence node (Cisco 221845)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:ns1="urn:cisco:epas:soap"><env:Body>'
        '<ns1:login client-version="14.0" client-type="CUPC" force="true">'
        f"<ns1:username>{escape(user)}</ns1:username><ns1:password>{escape(password)}</ns1:password>"
        "</ns1:login></env:Body></env:Envelope>"
    ).encode()


def _soap_fault(body: bytes) -> str:
    """Return the reason of a SOAP fault; empty if the body has none."""
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        return ""
    return next((_text(each)[:200] for each in root.iter() if _local(each) in ("Text", "faultstring")), "")


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _major(version: str) -> int:
    """Return the major number of CUCM's release; a text without one counts as new."""
    number = version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 4 else FIRST_HTTPS_TFTP


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:  # its number is not an errno
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    return connection_reason(error)


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _host(text: str) -> str:
    """Return a server's name or address in the form of tokens; empty if it is neither."""
    bare = text.strip("[]")
    try:
        return canonical_host(bracketed(bare))
    except BadHost:
        return ""


def _usable(user: str, password: str, via: str, domain: str, server: str, unity: Sequence[str]) -> tuple[str, str, str]:
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
        for option, text in (("--domain", domain), ("--server", server), *(("--unity", each) for each in unity))
        if not _host(text)
    ]
    if problems:
        raise InputError(problems)
    return base, _host(domain), _host(server)
