"""The registry of faults: a fault is a class, which is registered under its name when it is defined."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import mralab
from mralab import fault
from mralab.mocks import faults
from mralab.mocks.context import server_context
from mralab.mocks.effect import RawReply
from mralab.mocks.listener import Listener
from mralab.mocks.pki import mint


@dataclass(frozen=True)
class Teapot(fault.Fault):
    """Respond to the ClientHello with a line of an invented protocol."""

    line: bytes = b"418 teapot\n"

    def effect(self) -> fault.Effect:
        return RawReply(self.line)


def test_a_fault_of_a_test_file_is_found_by_its_name() -> None:
    assert fault.REGISTRY["Teapot"] is Teapot
    assert fault.REGISTRY["Teapot"]().name == "Teapot"


async def test_a_fault_found_by_its_name_is_injected_like_any_other() -> None:
    context = server_context(mint()["tomcat-ECDSA"])
    async with Listener(asyncio.Protocol, context) as listener:
        listener.inject(fault.REGISTRY["Teapot"](), times=1)
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(b"\x16\x03\x01")
        assert await reader.read() == b"418 teapot\n"
        writer.close()
        await writer.wait_closed()
        assert listener.seen[-1].faults == ("Teapot",)

        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(listener.host, listener.port, ssl=client)  # the fault is over
        writer.close()


def test_every_fault_of_the_package_is_a_public_name() -> None:
    shipped = {name: kind for name, kind in fault.REGISTRY.items() if kind.__module__.startswith("mralab.")}
    assert {"Answer", "Expire", "Stall"} <= shipped.keys()
    assert {name: getattr(fault, name) for name in shipped} == shipped
    assert shipped.keys() <= set(fault.__all__)
    assert mralab.fault is fault


def test_a_fault_has_a_file_of_its_own() -> None:
    shipped = [kind.__module__ for kind in fault.REGISTRY.values() if kind.__module__.startswith("mralab.")]
    assert len(set(shipped)) == len(shipped)


def test_a_new_file_in_the_folder_is_enough(tmp_path: Path) -> None:
    (tmp_path / "mute.py").write_text(
        "from mralab.mocks.faults.registry import Fault\n\n\nclass Mute(Fault):\n    pass\n", "utf-8"
    )
    script = (  # a new process, because the package must not have been imported yet
        "import importlib.util, sys; folder = sys.argv[1]\n"
        "spec = importlib.util.find_spec('mralab.mocks.faults')\n"
        "spec.submodule_search_locations.append(folder)\n"
        "module = importlib.util.module_from_spec(spec); sys.modules[spec.name] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(module.REGISTRY['Mute'].__module__, 'Stall' in module.REGISTRY)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert run.stdout == "mralab.mocks.faults.mute True\n"


def test_a_name_is_taken_once() -> None:
    with pytest.raises(TypeError, match=r"fault 'Stall' of .*: mralab\.mocks\.faults\.stall already has a fault"):
        type("Stall", (fault.Fault,), {"__module__": __name__})
    assert fault.REGISTRY["Stall"] is fault.Stall


def test_a_private_base_class_is_not_registered() -> None:
    class _Base(fault.Fault):
        pass

    assert "_Base" not in faults.REGISTRY


def test_a_slotted_dataclass_replaces_the_class_that_it_is_made_of() -> None:
    @dataclass(frozen=True, slots=True)
    class Slotted(fault.Fault):
        seconds: float = 1.0

    assert fault.REGISTRY["Slotted"] is Slotted


def test_the_registry_is_read_only() -> None:
    with pytest.raises(TypeError):
        fault.REGISTRY["Stall"] = Teapot  # type: ignore[index] # a Mapping: mypy refuses it as well
