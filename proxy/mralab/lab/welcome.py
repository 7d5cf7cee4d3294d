"""What ``mralab lab`` prints on a terminal: where everything is, and commands to paste into another terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..core.hostport import host_port
from ..core.log.escape import visible

if TYPE_CHECKING:
    from ..config import Config
    from .running_lab import RunningLab

_FILE: Final = "lab.toml"


@dataclass(frozen=True, slots=True)
class Welcome:
    """The places of one running lab."""

    title: str
    running: RunningLab
    user: str
    password: str
    admin: str
    """Address of the control API; empty: there is none."""
    log: str
    """Path of the log; ``-``: standard output."""
    folder: Path
    """Folder for files that the commands need."""
    stand_ins: tuple[x509.Certificate, ...] = ()
    """CAs of look-alikes that can be trusted to try it out."""
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Write the files that the commands need to ``folder``, and return the text."""
        self._write_configuration()
        lines = [f"{self.title}. Ctrl-C ends it.", "", *self._places()]
        if self.notes:
            lines += [
                "",
                "What differs from the originals, and what was assumed:",
                *(f"  {visible(note)}" for note in self.notes),
            ]
        lines += ["", "Commands for another terminal:", *(f"  {command}" for command in self._commands()), ""]
        return "\n".join([*lines, "The log:", ""])

    def _places(self) -> Iterator[str]:
        proxy = self.running.proxy
        yield f"  edge         {self.running.via} (get_edge_config; it relays everything else to the proxy)"
        yield f"  proxy        {proxy.base_url}"
        first, *others = self.running.peers
        if others:
            yield f"  peers        {first}, which page, control API and log below belong to; {', '.join(others)}"
        if self.admin:
            yield f"  live page    http://{self.admin}/"
        yield f"  control API  {self.admin or 'none: proxy.admin is empty'}"
        yield f"  log          {'standard output' if self.log == '-' else self.log}"
        yield f"  user         {self.user}, password {self.password}"
        for node in self.running.nodes.values():
            ports = ", ".join(f"{port} on {host_port(node.host, real)}" for port, real in node.ports.items())
            yield f"  server       {node.fqdn} ({node.ip}): {ports}"

    def _commands(self) -> Iterator[str]:
        admin = f" --admin {self.admin}" if self.admin else ""
        configuration, saved = (shlex.quote(str(self.folder / name)) for name in (_FILE, "saved"))
        yield f"mralab login {self.user} --via {self.running.via}{admin}"
        servers = [host_port(node.address, port) for node in self.running.nodes.values() for port in node.tls_ports]
        yield f"mralab preflight {' '.join(dict.fromkeys(servers))} -c {configuration} --save {saved}"
        if admin:
            yield f"mralab findings{admin}"
            yield f"mralab trust list{admin}"
            yield f"mralab trust add {saved}/upload_*.pem{admin}"
            for number, certificate in enumerate(self.stand_ins, 1):
                file = self.folder / f"stand-in-{number}.pem"
                file.write_bytes(certificate.public_bytes(Encoding.PEM))
                yield f"mralab trust add {shlex.quote(str(file))}{admin}"
            yield f"mralab xconfiguration EdgeConfigServer VerifyOriginServer: Off{admin}"

    def _write_configuration(self) -> None:
        """Write the lab's hosts and trust store, as they are now, for ``preflight -c``."""
        store = ""
        trusted = self.running.proxy.trusted.certificates
        if trusted:
            store = "trust.pem"
            (self.folder / store).write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in trusted))
        (self.folder / _FILE).write_text("\n".join(_toml(self.running.proxy.config, store)), encoding="utf-8")


def _toml(config: Config, store: str) -> Iterator[str]:
    """Yield the lines of a configuration with the release, a trust store and the hosts."""
    yield f"release = {json.dumps(config.release)}"
    yield f"trust.store = {json.dumps(store)}"
    yield 'allow.rules = ""'
    yield "[hosts]"
    for name, entry in config.hosts.items():
        ports = ", ".join(f"{asked} = {real}" for asked, real in entry.ports.items())
        addresses = [f"{key} = {json.dumps(value)}" for key, value in (("ip", entry.ip), ("dial", entry.dial)) if value]
        rest = [f"port = {entry.port}"] if entry.port is not None else []
        yield f"{json.dumps(name)} = {{ {', '.join([*addresses, f'ports = {{ {ports} }}', *rest])} }}"
    yield ""
