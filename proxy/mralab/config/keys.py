"""The declaration of a configuration key, and the list of all keys of a model.

A key is a pydantic field whose annotation has a ``Key``: ``Annotated[int, Field(ge=1), Key("...", "live", 2)]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

Applies = Literal["live", "reload", "start"]
"""When a changed value takes effect. Each kind includes the ones after it: a restart applies every key.

``live``: from the next request after ``PATCH /api/config``. ``reload``: from the next request after SIGHUP.
``start``: only at the next start; a reload reports the change.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What is declared about a key besides its type and default.

    ``description`` is shown in docs/configuration.md and in the OpenAPI description. ``example`` is a valid value that
    differs from the default; tests apply it to a running proxy. ``refused_by_lab`` is the reason why ``mralab lab``
    refuses every value but the default; empty: a lab applies the key.
    """

    description: str
    applies: Applies
    example: Any
    refused_by_lab: str = ""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the description to the field's JSON schema."""
        return {**handler(schema), "description": self.description}


class _FileName:
    """Marks text that names a file or a folder, relative to the configuration file."""


FILE_NAME: Final = _FileName()


class _Secret:
    """Marks text that must not be shown."""


SECRET: Final = _Secret()


class DeclaredKey(NamedTuple):
    """A key of a model: its table (empty for a key outside tables), its name, its field and its declaration."""

    table: str
    name: str
    field: FieldInfo
    key: Key

    @property
    def path(self) -> str:
        """The key with its table, such as ``upstream.attempts``."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def names_file(self) -> bool:
        """Whether the value names a file or folder, relative to the configuration file."""
        return FILE_NAME in self.field.metadata

    @property
    def is_secret(self) -> bool:
        """Whether the value must not be shown."""
        return SECRET in self.field.metadata

    @property
    def default(self) -> object:
        """The value in an empty configuration."""
        return self.field.get_default(call_default_factory=True)

    def value(self, config: BaseModel) -> object:
        """Return the key's value in a configuration."""
        value: object = getattr(getattr(config, self.table) if self.table else config, self.name)
        return value


def declared_keys(model: type[BaseModel], table: str = "") -> Iterator[DeclaredKey]:
    """Yield the keys of a model and of its tables, in the order of their declaration.

    Raises ``TypeError`` for a field without a ``Key``. A field with ``exclude=True`` is not a key.
    """
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from declared_keys(field.annotation, name)
            continue
        declarations = [item for item in field.metadata if isinstance(item, Key)]
        if len(declarations) != 1:
            raise TypeError(f"{model.__name__}.{name}: needs one Key in its annotation, has {len(declarations)}")
        yield DeclaredKey(table, name, field, declarations[0])
