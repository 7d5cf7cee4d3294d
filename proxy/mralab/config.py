"""The TOML configuration as types: every key has a default, all errors are reported at once.

``load(path)`` reads a file, ``Config()`` is an empty one. Relative paths are relative to the file. Values that the
release decides unless the file sets them (``[verify] origin``, ``[upstream] prefer, tls``) are properties of
``Config``: ``config.verify_mode``, ``config.preference``, ``config.tls_versions``.

A key that could have no effect beside the others is an error, not ignored.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .core.mra.target import canonical_host, canonical_port
from .core.release import ATTEMPTS, DEFAULT, Preference, Release, VerifyMode, cipher_string, find_release, verify_mode
from .core.tls.hostname import is_address
from .core.tls.verdict import Wording
from .errors import ConfigError, did_you_mean, first_problems


def _address(value: object) -> object:
    """``host:port``, the host an IP address or ``localhost``; brackets around IPv6."""
    if not isinstance(value, str):
        raise ValueError("must be a string 'host:port'")
    split_address(value)
    return value


def split_address(value: str) -> tuple[str, int]:
    """``'127.0.0.1:8443'`` or ``'[::1]:0'`` as host and port. Raises ``ValueError``."""
    host, colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host):
        raise ValueError(f"{value!r} is not 'host:port'")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and str(int(port)) == port and int(port) <= 65535):
        raise ValueError(f"{port!r} is not a port (0 to 65535)")
    if bare != "localhost":
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError(f"{bare!r} is not an IP address of this machine (127.0.0.1, ::1, localhost)") from None
    return bare, int(port)


def join_address(host: str, port: int) -> str:
    """``host:port``, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _admin(value: object) -> object:
    """As ``_address``, on loopback: whoever reaches the control API owns the proxy. Empty: none."""
    if value == "":
        return value
    checked = str(_address(value))
    host, _ = split_address(checked)
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host!r} is not a loopback address (127.0.0.1, ::1, localhost)")
    return value


def _release(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a string such as 'X14.2'")
    return find_release(value).name


def _origin(value: object) -> object:
    return value if value is None else verify_mode(value)


def _control_host(value: object) -> object:
    if isinstance(value, str) and (port := value.partition(":")[2]).isdecimal() and not 0 < int(port) <= 65535:
        raise ValueError(f"{port!r} is not a port (1 to 65535)")
    return value


def _dial(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be an IP address, or empty")
    if value:
        ipaddress.ip_address(value)
    return value


_FILE_NAME = r"^[^\x00-\x1f\x7f]*$"


def _file(value: object) -> object:
    """The name of a file, as text or as a path; empty: none."""
    if isinstance(value, PathLike):
        value = fspath(value)
    if not isinstance(value, str):
        raise ValueError("must be the name of a file, or empty")
    if not re.fullmatch(_FILE_NAME, value):  # above all PEM text itself: names are shown, keys must not be
        raise ValueError("must be the name of a file, in one line without control characters")
    return value


_NOT_SHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # general categories of Unicode
_VISIBLE = (
    "^(?!~[^/])[^"
    "\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd"
    "\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
    "]*$"
)
"""Names of files that every machine accepts, as a regular expression for schemas: visible, and of no user's home."""


def _visible(value: str) -> str:
    """Refuse characters that are not seen, and NUL, where C and the operating system end a text."""
    for character in value:
        if unicodedata.category(character) in _NOT_SHOWN:
            raise ValueError(f"has the character {character!a}, which is not shown")
    return value


def _path(value: str) -> str:
    try:
        Path(_visible(value)).expanduser()
    except RuntimeError:
        raise ValueError("begins with the home directory of a user who has none") from None
    return value


def _ciphers(value: str) -> str:
    """OpenSSL reads a C string: what follows a NUL would be shown, but not be in force."""
    if len(value) > _LONGEST_CIPHERS:
        raise ValueError(f"has {len(value)} characters; {_LONGEST_CIPHERS} are more than any cipher string needs")
    if not (value.isascii() and value.isprintable()):
        odd = next(character for character in value if not (character.isascii() and character.isprintable()))
        raise ValueError(f"has the character {odd!a}; cipher strings are printable ASCII")
    if "@SECLEVEL" in value.upper():
        raise ValueError("sets @SECLEVEL, which has no effect: keys and digests are judged as OpenSSL 1.1.1's level 1")
    return value


_LONGEST_CIPHERS = 4096
_MOST_DOTS = 200
_LONGEST_SHOWN = 200  # characters of a value in a message
PathText = Annotated[str, AfterValidator(_path)]
Address = Annotated[str, BeforeValidator(_address)]
IpText = Annotated[str, BeforeValidator(_dial)]
File = Annotated[str, BeforeValidator(_file), AfterValidator(_path), Field(json_schema_extra={"pattern": _VISIBLE})]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ProxyTable(_Table):
    """``[proxy]``: where it listens and what it calls itself."""

    listen: Address = "127.0.0.1:8443"
    admin: Annotated[str, BeforeValidator(_admin)] = "127.0.0.1:0"
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    control_host: Annotated[str, BeforeValidator(_control_host)] = Field(
        default="vcs_control.steven.lab:8443", pattern=r"^[A-Za-z0-9._\-]+(:[0-9]{1,5})?$"
    )


class VerifyTable(_Table):
    """``[verify]``: how servers are verified. ``origin`` defaults to the release's mode.

    ``origin`` also takes Cisco's and Traffic Server's words, in any case: On, Off, ENFORCED, DISABLED, PERMISSIVE.
    """

    origin: Annotated[VerifyMode | None, BeforeValidator(_origin)] = None
    ip_san: Literal["accept", "ignore"] = "accept"
    openssl: Wording = "1.1.1"


class TrustTable(_Table):
    """``[trust]``: the PEM file, or folder of them, of the CAs that are trusted; empty: none."""

    store: PathText = "trust/"


class UpstreamTable(_Table):
    """``[upstream]``: connections to servers. Times in seconds.

    ``certificate`` is a PEM file with Expressway-C's own certificate, its chain behind it, and its private key; it is
    presented to servers that ask for one. Empty: no certificate. ``key`` is the private key's file, if it is another.
    ``prefer`` orders the cipher suites (TLS 1.2 and older) and the signature algorithms (TLS 1.3); ``ciphers``
    replaces the former.
    """

    connections: Literal["per-request", "keep-alive"] = "per-request"
    attempts: Annotated[int, Field(ge=1, le=16)] = ATTEMPTS
    prefer: Preference | None = None
    ciphers: Annotated[
        str, AfterValidator(_ciphers), Field(json_schema_extra={"pattern": "^[ -~]*$", "maxLength": _LONGEST_CIPHERS})
    ] = ""
    tls: Annotated[list[Literal["1.0", "1.1", "1.2", "1.3"]], Field(min_length=1, max_length=4)] | None = None
    certificate: File = ""
    key: File = ""
    connect_timeout: Seconds = 30.0
    response_timeout: Seconds = 30.0


class LimitsTable(_Table):
    """``[limits]``: what one client, and all of them, may take. Times in seconds.

    ``header_bytes`` holds for a client's request head and for a server's response head
    (Traffic Server: request_header_max_size, response_header_max_size).
    """

    header_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = 131072
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    idle_timeout: Seconds = 120.0
    header_timeout: Seconds = 30.0


class HostEntry(_Table):
    """One entry of ``[hosts]``: ``ip`` is shown in the log, ``dial`` connected to, ``ports`` maps asked to dialled.

    ``port`` is dialled for every port that ``ports`` does not list; default: the port that is asked for.
    """

    ip: IpText = ""
    dial: IpText = ""
    ports: dict[Port, Port] = Field(default_factory=dict)
    port: Port | None = None

    def dialled(self, asked: int) -> int:
        """The port that stands for ``asked``."""
        return self.ports.get(asked, self.port or asked)


class AllowTable(_Table):
    """``[allow]``: the allow list's CSV file, and whether rules are made for discovered nodes.

    ``everything``: whatever is asked of a host of ``[hosts]`` is allowed, for tests that are about other things.
    """

    rules: PathText = "allowlist.csv"
    automatic: bool = True
    everything: bool = False


class LogTable(_Table):
    """``[log]``: the traffic_server log; ``-`` is standard output, DEBUG adds the HTTPMSG twins."""

    file: PathText = "traffic_server.log"
    level: Literal["INFO", "DEBUG"] = "INFO"
    hostname: str = Field(default="vcsc", pattern=r"^[A-Za-z0-9._\-]{1,253}$")


class Config(_Table):
    """A whole configuration. Build it from a file with ``load``, from a mapping with ``from_mapping``."""

    release: Annotated[str, BeforeValidator(_release)] = DEFAULT
    proxy: ProxyTable = ProxyTable()
    verify: VerifyTable = VerifyTable()
    trust: TrustTable = TrustTable()
    upstream: UpstreamTable = UpstreamTable()
    limits: LimitsTable = LimitsTable()
    hosts: dict[str, HostEntry] = Field(default_factory=dict)
    allow: AllowTable = AllowTable()
    log: LogTable = LogTable()
    folder: Path = Field(default_factory=Path.cwd, exclude=True)
    """What relative paths are relative to."""

    @property
    def release_facts(self) -> Release:
        """The release's row of the table."""
        return find_release(self.release)

    @property
    def verify_mode(self) -> VerifyMode:
        """``[verify] origin``, or the release's."""
        return self.verify.origin or self.release_facts.verify

    @property
    def preference(self) -> Preference:
        """``[upstream] prefer``, or the release's."""
        return self.upstream.prefer or self.release_facts.prefer

    @property
    def preference_in_force(self) -> Preference | None:
        """``preference``, or None where only the order of ``[upstream] ciphers`` decides."""
        by_order = self.upstream.ciphers and not self.upstream.prefer and "1.3" not in self.tls_versions
        return None if by_order else self.preference

    @property
    def cipher_string(self) -> str:
        """The OpenSSL cipher string offered to servers.

        ``[upstream] ciphers`` as it is; with ``prefer`` beside it, the ciphers of the other kind move to its end.
        """
        return cipher_string(
            self.upstream.ciphers, self.upstream.prefer or self.release_facts.prefer, self.upstream.prefer is not None
        )

    @property
    def tls_versions(self) -> tuple[str, ...]:
        """The TLS versions offered to servers."""
        return tuple(self.upstream.tls or self.release_facts.tls)

    def is_set(self, table: str, key: str) -> bool:
        """Whether the file itself sets this key, rather than its default."""
        return table in self.model_fields_set and key in getattr(self, table).model_fields_set

    def path(self, value: str) -> Path:
        """A path of the configuration, absolute."""
        return self.folder / Path(value).expanduser()

    def changed(self, /, **tables: Mapping[str, Any] | str) -> Config:
        """A copy with keys changed: ``config.changed(release='X14.0.7', verify={'origin': 'off'})``.

        Raises ``ConfigError`` as ``load`` does.
        """
        data = self.model_dump(mode="python", exclude_unset=True)
        for table, values in tables.items():
            data[table] = {**data.get(table, {}), **values} if isinstance(values, Mapping) else values
        return from_mapping(data, self.folder)


_TABLES: dict[str, type[_Table]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, _Table)
}


def load(path: Path | str) -> Config:
    """Read a configuration file. Raises ``ConfigError`` with every problem in it."""
    file = Path(path)
    try:
        data = file.read_bytes()
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
            raise ConfigError([f"{file}: is UTF-16 text; save it as UTF-8"])
        text = (
            data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        )  # some editors begin UTF-8 with a byte order mark
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8 text (byte {error.start})"]) from error
    return from_mapping(parse_toml(text, str(file)), file.resolve().parent, str(file))


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Return the tables of a TOML text; ``source`` names it. Raises ``ConfigError``."""
    for number, line in enumerate(text.split("\n"), 1):
        # tomllib needs time in the square of a key's parts: a minute for a line of 150 KB.
        if len(line) > _MOST_DOTS and line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ConfigError([f"{source}:{number}: has more than {_MOST_DOTS} dots in one line, which no key needs"])
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise ConfigError([f"{source}: is not TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}: is not TOML that can be used: its values are nested too deeply"]) from error


def from_mapping(data: Mapping[str, Any], folder: Path | None = None, source: str = "configuration") -> Config:
    """A configuration from parsed TOML. Raises ``ConfigError`` with every problem in it."""
    problems: list[str] = []
    host_problems: list[str] = []
    data = dict(data)
    if "folder" in data:
        problems.append(_unknown(source, ("folder",)))
        del data["folder"]
    try:
        config = Config(**_toml_hosts(data, host_problems), folder=folder or Path.cwd())
    except ValidationError as error:
        problems += first_problems(error.errors(include_url=False), lambda detail: _problem(source, detail))
        problems += [f"{source}: {problem}" for problem in host_problems]
        raise ConfigError(problems) from None
    problems += [f"{source}: {problem}" for problem in host_problems]
    problems += [f"{source}: {problem}" for problem in (*_host_problems(config), *_shadowed(config))]
    if problems:
        raise ConfigError(problems)
    return config


def _toml_hosts(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return ``data`` with the keys of ``[hosts]`` as they are compared: hosts as requests have them, ports as numbers.

    Two keys that mean the same host or port are a problem: one of them would silently not count.
    """
    hosts = data.get("hosts")
    if not isinstance(hosts, dict):
        return data
    converted: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, entry in hosts.items():
        try:
            host = _host_name(str(name))
        except ValueError as error:
            problems.append(f"hosts.{name!a}: is not a host name or address: {error}")
            continue
        if host in spelled:
            problems.append(f"hosts.{name!a}: is the same host as hosts.{spelled[host]!a}")
        spelled[host] = name
        ports = entry.get("ports") if isinstance(entry, dict) else None
        where = f"hosts.{name}.ports"
        converted[host] = {**entry, "ports": _ports(ports, where, problems)} if isinstance(ports, dict) else entry
    return {**data, "hosts": converted}


def _host_name(name: str) -> str:
    if "[" in name:
        raise ValueError("write an IPv6 address without brackets")
    return canonical_host(f"[{name}]" if name.count(":") > 1 else name)


def _ports(ports: Mapping[Any, Any], where: str, problems: list[str]) -> dict[int, Any]:
    """Return a table of ports with numbers for keys, which are strings in TOML and JSON."""
    numbers: dict[int, Any] = {}
    for key, value in ports.items():
        try:
            number = canonical_port(str(key))
        except ValueError as error:
            problems.append(f"{where}.{ascii(str(key))[1:-1]}: {error}")
            continue
        if number in numbers:
            problems.append(f"{where}.{number}: is there twice")
        numbers[number] = value
    return numbers


def _host_problems(config: Config) -> Iterator[str]:
    for name, entry in config.hosts.items():
        if not (entry.ip or entry.dial or entry.ports or entry.port):
            yield f"hosts.{name!r}: has neither ip, dial nor ports"
        if (entry.ports or entry.port) and not (entry.dial or entry.ip or is_address(name)):
            yield f"hosts.{name!r}: has ports, but no dial or ip to connect to"


def _shadowed(config: Config) -> Iterator[str]:
    """Keys that could have no effect beside the others."""
    if config.upstream.ciphers and config.tls_versions == ("1.3",):
        yield "upstream.ciphers: has no effect in TLS 1.3, the only version offered; remove it, or offer 1.2 as well"


def _problem(source: str, detail: Any) -> str:
    location = tuple(str(part) for part in detail["loc"])
    key = _shown_key(location)
    if detail["type"] == "extra_forbidden":
        return _unknown(source, location, detail.get("input"))
    message = _MUST_BE.get(detail["type"], str(detail["msg"]).removeprefix("Value error, "))
    if detail["type"] == "literal_error":
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        words = expected.replace(" or ", ", ").split(", ")
        message = f"must be {expected}{did_you_mean(str(detail['input']), words)}"
    given = detail.get("input")
    secret = isinstance(given, str) and "-----BEGIN" in given
    if isinstance(given, str) and len(given) > _LONGEST_SHOWN:
        given = f"{given[: _LONGEST_SHOWN - 3]}..."
    shown = f" (is {given!r})" if isinstance(given, (str, int, float, bool)) and not secret else ""
    return f"{source}: {key}: {message[:1].lower()}{message[1:]}{shown}"


_MUST_BE = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list, in brackets",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
}
"""Pydantic's words for a value of another type -> those of TOML."""


def _shown_key(location: tuple[str, ...]) -> str:
    """A key with its tables, in one line and without characters that a terminal would obey."""
    key = ".".join(location)
    return key if key.isprintable() else ascii(key)[1:-1]


def _unknown(source: str, location: tuple[str, ...], value: object = None) -> str:
    """An unknown key, with the nearest one that exists in its table, or the table that it belongs to."""
    model: type[BaseModel] = Config
    for part in location[:-1]:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if part == "hosts" or model is HostEntry:
            model = HostEntry
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    names = [name for name in model.model_fields if name != "folder"]
    kind = "table or key" if len(location) == 1 else "key"
    where = f"{source}: {_shown_key(location)}: unknown {kind}"
    name = location[-1]
    if location[0] == "hosts" and len(location) == 3 and isinstance(value, dict):  # [hosts] cucm.example.com = {..}
        return f'{where}; a name with dots needs quotes: "{location[1]}.{name}..."'
    if len(location) == 1 and not isinstance(value, dict):
        tables = [table for table in _TABLES if name in _TABLES[table].model_fields]
        if tables:
            return f"{where}; it belongs to {' or '.join(f'[{table}]' for table in tables)}"
    return f"{where}{did_you_mean(name, names)}"
