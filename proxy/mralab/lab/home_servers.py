"""The CUCM nodes that Expressway names in get_edge_config: since X14.2 without those that it knows to be bad.

X14.2 release notes, "MRA Login HA failover extended to MRA-HTTP": Expressway asks another node of the home cluster when
one does not answer its own requests (clusterUser, authorize), and leaves known-bad UDS nodes out of get_edge_config.
What it forwards for clients does not fail over. Its own requests are not traffic_server's, so a node whose certificate
traffic_server refuses is not known to be bad.

Emulated, not observed: the order (System > Server; the release notes say at random), a node is bad if it refuses a TCP
connection to 8443, and all nodes are named if all are bad.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from ..config import Config
from ..core.release import has_login_failover
from ..mocks.node import Node

_PORT: Final = 8443
_SECONDS: Final = 2.0


async def home_servers(cluster: Sequence[Node], config: Callable[[], Config]) -> tuple[Node, ...]:
    """Return the nodes to name, the client's own first. ``cluster`` has the preferred node first."""
    if len(cluster) == 1 or not has_login_failover(config().release):
        return tuple(cluster[:1])
    answers = await asyncio.gather(*(_accepts(node, config()) for node in cluster))
    good = tuple(node for node, accepts in zip(cluster, answers, strict=True) if accepts)
    return good or tuple(cluster)


async def _accepts(node: Node, config: Config) -> bool:
    """Return whether a node accepts a connection where the proxy finds it."""
    if node.faults(_PORT):  # a connection would count as one that met the fault
        return True
    location = config.hosts[node.fqdn]
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(location.dial, location.dialled(_PORT))
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
