"""``mralab transactions``: the requests of a running proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ..core.log.escape import visible
from .control_api import admin_option, connect
from .group import json_option
from .journal import clock, most_option, print_answer
from .root import main


@main.command()
@admin_option
@most_option
@json_option
def transactions(admin: str | None, most: int, as_json: bool) -> None:
    """Show the latest requests and their outcomes.

    \b
    Example:
      mralab transactions --json | jq '.transactions[] | select(.verdict == "refused")'
    """
    answer = connect(admin).request("GET", f"/api/transactions?most={most}")
    print_answer(answer, "transactions", as_json, _transaction_rows)


def _because(one: dict[str, Any]) -> str:
    """Return why a request failed: the faults of certificates first, which say more than the error of the handshake."""
    reason = "" if one["because"] in one["error"] else one["because"]
    parts = dict.fromkeys((*one.get("faults", ()), one["error"], one["denied"], reason, one["nearest"]))
    return "; ".join(filter(None, parts))


def _transaction_rows(answer: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each request, or a block on a narrow terminal."""
    from ..show.paragraphs import wrapped
    from ..show.screen import TABLE_WIDTH, columns

    width = columns(sys.stdout)
    if not answer["transactions"]:
        yield "No request so far."
    for one in answer["transactions"]:
        status = f"{one['status']} {one['reason']}".strip() if one["status"] else "no response yet"
        because = _because(one)
        beginning = f"{clock(one['started'])}  {one['verdict']}"
        request = f"{one['method']} {one['url']}"
        dialled = f"dialled at {one['dial']}" if one["dial"] else ""
        if width >= TABLE_WIDTH:
            row = "  ".join(part for part in (beginning, request, status, dialled) if part)
            yield visible(f"{row}  ({because})" if because else row)
        else:
            yield visible(f"{beginning}  {status}")
            for part in (request, dialled, because):
                yield from (f"  {row}" for row in wrapped(visible(part), width - 2, "  ") if row)
