import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mralab.data import data_path
from mralab.errors import MralabError

CHECKOUT = Path(__file__).resolve().parents[1]


def test_a_checkout_has_its_files_at_its_root() -> None:
    assert data_path("certs/pki.toml").is_file()
    assert data_path("config").is_dir()


def test_a_wheel_has_its_files_in_the_package(tmp_path: Path) -> None:
    wheels = pytest.importorskip("hatchling.builders.wheel")
    (wheel,) = wheels.WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from mralab.data import data_path\n"
        "print(data_path('certs/pki.toml'), data_path('config'))"
    )
    printed = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    packaged = (site / "mralab" / "_data").resolve()
    assert printed.stdout.split() == [str(packaged / "certs" / "pki.toml"), str(packaged / "config")]


def test_the_error_for_a_missing_file_lists_the_paths_tried() -> None:
    with pytest.raises(MralabError, match=r"^config/none\.toml: not in this installation \(looked at /"):
        data_path("config/none.toml")
