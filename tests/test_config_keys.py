"""Declarations of the configuration keys: what is derived from them, and that a running proxy follows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import aiohttp
import pytest
import trustme
from pydantic import BaseModel, Field

from mralab.config import (
    KEYS,
    Config,
    DeclaredKey,
    HostEntry,
    Key,
    changed_values,
    declared_keys,
    from_mapping,
    live_names,
    live_tables,
    load,
    split_change,
    values_in_force,
)
from mralab.control.local import LocalControl
from mralab.diagnose.event_buffer import Recent
from mralab.net.client_limits import ClientLimits
from mralab.net.policy import Policy
from mralab.net.traffic_server import TrafficServer
from mralab.web.api import serve_admin
from mralab.web.schemas import ConfigChange, change_model
from tests import config_reference
from tests.serving import toml

BESIDE: dict[str, dict[str, Any]] = {"upstream.key": {"certificate": "own.crt"}}
"""Other keys of the table without which the example of a key is invalid."""
START: dict[str, Any] = {
    "proxy": {"listen": "127.0.0.1:0", "admin": ""},
    "trust": {"store": ""},
    "hosts": {"cucm.example.test": {"dial": "127.0.0.1"}},
    "log": {"file": "traffic_server.log"},
}
"""The configuration of the running proxy."""


def named(applies: str) -> list[Any]:
    return [pytest.param(key, id=key.path) for key in KEYS if key.key.applies == applies]


def with_example(declared: DeclaredKey) -> dict[str, Any]:
    """Return the tables that set a key to its example."""
    example = declared.key.example
    if not declared.table:
        return {declared.name: example}
    return {declared.table: {**BESIDE.get(declared.path, {}), declared.name: example}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the examples name."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = ca.issue_cert("vcsc.steven.lab")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.crt"))
    (tmp_path / "rules.csv").write_text("Url,Deployment,HttpMethods,MatchType,Description\nhttps://a.test/,,,,\n")
    return tmp_path


class Running(NamedTuple):
    """A proxy, its control, and the URL of its control API."""

    proxy: TrafficServer
    control: LocalControl
    url: str


@pytest.fixture
async def running(folder: Path) -> AsyncIterator[Running]:
    recent = Recent("vcsc", 18242)
    async with TrafficServer(from_mapping(START, folder), listener=recent.take) as proxy:
        control = LocalControl(lambda: proxy, lambda: recent, folder / "mralab.toml")
        async with serve_admin(control) as address:
            yield Running(proxy, control, f"http://{address}/api/config")


def in_force(proxy: TrafficServer) -> dict[str, Any]:
    """Return the settings as requests use them; the configuration would also show values that nothing uses."""
    policy, services, acceptor = proxy._policy, proxy._services, proxy._acceptor
    assert services is not None
    assert acceptor is not None
    identity = policy.settings.identity
    return {
        **{name: getattr(policy, name) for name in {*Policy.__slots__} - {"config", "settings", "generation"}},
        "tls": policy.tls.settings,
        "store": policy.store.certificates,
        "identity": identity and identity.secret_pem(),
        "allow": (type(policy.allow), policy.allow.rules),
        **{
            name: getattr(limit := getattr(services.limits, name), "_seconds", limit) for name in ClientLimits.__slots__
        },
        "most clients": acceptor.limit,
    }


def test_every_example_is_valid_and_differs_from_the_default(folder: Path) -> None:
    for declared in KEYS:
        assert declared.value(from_mapping(with_example(declared), folder)) != declared.default, declared.path
    for declared in declared_keys(HostEntry):
        assert HostEntry.model_validate({declared.name: declared.key.example}) != HostEntry(), declared.path


def test_a_key_without_a_declaration_or_with_two_is_an_error() -> None:
    class Missing(BaseModel):
        color: str = ""

    class Twice(BaseModel):
        color: Annotated[str, Key("One.", "live", "red"), Key("Two.", "start", "red")] = ""

    for model, number in ((Missing, 0), (Twice, 2)):
        with pytest.raises(TypeError, match=rf"\.color: needs one Key in its annotation, has {number}"):
            list(declared_keys(model))


def test_every_description_is_a_sentence() -> None:
    for declared in (*KEYS, *declared_keys(HostEntry)):
        text = declared.key.description
        assert text[0] == "`" or text[0].isupper(), declared.path
        assert text.endswith("."), declared.path


def test_the_reference_page_is_up_to_date() -> None:
    assert config_reference.FILE.read_text() == config_reference.document(), "python -m tests.config_reference"


async def test_what_is_in_force_stays_the_same_unless_a_key_changes(running: Running, folder: Path) -> None:
    before = in_force(running.proxy)
    await reload(running, folder, {})
    await running.control.change({})
    assert in_force(running.proxy) == before


@pytest.mark.parametrize("declared", named("live"))
async def test_a_live_key_is_in_force_after_a_patch(declared: DeclaredKey, running: Running) -> None:
    before = in_force(running.proxy)
    async with (
        aiohttp.ClientSession() as session,
        session.patch(running.url, json=with_example(declared)) as response,
    ):
        answer = await response.json()
        assert response.status == 200, answer
    shown = answer[declared.table][declared.name] if declared.table else answer[declared.name]
    assert shown == declared.value(running.proxy.config) == declared.key.example
    assert in_force(running.proxy) != before, "declared live, but net.policy does not use it"


@pytest.mark.parametrize("declared", [*named("live"), *named("reload")])
async def test_a_key_that_is_not_for_the_start_alone_is_in_force_after_a_reload(
    declared: DeclaredKey, running: Running, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_force(running.proxy)
    await reload(running, folder, with_example(declared))
    assert in_force(running.proxy) != before
    assert "next start" not in capsys.readouterr().err


@pytest.mark.parametrize("declared", [*named("reload"), *named("start")])
async def test_a_key_that_is_not_live_is_refused_in_a_patch(declared: DeclaredKey, running: Running) -> None:
    before = running.proxy.config
    async with (
        aiohttp.ClientSession() as session,
        session.patch(running.url, json=with_example(declared)) as response,
    ):
        assert response.status == 400
        (problem,) = (await response.json())["error"]["problems"]
    name = declared.path if declared.table in live_tables() else declared.table or declared.name
    elsewhere = {
        "hosts": ": cannot be changed here; PUT and DELETE /api/hosts/NAME change hosts",
        "trust": ": cannot be changed here; POST and DELETE /api/trust change the trust store",
    }
    assert problem == name + elsewhere.get(name, ": cannot be changed while running")
    assert running.proxy.config is before


async def test_a_reload_names_the_keys_that_need_a_restart(
    running: Running, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [declared for declared in KEYS if declared.key.applies == "start"]
    tables: dict[str, Any] = {"proxy": {"listen": "127.0.0.1:1", "admin": "127.0.0.1:0"}}
    for declared in keys:
        for name, values in with_example(declared).items():
            tables[name] = {**values, **tables.get(name, {})}
    await reload(running, folder, tables)
    assert capsys.readouterr().err.splitlines()[0] == (
        f"mralab: reload: {', '.join(declared.path for declared in keys)}: changed in {folder / 'mralab.toml'},"
        " but takes effect only at the next start"
    )
    for declared in keys:
        shown, began = declared.value(running.proxy.config), declared.value(from_mapping(START, folder))
        assert shown == (str(folder / str(began)) if declared.names_file and began else began)


async def test_another_spelling_of_a_path_needs_no_restart(
    running: Running, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await reload(running, folder, {"log": {"file": str(folder / "traffic_server.log")}})
    assert "next start" not in capsys.readouterr().err


async def reload(running: Running, folder: Path, tables: dict[str, Any]) -> None:
    """Write the start configuration with ``tables`` changed, and reload it."""
    merged = {**START}
    for name, values in tables.items():
        merged[name] = {**START.get(name, {}), **values} if isinstance(values, dict) else values
    (folder / "mralab.toml").write_text(toml(merged))
    await running.control.reload()


def test_the_schema_of_a_change_has_the_live_keys() -> None:
    schema = ConfigChange.model_json_schema()
    assert set(schema["properties"]) == set(live_tables())
    assert {"release", "verify", "upstream"} <= set(live_names())
    assert schema["properties"]["release"]["description"]


class _Paint(BaseModel):
    """``[paint]``: one live key beside one for the start."""

    color: Annotated[str, Field(min_length=1), Key("The colour.", "live", "red")] = "blue"
    coats: Annotated[int, Key("Number of coats.", "start", 2)] = 1


class _House(BaseModel):
    name: Annotated[str, Key("The name.", "live", "b")] = "a"
    paint: _Paint = _Paint()


def test_a_table_may_have_live_keys_beside_others() -> None:
    keys = tuple(declared_keys(_House))
    assert live_names(keys) == ["name", "paint.color"]
    assert split_change({"name": "b", "paint": {"color": "red", "coats": 2, "coat": 3}, "other": 1}, keys) == (
        {"name": "b", "paint": {"color": "red", "coat": 3}, "other": 1},
        ["paint.coats"],
    )
    schema = change_model(_House, live_tables(keys)).model_json_schema()
    assert set(schema["properties"]) == {"name", "paint"}
    (paint,) = schema["$defs"].values()
    assert {name: value["minLength"] for name, value in paint["properties"].items()} == {"color": 1}
    assert paint["properties"]["color"]["description"] == "The colour."
    assert _Paint.model_json_schema()["properties"]["color"]["default"] == "blue"


def test_no_secret_is_among_the_values_that_are_shown() -> None:
    secrets = [declared for declared in KEYS if declared.is_secret]
    assert "proxy.admin_token" in [declared.path for declared in secrets]
    for declared in secrets:
        config = from_mapping({declared.table: {declared.name: "not-to-be-shown-anywhere"}})
        assert declared.value(config) == "not-to-be-shown-anywhere"
        assert "not-to-be-shown-anywhere" not in str(values_in_force(config))
        assert changed_values(Config(), config) == {}


def test_changed_values_are_those_in_force() -> None:
    hosts = {"a.lab": {"dial": "127.0.0.1"}, "b.lab": {"dial": "127.0.0.1"}}
    before = from_mapping({"release": "X14.2", "hosts": hosts})
    after = from_mapping({"release": "X14.0.7", "hosts": {"b.lab": {"dial": "127.0.0.2"}}, "limits": {}})
    values = changed_values(before, after)
    assert (values["release"], values["verify.origin"]) == ("X14.0.7", "off")
    assert values["hosts.a.lab"] is None
    assert values["hosts.b.lab"]["dial"] == "127.0.0.2"
    assert not [path for path in values if not path.startswith(("release", "verify.", "upstream.", "hosts."))]
    assert changed_values(before, before.changed(release="X14.2")) == {}


async def test_a_reload_is_an_event_with_the_new_values(tmp_path: Path) -> None:
    file = tmp_path / "mralab.toml"
    file.write_text(toml({**START, "log": {"file": "-"}}), "utf-8")
    async with TrafficServer(load(file)) as proxy:
        control = LocalControl(lambda: proxy, lambda: Recent("vcsc", 1), file)
        published: list[tuple[str, Any]] = []
        control.stream.publish = lambda kind, data: published.append((kind, data))  # type: ignore[method-assign]
        await control.reload()
        assert published == []
        file.write_text(toml({**START, "log": {"file": "-"}, "upstream": {"attempts": 7}}), "utf-8")
        await control.reload()
        expected = {"changed": ["upstream"], "values": {"upstream.attempts": 7}, "left_out": 0}
        assert published == [("config", expected)]
        many = {f"host{number}.lab": {"dial": "127.0.0.1"} for number in range(150)}
        file.write_text(toml({**START, "log": {"file": "-"}, "hosts": many}), "utf-8")
        await control.reload()
        _, data = published[-1]
        assert (len(data["values"]), data["left_out"], data["changed"]) == (100, 52, ["hosts", "upstream"])
