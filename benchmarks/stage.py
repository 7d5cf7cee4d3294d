"""Test bed of the proxies: a temporary folder, certificates minted for this run, and the origin server."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mralab.core.mra.target import Target, encode
from mralab.mocks.pki import mint

from .processes import Program, fill, free_port

BODIES: Final = {"1k": 1024, "100k": 100 * 1024, "10m": 10 << 20, "100m": 100 << 20}
_direct: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores proxies of the environment
_ENTRY: Final = b"<user><name>emusk</name><server>cucm.steven.lab</server><port>8443</port></user>\n"

_RECIPES: Final[dict[str, dict[str, object]]] = {
    "ca": {"subject": ["CN=benchmark CA"], "ca": True, "key_usage": ["keyCertSign", "cRLSign"]},
    "other-ca": {"subject": ["CN=another CA"], "ca": True, "key_usage": ["keyCertSign", "cRLSign"]},
    "good": {"subject": ["CN=good.bench.test"], "issuer": "ca", "sans": ["dns:good.bench.test"]},
    "wrong": {"subject": ["CN=other.bench.test"], "issuer": "ca", "sans": ["dns:other.bench.test"]},
    "untrusted": {
        "subject": ["CN=untrusted.bench.test"],
        "issuer": "other-ca",
        "sans": ["dns:untrusted.bench.test"],
    },
}


@dataclass(frozen=True, slots=True)
class Route:
    """A server of the origin: ``good``, ``wrong`` (another name), ``untrusted`` (unknown CA) or ``plain`` (http)."""

    name: str
    port: int

    @property
    def host(self) -> str:
        """Host name in requests, and in the certificate except for ``wrong``."""
        return f"{self.name}.bench.test"

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "http" if self.name == "plain" else "https"

    @property
    def token(self) -> str:
        """First segment of the path of its requests, as MRA clients encode it."""
        return encode(Target("bench.test", self.scheme, self.host, self.port))


@dataclass(frozen=True, slots=True)
class Stage:
    """The running origin and its folder. ``contents``: file name -> body that the origin sends."""

    folder: Path
    routes: Mapping[str, Route]
    origin: Program
    contents: Mapping[str, bytes]

    def path(self, route: str, file: str) -> str:
        """Return the path of a file on a route, the same for every proxy."""
        return f"/{self.routes[route].token}/{file}"

    def accepted(self) -> int:
        """Return how many connections the origin has accepted so far, including the one of this status request."""
        url = f"http://127.0.0.1:{self.routes['plain'].port}/status"
        with _direct.open(url, timeout=5) as answer:
            text: str = answer.read().decode("ascii")
        return accepts(text)

    def handshakes(self) -> list[list[str]]:
        """Return the origin's log of requests for proof.xml as lists of fields (origin.conf), and empty the log."""
        return [line.split() for line in _take(self.folder / "proof.log").splitlines()]

    def leaked(self) -> str:
        """Return the log of requests that reached a server with a bad certificate, and empty it."""
        return _take(self.folder / "leaked.log")


def names(folder: Path, routes: Mapping[str, Route]) -> dict[str, object]:
    """Return the values of ``@names`` that all configurations in ``benchmarks/peers`` may use."""
    values: dict[str, object] = {"folder": folder, "user": _user()}
    for name, route in routes.items():
        values |= {f"{name}_host": route.host, f"{name}_port": route.port, f"{name}_token": route.token}
    return values


def accepts(status: str) -> int:
    """Return the number of accepted connections on nginx's stub_status page."""
    return int(status.split("requests")[1].split()[0])


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Mint certificates and start the origin; stop it and remove the folder at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="mralab-bench-"))
    try:
        certificates = mint(_RECIPES, fresh=True, source="the benchmark's certificates")
        certificates.write(folder)
        (folder / "trust.pem").write_text(certificates["ca"].pem, encoding="ascii")
        contents = _write_files(folder / "files")
        (folder / "origin-tmp").mkdir()
        routes = {name: Route(name, free_port()) for name in ("good", "wrong", "untrusted", "plain")}
        file = folder / "origin.conf"
        file.write_text(fill("origin.conf", names(folder, routes)), encoding="utf-8")
        origin = Program.start("origin", ["nginx", "-c", str(file), "-p", str(folder)], folder, routes["plain"].port)
        try:
            yield Stage(folder, routes, origin, contents)
        finally:
            origin.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_files(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    contents = {}
    for name, size in BODIES.items():
        contents[f"{name}.xml"] = (_ENTRY * (size // len(_ENTRY) + 1))[:size]
    contents["proof.xml"] = contents["1k.xml"]
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return contents


def _user() -> str:
    """Return a ``user`` line if run by root: nginx would otherwise change to a user that cannot read the folder."""
    return "user root;" if os.geteuid() == 0 else ""


def _take(file: Path) -> str:
    if not file.exists():
        return ""
    text = file.read_text("utf-8", "replace")
    os.truncate(file, 0)
    return text
