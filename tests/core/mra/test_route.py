"""Routes: decisions from a request head, cached as long as their inputs stay the same."""

from __future__ import annotations

import base64

import pytest

from mralab.core.http.framing import Malformed
from mralab.core.http.rewrite import Hop
from mralab.core.mra.allowlist import AllowList, parse_rules_csv
from mralab.core.mra.route import Denial, ForwardedRequest, Routes
from mralab.core.mra.target import Target, encode

CONTROL = "vcs_control.steven.lab:8443"
TOKEN = encode(Target("steven.lab", "https", "cucm.steven.lab", 8443))
HOP = Hop(b"vcs", b"11111111-2222-4333-8444-555555555555")
RULES = "Url,Deployment,HttpMethods,MatchType,Description\nhttps://cucm.steven.lab:8443/a,,,prefix,\n"


def routes(rules: str = RULES, *, keep_alive: bool = True) -> Routes:
    return Routes(AllowList(parse_rules_csv(rules, "test")), CONTROL, HOP, keep_alive=keep_alive)


def head(path: str = "/a", fields: str = "", method: str = "GET") -> bytes:
    return f"{method} /{TOKEN}{path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode()


def forwarded(found: Routes, data: bytes, ip: str = "127.0.0.1") -> ForwardedRequest:
    outcome = found.find(data, ip).outcome
    assert isinstance(outcome, ForwardedRequest)
    return outcome


def test_the_tracking_id_is_inserted_at_its_position() -> None:
    found = forwarded(routes(), head())
    expected = (
        "GET /a HTTP/1.1\r\nHost: cucm.steven.lab:8443\r\nTrackingID: ID\r\nClient-ip: 127.0.0.1\r\n"
        f"X-Forwarded-For: 127.0.0.1\r\nVia: {HOP.via(1).decode()}\r\n\r\n"
    )
    assert found.wire(b"ID").decode() == expected
    assert (b"TrackingID", b"ID") in found.fields_sent(b"ID")
    assert (b"TrackingID", b"") in found.fields  # the cached route has no tracking ID


def test_a_clients_own_tracking_id_is_kept_and_an_empty_one_filled() -> None:
    route = routes().find(head(fields="TrackingID: mine\r\n"), "127.0.0.1")
    assert route.tracking_id == "mine"
    assert isinstance(route.outcome, ForwardedRequest)
    assert b"\r\nTrackingID: mine\r\n" in route.outcome.wire(b"other")
    assert b"other" not in route.outcome.wire(b"other")
    empty = forwarded(routes(), head(fields="TrackingID:\r\nX: y\r\n"))
    assert b"\r\nTrackingID: ID\r\nX: y\r\n" in empty.wire(b"ID")


def test_a_user_name_of_a_whole_head_is_kept_shortened() -> None:
    credentials = base64.b64encode(b"u" * 90_000 + b":password").decode()
    found = forwarded(routes(), head(fields=f"Authorization: Basic {credentials}\r\n"))
    assert found.permission.username == "u" * 1024 + "..."
    assert f"Authorization: Basic {credentials}\r\n".encode() in found.wire(b"")  # the server gets all of it


def test_the_same_head_from_another_address_is_another_route() -> None:
    found = routes()
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in forwarded(found, head()).wire(b"")
    assert b"X-Forwarded-For: ::1\r\n" in forwarded(found, head(), "::1").wire(b"")
    assert found.find(head(), "::1") is found.find(head(), "::1")


def test_changed_rules_need_a_new_decision() -> None:
    assert isinstance(routes().find(head(), "127.0.0.1").outcome, ForwardedRequest)
    denied = routes(RULES.replace("/a,", "/b,")).find(head(), "127.0.0.1").outcome
    assert isinstance(denied, Denial)
    assert (denied.answer, denied.url) == ("denied", "https://cucm.steven.lab:8443/a")


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "no-connect"),
        (head(fields=f"Via: {HOP.via(1).decode()}\r\n"), "cycle"),
        (head(fields="Connection: upgrade\r\nUpgrade: foo\r\n"), "bad-upgrade"),
        (b"GET /nothing/a HTTP/1.1\r\nHost: h\r\n\r\n", "not-found"),
        (b"GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n", "not-found-absolute"),
        (b"GET https://127.0.0.1/a HTTP/1.1\r\nHost: h\r\n\r\n", "bad-request"),
        (head("/b"), "denied"),
    ],
)
def test_a_route_without_a_server_has_its_response(data: bytes, answer: str) -> None:
    outcome = routes().find(data, "127.0.0.1").outcome
    assert isinstance(outcome, Denial)
    assert outcome.answer == answer


def test_a_method_that_needs_a_length_is_answered_after_it_was_allowed() -> None:
    assert forwarded(routes(), head(method="POST")).answer == "length-required"
    assert forwarded(routes(), head(method="POST", fields="Content-Length: 0\r\n")).answer == ""


@pytest.mark.parametrize(
    ("method", "fields", "repeatable"),
    [
        ("GET", "", True),
        ("GET", "Content-Length: 1\r\n", False),
        ("POST", "Content-Length: 0\r\n", False),
        ("PUT", "Content-Length: 1\r\n", False),
    ],
)
def test_only_safe_requests_without_a_body_are_sent_again(method: str, fields: str, repeatable: bool) -> None:
    assert routes().find(head(method=method, fields=fields), "127.0.0.1").repeatable is repeatable


def test_refused_framing_keeps_the_request_head() -> None:
    with pytest.raises(Malformed) as caught:
        routes().find(head(method="HEAD", fields="Content-Length: x\r\n"), "127.0.0.1")
    assert caught.value.head is not None
    assert caught.value.head.method == b"HEAD"


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mralab.core.mra.route._MOST_CACHED", 10)
    found = routes()
    first = found.find(head("/a0"), "127.0.0.1")
    for number in range(1, 11):
        found.find(head(f"/a{number}"), "127.0.0.1")
    assert found.find(head("/a10"), "127.0.0.1") is found.find(head("/a10"), "127.0.0.1")
    assert found.find(head("/a0"), "127.0.0.1") is not first
    large = head(fields=f"X: {'x' * 4096}\r\n")
    assert found.find(large, "127.0.0.1") is not found.find(large, "127.0.0.1")
