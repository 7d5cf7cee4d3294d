"""mralab: a lab Expressway-C traffic server that verifies, refuses and logs like X14.2.

``Lab`` is the whole lab of the article. ``Proxy`` is the proxy alone, for servers of your own. ``FaultPoint`` goes
between the two and breaks TLS on demand, as the records in ``fault`` describe.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from . import fault
    from .harness.fault_point import FaultPoint
    from .harness.proxy import Proxy
    from .lab.lab import Lab

__all__ = ["FaultPoint", "Lab", "Proxy", "fault"]

_MODULES: Final = {"FaultPoint": "harness.fault_point", "Lab": "lab.lab", "Proxy": "harness.proxy"}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562), so that ``mralab --help`` does not import TLS and HTTP."""
    if name == "fault":
        return import_module("mralab.fault")
    if name in _MODULES:
        return getattr(import_module(f"mralab.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
