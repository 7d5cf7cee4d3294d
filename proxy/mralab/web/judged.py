"""The assertions ``refused`` and ``allowed`` (``diagnose.assertions``) on answers of the control API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from ..core.outcome import Outcome
from ..diagnose.assertions import allowed, refused
from ..diagnose.findings import Finding
from ..diagnose.journal import Transaction
from .schemas import JudgedAnswer, Judgement


def judgement(
    server: str,
    findings: Iterable[Mapping[str, Any]],
    transactions: Iterable[Mapping[str, Any]],
    *,
    because: str | None,
    port: int | None,
) -> JudgedAnswer:
    """Return whether requests to ``server`` were refused, ``because`` of this code if given, and allowed."""
    found = [Finding(**{**each, "presented": ()}) for each in findings]
    names = {field.name for field in fields(Transaction)} - {"outcome"}
    requests = [
        Transaction(**{name: each[name] for name in names}, outcome=Outcome(each["verdict"])) for each in transactions
    ]
    is_refused = refused(server, found, requests, because=because, port=port)
    is_allowed = allowed(server, found, requests, port=port)
    return JudgedAnswer(
        server=server,
        port=port,
        because=because,
        refused=Judgement(holds=is_refused.holds, text=is_refused.text),
        allowed=Judgement(holds=is_allowed.holds, text=is_allowed.text),
    )
