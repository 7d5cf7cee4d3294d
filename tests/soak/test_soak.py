"""A short soak: the mixture of ``make soak``, for seconds."""

from __future__ import annotations

from pathlib import Path

from tests.faults.conftest import Figure, figure, size

from .mixture import PHASES, soak

__all__ = ["figure"]


async def test_every_request_is_accounted_for_on_all_three_sides(tmp_path: Path, figure: Figure) -> None:
    seconds, seed, phases = size(3, 120), 1, size(PHASES[:2], PHASES)
    books = await soak(tmp_path, seconds, seed, phases=phases)
    assert [one.problems for one in books] == [[]] * len(phases)
    for one in books:
        assert one.clients == one.log == one.servers > 20
    for kind in ("denied", "refused", "left", "rejected", "reloads", "hostile"):
        assert sum(getattr(one, kind) for one in books) > 0, kind
    clients, log, servers = (sum(one[side] for one in books) for side in (0, 1, 2))  # type: ignore[misc]
    left, reloads = sum(one.left for one in books), sum(one.reloads for one in books)
    figure(
        "soak",
        "what its server sent, or an answer or a cut that says why not",
        f"{seconds} s, seed {seed}: clients {clients}, log {log}, servers {servers} requests; {left} left by their "
        f"clients; {reloads} reloads; memory +{max(one.memory for one in books)} KB in half a phase at most",
    )
