"""mralab: a lab Expressway-C traffic server that verifies, refuses and logs like X14.2.

``Lab`` is the whole lab of the article. ``Proxy`` is the proxy alone, for servers of your own. ``FaultPoint`` goes
between the two and breaks TLS on demand, as the records in ``fault`` describe. Every error that mralab raises on
purpose is a ``MralabError``. ``__all__`` is the public API, together with what README's section "Stability" names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .errors import ConfigError, InputError, ListenError, MralabError, TrustStoreError

if TYPE_CHECKING:
    from . import fault
    from .diagnose.assertions import UnknownCodeError
    from .harness.fault_point import FaultPoint
    from .harness.proxy import Proxy
    from .lab.lab import Lab

    __version__: str

__all__ = [
    "ConfigError",
    "FaultPoint",
    "InputError",
    "Lab",
    "ListenError",
    "MralabError",
    "Proxy",
    "TrustStoreError",
    "UnknownCodeError",
    "__version__",
    "fault",
]

_MODULES: Final = {
    "FaultPoint": "harness.fault_point",
    "Lab": "lab.lab",
    "Proxy": "harness.proxy",
    "UnknownCodeError": "diagnose.assertions",
}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562), so that ``mralab --help`` does not import TLS and HTTP."""
    if name == "__version__":
        from importlib.metadata import version

        return version("mralab")
    if name == "fault":
        return import_module("mralab.fault")
    if name in _MODULES:
        return getattr(import_module(f"mralab.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
