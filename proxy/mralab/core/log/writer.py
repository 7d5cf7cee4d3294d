"""Write events as lines of a traffic_server log. ``grammar`` has the forms, ``reader`` reads them back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from .escape import escape_field
from .events import Event, Headers, RequestSent
from .grammar import WRITE

CONCEALED: Final = "<CONCEALED>"
UTC_KEY: Final = 'UTCTime="'
"""What most lines have between ``prefix`` and ``utc``."""
_SECRET = re.compile(
    r"cookie|authorization|authentication|x-auth|\bauth\b|token|secret|passw|\bpwd|credential|session|jwt|saml|assertion"
    r"|signature|(?:api|access|private)[-_]?key|[cx]srf|ticket|\botp\b",
    re.IGNORECASE,
)


def is_secret(header: str) -> bool:
    """Return whether a header's value must never be logged: cookies, credentials, tokens."""
    return _SECRET.search(header) is not None


def has_line(event: Event) -> bool:
    """Return whether an event has a log line; the end of a client's connection has none."""
    return type(event) in WRITE


def _local_offset(second: float) -> int:
    return time.localtime(second).tm_gmtoff


class LineWriter:
    """Turns events into the lines of one traffic_server process.

    ``utc_offset`` gives the local time's distance from UTC in seconds at a moment (seconds since the epoch);
    by default the machine's. ``debug`` adds the HTTPMSG twin of events that carry headers. ``prefix``, ``utc`` and
    ``stamp`` (both, as most lines begin) are the texts of the time at ``millisecond``, also for ``planned``.
    """

    __slots__ = (
        "_debug",
        "_local",
        "_offset",
        "_second",
        "_tail",
        "_utc_second",
        "_zone",
        "millisecond",
        "prefix",
        "stamp",
        "utc",
    )

    def __init__(
        self,
        hostname: str,
        pid: int,
        debug: bool = False,
        utc_offset: Callable[[float], int] | None = None,
    ) -> None:
        """``hostname`` and ``pid`` are written at the beginning of each line."""
        self._debug = debug
        self._offset = utc_offset or _local_offset
        self._tail = f" {escape_field(hostname, 'host') or '-'} traffic_server[{pid}]: "
        self._second = self.millisecond = -1
        self._local = self._zone = self.prefix = self.stamp = self.utc = self._utc_second = ""

    def format(self, event: Event) -> str:
        """Return the line of an event that ``has_line``, with its line end; with ``debug`` also its twin."""
        millisecond = int(event[0] * 1000 + 0.5)
        if millisecond != self.millisecond:
            self.tick(millisecond)
        write, write_twin = WRITE[type(event)]
        line = write(self.prefix, self.utc, event)
        if write_twin is None or not self._debug:
            return line
        message: RequestSent = event  # type: ignore[assignment]  # or another with headers: it has a twin
        if not message.headers:
            return line
        twin = write_twin(self.prefix, self.utc, event)
        return f"{line}{twin}{_block(message.start_line, message.headers)}"

    def tick(self, millisecond: int) -> None:
        """Set ``prefix``, ``utc`` and ``stamp`` to a moment, in milliseconds since the epoch."""
        second, fraction = divmod(millisecond, 1000)
        if second != self._second:
            minutes = self._offset(second) // 60
            sign, distance = ("-", -minutes) if minutes < 0 else ("+", minutes)
            local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + minutes * 60))
            self._local = f"{local}."
            self._zone = f"{sign}{distance // 60:02d}:{distance % 60:02d}{self._tail}"
            self._utc_second = time.strftime("%Y-%m-%d %H:%M:%S,", time.gmtime(second))
            self._second = second
        digits = f"{fraction:03d}"
        self.prefix = f"{self._local}{digits}{self._zone}"
        self.utc = self._utc_second + digits
        self.stamp = f"{self.prefix}{UTC_KEY}{self.utc}"
        self.millisecond = millisecond


def _block(start_line: str, headers: Headers) -> str:
    """Return the HTTPMSG block, in the layout of Cisco 225746."""
    lines = ["HTTPMSG:", "|" + escape_field(start_line, "line")]
    for name, value in headers:
        shown = CONCEALED if is_secret(name) else " " + escape_field(value, "line")
        lines.append(f" {escape_field(name, 'header')}:{shown}")
    return "\n".join((*lines, " ", " |", "", ""))
