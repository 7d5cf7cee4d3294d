"""Summarize checks: the answer in one line, counts, and a line for each server that X14.2 would not accept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..core.counting import capitalized, share
from ..core.release import DEFAULT
from .server_check import ServerCheck

_STATE_TEXTS: Final = {
    "accepted": "accepted",
    "refused": "refused",
    "failed": "TLS fails",
    "not-asked": "could not be checked",
}


class Counts(NamedTuple):
    """Numbers of servers by the worst result of their handshakes.

    A certificate that was read from a file counts as a server for each name it was checked for.
    """

    servers: int
    accepted: int
    refused: int
    failed: int
    not_checked: int


def count(checks: Iterable[ServerCheck]) -> Counts:
    """Count servers by state."""
    states = [{result.state for result in results} for results in _by_server(checks).values()]
    refused = sum("refused" in each for each in states)
    failed = sum("failed" in each and "refused" not in each for each in states)
    unchecked = sum("not-asked" in each and not each & {"refused", "failed"} for each in states)
    return Counts(len(states), len(states) - refused - failed - unchecked, refused, failed, unchecked)


def headline(counts: Counts, release: str = DEFAULT) -> str:
    """Return the answer in one line."""
    total, unchecked = counts.servers, counts.not_checked
    if unchecked and unchecked == total:
        return f"What {release} would do with {share(total, total, 'server')} could not be checked."
    parts = [f"{release} would refuse {share(counts.refused, total, 'server')}"] if counts.refused else []
    parts += [f"TLS fails with {share(counts.failed, total, 'server')}"] if counts.failed else []
    if not parts:
        does = "refuse nothing that was checked" if unchecked else "accept everything"
        parts = [f"{release} would {does}"]
    parts += [f"{share(unchecked, total, 'server')} could not be checked"] if unchecked else []
    return capitalized(f"{'; '.join(parts)}.")


def _by_server(checks: Iterable[ServerCheck]) -> dict[str, list[ServerCheck]]:
    by_server: dict[str, list[ServerCheck]] = {}
    for result in checks:
        by_server.setdefault(result.title, []).append(result)
    return by_server


def release_of(checks: Sequence[ServerCheck]) -> str:
    """Return the release as which servers were checked."""
    return checks[0].release if checks else DEFAULT


def summary(checks: Sequence[ServerCheck]) -> list[str]:
    """Return a line with the result, a line for each server not accepted with both preferences, and the expiries."""
    lines = [headline(count(checks), release_of(checks))]
    for title, results in _by_server(checks).items():
        if any(not result.ok for result in results):
            lines.append(f"{title}: {'; '.join(_describe(result) for result in results)}")
        lines += dict.fromkeys(f"{title}: {expiry}" for result in results for expiry in result.expiring)
    return lines


def _describe(result: ServerCheck) -> str:
    """Return state, preference and codes: ``refused with RSA first (self-signed, then expired)``.

    A certificate that was read from a file has no preference.
    """
    codes = ", then ".join(finding.code for finding in result.findings)
    preference = " with either order" if len(result.prefer) > 1 else ""
    if len(result.prefer) == 1:
        preference = f" with {result.prefer[0].upper()} first"
    return f"{_STATE_TEXTS[result.state]}{preference}{f' ({codes})' if codes else ''}"
