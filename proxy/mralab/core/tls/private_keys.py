"""Private keys in text that will be shown: they are left out. Pure."""

from __future__ import annotations

import re
from typing import Final

_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
"""A key in PEM (RFC 7468), also where its lines are joined or escaped, or where its end is missing."""


def without_keys(text: str) -> str:
    """Return ``text`` with "(a private key)" in place of every private key in PEM."""
    return _KEY.sub("(a private key)", text)
