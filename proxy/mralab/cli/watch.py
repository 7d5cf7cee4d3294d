"""``mralab watch``: follow a running proxy in the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ..errors import MralabError
from .control_api import admin_option, connect
from .event_loop import run
from .group import json_option
from .root import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..web.client import Admin
    from ..web.documents import WatchDocument


@main.command()
@admin_option
@json_option
def watch(admin: str | None, as_json: bool) -> None:
    """Follow a running proxy until Ctrl-C.

    Shows each step of a login as it happens (client, Expressway-C, servers), each new finding with its remedies, and
    changes of the configuration. Times are UTC. If the proxy ends, watch says so and waits until it is back. --json
    prints one JSON document per line.

    Exit 130: Ctrl-C. Exit 2: no proxy answers at the start.

    \b
    Example:
      mralab watch --admin 127.0.0.1:41235
    """
    remote = connect(admin)
    shown = _print_json if as_json else _print
    run(lambda: _watch(remote, shown))


async def _watch(remote: Admin, shown: Callable[[Iterable[WatchDocument]], None]) -> None:
    import asyncio

    from ..show.watch import Watcher
    from ..web.event_client import follow

    watcher = Watcher()
    async for event in follow(remote.host, remote.port):
        documents = [*(watcher.pause() if event is None else watcher.take(event.kind, event.data))]
        if any(document.finding is not None for document in documents):
            documents = await asyncio.to_thread(_with_findings_of, remote, documents)
        shown(documents)


def _with_findings_of(remote: Admin, documents: Sequence[WatchDocument]) -> list[WatchDocument]:
    """Replace findings by those of the proxy, which knows more than its lines: certificates, ``[hosts]``, reasons.

    A finding that the proxy does not have, or does not return, stays as it is.
    """
    from ..web.documents import WatchDocument

    try:
        found = remote.request("GET", "/api/findings")["findings"]
        known = {(each["code"], each["server"].lower(), each["port"]): each for each in found}
        return [
            WatchDocument.model_validate({"event": "finding", "finding": own})
            if (finding := document.finding) is not None
            and (own := known.get((finding.code, finding.server.lower(), finding.port))) is not None
            else document
            for document in documents
        ]
    except (MralabError, KeyError, TypeError, AttributeError, ValueError):  # it is gone, or no proxy
        return [*documents]


def _print_json(documents: Iterable[WatchDocument]) -> None:
    for document in documents:
        click.echo(json.dumps(document.model_dump(mode="json", by_alias=True)))
        sys.stdout.flush()


def _print(documents: Iterable[WatchDocument]) -> None:
    from ..show import screen, watch

    for document in documents:
        # Whether the proxy is there is no step: it must not get into a file of steps.
        console = screen.console(stderr=document.event in ("follows", "gone", "back"))
        width = console.width if console.is_terminal else None
        console.print(watch.watch_text(document, width), soft_wrap=True)
        console.file.flush()
