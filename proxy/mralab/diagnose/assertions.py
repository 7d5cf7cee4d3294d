"""Assertions for tests about requests to a server: each result is true or false, and explains itself.

``assert refused(...)`` fails with a message about what happened instead: the findings that stopped the server's
requests, the responses, or the servers that were requested. Messages have fewer than 240 characters, because pytest
truncates longer values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..core.nearest import did_you_mean
from ..errors import MralabError
from .findings import Finding
from .journal import Transaction
from .request_line import authority
from .rules import CODES

_MAX_LENGTH: Final = 236
_LONGEST_REQUEST: Final = 90


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """The result of an assertion, true or false. ``text``, which is also its repr, explains it."""

    holds: bool
    text: str

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return self.text if len(self.text) <= _MAX_LENGTH else self.text[: _MAX_LENGTH - 3] + "..."


class UnknownCodeError(MralabError, ValueError):
    """A finding code that does not exist: an assertion about it would always hold or always fail."""


def refused(
    server: str,
    findings: Sequence[Finding],
    transactions: Sequence[Transaction],
    *,
    because: str | None = None,
    port: int | None = None,
) -> AssertionResult:
    """Return whether a request to ``server`` (and ``port``) was refused, ``because`` of this finding code if given.

    Raises:
        UnknownCodeError: ``because`` is not a finding code.
    """
    if because is not None and because not in CODES:
        raise UnknownCodeError(
            f"{because!r} is not a finding code{did_you_mean(because, CODES)}", f"known: {', '.join(CODES)}"
        )
    place = _place(server, port)
    refusals = [each for each in findings if each.action != "Continue" and _is_at(each, server, port)]
    why = f" because of {because}" if because else ""
    if because is None and refusals:
        return AssertionResult(True, f"{place} was refused: {_codes(refusals)}")
    if any(each.code == because for each in refusals):
        return AssertionResult(True, f"{place} was refused{why}")
    if refusals:
        return AssertionResult(False, f"{place} was refused, but because of {_codes(refusals)}, not {because}")
    return AssertionResult(False, f"{place} was not refused{why}: {_explanation(server, port, findings, transactions)}")


def allowed(
    server: str, findings: Sequence[Finding], transactions: Sequence[Transaction], *, port: int | None = None
) -> AssertionResult:
    """Return whether ``server`` had requests and itself answered the latest one on each requested port."""
    place = _place(server, port)
    latest = {each.port: each for each in _requests_to(server, port, transactions)}
    failed = [each for each in latest.values() if not each.answered]
    if latest and not failed:
        return AssertionResult(True, f"{place} was allowed: {_describe(list(latest.values())[-1])}")
    if not failed:
        return AssertionResult(False, f"{place} was not allowed: {_explanation(server, port, findings, transactions)}")
    found = [each for each in findings if _is_at(each, server, port)]
    codes = f" ({_codes(found)})" if found else ""
    text = _describe(failed[-1])
    dial = failed[-1].dial
    dialled = f", dialled at {dial}" if dial and dial not in text else ""
    return AssertionResult(False, f"{place} was not allowed: {text}{dialled}{codes}")


def _explanation(
    server: str, port: int | None, findings: Sequence[Finding], transactions: Sequence[Transaction]
) -> str:
    """Return what happened instead: the most similar request or refusal."""
    if requests := _requests_to(server, port, transactions):
        tolerated = [each for each in findings if _is_at(each, server, port)]
        return _describe(requests[-1]) + (f", although {_codes(tolerated)}" if tolerated else "")
    if port is not None and (elsewhere := _requests_to(server, None, transactions)):
        ports = ", ".join(dict.fromkeys(str(each.port) for each in elsewhere))
        return f"it was requested on {ports} only"
    if refusals := [each for each in findings if _is_at(each, server, None)]:
        return _codes(refusals)
    others = list(dict.fromkeys(f"{each.server}:{each.port}" for each in transactions if each.server))
    others += [f"{each.server or 'no server'} ({each.code})" for each in findings if each.action != "Continue"]
    if not others:
        return "no request named a server" if transactions else "no request came in"
    near = did_you_mean(server, [each.server for each in transactions if each.server])
    return f"it was not requested{near}{' Requested' if near else '; requested'}: {', '.join(others)}"


def _requests_to(server: str, port: int | None, transactions: Iterable[Transaction]) -> list[Transaction]:
    """Return the requests to a server, including those that were denied before one was dialled."""
    return [each for each in transactions if _goes_to(each, server.lower(), port)]


def _goes_to(transaction: Transaction, server: str, port: int | None) -> bool:
    address: tuple[str, int | None] = (transaction.server, transaction.port)
    if transaction.denied and not transaction.server:
        address = authority(transaction.url)
    return address[0] == server and port in (None, address[1])


def _is_at(finding: Finding, server: str, port: int | None) -> bool:
    return finding.server.lower() == server.lower() and port in (None, finding.port)


def _place(server: str, port: int | None) -> str:
    return server if port is None else f"{server}:{port}"


def _codes(findings: Iterable[Finding]) -> str:
    """Return ``self-signed (6972), expired (8443)``."""
    return ", ".join(f"{each.code} ({each.port})" if each.port else each.code for each in findings)


def _describe(transaction: Transaction) -> str:
    """Return the request, its response and the reason, on one line."""
    request = f"{transaction.method} {transaction.url}"
    if len(request) > _LONGEST_REQUEST:
        request = request[: _LONGEST_REQUEST - 3] + "..."
    status = f"got {transaction.status} {transaction.reason}".rstrip() if transaction.status else "has no answer yet"
    dialled = f" at {transaction.dial}" if transaction.dial else ""
    reason = transaction.nearest
    if not reason and transaction.because and not transaction.faults:
        reason = f"{transaction.because}{dialled}"
    return f"{request} {status}{f' ({reason})' if reason else ''}"
