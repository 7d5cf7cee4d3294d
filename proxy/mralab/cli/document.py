"""Print the documents of ``--json``: each is a model of ``schema.DOCUMENTS`` with ``schema`` and ``version``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..errors import MralabError
from .schema import document_model

if TYPE_CHECKING:
    from pydantic import BaseModel


def print_document(document: BaseModel) -> None:
    """Print a document in ASCII, because the encoding of standard output may lack some characters."""
    click.echo(json.dumps(document.model_dump(mode="json", by_alias=True), indent=2))


def print_answer_document(name: str, answer: dict[str, Any]) -> None:
    """Print an answer of the control API as the document ``name``. Raises ``MralabError`` as ``answers`` does."""
    with answers():
        document = document_model(name).model_validate(answer)
    print_document(document)


@contextlib.contextmanager
def answers() -> Iterator[None]:
    """Raise ``MralabError`` where an answer of the control API does not follow the model of its document.

    The proxy may be of another version than the command.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise MralabError(
            f"the proxy's answer does not follow the schema of --json: {key}: {first['msg'].lower()}",
            "use the command of the mralab that runs the proxy",
        ) from None
