"""Faults made from their names and arguments, as scenarios and the control API give them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, get_type_hints

from ...core.nearest import did_you_mean
from ...errors import MralabError
from ..context import server_context
from ..pki import Certified
from ..recipes import certified_of_pem
from .present import Present
from .registry import REGISTRY, Fault

OWN_KEYS: Final = ("at", "fault", "times")
"""Keys that stand beside a fault's parameters in a scenario, so that no parameter has such a name."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""A recipe's name. Nothing else is repeated in a message: it may be a key."""


def problems_of_fault(name: str, arguments: Mapping[str, Any], certificates: Collection[str]) -> Iterator[str]:
    """Yield the problems of a fault's name and arguments.

    ``certificates`` are the names that ``Present`` may have; it may also have PEM with its key.
    """
    kind = REGISTRY.get(name)
    if kind is None:
        near = did_you_mean(name, REGISTRY) or f"; known: {', '.join(sorted(REGISTRY))}"
        yield f"fault: {name!r} is not a fault{near}"
        return
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # each is a dataclass
    known = [field.name for field in fields]
    required = [each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING]
    yield from (f"{each}: is missing" for each in required if each not in arguments)
    unknown = [each for each in arguments if each not in known]
    for each in unknown:
        yield f"{each}: is not a parameter of {name}{did_you_mean(each, [*known, *OWN_KEYS])}"
    if kind is Present:
        if "certificate" in arguments:
            yield from _problems_of_certificate(arguments["certificate"], certificates)
    elif not unknown:
        yield from _wrong_types(kind, arguments)


def make_fault(name: str, arguments: Mapping[str, Any], certificates: Mapping[str, Certified]) -> Fault:
    """Return a fault that ``problems_of_fault`` found right.

    Raises ``MralabError`` for a certificate that OpenSSL cannot present.
    """
    kind = REGISTRY[name]
    if kind is Present:
        return Present(_presentable(arguments["certificate"], certificates))
    hints = get_type_hints(kind)
    return kind(**{key: value.encode() if "bytes" in str(hints[key]) else value for key, value in arguments.items()})


def _presentable(text: str, certificates: Mapping[str, Certified]) -> Certified:
    """Return a certificate by its name, or from PEM; its name is then its subject."""
    if not _is_pem(text):
        return certificates[text]
    certified = certified_of_pem(text.encode(), "certificate")
    server_context(certified)  # reports one that OpenSSL cannot present
    return replace(certified, name=certified.cert.subject.rfc4514_string() or certified.fingerprint)


def _is_pem(value: object) -> bool:
    return isinstance(value, str) and "-----BEGIN" in value


def _problems_of_certificate(value: Any, certificates: Collection[str]) -> Iterator[str]:
    if _is_pem(value):
        try:
            certified_of_pem(value.encode(), "certificate")
        except MralabError as error:
            yield error.message
    elif not isinstance(value, str) or value not in certificates:
        shown = repr(value) if _NAME.fullmatch(str(value)) else "the text"
        expected = "a recipe" if certificates else "PEM with a certificate and its key"
        yield f"certificate: {shown} is not {expected}{did_you_mean(str(value), certificates)}"


def _wrong_types(kind: type[Fault], arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the arguments whose types are not those of the fault's fields."""
    hints = get_type_hints(kind)
    for name, value in arguments.items():
        text = str(hints[name])
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        takes_number, takes_text = "int" in text or "float" in text, "str" in text or "bytes" in text
        if not ((is_number and takes_number) or (isinstance(value, str) and takes_text)):
            yield f"{name}: must be {'text in quotes' if takes_text else 'a number'} (is {value!r})"
        elif isinstance(value, float) and "float" not in text:
            yield f"{name}: must be a whole number (is {value!r})"
