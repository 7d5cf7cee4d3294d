"""Expressway's own requests to the nodes of the home cluster, and what it makes of nodes that do not answer them.

X14.2 release notes, "MRA Login HA failover extended to MRA-HTTP": clusterUser and authorize, which end on Expressway,
go on to another node of the cluster, and UDS nodes that are known to be bad are left out of get_edge_config. What it
forwards for clients does not fail over, and a client has no other UDS server either (MRA Deployment Guide X15.0).

These requests are not traffic_server's: a node whose certificate traffic_server refuses is not known to be bad.

Emulated, not observed: every node of the cluster is asked at once for clusterUser, without verification, at each login
(when Expressway forgets a bad node is not public); a node is bad unless it answers 200 within five seconds; the order
is System > Server (the release notes say at random); get_edge_config names all nodes if all are bad.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from ..config import Config
from ..core.hostport import host_port
from ..core.release import has_login_failover
from ..mocks.node import Node

_PORT: Final = 8443
_SECONDS: Final = 5.0


class HomeCluster:
    """The nodes of the home cluster as Expressway sees them.

    ``nodes`` returns them, the one that the user belongs to first. ``config`` returns the configuration in force.
    """

    def __init__(self, nodes: Callable[[], Sequence[Node]], config: Callable[[], Config]) -> None:
        self._nodes = nodes
        self._config = config

    async def servers(self, user: str) -> tuple[Node, ...]:
        """Return the nodes to name in get_edge_config, the client's own first."""
        nodes = self._nodes()
        if len(nodes) == 1 or not self._fails_over:
            return tuple(nodes[:1])
        return await self._good(nodes, user) or tuple(nodes)

    async def answers(self, user: str) -> bool:
        """Return whether a node answers a request that ends on Expressway: since X14.2 any, before the user's own."""
        nodes = self._nodes()
        return bool(await self._good(nodes if self._fails_over else nodes[:1], user))

    @property
    def _fails_over(self) -> bool:
        return has_login_failover(self._config().release)

    async def _good(self, nodes: Sequence[Node], user: str) -> tuple[Node, ...]:
        answers = await asyncio.gather(*(self._knows(node, user) for node in nodes))
        return tuple(node for node, answered in zip(nodes, answers, strict=True) if answered)

    async def _knows(self, node: Node, user: str) -> bool:
        """Return whether a node answers clusterUser, where the proxy finds it."""
        location = self._config().hosts[node.fqdn]
        place = host_port(location.dial or location.ip, location.dialled(_PORT))
        url = URL(f"https://{place}/cucm-uds/clusterUser?username={quote(user, safe='')}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(url, ssl=False, allow_redirects=False) as response,
            ):
                await response.read()
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
