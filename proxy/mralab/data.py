"""Files shipped with the package: ``config/`` and ``certs/pki.toml``.

A wheel contains them as package data under ``mralab/_data``. A checkout (and an editable install) has them at its root,
where importlib.resources does not find them.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .errors import MralabError

_CHECKOUT = Path(__file__).resolve().parents[2]


def data_path(relative: str) -> Path:
    """Return the path of the file or folder ``relative``: ``"certs/pki.toml"``, ``"config/scenarios"``.

    Raises:
        MralabError: the installation does not contain it.
    """
    packaged = resources.files("mralab") / "_data"
    # A Traversable that is not a Path is in a zip file. Installing a wheel unpacks it, so this is not expected.
    candidates = [packaged / relative] if isinstance(packaged, Path) else []
    candidates.append(_CHECKOUT / relative)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    searched = ", ".join(str(candidate) for candidate in candidates)
    raise MralabError(
        f"{relative}: not in this installation (looked at {searched})",
        "install mralab again, or run it from a complete checkout",
    )
