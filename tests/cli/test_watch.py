"""``mralab watch`` shows the steps and findings of a running proxy as they happen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import pytest

from mralab.cli.schema import document_schema
from mralab.show.watch import Watcher, watch_text
from tests.net.conftest import HOST, Server
from tests.serving import Serving, control, get

from .command import mralab


@contextmanager
def watching(running: Serving, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "watch", "--admin", running.admin, *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(10)


def test_each_step_is_one_line_and_a_finding_has_its_remedies(running: Serving, server: Server) -> None:
    with watching(running) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert f"following the proxy of {running.admin}; Ctrl-C ends" in process.stderr.readline()
        get(running, server)
        steps = [process.stdout.readline() for _ in range(4)]
        finding = [process.stdout.readline() for _ in range(4)]
        control(running.admin, "PATCH", "/api/config", {"upstream": {"attempts": 3}})
        changed = next(line for line in process.stdout if not line.startswith("    "))
        assert interrupted(process) == 130
        assert process.stderr.read().strip() == ""
    place = f"{HOST}:{server.port}"
    assert [step.partition("Z  ")[2] for step in steps] == [
        f"client -> Expressway-C: GET https://{place}/x\n",
        f"Expressway-C -> {place}: GET https://{place}/x\n",
        f"Expressway-C -> {place}: refused: unable to get local issuer certificate\n",
        "Expressway-C -> client: 502 connect failed\n",
    ]
    assert finding[0] == "finding\n"
    assert finding[1].startswith("    issuer-missing: ")
    assert "log cannot tell" not in finding[1]  # a running proxy knows the issuer's name
    assert finding[2].startswith("    presented: ")  # as `mralab findings` says: the proxy knows more than its lines
    assert finding[3].startswith("    - ")
    assert changed.endswith("Z  configuration changed: upstream.attempts = 3\n")
    control(running.admin, "POST", "/api/reset")


def test_json_has_one_document_in_each_line(running: Serving, server: Server) -> None:
    validator = jsonschema_rs.validator_for(document_schema("watch"))
    with watching(running, "--json") as process:
        assert process.stdout is not None
        documents = [json.loads(process.stdout.readline())]
        get(running, server)
        documents += [json.loads(process.stdout.readline()) for _ in range(5)]
        assert interrupted(process) == 130
    for document in documents:
        validator.validate(document)
    assert [one["event"] for one in documents] == ["follows", "step", "step", "step", "step", "finding"]
    refused = documents[3]
    assert (refused["step"]["kind"], refused["step"]["code"], refused["to"]["name"]) == (
        "refused", "issuer-missing", HOST,
    )  # fmt: skip
    assert any("Action=Terminate" in line["text"] for line in refused["step"]["lines"])
    assert documents[-1]["finding"]["code"] == "issuer-missing"
    assert HOST in documents[-1]["finding"]["presented"][0]["names"]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_no_proxy_at_the_start_is_exit_2(arguments: list[str]) -> None:
    ended = mralab("watch", *arguments, admin="127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no control API at 127.0.0.1:1: " in ended.stderr


def test_hostile_lines_stay_text_and_need_no_order() -> None:
    evil = "evil\x1b[31m\u202e<script>"
    lines = [
        f'2026-01-29T14:01:16.974Z {evil} traffic_server[1]: UTCTime="2026-01-29 14:01:16,974"'
        f' Module="network.http.trafficserver" Level="INFO": Detail="Receive Request" Txn-id="7" TrackingID="{evil}"'
        f' Src-ip="127.0.0.1" Src-port="1" Last-via-addr="" Msg="GET http://{evil}/{evil} HTTP/1.1"',
        "2026-01-29T14:01:16.974Z vcsc traffic_server[1]: [ET_NET 1] WARNING: Core server certificate verification"
        f" failed for ({evil}). Action=Terminate Error={evil} server={evil}(10.0.0.1) depth=0",
        evil,
        "",
    ]
    watcher = Watcher()
    documents = [one for line in lines for one in watcher.take("log", {"worker": 0, "line": line})]
    documents += [*watcher.pause(), *watcher.take(evil, {evil: evil})]
    assert len(documents) >= 3
    for width in (None, 40):
        shown = "\n".join(watch_text(document, width).plain for document in documents)
        assert "<script>" in shown
        assert not set(shown) & set("\x1b\u202e")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("missed", {"count": "\x1b[31m\n"}),
        ("worker", {"worker": "\x1b"}),
        ("trust", {"\x1b": {"\u202e": 1}}),
        ("config", {"changed": 5}),
        ("config", {"changed": ["\ud800"]}),
        ("config", {"values": {"\x1b": "\u202e", "hosts.\n": {"\x1b": "\ud800"}}, "left_out": "\x1b"}),
        ("config", {"changed": ["\x1b"], "values": {}}),
        ("lab", {"what": "\x1b", "text": ["\n"]}),
        ("lab", {}),
        ("gone", {"reason": "\x1b]0;x\x07"}),
        ("follows", {}),
        ("log", {}),
        ("log", {"line": None}),
        ("other", {"\x1b": ["\n"]}),
    ],
)
def test_data_that_no_proxy_sends_stays_text(kind: str, data: dict[str, Any]) -> None:
    watcher = Watcher()
    for document in (*watcher.take(kind, data), *watcher.pause()):
        assert watch_text(document, None).plain.isprintable()


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("config", {"changed": ["release"], "values": {"release": "X14.0.7", "verify.origin": "off"}},
         "configuration changed: release = X14.0.7; verify.origin = off"),
        ("config", {"changed": ["upstream"], "values": {"upstream.tls": ["1.2", "1.3"], "upstream.prefer": None,
                                                        "upstream.connect_timeout": 7.0}},
         "configuration changed: upstream.tls = 1.2,1.3; upstream.prefer = -; upstream.connect_timeout = 7"),
        ("config", {"changed": ["hosts"], "values": {"hosts.a.lab": {"dial": "127.0.0.1"}, "hosts.b.lab": None}},
         'configuration changed: hosts.a.lab = {"dial": "127.0.0.1"}; hosts.b.lab removed'),
        ("config", {"changed": ["hosts"], "values": {"hosts.b.lab": None}, "left_out": 9},
         "configuration changed: hosts.b.lab removed; 9 more"),
        ("config", {"changed": ["upstream", "verify"], "values": {}},
         "configuration set to the values in force: upstream, verify"),
        ("config", {"changed": ["upstream"]}, "configuration changed: upstream"),
        ("lab", {"what": "setting", "text": "advertise = ip"}, "lab changed: setting: advertise = ip"),
    ],
)  # fmt: skip
def test_a_change_is_shown_with_the_new_value(kind: str, data: dict[str, Any], text: str) -> None:
    (document,) = Watcher().take(kind, data)
    assert watch_text(document, None).plain.partition("Z  ")[2] == text


def test_a_step_is_shown_once_and_again_after_the_proxy_was_gone() -> None:
    line = (
        '2026-01-29T14:01:16.974Z vcsc traffic_server[1]: UTCTime="2026-01-29 14:01:16,974"'
        ' Module="network.http.trafficserver" Level="INFO": Detail="Receive Request" Txn-id="7" TrackingID=""'
        ' Src-ip="127.0.0.1" Src-port="1" Last-via-addr="" Msg="GET http://a:8443/x HTTP/1.1"'
    )
    watcher = Watcher()
    events = []
    for _ in range(2):
        for _ in range(2):
            events += [one.event for one in watcher.take("log", {"line": line})]
            events += [one.event for one in watcher.pause()]
        events += [one.event for one in watcher.take("gone", {"reason": ""})]
    assert events == ["step", "gone", "step", "gone"]
