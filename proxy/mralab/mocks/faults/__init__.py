"""Faults that a mock server injects on demand, one module each; ``mralab.fault`` is their public face.

A new fault is a new module here with a subclass of ``Fault``. Every module of this folder is imported below, and the
subclass registers itself in ``REGISTRY`` under its class name.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .registry import REGISTRY, Fault

__all__ = ["REGISTRY", "Fault"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
