"""What X14.2 would refuse, found out from live servers: a handshake for each certificate they can present, no request.

Each server is asked as an X14.2 that prefers ECDSA asks and as one with the RSA prefix does, in audit mode, so one
handshake shows every fault. Certificate, chain and trust store are at hand, so ``shown`` explains more than a log can.
This is the only module of ``diagnose`` that touches the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ..config import Config
from ..core.http.error_pages import ERROR_PAGES, ErrorPage, connection_error
from ..core.mra.target import BadHost, canonical_host, canonical_port
from ..core.release import Preference, cipher_string
from ..errors import InputError
from ..net.resolver import Resolver, ServerAddress, UnknownHostError, listed
from ..tls.certificate import summarize
from ..tls.identity import Identity
from ..tls.openssl import TlsError
from ..tls.trust_store import TrustStore
from ..tls.verification import TlsClient, TlsContext, TlsSettings
from .checked import Checked, Handshake, Question, joined, judge

__all__ = ["CUCM_PORTS", "Checked", "Question", "check", "parse_questions", "questions", "summary"]

CUCM_PORTS: Final = (8443, 6972, 6971)
"""UDS, and configuration files over HTTPS with the tomcat and with the CallManager certificate."""

_LATE: Final = 1.0  # seconds to wait for a refusal that comes after a TLS 1.3 handshake
_AT_ONCE: Final = 16


def questions(config: Config) -> tuple[Question, ...]:
    """Return what a configuration's ``[hosts]`` lets clients ask for: each host with its ports, else with CUCM's."""
    return tuple(
        Question(name, port) for name, entry in config.hosts.items() for port in (sorted(entry.ports) or CUCM_PORTS)
    )


def parse_questions(texts: Iterable[str]) -> tuple[Question, ...]:
    """Parse ``HOST:PORT`` texts, IPv6 in brackets. Raises ``InputError`` that names every text which is not one."""
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
    identity: Identity | None = None,
    told: Callable[[Question], object] = lambda _: None,
) -> tuple[Checked, ...]:
    """Ask every server. ``seconds`` are for one handshake; ``told`` is called with each question as its turn comes.

    ``config`` says where servers are (``[hosts]``), which TLS versions and ciphers are offered, and the wording.
    ``identity`` is presented to servers that ask for a client certificate.
    """
    prefers: tuple[Preference, ...] = (config.preference,) if config.upstream.ciphers else ("ecdsa", "rsa")
    contexts = {
        prefer: TlsContext(
            TlsSettings(
                "audit",
                config.verify.ip_san == "accept",
                config.cipher_string if config.upstream.ciphers else cipher_string("", prefer),
                config.tls_versions,
                prefer,
            ),
            store,
            identity,
        )
        for prefer in prefers
    }
    resolver = Resolver(asyncio.get_running_loop())
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(question: Question) -> list[Handshake]:
        async with places:
            told(question)
            place = listed(config.hosts, question.host, question.port)
            with contextlib.suppress(UnknownHostError):
                place = place or await resolver.look_up(question.host, question.port, seconds)
            return [
                _seen(question, place, prefer, await _shake(question, place, context, seconds), identity)
                for prefer, context in contexts.items()
            ]

    answers = await asyncio.gather(*(one(question) for question in asked))
    now = datetime.now(UTC)
    sent = tuple(dict.fromkeys(member for answer in answers for seen in answer for member in seen.members))
    return tuple(
        checked
        for answer in answers
        for checked in _merged([judge(seen, config, store.certificates, sent, now) for seen in answer])
    )


def _seen(
    question: Question,
    place: ServerAddress | None,
    prefer: Preference,
    outcome: _HandshakeResult,
    identity: Identity | None,
) -> Handshake:
    tls, error, answer, why, requested = outcome
    sent = tuple(tls.presented()) if tls is not None else ()
    return Handshake(
        question,
        prefer,
        ip=place.ip if place is not None else "",
        dial=joined(place.dial, place.port) if place is not None else "",
        sent=sent,
        certificate=summarize(sent[0]) if sent else None,
        faults=tuple(tls.verdict.faults) if tls is not None else (),
        reason=error.reason if error is not None else "",
        printed=error.printed if error is not None else "",
        answer=answer,
        why=why,
        client_certificate=requested,
        presented=bool(requested) and identity is not None,
    )


def _merged(answers: list[Checked]) -> list[Checked]:
    """Return one answer where both preferences got the same certificate, or the same failure."""
    first, *others = answers
    for other in others:
        same = [finding.code for finding in first.findings] == [finding.code for finding in other.findings]
        if first.certificate == other.certificate and same and first.state == other.state:
            return [replace(first, prefer=(*first.prefer, *other.prefer))]
    return answers


_SAYS: Final = {"accepted": "accepted", "refused": "refused", "failed": "TLS fails", "not-asked": "could not be asked"}


def summary(answers: Sequence[Checked]) -> list[str]:
    """Return the result in one line, then a line for each server not accepted in both orders and for each expiry."""
    by_question: dict[Question, list[Checked]] = {}
    for answer in answers:
        by_question.setdefault(answer.question, []).append(answer)
    states = [{answer.state for answer in group} for group in by_question.values()]
    refused = sum("refused" in each for each in states)
    failed = sum("failed" in each and "refused" not in each for each in states)
    not_asked = sum("not-asked" in each and not each & {"refused", "failed"} for each in states)
    parts = [f"X14.2 would refuse {refused} of {len(states)}"] if refused else []
    parts += [f"TLS fails with {failed} of {len(states)}"] if failed else []
    if not parts:
        parts = ["X14.2 would accept everything" if not not_asked else "X14.2 would refuse nothing that was asked"]
    parts += [f"{not_asked} of {len(states)} could not be asked"] if not_asked else []
    lines = [f"{'; '.join(parts)}."]
    for question, group in by_question.items():
        if any(not answer.ok for answer in group):
            lines.append(f"{question}: {'; '.join(_order(answer) for answer in group)}")
        lines += dict.fromkeys(f"{question}: {expiry}" for answer in group for expiry in answer.expiring)
    return lines


def _order(answer: Checked) -> str:
    codes = ", then ".join(finding.code for finding in answer.findings)
    first = "either order" if len(answer.prefer) > 1 else f"{answer.prefer[0].upper()} first"
    return f"{_SAYS[answer.state]} with {first}{f' ({codes})' if codes else ''}"


class _HandshakeResult(NamedTuple):
    """How a handshake ended: well (``tls`` alone), by OpenSSL's ``error``, or without either (``why``).

    ``answer`` is what Traffic Server answers to its client where it failed. ``requested`` is whether the server asked
    for a client certificate, None where that could not be seen.
    """

    tls: TlsClient | None = None
    error: TlsError | None = None
    answer: ErrorPage | None = None
    why: str = ""
    requested: bool | None = None


async def _shake(
    question: Question, place: ServerAddress | None, context: TlsContext, seconds: float
) -> _HandshakeResult:
    if place is None:
        return _HandshakeResult(answer=ERROR_PAGES["no-name"], why="the name has no address here")
    tls = context.connect(question.host)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(place.dial, place.port)
            try:
                writer.write(tls.start())
                while not tls.established:
                    data = await reader.read(65536)
                    if not data:
                        why = "the server accepted the connection and closed it during the TLS handshake"
                        return _HandshakeResult(
                            tls, None, ERROR_PAGES["connect-failed"], why, tls.client_certificate_requested
                        )
                    tls.receive(data)
                    writer.write(tls.outgoing())
                requested = tls.client_certificate_requested
                late = requested and tls.version == "1.3"  # a TLS 1.3 server refuses its client after the handshake
                if late and await _ended(reader, tls, min(seconds / 2, _LATE)):
                    why = "the server closed the connection after the handshake"
                    return _HandshakeResult(tls, None, ERROR_PAGES["hangup"], why, requested)
                writer.write(tls.close())
            except TlsError as error:
                writer.write(tls.alert())
                requested = tls.client_certificate_requested
                answer = ERROR_PAGES["hangup" if tls.established else "connect-failed"]
                if not error.printed:  # the server ended TLS: no error of OpenSSL's, and none in a log
                    return _HandshakeResult(tls, None, answer, "the server ended TLS", requested)
                return _HandshakeResult(tls, error, answer, requested=requested)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return _HandshakeResult(tls, None, ERROR_PAGES["connect-timeout"], f"no answer within {seconds:g} seconds")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return _HandshakeResult(tls, None, connection_error(error), why)
    return _HandshakeResult(tls, requested=requested)


async def _ended(reader: asyncio.StreamReader, tls: TlsClient, seconds: float) -> bool:
    """Return whether the server ends the connection within ``seconds``. Raises ``TlsError`` for an alert."""
    try:
        async with asyncio.timeout(seconds):
            while data := await reader.read(65536):
                tls.receive(data)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
