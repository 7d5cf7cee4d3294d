"""Faults on demand: what a server does wrong, for N connections or until it is lifted.

``with lab.cucm.inject(Stall()): ...`` or, before a mock that is not ours, ``point.inject(Expire(), times=2)``. A fault
is a small record that says what is wrong; what it does to one connection is its ``Effect``. Faults that are in force at
the same time add up.
"""

from __future__ import annotations

import asyncio
import http
import ssl
import threading
import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from mralab.errors import MralabError, did_you_mean
from mralab.mocks.effect import Effect
from mralab.mocks.recipes import Presentable, certified, expired

if TYPE_CHECKING:
    from types import TracebackType

    from mralab.mocks.context import Offer

_RECORD_HEADER: Final = 5
_HANDSHAKE: Final = 22
_CERTIFICATE: Final = 11
_FATAL: Final = 2
_MOST_HELD: Final = 65536
_HEAD_END: Final = b"\r\n\r\n"

ALERTS: Final = {
    description.name.removeprefix("ALERT_DESCRIPTION_").lower(): int(description)
    for description in ssl.AlertDescription
}
"""TLS alerts by the names of RFC 8446 6: ``"handshake_failure"``, ``"unknown_ca"``."""


class Fault:
    """One thing that a server does wrong. What a fault leaves alone stays as it is."""

    @property
    def name(self) -> str:
        """What it is called: ``Stall``."""
        return type(self).__name__

    def _offer(self, offer: Offer) -> Offer:
        """What the server then offers in the handshake."""
        return offer

    def _effect(self) -> Effect:
        """What it does to one connection."""
        return Effect()


# ---------------------------------------------------------------- in what the server shows


@dataclass(frozen=True)
class Present(Fault):
    """Show another certificate: our ``Certified``, a trustme ``LeafCert``, PEM with its key (see ``certified``)."""

    certificate: Presentable

    def _offer(self, offer: Offer) -> Offer:
        return replace(offer, certified=(certified(self.certificate),))


@dataclass(frozen=True)
class DropIntermediates(Fault):
    """Send the certificate alone, none of its issuers."""

    def _offer(self, offer: Offer) -> Offer:
        alone = tuple(replace(each, chain=()) for each in offer.certified)
        # OpenSSL completes a lone certificate from the CAs that it asks clients for; roots are no help to it there.
        roots = tuple(each for each in offer.ask_client if not each.chain)
        return replace(offer, certified=alone, ask_client=roots)


@dataclass(frozen=True)
class Expire(Fault):
    """Show the same certificate, signed anew with dates that ended ``days`` ago. Needs its issuer's key."""

    days: float = 1.0

    def _offer(self, offer: Offer) -> Offer:
        return replace(offer, certified=tuple(expired(each, self.days) for each in offer.certified))


@dataclass(frozen=True)
class WrongVersion(Fault):
    """Speak no TLS version but this one: ``"1.2"`` or ``"1.3"``. Others get OpenSSL's protocol_version alert."""

    only: str = "1.3"

    def _offer(self, offer: Offer) -> Offer:
        if self.only not in ("1.2", "1.3"):
            raise MralabError(f"WrongVersion: {self.only!r} is neither '1.2' nor '1.3'")
        return replace(offer, tls=(self.only,))


# ---------------------------------------------------------------- on the wire


@dataclass(frozen=True)
class Stall(Fault):
    """Take the ClientHello and say nothing, for ``seconds`` or until the client goes or the fault is lifted."""

    seconds: float | None = None

    def _effect(self) -> Effect:
        return _Stall(self.seconds)


class _Stall(Effect):
    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._held = bytearray()
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def received(self, data: bytes) -> bytes:
        if self._over:
            return data
        if not self._held and self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.lift)
        self._held += data
        if len(self._held) > _MOST_HELD:
            self.link.wire.abort()
        return b""

    def lift(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        self.end()
        if held:
            self.link.feed(held)

    def end(self) -> None:
        self._over = True
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()


class _Instead(Effect):
    """Answers the first bytes with ``data`` and closes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._said = False

    def received(self, data: bytes) -> bytes:
        if not self._said:
            self._said = True
            self.link.wire.write(self._data)
            self.link.wire.finish()
        return b""


@dataclass(frozen=True)
class SendAlert(Fault):
    """Answer the ClientHello with a fatal alert, by its name or number (``ALERTS``)."""

    alert: str | int = "handshake_failure"

    @property
    def number(self) -> int:
        """The alert's number. Raises ``MralabError`` where there is none."""
        number = self.alert if isinstance(self.alert, int) else ALERTS.get(self.alert.lower(), -1)
        if not 0 <= number <= 255:
            near = did_you_mean(str(self.alert), ALERTS)
            raise MralabError(f"SendAlert: {self.alert!r} is no TLS alert{near}")
        return number

    def _offer(self, offer: Offer) -> Offer:
        assert self.number >= 0  # noqa: S101 - a wrong name is told when the fault is injected
        return offer

    def _effect(self) -> Effect:
        return _Instead(bytes((21, 3, 3, 0, 2, _FATAL, self.number)))


@dataclass(frozen=True)
class NotTls(Fault):
    """Answer the ClientHello in plain text, as a server that has no TLS on that port."""

    data: bytes = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"

    def _effect(self) -> Effect:
        return _Instead(self.data)


@dataclass(frozen=True)
class ResetAfterCertificate(Fault):
    """Send ServerHello and Certificate, then reset. TLS 1.3, which encrypts them: after the whole first flight."""

    def _effect(self) -> Effect:
        return _ResetAfterCertificate()


class _ResetAfterCertificate(Effect):
    def __init__(self) -> None:
        self._done = False

    def sent(self, data: bytes) -> bytes:
        if self._done:
            return b""
        self._done = True
        asyncio.get_running_loop().call_soon(self.link.wire.reset)
        return data[: _after_certificate(data)]


def _after_certificate(flight: bytes) -> int:
    """Where the record with the Certificate message ends in a server's flight; its whole length if there is none."""
    start = 0
    while start + _RECORD_HEADER < len(flight):
        end = start + _RECORD_HEADER + int.from_bytes(flight[start + 3 : start + _RECORD_HEADER], "big")
        if flight[start] == _HANDSHAKE and flight[start + _RECORD_HEADER] == _CERTIFICATE:
            return end
        start = end
    return len(flight)


@dataclass(frozen=True)
class Slow(Fault):
    """Send everything ``size`` bytes at a time, every ``every`` seconds."""

    size: int = 16
    every: float = 0.01

    def _offer(self, offer: Offer) -> Offer:
        if self.size < 1 or not 0 < self.every < float("inf"):
            raise MralabError(f"Slow: {self.size} bytes every {self.every} seconds is no pace")
        return offer

    def _effect(self) -> Effect:
        return _Slow(self.size, self.every)


class _Slow(Effect):
    def __init__(self, size: int, every: float) -> None:
        self._size, self._every = size, every
        self._begun = False

    def sent(self, data: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            self.link.wire.pace(self._size, self._every)
        return data

    def lift(self) -> None:
        self._begun = True
        self.link.wire.pace(0, 0)


# ---------------------------------------------------------------- in the answer


@dataclass(frozen=True)
class Truncate(Fault):
    """Send the first ``after`` bytes of the answer, head included, then close without close_notify."""

    after: int = 100

    def _offer(self, offer: Offer) -> Offer:
        if self.after < 0:
            raise MralabError(f"Truncate: after = {self.after}: must be 0 bytes or more")
        return offer

    def _effect(self) -> Effect:
        return _Truncate(self.after)


class _Truncate(Effect):
    def __init__(self, after: int) -> None:
        self._left = after

    def answer(self, data: bytes) -> bytes:
        kept = data[: self._left]
        self._left -= len(kept)
        if not self._left:
            asyncio.get_running_loop().call_soon(self.link.wire.close)
        return kept


@dataclass(frozen=True)
class Answer(Fault):
    """Answer the request with a status, whatever the server would have said: ``Answer(503)``."""

    status: int = 503
    reason: str = ""

    def _offer(self, offer: Offer) -> Offer:
        if not 200 <= self.status <= 599:
            raise MralabError(f"Answer: {self.status} is no final status of HTTP (200 to 599)")
        return offer

    def _effect(self) -> Effect:
        known = {status.value: status.phrase for status in http.HTTPStatus}
        reason = self.reason or known.get(self.status, "")
        head = f"HTTP/1.1 {self.status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return _Answer(head.encode("latin-1"))


class _Answer(Effect):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._head = b""
        self._said = False

    def request(self, data: bytes) -> bytes:
        self._head = (self._head + data)[-_MOST_HELD:]
        if not self._said and _HEAD_END in self._head:
            self._said = True
            self.link.say(self._data)
        return b""


# ---------------------------------------------------------------- in force


@dataclass(eq=False)
class Armed:
    """A fault in force. ``with`` it, or ``lift`` it; after its ``times`` it is over by itself."""

    fault: Fault
    times: int | None = None
    """How many connections are to meet it; None: all."""
    met: int = 0
    """How many have."""
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
        """No further connection meets it."""
        return self.lifted or (self.times is not None and self.met >= self.times)

    def lift(self) -> None:
        """End it, also for connections that it holds. From any thread."""
        self.lifted = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        for effect in tuple(self._alive):
            effect.lift()

    def offer(self, offer: Offer) -> Offer:
        """What a connection that meets it is offered in the handshake."""
        return self.fault._offer(offer)

    def effect(self) -> Effect:
        """What a connection that meets it has to bear."""
        self._loop = asyncio.get_running_loop()
        effect = Effect() if self.lifted else self.fault._effect()  # lifted since the connection was accepted
        self._alive.add(effect)
        return effect


class Faults:
    """The faults in force at one listener. Tests arm them from their thread, connections meet them in the loop's."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault, offer: Offer, times: int | None) -> Armed:
        """Put a fault in force. Raises ``MralabError`` where it and ``offer`` do not go together."""
        if times is not None and times < 1:
            raise MralabError(f"{fault.name}: times = {times}: must be 1 or more, or None for 'until lifted'")
        fault._offer(offer)
        armed = Armed(fault, times)
        with self._lock:
            self._armed.append(armed)
        return armed

    def next(self) -> list[Armed]:
        """The faults that the next connection meets, in the order in which they were armed."""
        with self._lock:
            self._armed = [armed for armed in self._armed if not armed.over]
            for armed in self._armed:
                armed.met += 1
            return list(self._armed)

    def lift(self) -> None:
        """Lift them all."""
        with self._lock:
            armed, self._armed = self._armed, []
        for each in armed:
            each.lift()
