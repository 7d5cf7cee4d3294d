"""Diagnostic-logging archives: the ``.tar.gz`` that Maintenance > Diagnostics collects between start and stop.

In an Expressway's archive, the folder ``diagnostic_log_HOST_DATE_TIME`` contains the log
(``loggingsnapshot_HOST_DATE_TIME.txt``), packet captures (``eth0_diagnostic_logging_tcpdump00_HOST_...pcap``),
configuration, status and certificates, each named ``KIND_HOST_DATE_TIME``. Sources: administrator guide X15.5, Cisco
documents 225038 and 218018. ``sources`` and ``case`` read both shapes. No archive contains a private key.
"""

from __future__ import annotations

import io
import tarfile
import time
from typing import NamedTuple


class Member(NamedTuple):
    """A file of an archive besides the log: ``KIND_HOST_DATE_TIME`` and the extension, such as ``.txt``."""

    kind: str
    extension: str
    data: bytes


class Recording(NamedTuple):
    """The log lines of ``hostname`` until ``ended`` (seconds since the epoch), and further ``members``.

    ``lost`` is the number of events dropped because the buffer was full. ``silent`` names the processes whose lines are
    missing.
    """

    hostname: str
    ended: float
    lines: tuple[str, ...]
    lost: int = 0
    silent: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """The name of the archive and its folder: ``diagnostic_log_HOST_DATE_TIME``, in local time as in the log."""
        return f"diagnostic_log_{self._suffix}"

    @property
    def archive_name(self) -> str:
        """The file name of the archive."""
        return f"{self.name}.tar.gz"

    @property
    def log_name(self) -> str:
        """The path of the log in the archive."""
        return f"{self.name}/loggingsnapshot_{self._suffix}.txt"

    def path(self, member: Member) -> str:
        """Return the path of a member in the archive."""
        return f"{self.name}/{member.kind}_{self._suffix}{member.extension}"

    @property
    def _suffix(self) -> str:
        return f"{self.hostname}_{time.strftime('%Y-%m-%d_%H_%M_%S', time.localtime(self.ended))}"


def pack(recording: Recording) -> bytes:
    """Return the archive of a recording."""
    incomplete = [f"incomplete: {process}" for process in recording.silent]
    if recording.lost:
        incomplete.append(f"incomplete: the oldest {_not_kept(recording.lost)}")
    text = "".join(f"{line}\n" for line in recording.lines)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as archive:
        _add(archive, recording.log_name, text.encode("utf-8", "backslashreplace"), recording.ended)
        for member in recording.members:
            _add(archive, recording.path(member), member.data, recording.ended)
        if incomplete:
            note = "\n".join(incomplete) + "\n"
            _add(archive, f"{recording.name}/INCOMPLETE.txt", note.encode(), recording.ended)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, at: float) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mtime = int(at)
    member.mode = 0o640
    archive.addfile(member, io.BytesIO(data))


def _not_kept(events: int) -> str:
    return "event was not kept" if events == 1 else f"{events} events were not kept"
