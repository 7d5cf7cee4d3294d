"""Mock CUCM: UDS, AXL and OAuth (8443 and 443), TFTP (6970, 6971, 6972), and 9443 and 9444 (``unpublished``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from . import axl, oauth, tftp, uds, unpublished
from .cluster import Cluster
from .tomcat import RSA_ONLY, TomcatNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .listener import TlsListener
    from .node import Service
    from .node_certificates import Certificates


class Cucm(TomcatNode):
    """One CUCM node; use it in an ``async with`` statement.

    These can be set at any time: ``advertise`` (``"fqdn"`` or ``"ip"``), the entry of System > Server that clients are
    sent to; ``peers``, the other entries of System > Server; ``users`` (name -> password); ``https_ciphers``; ``tls``.

    ``cluster`` is the database of the cluster that the node joins, and then its users count. Its first CUCM is the
    publisher. By default the node is alone in a cluster with ``users``.

    8443 and 443 present tomcat, and tomcat-ECDSA as well with ``https_ciphers = "All Supported EC and RSA Ciphers"``.
    6972 presents tomcat or tomcat-ECDSA and 6971 CallManager or CallManager-ECDSA, with any ``https_ciphers`` (CUCM
    before 15SU2); both send a CertificateRequest. 9443 and 9444 present what 6972 does, without one. If a port has two
    certificates, the client's cipher order decides, in TLS 1.3 its signature algorithms. 6970 is plain HTTP.

    Raises:
        InputError: ``https_ciphers`` is not a value of that parameter.
    """

    def __init__(
        self,
        pki: Certificates,
        users: Mapping[str, str],
        *,
        cluster: Cluster | None = None,
        fqdn: str = "cucm.steven.lab",
        ip: str = "10.48.36.215",
        advertise: Literal["fqdn", "ip"] = "fqdn",
        peers: Sequence[str] = (),
        host: str = "127.0.0.1",
        https_ciphers: str = RSA_ONLY,
        tls: Sequence[str] = ("1.2",),
    ) -> None:
        self.advertise = advertise
        self.peers: Sequence[str] = tuple(peers)
        self.cluster = cluster or Cluster(users)
        routes = (uds.routes, axl.routes, oauth.routes)
        services: tuple[Service[Cucm], ...] = (*tftp.SERVICES, *unpublished.CUCM_SERVICES)
        super().__init__(pki, routes, services, fqdn=fqdn, ip=ip, host=host, https_ciphers=https_ciphers, tls=tls)
        self.cluster.join(self, "CUCM Voice/Video")

    @property
    def users(self) -> Mapping[str, str]:
        """The cluster's end users: name -> password."""
        return self.cluster.users

    @users.setter
    def users(self, users: Mapping[str, str]) -> None:
        self.cluster.users = users

    @property
    def address(self) -> str:
        """Entry of System > Server: the name or address that clients are sent to."""
        return self.fqdn if self.advertise == "fqdn" else self.ip

    @property
    def uds(self) -> TlsListener:
        """Listener that plays 8443."""
        return self.listener(uds.PORT)

    @property
    def tftp(self) -> TlsListener:
        """Listener that plays 6972."""
        return self.listener(tftp.TOMCAT_PORT)

    @property
    def uds_port(self) -> int:
        """Port that plays 8443."""
        return self.uds.port

    @property
    def tftp_port(self) -> int:
        """Port that plays 6972."""
        return self.tftp.port
