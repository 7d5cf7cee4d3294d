"""The tables of the configuration: each field declares a key, with its type, default and ``Key``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.release import ATTEMPTS, Preference
from ..core.tls.verdict import Wording
from .keys import Key
from .values import (
    Address,
    AdminAddress,
    Ciphers,
    File,
    HostWithPort,
    IpText,
    OriginMode,
    PathText,
    Port,
    Seconds,
    Token,
)


class Table(BaseModel):
    """Base class of the tables: an unknown key and a value of another type are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_serialization_defaults_required=True
    )


class ProxyTable(Table):
    """``[proxy]``: the proxy's addresses and processes."""

    listen: Annotated[
        Address,
        Key("Address and port on which the proxy listens. Port 0: any free port.", "start", "127.0.0.1:0"),
    ] = "127.0.0.1:8443"
    admin: Annotated[
        AdminAddress,
        Key(
            "Address and port of the control API, on loopback unless `admin_token` is set. Port 0: any free port."
            " Empty: no control API.",
            "start",
            "",
        ),
    ] = "127.0.0.1:0"
    admin_token: Annotated[
        Token,
        Key(
            "Secret that requests to the control API need if they come from another machine or container, as"
            " `Authorization: Bearer TOKEN`; 16 characters or more. Requests from this machine do not need it. Empty:"
            " `admin` must be on loopback.",
            "start",
            "an-example-that-is-public",
        ),
    ] = ""
    workers: Annotated[
        int,
        Field(ge=1, le=64),
        Key("Number of processes that serve the port.", "start", 2, refused_by_lab="a lab runs in one process"),
    ] = 1
    control_host: Annotated[
        HostWithPort,
        Key(
            "Expressway-C's own name and port: the authority in an absolute-form request, and the one that the log adds"
            " to an origin-form request.",
            "reload",
            "vcs_control.example.test:8443",
        ),
    ] = "vcs_control.steven.lab:8443"


class VerifyTable(Table):
    """``[verify]``: how servers are verified."""

    origin: Annotated[
        OriginMode,
        Key(
            "Verification of servers. `on` refuses a faulty certificate, `audit` only logs it, `off` does neither. The"
            " words of Cisco and Traffic Server are accepted in any case: On, Off, ENFORCED, DISABLED, PERMISSIVE."
            " Default: the release's.",
            "live",
            "audit",
        ),
    ] = None
    ip_san: Annotated[
        Literal["accept", "ignore"],
        Key(
            "Whether an iPAddress SAN matches a server that is requested by address: `accept`, as Cisco documents, or"
            " `ignore`, as stock Traffic Server does.",
            "live",
            "ignore",
        ),
    ] = "accept"
    openssl: Annotated[
        Wording,
        Key("OpenSSL version whose error texts and codes the log has.", "live", "3"),
    ] = "1.1.1"


class TrustTable(Table):
    """``[trust]``: the trust store."""

    store: Annotated[
        PathText,
        Key(
            "PEM file, or folder of PEM files, with the trusted CAs. It must exist if it is set. Empty: trust no CA.",
            "reload",
            "ca.pem",
        ),
    ] = "trust/"


class UpstreamTable(Table):
    """``[upstream]``: connections to servers. Times are in seconds."""

    connections: Annotated[
        Literal["per-request", "keep-alive"],
        Key("Whether each request gets a new connection, or connections are kept and reused.", "live", "keep-alive"),
    ] = "per-request"
    attempts: Annotated[
        int,
        Field(ge=1, le=16),
        Key("Maximum number of connection attempts for one request.", "live", 3),
    ] = ATTEMPTS
    prefer: Annotated[
        Preference | None,
        Key(
            "Kind of server certificate that is preferred. It orders the cipher suites (TLS 1.2 and older) and the"
            " signature algorithms (TLS 1.3). Default: the release's.",
            "live",
            "rsa",
        ),
    ] = None
    ciphers: Annotated[
        Ciphers,
        Key(
            "OpenSSL cipher string, for TLS 1.2 and older. With `prefer`, the ciphers of the other kind move to its"
            " end. Empty: the release's ciphers.",
            "live",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
    ] = ""
    tls: Annotated[
        Annotated[list[Literal["1.0", "1.1", "1.2", "1.3"]], Field(min_length=1, max_length=4)] | None,
        Key("TLS versions offered. Default: the release's.", "live", ["1.2", "1.3"]),
    ] = None
    certificate: Annotated[
        File,
        Key(
            "PEM file with Expressway-C's own certificate, its chain after it, and its private key. It is presented to"
            " servers that request a certificate. Empty: no certificate.",
            "live",
            "own.pem",
        ),
    ] = ""
    key: Annotated[
        File,
        Key("PEM file with the private key, if it is not in the file of `certificate`.", "live", "own.key"),
    ] = ""
    connect_timeout: Annotated[
        Seconds,
        Key("Limit for TCP connection and TLS handshake together.", "live", 7.0),
    ] = 30.0
    response_timeout: Annotated[
        Seconds,
        Key("Limit for the first byte of a response, and between two reads of it.", "live", 8.0),
    ] = 30.0


class LimitsTable(Table):
    """``[limits]``: what one client, and all clients together, may use. Times are in seconds."""

    header_bytes: Annotated[
        int,
        Field(ge=1024, le=16 << 20),
        Key(
            "Size of a request head (above it: 400) and of a response head (above it: 502). Traffic Server:"
            " request_header_max_size, response_header_max_size.",
            "reload",
            2048,
        ),
    ] = 131072
    connections: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Key(
            "Maximum number of client connections of all workers together; further clients wait in the backlog. It is"
            " lower if the process has fewer than two file descriptors for each.",
            "reload",
            77,
        ),
    ] = 10_000
    idle_timeout: Annotated[
        Seconds,
        Key(
            "Time between two requests, after which the connection is closed. A body that moves by less than 1 KB in"
            " this time is answered 408, or reset if the response has begun.",
            "reload",
            9.0,
        ),
    ] = 120.0
    header_timeout: Annotated[
        Seconds,
        Key("Time for a whole request head; an incomplete one is answered 408.", "reload", 11.0),
    ] = 30.0


class HostEntry(Table):
    """One host of ``[hosts]``. ``ip``, ``dial`` or ports must be set; ports need an address to connect to."""

    ip: Annotated[
        IpText,
        Key("IP address shown in the log, and connected to if `dial` is not set.", "reload", "10.48.36.215"),
    ] = ""
    dial: Annotated[
        IpText,
        Key("IP address to connect to.", "reload", "127.0.0.1"),
    ] = ""
    ports: Annotated[
        dict[Port, Port],
        Key("Requested port -> port to connect to.", "reload", {8443: 41021}),
    ] = Field(default_factory=dict)
    port: Annotated[
        Port | None,
        Key(
            "Port to connect to for every port that `ports` does not list. Default: the requested one.", "reload", 8443
        ),
    ] = None
    node: Annotated[
        Literal["cucm", "imp", "unity", "none"],
        Key(
            "Kind of node, which decides which automatic rules the host gets: Unified CM, IM and Presence or Unity"
            " Connection. `none`: no rules, as if Expressway had not discovered it.",
            "reload",
            "imp",
        ),
    ] = "cucm"

    def dialled(self, asked: int) -> int:
        """Return the port to connect to for the requested port ``asked``."""
        return self.ports.get(asked, self.port or asked)


class AllowTable(Table):
    """``[allow]``: the allow list."""

    rules: Annotated[
        PathText,
        Key(
            "CSV file of rules: Url,Deployment,HttpMethods,MatchType,Description. It must exist if it is set."
            " Empty: no rules.",
            "reload",
            "rules.csv",
        ),
    ] = "allowlist.csv"
    automatic: Annotated[
        bool,
        Key(
            "Whether each host of `[hosts]` gets the rules that Expressway makes for discovered nodes.",
            "reload",
            False,
        ),
    ] = True
    everything: Annotated[
        bool,
        Key(
            "Whether every request to a host of `[hosts]` is allowed, for tests that are not about the allow list.",
            "reload",
            True,
        ),
    ] = False


class LogTable(Table):
    """``[log]``: the traffic_server log."""

    file: Annotated[
        PathText,
        Key("File to append to. `-`: standard output.", "start", "own.log"),
    ] = "traffic_server.log"
    level: Annotated[
        Literal["INFO", "DEBUG"],
        Key("`DEBUG` adds the lines with HTTPMSG.", "reload", "DEBUG"),
    ] = "INFO"
    hostname: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._\-]{1,253}$"),
        Key("Expressway-C's host name, in each line and in the names of diagnostic logs.", "start", "vcsx"),
    ] = "vcsc"


class CaptureTable(Table):
    """``[capture]``: files that show and decrypt the traffic, passwords included; they are created with mode 0600."""

    pcapng: Annotated[
        File,
        Key(
            "Packet capture to append to, with the TLS secrets inside: Wireshark decrypts it. Servers have the"
            " addresses that the log shows. All workers write to the one file. Empty: no capture.",
            "start",
            "own.pcapng",
        ),
    ] = ""
    keylog: Annotated[
        File,
        Key(
            "NSS key log to append the TLS secrets of connections to servers to. Empty: no key log.",
            "start",
            "own.keys",
        ),
    ] = ""
