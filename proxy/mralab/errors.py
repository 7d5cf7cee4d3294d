"""One tree of errors: what went wrong, what to do about it, and the command's exit code.

An error is raised where the fact is known and shown once, at the edge (``cli``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MralabError(Exception):
    """Base of all errors a user can meet.

    ``message`` names the thing (file, line, key, port); ``hint`` says what to do about it, or is empty.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(MralabError):
    """Input that cannot be used: every problem in it at once, each with file and line or key."""

    def __init__(self, problems: Iterable[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint)


class ConfigError(InputError):
    """A configuration file or value that cannot be used."""


class TrustStoreError(InputError):
    """A PEM file or folder that cannot become a trust store; nothing of it was taken."""


class ListenError(MralabError):
    """An address that cannot be listened on (in use, not ours, not permitted)."""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """``; did you mean 'WORD'?`` where one of ``words`` is near, else nothing."""
    lowered = {candidate.lower(): candidate for candidate in words}
    match = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""
