"""Description of the machine for a results file: hardware and versions, without host names or paths."""

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

_VERSION_COMMANDS: Final = {
    "nginx": ("nginx", "-v"),
    "HAProxy": ("haproxy", "-v"),
    "Traffic Server": ("traffic_server", "--version"),
    "wrk": ("wrk", "-v"),
    "h2load": ("h2load", "--version"),
}
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)*")


def describe() -> dict[str, str]:
    """Return cores, processor, memory, kernel, and the versions of all programs and packages that take part."""
    machine = {
        "cores": str(os.cpu_count()),
        "processor": processor(Path("/proc/cpuinfo").read_text("utf-8", "replace")),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "kernel": version(platform.release()),
        "Python": platform.python_version(),
        "OpenSSL of mralab": version(backend.openssl_version_text()),
    }
    for package in ("mralab", "uvloop", "aiohttp", "pyOpenSSL", "cryptography"):
        machine[package] = importlib.metadata.version(package)
    for name, (program, option) in _VERSION_COMMANDS.items():
        shown = subprocess.run([find(program), option], capture_output=True, text=True, timeout=20, check=False)
        machine[name] = version(shown.stdout + shown.stderr)
    return machine


def processor(cpuinfo: str) -> str:
    """Return the model of the first core in /proc/cpuinfo."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else "unknown"


def version(text: str) -> str:
    """Return the first version number in a text; the rest may contain host names and paths."""
    found = _VERSION.search(text)
    return found[0] if found else "unknown"
