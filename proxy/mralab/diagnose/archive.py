"""Diagnostic-logging archives: the ``.tar.gz`` that Maintenance > Diagnostics collects between start and stop.

In an Expressway's archive, the folder ``diagnostic_log_HOST_DATE_TIME`` contains the log
(``loggingsnapshot_HOST_DATE_TIME.txt``), packet captures (``eth0_diagnostic_logging_tcpdump00_HOST_...pcap``),
configuration, status and certificates. Sources: administrator guide X15.5, Cisco documents 225038 and 218018. mralab's
archives contain log lines only: no configuration, certificate or key.
"""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError


class Recording(NamedTuple):
    """The log lines of ``hostname`` until ``ended`` (seconds since the epoch).

    ``lost`` is the number of events dropped because the buffer was full. ``silent`` names the processes whose lines are
    missing.
    """

    hostname: str
    ended: float
    lines: tuple[str, ...]
    lost: int = 0
    silent: tuple[str, ...] = ()

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

    @property
    def _suffix(self) -> str:
        return f"{self.hostname}_{time.strftime('%Y-%m-%d_%H_%M_%S', time.localtime(self.ended))}"


def pack(recording: Recording) -> bytes:
    """Return the archive of a recording."""
    incomplete = [f"incomplete: {process}" for process in recording.silent]
    if recording.lost:
        incomplete.append(f"incomplete: the oldest {recording.lost} events were not kept")
    text = "".join(f"{line}\n" for line in recording.lines)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as archive:
        _add(archive, recording.log_name, text.encode("utf-8", "backslashreplace"), recording.ended)
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


def log_lines(archive: Path) -> list[str]:
    """Return the log lines in an archive from ``pack`` or from an Expressway.

    Raises:
        InputError: the file cannot be read, or it is not an archive.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            files = [opened.extractfile(member) for member in opened if _is_log(member.name)]
            texts = [file.read().decode("utf-8", "backslashreplace") for file in files if file]
            return [line for text in texts for line in text.splitlines()]
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError([f"{archive}: not a diagnostic-logging archive: {error}"]) from error


def _is_log(name: str) -> bool:
    """Return whether a member is the log. Earlier versions of mralab named it ``diagnostic_logging_...txt``."""
    return name.rpartition("/")[2].startswith(("loggingsnapshot_", "diagnostic_logging_")) and name.endswith(".txt")
