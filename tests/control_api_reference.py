"""docs/control-api-reference.md, generated from the OpenAPI description: ``python -m tests.control_api_reference``."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel

from mralab.config import Config, HostEntry
from mralab.web.openapi import BODY_ERRORS, COMMON_ERRORS, ERRORS, describe
from mralab.web.schemas import ProxyAnswer

FILE: Final = Path(__file__).parents[1] / "docs" / "control-api-reference.md"
_HEAD: Final = """# Control API reference

Every route of the control API with its parameters, bodies and answers. [The control API](control-api.md) is the guide:
how to begin, and who may call it. Written by `python -m tests.control_api_reference` from `operations.py`, `openapi.py`
and the types in `proxy/mralab/web`; edit these. `GET /api/openapi.json` has the same in OpenAPI 3.1, for generators of
clients.

In the examples, `$MRALAB_ADMIN` is the address of the API, such as `127.0.0.1:8444`. Bodies are JSON in UTF-8 with
`Content-Type: application/json`, of at most 1 MB; a number has at most 40 characters. An unknown or repeated key or
parameter is an error. An answer has every field, unless the field's description says otherwise. HEAD is GET without the
body.
"""
_ERROR_ANSWER: Final = "ErrorAnswer"
_SHARED: Final = "Objects of several groups"
_MOST_VALUES: Final = 10  # of an enumeration that is listed
_LARGEST: Final = 2**53 - 1  # that every JSON parser represents: no bound that a reader needs to know
_PREFIX: Final = "#/components/schemas/"
_EXAMPLE_ERROR: Final = {
    "error": {
        "code": "invalid",
        "message": "release: is not a known release; known: X12.5, ...",
        "problems": ["release: is not a known release; known: X12.5, ..."],
        "hint": "GET /api/openapi.json describes the parameters and the body of every request",
    }
}
Schema = Mapping[str, Any]


def document() -> str:
    """Return the document."""
    return _Reference(describe("")).document()


class _Reference:
    """The reference of one description. An object is described once: with the operation, or under its own heading."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._schemas: dict[str, Any] = description["components"]["schemas"]
        self._tables = _tables_of_configuration()
        self._tags: dict[str, str] = {tag["name"]: tag["description"] for tag in description["tags"]}
        self._routes: dict[str, list[tuple[str, str, Any]]] = {tag: [] for tag in self._tags}
        for path, methods in description["paths"].items():
            for method, route in methods.items():
                (tag,) = route["tags"]
                self._routes[tag].append((method.upper(), path, route))
        self._uses = Counter(_names([description["paths"], self._schemas]))
        self._direct = Counter(name for _, _, route in self._all_routes() for name in _direct(route))
        bodies = [name for _, _, route in self._all_routes() for name in _names(route.get("requestBody"))]
        self._in_bodies = {*bodies, *(name for body in bodies for name in _names(self._schemas[body]))}

    def document(self) -> str:
        """Return the whole document. Raises ``AssertionError`` if a link would lead nowhere or to two places."""
        text = "".join((_HEAD, *self._contents(), *self._errors(), *self._groups(), *self._shared()))
        anchors = Counter(_anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE))
        assert max(anchors.values()) == 1, [anchor for anchor, count in anchors.items() if count > 1]
        assert not (lost := set(re.findall(r"\]\(#([^)]*)\)", text)) - set(anchors)), lost
        return text

    def _all_routes(self) -> Iterator[tuple[str, str, Any]]:
        for routes in self._routes.values():
            yield from routes

    # -- sections

    def _contents(self) -> Iterator[str]:
        yield "\n| | |\n|---|---|\n"
        for tag, routes in self._routes.items():
            links = ", ".join(f"[`{method} {path}`](#{_anchor(f'{method} {path}')})" for method, path, _ in routes)
            yield f"| [{tag}](#{_anchor(tag)}) | {links} |\n"
        yield f"| [Errors](#errors) | {', '.join(f'`{status}`' for status in ERRORS)} |\n"
        shared = ", ".join(map(self._link, self._homes()[_SHARED]))
        yield f"| [{_SHARED}](#{_anchor(_SHARED)}) | {shared} |\n"

    def _errors(self) -> Iterator[str]:
        yield "\n## Errors\n\nA status of 400 or more has this answer:\n"
        yield f"\n```json\n{json.dumps(_EXAMPLE_ERROR, indent=2)}\n```\n"
        yield self._fields(self._schemas["Problem"])
        common = ", ".join(f"`{status}`" for status in COMMON_ERRORS)
        with_body = ", ".join(f"`{status}`" for status in BODY_ERRORS)
        yield (f"\nAny request may be answered {common}, and any but a GET {with_body}; each route lists its others.\n")
        yield "\n| status | codes | meaning |\n|---|---|---|\n"
        for status, error in ERRORS.items():
            yield f"| `{status}` | {', '.join(f'`{code}`' for code in error.codes)} | {_sentence(error.text)} |\n"

    def _groups(self) -> Iterator[str]:
        homes = self._homes()
        for tag, routes in self._routes.items():
            yield f"\n## {tag}\n\n{self._tags[tag]}\n"
            for method, path, route in routes:
                yield from self._route(method, path, route)
            for name in homes[tag]:
                yield self._object(name)

    def _shared(self) -> Iterator[str]:
        yield f"\n## {_SHARED}\n"
        for name in self._homes()[_SHARED]:
            yield self._object(name)

    def _object(self, name: str) -> str:
        schema = self._schemas[name]
        return f"\n#### {name}\n\n{_text(schema)}\n{self._fields(schema, is_body=name in self._in_bodies)}"

    # -- one route

    def _route(self, method: str, path: str, route: Any) -> Iterator[str]:
        yield f"\n### {method} {path}\n\n{_sentence(route['summary'])}"
        yield f" {_sentence(route['description'])}\n" if "description" in route else "\n"
        content = route.get("requestBody", {}).get("content", {})
        lines = "".join(f"$ {line}\n" for line in _curl(method, path, route))
        yield f"\n```console\n{lines}```\n"
        if "parameters" in route:
            yield "\n| parameter | values | default | meaning |\n|---|---|---|---|\n"
            yield "".join(map(self._parameter, route["parameters"]))
        for media, body in content.items():
            yield self._body(media, body["schema"])
        yield from self._answers(method, route["responses"])

    def _parameter(self, parameter: Schema) -> str:
        place = " (in the path)" if parameter["in"] == "path" else ""
        default = "required" if parameter["required"] else _default(parameter["schema"])
        values = self._values(parameter["schema"], parameter["example"])
        return _row(f"`{parameter['name']}`{place}", values, default, _sentence(parameter["description"]))

    def _body(self, media: str, schema: Schema) -> str:
        if media != "application/json":
            return f"\nOr a body with `Content-Type: {media}`: {_sentence(_small(schema['description']))}\n"
        name = _name(schema)
        if not self._is_inline(name):
            return f"\nBody: {self._link(name)}.\n"
        return f"\nBody: {_small(_text(self._schemas[name]))}\n{self._fields(self._schemas[name], is_body=True)}"

    def _answers(self, method: str, responses: Mapping[str, Any]) -> Iterator[str]:
        (done, *_) = responses
        ((media, content),) = responses[done]["content"].items()
        usual = {*COMMON_ERRORS, *(() if method == "GET" else BODY_ERRORS)}
        others = [f"`{status}`" for status in responses if status != done and int(status) not in usual]
        errors = f" Also [answered](#errors): {', '.join(others)}." if others else ""
        schema = content["schema"]
        if "x-events" in schema:
            yield f"\nAnswer `{done}`: `{media}`.{errors}\n"
            yield from self._events(schema["x-events"])
        elif "$ref" not in schema:
            yield f"\nAnswer `{done}`: `{media}`.{errors}\n"
        elif self._is_inline(name := _name(schema)):
            yield f"\nAnswer `{done}`: {_small(_text(self._schemas[name]))}{errors}\n"
            yield self._fields(self._schemas[name])
        else:
            yield f"\nAnswer `{done}`: {self._link(name)}.{errors}\n"

    def _events(self, events: Mapping[str, Schema]) -> Iterator[str]:
        yield "\n| event | when | data |\n|---|---|---|\n"
        for kind, reference in events.items():
            schema = self._schemas[_name(reference)]
            required = schema.get("required", ())
            fields = (
                f"`{key}`: {self._values(field)}{'' if key in required else ', or missing'}. {_sentence(_text(field))}"
                for key, field in schema.get("properties", {}).items()
            )
            yield _row(f"`{kind}`", _text(schema), "<br>".join(fields) or "`{}`")

    # -- fields and their values

    def _fields(self, schema: Schema, *, is_body: bool = False) -> str:
        """Return the table of an object's fields; none for an enumeration."""
        fields = schema.get("properties", {})
        if not fields:
            return ""
        required = schema.get("required", ())
        defaults = [
            "required" if key in required else _default(field) if is_body else "" for key, field in fields.items()
        ]
        has_defaults = is_body and any(defaults)
        head = ("key" if is_body else "field", "values", *(("default",) if has_defaults else ()), "meaning")
        rows = [_row(*head), f"|{'---|' * len(head)}\n"]
        for (key, field), default in zip(fields.items(), defaults, strict=True):
            example = field.get("examples", [None])[0]
            described = field if "description" in field else self._schemas[_name(field)]
            middle = (self._values(field, example), *((default,) if has_defaults else ()))
            rows.append(_row(f"`{key}`", *middle, _sentence(_text(described))))
        return "\n" + "".join(rows)

    def _values(self, schema: Schema, example: Any = None) -> str:
        """Return the values that a schema allows, in words."""
        if "$ref" in schema:
            return self._link(_name(schema))
        if "anyOf" in schema:
            *others, last = (self._values(each, example) for each in schema["anyOf"])
            return f"{' or '.join(others)}, or {last}"
        if "const" in schema:
            return _code(schema["const"])
        if "enum" in schema:
            values = schema["enum"]
            if len(values) > _MOST_VALUES:
                return f"one of {len(values)}, such as {_code(example or values[0])}"
            return ", ".join(map(_code, values))
        kind: str = schema.get("type", "any value")
        if kind == "array":
            return f"list of {self._values(schema['items'])}"
        if kind == "object":
            return self._mapping(schema)
        if kind in ("integer", "number"):
            return _number(schema)
        if kind == "string" and "maxLength" in schema:
            return f"text (at most {schema['maxLength']} characters)"
        if schema.get("format") == "date-time":
            return "time, ISO 8601"
        return {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}.get(kind, kind)

    def _mapping(self, schema: Schema) -> str:
        (values,) = schema.get("patternProperties", {}).values() or (schema["additionalProperties"],)
        return f"object of {self._values(values)}" if isinstance(values, Mapping) else "object"

    # -- where an object is described

    def _link(self, name: str) -> str:
        table = self._tables.get(name)
        return f"[{name}](configuration.md#{table})" if table else f"[{name}](#{_anchor(name)})"

    def _is_inline(self, name: str) -> bool:
        """Whether only one operation uses the object, which describes it."""
        return self._direct[name] == self._uses[name] == 1

    def _homes(self) -> dict[str, list[str]]:
        """Return the objects with a heading of their own, by the section that describes them."""
        homes: dict[str, list[str]] = {section: [] for section in (*self._tags, _SHARED)}
        sections: dict[str, list[str]] = {}
        for tag, routes in self._routes.items():
            for name in self._reached([route for _, _, route in routes]):
                sections.setdefault(name, []).append(tag)
        for name, found in sections.items():
            if not self._is_inline(name):
                homes[found[0] if len(found) == 1 else _SHARED].append(name)
        return homes

    def _reached(self, routes: list[Any]) -> dict[str, None]:
        """Return the objects that routes use, in the order in which a reader meets them."""
        found: dict[str, None] = {}
        waiting = [name for route in routes for name in _direct(route)]
        while waiting:
            name = waiting.pop(0)
            if name not in found and name not in self._tables:
                found[name] = None
                waiting = [*_names(self._schemas[name]), *waiting]
        return found


def _tables_of_configuration() -> dict[str, str]:
    """Return the objects that docs/configuration.md describes: their names, and the tables' names."""
    tables = {
        field.annotation.__name__: name
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return tables | {HostEntry.__name__: "hosts", ProxyAnswer.__name__: "proxy"}


def _names(value: Any) -> Iterator[str]:
    """Yield the name of every reference in a part of the description, in its order."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield _name(value)
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)


def _direct(route: Any) -> Iterator[str]:
    """Yield the objects of a route's body and answer. Those of events and errors are described elsewhere."""
    contents = [
        route.get("requestBody", {}).get("content", {}),
        *(each["content"] for each in route["responses"].values()),
    ]
    for content in contents:
        for media in content.values():
            if "$ref" in media["schema"] and _name(media["schema"]) != _ERROR_ANSWER:
                yield _name(media["schema"])


def _curl(method: str, path: str, route: Any) -> Iterator[str]:
    """Yield the command lines for a route: one for each type of its body."""
    parameters = route.get("parameters", ())
    query = urlencode(
        {each["name"]: each["example"] for each in parameters if each["required"] and each["in"] == "query"}
    )
    for each in parameters:
        path = path.replace(f"{{{each['name']}}}", str(each["example"]))
    url = f'"$MRALAB_ADMIN{path}?{query}"' if query else f"$MRALAB_ADMIN{path}"
    answers = route["responses"][next(iter(route["responses"]))]["content"]
    flags = {"text/event-stream": "-sN", "application/gzip": "-sOJ"}.get(next(iter(answers)), "-s")
    bodies = route.get("requestBody", {}).get("content", {})
    if not bodies:
        yield " ".join(filter(None, ("curl", flags, f"-X {method}" if method != "GET" else "", url)))
    for media, body in bodies.items():
        shown = json.dumps(body["example"]) if "example" in body else ""
        data = f"-d {shlex.quote(shown)}" if shown else "--data-binary @file.pem"
        verb = f"-X {method} " if method != "POST" else ""
        yield f"curl {flags} {verb}-H 'Content-Type: {media}' {data} {url}"


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(_PREFIX)


def _number(schema: Schema) -> str:
    word = "whole number" if schema["type"] == "integer" else "number"
    low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    if high == _LARGEST:
        high = None
    if low == -_LARGEST:
        low = None
    if low is not None and high is not None:
        return f"{word}, {low} to {high}"
    bounds = (
        f"from {low}" if low is not None else "",
        f"above {above}" if above is not None else "",
        f"at most {high}" if high is not None else "",
    )
    return ", ".join((word, *filter(None, bounds)))


def _anchor(title: str) -> str:
    """Return the id that a forge gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _text(schema: Schema) -> str:
    """Return a description as Markdown: a docstring has two backquotes, and its lines are wrapped."""
    paragraphs = re.sub(r"``(.+?)``", r"`\1`", schema["description"]).split("\n\n")
    return "\n\n".join(each if each.startswith("- ") else " ".join(each.split()) for each in paragraphs)


def _sentence(text: str) -> str:
    """Return a text with a full stop at its end."""
    return text if text.endswith((".", ":")) else f"{text}."


def _small(text: str) -> str:
    """Return a sentence with a small first letter, to stand after a colon. Words such as SHA-256 stay as they are."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _default(schema: Schema) -> str:
    """Return a default in JSON; nothing for one that stands for no value."""
    value = schema.get("default")
    return "" if value in (None, "", [], {}) else _code(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    FILE.write_text(document(), "utf-8")
