"""Occurrences whose lines name their server themselves, made from one event each."""

from __future__ import annotations

from ..core.log.events import (
    NameMismatch,
    ProvisioningAnswered,
    ProvisioningFailed,
    RequestDenied,
    UserNotAuthenticated,
    VerifyFailed,
)
from .occurrence import Occurrence
from .request_line import authority, parse_request_line


def of_warning(event: VerifyFailed | NameMismatch, number: int, text: str) -> Occurrence:
    """Return the occurrence of a WARNING about a certificate; its port is not known yet."""
    is_chain = isinstance(event, VerifyFailed)
    return Occurrence(
        kind="chain" if is_chain else "name",
        server=event.name or event.server or event.ip,
        ip=event.ip,
        error=event.error if isinstance(event, VerifyFailed) else "not in certificate",
        at=event.at,
        number=number,
        evidence=(text,),
        depth=event.depth if isinstance(event, VerifyFailed) else 0,
        action=event.action,
        presented=event.presented,
    )


def of_denial(event: RequestDenied, number: int, text: str) -> Occurrence | None:
    """Return the occurrence of a denied request; None if Expressway-E answers it, such as get_edge_config."""
    bad_token = event.detail == "Invalid token"
    if bad_token and parse_request_line(f"{event.method} {event.url} ").is_for_edge:
        return None
    server, port = ("", None) if bad_token else authority(event.url)
    occurrence = Occurrence("refusal", server, "", f"{event.detail}: {event.reason}", event.at, number, (text,), port)
    occurrence.method, occurrence.url = event.method, event.url
    occurrence.nearest, occurrence.unlisted = event.nearest, event.unlisted
    return occurrence


def of_login(
    event: ProvisioningAnswered | ProvisioningFailed | UserNotAuthenticated, number: int, text: str
) -> Occurrence:
    """Return the occurrence of a line of the login service."""
    server, port, url, user = "", None, "", ""
    match event:
        case ProvisioningAnswered():
            url, error = event.url, event.start_line.partition(" ")[2]
            server, port = authority(event.url)
        case ProvisioningFailed():
            user, server, port = event.username, event.server, event.port
            error = f"Failed to authenticate: {event.reason or 'no reason given'}"
        case UserNotAuthenticated():
            user, error = event.username, f"Login refused: {event.code or 'no code given'}"
    occurrence = Occurrence("login", server, "", error, event.at, number, (text,), port)
    occurrence.url, occurrence.user = url, user
    return occurrence
