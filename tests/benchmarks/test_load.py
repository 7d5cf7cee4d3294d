"""Output of load generators, including their failures."""

from __future__ import annotations

import socket
import threading

import pytest

from benchmarks.load import Load, LoadError, ask, percentile, read_h2load_log, read_wrk

WRK = """\
Running 4s test @ http://127.0.0.1:20000/token/1k.xml
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.71ms    1.05ms  35.31ms   95.40%
    Req/Sec    38.49k     1.93k   41.47k    75.00%
  153321 requests in 4.01s, 185.42MB read
Requests/sec:  38234.66
Transfer/sec:     46.24MB
{"requests": 153321, "seconds": 4.010012, "bytes": 194430124, "p99_ms": 3.120, "connect": 1, "read": 2, "write": 0, \
"timeout": 3, "status": 7}
"""


def test_counts_come_from_the_last_line_of_wrk() -> None:
    assert read_wrk(WRK) == Load(153321, 4.010012, 194430124, 3.12, errors=6, bad=7)


def test_wrk_without_a_summary_line_is_a_failure() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        read_wrk("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_h2load_log_has_times_of_good_responses_and_a_count_of_others() -> None:
    log = "17000000\t200\t1500\n17000100\t502\t900\n17000200\t200\t2500\n17000300\t-1\t0\n"
    assert read_h2load_log(log) == ([1.5, 2.5], 2)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [(range(1, 101), 0.99, 99), (range(1, 101), 1.0, 100), ([5], 0.99, 5), ([3, 1, 2], 0.5, 2), ([2, 1], 0.0, 1)],
)
def test_percentile_is_a_value_that_occurred(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.99)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, b"hello")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", (200, b"hello")),
        (b"HTTP/1.1 502 \r\nContent-Length: 0\r\n\r\n", (502, b"")),
    ],
)
def test_ask_reads_one_response(answer: bytes, expected: tuple[int, bytes]) -> None:
    assert _ask_server(answer) == expected


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"])
def test_ask_refuses_a_truncated_response(answer: bytes) -> None:
    with pytest.raises(LoadError):
        _ask_server(answer)


def _ask_server(answer: bytes) -> tuple[int, bytes]:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            theirs.recv(4096)
            theirs.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with ours:
        ours.settimeout(5)
        try:
            return ask(ours, 1, "/")
        finally:
            thread.join()
