"""Replace what differs between two runs of the same lab, so that their reports can be compared."""

from __future__ import annotations

import re
from typing import Final

_VARYING: Final = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"\A\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d)", "TIME"),
        (r'UTCTime="[\d :,-]{1,30}"', 'UTCTime="TIME"'),
        (r"traffic_server\[\d{1,10}\]", "traffic_server[PID]"),
        (r"\[ET_NET -?\d{1,18}\]", "[ET_NET THREAD]"),
        (r'TrackingID="[0-9a-f-]{36}"', 'TrackingID="UUID"'),
        (r'((?:Src|Dst)-ip="127\.0\.0\.1" (?:Src|Dst)-port)="\d{1,5}"', r'\1="PORT"'),
        (r"127\.0\.0\.1:\d{1,5}", "127.0.0.1:PORT"),
    )
)

_TIMES: Final = 3  # patterns, from the first
NOTE: Final = (
    "Two runs of a lab differ in their times, process numbers, tracking IDs and local ports, and each has new keys. "
    "This report therefore has TIME, PID, THREAD, UUID and PORT in place of those in log lines, counts the days of "
    "certificates from the run, and leaves out their fingerprints. Any other difference between two reports is one of "
    "behaviour."
)


def without_times(text: str) -> str:
    """Return a log line with names in place of its times and process number."""
    for pattern, replacement in _VARYING[:_TIMES]:
        text = pattern.sub(replacement, text)
    return text


def without_varying(text: str) -> str:
    """Return a log line, or a sentence with parts of one, with names in place of what differs between two runs."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text
