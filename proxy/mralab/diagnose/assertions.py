"""Assertions about what a proxy did, for tests: true or false, and either way what happened.

``assert refused(...)`` fails with the nearest miss in its message: what else stopped the server's requests, what they
were answered, who was asked instead. Messages stay under 240 characters, which is what pytest shows of a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import MralabError, did_you_mean
from .asked import authority
from .findings import Finding
from .journal import Served
from .rules import CODES

_LONGEST: Final = 236


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """An answer that is true or false; its text, which is also its repr, says what happened."""

    holds: bool
    text: str

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return self.text if len(self.text) <= _LONGEST else self.text[: _LONGEST - 3] + "..."


class UnknownCodeError(MralabError, ValueError):
    """A finding code that does not exist: an assertion about it would hold, or fail, for ever."""


def refused(
    server: str,
    findings: Sequence[Finding],
    transactions: Sequence[Served],
    *,
    because: str | None = None,
    port: int | None = None,
) -> AssertionResult:
    """Whether a request to ``server`` (and ``port``) was stopped, ``because`` of this finding code if it is given.

    Raises:
        UnknownCodeError: ``because`` is no finding code.
    """
    if because is not None and because not in CODES:
        raise UnknownCodeError(
            f"{because!r} is no finding code{did_you_mean(because, CODES)}", f"known: {', '.join(CODES)}"
        )
    place = _place(server, port)
    here = [each for each in findings if each.action != "Continue" and _is_at(each, server, port)]
    why = f" because of {because}" if because else ""
    if because is None and here:
        return AssertionResult(True, f"{place} was refused: {_codes(here)}")
    if any(each.code == because for each in here):
        return AssertionResult(True, f"{place} was refused{why}")
    if here:
        return AssertionResult(False, f"{place} was refused, but because of {_codes(here)}, not {because}")
    return AssertionResult(False, f"{place} was not refused{why}: {_happened(server, port, findings, transactions)}")


def allowed(
    server: str, findings: Sequence[Finding], transactions: Sequence[Served], *, port: int | None = None
) -> AssertionResult:
    """Whether ``server`` was asked and, on every port asked, answered the latest request itself."""
    place = _place(server, port)
    latest = {each.port: each for each in _asked(server, port, transactions)}
    failed = [each for each in latest.values() if not each.answered]
    if latest and not failed:
        return AssertionResult(True, f"{place} was allowed: {_told(list(latest.values())[-1])}")
    if not failed:
        return AssertionResult(False, f"{place} was not allowed: {_happened(server, port, findings, transactions)}")
    here = [each for each in findings if _is_at(each, server, port)]
    codes = f" ({_codes(here)})" if here else ""
    return AssertionResult(False, f"{place} was not allowed: {_told(failed[-1])}{codes}")


def _happened(server: str, port: int | None, findings: Sequence[Finding], transactions: Sequence[Served]) -> str:
    """What did happen instead, the nearest thing first."""
    if requests := _asked(server, port, transactions):
        tolerated = [each for each in findings if _is_at(each, server, port)]
        return _told(requests[-1]) + (f", although {_codes(tolerated)}" if tolerated else "")
    if port is not None and (elsewhere := _asked(server, None, transactions)):
        ports = ", ".join(dict.fromkeys(str(each.port) for each in elsewhere))
        return f"it was asked on {ports} only"
    if refusals := [each for each in findings if _is_at(each, server, None)]:
        return _codes(refusals)
    others = list(dict.fromkeys(f"{each.server}:{each.port}" for each in transactions if each.server))
    others += [f"{each.server or 'no server'} ({each.code})" for each in findings if each.action != "Continue"]
    if not others:
        return f"no request came in{'' if not transactions else ' that had a server'}"
    near = did_you_mean(server, [each.server for each in transactions if each.server])
    return f"nobody asked for it{near}{' Asked' if near else '; asked'} for: {', '.join(others)}"


def _asked(server: str, port: int | None, transactions: Iterable[Served]) -> list[Served]:
    """The requests to a server, those included that were denied before one was dialled."""
    return [each for each in transactions if _goes_to(each, server.lower(), port)]


def _goes_to(served: Served, server: str, port: int | None) -> bool:
    place = (served.server, served.port) if served.server or not served.denied else authority(served.url)
    return place[0] == server and port in (None, place[1])


def _is_at(finding: Finding, server: str, port: int | None) -> bool:
    return finding.server.lower() == server.lower() and port in (None, finding.port)


def _place(server: str, port: int | None) -> str:
    return server if port is None else f"{server}:{port}"


def _codes(findings: Iterable[Finding]) -> str:
    """``self-signed (6972), expired (8443)``."""
    return ", ".join(f"{each.code} ({each.port})" if each.port else each.code for each in findings)


def _told(served: Served) -> str:
    request = f"{served.method} {served.url}"
    shown = request if len(request) <= 90 else request[:87] + "..."
    answer = f"got {served.status} {served.reason}".rstrip() if served.status else "has no answer yet"
    at = f" at {served.dial}" if served.dial else ""
    why = served.nearest or (f"{served.because}{at}" if served.because and not served.faults else "")
    return f"{shown} {answer}{f' ({why})' if why else ''}"
