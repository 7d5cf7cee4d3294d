"""The routes of the control API: one ``Operation`` each, for the router, for checks of parameters, and for OpenAPI."""

from __future__ import annotations

import string
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from ..diagnose.ladder_model import Ladder
from ..diagnose.rules import CODES
from . import schemas, schemas_faults, schemas_lab
from .guard import PEM
from .schemas import LARGEST_NUMBER

MOST: Final = 100_000
DEFAULT_MOST: Final = 1000
NAME_CHARACTERS: Final = f"{string.ascii_letters}{string.digits}_.:-"
LONGEST_NAME: Final = 253


class Parameter(NamedTuple):
    """A parameter in the query or in the path."""

    name: str
    kind: Literal["integer", "number", "name"]
    """A ``name`` consists of ``NAME_CHARACTERS``: those of host names, addresses and codes."""
    description: str
    example: Any
    place: Literal["query", "path"] = "query"
    bounds: tuple[int, int] = (0, LARGEST_NUMBER)
    """Smallest and largest number."""
    choices: tuple[str, ...] = ()
    """The only values of a name; empty: any name."""
    default: Any = None
    required: bool = False


class Operation(NamedTuple):
    """One method of one path. ``body`` and ``answer`` are types of the modules ``schemas*``."""

    method: str
    path: str
    name: str
    """Name of the method that serves it, and its operationId."""
    summary: str
    answer: type[BaseModel] | str
    """A type, or the media type of an answer that is not JSON."""
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    """Statuses besides those that every operation has: 400, 403, and 413 and 415 unless it is a GET."""
    parameters: tuple[Parameter, ...] = ()
    status: int = 200
    """Status of the answer."""
    takes_pem: bool = False
    """Whether the body may also be PEM, as ``application/x-pem-file``."""


_MOST: Final = Parameter(
    "most", "integer", "Number of latest entries to return", 100, bounds=(1, MOST), default=DEFAULT_MOST
)
_SINCE: Final = Parameter(
    "since", "number", "Only what happened from this time on, in seconds since the epoch", 1700000000.5
)
_REQUESTS: Final = Parameter(
    "most", "integer", "Number of latest requests to return, from each worker", 50, bounds=(1, 200), default=200
)
_HOST: Final = Parameter(
    "name", "name", "Name or address that clients request", "cucm.steven.lab", place="path", required=True
)
_SERVER: Final = Parameter("server", "name", "Name or address that clients request", "cucm.steven.lab", required=True)
_BECAUSE: Final = Parameter(
    "because", "name", "Code of the finding that must be the reason", "self-signed", choices=tuple(CODES)
)
_PORT: Final = Parameter("port", "integer", "Only requests to this port", 8443, bounds=(1, 65535))
_PURPOSE: Final = Parameter(
    "name", "name", "Purpose, such as tomcat-ECDSA, or name of a CA", "tomcat-ECDSA", place="path", required=True
)
_NODE: Final = Parameter("node", "name", "Node that has it; a CA has none", "cucm", default="cucm")
_RUN: Final = Parameter(
    "run",
    "integer",
    "The run's id, from the answer of POST /api/runs",
    1,
    place="path",
    bounds=(1, LARGEST_NUMBER),
    required=True,
)
_POINT: Final = Parameter(
    "point",
    "integer",
    "The fault point's id, from the answer of POST /api/fault-points",
    1,
    place="path",
    bounds=(1, LARGEST_NUMBER),
    required=True,
)
_CHANGES: Final = (409, 504)


class Group(NamedTuple):
    """Operations on one subject: a tag of the OpenAPI description, and a section of the reference."""

    name: str
    description: str
    paths: tuple[str, ...]
    """The beginnings of their paths: the first two segments of ``/api/hosts/{name}``."""


_NEEDS_LAB: Final = "Without a lab, these requests are answered 409 with the code `no-lab`."

GROUPS: Final = (
    Group("Configuration", "Release, verification and connections to servers, in force from the next request on.",
          ("/api/config", "/api/reset")),
    Group("Trust store", "The CAs and certificates that servers are verified with.", ("/api/trust",)),
    Group("Hosts", "Where servers really are: add your own mock.", ("/api/hosts",)),
    Group("What happened", "Requests, the log, findings, and events as they happen.",
          ("/api/transactions", "/api/findings", "/api/ladder", "/api/judged", "/api/log", "/api/events",
           "/api/journal")),
    Group("Lab", f"Users, nodes, discovery, certificates and logins of a lab. {_NEEDS_LAB} With several Expressway-C"
          " peers, the whole API operates the first one, and each login goes through the next one.",
          ("/api/lab", "/api/certificates", "/api/login")),
    Group("Faults", "Make servers of a lab, or fault points in front of your own mocks, misbehave until the fault is"
          " lifted.", ("/api/faults", "/api/fault-points")),
    Group("Runs", f"Run a named failure in a lab of its own, in the background. {_NEEDS_LAB}",
          ("/api/scenarios", "/api/runs")),
    Group("Diagnostic logging", "Collect an archive as Expressway's diagnostic logging does.",
          ("/api/diagnostic-logging",)),
    Group("Health and description", "For health checks, Prometheus and generators of clients.",
          ("/api/health", "/metrics", "/api/openapi.json")),
)  # fmt: skip


def group_of(operation: Operation) -> Group:
    """Return the group of an operation. Raises ``LookupError`` if ``GROUPS`` has none for its path."""
    beginning = "/".join(operation.path.split("/")[:3])
    for group in GROUPS:
        if beginning in group.paths:
            return group
    raise LookupError(f"{operation.method} {operation.path}: no group in operations.GROUPS has {beginning}")


OPERATIONS: Final = (
    Operation("GET", "/api/health", "health", "Check that the proxy listens and that its processes and mocks answer",
              schemas.HealthAnswer, errors=(503,)),
    Operation("GET", "/api/config", "config", "The configuration in force", schemas.ConfigAnswer),
    Operation("PATCH", "/api/config", "change_config", "Change keys of the configuration from the next request on",
              schemas.ConfigAnswer, schemas.ConfigChange, _CHANGES),
    Operation("GET", "/api/trust", "trust", "The trust store", schemas.TrustAnswer),
    Operation("POST", "/api/trust", "add_trust", "Trust certificates from the next request on",
              schemas.TrustAnswer, schemas.TrustBody, _CHANGES, takes_pem=True),
    Operation("DELETE", "/api/trust", "remove_trust", "Distrust certificates from the next request on",
              schemas.TrustAnswer, schemas.DistrustBody, _CHANGES, takes_pem=True),
    Operation("GET", "/api/hosts", "hosts", "The hosts: where servers really are", schemas.HostsAnswer),
    Operation("GET", "/api/hosts/{name}", "host", "One host", schemas.HostAnswer, errors=(404,), parameters=(_HOST,)),
    Operation("PUT", "/api/hosts/{name}", "put_host", "Add or replace a host from the next request on",
              schemas.HostAnswer, schemas.HostBody, _CHANGES, parameters=(_HOST,)),
    Operation("DELETE", "/api/hosts/{name}", "remove_host", "Remove a host from the next request on",
              schemas.HostsAnswer, errors=(404, 504), parameters=(_HOST,)),
    Operation("GET", "/api/transactions", "transactions", "The latest requests and their outcomes",
              schemas.TransactionsAnswer, parameters=(_MOST,)),
    Operation("GET", "/api/findings", "findings", "The problems found in the log",
              schemas.FindingsAnswer, parameters=(_SINCE,)),
    Operation("GET", "/api/ladder", "ladder", "The latest requests as steps between client, Expressway-C and servers",
              Ladder, parameters=(_SINCE, _REQUESTS)),
    Operation("GET", "/api/judged", "judged", "Whether requests to a server were refused, and why",
              schemas.JudgedAnswer, parameters=(_SERVER, _BECAUSE, _PORT)),
    Operation("GET", "/api/log", "log", "The traffic_server log", schemas.LogAnswer, parameters=(_MOST,)),
    Operation("GET", "/api/events", "events", "Log lines and changes as they happen (server-sent events)",
              "text/event-stream", errors=(503,)),
    Operation("POST", "/api/diagnostic-logging/start", "start_diagnostic_logging",
              "Start a new diagnostic log", schemas.StartAnswer, errors=(504,)),
    Operation("POST", "/api/diagnostic-logging/stop", "stop_diagnostic_logging",
              "Stop the diagnostic log and return its archive", "application/gzip", errors=(409,)),
    Operation("POST", "/api/journal/clear", "clear_journal",
              "Discard the requests, log lines and findings so far", schemas.ClearedAnswer, errors=(504,)),
    Operation("POST", "/api/reset", "reset",
              "Restore the file's configuration; clear the journal and the faults; close the fault points",
              schemas.ConfigAnswer, errors=(504,)),
    Operation("GET", "/api/lab", "lab", "The lab: users, nodes, what CUCM advertises, what was discovered",
              schemas_lab.LabReport, errors=(409,)),
    Operation("PATCH", "/api/lab", "change_lab", "Change System > Server or HTTPS Ciphers of CUCM",
              schemas_lab.LabReport, schemas_lab.LabChange, (409,)),
    Operation("POST", "/api/lab/discover", "discover", "Discover the nodes of a publisher, as Expressway-C does",
              schemas_lab.DiscoveryReport, schemas_lab.DiscoverBody, (409,)),
    Operation("POST", "/api/lab/refresh", "refresh_lab", "Repeat every discovery (Refresh servers)",
              schemas_lab.LabReport, errors=(409,)),
    Operation("GET", "/api/certificates", "certificates", "The certificates of the lab's nodes and its CAs",
              schemas_lab.CertificatesAnswer, errors=(409,)),
    Operation("GET", "/api/certificates/{name}", "certificate", "One certificate in PEM, for POST /api/trust",
              PEM, errors=(404, 409), parameters=(_PURPOSE, _NODE)),
    Operation("GET", "/api/faults", "faults", "The faults in force, and those that can be injected",
              schemas_faults.FaultsReport),
    Operation("POST", "/api/faults", "inject_fault", "Make a node of the lab or a fault point misbehave",
              schemas_faults.FaultReport, schemas_faults.FaultBody, (409,)),
    Operation("DELETE", "/api/faults", "lift_faults", "Lift faults, for open connections too",
              schemas_faults.LiftedAnswer, schemas_faults.LiftBody, (409,)),
    Operation("GET", "/api/fault-points", "fault_points", "The fault points in front of your own mocks",
              schemas_faults.FaultPointsAnswer),
    Operation("POST", "/api/fault-points", "open_fault_point", "Open a fault point in front of a mock of your own",
              schemas_faults.FaultPointReport, schemas_faults.FaultPointBody, (409,), status=201),
    Operation("DELETE", "/api/fault-points/{point}", "close_fault_point",
              "Close a fault point, with its connections and faults",
              schemas_faults.FaultPointsAnswer, errors=(404,), parameters=(_POINT,)),
    Operation("POST", "/api/login", "login", "Log in to the lab as Jabber does, and return what the user sees",
              schemas_lab.LoginReport, schemas_lab.LoginBody, (409, 504)),
    Operation("GET", "/api/scenarios", "scenarios", "The scenarios that can be run", schemas_lab.ScenarioList,
              errors=(409,)),
    Operation("GET", "/api/runs", "runs", "The latest runs of scenarios, oldest first", schemas_lab.RunsAnswer,
              errors=(409,)),
    Operation("POST", "/api/runs", "begin_run", "Run a scenario in a lab of its own, in the background",
              schemas_lab.RunAnswer, schemas_lab.RunBody, (409,), status=202),
    Operation("GET", "/api/runs/{run}", "run", "The state of a run and, once it is done, its result",
              schemas_lab.RunAnswer, errors=(404, 409), parameters=(_RUN,)),
    Operation("GET", "/api/openapi.json", "openapi", "This description", "application/json"),
    Operation("GET", "/metrics", "metrics", "Counters and histograms for Prometheus", "text/plain"),
)  # fmt: skip
