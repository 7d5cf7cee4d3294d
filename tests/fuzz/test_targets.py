"""Every fuzz target with random input and with mutated samples."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import GRAMMARS

# Characters that parsers of one grammar may interpret differently.
_WORDS = (b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"%2e", b"/", b"..", b"0", b"\xff")


@st.composite
def tampered(draw: st.DrawFn, name: str) -> bytes:
    """Draw a sample with pieces removed, inserted and doubled, or random bytes."""
    samples = GRAMMARS[name].samples
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 24))
        piece = draw(st.sampled_from(_WORDS) | st.binary(max_size=6) | st.just(data[start : start + length] * 2))
        data = data[:start] + piece + data[start + length :]
    return data


@pytest.mark.parametrize("name", GRAMMARS)
def test_random_input_is_parsed_or_refused(name: str) -> None:
    check = GRAMMARS[name].check

    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(tampered(name) | st.binary(max_size=200))
    def run(data: bytes) -> None:
        check(data)

    run()


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_samples_are_valid(name: str) -> None:
    for sample in GRAMMARS[name].samples:
        GRAMMARS[name].check(sample)
