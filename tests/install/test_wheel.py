"""The wheel: its content, and that it works in an environment with nothing else of this repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT

TEMPLATES = ("report.html.j2", "parts.html.j2", "ladder.svg.j2", "report.css")


def test_the_wheel_puts_nothing_but_mralab_on_the_import_path(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mralab"}
    assert "mralab/_data/certs/pki.toml" in names
    assert "mralab/_data/config/scenarios/fqdn.toml" in names
    assert "mralab/py.typed" in names
    assert {f"mralab/show/templates/{name}" for name in TEMPLATES} <= set(names)
    assert {"mralab/web/page/index.html", "mralab/web/page/main.js", "mralab/web/page/page.css"} <= set(names)
    assert not [name for name in names if name.endswith((".pem", ".key"))]


def run(environment: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / command[0], *command[1:]], capture_output=True, text=True, timeout=120, cwd=cwd, check=False
    )


def test_the_wheel_in_an_empty_environment_runs_the_demo(environment: Path, tmp_path: Path) -> None:
    result = run(environment, "mralab", "demo", "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Every result is as in the article." in result.stdout
    assert result.stderr == ""
    assert (tmp_path / "out" / "fqdn-X14.2.log").stat().st_size


def test_the_readmes_test_in_a_scratch_project_is_green_before_and_red_after(environment: Path, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## In your tests")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    (tmp_path / "test_version.py").write_text(example[1])
    shutil.copy(ROOT / "examples" / "pytest" / "conftest.py", tmp_path)  # the mock
    result = run(environment, "pytest", "-rA", cwd=tmp_path)
    assert result.returncode == 1, result.stdout
    assert "PASSED test_version.py::test_version[before]" in result.stdout
    assert "FAILED test_version.py::test_version[after]" in result.stdout
    assert "warning" not in result.stdout.lower().replace("] warning: core server certificate", "")
    _, _, report = result.stdout.partition("- Expressway-C X14.2: traffic_server log -")
    assert "failed for (cucm.example.com). Action=Terminate Error=unable to get local issuer certificate" in report
    assert "issuer-missing: cucm.example.com:8443 did not send the issuer of its certificate, and" in report
    (tmp_path / "test_version.py").write_text(
        example[1]
        .replace("    mra_proxy.add", "    mra_proxy.trust(mra_ca)\n    mra_proxy.add")
        .replace("cucm)", "cucm, mra_ca)", 1)
    )
    assert run(environment, "pytest", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("shell", "text"), [("bash", "complete -o nosort"), ("zsh", "#compdef mralab"), ("fish", "fish")]
)
def test_each_shell_gets_its_completion(environment: Path, shell: str, text: str, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"{shell}_source" in readme
    script = subprocess.run(
        [environment / "mralab"],
        capture_output=True,
        text=True,
        env={**os.environ, "_MRALAB_COMPLETE": f"{shell}_source"},
        check=True,
        cwd=tmp_path,
    )
    assert text in script.stdout
    words = {
        "COMP_WORDS": "mralab pre",
        "COMP_CWORD": "pre" if shell == "fish" else "1",
        "_MRALAB_COMPLETE": f"{shell}_complete",
    }
    completed = subprocess.run(
        [environment / "mralab"], capture_output=True, text=True, env={**os.environ, **words}, check=True, cwd=tmp_path
    )
    assert "preflight" in completed.stdout


def test_readme_names_the_wheel_of_this_version(wheel: Path) -> None:
    assert f"pip install dist/{wheel.name} " in (ROOT / "README.md").read_text()
