"""A lab that has ended: its records can be read, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mralab import Lab, ListenError
from mralab.lab.running_lab import RunningLab
from mralab.mocks.pki import Pki

READ: tuple[Callable[[RunningLab], Any], ...] = (
    lambda lab: [(each.code, each.port) for each in lab.findings],
    lambda lab: lab.log,
    lambda lab: [each.url for each in lab.transactions],
    lambda lab: lab.node_for("cucm.steven.lab").fqdn,  # type: ignore[union-attr]
    lambda lab: bool(lab.refused("cucm.steven.lab", because="self-signed")),
    lambda lab: lab.is_unplugged(lab.cucm, 8443),
    lambda lab: lab.discovered,
)
CHANGED: tuple[Callable[[RunningLab], Any], ...] = (
    lambda lab: lab.via,
    lambda lab: lab.clear(),
    lambda lab: lab.trust(lab.cucm.certificate("tomcat-ECDSA")),
    lambda lab: lab.distrust(lab.cucm.certificate("tomcat-ECDSA")),
    lambda lab: lab.verify_origin_server("Off"),
    lambda lab: lab.change(release="X14.0.7"),
    lambda lab: lab.reissue("cucm.steven.lab"),
    lambda lab: lab.plug_in(lab.cucm, 8443),
)


async def test_what_was_recorded_can_be_read(pki: Pki) -> None:
    lab = Lab("X14.2", pki=pki)
    assert not lab.has_records
    async with lab:
        assert not (await lab.login()).ok
        before = [read(lab) for read in READ]
    assert (lab.is_running, lab.has_records) == (False, True)
    assert [read(lab) for read in READ] == before
    for change in CHANGED:
        with pytest.raises(AssertionError, match="the lab is not running"):
            change(lab)
    with pytest.raises(AssertionError, match="the lab is not running"):
        await lab.login()


def test_so_it_is_after_a_plain_with(pki: Pki) -> None:
    with Lab("X14.2", pki=pki) as lab:
        assert not lab.login().ok
        before = [read(lab) for read in READ]
    assert (lab.is_running, lab.has_records) == (False, True)
    assert [read(lab) for read in READ] == before
    for change in CHANGED:
        with pytest.raises(AssertionError, match="the lab is not running"):
            change(lab)


async def test_a_lab_can_be_started_again_and_then_has_new_records(pki: Pki) -> None:
    lab = Lab("X14.2", pki=pki)
    for _ in range(2):
        async with lab:
            assert (lab.log, lab.is_running) == ((), True)
            await lab.login()


async def test_a_lab_that_could_not_start_has_no_records(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        other = Lab("X14.2", pki=pki, proxy={"listen": f"127.0.0.1:{lab.proxy.port}"})
        with pytest.raises(ListenError):
            await other.__aenter__()
        assert (other.is_running, other.has_records) == (False, False)
