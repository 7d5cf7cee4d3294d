"""Convert UTF-16 files to UTF-8; leave 8-bit encodings as they are.

Windows tools save UTF-16, with a byte order mark or without, and put one before UTF-8.
"""

from __future__ import annotations

import codecs
from typing import Final

_MARKS: Final = ((codecs.BOM_UTF8, ""), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE: Final = 256
_MOST_NULS: Final = 0.05  # in the half of UTF-16 that has the characters' low bytes
_LEAST_NULS: Final = 0.8  # in the other half: text is ASCII but for a few characters


class Decoder:
    """Finds the encoding in the first bytes of a file and turns UTF-16 into UTF-8."""

    def __init__(self) -> None:
        """Begin without knowing the encoding."""
        self._first: bytes | None = b""
        """The bytes so far while the encoding is not known, then None."""
        self._utf_16: codecs.IncrementalDecoder | None = None

    def decode(self, data: bytes, *, final: bool = False) -> bytes:
        """Return the next bytes of the text. The first ones are held back until there are enough to judge by."""
        if self._first is not None:
            data = self._first + data
            if len(data) < _SAMPLE and not final:
                self._first = data
                return b""
            self._first = None
            mark, name = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", _guess(data[:_SAMPLE])))
            data = data[len(mark) :]
            if name:
                self._utf_16 = codecs.getincrementaldecoder(name)("replace")
        if self._utf_16 is None:
            return data
        return self._utf_16.decode(data, final).encode()


def _guess(sample: bytes) -> str:
    """UTF-16's name if every other byte is NUL, or else nothing."""
    even, odd = sample[::2], sample[1::2]
    if not odd:
        return ""
    nuls = even.count(0) / len(even), odd.count(0) / len(odd)
    if nuls[0] <= _MOST_NULS and nuls[1] >= _LEAST_NULS:
        return "utf-16-le"
    if nuls[1] <= _MOST_NULS and nuls[0] >= _LEAST_NULS:
        return "utf-16-be"
    return ""
