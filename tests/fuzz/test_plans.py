"""Mutated heads have the same result with plans and without. ``make fuzz`` compares a million."""

from __future__ import annotations

import pytest

from .plans import compare


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_proxy_with_plans_does_what_one_without_does(seed: int) -> None:
    assert compare(4000, seed) > 400
