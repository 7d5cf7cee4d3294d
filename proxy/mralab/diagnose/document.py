"""Base class of the JSON documents that commands print (``--json``) and of the records in them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

SCHEMA_TEXT: Final = "The kind of the document."
FirstVersion = Annotated[
    Literal[1], Field(description="It changes when a field is renamed, removed or changes its meaning.")
]
"""The field ``version`` of a document, with the value 1."""


def _without_surrogates(text: str) -> str:
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


class DocumentModel(BaseModel):
    """A record of a document: immutable, and every field is in its JSON and required by its schema."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, json_schema_serialization_defaults_required=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_json(cls, value: object) -> object:
        """Write bytes of a path that are not UTF-8, which Python keeps as lone surrogates, as \\xFF: JSON has none."""
        if isinstance(value, str):
            return _without_surrogates(value)
        if isinstance(value, tuple):
            return tuple(_without_surrogates(one) if isinstance(one, str) else one for one in value)
        return value
