"""Mock CUCM: a node with UDS, AXL and OAuth (8443 and 443) and TFTP (6970, 6971 and 6972)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from ..core.nearest import did_you_mean
from ..errors import InputError
from . import axl, tftp, uds
from .application import TOMCAT_PORTS, tomcat
from .cluster import Cluster
from .node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .listener import TlsListener
    from .node_certificates import Certificates

HttpsCiphers = Literal["RSA Ciphers Only", "All Supported EC and RSA Ciphers"]
"""Values of the enterprise parameter "HTTPS Ciphers"; the first is CUCM's default."""
RSA_ONLY, EC_AND_RSA = get_args(HttpsCiphers)
_HTTPS_CIPHERS: Final[dict[str, HttpsCiphers]] = {
    RSA_ONLY.lower(): "RSA Ciphers Only",
    EC_AND_RSA.lower(): "All Supported EC and RSA Ciphers",
    "rsa": "RSA Ciphers Only",
    "all": "All Supported EC and RSA Ciphers",
}


class Cucm(Node):
    """One CUCM node; use it in an ``async with`` statement.

    These can be set at any time: ``advertise`` (``"fqdn"`` or ``"ip"``), the entry of System > Server that clients are
    sent to; ``peers``, the other entries of System > Server; ``users`` (name -> password); ``https_ciphers``; ``tls``.

    ``cluster`` is the database of the cluster that the node joins, and then its users count. Its first CUCM is the
    publisher. By default the node is alone in a cluster with ``users``.

    8443 and 443 present tomcat, and tomcat-ECDSA as well with ``https_ciphers = "All Supported EC and RSA Ciphers"``.
    6972 presents tomcat or tomcat-ECDSA and 6971 CallManager or CallManager-ECDSA, with any ``https_ciphers`` (CUCM
    before 15SU2); both send a CertificateRequest. If a port has two certificates, the client's cipher order decides, in
    TLS 1.3 its signature algorithms. 6970 is plain HTTP.

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
        self.cluster.join(self, "CUCM Voice/Video")
        self._https_ciphers = parse_https_ciphers(https_ciphers)
        https = (replace(service, certificates=self._uds_certificates()) for service in tomcat(uds.routes, axl.routes))
        authorities = pki.authorities
        super().__init__(pki, (*https, *tftp.SERVICES), authorities=authorities, fqdn=fqdn, ip=ip, host=host, tls=tls)

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

    @property
    def https_ciphers(self) -> HttpsCiphers:
        """Enterprise parameter "HTTPS Ciphers"; setting it changes the certificates of 8443 and 443.

        Accepts CUCM's values in any case, and ``"rsa"`` and ``"all"`` for short. Raises ``InputError`` for others.
        """
        return self._https_ciphers

    @https_ciphers.setter
    def https_ciphers(self, value: str) -> None:
        self._https_ciphers = parse_https_ciphers(value)
        for port in TOMCAT_PORTS:
            self.serve(port, *self._uds_certificates())

    def _uds_certificates(self) -> tuple[str, ...]:
        return ("tomcat",) if self._https_ciphers == RSA_ONLY else ("tomcat", "tomcat-ECDSA")


def parse_https_ciphers(value: str) -> HttpsCiphers:
    """Return the value of "HTTPS Ciphers" for ``value``. Raises ``InputError`` if there is none."""
    known = _HTTPS_CIPHERS.get(value.strip().lower())
    if known is None:
        near = did_you_mean(value, get_args(HttpsCiphers))
        raise InputError([f"HTTPS Ciphers: {value!r} is neither {RSA_ONLY!r} nor {EC_AND_RSA!r}{near}"])
    return known
