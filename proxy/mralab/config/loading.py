"""Read a configuration file: its encoding and its TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError
from .model import Config, from_mapping

_MOST_DOTS: Final = 200


def load(path: Path | str) -> Config:
    """Read a configuration file. Raises ``ConfigError`` with every problem in it."""
    file = Path(path)
    return from_mapping(read_toml(file), file.resolve().parent, str(file))


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises ``ConfigError``."""
    try:
        data = file.read_bytes()
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
            raise ConfigError([f"{file}: is UTF-16 text; save it as UTF-8"])
        text = data.decode("utf-8-sig")  # some editors begin UTF-8 with a byte order mark
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8 text (byte {error.start})"]) from error
    return parse_toml(text.replace("\r\n", "\n").replace("\r", "\n"), str(file))


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Return the tables of a TOML text; ``source`` names it in errors. Raises ``ConfigError``."""
    for number, line in enumerate(text.split("\n"), 1):
        # tomllib's time grows with the square of the number of parts of a key: a minute for a line of 150 KB.
        if len(line) > _MOST_DOTS and line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ConfigError([f"{source}:{number}: has more than {_MOST_DOTS} dots in one line, which no key needs"])
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise ConfigError([f"{source}: is not TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}: is not TOML that can be used: its values are nested too deeply"]) from error
