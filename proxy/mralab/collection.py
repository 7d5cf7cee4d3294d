"""When Python collects cyclic garbage: rarely in a command, as usual in a server."""

from __future__ import annotations

import gc
from typing import Final

_USUAL: Final = gc.get_threshold()
_RARE: Final = 20_000
"""New objects before a collection; CPython 3.11 to 3.13 collect after 700 to 2000.

Imports allocate many objects and leave hardly any garbage, so that collections are a fifth of a short command's CPU
time: ``diagnose`` takes 280 ms instead of 350 ms for a small log.
"""


def rarely() -> None:
    """Collect rarely, in a command that ends soon."""
    gc.set_threshold(_RARE)


def as_usual() -> None:
    """Collect as Python does by default, in a server: its garbage may hold connections with their buffers."""
    gc.set_threshold(*_USUAL)
