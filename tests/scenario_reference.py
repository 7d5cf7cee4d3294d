"""docs/scenarios.md, generated from ``mralab.lab.scenario_model``: ``python -m tests.scenario_reference`` writes it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from mralab.lab.nodes import NODES
from mralab.lab.scenario import shipped_scenarios
from mralab.lab.scenario_model import TABLES, Scenario
from mralab.mocks.faults import REGISTRY
from mralab.mocks.faults.registry import Fault
from mralab.mocks.pki import read_recipes

FILE: Final = Path(__file__).parents[1] / "docs" / "scenarios.md"
_HEAD: Final = """# Scenarios

A scenario is a TOML file with one defect: what differs from the article's lab, and what a login is expected to show. An
empty file is not valid: `title` and `[expect]` are required. An unknown key is an error, and all errors of a file are
reported at once. Written by `python -m tests.scenario_reference` from `proxy/mralab/lab/scenario_model.py`; edit that
file.

`mralab run NAME` runs one that comes with mralab (config/scenarios), `mralab run --all` runs all of these, and
`mralab run ./mine.toml` runs one of your own. Each is run before the upgrade (X14.0.7), with X14.2, and once more after
the remedy. For example:

```toml
title = "tomcat has expired"
trust = ["steven-DC-CA", "tomcat-ECDSA"]

[recipes.tomcat-of-last-year]
like = "tomcat"
days = [-731, -1]

[certificates.cucm]
tomcat = "tomcat-of-last-year"

[expect]
login = "cannot sign in"
"cucm.steven.lab:8443" = "expired"
```

The article's lab has a defect of its own: `tomcat-ECDSA`, which CUCM presents on 6972, is self-signed. With it in
`trust`, as above, the scenario's defect is the only one. A defect that no release tolerates, such as a server that does
not speak TLS, also needs [`[expect.before]`](#expectbefore).
"""
_RECIPES: Final = """
## Recipes

A recipe is a certificate of the lab, made anew at each run. [certs/pki.toml](../certs/pki.toml) has those below and
explains the keys. A node presents the recipe `NODE-PURPOSE` if there is one, such as `cucm-sub-tomcat-ECDSA`, else
`PURPOSE`.

| recipe | CN | key | signed by | SAN |
|---|---|---|---|---|
"""
_OWN_FAULTS: Final = "mralab.mocks.faults."


def document() -> str:
    """Return the document."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield "\n## Keys\n" + _rows(Scenario)
    for key, model in TABLES.items():
        title = {"faults": "[[faults]]", "peers": "[peers.NAME]"}.get(key, f"[{key}]")
        yield f"\n## {title}\n{model.__doc__}\n{_rows(model)}"
    yield "\n## Nodes\n\n| node | name | address |\n|---|---|---|\n"
    for name, row in NODES.items():
        yield f"| `{name}` | {row.fqdn} | {row.ip} |\n"
    yield _RECIPES
    for name, recipe in read_recipes().items():
        sans = ", ".join(san.removeprefix("dns:").replace("ip:", "") for san in recipe.get("sans", ()))
        cn = next(part.removeprefix("CN=") for part in recipe["subject"] if part.startswith("CN="))
        yield f"| `{name}` | {cn} | {recipe.get('key', 'rsa2048')} | {recipe.get('issuer', 'itself')} | {sans} |\n"
    yield "\n## Faults\n\n| fault | parameters | does |\n|---|---|---|\n"
    for name in sorted(REGISTRY):
        if REGISTRY[name].__module__.startswith(_OWN_FAULTS):
            yield _fault(name, REGISTRY[name])
    yield "\n## Scenarios that come with mralab\n\n| name | defect | X14.2 finds |\n|---|---|---|\n"
    for scenario in shipped_scenarios():
        found = ", ".join(f"{', '.join(codes)} at {server}" for server, codes in scenario.expect.servers.items())
        yield f"| `{scenario.name}` | {scenario.title} | {found or 'nothing'} |\n"


def _rows(model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        key = f'"{field.alias}"' if field.alias else name
        default = _default(field.get_default(call_default_factory=True)) if not field.is_required() else "required"
        if (model, name) == (Scenario, "name"):
            default = "the file's"
        assert field.description, name
        assert field.examples, name
        rows.append(f"| `{key}` | {default} | `{_toml(field.examples[0])}` | {field.description} |\n")
    return "\n| key | default | example | description |\n|---|---|---|---|\n" + "".join(rows)


def _default(value: object) -> str:
    if value is None or isinstance(value, BaseModel) or value in ((), {}, ""):
        return ""
    return f"`{_toml(value)}`"


def _fault(name: str, kind: type[Fault]) -> str:
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # each fault is a dataclass
    parameters = ", ".join(
        f"`{field.name}`"
        if field.default in (dataclasses.MISSING, None)
        else f"`{field.name} = {_toml(field.default)}`"
        for field in fields
    )
    sentence = str(kind.__doc__).partition("\n")[0].replace("``", "`")
    return f"| `{name}` | {parameters} | {sentence} |\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_name(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value.decode() if isinstance(value, bytes) else value)


def _name(key: str) -> str:
    return json.dumps(key) if ":" in key else key


if __name__ == "__main__":
    FILE.write_text(document())
