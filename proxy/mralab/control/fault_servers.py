"""What can have faults: the nodes of a lab, and fault points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..mocks.listener import Listener
    from ..mocks.pki import Certified


class FaultServers(Protocol):
    """Servers whose ports can have faults: the nodes of a lab, or the fault points."""

    @property
    def form(self) -> str:
        """What ``at`` is for them: ``NODE:PORT of the lab``."""

    @property
    def certificates(self) -> Mapping[str, Certified]:
        """The certificates that ``Present`` may name."""

    def listeners(self) -> Mapping[str, Listener]:
        """Return every port that can have faults, by its ``at``."""

    def find(self, at: str) -> str | None:
        """Return ``at`` as ``listeners`` has it; None if it is not one of these servers.

        Raises ``MralabError`` if the server has no such port.
        """
