"""The keys of a scenario file: what differs from the article's lab, and what a login is expected to show.

Every field has a description and an example; docs/scenarios.md is generated from them. ``scenario_checks`` checks what
depends on the lab: names of nodes, recipes, faults and codes.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..core.outcome import Seen
from ..core.release import Preference
from ..errors import InputError
from ..mocks.tomcat import EC_AND_RSA, RSA_ONLY, HttpsCiphers, parse_https_ciphers


def _https_ciphers(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be {RSA_ONLY!r} or {EC_AND_RSA!r}")
    try:
        return parse_https_ciphers(value)
    except InputError as error:
        raise ValueError(error.problems[0]) from None


def _listed(value: object) -> object:
    """Return one word as a list of one."""
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One word, or several."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Table):
    """What a login shows at one release: what the user sees, and the code of the finding at each server that fails."""

    login: Annotated[
        Annotated[tuple[Seen, ...], BeforeValidator(_listed)] | None,
        Field(
            description="What the user sees: `signed in`, `signed in without voicemail`, `signed in without presence`, "
            "`signed in without presence and voicemail`, `configuration missing` (no files from TFTP) or `cannot sign "
            "in`. A list has one for each login. Default: signed in if no server is listed, otherwise any failure.",
            examples=["cannot sign in", ["signed in", "cannot sign in"]],
        ),
    ] = None
    servers: Annotated[
        dict[str, Words],
        Field(
            alias="SERVER:PORT",
            description="Code of the finding at that server and port, or a list of codes. The table lists every server "
            "that fails; an empty table expects no finding.",
            examples=["self-signed"],
        ),
    ] = Field(default_factory=dict)
    discovery: Annotated[
        Literal["green", "failed"],
        Field(
            description="Outcome of discovery, if the scenario has `tls_verify`: `green` (the publisher answered) or "
            "`failed`.",
            examples=["failed"],
        ),
    ] = "green"

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: object) -> object:
        """Collect the keys ``SERVER:PORT`` in one field."""
        if not isinstance(data, dict) or "SERVER:PORT" in data:
            return data
        servers = {key: value for key, value in data.items() if ":" in str(key)}
        return {key: value for key, value in data.items() if key not in servers} | {"SERVER:PORT": servers}


class Expected(Stage):
    """What is expected of a login with X14.2, of one before the upgrade, and of one after the remedy."""

    before: Annotated[
        Stage,
        Field(
            description="What a login shows before the upgrade (X14.0.7). Default: it works.",
            examples=[{"cucm.steven.lab:8443": "not-tls"}],
        ),
    ] = Stage()
    after: Annotated[
        Stage,
        Field(
            description="What a login shows after the remedy. Default: it works.",
            examples=[{"cucm.steven.lab:8443": "name-not-in-certificate"}],
        ),
    ] = Stage()
    diagnosis: Annotated[
        Words,
        Field(
            description="Codes that `mralab diagnose` adds when it compares what the log shows of servers and peers, "
            "beside those listed.",
            examples=["redundancy-lost"],
        ),
    ] = ()
    peers: Annotated[
        Words,
        Field(
            description="Peers of the cluster that the diagnosis must name, and no others. Default: not checked.",
            examples=["vcsc2"],
        ),
    ] = ()
    log_shows: Annotated[
        str,
        Field(
            description="What the log does not show about this defect, in words, if the codes do not identify it.",
            examples=["nothing: with VerifyOriginServer Off the proxy verifies and logs nothing"],
        ),
    ] = ""


class FaultTable(BaseModel):
    """A fault at one port of a node."""

    model_config = ConfigDict(extra="allow", frozen=True)

    at: Annotated[str, Field(description="Node and port.", examples=["cucm:8443"])]
    fault: Annotated[str, Field(description="Class name of the fault (`mralab.fault`).", examples=["NotTls"])]
    times: Annotated[
        int | None,
        Field(strict=True, ge=1, description="Number of connections that it affects. Default: all.", examples=[1]),
    ] = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The fault's own parameters."""
        return dict(self.model_extra or {})


class PeerTable(_Table):
    """A further Expressway-C of the cluster, with a trust store of its own."""

    trust: Annotated[
        tuple[str, ...],
        Field(description="Recipes of the certificates that this peer trusts.", examples=[["tomcat-ECDSA"]]),
    ] = ()


class Scenario(_Table):
    """One failure, as a change of the article's lab."""

    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._\-]+$", description="Name of the scenario.", examples=["x"]),
    ]
    title: Annotated[str, Field(description="The defect in a few words.", examples=["tomcat has expired"])]
    order: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            description="Position in lists; scenarios with the same position are sorted by name.",
            examples=[10],
        ),
    ] = 0
    advertise: Annotated[
        Literal["fqdn", "ip"],
        Field(description="Entries of System > Server on CUCM: host names or addresses.", examples=["ip"]),
    ] = "fqdn"
    https_ciphers: Annotated[
        HttpsCiphers,
        BeforeValidator(_https_ciphers),
        Field(
            description="CUCM's enterprise parameter HTTPS Ciphers, or `rsa` or `all` for short. With the second value "
            "8443 has an ECDSA certificate as well.",
            examples=["All Supported EC and RSA Ciphers"],
        ),
    ] = "RSA Ciphers Only"
    prefer: Annotated[
        Preference | None,
        Field(description="Kind of certificate that X14.2 prefers. Default: the release's, ECDSA.", examples=["rsa"]),
    ] = None
    trust: Annotated[
        tuple[str, ...],
        Field(description="Recipes of the certificates in the trust store.", examples=[["steven-DC-CA", "tomcat"]]),
    ] = ("steven-DC-CA",)
    home: Annotated[
        tuple[str, ...],
        Field(
            description="CUCM nodes to which get_edge_config sends clients: the first login to the first one, each "
            "further login to the next.",
            examples=[["cucm", "cucm-sub"]],
        ),
    ] = ("cucm",)
    down: Annotated[
        tuple[str, ...],
        Field(description="Nodes, or single ports of them, that refuse every connection.", examples=[["cucm:6972"]]),
    ] = ()
    logins: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=16,
            description="Number of logins. Each goes through the next peer of the cluster, and to the next node of "
            "`home`.",
            examples=[2],
        ),
    ] = 1
    requests: Annotated[
        tuple[str, ...],
        Field(
            description="URLs that are requested after the logins, through the first peer.",
            examples=[["https://cucm.steven.lab:6971/SPDefault.cnf.xml"]],
        ),
    ] = ()
    tls_verify: Annotated[
        Literal["On", "Off"] | None,
        Field(
            description="TLS verify mode with which Expressway-C discovers the CUCM publisher before the first logins; "
            "it refreshes the servers before the others. Default: no discovery, and every node has its rules.",
            examples=["On"],
        ),
    ] = None
    rules: Annotated[
        tuple[str, ...] | None,
        Field(
            description="Lines of the allow list's CSV file, without its header, in place of the automatic rules: "
            "Url,Deployment,HttpMethods,MatchType,Description.",
            examples=[["https://cucm.steven.lab:8443/cucm-uds/,,GET,prefix,UDS"]],
        ),
    ] = None
    own_certificate: Annotated[
        str,
        Field(
            description="Recipe of the certificate that Expressway-C presents to servers that request one. Empty: it "
            "has none.",
            examples=["vcsc"],
        ),
    ] = ""
    remedy: Annotated[
        str,
        Field(
            description="`first` (each finding's own first remedy), or the code of a remedy that the findings offer.",
            examples=["verify-origin-off"],
        ),
    ] = "first"
    recipes: Annotated[
        dict[str, dict[str, Any]],
        Field(
            description="Further certificates by name, each a table with the keys of certs/pki.toml. `like` takes the "
            "keys that are not set from another recipe.",
            examples=[{"old": {"like": "tomcat", "days": [-730, -1]}}],
        ),
    ] = Field(default_factory=dict)
    certificates: Annotated[
        dict[str, dict[str, str]],
        Field(
            description="Node -> purpose (`tomcat`, `tomcat-ECDSA`, `CallManager`, `CallManager-ECDSA`) -> recipe of "
            "the certificate that it presents.",
            examples=[{"cucm": {"tomcat": "old"}}],
        ),
    ] = Field(default_factory=dict)
    faults: Annotated[
        tuple[FaultTable, ...],
        Field(
            description="Faults of servers, in the order in which they apply. A fault's own parameters are written "
            "beside these keys.",
            examples=[[{"at": "cucm:8443", "fault": "NotTls"}]],
        ),
    ] = ()
    peers: Annotated[
        dict[str, PeerTable],
        Field(
            description="Further Expressway-C peers of the cluster, by host name. The first one is vcsc: with "
            "`mralab lab --scenario`, it is the one that the control API, the live page and commands operate.",
            examples=[{"vcsc2": {"trust": ["steven-DC-CA"]}}],
        ),
    ] = Field(default_factory=dict)
    expressway: Annotated[
        dict[str, Any],
        Field(
            description="Tables of a configuration (docs/configuration.md), for both releases and every peer.",
            examples=[{"verify": {"origin": "off"}}],
        ),
    ] = Field(default_factory=dict)
    expect: Annotated[
        Expected,
        Field(description="What a login with X14.2 shows.", examples=[{"cucm.steven.lab:6972": "self-signed"}]),
    ]


TABLES: Final[dict[str, type[BaseModel]]] = {
    "expect": Expected,
    "expect.before": Stage,
    "expect.after": Stage,
    "faults": FaultTable,
    "peers": PeerTable,
}
"""The models of tables inside a scenario, by key."""
