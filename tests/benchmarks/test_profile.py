"""Reports of perf by part, and counts of calls and bytecodes."""

from __future__ import annotations

from benchmarks.profile import count_lines, part_of, read_report, table_lines

REPORT = """
    42.62%  _rust.abi3.so
    28.11%  [kernel.kallsyms]
     8.77%  python3.11
     5.02%  libc.so.6
     3.00%  loop.cpython-311-x86_64-linux-gnu.so
     1.00%  [vdso]
     0.50%  libm.so.6
     0.25%  something.else
"""


def test_each_binary_belongs_to_its_part() -> None:
    shares = read_report(REPORT)
    assert {part: round(share, 4) for part, share in shares.items()} == {
        "OpenSSL": 0.4262,
        "kernel": 0.2911,
        "interpreter": 0.0877,
        "C library": 0.0552,
        "event loop (uvloop)": 0.03,
        "other": 0.0025,
    }


def test_binaries_of_both_proxies_are_known() -> None:
    assert part_of("libssl.so.3") == part_of("libcrypto.so.3") == "OpenSSL"
    assert part_of("traffic_server") == part_of("libtscore.so.9.2.9") == "Traffic Server's own"
    assert part_of("_cffi_backend.cpython-311-x86_64-linux-gnu.so") == "cffi"
    assert part_of("libpython3.13.so.1.0") == "interpreter"


def test_a_part_of_one_proxy_only_is_zero_for_the_other() -> None:
    lines = table_lines({"ours": {"kernel": 10.04, "interpreter": 20.0}, "theirs": {"kernel": 9.0}})
    assert [line.split() for line in lines] == [
        ["us", "CPU/request", "ours", "theirs"],
        ["kernel", "10.0", "9.0"],
        ["interpreter", "20.0", "0.0"],
        ["all", "30.0", "9.0"],
    ]


def test_counts_are_summed_and_the_costliest_functions_come_first() -> None:
    counts = {"calls": {"a": 1.0, "b": 2.0}, "bytecodes": {"a": 10.0, "b": 30.5}}
    assert [line.split() for line in count_lines("keep-alive", counts)] == [
        ["keep-alive:", "3.0", "calls", "of", "Python", "functions,", "40", "bytecodes/request"],
        ["function", "calls", "bytecodes"],
        ["b", "2.00", "30.5"],
        ["a", "1.00", "10.0"],
    ]
