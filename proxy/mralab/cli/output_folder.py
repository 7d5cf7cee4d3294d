"""A folder that a command writes files to: ``--out`` and ``--save``."""

from __future__ import annotations

from pathlib import Path

from ..errors import MralabError


def create_folder(folder: Path, option: str) -> None:
    """Create a folder and those above it. Raises ``MralabError`` if that fails, or if it cannot be written to."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = "not a folder" if folder.exists() else f"cannot be created: {error.strerror}"
        raise _error(folder, option, problem) from error
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _error(folder, option, f"cannot be written to: {error.strerror}") from error


def _error(folder: Path, option: str, problem: str) -> MralabError:
    return MralabError(f"{option} {folder}: {problem}", "choose another folder")
