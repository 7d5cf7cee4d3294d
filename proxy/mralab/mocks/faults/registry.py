"""The base class of faults and the registry of its subclasses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..effect import Effect

if TYPE_CHECKING:
    from ..context import TlsOffer

_by_name: Final[dict[str, type[Fault]]] = {}

REGISTRY: Final[Mapping[str, type[Fault]]] = MappingProxyType(_by_name)
"""Every fault by its public name, which is its class name: ``REGISTRY["Stall"]``. A read-only view that grows."""


class Fault:
    """One thing that a server does wrong: it changes what the server offers, or acts on each connection.

    A subclass is a frozen dataclass of the fault's parameters and overrides ``change_offer``, ``effect`` or both. It
    registers itself in ``REGISTRY`` when it is defined, unless its name starts with an underscore.

    Raises (on subclassing):
        TypeError: a fault of another module already has this name.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        name = cls.__name__
        if name.startswith("_"):
            return
        registered = _by_name.get(name)
        # The same module may define a name again: @dataclass(slots=True) and a reload do so.
        if registered is not None and registered.__module__ != cls.__module__:
            raise TypeError(f"fault {name!r} of {cls.__module__}: {registered.__module__} already has a fault {name!r}")
        _by_name[name] = cls

    @property
    def name(self) -> str:
        """The name in ``REGISTRY`` and in ``Seen.faults``: ``Stall``."""
        return type(self).__name__

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the handshake offer of a server that has this fault.

        Called when the fault is injected, too, so that bad parameters are reported there.

        Raises:
            MralabError: a parameter is invalid, or the fault is not possible with this offer.
        """
        return offer

    def effect(self) -> Effect:
        """Return a new effect, which acts on one connection."""
        return Effect()
