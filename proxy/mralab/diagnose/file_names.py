"""What the names of logs, archives and their members say: host, role and time; the order of rotated logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

_DATED: Final = re.compile(
    r"(?:\A|[^A-Za-z0-9])(loggingsnapshot|xconf_dump|xstat_dump|ca|server|client|diagnostic_log"
    r"|diagnostic_logging_tcpdump\d*)"
    r"_(.{1,255}?)_(\d{4}-\d\d-\d\d_\d\d(?:[_:]|%3[Aa])\d\d(?:[_:]|%3[Aa])\d\d)"
)


def peer_of(name: str) -> str:
    """Return the host that a diagnostic-logging archive or a member of one names in its path, or nothing.

    Such names end in ``_HOST_DATE_TIME`` (Expressway Administrator Guide X15.5, Diagnostics; Cisco 225038).
    """
    return _dated(name)[1]


def role_of(name: str) -> str:
    """Return what a file of a diagnostic-logging archive is by its name, such as ``ca``, or nothing."""
    return _dated(name)[0]


def time_of(name: str) -> str:
    """Return when a file of a diagnostic-logging archive was written, by its name; such texts sort by time."""
    return re.sub(r"%3[Aa]|:", "_", _dated(name)[2])


def _dated(name: str) -> tuple[str, str, str]:
    """Return kind, host and time in a name; Windows has other separators, and macOS shows colons."""
    for part in reversed(re.split(r"[/\\]", name)):
        if found := _DATED.findall(part):
            return cast("tuple[str, str, str]", found[-1])
    return "", "", ""


_ROTATED: Final = re.compile(r"(.+?)\.(\d{1,4}|old|prev|bak)(?:\.(?:gz|bz2|xz|lzma))?\Z", re.DOTALL)


def order(name: str) -> tuple[str, int, str]:
    """Return a key that sorts rotated logs by time: FILE.2, FILE.1 or FILE.old, FILE."""
    if match := _ROTATED.match(name):
        return match[1], -int(match[2]) if match[2].isdigit() else -1, name
    return name, 0, name


def oldest_first(paths: Iterable[str]) -> list[str]:
    """Return paths in their order, but each log behind its older ones: a shell puts FILE before FILE.1."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(order(path)[0], []).append(path)
    return [path for group in groups.values() for path in sorted(group, key=lambda path: order(path)[1])]


_LOG_NAME: Final = re.compile(r"(?i)\.(?:txt|log|cap|pcap|pcapng)(?:\.\w{1,4})?$")


def is_log_name(name: str) -> bool:
    """Return whether this is the name of a log or a capture, perhaps compressed."""
    return _LOG_NAME.search(name) is not None


def why_refused(name: str) -> str:
    """Return why a member's name is not accepted, or nothing."""
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name):
        return "its name is a path outside the archive: not read"
    return ""
