"""mralab: a lab Expressway-C traffic server that verifies, refuses and logs like X14.2.

``Lab`` is the whole lab of the article, ``Proxy`` the proxy alone, before servers of your own, ``FaultPoint`` what goes
between the two to break TLS on demand, by the records in ``fault``.
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

_HOMES: Final = {"FaultPoint": "harness.fault_point", "Lab": "lab.lab", "Proxy": "harness.proxy"}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562): ``mralab --help`` needs neither TLS nor HTTP."""
    if name == "fault":
        return import_module("mralab.fault")
    if name in _HOMES:
        return getattr(import_module(f"mralab.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
