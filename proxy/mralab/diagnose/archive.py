"""Diagnostic-logging archives: what Maintenance > Diagnostics collects between start and stop, as a ``.tar.gz``.

Known (Cisco document 218018): the archive holds the log and a packet capture, whose file is called
``eth0_diagnostic_logging_tcpdump00_HOST_YYYY-MM-DD_HH_MM_SS.pcap``. Emulated, not observed: the archive's own name,
that the log is called ``diagnostic_logging_HOST_...txt``, and that all lies in a folder named as the archive. Nothing
but log lines goes in: no configuration, certificate or key.
"""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError


class Recording(NamedTuple):
    """Log lines of ``hostname`` until ``ended`` (seconds since the epoch).

    ``lost`` events were too many to keep; ``silent`` says who could not be asked for its lines.
    """

    hostname: str
    ended: float
    lines: tuple[str, ...]
    lost: int = 0
    silent: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``diagnostic_log_HOST_DATE_TIME``, local time as in the log."""
        return f"diagnostic_log_{self._place}"

    @property
    def archive_name(self) -> str:
        """The archive's file name."""
        return f"{self.name}.tar.gz"

    @property
    def log_name(self) -> str:
        """The log's path within the archive."""
        return f"{self.name}/diagnostic_logging_{self._place}.txt"

    @property
    def _place(self) -> str:
        return f"{self.hostname}_{time.strftime('%Y-%m-%d_%H_%M_%S', time.localtime(self.ended))}"


def pack(recording: Recording) -> bytes:
    """The recording as an archive's bytes."""
    incomplete = [f"incomplete: {who}" for who in recording.silent]
    if recording.lost:
        incomplete.append(f"incomplete: the oldest {recording.lost} events were not kept")
    text = "".join(f"{line}\n" for line in recording.lines)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz", compresslevel=3) as archive:
        _add(archive, recording.log_name, text.encode("utf-8", "backslashreplace"), recording.ended)
        if incomplete:
            note = "\n".join(incomplete) + "\n"
            _add(archive, f"{recording.name}/INCOMPLETE.txt", note.encode(), recording.ended)
    return written.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, at: float) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mtime = int(at)
    member.mode = 0o640
    archive.addfile(member, io.BytesIO(data))


def log_lines(archive: Path) -> list[str]:
    """The log lines in an archive that ``pack`` made. Raises ``InputError``."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            files = [opened.extractfile(member) for member in opened if "diagnostic_logging_" in member.name]
            return [line for file in files if file for line in file.read().decode("utf-8").splitlines()]
    except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise InputError([f"{archive}: is no diagnostic-logging archive: {error}"]) from error
