"""The proxies in the comparison, each with its configuration in ``benchmarks/peers`` and one worker or thread.

Each proxy maps the four tokens of the stage to the four servers, removes the token from the path, verifies chain and
name, offers TLS 1.2 only and resumes no session.
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
"""Programs that are measured with the smallest file only."""
COUNTED: Final = "mralab, counted"
"""mralab under ``counted``, which writes the file ``counts`` next to its log."""
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
    """A running proxy. ``log``: its access log, or None if it writes none."""

    name: str
    port: int
    program: Program
    log: Path | None = None

    def url(self, path: str) -> str:
        """Return the URL of ``path`` on this proxy."""
        return f"http://127.0.0.1:{self.port}{path}"


def missing_packages() -> list[str]:
    """Return the Debian packages of programs that are not installed."""
    return [package for program, package in _PACKAGES.items() if not find(program)]


@contextlib.contextmanager
def running(
    stage: Stage, mode: Mode, wanted: Sequence[str] = NAMES, *, workers: int = 1, rules: int = 0
) -> Iterator[list[Proxy]]:
    """Start the proxies ``wanted`` in this order and stop them at the end of the block.

    ``workers`` and ``rules`` (number of rules besides those that the stage needs) apply to mralab only.
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
    """Wait until a proxy relays: it may listen before it has read its rules, or its hosts file (Traffic Server)."""
    end = time.monotonic() + 20
    status = 0
    while status != 200 and time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", proxy.port), 60) as client:
            status, _ = ask(client, proxy.port, stage.path("good", "1k.xml"))
    if status != 200:
        raise DidNotStart(f"{proxy.name} answers {status} to a request that it should relay")


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
    """Return an allow list: ``more`` rules that match no request of the benchmark, then the rules of the stage."""
    good = stage.routes["good"]
    lines = ["Url,Deployment,HttpMethods,MatchType,Description"]
    for number in range(more):  # half of them for the server of the requests
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
