"""Whether a mock answers."""

from __future__ import annotations

import aiohttp


async def answers(url: str) -> None:
    """Ask for ``url``; any HTTP answer will do, whatever its certificate. Raises where there is none."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False, allow_redirects=False):
        pass
