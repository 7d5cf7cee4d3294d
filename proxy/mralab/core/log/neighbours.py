"""Lines of other modules that explain a failed login.

Sources: Cisco 211304 (edgeconfigprovisioning: what a server answered, and ``Failed to authenticate user against
server``), Cisco 117811 (``Sending HTTP error response``, Expressway-E), and the keys that a public log scraper reads
(``Authenticating user failed``; the line itself is not published). No other form is public.

A line is read only if its fields follow its head directly: a module may quote a client's text, which must never be
taken for a line of another module.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .cleaning import MONTH, MONTHS
from .events import HttpErrorSent, NeighbourEvent, ProvisioningAnswered, ProvisioningFailed, UserNotAuthenticated
from .grammar import moment_of, seconds_of

TITLES: Final = ("Failed to authenticate user", "Authenticating user failed", "Sending HTTP error response")
"""Words of which each line has one, but for edgeconfigprovisioning's answers."""

_PROVISIONING: Final = "edgeconfigprovisioning"
_STAMP: Final = (
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?[ \t]+"
    rf"|({MONTH} [ \d]\d) (\d\d:\d\d:\d\d)[ \t]+"
)
_HOST: Final = r"[^\s\[\]\"'=]{0,254}[^\s\[\]\"'=:]"
_HEAD = re.compile(
    rf"[ \t>|]{{0,16}}(?:<\d{{1,3}}>(?:1 )?)?(?:{MONTH} [ \d]\d \d\d:\d\d:\d\d {_HOST} (?=\d{{4}}-))?(?:{_STAMP})?"
    rf"(?:({_HOST})[ \t]+)??"
    rf"(?:(?:([\w./-]{{1,64}})(?:\[(\d{{1,10}})\])?[ \t]*:|({_PROVISIONING})"
    r"|([\w./-]{1,64}) (\d{1,10}|-) [!-~]{1,32} -)[ \t]*)?(?=(?:UTCTime|Module|Level|Event|Detail)=\")",
    re.ASCII,
)
_FIELD = re.compile(r'(?<![\w-])([A-Za-z][\w-]{0,40})="([^"]*)"', re.ASCII)
_SERVER = re.compile(r"\('\w{1,10}', '([^']*)', (\d{1,5})\)", re.ASCII)
_STATUS = re.compile(r"[ \t]*+(?:\|[ \t]*+)?(HTTP/\d\.\d \d{3}.*)", re.ASCII | re.DOTALL)
_INLINE = re.compile(r"HTTPMSG:[ \t]*+(?:\|[ \t]*+)?(HTTP/\d\.\d \d{3}[^\"|]{0,200})", re.ASCII)
_LEAST_FAILURE: Final = 400


class Neighbour(NamedTuple):
    """A line of another module: whose, when, and what it says.

    ``pid`` is 0 and ``hostname`` empty where the line has none. ``awaits_status``: the response's first line follows.
    """

    event: NeighbourEvent
    hostname: str
    pid: int
    at: float
    level: str
    payload: str
    awaits_status: bool = False


def may_be_neighbour(text: str) -> bool:
    """Return whether a line may be one of these forms."""
    return _PROVISIONING in text or any(title in text for title in TITLES)


def read_neighbour(line: str, at: float, year: int) -> Neighbour | None:
    """Return what a line says, None if it is none of the forms.

    ``at`` is its time if it has no stamp; ``year`` is that of a stamp without one.
    """
    head = _HEAD.match(line)
    if head is None:
        return None
    iso, fraction, zone, day, clock, host, name, pid, spelled, ietf, ietf_pid = head.groups()
    process = name or spelled or ietf or ""
    stamp = (
        seconds_of(iso.replace("T", " "), fraction, zone)
        if iso
        else seconds_of(f"{year:04d}-{MONTHS.index(day[:3]) + 1:02d}-{day[4:].replace(' ', '0')} {clock}", None)
        if day
        else None
    )
    at = at if stamp is None else stamp
    payload = line[head.end() :].rstrip(" \t")
    read = read_fields(payload, at, process)
    if read is None:
        return None
    event, awaits_status = read
    number = pid or (ietf_pid if ietf_pid != "-" else "") or 0
    level = next((value for key, value in _FIELD.findall(payload) if key == "Level"), "INFO")
    return Neighbour(event, host or "", int(number), at, level, payload, awaits_status)


def read_fields(payload: str, at: float, process: str = "") -> tuple[NeighbourEvent, bool] | None:
    """Return the event of a payload, and whether the first line of its HTTP message is on the next lines."""
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(payload):
        fields.setdefault(key, value)
    at = moment_of(fields.get("UTCTime", "")) or at
    detail = fields.get("Detail", "")
    if fields.get("Event") == TITLES[2]:
        address = fields.get("Dst-ip", ""), _number(fields.get("Dst-port", ""))
        return HttpErrorSent(at, _number(fields.get("Status", "")), fields.get("Reason", ""), *address), False
    if detail.startswith(TITLES[1]):
        return UserNotAuthenticated(
            at, fields.get("Username", ""), fields.get("ClientId", ""), fields.get("Code", "")
        ), False
    module = fields.get("Module", "")
    if process != _PROVISIONING and (process or _PROVISIONING not in module):
        return None
    if detail.startswith(TITLES[0]):
        server = fields.get("Server", "")
        pair = _SERVER.fullmatch(server.strip())
        host, port = (pair[1], int(pair[2])) if pair is not None else (server, None)
        return ProvisioningFailed(at, fields.get("Username", ""), host, port, fields.get("Reason", "")), False
    if fields.get("Action") == "Received" and "Request-url" in fields:
        status = _INLINE.search(payload)
        start_line = status[1].strip() if status is not None else ""
        answer = ProvisioningAnswered(at, fields["Request-url"], start_line)
        return (answer, not start_line) if not start_line or is_failure(start_line) else None
    return None


def status_line(line: str) -> str | None:
    """Return the first line of an HTTP response, None where the line is none."""
    match = _STATUS.match(line)
    return match[1].strip() if match is not None else None


def is_failure(start_line: str) -> bool:
    """Return whether a response's first line has a status of 400 or more."""
    return int(start_line.split(" ", 2)[1][:3]) >= _LEAST_FAILURE


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
