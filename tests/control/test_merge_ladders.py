"""The ladders of several workers are merged into one."""

from __future__ import annotations

from typing import Any

from mralab.control.merge import merge_ladders
from mralab.diagnose.ladder_model import Ladder


def ladder(client: str, server: str, *ats: float) -> dict[str, Any]:
    participants = [
        {"id": "client", "role": "Client", "name": client, "addresses": [client] if client else []},
        {"id": "expressway", "role": "Expressway-C", "name": "vcsc" if client else "", "addresses": []},
    ]
    if server:
        participants.append({"id": "server-1", "role": "CUCM", "name": server, "addresses": [f"ip of {server}"]})
    steps: list[dict[str, Any]] = [
        {
            "number": number,
            "at": at,
            "from": "expressway",
            "to": "server-1",
            "kind": "refused",
            "text": "e",
            "label": "e",
            "server": server,
            "port": 8443,
            "status": None,
            "outcome": "refused",
            "ok": False,
            "times": 1,
            "transaction": 1,
            "process": 1,
            "certain": True,
            "code": "expired",
            "finding": 0,
            "lines": [],
        }
        for number, at in enumerate(ats, 1)
    ]
    head = {"schema": "mralab/ladder", "version": 1}
    return {**head, "participants": participants, "steps": steps, "transactions": len(ats), "omitted": 0}


def test_steps_are_in_the_order_of_time_and_servers_are_one() -> None:
    found = [{"code": "expired", "server": name, "port": 8443} for name in ("B", "A")]
    ladders = [ladder("10.0.0.1", "a", 1.0, 4.0), ladder("10.0.0.2", "b", 2.0), ladder("10.0.0.1", "a", 3.0)]
    merged = merge_ladders(ladders, found)
    Ladder.model_validate(merged)
    assert [(each["id"], each["name"]) for each in merged["participants"]] == [
        ("client", ""),
        ("expressway", "vcsc"),
        ("server-1", "a"),
        ("server-2", "b"),
    ]
    assert [(step["number"], step["at"], step["to"], step["finding"]) for step in merged["steps"]] == [
        (1, 1.0, "server-1", 1),
        (2, 2.0, "server-2", 0),
        (3, 3.0, "server-1", 1),
        (4, 4.0, "server-1", 1),
    ]
    assert merged["transactions"] == 4


def test_a_worker_without_requests_changes_nothing() -> None:
    merged = merge_ladders([ladder("", ""), ladder("10.0.0.1", "a", 1.0)], [])
    assert [each["name"] for each in merged["participants"]] == ["10.0.0.1", "vcsc", "a"]
    assert merged["steps"][0]["finding"] is None


def test_no_worker_answered() -> None:
    assert Ladder.model_validate(merge_ladders([], [])).steps == ()
