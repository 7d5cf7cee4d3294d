"""Faults in force: for how many connections, and until when."""

from __future__ import annotations

import asyncio
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ...errors import MralabError
from ..effect import Effect
from .registry import Fault

if TYPE_CHECKING:
    from types import TracebackType

    from ..context import TlsOffer


@dataclass(eq=False)
class Armed:
    """A fault in force. Use it in a ``with`` statement or call ``lift``; it ends by itself after ``times``."""

    fault: Fault
    times: int | None = None
    """Number of connections that meet it; None: all."""
    met: int = 0
    """Number of connections that have met it."""
    lifted: bool = False
    _alive: weakref.WeakSet[Effect] = field(default_factory=weakref.WeakSet, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lift()

    @property
    def over(self) -> bool:
        """Whether no further connection meets it."""
        return self.lifted or (self.times is not None and self.met >= self.times)

    def lift(self) -> None:
        """End the fault, for open connections too. May be called from any thread."""
        self.lifted = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lift_effects)

    def _lift_effects(self) -> None:
        for effect in tuple(self._alive):
            effect.lift()

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the handshake offer for a connection that meets the fault."""
        return self.fault.change_offer(offer)

    def effect(self) -> Effect:
        """Return the effect for a connection that meets the fault. Call it in the connection's loop."""
        self._loop = asyncio.get_running_loop()
        # The fault may have been lifted since the connection was accepted.
        effect = Effect() if self.lifted else self.fault.effect()
        self._alive.add(effect)
        return effect


class Faults:
    """The faults in force at one listener. Tests arm them in their thread, connections meet them in the loop's."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault, offer: TlsOffer, times: int | None) -> Armed:
        """Put a fault in force.

        Raises ``MralabError`` if ``times`` is invalid, or if it is not possible with ``offer``, or with a fault that is
        in force: the certificate of a ``Present`` may have an unknown issuer.
        """
        if times is not None and times < 1:
            raise MralabError(f"{fault.name}: times = {times}: must be 1 or more, or None for 'until lifted'")
        for changed in (offer, *(each.change_offer(offer) for each in self.in_force)):
            fault.change_offer(changed)
        armed = Armed(fault, times)
        with self._lock:
            self._armed.append(armed)
        return armed

    def next(self) -> list[Armed]:
        """Return the faults that the next connection meets, in the order in which they were armed, and count it."""
        with self._lock:
            self._armed = [armed for armed in self._armed if not armed.over]
            for armed in self._armed:
                armed.met += 1
            return list(self._armed)

    @property
    def in_force(self) -> tuple[Fault, ...]:
        """The faults that the next connection meets, in the order in which they were armed."""
        return tuple(armed.fault for armed in self.armed)

    @property
    def armed(self) -> tuple[Armed, ...]:
        """The same, each with its state."""
        with self._lock:
            return tuple(armed for armed in self._armed if not armed.over)

    def lift(self) -> None:
        """Lift every fault."""
        with self._lock:
            armed, self._armed = self._armed, []
        for each in armed:
            each.lift()
