"""CPU and memory of a program and its children; its start and stop."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from benchmarks.machine import processor, version
from benchmarks.processes import DidNotStart, Program, fill, free_port, resident_bytes, stat_fields
from benchmarks.stage import Route, accepts, names

LISTENS = """
import os, signal, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
child = os.fork()
if not child:
    while time.process_time() < 0.4: pass
    signal.pause()
signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 9), sys.exit()))
while True: server.accept()
"""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_process_name_may_contain_blanks_and_parentheses() -> None:
    fields = stat_fields("4711 (a) R (b c) S 1 4711 4711 0")
    assert fields[:2] == ["S", "1"]


def test_resident_memory_is_given_in_bytes() -> None:
    assert (
        resident_bytes("5581 7ffd [rollup]\nRss:                1216 kB\nPss:                 80 kB\n") == 1216 * 1024
    )


@linux
def test_cpu_and_memory_include_the_children(tmp_path: Path) -> None:
    port = free_port()
    program = Program.start("child", [sys.executable, "-c", LISTENS, str(port)], tmp_path, port)
    try:
        end = time.monotonic() + 20
        while program.cpu() < 0.3 and time.monotonic() < end:  # the child uses more, the parent almost none
            os.sched_yield()
        assert len(program.pids()) == 2
        assert program.cpu() >= 0.3
        assert program.resident() > 1 << 20
    finally:
        program.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)


def test_the_error_for_a_program_that_ended_has_its_output(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="no such option"):
        Program.start("ends", [sys.executable, "-c", "print('no such option')"], tmp_path, free_port())


@pytest.mark.parametrize("template", ["nginx.conf", "haproxy.cfg", "mralab.toml", "records.config", "remap.config"])
def test_a_configuration_with_a_missing_value_is_an_error(template: str) -> None:
    with pytest.raises(KeyError):
        fill(template, {"folder": "/folder"})


def test_the_origin_configuration_needs_values_of_the_stage_only(tmp_path: Path) -> None:
    routes = {name: Route(name, 20000) for name in ("good", "wrong", "untrusted", "plain")}
    text = fill("origin.conf", names(tmp_path, routes))
    assert "listen 127.0.0.1:20000 ssl" in text
    assert "$ssl_session_reused" in text  # variables of nginx are kept


def test_accepted_connections_of_the_status_page() -> None:
    page = "Active connections: 2 \nserver accepts handled requests\n 5017 5016 49800 \nReading: 0 Writing: 1 \n"
    assert accepts(page) == 5017


def test_only_the_version_is_taken_from_the_output_of_programs() -> None:
    assert version("Traffic Server 9.2.9 Apr  4 2026 14:52:39 somebody.example") == "9.2.9"
    assert version("6.18.44-name-of-a-host") == "6.18.44"
    assert version("no idea") == "unknown"
    assert processor("processor\t: 0\nmodel name\t: AMD EPYC\n\nmodel name\t: other\n") == "AMD EPYC"
