"""Names, subjects, headers and log lines with escape sequences, bidirectional overrides or script stay text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from mralab.lab.login_result import Login, Step
from mralab.show.screen import console
from mralab.show.sheet import show
from mralab.show.terminal import login_outcome, login_sheet

from .demo_output import process

HOSTILE = "evil\x1b[31m\x9b31m\u202egnp\x07<script>alert(1)</script>\r\nnext"
DANGEROUS = "\x1b\x9b\u202e\x07\r"
SCRIPT = "<script>alert(1)</script>"

FINDING = {
    "code": "self-signed", "server": HOSTILE, "ip": HOSTILE, "port": 8443, "error": HOSTILE, "depth": 0,
    "action": "Terminate", "count": 1, "first": 0.0, "last": 0.0, "evidence": [HOSTILE], "cause": f"{HOSTILE}: why",
    "remedies": [{"code": "x", "text": HOSTILE, "where": HOSTILE}], "reference": "", "dial": HOSTILE, "nearest": "",
}  # fmt: skip
TRANSACTION = {
    "started": 0.0, "verdict": "refused", "method": HOSTILE, "url": HOSTILE, "status": 502, "reason": HOSTILE,
    "error": HOSTILE, "denied": "", "because": HOSTILE, "nearest": "", "dial": HOSTILE,
}  # fmt: skip


class Api(BaseHTTPRequestHandler):
    """A control API whose every text is hostile."""

    answers: ClassVar[dict[str, dict[str, Any]]] = {
        "/api/findings": {"findings": [FINDING], "silent": [HOSTILE], "lost": [{"what": HOSTILE}]},
        "/api/transactions": {"transactions": [TRANSACTION], "silent": [HOSTILE], "lost": [{"what": HOSTILE}]},
        "/api/log": {"lines": [HOSTILE], "silent": [], "lost": []},
        "/api/trust": {"certificates": [{"fingerprint": "AA", "subject": HOSTILE, "not_after": "2030-01-01T00:00"}]},
    }

    def do_GET(self) -> None:
        body = json.dumps(self.answers[self.path.partition("?")[0]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("command", ["findings", "transactions", "log", "trust list"])
@pytest.mark.parametrize("width", [60, 200])
def test_answers_of_a_proxy(admin: str, command: str, width: int, tmp_path: Path) -> None:
    ended = process([*command.split(), "--admin", admin], tmp_path, width, terminal=False)
    assert ended.code in (0, 1)
    assert SCRIPT in ended.out
    assert not set(ended.out + ended.err) & set(DANGEROUS)


@pytest.mark.parametrize("width", ["60", "200"])
def test_a_login(width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", width)
    step = Step("UDS", "GET", f"https://{HOSTILE}/", HOSTILE, "UDS", 502, HOSTILE, meaning=HOSTILE, screen=HOSTILE)
    good = Step("UDS", "GET", f"https://{HOSTILE}/", HOSTILE, "UDS", 200, HOSTILE, ok=True, meaning=HOSTILE)
    login = Login("emusk", (good, step))
    show(login_sheet(login), console())
    console().print(login_outcome(login), soft_wrap=True)
    text = capsys.readouterr().out
    assert SCRIPT in text
    assert not set(text) & set(DANGEROUS)
