"""The retry policy, without a socket: which failures use up an attempt."""

from __future__ import annotations

import pytest

from mralab.net.failures import ConnectError, ResponseError, ServerError, attempts_left


def stale() -> ServerError:
    error = ResponseError("hangup", "closed", unread=True)
    error.stale = True
    return error


@pytest.mark.parametrize(
    ("failure", "repeatable", "left"),
    [
        (ConnectError(None), True, 1),
        (ConnectError(None), False, 1),  # nothing was sent
        (ResponseError("hangup", "closed"), True, 1),
        (ResponseError("hangup", "closed"), False, 0),
        (stale(), True, 2),
        (stale(), False, 0),
    ],
)
def test_a_failure_costs_an_attempt_unless_the_connection_was_stale(
    failure: ServerError, repeatable: bool, left: int
) -> None:
    assert attempts_left(2, failure, repeatable=repeatable) == left


def test_the_last_attempt_leaves_none() -> None:
    assert attempts_left(1, ConnectError(None), repeatable=True) == 0
