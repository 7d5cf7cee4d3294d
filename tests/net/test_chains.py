"""Chains in events are bounded, and equal chains are one object."""

from __future__ import annotations

from mralab.net.chains import LARGEST, shared_chain


def test_equal_chains_are_one_object() -> None:
    first, second = ((b"leaf" + bytes(100), b"ca" + bytes(100)) for _ in range(2))
    assert first is not second
    assert shared_chain(first) is shared_chain(second)


def test_a_chain_that_is_too_large_is_not_kept() -> None:
    assert shared_chain((bytes(LARGEST),)) == (bytes(LARGEST),)
    assert shared_chain((bytes(LARGEST), b"x")) == ()
