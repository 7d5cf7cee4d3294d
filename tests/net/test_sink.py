"""The log file: complete lines in order, traffic never waits for it, and every loss is counted and reported."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mralab.net.sink import LogSink


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file with a size limit of 64 KB: a write beyond it fails as on a full disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    try:
        yield tmp_path / "log"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def line(number: int, size: int = 100) -> str:
    return f"{number:06d} ".ljust(size - 1, "x") + "\n"


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mralab-log"]


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_lines_come_in_order_and_whole(tmp_path: Path) -> None:
    sink = LogSink(tmp_path / "log")
    sink.open()
    for number in range(5000):
        sink.write(line(number))
        if number % 500 == 0:
            await asyncio.sleep(0)
    await sink.close()
    assert (tmp_path / "log").read_text() == "".join(map(line, range(5000)))
    assert (sink.written, sink.lost) == (5000, 0)


async def test_batches_of_any_size_follow_each_other(tmp_path: Path) -> None:
    """The sink writes from memory that it uses again: nothing of a longer batch may come with a shorter one."""
    sink = LogSink(tmp_path / "log")
    sink.open()
    texts = [line(1, 5_000_000), line(2), "\N{SNOWMAN}\n", line(3, 3000), "\udcff\n", line(4), line(5, 70_000), line(6)]
    for text in texts:
        sink.write(text)
        await sink.flush()
    await sink.close()
    assert (tmp_path / "log").read_bytes() == "".join(texts).encode("utf-8", "backslashreplace")


async def test_a_full_disk_loses_whole_lines_and_is_reported_once(small_disk: Path) -> None:
    messages: list[str] = []
    sink = LogSink(small_disk, messages.append)
    sink.open()
    for number in range(1000):
        sink.write(line(number))
        if number % 100 == 99:
            await sink.flush()
    full = small_disk.read_text()
    assert full == "".join(map(line, range(sink.written)))  # complete and in order
    assert 0 < sink.written < 1000
    assert sink.lost == 1000 - sink.written
    assert len(messages) == 1
    assert "cannot be written" in messages[0]
    os.truncate(small_disk, 0)
    sink.write(line(1000))
    await sink.close()
    assert small_disk.read_text() == line(1000)
    assert len(messages) == 2
    assert f"{1000 - len(full) // 100} entries were lost" in messages[1]


async def test_a_disk_that_fills_up_is_reported_once(small_disk: Path) -> None:
    messages: list[str] = []
    sink = LogSink(small_disk, messages.append)
    sink.open()
    for number in range(200):  # only small entries still fit
        sink.write(line(number, 5000 if number % 2 else 50))
        await sink.flush()
    assert sink.lost > 50
    assert len(messages) == 1
    os.truncate(small_disk, 0)
    sink.write(line(200))
    await sink.close()
    assert len(messages) == 2
    assert f"{sink.lost} entries were lost" in messages[1]


async def test_losses_by_a_disk_that_stays_full_are_reported_at_the_end(small_disk: Path) -> None:
    messages: list[str] = []
    sink = LogSink(small_disk, messages.append)
    sink.open()
    for number in range(1000):
        sink.write(line(number, 1000))
    await sink.close()
    assert sink.lost > 0
    assert len(messages) == 2
    assert messages[1].endswith(f"could not be written completely; {sink.lost} entries were lost")


async def test_lines_are_lost_while_the_folder_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    messages: list[str] = []
    sink = LogSink(folder / "log", messages.append)
    sink.open()
    sink.write(line(1))
    await sink.flush()
    shutil.rmtree(folder)
    sink.write(line(2))
    sink.write(line(3))
    await sink.flush()
    assert (sink.written, sink.lost) == (1, 2)
    folder.mkdir()
    sink.write(line(4))
    await sink.close()
    assert (folder / "log").read_text() == line(4)
    assert [text.split(" log ")[1].split(" ", 1)[1] for text in messages] == [
        "cannot be written: No such file or directory; traffic goes on",
        "is written again; 2 entries were lost",
    ]


async def test_a_deleted_file_is_created_again(tmp_path: Path) -> None:
    file = tmp_path / "log"
    sink = LogSink(file)
    sink.open()
    sink.write(line(1))
    await sink.flush()
    file.unlink()
    sink.write(line(2))
    await sink.close()
    assert file.read_text() == line(2)
    assert sink.lost == 0


async def test_rotation_while_writing_loses_no_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    sink = LogSink(file)
    sink.open()
    for number in range(2000):
        sink.write(line(number))
        if number % 100 == 50:
            await sink.flush()
            file.rename(tmp_path / f"log.{number:04d}")
            sink.reopen()
    await sink.close()
    parts = sorted(tmp_path.glob("log.*"))
    assert len(parts) == 20
    assert "".join(part.read_text() for part in [*parts, file]) == "".join(map(line, range(2000)))


async def test_two_writers_of_one_file_write_complete_lines(small_disk: Path) -> None:
    sinks = [LogSink(small_disk, lambda _: None) for _ in range(2)]
    for sink in sinks:
        sink.open()
    for number in range(1000):
        sinks[number % 2].write(line(number))
        if number % 50 == 49:
            await asyncio.gather(*(sink.flush() for sink in sinks))
    for sink in sinks:
        await sink.close()
    lines = small_disk.read_text().splitlines(keepends=True)
    assert len(lines) == sum(sink.written for sink in sinks) > 500
    assert all(text == line(int(text[:6])) for text in lines)


async def test_a_pipe_without_a_reader_delays_neither_traffic_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mralab.net.sink._LAST_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    messages: list[str] = []
    sink = LogSink(pipe, messages.append)
    sink.open()
    for number in range(2000):
        sink.write(line(number))
    await sink.close()
    assert messages == [f"mralab: the log {pipe} does not accept the last lines; they are lost"]
    os.set_blocking(reader, True)
    while os.read(reader, 1 << 20):
        pass  # until the abandoned writing thread has closed its end
    os.close(reader)
    for thread in writers():
        thread.join(5)


async def test_its_condition_is_that_for_the_next_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mralab.net.sink._CALM", 0.0)
    folder = tmp_path / "logs"
    folder.mkdir()
    messages: list[str] = []
    sink = LogSink(folder / "log", messages.append)
    sink.open()
    sink.write(line(1))
    assert await sink.condition() == ("", 0, 0.0)
    assert (folder / "log").read_text() == line(1)  # waiting entries are written first
    shutil.rmtree(folder)
    assert await sink.condition() == ("cannot be written: No such file or directory", 0, 0.0)
    sink.write(line(2))
    error, lost, at = await sink.condition()
    assert (error, lost) == ("cannot be written: No such file or directory", 1)
    assert at > 0
    folder.mkdir()
    assert await sink.condition() == ("", 1, at)
    assert (folder / "log").read_text() == ""
    await sink.close()
    assert [text.split(" log ")[1].split(" ", 1)[1] for text in messages] == [
        "cannot be written: No such file or directory; traffic goes on",
        "is written again; 1 entry was lost",
    ]


async def test_a_full_disk_is_tested_before_it_is_reported_as_working(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mralab.net.sink._CALM", 0.0)
    sink = LogSink(small_disk, lambda _: None)
    sink.open()
    for _ in range(2):
        sink.write("x" * 65536)
        await sink.flush()
    for _ in range(2):
        error, lost, _at = await sink.condition()
        assert (error, lost) == ("cannot be written: File too large", 1)
    os.truncate(small_disk, 100)
    assert (await sink.condition()).error == ""
    assert small_disk.stat().st_size == 100
    await sink.close()


async def test_a_disk_that_fails_now_and_then_is_not_reported_as_working(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mralab.net.sink._CALM", 3600.0)
    sink = LogSink(small_disk, lambda _: None)
    sink.open()
    for size in (65000, 5000, 50):
        sink.write("x" * size)
        await sink.flush()
    assert (sink.written, sink.lost) == (2, 1)
    assert (await sink.condition()).error == "could not be written less than 3600 s ago"
    await sink.close()


async def test_a_pipe_without_a_reader_is_reported_without_waiting_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mralab.net.sink._LAST_SECONDS", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = LogSink(pipe, lambda _: None)
    sink.open()
    assert (await sink.condition()).error == ""
    sink.write("x" * 1_000_000)
    assert (await sink.condition(0.1)).error == "is blocked: nothing was written for 0.1 s"
    await sink.close()
    os.set_blocking(reader, True)
    while os.read(reader, 1 << 20):
        pass
    os.close(reader)
    for thread in writers():
        thread.join(5)


async def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    before = descriptors()
    for number in range(20):
        sink = LogSink(tmp_path / "log")
        sink.open()
        sink.write(line(number))
        await sink.close()
    assert descriptors() == before
    assert not writers()


async def test_a_text_may_hold_several_entries_and_each_is_counted(small_disk: Path) -> None:
    sink = LogSink(small_disk, lambda _: None)
    sink.open()
    sink.write(line(0) + line(1) + line(2), 3)
    sink.reopen()
    sink.write(line(3))
    await sink.flush()
    assert small_disk.read_text() == "".join(map(line, range(4)))
    assert (sink.written, sink.lost) == (4, 0)
    sink.write(line(4, size=70_000) + line(5), 2)
    await sink.close()
    assert (sink.written, sink.lost) == (4, 2)
