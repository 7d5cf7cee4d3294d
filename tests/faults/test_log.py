"""The log: a full disk, a missing folder, rotation under load, and values that try to inject lines."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mralab.core.log.events import RequestReceived, RequestRejected, RequestSent, ResponseReceived
from tests.serving import until

from .client import Steady, ask
from .conftest import Figure, Start, size
from .origin import Exchange, serving


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of 1 MB at ``folder``."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(
            f"a small disk cannot be mounted here ({mounted.stderr.decode().strip()}); see tests/net/test_sink.py"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


LINES = 5  # of one request that is answered, at INFO


@pytest.mark.parametrize("workers", [1, 2])
async def test_disk_full(start: Start, figure: Figure, tmp_path: Path, workers: int) -> None:
    requests = size(400, 20_000)
    count = 1 if workers == 1 else 4 * workers  # clients, enough for every process
    with small_disk(tmp_path / "logs"):
        async with serving() as origin:
            it = await start(origin, proxy={"workers": workers}, log={"file": "logs/traffic_server.log"})
            (tmp_path / "logs" / "other").write_bytes(bytes(700_000))

            def it_asks(every: float) -> Steady:
                return Steady(it.port, it.request(origin), every=every)

            async with contextlib.AsyncExitStack() as clients:
                loads = [await clients.enter_async_context(it_asks(0)) for _ in range(count)]
                await loads[0].asked(requests // count)
                await until(lambda: it.complaints().count("cannot be written") == workers)
            full = it.complaints()
            (tmp_path / "logs" / "traffic_server.log").rename(tmp_path / "logs" / "first")
            (tmp_path / "logs" / "other").unlink()
            it.signal(signal.SIGHUP)
            async with contextlib.AsyncExitStack() as clients:
                loads += [await clients.enter_async_context(it_asks(0.01 * count)) for _ in range(count)]
                await loads[-1].asked(1)
                await until(lambda: it.complaints().count("written again") == workers)
                await loads[-1].asked(1)
            it.signal(signal.SIGTERM)
            assert await it.ended() == 0
            printed = it.complaints()
            answers = [answer for load in loads for answer in load.answers]
            assert {answer.status for answer in answers} == {200}
            assert full.count("\n") == workers  # one message of each process
            assert printed.count("\n") == 2 * workers
            lost = sum(map(int, re.findall(r"(\d+) entr(?:ies were|y was) lost", printed)))
            records = it.log("logs/first") + it.log("logs/traffic_server.log")
            assert all(record.event is not None for record in records)
            assert lost + len(records) == LINES * len(answers)
            assert records[-1].at >= records[0].at
    figure(
        "log disk full, folder gone",
        "disk full: every request is answered; two messages, the loss and its end",
        f"{workers} worker{'s' * (workers > 1)}, {len(answers)} requests: {len(records)} lines written whole, "
        f"{lost} counted as lost, none unaccounted for",
    )


async def test_folder_gone(start: Start, figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    async with serving() as origin:
        it = await start(origin, log={"file": "logs/traffic_server.log"})
        async with Steady(it.port, it.request(origin), every=0) as steady:
            await steady.asked(20)
            await until(lambda: (tmp_path / "logs" / "traffic_server.log").stat().st_size > 1000)
            (tmp_path / "logs" / "traffic_server.log").unlink()
            (tmp_path / "logs").rmdir()
            await until(lambda: "cannot be written: No such file or directory" in it.complaints())
            await steady.asked(20)
            assert it.complaints().count("\n") == 1
            (tmp_path / "logs").mkdir()
            took = await until(lambda: "written again" in it.complaints())
            await steady.asked(20)
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        assert {answer.status for answer in steady.answers} == {200}
        assert all(record.event is not None for record in it.log("logs/traffic_server.log"))
    figure(
        "log disk full, folder gone",
        "folder gone: every request is answered; written again when it is back",
        f"written again {took * 1000:.0f} ms after",
    )


@pytest.mark.parametrize("workers", [1, 2])
async def test_rotation(start: Start, figure: Figure, tmp_path: Path, workers: int) -> None:
    rotations = size(10, 100)
    async with serving() as origin, contextlib.AsyncExitStack() as clients:
        it = await start(origin, proxy={"workers": workers})
        loads = [
            await clients.enter_async_context(Steady(it.port, it.numbered(origin, first), every=0))
            for first in range(0, 4_000_000, 1_000_000)
        ]
        names = ["traffic_server.log"]
        for number in range(rotations):
            await loads[0].asked(20)
            names.append(f"rotated.{number}")
            (tmp_path / "traffic_server.log").rename(tmp_path / names[-1])
            it.signal(signal.SIGHUP)
            await until((tmp_path / "traffic_server.log").exists)
        await clients.aclose()
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        records = [record for name in names for record in it.log(name)]
        answers = [answer for load in loads for answer in load.answers]
        assert {answer.status for answer in answers} == {200}
        assert all(record.event is not None for record in records)  # all lines are complete
        seen = Counter(line.split(" ")[1].rpartition("/")[2] for line in it.received(*names))
        assert len(seen) == len(answers)
        assert set(seen.values()) == {1}
        assert len(records) == LINES * len(answers)
        written = sum((tmp_path / name).read_bytes().count(b"\n") for name in names)
        assert written == len(records)
        assert it.complaints() == ""
    figure(
        "log rotation",
        "every request is answered",
        f"{workers} worker{'s' * (workers > 1)}, {rotations} rotations: {len(records)} lines of {len(answers)} "
        "requests, each in one file, none torn",
    )


HOSTILE = {
    "a line feed in the path": ("/a%0aInjected: b", "", ""),
    "a quote in the path": ('/a"b', "", ""),
    "an escape in the path": ("/%1b[31mred", "", ""),
    "quotes in the tracking id": ("/x", "", 'a" Txn-id="999" Detail="Sending Response'),
    "a line of its own in the tracking id": ("/x", "", 'x" 2022-07-11T18:55:26 vcsc traffic_server[1]: Event="Re'),
    "a next line in the tracking id": ("/x", "", "a\x85b"),
    "a line separator in the tracking id": ("/x", "", "a\u2028b\u2029c".encode().decode("latin-1")),
    "a tab and a backslash in the tracking id": ("/x", "", "a\tb\\x0ac\\"),
    "escapes in a field": ("/x", "X-Escape: \x1b]0;title\x07", ""),
    "what looks like our escapes in a field": ("/x", 'X-Evil: "quoted" \\n\\x0a\x85 \xff', ""),
    "a megabyte of quotes": ("/x", "X-Long: " + '"' * 120_000, ""),
    "a field that looks like our blocks": ("/x", "X-Block:  |\tHTTPMSG: |HTTP/1.1 200 OK", ""),
    "secrets": ("/x", "Cookie: topsecret\r\nAuthorization: Basic dG9wOnNlY3JldA==", ""),
}  # fmt: skip


def _parts(fields: str, tracking: str) -> str:
    return (fields + "\r\n" if fields else "") + (f"TrackingID: {tracking}\r\n" if tracking else "X-No: id\r\n")


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_injection(start: Start, figure: Figure, tmp_path: Path, level: str) -> None:
    async def handle(exchange: Exchange) -> None:
        echo = exchange.field("X-Evil") or "quiet"
        head = f'HTTP/1.1 200 O"K Txn-id="7\r\nX-Answer: {echo}\r\nSet-Cookie: topsecret\r\nContent-Length: 0\r\n\r\n'
        await exchange.send(head.encode("latin-1"))

    async with serving(handle) as origin:
        it = await start(origin, log={"level": level})
        statuses = Counter[int]()
        for path, fields, tracking in HOSTILE.values():
            head = f"GET {it.target(origin, path)} HTTP/1.1\r\nHost: h\r\n{_parts(fields, tracking)}\r\n"
            statuses[(await ask(it.port, head.encode("latin-1"))).status] += 1
        assert set(statuses) == {200, 400}
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        raw = (tmp_path / "traffic_server.log").read_bytes()
        records = it.log()
        received = [record.event for record in records if isinstance(record.event, RequestReceived)]
        ids = {event.tracking_id for event in received}
        for _, _, tracking in HOSTILE.values():
            assert not tracking or tracking in ids
        sent = [record.event for record in records if isinstance(record.event, RequestSent)]
        rejected = [record.event for record in records if isinstance(record.event, RequestRejected)]
        back = [record.event for record in records if isinstance(record.event, ResponseReceived)]
        assert (len(sent), len(back), len(rejected)) == (statuses[200], statuses[200], statuses[400])
        assert {event.start_line for event in back} == {'HTTP/1.1 200 O"K Txn-id="7'}
        assert all(record.event is not None for record in records)
        assert b"topsecret" not in raw
        assert b"dG9wOnNlY3JldA" not in raw
        assert not [byte for byte in set(raw) if byte != 10 and (byte < 32 or byte > 126)]  # printable ASCII alone
        assert len(raw.decode("latin-1").splitlines()) == raw.count(b"\n")
        if level == "INFO":
            assert raw.count(b"\n") == len(records)
        else:
            shown = {value for event in received for field, value in event.headers if field == "X-Evil"}
            assert shown == {'"quoted" \\n\\x0a\x85 \xff'}
    figure(
        "log injection",
        f"at {level}: one line stays one line, what was escaped is read back, secrets are concealed",
        f"{len(HOSTILE)} kinds: {len(records)} lines, all read back",
    )
