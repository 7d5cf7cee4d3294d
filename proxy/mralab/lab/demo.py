"""The demo: the article's login before and after X14.2, then the remedies, each run for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..mocks.pki import mint
from .run import ScenarioResult, run_scenario
from .scenario import scenario_named

__all__ = ["ARTICLE", "ScenarioResult", "run", "run_scenario"]

ARTICLE: Final = ("fqdn", "ip", "ecdsa-first")
"""The scenarios of the article, in its order."""


async def run(out: Path, progress: Callable[[str], object] = lambda _: None) -> tuple[ScenarioResult, ...]:
    """Run the article's scenarios, and keep the logs of before and after in the folder ``out``, which must exist.

    ``progress`` is called with the title of each scenario as it starts. Raises ``MralabError`` if a lab cannot start.
    """
    pki = mint()
    outcomes = []
    for scenario in map(scenario_named, ARTICLE):
        progress(scenario.title)
        outcomes.append(await run_scenario(scenario, out, pki))
    return tuple(outcomes)
