"""Your mock behind an Expressway-C, with the standard library's unittest: ``python -m unittest``."""

from __future__ import annotations

import ssl
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

import trustme

from mralab import Proxy

CUCM = "cucm.example.com"


class Uds(BaseHTTPRequestHandler):
    """The mock; replace it with yours."""

    def do_GET(self) -> None:
        """Answer every GET."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Write no log."""


class Server(ThreadingHTTPServer):
    """The mock's server."""

    def handle_error(self, *args: object) -> None:
        """Ignore errors: a client that refuses the certificate is not an error of the mock."""


class Version(unittest.TestCase):
    """Responses of the mock for a remote client."""

    def setUp(self) -> None:
        """Start the mock, and the proxy in front of it."""
        self.ca = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(CUCM).configure_cert(context)
        mock = self.enterContext(Server(("127.0.0.1", 0), Uds))
        mock.socket = context.wrap_socket(mock.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=mock.serve_forever, kwargs={"poll_interval": 0.01}).start()
        self.addCleanup(mock.shutdown)
        self.proxy = self.enterContext(Proxy(release="X14.2", hosts={CUCM: ("127.0.0.1", mock.server_address[1])}))

    def ask(self) -> int:
        """Request the version and return the status of the response."""
        try:
            with urlopen(self.proxy.url(for_=f"https://{CUCM}:8443/cucm-uds/version")) as answer:
                status: int = answer.status
                return status
        except HTTPError as error:
            with error:
                return error.code

    def test_the_ca_must_be_trusted(self) -> None:
        """X14.2 refuses what X14.0.7 let through, until the CA is in its trust store."""
        self.assertEqual(self.ask(), 502)
        self.assertTrue(self.proxy.refused(CUCM, because="issuer-missing"))
        self.proxy.trust(self.ca)
        self.assertEqual(self.ask(), 200)

    def test_before_the_upgrade(self) -> None:
        """X14.0.7 verifies nothing."""
        self.proxy.release = "X14.0.7"
        self.assertEqual(self.ask(), 200, self.proxy.findings)


if __name__ == "__main__":
    unittest.main()
