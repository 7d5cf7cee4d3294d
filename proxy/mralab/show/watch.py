"""A running proxy's live events as steps of its ladder, findings and changes: for ``mralab watch``.

The log lines of the stream are read as ``diagnose`` reads a log, so both say the same of the same lines. The command
replaces a finding by the proxy's own, which knows more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from ..core.hostport import host_port
from ..core.log.escape import visible
from ..core.log.events import ResponseSent
from ..core.log.reader import LineReader, Record
from ..diagnose.finding_json import finding_json, presented_text
from ..diagnose.ladder import LadderBuilder, LadderStep, Participant
from ..web.documents import WatchDocument
from ..web.switches import shown
from .paragraphs import wrapped

_MOST: Final = 200  # requests that are kept for the lines that follow
_REMEMBERED: Final = 20_000

_Key = tuple[object, ...]


class Watcher:
    """Turns events into documents: ``take`` what arrives, ``pause`` once no more follows for the moment."""

    def __init__(self) -> None:
        self._reader, self._builder = _new()
        self._records: list[Record] = []
        self._seen: dict[_Key, None] = {}
        self._number = 0

    def take(self, kind: str, data: Mapping[str, Any]) -> Iterator[WatchDocument]:
        """Yield the documents of an event other than a log line. Lines are collected until ``pause``."""
        if kind == "log":
            self._number += 1
            self._records += self._reader.line(str(data.get("line", "")), self._number)
            return
        yield from self.pause()
        if kind in ("reset", "cleared", "gone"):  # what follows is another log
            self._reader, self._builder = _new()
            self._seen.clear()
        yield WatchDocument(event=kind, data=dict(data))

    def pause(self) -> Iterator[WatchDocument]:
        """Yield the steps and findings of the lines so far."""
        self._records += self._reader.flush()
        records, self._records = self._records, []
        if not records:
            return
        for record in records:
            self._builder.add(record)
        ladder = self._builder.ladder(())
        participants = {participant.id: participant for participant in ladder.participants}
        for step in ladder.steps:
            if self._is_new(_key(step)):
                yield WatchDocument(event="step", step=step, source=participants[step.source], to=participants[step.to])
        if _has_answer(records):  # before it, lines that change the finding may follow
            for finding in self._builder.diagnosis.findings():
                if self._is_new((finding.code, finding.server.lower(), finding.port)):
                    yield WatchDocument.model_validate({"event": "finding", "finding": finding_json(finding)})

    def _is_new(self, key: _Key) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


def _new() -> tuple[LineReader, LadderBuilder]:
    return LineReader(datetime.now(UTC).year), LadderBuilder(_MOST)


def _key(step: LadderStep) -> _Key:
    at = step.at if not step.transaction else 0.0
    return step.process, step.transaction, at, step.kind, step.text, step.source == "expressway"


def _has_answer(records: Iterable[Record]) -> bool:
    return any(isinstance(record.event, ResponseSent) for record in records)


def watch_text(document: WatchDocument, width: int | None) -> Text:
    """Return a document as text for a terminal of ``width`` columns; None: each step in one line."""
    if document.step is not None and document.source is not None and document.to is not None:
        return _step(document.step, document.source, document.to, width)
    if document.finding is not None:
        return _finding(document, width)
    now = f"{_clock(time.time())}  "
    return Text(f"{now}{visible(_SENTENCES.get(document.event, _other)(document))}", style="yellow")


def _step(step: LadderStep, source: Participant, to: Participant, width: int | None) -> Text:
    arrow = f"{_clock(step.at)}  {_name(source, step)} -> {_name(to, step)}"
    label = visible(step.label)
    style = ""
    if step.kind in ("refused", "failed") or (step.kind == "answer" and not step.ok):
        style = "red"
    elif step.kind == "answer":
        style = "green"
    elif step.kind == "handshake":
        style = "yellow"
    if step.kind in ("refused", "failed", "handshake"):
        words = {"refused": "refused", "failed": "failed", "handshake": "has a fault, and continues (audit)"}
        label = f"{words[step.kind]}: {label}"
    line = f"{arrow}: {label}"
    if width is None or len(line) <= width:
        return Text.assemble(f"{arrow}: ", (label, style))
    rows = [f"  {row}" for row in wrapped(label, width - 2)]
    return Text.assemble(arrow, *((f"\n{row}", style) for row in rows))


def _name(participant: Participant, step: LadderStep) -> str:
    if participant.role == "Client":
        return "client"
    if not participant.id.startswith("server"):
        return participant.role
    name = participant.name or step.server
    place = host_port(step.server or name, step.port) if step.port else step.server or name
    return visible(place if participant.role == "Server" else f"{participant.role} {place}")


def _finding(document: WatchDocument, width: int | None) -> Text:
    finding = document.finding
    if finding is None:
        return Text()
    paragraphs = [visible(f"{finding.code}: {finding.cause}")]
    if presented := presented_text([each.model_dump(mode="json") for each in finding.presented]):
        paragraphs.append(visible(presented))
    for remedy in finding.remedies:
        where = f" ({remedy.where})" if remedy.where else ""
        paragraphs += [visible(f"- {remedy.text}{where}")]
    rows = [row for text in paragraphs for row in (wrapped(text, width - 4) if width is not None else [text])]
    return Text("\n").join([Text("finding", style="bold red"), *(Text(f"    {row}") for row in rows)])


def _clock(at: float) -> str:
    seconds = time.strftime("%H:%M:%S", time.gmtime(at))
    return f"{seconds}.{int(at * 1000) % 1000:03d}Z" if at else "--:--:--.---Z"


def _other(document: WatchDocument) -> str:
    return f"{document.event}: {json.dumps(document.data)}"


def _changed(document: WatchDocument) -> str:
    changed, values = document.data.get("changed", ()), document.data.get("values")
    if isinstance(values, dict) and values:
        left_out = document.data.get("left_out")
        more = f"; {left_out} more" if left_out else ""
        return f"configuration changed: {'; '.join(_assigned(*each) for each in values.items())}{more}"
    names = ", ".join(map(str, changed if isinstance(changed, list) else [changed]))
    if values == {}:
        return f"configuration set to the values in force: {names}"
    return f"configuration changed: {names}"


def _assigned(path: str, value: object) -> str:
    """Return a key with its new value, as ``mralab set`` shows it; a host has a table of its own."""
    if path.startswith("hosts."):
        return f"{path} removed" if value is None else f"{path} = {json.dumps(value)}"
    return f"{path} = {shown(value)}"


def _lab(document: WatchDocument) -> str:
    return f"lab changed: {document.data.get('what', '')}: {document.data.get('text', '')}"


def _trust(document: WatchDocument) -> str:
    counts = (f"{count} {verb}" for verb, count in document.data.items())
    return f"trust store changed: {', '.join(counts)}"


def _missed(document: WatchDocument) -> str:
    count = document.data.get("count")
    return f"{'1 event is' if count == 1 else f'{count} events are'} missing: there were too many at once"


def _worker(document: WatchDocument) -> str:
    data = document.data
    return f"worker {data.get('worker')} ended with {data.get('ended')}, and is started again: {data.get('lost')}"


_SENTENCES: Final[Mapping[str, Callable[[WatchDocument], str]]] = {
    "follows": lambda document: f"following the proxy of {document.data.get('admin')}; Ctrl-C ends",
    "gone": lambda document: f"the proxy is gone ({document.data.get('reason', '')}); waiting for it",
    "back": lambda _: "the proxy is back",
    "config": _changed,
    "trust": _trust,
    "reset": lambda _: "reset to the configuration file",
    "cleared": lambda _: "the journal was cleared",
    "missed": _missed,
    "worker": _worker,
    "lab": _lab,
    "faults": lambda document: f"faults changed: {document.data.get('text', '')}",
}
