"""Exceptions of mralab: each says what went wrong and what to do next, and has the command's exit code.

An error is raised where the problem is found and shown once, by ``cli``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

MOST_PROBLEMS: Final = 100
"""Number of problems shown for one input; the rest is only counted."""
_LONGEST_PROBLEM: Final = 1000  # characters; a key or a value in it may have a megabyte


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

    ``problems`` has all of them; ``listed`` has those shown: the first ``MOST_PROBLEMS``, then the number of the rest.
    """

    def __init__(self, problems: Iterable[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        self.listed = tuple(first_problems(self.problems, _shortened))
        super().__init__("\n".join(self.listed), hint)


class ConfigError(InputError):
    """Invalid configuration file or value."""


class TrustStoreError(InputError):
    """PEM file or folder that cannot become a trust store; none of it is added."""


class ListenError(MralabError):
    """Listening on an address fails: it is in use, not local, or not permitted."""


def first_problems(details: Sequence[T], describe: Callable[[T], str]) -> list[str]:
    """Return descriptions of the first ``MOST_PROBLEMS`` of ``details``, and a line with the number of the rest.

    The rest is not described: a description may search for the nearest name, and 60,000 of these take seconds.
    """
    more = len(details) - MOST_PROBLEMS
    if more <= 1:  # a line that counts one problem is no shorter than the problem
        return [describe(detail) for detail in details]
    return [*(describe(detail) for detail in details[:MOST_PROBLEMS]), f"and {more} more problems"]


def _shortened(problem: str) -> str:
    """Return a problem cut to a readable length. Keep its end, which is as informative as its beginning."""
    if len(problem) <= _LONGEST_PROBLEM:
        return problem
    return f"{problem[: _LONGEST_PROBLEM * 3 // 4]}...{problem[-_LONGEST_PROBLEM // 4 :]}"
