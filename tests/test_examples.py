"""Each example runs unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
import trustme
import yaml

from tests.net.conftest import Server, server_context

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    here = str(Path(sys.executable).parent)
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def test_unittest() -> None:
    result = run("python", "-W", "error", "-m", "unittest", "-v", cwd=EXAMPLES / "unittest")
    assert result.returncode == 0, result.stderr
    assert "Ran 2 tests" in result.stderr


@needs("bash", "curl", "openssl")
def test_shell() -> None:
    result = run("bash", "before-and-after.sh", cwd=EXAMPLES / "shell")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "X14.0.7: HTTP/1.1 200 ok",
        "X14.2: HTTP/1.1 502 connect failed",
        "WARNING: Core server certificate verification failed for (cucm.example.com). Action=Terminate "
        "Error=self signed certificate server=cucm.example.com(127.0.0.1) depth=0",
        "X14.2, certificate trusted: HTTP/1.1 200 ok",
    ]


@needs("node", "openssl")
def test_node() -> None:
    result = run("node", "--test", cwd=EXAMPLES / "node")
    assert result.returncode == 0, result.stdout
    assert "# pass 3" in result.stdout


@needs("bash")
def test_the_jobs_commands_run_in_a_checkout(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "pytest", tmp_path, dirs_exist_ok=True)
    job = yaml.safe_load((EXAMPLES / "github-actions" / "mra.yml").read_text())["jobs"]["expressway"]
    commands = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    assert commands.pop("Install").startswith("pip install vendor/mralab-*.whl ")
    (command,) = commands.values()
    # These plugins are not in that job: some need a configuration, the others are slow to import.
    others = " ".join(f"-p no:{name}" for name in ("asyncio", "aiohttp", "anyio", "hypothesispytest", "schemathesis"))
    result = run("bash", "-c", command, cwd=tmp_path, PYTEST_ADDOPTS=others)
    assert result.returncode == 0, result.stdout
    upload = next(step for step in job["steps"] if "upload" in step.get("uses", ""))
    assert len(list(parse(tmp_path / upload["with"]["path"]).iter("testcase"))) == 5  # noqa: S314 - our own file


def cron(folder: Path, port: int, trusted: trustme.CA) -> subprocess.CompletedProcess[str]:
    """Run the cron job's script against a server."""
    trusted.cert_pem.write_to_path(str(folder / "trust.pem"))
    (folder / "mralab.toml").write_text(
        f"""
trust = {{ store = "trust.pem" }}
hosts."cucm.steven.lab" = {{ dial = "127.0.0.1", ports = {{ 8443 = {port} }} }}
"""
    )
    return run(str(EXAMPLES / "cron" / "preflight.sh"), str(folder / "mralab.toml"), cwd=folder)


def test_cron_is_silent_if_all_servers_are_accepted_and_reports_the_others(tmp_path: Path) -> None:
    ours, another = trustme.CA(), trustme.CA()
    for server in Server(server_context(ours.issue_cert("cucm.steven.lab"))).run():
        good = cron(tmp_path, server.port, ours)
        bad = cron(tmp_path, server.port, another)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert bad.stdout.startswith("X14.2 would refuse the server.\n")
    assert "issuer-missing" in bad.stdout
