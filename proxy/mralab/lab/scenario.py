"""Named failures, read from config/scenarios: the lab's setup and the expected findings.

A scenario does not say why it fails or what helps: ``diagnose.findings`` derives that from the log.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..core.nearest import did_you_mean
from ..core.release import Preference
from ..data import data_path
from ..errors import ConfigError, InputError
from ..mocks.tomcat import EC_AND_RSA, RSA_ONLY, HttpsCiphers, parse_https_ciphers


def _https_ciphers(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be {RSA_ONLY!r} or {EC_AND_RSA!r}")
    try:
        return parse_https_ciphers(value)
    except InputError as error:
        raise ValueError(error.problems[0]) from None


class Scenario(BaseModel):
    """One failure.

    ``expect`` maps ``server:port`` to the code of the finding expected with X14.2. ``trust`` names the recipes of the
    certificates in the trust store. ``prefer`` is the kind of certificate that the proxy prefers; None: the
    configuration's, or the release's. ``https_ciphers`` is CUCM's enterprise parameter "HTTPS Ciphers"
    (``Cucm.https_ciphers``). ``remedy`` is ``first`` (each finding's own first remedy) or the code of a remedy that the
    findings offer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    advertise: Literal["fqdn", "ip"] = "fqdn"
    prefer: Preference | None = None
    https_ciphers: Annotated[HttpsCiphers, BeforeValidator(_https_ciphers)] = "RSA Ciphers Only"
    trust: tuple[str, ...] = ("steven-DC-CA",)
    remedy: str = "first"
    expect: dict[str, str]
    order: Annotated[int, Field(ge=0)] = 0


def load_scenario(file: Path) -> Scenario:
    """Return the scenario of a TOML file. Raises ``ConfigError`` with every problem in it."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        return Scenario(**{"name": file.stem, **data})
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8 text (byte {error.start})"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: is not TOML: {error}"]) from error
    except ValidationError as error:
        problems = [f"{file}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(problems) from None


def shipped_scenarios() -> tuple[Scenario, ...]:
    """Return the scenarios that come with mralab, in the article's order."""
    found = [load_scenario(file) for file in sorted(data_path("config/scenarios").glob("*.toml"))]
    return tuple(sorted(found, key=lambda scenario: (scenario.order, scenario.name)))


def scenario_named(name: str) -> Scenario:
    """Return the shipped scenario of this name. Raises ``ConfigError`` with the nearest name if there is none."""
    known = {scenario.name: scenario for scenario in shipped_scenarios()}
    if name not in known:
        raise ConfigError([f"{name!r} is not a scenario{did_you_mean(name, known)}"], f"known: {', '.join(known)}")
    return known[name]
