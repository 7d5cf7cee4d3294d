"""The floor relays the requests of the benchmark: it verifies, pools connections and removes the token."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from pathlib import Path

import pytest
import trustme

from benchmarks.load import ask
from benchmarks.processes import Program, free_port
from tests.net.conftest import Server, server_context

FLOOR = Path(__file__).parents[2] / "benchmarks" / "peers" / "floor.py"


@pytest.mark.parametrize(("keep_alive", "connections"), [(True, 1), (False, 3)])
def test_the_floor_relays_only_to_a_server_that_it_verified(tmp_path: Path, keep_alive: bool, connections: int) -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("good.bench.test", key_type=trustme.KeyType.RSA)
    ca.cert_pem.write_to_path(tmp_path / "trust.pem")
    with contextlib.contextmanager(Server(server_context(certificate)).run)() as server:
        routes = {token: ["https", server.port, f"{token}.bench.test"] for token in ("good", "wrong")}
        port = free_port()
        settings = {"port": port, "trust": str(tmp_path / "trust.pem"), "keep_alive": keep_alive}
        (tmp_path / "settings.json").write_text(json.dumps(settings | {"routes": routes}))
        program = Program.start("floor", [sys.executable, str(FLOOR), str(tmp_path / "settings.json")], tmp_path, port)
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                for _ in range(3):
                    assert ask(client, port, "/good/1k.xml") == (200, b"ok\n")
                assert server.connections == connections
                assert ask(client, port, "/wrong/1k.xml")[0] == 502
        finally:
            program.stop()
        assert [request.split(b"\r\n")[0] for request in server.requests] == [b"GET /1k.xml HTTP/1.1"] * 3
