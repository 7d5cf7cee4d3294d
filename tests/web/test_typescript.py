"""A TypeScript client: generated from the OpenAPI description, type-checked, and run against a lab.

The tools are those of typescript/package-lock.json. npm installs them once, into the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import complaints

SOURCES = Path(__file__).with_name("typescript")
OLDEST_NODE = 20  # openapi-fetch needs the global fetch, and typescript/lab.ts awaits at its top level


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def modules() -> Path:
    """Folder node_modules with the tools. Skips the test if they cannot be installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed (Debian: apt-get install nodejs npm)")
    version = run(SOURCES, node, "--version").stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is older than {OLDEST_NODE}")
    digest = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mralab"
    folder = cache / f"typescript-{digest}"
    installed = folder / "node_modules"
    if not (installed / ".package-lock.json").exists():  # npm writes it last
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, folder)
        command = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error")
        try:
            result = run(folder, *command)
        except subprocess.TimeoutExpired:
            pytest.skip("npm cannot install the generator and the compiler: no answer within a minute")
        if result.returncode:
            pytest.skip(f"npm cannot install the generator and the compiler: {result.stderr.strip()[:200]}")
    return installed


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a lab's control API. The lab must end well, with nothing on standard error."""
    command = [sys.executable, "-m", "mralab", "lab", "--admin", "127.0.0.1:0", "--log", str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield json.loads(process.stdout.readline())["admin"]
        finally:
            process.terminate()
        assert process.wait(30) == 0
        assert complaints(process.stderr.read()) == ""


def test_a_generated_client_passes_the_compiler_and_operates_a_lab(modules: Path, lab: str, tmp_path: Path) -> None:
    folder = tmp_path / "client"
    shutil.copytree(SOURCES, folder)
    (folder / "node_modules").symlink_to(modules)
    with urllib.request.urlopen(f"http://{lab}/api/openapi.json", timeout=30) as answer:
        (folder / "openapi.json").write_bytes(answer.read())
    generator = (str(modules / ".bin" / "openapi-typescript"), "openapi.json", "--output", "schema.ts")
    # By default it treats keys with a default as present, which is wrong for the keys of a request.
    generated = run(folder, *generator, "--default-non-nullable=false")
    assert generated.returncode == 0, generated.stdout + generated.stderr
    compiled = run(folder, str(modules / ".bin" / "tsc"), "--project", ".")
    assert compiled.returncode == 0, compiled.stdout
    operated = run(folder, "node", "out/lab.js", lab)
    assert operated.returncode == 0, operated.stderr
    assert operated.stdout == "X14.2: self-signed, then signed in\n"
