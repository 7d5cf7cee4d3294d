"""The instructions of the Dockerfile, run one by one in a folder that represents the image's root."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from .conftest import ROOT

ABSOLUTE = re.compile(r"(?<![\w./:])/(?=(opt|tmp|var|etc)/)")


class Instruction(NamedTuple):
    name: str
    text: str


def instructions() -> list[Instruction]:
    """Return the Dockerfile's instructions, in order."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Instruction(*line.split(" ", 1)) for line in lines]


def only(name: str) -> str:
    (found,) = (each.text for each in instructions() if each.name == name)
    return found


def test_the_image_is_slim_not_root_and_watched() -> None:
    assert only("FROM") == "${BASE}"
    assert dict(text.split("=", 1) for name, text in instructions() if name == "ARG")["BASE"].endswith("-slim")
    assert only("USER") not in ("root", "0", "0:0")
    assert json.loads(only("ENTRYPOINT")) == ["mralab"]
    assert "CMD" in only("HEALTHCHECK")


@pytest.mark.skipif(os.geteuid() != 0, reason="chown to the image's user needs root")
def test_each_line_works_in_a_scratch_root(wheel: Path, from_wheelhouse: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "root"
    sources = {"dist/mralab-*.whl": wheel, "examples/container/mralab.toml": ROOT / "examples/container/mralab.toml"}
    tools = tmp_path / "bin"  # the base image's python
    tools.mkdir()
    (tools / "python").symlink_to(sys.executable)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    for folder in ("tmp", "opt", "var/lib", "etc"):
        (root / folder).mkdir(parents=True)

    def moved(text: str) -> str:
        return ABSOLUTE.sub(f"{root}/", text)

    for name, text in instructions():
        if name == "COPY":
            source, target = text.split()
            destination = Path(moved(target))
            if target.endswith("/"):
                shutil.copy(sources[source], destination)
            else:
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(sources[source], destination)
        elif name == "ENV":
            for pair in shlex.split(text):
                key, _, value = pair.partition("=")
                environment[key] = moved(value).replace("$PATH", environment["PATH"])
        elif name == "RUN":
            kept = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
            ran = subprocess.run(
                ["sh", "-ec", moved(text)],
                env={**kept, **from_wheelhouse, **environment},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert ran.returncode == 0, f"{text}: {ran.stderr}"
    assert not list((root / "tmp").iterdir())
    _starts_and_is_healthy(root, environment, moved)


def _starts_and_is_healthy(root: Path, environment: dict[str, str], moved: object) -> None:
    assert callable(moved)
    command = [moved(word) for word in (*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD")))]
    config = root / "etc/mralab/mralab.toml"
    config.write_text(re.sub(r'"([\d.]+):\d+"', r'"\1:0"', config.read_text()))  # any free port
    command[0] = str(root / "opt/mralab/bin" / command[0])
    health = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    health[0] = str(root / "opt/mralab/bin" / health[0])
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        start = json.loads(process.stdout.readline())
        watched = {**environment, "MRALAB_ADMIN": start["admin"]}
        healthy = subprocess.run(health, env=watched, check=False, timeout=30)
        process.terminate()
        assert process.wait(15) == 0
    gone = subprocess.run(health, env=watched, check=False, timeout=30, capture_output=True)
    assert (healthy.returncode, gone.returncode) == (0, 1)


@pytest.mark.parametrize(
    ("program", "options"),
    [("docker", ""), ("podman", "--format docker "), ("/usr/bin/podman", "--format docker ")],
)
def test_make_image_keeps_the_health_check(tmp_path: Path, program: str, options: str) -> None:
    # podman's default format, OCI, has none
    makefile = (ROOT / "Makefile").read_text()
    makefile = re.sub(r"(?m)^image: wheel", "image:", makefile)
    (tmp_path / "Makefile").write_text(makefile)
    printed = subprocess.run(
        ["make", "--no-print-directory", "-n", "image", f"DOCKER={program}", "BASE=our/python"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = " ".join(printed.replace("\\\n", " ").split())
    assert command == f"{program} build {options}--build-arg BASE=our/python -t mralab ."
