"""Rules for the proxy's own answers and refusals that no WARNING or ERROR explains."""

from __future__ import annotations

from functools import partial
from typing import Final

from .fault import MRA_GUIDE, Rule

_answer = partial(Rule, kind="answer", reference=MRA_GUIDE)


ANSWER_RULES: Final[tuple[Rule, ...]] = (
    _answer(
        "dns",
        pattern="^50[02] Cannot find server",
        cause="The name {server} could not be resolved, so nothing was dialled.",
        remedies=("check-dns",),
    ),
    _answer(
        "timeout",
        pattern="^504|^502 (.*timed out|internal error - server connection terminated)",
        when=lambda fault: bool(fault.ip),
        cause="{place} did not answer in time ({reason}).",
        remedies=("check-network", "check-server"),
    ),
    _answer(
        "bad-response",
        pattern="^502 (Server Hangup|Invalid HTTP Response|Malformed|No Response Header)",
        when=lambda fault: bool(fault.ip),
        cause="{place} took the request and then sent no proper HTTP response ({reason}).",
        remedies=("check-server",),
    ),
    _answer(
        "unreachable",
        pattern="^502",
        when=lambda fault: bool(fault.ip),
        cause="No connection to {place} was established: it was refused or reset, or there is no route ({reason}). No "
        "line that was read blames a certificate.",
        remedies=("check-network", "check-port"),
    ),
    Rule(
        "bad-token",
        "refusal",
        "^Invalid token",
        cause="A request was refused because the first part of its path is not a token of domain, protocol, host and "
        "port: {reason}.",
        remedies=("fix-token",),
        reference=MRA_GUIDE,
    ),
    Rule(
        "not-allowed",
        "refusal",
        "^Access denied",
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled.",
        remedies=("allow-rule",),
        reference=MRA_GUIDE,
    ),
)
