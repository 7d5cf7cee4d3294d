"""Every grammar takes rubbish, and good samples that were tampered with, and keeps its promises."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import GRAMMARS

# What tells the readers of one grammar from those of another.
_WORDS = (b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"%2e", b"/", b"..", b"0", b"\xff")


@st.composite
def tampered(draw: st.DrawFn, name: str) -> bytes:
    """A sample with pieces cut out, put in and doubled; or something else altogether."""
    samples = GRAMMARS[name].samples
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 24))
        piece = draw(st.sampled_from(_WORDS) | st.binary(max_size=6) | st.just(data[start : start + length] * 2))
        data = data[:start] + piece + data[start + length :]
    return data


@pytest.mark.parametrize("name", GRAMMARS)
def test_rubbish_is_read_or_refused(name: str) -> None:
    check = GRAMMARS[name].check

    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(tampered(name) | st.binary(max_size=200))
    def run(data: bytes) -> None:
        check(data)

    run()


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_samples_themselves_are_fine(name: str) -> None:
    for sample in GRAMMARS[name].samples:
        GRAMMARS[name].check(sample)
