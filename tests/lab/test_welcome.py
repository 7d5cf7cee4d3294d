"""What ``mralab lab`` prints on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from mralab.lab.lab import Lab
from mralab.lab.scenario import scenario_named
from mralab.lab.welcome import Welcome
from mralab.mocks.pki import Pki


@pytest.mark.parametrize(
    ("scenario", "peers"),
    [
        ("self-signed-tomcat", []),
        ("peer-without-ca", ["peers        vcsc, which page, control API and log below belong to; vcsc2"]),
    ],
)
async def test_several_peers_are_named(tmp_path: Path, pki: Pki, scenario: str, peers: list[str]) -> None:
    async with Lab(pki=pki, scenario=scenario_named(scenario)) as lab:
        text = Welcome("a lab", lab, "emusk", "cisco123", "127.0.0.1:1", "lab.log", tmp_path).text()
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("peers")] == peers
