"""Exceptions of mralab: each has a message, a hint what to do next, and the command's exit code.

An error is raised where the problem is found and printed once, by ``cli``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

MOST_PROBLEMS: Final = 100
"""Largest number of problems shown for one input; the others are only counted."""
_LONGEST_PROBLEM: Final = 1000  # characters; a key or a value in a problem may have a megabyte


class MralabError(Exception):
    """Base class of all errors shown to users.

    ``message`` names the cause (file, line, key, port); ``hint`` says what to do next, or is empty.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class InputError(MralabError):
    """Invalid input, with every problem in it, each with file and line or key.

    ``problems`` has all of them. ``listed`` has the first ``MOST_PROBLEMS`` and the number of the others.
    """

    def __init__(self, problems: Iterable[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        self.listed = tuple(first_problems(self.problems, _shortened))
        super().__init__("\n".join(self.listed), hint)


class ConfigError(InputError):
    """Invalid configuration file or value."""


class TrustStoreError(InputError):
    """Unusable PEM file or folder for a trust store. None of its certificates is added."""


class ListenError(MralabError):
    """Listening on an address fails: it is in use, not local, or not permitted."""


def first_problems(details: Sequence[T], describe: Callable[[T], str]) -> list[str]:
    """Return descriptions of the first ``MOST_PROBLEMS`` of ``details``, and a line with the number of the others.

    The others are not described: a description may search for the nearest name, and 60,000 searches take seconds.
    """
    more = len(details) - MOST_PROBLEMS
    if more <= 1:  # a line for one more problem would be no shorter than the problem
        return [describe(detail) for detail in details]
    return [*(describe(detail) for detail in details[:MOST_PROBLEMS]), f"and {more} more problems"]


def _shortened(problem: str) -> str:
    """Return a problem shortened in the middle: its end is as informative as its beginning."""
    if len(problem) <= _LONGEST_PROBLEM:
        return problem
    return f"{problem[: _LONGEST_PROBLEM * 3 // 4]}...{problem[-_LONGEST_PROBLEM // 4 :]}"
