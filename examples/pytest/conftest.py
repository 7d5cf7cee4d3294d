"""The CUCM mock of this example; replace it with yours. It uses TLS, with a certificate of its own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme


class Uds(BaseHTTPRequestHandler):
    """The mock's responses."""

    def do_GET(self) -> None:
        """Answer every GET with a version, as UDS does."""
        body = b'<versionInformation version="14.0.1"/>'
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Write no log."""


class Server(ThreadingHTTPServer):
    """The mock's server."""

    def handle_error(self, *args: object) -> None:
        """Ignore errors: a client that refuses the certificate is not an error of the mock."""


@pytest.fixture
def cucm(mra_ca: trustme.CA) -> Iterator[tuple[str, int]]:
    """Address of the mock."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mra_ca.issue_cert("cucm.example.com").configure_cert(context)
    with Server(("127.0.0.1", 0), Uds) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "127.0.0.1", server.server_address[1]
        server.shutdown()
        thread.join()
