"""What it ran on: enough to judge figures by, nothing that names the machine or where things lie on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

from .processes import find

_ASKED: Final = {
    "nginx": ("nginx", "-v"),
    "HAProxy": ("haproxy", "-v"),
    "Traffic Server": ("traffic_server", "--version"),
    "wrk": ("wrk", "-v"),
    "h2load": ("h2load", "--version"),
}
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)*")


def describe() -> dict[str, str]:
    """Cores, processor, kernel, and the versions of everything that took part."""
    said = {
        "cores": str(os.cpu_count()),
        "processor": processor(Path("/proc/cpuinfo").read_text("utf-8", "replace")),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "kernel": version(platform.release()),
        "Python": platform.python_version(),
        "OpenSSL of mralab": version(backend.openssl_version_text()),
    }
    for package in ("mralab", "uvloop", "aiohttp", "pyOpenSSL", "cryptography"):
        said[package] = importlib.metadata.version(package)
    for name, (program, option) in _ASKED.items():
        shown = subprocess.run([find(program), option], capture_output=True, text=True, timeout=20, check=False)
        said[name] = version(shown.stdout + shown.stderr)
    return said


def processor(cpuinfo: str) -> str:
    """The model of the first core in /proc/cpuinfo."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else "unknown"


def version(text: str) -> str:
    """The first thing in it that looks like a version; nothing else of it, it may name hosts and folders."""
    found = _VERSION.search(text)
    return found[0] if found else "unknown"
