"""Finds the files that travel with the package: ``config/`` and ``certs/pki.toml``.

A wheel carries them as package data under ``mralab/_data``. A checkout (and with it an editable install) has
them at its root, beside ``proxy/``; importlib.resources does not see them there.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .errors import MralabError

_CHECKOUT = Path(__file__).resolve().parents[2]


def data_path(relative: str) -> Path:
    """Return the file or folder shipped as ``relative``: ``"certs/pki.toml"``, ``"config/scenarios"``.

    Raises:
        MralabError: this installation does not have it.
    """
    packaged = resources.files("mralab") / "_data"
    # A Traversable that is no Path lives in a zip; installing a wheel unpacks it, so none is expected.
    candidates = [packaged / relative] if isinstance(packaged, Path) else []
    candidates.append(_CHECKOUT / relative)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise MralabError(
        f"{relative}: not in this installation (looked at {looked})",
        "install mralab again, or run it from a complete checkout",
    )
