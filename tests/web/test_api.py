"""The control API of a running proxy: changes apply from the next request on."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from mralab.config import from_mapping
from mralab.core.mra.allowlist import parse_rules_csv
from mralab.diagnose.event_buffer import Recent
from mralab.net.settings import Settings, from_message
from mralab.tls.trust_store import TrustStore, parse_pem
from mralab.web.guard import is_loopback

from .conftest import Administered

JSON = {"Content-Type": "application/json"}
_PID = re.compile(r"(?<= traffic_server)\[\d+\](?=: )")


async def test_a_change_applies_from_the_next_request_on(admin: Administered) -> None:
    assert await admin.status() == 502
    status, config = await admin.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
    assert (status, config["verify"]["origin"]) == (200, "off")
    assert await admin.status() == 200
    assert await admin.ask("GET", "/api/config") == (200, config)


async def test_the_configuration_says_that_there_is_no_lab(admin: Administered) -> None:
    assert (await admin.ask("GET", "/api/config"))[1]["lab"] is False
    assert (await admin.ask("GET", "/api/lab"))[0] == 409


async def test_expressway_spellings_are_accepted(admin: Administered) -> None:
    change = {"release": "x14.3.1", "verify": {"origin": "PERMISSIVE"}, "upstream": {"ciphers": "HIGH"}}
    status, config = await admin.ask("PATCH", "/api/config", change)
    assert (status, config["release"], config["verify"]["origin"]) == (200, "X14.3.1", "audit")
    assert config["upstream"]["prefer"] is None  # the cipher string alone decides
    _, config = await admin.ask("PATCH", "/api/config", {"upstream": {"prefer": "rsa"}})
    assert config["upstream"]["prefer"] == "rsa"


async def test_keys_that_are_not_set_follow_the_release(admin: Administered) -> None:
    _, before = await admin.ask("GET", "/api/config")
    _, after = await admin.ask("PATCH", "/api/config", {"release": "X14.0.7"})
    assert (before["verify"]["origin"], before["upstream"]["prefer"]) == ("on", "ecdsa")
    assert (after["verify"]["origin"], after["upstream"]["prefer"]) == ("off", "rsa")


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (
            {"release": "X14", "verify": {"orign": "off", "ip_san": "accpt"}, "proxy": {"workers": 2}, "uptsream": {}},
            [
                "proxy: cannot be changed while running",
                "release: is not a known release; known: X12.5, ",
                "verify.ip_san: must be accept or ignore; did you mean 'accept'? (is 'accpt')",
                "verify.orign: unknown key; did you mean 'origin'?",
                "uptsream: unknown table or key; did you mean 'upstream'?",
            ],
        ),
        ({"upstream": {"attempts": 0}}, ["upstream.attempts: "]),
        ({"self": 1, "folder": "/"}, ["self: unknown", "folder: unknown"]),
        ({"verify": "off"}, ["verify: "]),
    ],
)
async def test_an_invalid_change_is_refused_with_the_reasons(
    admin: Administered, change: Any, problems: list[str]
) -> None:
    before = await admin.ask("GET", "/api/config")
    status, answer = await admin.ask("PATCH", "/api/config", change)
    assert (status, answer["error"]["code"]) == (400, "invalid")
    told = answer["error"]["problems"]
    assert len(told) == len(problems)
    for problem in problems:
        assert any(one.startswith(problem) or problem in one for one in told), (problem, told)
    assert await admin.ask("GET", "/api/config") == before


async def test_a_table_in_place_of_a_key_that_is_set_is_refused(admin: Administered) -> None:
    await admin.ask("PATCH", "/api/config", {"release": "X14.0.7"})
    status, answer = await admin.ask("PATCH", "/api/config", {"release": {}})
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert answer["error"]["problems"][0].startswith("release: must be ")


async def test_a_cipher_string_unknown_to_openssl_is_refused(admin: Administered) -> None:
    change = {"release": "X14.0.7", "upstream": {"ciphers": "NIX"}}
    status, answer = await admin.ask("PATCH", "/api/config", change)
    assert (status, answer["error"]["code"]) == (409, "unusable")
    assert answer["error"]["problems"][0].startswith("upstream.ciphers: ")
    assert (await admin.ask("GET", "/api/config"))[1]["release"] == "X14.2"


async def test_trust_is_added_listed_and_removed(admin: Administered, pem: str) -> None:
    assert await admin.status() == 502
    status, answer = await admin.ask("POST", "/api/trust", {"pem": pem})
    (certificate,) = answer["certificates"]
    assert (status, answer["added"]) == (200, 1)
    assert certificate["subject"] == certificate["issuer"]
    assert len(certificate["fingerprint"]) == 95
    assert certificate["not_before"] < certificate["not_after"]
    assert await admin.status() == 200

    _, again = await admin.ask("POST", "/api/trust", {"pem": pem})
    assert (again["added"], again["certificates"]) == (0, [certificate])

    gone = {"fingerprints": [certificate["fingerprint"].replace(":", "").lower()]}
    for removed in (1, 0):
        assert await admin.ask("DELETE", "/api/trust", gone) == (
            200,
            {"certificates": [], "added": 0, "removed": removed},
        )
    assert await admin.status() == 502
    await admin.ask("POST", "/api/trust", {"pem": pem})
    assert (await admin.ask("DELETE", "/api/trust", {"pem": pem}))[1]["removed"] == 1


async def test_one_damaged_certificate_refuses_the_whole_request(admin: Administered, pem: str) -> None:
    damaged = f"{pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n"
    status, answer = await admin.ask("POST", "/api/trust", {"pem": damaged})
    assert (status, answer["error"]["code"]) == (409, "unusable")
    assert len(answer["error"]["problems"]) == 2
    assert (await admin.ask("GET", "/api/trust"))[1]["certificates"] == []


async def test_a_refused_request_is_in_transactions_findings_and_log(admin: Administered) -> None:
    assert await admin.status() == 502
    _, answer = await admin.ask("GET", "/api/transactions")
    (served,) = answer["transactions"]
    assert (served["status"], served["verdict"], served["attempts"], served["username"]) == (502, "refused", 2, "emusk")
    _, answer = await admin.ask("GET", "/api/findings")
    (finding,) = answer["findings"]
    assert (finding["code"], finding["port"], finding["count"]) == ("issuer-missing", admin.server.port, 2)
    assert finding["remedies"][0]["where"]
    _, log = await admin.ask("GET", "/api/log")
    assert len(log["lines"]) == log["total"] == 9
    _, last = await admin.ask("GET", "/api/log?most=2")
    assert (last["lines"], last["total"]) == (log["lines"][-2:], 9)


async def test_diagnostic_logging_returns_the_lines_between_start_and_stop(admin: Administered) -> None:
    await admin.status()
    status, answer = await admin.ask("POST", "/api/diagnostic-logging/stop")
    assert (status, answer["error"]["code"]) == (409, "not-started")
    assert (await admin.ask("POST", "/api/diagnostic-logging/start"))[0] == 200
    await admin.status()
    async with admin.session.post(f"http://{admin.address}/api/diagnostic-logging/stop") as response:
        assert response.content_type == "application/gzip"
        disposition = response.headers["Content-Disposition"]
        data = await response.read()
    await admin.status()
    assert 'filename="diagnostic_log_vcsc_' in disposition
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        log_name, *others = archive.getnames()
        assert [name.rpartition("/")[2].partition("_vcsc_")[0] for name in others] == [
            "xconf_dump",
            "xstat_dump",
            "eth0_diagnostic_logging_tcpdump00",
        ]
        file = archive.extractfile(log_name)
        assert file is not None
        lines = file.read().decode().splitlines()
    assert len(lines) == 9
    _, log = await admin.ask("GET", "/api/log")
    assert [_PID.sub("", line) for line in lines] == [_PID.sub("", line) for line in log["lines"][9:18]]


async def test_each_reset_restores_the_settings_of_the_start(admin: Administered, pem: str) -> None:
    start = await admin.ask("GET", "/api/config")
    await admin.ask("PATCH", "/api/config", {"release": "X14.0.7", "upstream": {"attempts": 1}})
    await admin.ask("POST", "/api/trust", {"pem": pem})
    await admin.ask("POST", "/api/diagnostic-logging/start")
    await admin.status()
    for _ in range(2):
        assert await admin.ask("POST", "/api/reset") == start
        assert (await admin.ask("GET", "/api/trust"))[1]["certificates"] == []
        assert (await admin.ask("GET", "/api/transactions"))[1]["total"] == 0
        assert (await admin.ask("GET", "/api/log"))[1]["lines"] == []
    assert (await admin.ask("POST", "/api/diagnostic-logging/stop"))[0] == 409
    assert await admin.status() == 502


async def test_reset_calls_the_functions_registered_for_it(admin: Administered) -> None:
    lifted: list[bool] = []
    admin.control.on_reset.append(lambda: lifted.append(True))
    for times in (1, 2):
        await admin.ask("POST", "/api/reset")
        assert len(lifted) == times


async def test_health_checks_each_process(admin: Administered) -> None:
    status, answer = await admin.ask("GET", "/api/health")
    assert (status, answer["status"], answer["release"]) == (200, "ok", "X14.2")
    assert [(check["name"], check["ok"]) for check in answer["checks"]] == [
        ("proxy", True),
        ("log", True),
        ("worker 0", True),
    ]


async def test_health_fails_while_the_log_is_not_written(admin: Administered, tmp_path: Path) -> None:
    """The health check itself writes to the log, so no traffic is needed."""
    log = tmp_path / "traffic_server.log"
    log.unlink()
    log.mkdir()
    for lost in (0, 9):
        status, answer = await admin.ask("GET", "/api/health")
        (failing,) = (check for check in answer["checks"] if not check["ok"])
        assert (status, failing["name"], failing["address"]) == (503, "log", str(log))
        assert failing["error"].startswith("cannot be written: Is a directory")
        assert (f"{lost} entries were lost since the start" in failing["error"]) == bool(lost)
        if not lost:
            assert await admin.status() == 502  # traffic goes on
    log.rmdir()
    async with asyncio.timeout(10):
        while (await admin.ask("GET", "/api/health"))[0] != 200:
            pass  # for a second it reports the failed write
    _, answer = await admin.ask("GET", "/api/health")
    (check,) = (check for check in answer["checks"] if check["name"] == "log")
    assert check["ok"]
    assert check["note"].startswith("9 entries were lost since the start, the last at 20")
    assert log.read_text() == ""  # the attempts leave nothing behind


async def test_health_fails_while_no_connection_can_be_accepted(admin: Administered) -> None:
    admin.proxy._refused(OSError(24, "Too many open files"))
    status, answer = await admin.ask("GET", "/api/health")
    assert status == 503
    assert [(check["name"], check["error"]) for check in answer["checks"] if not check["ok"]] == [
        ("worker 0", "connections cannot be accepted: Too many open files")
    ]


async def test_health_notes_that_new_connections_wait(admin: Administered) -> None:
    admin.proxy.apply(admin.proxy.config.changed(limits={"connections": 1}))
    _, writer = await asyncio.open_connection(admin.proxy.host, admin.proxy.port)
    note = ""
    async with asyncio.timeout(10):
        while "limits.connections" not in note:
            status, answer = await admin.ask("GET", "/api/health")
            (note,) = (check["note"] for check in answer["checks"] if check["name"] == "worker 0")
            assert status == 200
    writer.close()
    await writer.wait_closed()


async def test_records_dropped_from_memory_are_reported(admin: Administered) -> None:
    _, before = await admin.ask("GET", "/api/log")
    assert before["lost"] == []
    recent = admin.control._journal()
    assert isinstance(recent, Recent)
    recent._most = 20
    for _ in range(5):
        assert await admin.status() == 502
    for path, kept in (("log", "lines"), ("transactions", "transactions"), ("findings", "findings")):
        _, answer = await admin.ask("GET", f"/api/{path}")
        (lost,) = answer["lost"]
        assert lost["since"] <= lost["until"]
        assert "no longer holds" in lost["what"]
        if path == "log":
            assert lost["entries"] + answer["total"] == 45
        if path == "transactions":
            assert lost["requests"] + answer["total"] == 5
        assert answer[kept]
    await admin.ask("POST", "/api/reset")
    assert (await admin.ask("GET", "/api/log"))[1]["lost"] == []


async def test_a_report_is_sent_only_if_the_counters_changed(admin: Administered) -> None:
    told: list[tuple[str, Any]] = []

    def tell(name: str, params: Any) -> bool:
        told.append((name, params))
        return True

    admin.control._notify = tell
    for requests in (0, 1):
        for _ in range(3):
            admin.control.report()
        assert [(name, params["requests"], params["stats"]["attempts"]) for name, params in told] == [
            ("report", count, 2 * count) for count in range(requests + 1)
        ]
        assert await admin.status() == 502
    admin.control._notify = lambda *_: False  # a process that does not listen is told later
    admin.control.report()
    admin.control._notify = tell
    admin.control.report()
    assert told[-1][1]["requests"] == 2


async def test_counters_stay_when_the_proxy_stops(admin: Administered) -> None:
    """A process that finishes its requests still answers for a while."""
    assert await admin.status() == 502
    before = admin.proxy.stats.snapshot()
    await admin.proxy.stop()
    after = admin.proxy.stats.snapshot()
    assert after["requests"] == before["requests"] != []
    assert after["log_written"] == 9


async def test_health_calls_the_probes(admin: Administered) -> None:
    async def broken() -> None:
        raise ConnectionRefusedError("nobody listens")

    admin.control.probes["cucm 8443", "127.0.0.1:1"] = broken
    status, answer = await admin.ask("GET", "/api/health")
    assert (status, answer["status"]) == (503, "failing")
    assert [(c["name"], c["error"]) for c in answer["checks"] if not c["ok"]] == [("cucm 8443", "nobody listens")]


async def test_health_notices_a_proxy_that_no_longer_listens(admin: Administered) -> None:
    await admin.proxy.stop()
    status, answer = await admin.ask("GET", "/api/health")
    assert status == 503
    assert [check["name"] for check in answer["checks"] if not check["ok"]] == ["proxy"]


async def test_events_have_log_lines_and_changes_as_they_happen(admin: Administered) -> None:
    async with asyncio.timeout(10), admin.session.get(f"http://{admin.address}/api/events") as response:
        assert response.content_type == "text/event-stream"
        assert await response.content.readuntil(b"\n\n") == b": follows\n\n"
        await admin.status()
        await admin.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
        seen = [await response.content.readuntil(b"\n\n") for _ in range(10)]
    kinds = [block.decode().splitlines()[1] for block in seen]
    assert kinds == ["event: log"] * 9 + ["event: config"]
    _, log = await admin.ask("GET", "/api/log")
    first = json.loads(seen[0].decode().splitlines()[2].removeprefix("data: "))
    assert first["line"].partition("]: ")[2] == log["lines"][0].partition("]: ")[2]

    headers = {"Last-Event-ID": "8"}
    async with (
        asyncio.timeout(10),
        admin.session.get(f"http://{admin.address}/api/events", headers=headers) as response,
    ):
        await response.content.readuntil(b"\n\n")
        assert [await response.content.readuntil(b"\n\n") for _ in range(2)] == seen[8:]


async def test_metrics_count_what_happened(admin: Administered) -> None:
    await admin.status()
    await admin.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
    await admin.status()
    async with admin.session.get(f"http://{admin.address}/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        families = list(text_string_to_metric_families(await response.text()))
    values = {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}
    assert values["mralab_requests_total", "502", "refused"] == 1
    assert values["mralab_requests_total", "200", "passed"] == 1
    assert values["mralab_handshakes_total", "refused"] == 2
    assert values["mralab_attempts_total",] == 3
    assert values["mralab_request_duration_seconds_count",] == 2
    assert values["mralab_request_duration_seconds_bucket", "+Inf"] == 2
    assert values["mralab_bytes_total", "out", "client"] > 0
    assert ("mralab_loop_delay_seconds_count",) in values
    assert ("mralab_log_entries_lost_total",) in values
    assert values["mralab_workers_up",] == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "host-not-loopback"),
        ({"Host": "127.0.0.1.evil.example"}, "host-not-loopback"),
        ({"Host": "user@127.0.0.1"}, "host-not-loopback"),
        ({"Host": "10.48.36.46"}, "host-not-loopback"),
        ({"Origin": "https://evil.example"}, "foreign-origin"),
        ({"Origin": "null"}, "foreign-origin"),
        ({"Origin": "http://localhost:3000"}, "foreign-origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "foreign-origin"),
        ({"Sec-Fetch-Site": "same-site"}, "foreign-origin"),
    ],
)
async def test_other_origins_and_hosts_are_refused(admin: Administered, headers: dict[str, str], code: str) -> None:
    for method, path in (("GET", "/api/log"), ("POST", "/api/reset"), ("OPTIONS", "/api/config"), ("GET", "/metrics")):
        status, answer = await admin.ask(method, path, headers=headers)
        assert (status, answer["error"]["code"]) == (403, code)


async def test_a_page_of_the_same_origin_is_served(admin: Administered) -> None:
    headers = {"Origin": f"http://{admin.address}", "Sec-Fetch-Site": "same-origin"}
    assert (await admin.ask("POST", "/api/reset", headers=headers))[0] == 200
    assert (await admin.ask("GET", "/api/health", headers={"Host": "localhost:1"}))[0] == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:41", "127.1.2.3", "[::1]", "[::1]:41235"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "::1", "localhost.", "0.0.0.0", "127.1", "localhost:x", "127.0.0.1/x", "[::1"])
def test_other_names(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code", "part"),
    [
        ("GET", "/api/transaction", {}, 404, "not-found", "did you mean '/api/transactions'?"),
        ("PUT", "/api/trust", {}, 405, "method-not-allowed", "PUT /api/trust"),
        ("GET", "/api/log?most=0", {}, 400, "invalid", "from 1 to 100000"),
        ("GET", "/api/log?mots=1&most=x", {}, 400, "invalid", "did you mean 'most'?"),
        ("POST", "/api/trust", {"data": "{}", "headers": {"Content-Type": "text/plain"}}, 415, "http", ""),
        ("DELETE", "/api/faults", {}, 415, "http", "DELETE /api/faults needs a body in JSON, at least {}"),
        ("POST", "/api/faults", {"data": "x", "headers": {"Content-Type": "application/x-pem-file"}}, 415, "http",
         "POST /api/faults takes no PEM"),
        ("POST", "/api/trust", {"data": "{", "headers": JSON}, 400, "invalid", "JSON"),
        ("POST", "/api/trust", {"data": b"\xff", "headers": JSON}, 400, "invalid", ""),
        ("POST", "/api/trust", {"data": "[" * 9999, "headers": JSON}, 400, "invalid", ""),
        ("POST", "/api/trust", {"json": []}, 400, "invalid", "object"),
        ("POST", "/api/trust", {"json": {"pme": ""}}, 400, "invalid", "did you mean 'pem'?"),
        ("POST", "/api/trust", {"json": {"pem": "\ud800"}}, 400, "invalid", "JSON"),
        ("POST", "/api/trust", {"data": io.BytesIO(bytes(1 << 21)), "headers": JSON}, 413, "too-large", ""),
        ("DELETE", "/api/trust", {"json": {}}, 400, "invalid", "one of them is required"),
        ("DELETE", "/api/trust", {"json": {"fingerprints": ["AB"]}}, 400, "invalid", "fingerprints.0"),
        ("PATCH", "/api/config", {"json": {"verify": {"origin": float("nan")}}}, 400, "invalid", "NaN"),
    ],
)  # fmt: skip
async def test_errors_are_json_with_the_reason(
    admin: Administered, method: str, path: str, options: dict[str, Any], status: int, code: str, part: str
) -> None:
    async with admin.session.request(method, f"http://{admin.address}{path}", **options) as response:
        assert (response.status, response.content_type) == (status, "application/json")
        error = (await response.json())["error"]
    assert error["code"] == code
    assert part in "\n".join(error["problems"])
    assert set(error) == {"code", "message", "problems", "hint"}


async def test_malformed_http_is_refused_without_a_traceback(
    admin: Administered, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = admin.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
    writer.close()
    await writer.wait_closed()
    assert caplog.records == []


def test_settings_are_the_same_after_a_message_to_another_process(ca: trustme.CA) -> None:
    rules = parse_rules_csv(
        "Url,Deployment,HttpMethods,MatchType,Description\n"
        'https://cucm.steven.lab:8443/a,,"GET,PUT",exact,"a, b"\nhttp://10.0.0.1,,,,\n',
        "rules",
    )
    config = from_mapping(
        {
            "verify": {"origin": "audit"},
            "upstream": {"connect_timeout": 2.5, "tls": ["1.2", "1.3"]},
            "hosts": {"cucm.steven.lab": {"dial": "127.0.0.1", "ports": {"8443": 41021}}},
        }
    )
    settings = Settings(config, TrustStore(parse_pem(ca.cert_pem.bytes(), "ca")), rules)
    carried = json.loads(json.dumps(settings.message(with_rules=True)))
    there = from_message(carried, ())
    assert (there.config, there.store.certificates, there.rules) == (config, settings.store.certificates, rules)
    assert from_message(json.loads(json.dumps(settings.message(with_rules=False))), rules[:1]).rules == rules[:1]
