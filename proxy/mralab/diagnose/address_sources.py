"""Addresses for preflight from a list of servers in a file, or from the requests in a traffic_server log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ..core.hostport import authority_of_url
from ..core.log.events import RequestDenied, RequestReceived
from ..core.log.reader import Record
from ..core.log.stream import LogReader
from ..core.mra.target import canonical_host, canonical_port
from ..errors import InputError
from .handshake import Address
from .request_line import authority, parse_request_line
from .sources import Sources

T = TypeVar("T")

_LARGEST_LIST: Final = 1 << 20  # bytes
_PORT: Final = re.compile(r":[0-9]+\Z")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_FORM: Final = "one HOST:PORT in a line, such as cucm.steven.lab:8443 or [2001:db8::1]:8443; # begins a comment"


def parse_address(text: str) -> Address:
    """Parse ``HOST:PORT``, IPv6 in brackets. Raises ``ValueError`` with the reason."""
    if (authority := authority_of_url(text)) is not None:
        raise ValueError(f"it is a URL; write {authority or 'HOST'}{'' if _PORT.search(authority) else ':PORT'}")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("no port")
    return Address(canonical_host(host), canonical_port(port))


def parse_each(texts: Iterable[str], parse: Callable[[str], T], form: str, hint: str) -> tuple[T, ...]:
    """Parse each text with ``parse``, which raises ``ValueError``; return the results without repetitions.

    Raises ``InputError`` with every text that is not ``form``, such as ``HOST:PORT``.
    """
    found: dict[T, None] = {}
    problems: list[str] = []
    for text in texts:
        try:
            found[parse(text)] = None
        except ValueError as error:
            problems.append(f"{text!r} is not {form}: {error}")
    if problems:
        raise InputError(problems, hint)
    return tuple(found)


def parse_list(text: str, source: str) -> tuple[Address, ...]:
    """Parse a list of addresses: one in a line, ``#`` begins a comment. ``source`` names the file in messages.

    Raises ``InputError`` with every invalid line, and for a list without an address.
    """
    found: dict[Address, None] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            found[parse_address(entry)] = None
        except ValueError as error:
            problems.append(f"{source}:{number}: {entry!r} is not HOST:PORT: {error}")
    if not found and not problems:
        problems.append(f"{source}: has no address")
    if problems:
        raise InputError(problems, _FORM)
    return tuple(found)


def read_list(file: Path) -> tuple[Address, ...]:
    """Read a list of addresses from a file. Raises ``InputError`` with every problem."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_LIST + 1)
    except OSError as error:
        raise InputError([f"{file}: cannot be read: {error.strerror}"]) from error
    if len(data) > _LARGEST_LIST:
        raise InputError([f"{file}: is too large for a list of addresses (over {_LARGEST_LIST >> 20} MB)"], _FORM)
    try:
        text = data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError([f"{file}: is not a text file"], _FORM) from None
    return parse_list(text, str(file))


class LogServers(NamedTuple):
    """The servers that clients requested over HTTPS, in the order in which they appear in the log.

    ``denied`` has those of which the allow list denied every request.
    """

    allowed: tuple[Address, ...]
    denied: tuple[Address, ...]


def servers_in_log(records: Iterable[Record]) -> LogServers:
    """Return the servers of the requests in a log, by the records of ``core.log.reader``.

    The host and port come from a client, so a server is only dialled if the allow list let a request to it pass.
    """
    requested: Counter[Address] = Counter()
    denied: Counter[Address] = Counter()
    for record in records:
        event = record.event
        if isinstance(event, RequestReceived):
            line = parse_request_line(event.start_line)
            if line.server and line.port is not None and line.url.startswith("https://"):
                requested[Address(line.server, line.port)] += 1
        elif isinstance(event, RequestDenied):
            host, port = authority(event.url)
            if port is not None:
                denied[Address(host.lower(), port)] += 1
    return LogServers(
        tuple(address for address in requested if requested[address] > denied[address]),
        tuple(address for address in requested if requested[address] <= denied[address]),
    )


class LogFiles:
    """Reads logs in whatever form ``diagnose`` takes them. ``problems`` has what could not be read."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def servers(self, paths: Iterable[Path]) -> LogServers:
        """Return the servers in the logs. Raises ``InputError`` if they have no request that may be dialled."""
        names = [str(path) for path in paths]
        sources = Sources(names)
        found = servers_in_log(_records(sources))
        self.problems = [str(problem) for problem in sources.problems]
        if not found.allowed:
            reason = (
                "the allow list denied every request to an HTTPS server"
                if found.denied
                else "no request of a client to an HTTPS server in the log"
            )
            raise InputError(
                [*self.problems, f"{', '.join(names)}: {reason}"],
                'pass the log of an Expressway-C, with the lines Detail="Receive Request"',
            )
        return found


def _records(sources: Sources) -> Iterator[Record]:
    """Yield the records of all logs among the sources, as far as they can be read."""
    for source in sources:
        if source.kind == "log":
            reader = LogReader()
            for chunk in sources.chunks(source):
                yield from reader.feed(chunk)
            yield from reader.close()
