"""A finding as JSON data: the one form for the control API, ``preflight --json`` and ``demo --json``."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from .findings import Finding


def finding_json(finding: Finding, *, ip_san: bool = True) -> dict[str, Any]:
    """Return every field of a finding, and of its remedies, under its own name.

    ``presented`` becomes the certificates in words and in PEM; ``ip_san`` is whether their iPAddress entries count.
    ``finding_report`` describes each field: a new one needs a line there.
    """
    values = {field.name: getattr(finding, field.name) for field in fields(finding)}
    values["remedies"] = tuple(map(asdict, finding.remedies))
    values["presented"] = _presented(finding, ip_san) if finding.presented else ()
    return values


def _presented(finding: Finding, ip_san: bool) -> tuple[dict[str, Any], ...]:
    from .chain_report import presented  # needed for refused certificates only, and slow to import

    now = datetime.fromtimestamp(finding.last, UTC)
    shown = presented(finding.presented, finding.server, finding.port, now, ip_san=ip_san)
    return tuple(certificate.model_dump(mode="json") for certificate in shown.certificates)
