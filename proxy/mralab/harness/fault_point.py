"""A fault point: terminates TLS in front of another mock, relays the bytes, and injects faults.

``with FaultPoint(dial=("127.0.0.1", 41021), certificate=leaf) as point: point.inject(Stall())``; the proxy then dials
``point.address`` instead of the mock. ``async with`` runs it in the current loop, ``with`` in its own thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ..mocks.faults.armed import Armed
from ..mocks.faults.registry import Fault
from ..mocks.recipes import Authority, Presentable, certified
from ..mocks.relay import Relay
from .sync_facade import LoopOrThread

if TYPE_CHECKING:
    from ..mocks.connection import Seen
    from ..mocks.pki import Certified


class FaultPoint(LoopOrThread):
    """Present ``certificate``, and relay decrypted bytes to ``dial`` (host and port) and back.

    ``certificate`` is our ``Certified``, a trustme ``LeafCert``, or PEM with its key. ``issuer`` is the CA that signed
    it, for faults that sign it again. With ``tls`` the connection to the mock uses TLS and accepts any certificate;
    without, it is plain text. ``versions`` are the TLS versions offered to clients.

    Raises (on entering):
        ListenError: listening on the address fails.
    """

    def __init__(
        self,
        dial: tuple[str, int],
        certificate: Presentable,
        *,
        issuer: Authority | Certified | None = None,
        tls: bool = True,
        versions: tuple[str, ...] = ("1.2",),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.certificate = certified(certificate, issuer)
        self._relay = Relay(dial, self.certificate, tls=tls, versions=versions, host=host, port=port)

    async def _start(self) -> None:
        await self._relay.__aenter__()

    async def _stop(self) -> None:
        """Stop, and close the connections on both sides."""
        await self._relay.__aexit__(None, None, None)

    def __enter__(self) -> Self:
        """Start listening in a new thread."""
        self._start_in_thread("mralab-fault-point")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on, for the proxy to dial."""
        return self._relay.address

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._relay.listener.port

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Records of the latest connections, oldest first: SNI, alert, faults met."""
        return self._relay.listener.seen

    def inject(self, fault: Fault, times: int | None = None) -> Armed:
        """Inject a fault into the next ``times`` connections, or into all until it is lifted. Faults add up.

        Raises:
            MralabError: the fault is not possible here, such as an expired certificate without its issuer.
        """
        return self._relay.listener.inject(fault, times)

    def lift_faults(self) -> None:
        """Lift every fault."""
        self._relay.listener.lift_faults()
