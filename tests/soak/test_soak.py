"""A short soak: the mixture of ``make soak``, for seconds."""

from __future__ import annotations

from pathlib import Path

from .mixture import PHASES, soak


async def test_every_request_is_accounted_for_on_all_three_sides(tmp_path: Path) -> None:
    books = await soak(tmp_path, seconds=6, seed=1)
    assert [one.problems for one in books] == [[]] * len(PHASES)
    for one in books:
        assert one.clients == one.log == one.servers > 50
        assert min(one.denied, one.refused, one.left, one.rejected) > 0
