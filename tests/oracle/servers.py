"""The servers behind both proxies, one port for each case, and Traffic Server itself in its own folder."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Condition, Thread
from typing import NamedTuple

from benchmarks.processes import free_port

from .cases import Case
from .pki import Minted

# A separate address: on 127.0.0.1 a client of another test may connect to a port that its own server used before.
SERVERS = "127.0.9.1"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


class Seen(NamedTuple):
    """Record of the servers: connections, names in ClientHellos, and the errors that ended handshakes."""

    connections: int
    snis: tuple[str | None, ...]
    alerts: tuple[str, ...]


class Upstreams:
    """Listeners of all cases, served by one thread that accepts and a few that answer.

    ``present`` changes the certificate of a listener between requests.
    """

    def __init__(self, cases: Sequence[Case], folder: Path) -> None:
        self.ports: dict[str, int] = {}
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._changed = Condition()
        self._running = 0
        self._connections = 0
        self._snis: list[str | None] = []
        self._alerts: list[str] = []
        self._ending = False
        self._pool = ThreadPoolExecutor(8)
        self._listeners: list[socket.socket] = []
        self._contexts: dict[str, ssl.SSLContext] = {}
        for case in cases:
            ip = case.host if case.host.startswith("127.") else SERVERS
            listener = socket.create_server((ip, 0))
            listener.setblocking(False)
            self.ports[case.name] = listener.getsockname()[1]
            self._listeners.append(listener)
            self._selector.register(listener, selectors.EVENT_READ, case.name)
            self.present(case)
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Upstreams:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join(5)
        self._pool.shutdown()
        self._selector.close()
        for listener in self._listeners:
            listener.close()

    def present(self, case: Case) -> None:
        """Present the case's certificates at the listener of this name, from the next connection on."""
        context = _context(case, self._folder)
        context.sni_callback = lambda _socket, name, _context: self._snis.append(name)
        self._contexts[case.name] = context

    def seen(self) -> Seen:
        """Wait until no connection is open, and return the record since the last call."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._running, 30):
                raise AssertionError("a connection to an upstream did not end")
            seen = Seen(self._connections, tuple(self._snis), tuple(self._alerts))
            self._connections, self._snis, self._alerts = 0, [], []
        return seen

    def _accept(self) -> None:
        while not self._ending:
            for key, _ in self._selector.select(0.1):
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                with self._changed:
                    self._running += 1
                    self._connections += 1
                self._pool.submit(self._serve, connection, self._contexts[key.data])

    def _serve(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        alert = ""
        try:
            connection.settimeout(30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, context.wrap_socket(connection, server_side=True) as stream:
                data = b""
                while b"\r\n\r\n" not in data and (piece := stream.recv(65536)):
                    data += piece
                if data:
                    stream.sendall(ANSWER)
                    with contextlib.suppress(OSError):
                        stream.unwrap()
                else:
                    alert = "closed before a request"
        except ssl.SSLError as error:
            alert = error.reason or str(error)
        except OSError as error:
            alert = type(error).__name__
        finally:
            with self._changed:
                if alert:
                    self._alerts.append(alert)
                self._running -= 1
                self._changed.notify_all()


def _context(case: Case, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = case.tls
    file = folder / "server.pem"
    file.write_bytes(b"".join(one.pem for one in case.chain) + case.chain[0].key_pem)
    context.load_cert_chain(file)
    context.num_tickets = 0
    return context


# The cases are compared one by one, so nothing of one request may influence the next. Traffic Server 9.x makes
# max_retries_dead_server - 1 retries for a server that it takes to be down (HttpTransact::handle_response_from_server),
# and under load it takes one to be down that was never asked before: 2 gives such a server as many as any other.
RECORDS = """\
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.http.server_ports STRING {port}:ipv4:ip-in=127.0.0.1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 0
CONFIG proxy.config.http.connect_attempts_max_retries INT 1
CONFIG proxy.config.http.connect_attempts_rr_retries INT 100000
CONFIG proxy.config.http.connect_attempts_max_retries_dead_server INT 2
CONFIG proxy.config.http.connect_attempts_timeout INT 20
CONFIG proxy.config.http.transaction_no_activity_timeout_out INT 20
CONFIG proxy.config.hostdb.host_file.path STRING {folder}/hosts
CONFIG proxy.config.hostdb.host_file.interval INT 1
CONFIG proxy.config.dns.search_default_domains INT 0
CONFIG proxy.config.ssl.origin_session_cache INT 0
CONFIG proxy.config.ssl.client.verify.server.policy STRING {policy}
CONFIG proxy.config.ssl.client.verify.server.properties STRING ALL
CONFIG proxy.config.ssl.client.CA.cert.path STRING {folder}
CONFIG proxy.config.ssl.client.CA.cert.filename STRING trust.pem
CONFIG proxy.config.ssl.client.cipher_suite STRING DEFAULT:@SECLEVEL=1
CONFIG proxy.config.diags.output.warning STRING L
CONFIG proxy.config.diags.output.error STRING L
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.crash_log_helper STRING NULL
"""
IP_ALLOW = "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n"
FOLDERS = ("etc", "var", "run", "log", "cache", "lib", "share", "bin", "sbin", "include")
RUNROOT = """\
prefix: {0}
exec_prefix: {0}
bindir: {0}/bin
sbindir: {0}/sbin
sysconfdir: {0}/etc
datadir: {0}/share
includedir: {0}/include
libdir: {0}/lib
libexecdir: {0}/lib
localstatedir: {0}/var
runtimedir: {0}/run
logdir: {0}/log
cachedir: {0}/cache
"""


class TrafficServer:
    """A running Traffic Server and its WARNING lines."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log
        self._read = 0

    def lines(self) -> list[str]:
        """Return the lines of its log since the last call, from their level on."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
            self._read = file.tell()
        return data.decode("utf-8", "backslashreplace").splitlines()


def find_traffic_server() -> tuple[str, str]:
    """Return path and version of the program; the path is empty if it is not installed."""
    program = shutil.which("traffic_server", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin:/opt/ts/bin")
    if program is None:
        return "", ""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    return program, (shown.stdout + shown.stderr).split("\n")[0]


@contextlib.contextmanager
def traffic_server(
    program: str, folder: Path, policy: str, cases: Sequence[Case], ports: dict[str, int], trust: Sequence[Minted]
) -> Iterator[TrafficServer]:
    """Run Traffic Server with this policy and a remap rule for each case until the end of the block."""
    for name in FOLDERS:
        (folder / name).mkdir()
    port = free_port()
    etc = folder / "etc"
    (folder / "runroot.yaml").write_text(RUNROOT.format(folder))
    (folder / "trust.pem").write_bytes(b"".join(one.pem for one in trust))
    (folder / "hosts").write_text(
        "127.0.0.1 ready.ats.test\n" + "".join(f"{SERVERS} {case.host}\n" for case in cases if "127." not in case.host)
    )
    (etc / "records.config").write_text(RECORDS.format(port=port, folder=folder, policy=policy))
    (etc / "ip_allow.yaml").write_text(IP_ALLOW)
    for name in ("plugin.config", "storage.config", "ssl_multicert.config", "sni.yaml", "logging.yaml"):
        (etc / name).write_text("")
    (etc / "remap.config").write_text(
        f"map http://127.0.0.1:{port}/ready/ http://ready.ats.test:1/\n"
        + "".join(
            f"map http://127.0.0.1:{port}/{case.name}/ https://{case.host}:{ports[case.name]}/\n" for case in cases
        )
    )
    environment = {"PATH": os.environ.get("PATH", ""), "TS_RUNROOT": str(folder)}
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [program], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(port, process, output)
        running = TrafficServer(port, folder / "log" / "diags.log")
        running.lines()
        yield running
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET /ready/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
                if connection.recv(12) == b"HTTP/1.1 502":  # the name is known: the hosts file has been read
                    return
        except OSError:
            pass
        time.sleep(0.1)  # another program: it gives no other signal than its response
    raise AssertionError(f"traffic_server does not listen: {output.read_text('utf-8', 'replace')[-3000:]}")
