"""Access tokens of OAuth (RFC 6749) and session keys: opaque texts that stand for a user."""

from __future__ import annotations

import uuid
from typing import Final

_MOST: Final = 10_000
"""Tokens kept; the oldest is dropped for a new one, because a mock may run under load for days."""


class Tokens:
    """The tokens issued by a node or a cluster, with their users."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}

    def issue(self, user: str) -> str:
        """Return a new token of ``user``."""
        if len(self._users) >= _MOST:
            del self._users[next(iter(self._users))]
        token = str(uuid.uuid4())
        self._users[token] = user
        return token

    def user(self, token: str) -> str | None:
        """Return the user of a token; None if it was not issued here, or was revoked."""
        return self._users.get(token)

    def revoke(self, token: str) -> None:
        """End a token; nothing happens if there is no such token."""
        self._users.pop(token, None)

    def revoke_user(self, user: str) -> None:
        """End every token of ``user``."""
        self._users = {token: owner for token, owner in self._users.items() if owner != user}
