"""The proxies that are compared: each from its configuration in ``benchmarks/peers``, one worker or thread each.

Every one of them leads the four tokens of the stage to the four servers, takes the token off the path, verifies chain
and name, offers TLS 1.2 only and resumes no session.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from .load import ask
from .processes import DidNotStart, Program, fill, find, free_port
from .stage import Stage, names

Mode = Literal["keep-alive", "per-request"]
MODES: Final[tuple[Mode, ...]] = ("keep-alive", "per-request")

NAMES: Final = ("mralab", "floor", "Traffic Server", "nginx", "HAProxy", "aiohttp")
SIMPLE: Final = ("floor", "aiohttp")
"""Proxies that are measured with the smallest file only: ``floor`` is none (``peers/floor.py``)."""
COUNTED: Final = "mralab, counted"
"""mralab under ``counted``, which writes ``counts`` beside its log."""
_PACKAGES: Final = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "traffic_server": "trafficserver",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
}
_TRAFFIC_SERVER_FOLDERS: Final = {
    "bin": "bindir",
    "sbin": "sbindir",
    "etc": "sysconfdir",
    "share": "datadir",
    "include": "includedir",
    "lib": "libdir",
    "var": "localstatedir",
    "run": "runtimedir",
    "log": "logdir",
    "cache": "cachedir",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy. ``log`` is its access log where it writes one."""

    name: str
    port: int
    program: Program
    log: Path | None = None

    def url(self, path: str) -> str:
        """Where a client asks it for ``path``."""
        return f"http://127.0.0.1:{self.port}{path}"


def missing_packages() -> list[str]:
    """Debian packages of the programs that are not installed."""
    return [package for program, package in _PACKAGES.items() if not find(program)]


@contextlib.contextmanager
def running(
    stage: Stage, mode: Mode, wanted: Sequence[str] = NAMES, *, workers: int = 1, rules: int = 0
) -> Iterator[list[Proxy]]:
    """Start the proxies ``wanted`` in this order; they end with the block.

    ``workers`` and ``rules`` (more rules than the stage needs) concern mralab alone.
    """
    with contextlib.ExitStack() as stack:
        proxies = []
        for name in wanted:
            folder = stage.folder / f"{name}-{mode}-{free_port()}".replace(" ", "-")
            folder.mkdir()
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if name in ("mralab", COUNTED):
                proxy = _mralab(stage, folder, mode, workers, rules, name)
            else:
                proxy = _START[name](stage, folder, mode)
            stack.callback(proxy.program.stop)
            _await_answer(stage, proxy)
            proxies.append(proxy)
        yield proxies


def _await_answer(stage: Stage, proxy: Proxy) -> None:
    """A program may listen before it is ready: many rules take a while to read, Traffic Server's hosts file as well."""
    end = time.monotonic() + 20
    status = 0
    while status != 200 and time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", proxy.port), 60) as client:
            status, _ = ask(client, proxy.port, stage.path("good", "1k.xml"))
    if status != 200:
        raise DidNotStart(f"{proxy.name} answers {status} to what it should relay")


def _mralab(stage: Stage, folder: Path, mode: Mode, workers: int, rules: int, name: str) -> Proxy:
    port = free_port()
    log = folder / "traffic_server.log"
    (folder / "trust.pem").write_bytes((stage.folder / "trust.pem").read_bytes())
    (folder / "allowlist.csv").write_text(rules_csv(stage, rules), encoding="utf-8")
    values = names(folder, stage.routes) | {"port": port, "mode": mode, "workers": workers, "log": log}
    file = folder / "mralab.toml"
    file.write_text(fill("mralab.toml", values | {"rules": "allowlist.csv"}), encoding="utf-8")
    run = ["-m", "mralab"] if name == "mralab" else [str(Path(__file__).parent / "counted.py"), str(folder / "counts")]
    command = [sys.executable, *run, "serve", "-c", str(file)]
    return Proxy(name, port, Program.start("mralab", command, folder, port), log)


def rules_csv(stage: Stage, more: int) -> str:
    """Two rules for each server of the stage, and before them ``more`` that fit nothing that is asked."""
    good = stage.routes["good"]
    lines = ["Url,Deployment,HttpMethods,MatchType,Description"]
    for number in range(more):  # half of them on the very server that is asked
        host = good.host if number % 2 else f"cucm{number}.bench.test"
        lines.append(f"https://{host}:{good.port}/cucm-uds/user/{number}/,,,prefix,")
    for route in stage.routes.values():
        lines.append(f"{route.scheme}://{route.host}:{route.port}/other/,,GET,prefix,")
        lines += [f"{route.scheme}://{route.host}:{route.port}/{file},,GET,prefix," for file in stage.contents]
    return "\n".join(lines) + "\n"


def _nginx(stage: Stage, folder: Path, mode: Mode) -> Proxy:
    port = free_port()
    (folder / "nginx-tmp").mkdir()
    (folder / "trust.pem").write_bytes((stage.folder / "trust.pem").read_bytes())
    log = folder / "access.log"
    kept = mode == "keep-alive"
    values = names(folder, stage.routes) | {
        "port": port,
        "log": log,
        "connection": "" if kept else "close",
        "keepalive": "keepalive 256; keepalive_requests 100000000; keepalive_timeout 300s;" if kept else "",
    }
    file = folder / "nginx.conf"
    file.write_text(fill("nginx.conf", values), encoding="utf-8")
    command = [find("nginx"), "-c", str(file), "-p", str(folder)]
    return Proxy("nginx", port, Program.start("nginx", command, folder, port), log)


def _haproxy(stage: Stage, folder: Path, mode: Mode) -> Proxy:
    port = free_port()
    (folder / "trust.pem").write_bytes((stage.folder / "trust.pem").read_bytes())
    option = "http-keep-alive" if mode == "keep-alive" else "http-server-close"
    file = folder / "haproxy.cfg"
    values = names(folder, stage.routes) | {"port": port, "connection": option}
    file.write_text(fill("haproxy.cfg", values), encoding="utf-8")
    command = [find("haproxy"), "-db", "-f", str(file)]
    return Proxy("HAProxy", port, Program.start("haproxy", command, folder, port))


def _traffic_server(stage: Stage, folder: Path, mode: Mode) -> Proxy:
    port = free_port()
    for name in _TRAFFIC_SERVER_FOLDERS:
        (folder / name).mkdir()
    roots = {"prefix": folder, "exec_prefix": folder, "libexecdir": folder / "lib"}
    roots |= {key: folder / name for name, key in _TRAFFIC_SERVER_FOLDERS.items()}
    (folder / "runroot.yaml").write_text("".join(f"{key}: {path}\n" for key, path in roots.items()), encoding="utf-8")
    (folder / "trust.pem").write_bytes((stage.folder / "trust.pem").read_bytes())
    hosts = [route.host for route in stage.routes.values()]
    (folder / "hosts").write_text("".join(f"127.0.0.1 {host}\n" for host in hosts), encoding="ascii")
    etc = folder / "etc"
    values = names(folder, stage.routes) | {"port": port, "keep_alive": int(mode == "keep-alive")}
    for name in ("records.config", "remap.config", "logging.yaml", "ip_allow.yaml"):
        (etc / name).write_text(fill(name, values), encoding="utf-8")
    for name in ("plugin.config", "storage.config", "ssl_multicert.config", "sni.yaml"):
        (etc / name).touch()
    program = Program.start(
        "traffic_server", [find("traffic_server")], folder, port, environment={"TS_RUNROOT": str(folder)}
    )
    return Proxy("Traffic Server", port, program, folder / "log" / "access.log")


def _aiohttp(stage: Stage, folder: Path, mode: Mode) -> Proxy:
    port = free_port()
    settings = {
        "port": port,
        "trust": str(stage.folder / "trust.pem"),
        "keep_alive": mode == "keep-alive",
        "routes": {
            route.token: [f"{route.scheme}://127.0.0.1:{route.port}", route.host] for route in stage.routes.values()
        },
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    script = Path(__file__).parent / "peers" / "aiohttp_proxy.py"
    return Proxy("aiohttp", port, Program.start("aiohttp", [sys.executable, str(script), str(file)], folder, port))


def _floor(stage: Stage, folder: Path, mode: Mode) -> Proxy:
    port = free_port()
    settings = {
        "port": port,
        "trust": str(stage.folder / "trust.pem"),
        "keep_alive": mode == "keep-alive",
        "routes": {route.token: [route.scheme, route.port, route.host] for route in stage.routes.values()},
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    script = Path(__file__).parent / "peers" / "floor.py"
    return Proxy("floor", port, Program.start("floor", [sys.executable, str(script), str(file)], folder, port))


_START: Final = {
    "Traffic Server": _traffic_server,
    "nginx": _nginx,
    "HAProxy": _haproxy,
    "aiohttp": _aiohttp,
    "floor": _floor,
}
