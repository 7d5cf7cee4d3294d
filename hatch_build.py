"""Metadata with the repository's address: the project's URLs, and README with absolute links.

A package index shows README without the repository, so relative links and pictures would be broken there. The address
is ``$MRALAB_REPOSITORY``, else that of git's remote ``origin``. Without either, pictures are removed from README and
relative links become plain text.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[([^]]*)\]\((?!https?:)([^)]+)\)\n*")
_LINK = re.compile(r"(?<!!)\[([^]]*)\]\((?!https?:|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Sets ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add both to ``metadata``, the ``[project]`` table."""
        root = Path(self.root)
        where = repository(root)
        text = absolute((root / "README.md").read_text("utf-8"), where)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls(where)


def repository(root: Path) -> str:
    """Return the repository's web address, or an empty text."""
    given = os.environ.get("MRALAB_REPOSITORY", "")
    if not given:
        command = ["git", "-C", str(root), "remote", "get-url", "origin"]
        try:
            given = subprocess.run(  # noqa: S603 - git from PATH
                command, capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""
    return web_address(given)


def web_address(remote: str) -> str:
    """Return the web address of a git remote without user names; empty for a local path."""
    parts = re.fullmatch(r"(?:https?://|ssh://)?(?:[^@/]*@)?([\w.-]+\.\w+)(?::\d+)?[:/](.+?)(?:\.git)?/?", remote)
    return f"https://{parts[1]}/{parts[2]}" if parts and not remote.startswith(("/", ".")) else ""


def urls(where: str) -> dict[str, str]:
    """Return the project's URLs."""
    if not where:
        return {}
    return {
        "Homepage": where,
        "Source": where,
        "Documentation": f"{where}/blob/main/docs/README.md",
        "Changelog": f"{where}/blob/main/CHANGELOG.md",
        "Issues": f"{where}/issues",
    }


def absolute(text: str, where: str) -> str:
    """Return Markdown whose relative pictures and links lead to the repository at ``where``."""
    if not where:
        return _LINK.sub(r"\1", _PICTURE.sub("", text))
    text = _PICTURE.sub(lambda found: f"![{found[1]}]({where}/raw/main/{found[2]})\n\n", text)
    return _LINK.sub(lambda found: f"[{found[1]}]({where}/blob/main/{found[2]})", text)
