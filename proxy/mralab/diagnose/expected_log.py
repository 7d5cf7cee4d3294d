"""The log lines that X14.2 would write for a handshake if it went on after each fault."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ..config import Config
from ..core.http.error_pages import ERROR_PAGES
from ..core.log.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestReceived,
    RequestSent,
    ResponseSent,
    VerifyFailed,
)
from ..core.log.writer import LineWriter
from ..core.mra.target import Target, encode
from ..core.tls.tlserror import error_string
from ..core.tls.verdict import CertificateFault, error_text
from .handshake import Handshake, ServerName

_VERIFY_FAILED: Final = "certificate verify failed"
_OK: Final = "200 "


class ExpectedLog:
    """The lines of one request: ``lines``, and the parts of them that findings use as error text and evidence.

    ``fault_texts`` and ``warnings`` have the text and the WARNING line of each fault. ``refusal`` is the ERROR line
    that follows them. ``error_text`` and ``error_line`` belong to a handshake that failed for another reason, and are
    empty otherwise. ``at`` is the time of all lines, in seconds since the epoch.
    """

    def __init__(self, handshake: Handshake, config: Config, now: datetime) -> None:
        wording = config.verify.openssl
        self.at = now.timestamp()
        self._writer = LineWriter(config.log.hostname, 0)
        self._handshake = handshake
        self.fault_texts = [
            "not in certificate" if fault.number is None else error_text(fault.number, wording)
            for fault in handshake.faults
        ]
        self.warnings = [
            self._warning(fault, text) for fault, text in zip(handshake.faults, self.fault_texts, strict=True)
        ]
        refusal = error_string(_VERIFY_FAILED, wording) if handshake.faults else ""
        self.refusal = self._error(refusal) if refusal else ""
        reason = handshake.error_reason
        self.error_text = (error_string(reason, wording) or handshake.error_text) if reason else ""
        self.error_line = self._error(self.error_text) if reason else ""
        self.lines = self._all_lines(config.proxy.control_host)

    def _all_lines(self, control_host: str) -> tuple[str, ...]:
        handshake = self._handshake
        errors = (*self.warnings, *(line for line in (self.refusal, self.error_line) if line))
        if isinstance(handshake.address, ServerName):  # every other line has the port
            return errors
        host, port = handshake.address
        token = encode(Target("preflight", "https", host, port))
        request_line = f"GET http://{control_host}/{token}/ HTTP/1.1"
        return (
            self._text(RequestReceived(self.at, 1, "", "127.0.0.1", 0, request_line)),
            self._text(RequestSent(self.at, 1, "", handshake.ip, port, "GET / HTTP/1.1")),
            *errors,
            self._text(ResponseSent(self.at, 1, "127.0.0.1", 0, f"HTTP/1.1 {self._status()}")),
        )

    def _status(self) -> str:
        """Return status and reason phrase of the response to the client."""
        page = self._handshake.error_page
        if self.refusal or (page is None and self._handshake.error_reason):
            page = ERROR_PAGES["connect-failed"]
        return f"{page.status} {page.reason}" if page is not None else _OK

    def _warning(self, fault: CertificateFault, text: str) -> str:
        host, ip = self._handshake.address.host, self._handshake.ip
        if fault.number is None:
            return self._text(NameMismatch(self.at, 0, host, "Terminate", host, ip))
        return self._text(VerifyFailed(self.at, 0, host, "Terminate", text, host, ip, fault.depth))

    def _error(self, text: str) -> str:
        return self._text(HandshakeFailed(self.at, 0, self._handshake.address.host, text))

    def _text(self, event: Event) -> str:
        return self._writer.format(event).removesuffix("\n")
