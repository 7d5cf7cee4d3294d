"""What X14.2 would refuse, asked of live servers: a handshake for each certificate that they can show, no request.

Each server is asked as an X14.2 that prefers ECDSA asks and as one with the RSA prefix does, in audit mode: so one
handshake finds every fault. What was found is written as the lines that X14.2 would log, and ``findings`` explains
those. This is the only module of ``diagnose`` that touches the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from ..config import Config
from ..core.answers import ANSWERS, Answer, connection_error
from ..core.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.logline import LineWriter
from ..core.release import Preference, cipher_string
from ..core.target import BadHost, Target, canonical_host, canonical_port, encode
from ..core.tlserror import error_string
from ..core.verdict import Offer, error_text
from ..errors import InputError
from ..net.certificate import offer
from ..net.openssl import TlsError
from ..net.resolver import Place, Resolver, UnknownHostError, listed
from ..net.tls import TlsClient, TlsContext, TlsSettings
from ..net.trust import TrustStore
from .findings import Finding, find

CUCM_PORTS: Final = (8443, 6972)
"""UDS, and TFTP over HTTPS: what Jabber asks of a Unified CM through Expressway (Cisco 218018)."""

_AT_ONCE: Final = 16
_REFUSED: Final = "certificate verify failed"


class Question(NamedTuple):
    """A server as clients ask for it: a name or an address (IPv6 without brackets), and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a server showed to one who prefers ``prefer``, and what X14.2 would make of it.

    ``prefer`` has both where both got the same. ``certificate`` is None where none was shown. ``lines`` are those that
    X14.2 would log, with every fault: it stops at the first, and comes to the next when that is mended.
    """

    question: Question
    prefer: tuple[Preference, ...]
    certificate: Offer | None
    findings: tuple[Finding, ...]
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """X14.2 would accept it."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """It all, as JSON takes it."""
        return {
            "host": self.question.host,
            "port": self.question.port,
            "prefer": list(self.prefer),
            "accepted": self.ok,
            "certificate": self.certificate._asdict() if self.certificate is not None else None,
            "findings": [
                {
                    "code": finding.code,
                    "cause": finding.cause,
                    "error": finding.error,
                    "depth": finding.depth,
                    "remedies": [asdict(remedy) for remedy in finding.remedies],
                }
                for finding in self.findings
            ],
            "lines": list(self.lines),
        }


def questions(config: Config) -> tuple[Question, ...]:
    """What a configuration's ``[hosts]`` lets clients ask for: each host with its ports, else with CUCM's."""
    return tuple(
        Question(name, port) for name, entry in config.hosts.items() for port in (sorted(entry.ports) or CUCM_PORTS)
    )


def parse_questions(texts: Iterable[str]) -> tuple[Question, ...]:
    """``HOST:PORT`` each, IPv6 in brackets. Raises ``InputError`` with everyone that is none."""
    found: list[Question] = []
    problems: list[str] = []
    for text in texts:
        host, colon, port = text.rpartition(":")
        try:
            if not colon:
                raise BadHost("no port")
            found.append(Question(canonical_host(host), canonical_port(port)))
        except ValueError as error:
            problems.append(f"{text!r} is not HOST:PORT: {error}")
    if problems:
        raise InputError(problems, "such as cucm.steven.lab:8443 or [2001:db8::1]:8443")
    return tuple(dict.fromkeys(found))


async def check(
    asked: Iterable[Question],
    config: Config,
    store: TrustStore,
    *,
    seconds: float = 5.0,
    told: Callable[[Question], object] = lambda _: None,
) -> tuple[Checked, ...]:
    """Ask every server. ``seconds`` are for one handshake; ``told`` hears whose turn it is.

    ``config`` says where servers are (``[hosts]``), which TLS versions and ciphers are offered, and the wording.
    """
    prefers: tuple[Preference, ...] = (config.preference,) if config.upstream.ciphers else ("ecdsa", "rsa")
    contexts = {
        prefer: TlsContext(
            TlsSettings(
                "audit",
                config.verify.ip_san == "accept",
                config.cipher_string if config.upstream.ciphers else cipher_string("", prefer),
                config.tls_versions,
            ),
            store,
        )
        for prefer in prefers
    }
    resolver = Resolver(asyncio.get_running_loop())
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(question: Question) -> list[Checked]:
        async with places:
            told(question)
            place = listed(config.hosts, question.host, question.port)
            with contextlib.suppress(UnknownHostError):
                place = place or await resolver.look_up(question.host, question.port, seconds)
            handshakes = [
                _Handshake(question, place, prefer, config, await _shake(question, place, context, seconds))
                for prefer, context in contexts.items()
            ]
        return _merged([handshake.checked() for handshake in handshakes])

    answers = await asyncio.gather(*(one(question) for question in asked))
    return tuple(checked for answer in answers for checked in answer)


def _merged(answers: list[Checked]) -> list[Checked]:
    """One answer where both preferences got the same certificate, or the same failure."""
    first, *others = answers
    for other in others:
        same = [finding.code for finding in first.findings] == [finding.code for finding in other.findings]
        if first.certificate == other.certificate and same:
            return [replace(first, prefer=(*first.prefer, *other.prefer))]
    return answers


class _Outcome(NamedTuple):
    """How a handshake ended: with TLS (``tls`` alone), with OpenSSL's ``error``, or with Traffic Server's answer."""

    tls: TlsClient | None = None
    error: str = ""
    answer: Answer | None = None


async def _shake(question: Question, place: Place | None, context: TlsContext, seconds: float) -> _Outcome:
    if place is None:
        return _Outcome(answer=ANSWERS["no-name"])
    tls = context.connect(question.host)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(place.dial, place.port)
            try:
                writer.write(tls.start())
                while not tls.established:
                    data = await reader.read(65536)
                    if not data:
                        return _Outcome(answer=ANSWERS["connect-failed"])
                    tls.receive(data)
                    writer.write(tls.outgoing())
                writer.write(tls.close())
            except TlsError as error:
                writer.write(tls.alert())
                return _Outcome(tls, error.reason)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return _Outcome(answer=ANSWERS["connect-timeout"])
    except OSError as error:
        return _Outcome(answer=connection_error(error))
    return _Outcome(tls)


class _Handshake(NamedTuple):
    """One handshake, to be told as X14.2 would."""

    question: Question
    place: Place | None
    prefer: Preference
    config: Config
    outcome: _Outcome

    def checked(self) -> Checked:
        """What it came to."""
        tls = self.outcome.tls
        chain = tls.presented() if tls is not None else []
        writer = LineWriter(self.config.log.hostname, 0)
        lines = tuple(writer.format(event).removesuffix("\n") for event in self._events())
        return Checked(self.question, (self.prefer,), offer(chain[0]) if chain else None, find(lines), lines)

    def _events(self) -> list[Event]:
        (host, port), now = self.question, time.time()
        ip = self.place.ip if self.place is not None else ""
        token = encode(Target("preflight", "https", host, port))
        asked = f"GET http://{self.config.proxy.control_host}/{token}/ HTTP/1.1"
        events: list[Event] = [RequestReceived(now, 1, "", "127.0.0.1", 0, asked)]
        if self.place is not None:
            events.append(RequestSent(now, 1, "", ip, port, "GET / HTTP/1.1"))
        tls, error, answer = self.outcome
        faults = tls.verdict.faults if tls is not None else []
        for fault in faults:
            if fault.number is None:
                events.append(NameMismatch(now, 0, host, "Terminate", host, ip))
            else:
                text = error_text(fault.number, self.config.verify.openssl)
                events.append(VerifyFailed(now, 0, host, "Terminate", text, host, ip, fault.depth))
        if faults or error:
            reason = error_string(_REFUSED if faults else error, self.config.verify.openssl)
            events.append(HandshakeFailed(now, 0, host, reason))
            answer = ANSWERS["connect-failed"]
        if answer is None:
            events.append(ResponseReceived(now, 1, ip, port, "HTTP/1.1 200 "))
        status = f"{answer.status} {answer.reason}" if answer is not None else "200 "
        events.append(ResponseSent(now, 1, "127.0.0.1", 0, f"HTTP/1.1 {status}"))
        return events
