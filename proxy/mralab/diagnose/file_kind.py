"""What a file is, by its first bytes: a log, a capture, certificates, a dump; or why it is nothing that can be read."""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal["log", "capture", "certificates", "configuration", "status"]
"""``configuration`` and ``status`` are xconf_dump and xstat_dump of a diagnostic-logging archive."""


NOT_TEXT: Final = "is not text, and not a known kind of archive, capture or certificate"


def kind_of(start: bytes) -> tuple[Kind | None, str]:
    """Return what a file is, by its first bytes, or None and the reason why it is nothing that can be read."""
    if not start.strip(b"\0\r\n\t "):
        return None, "is empty" if not start else "has only blanks or NUL bytes at its start"
    if start[:4] in _CAPTURES:
        return "capture", ""
    if start[:4] in _KEYSTORES or (start[:1] == b"\x30" and start[1:2] in (b"\x80", b"\x81", b"\x82", b"\x83")):
        return "certificates", ""
    for magic, what in _OTHERS:
        if start.startswith(magic):
            return None, what
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _REPORT.match(text):
        return None, "is a report of mralab: the log itself is needed"
    if _BEGIN.search(text[:4096]) is not None and not _LOG_LINE.search(start):
        return "certificates", ""
    if _CONFIGURATION.search(text) and not _LOG_LINE.search(start):
        return "configuration", ""
    if _STATUS.match(text):
        return "status", ""
    if not start.startswith((b"\xff\xfe", b"\xfe\xff")) and _is_binary(start):
        return None, NOT_TEXT
    return "log", ""


_CAPTURES: Final = frozenset(
    bytes.fromhex(magic) for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a")
)
_KEYSTORES: Final = frozenset((b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"))  # JKS, JCEKS: refused with a hint
_OTHERS: Final = (
    (b"\x28\xb5\x2f\xfd", "is compressed with Zstandard: expand it first (zstd -d)"),
    (b"\x04\x22\x4d\x18", "is compressed with LZ4: expand it first (lz4 -d)"),
    (b"\x1f\x9d", "is compressed with compress: expand it first (gzip -d)"),
    (b"LZIP\x01", "is compressed with lzip: expand it first (lzip -d)"),
    (b"H4sI", "is a compressed file in base64: decode it first (base64 -d)"),
    (b"-----BEGIN PGP MESSAGE", "is encrypted with PGP: decrypt it first"),
    (b"MSCF\0\0\0\0", "is a Windows cabinet: unpack it first"),
    (b"PK\x07\x08", "is the first part of a ZIP archive in several files: unpack it first"),
    (b"ElfFile\0", "is a Windows event log, which has no lines of Expressway"),
    (b"SQLite format 3\0", "is a database: export the log as text"),
    (b"MZ\x90\0", "is a program: if it unpacks itself, unpack it first"),
    (b"GIF8", "is a picture: the log's text is needed"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"%PDF", "is a PDF document: copy the log's text out of it"),
    (b"\x89PNG", "is a picture: the log's text is needed"),
    (b"\xff\xd8\xff", "is a picture: the log's text is needed"),
    (b"\xd0\xcf\x11\xe0", "is an Office document: save the log as text"),
)
_BEGIN: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,64}-----")
# A report quotes the lines of the log: read as a log, it would repeat each finding.
_REPORT: Final = re.compile(
    rb'<!doctype html>.{0,200}?<meta name="generator" content="mralab">|\{\s*"schema": "mralab/', re.DOTALL
)
_LOG_LINE: Final = re.compile(rb"traffic_server|Module=\"|Level=\"")
_CONFIGURATION: Final = re.compile(rb"(?m)^\*c xConfiguration |<XConfiguration\b|<Configuration\b")
_STATUS: Final = re.compile(rb"\*s |<\?xml[^>]*\?>\s*<(?:XStatus|Status)\b|<(?:XStatus|Status)\b")
_UNPRINTABLE: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\r\x1b\f\0")
_MOST_UNPRINTABLE: Final = 0.1  # of a text's first bytes: terminal escapes and damaged characters are some


def _is_binary(start: bytes) -> bool:
    """Return whether this is no text: NUL bytes alone do not decide, a crash leaves them in logs."""
    odd = len(start) - len(start.translate(None, _UNPRINTABLE))
    return odd > len(start) * _MOST_UNPRINTABLE or start.count(0) > len(start) / 2
