"""Proof of equal work before a comparison: a proxy that does less is refused, and the message says what is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import proxies
from benchmarks.processes import fill, find
from benchmarks.proof import UnequalWork, prove
from benchmarks.stage import Stage, stage

pytestmark = pytest.mark.skipif(not find("nginx"), reason="the origin is nginx: install it (Debian: nginx)")


@pytest.fixture(scope="module")
def origin() -> Iterator[Stage]:
    with stage() as running:
        yield running


@pytest.mark.parametrize("mode", proxies.MODES)
def test_mralab_does_the_work(origin: Stage, mode: proxies.Mode) -> None:
    with proxies.running(origin, mode, ["mralab"]) as started:
        assert len(prove(origin, started, mode, ["1k.xml", "100k.xml"])) == 4


@pytest.mark.parametrize(
    ("instead", "found"),
    [
        (
            {'release = "X14.2"': 'release = "X14.0.7"'},
            "the untrusted certificate: status 200, not 502 or 503: the proxy does not verify it",
        ),
        ({'"per-request"': '"keep-alive"'}, "20 requests took 1 connections to the server"),
    ],
)
def test_a_proxy_that_does_less_is_refused(
    origin: Stage, instead: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_otherwise(template: str, values: dict[str, object]) -> str:
        text = fill(template, values)
        for old, new in instead.items():
            assert old in text
            text = text.replace(old, new)
        return text

    monkeypatch.setattr(proxies, "fill", fill_otherwise)
    with proxies.running(origin, "per-request", ["mralab"]) as started, pytest.raises(UnequalWork) as refused:
        prove(origin, started, "per-request", ["1k.xml"])
    assert found in str(refused.value)
