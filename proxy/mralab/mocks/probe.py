"""Check that a mock answers."""

from __future__ import annotations

import aiohttp


async def answers(url: str) -> None:
    """Request ``url`` and accept any HTTP status and any certificate. Raises aiohttp's ``ClientError`` on failure."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False, allow_redirects=False):
        pass
