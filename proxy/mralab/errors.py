"""One tree of errors: what went wrong, what to do about it, and the command's exit code.

An error is raised where the fact is known and shown once, at the edge (``cli``).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

MOST_PROBLEMS: Final = 100
"""Problems shown of one input; of more, the number is given."""
_LONGEST_PROBLEM: Final = 1000  # characters: a key or a value in it may be a megabyte
_LONGEST_WORD: Final = 64  # difflib takes time in the square of a word's length
_MOST_WORDS: Final = 1000


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
    """Input that cannot be used: every problem in it at once, each with file and line or key.

    ``problems`` has all of them, ``listed`` what is shown: the first ``MOST_PROBLEMS``, and how many more there are.
    """

    def __init__(self, problems: Iterable[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        self.listed = tuple(first_problems(self.problems, _shortened))
        super().__init__("\n".join(self.listed), hint)


class ConfigError(InputError):
    """A configuration file or value that cannot be used."""


class TrustStoreError(InputError):
    """A PEM file or folder that cannot become a trust store; nothing of it was taken."""


class ListenError(MralabError):
    """An address that cannot be listened on (in use, not ours, not permitted)."""


def first_problems(details: Sequence[T], describe: Callable[[T], str]) -> list[str]:
    """Describe the first ``MOST_PROBLEMS`` of ``details``, and say how many more there are.

    A description may cost as much as a search for the nearest name: 60,000 unknown keys would take seconds.
    """
    more = len(details) - MOST_PROBLEMS
    if more <= 1:  # the line that counts the rest would be as long as the rest
        return [describe(one) for one in details]
    return [*(describe(one) for one in details[:MOST_PROBLEMS]), f"and {more} more problems"]


def _shortened(problem: str) -> str:
    """Return a problem short enough to be read; its end says as much as its beginning."""
    if len(problem) <= _LONGEST_PROBLEM:
        return problem
    return f"{problem[: _LONGEST_PROBLEM * 3 // 4]}...{problem[-_LONGEST_PROBLEM // 4 :]}"


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean 'WORD'?`` where one of ``words`` is near, else nothing. Long words are near to none."""
    if len(word) > _LONGEST_WORD:
        return ""
    lowered = {candidate.lower(): candidate for candidate in islice(words, _MOST_WORDS)}
    match = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""
