"""Regular expressions that every supported Python matches alike."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "proxy" / "mralab"
POSSESSIVE = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+")
GROUPS_AND_CLASSES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()]", re.DOTALL)


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module, those with gaps too: ``#`` stands for what fills a gap."""
    nodes = list(ast.walk(tree))
    pieces = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "#" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in pieces:
            yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def repeated_groups(pattern: str) -> Iterator[str]:
    """Yield the groups of a pattern that are repeated possessively."""
    opened = []
    for found in GROUPS_AND_CLASSES.finditer(pattern):
        if found[0] == "(":
            opened.append(found.start())
        elif found[0] == ")" and POSSESSIVE.match(pattern, found.start()):
            yield pattern[opened.pop() if opened else 0 : found.end()]
        elif found[0] == ")" and opened:
            opened.pop()


def test_groups_are_repeated_possessively_only_if_they_are_atomic() -> None:
    """Before 3.11.5, such a repetition ended where its last, failed turn had got to, unless that was atomic.

    https://github.com/python/cpython/issues/106052: ``(?:ab?c)*+`` matched "abca" of "abcab". Debian 12 has 3.11.2.
    """
    wrong = [
        f"{file.relative_to(PACKAGE)}: {group}"
        for file in PACKAGE.rglob("*.py")
        for text in strings(ast.parse(file.read_text("utf-8")))
        for group in repeated_groups(text)
        if not group.startswith("(?>")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"(?:ab)*+(c)?", ["(?:ab)"]),
        (r"((?>a[)]\))?+)++", [r"(?>a[)]\))", r"((?>a[)]\))?+)"]),
        (r"(?>a(?:b|#){0,5}+)*+", ["(?:b|#)", "(?>a(?:b|#){0,5}+)"]),
        (r"[^)]*+(\)+)+x", []),
    ],
)
def test_repeated_groups_are_found(pattern: str, groups: list[str]) -> None:
    assert list(repeated_groups(pattern)) == groups
