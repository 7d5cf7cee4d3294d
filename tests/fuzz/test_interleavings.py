"""Random interleavings have the same results with plans and without. ``make fuzz`` compares ten thousand."""

from __future__ import annotations

import pytest

from .interleavings import compare


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_proxy_with_plans_does_what_one_without_does_after_each_callback(seed: int) -> None:
    assert compare(80, seed) > 20
