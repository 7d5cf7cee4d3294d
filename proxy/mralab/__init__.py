"""mralab: a lab Expressway-C traffic server that verifies, refuses and logs like X14.2.

``Lab`` is the whole lab of the article, ``Proxy`` the proxy alone, before servers of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lab.lab import Lab
    from .net.proxy import Proxy

__all__ = ["Lab", "Proxy"]


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562): ``mralab --help`` needs neither TLS nor HTTP."""
    if name == "Lab":
        from .lab.lab import Lab

        return Lab
    if name == "Proxy":
        from .net.proxy import Proxy

        return Proxy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
