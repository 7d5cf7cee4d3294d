"""A finding as JSON data: the one form for the control API, ``preflight --json`` and ``demo --json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Final

from ..core.counting import counted
from ..core.log.escape import escape
from .findings import Finding

_MOST_NAMES: Final = 8  # of one certificate, in text


def finding_json(finding: Finding, *, ip_san: bool = True) -> dict[str, Any]:
    """Return every field of a finding, and of its remedies, under its own name.

    ``presented`` becomes the certificates in words and in PEM; ``ip_san`` is whether their iPAddress entries count.
    ``finding_report`` describes each field: a new one needs a line there.
    """
    values = {field.name: getattr(finding, field.name) for field in fields(finding)}
    values["remedies"] = tuple(map(asdict, finding.remedies))
    values["presented"] = _presented(finding, ip_san) if finding.presented else ()
    return values


def presented_text(presented: Sequence[Mapping[str, Any]]) -> str:
    """Return the server's own certificate, of a finding's JSON data, in one line; empty if none is known."""
    if not presented:
        return ""
    leaf = presented[0]
    issuer = "self-signed" if leaf["self_signed"] else f"issued by {leaf['issuer']}"
    names = ", ".join(leaf["names"][:_MOST_NAMES]) or "none"
    if len(leaf["names"]) > _MOST_NAMES:
        names += f" and {len(leaf['names']) - _MOST_NAMES} more"
    others = f"; {counted(len(presented) - 1, 'more certificate')} sent" if len(presented) > 1 else ""
    return escape(
        f"presented: {leaf['subject']}, {issuer}; {leaf['key']}; names: {names}; "
        f"valid from {leaf['not_before'][:10]} until {leaf['not_after'][:10]}{others}"
    )


def _presented(finding: Finding, ip_san: bool) -> tuple[dict[str, Any], ...]:
    from .chain_report import presented  # needed for refused certificates only, and slow to import

    now = datetime.fromtimestamp(finding.last, UTC)
    shown = presented(finding.presented, finding.server, finding.port, now, ip_san=ip_san)
    return tuple(certificate.model_dump(mode="json") for certificate in shown.certificates)
