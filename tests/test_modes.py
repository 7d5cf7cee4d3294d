"""The list of what is not run in other processes names tests that exist."""

from __future__ import annotations

import ast

from .modes import INSIDE, TESTS


def test_every_test_that_stays_inside_exists() -> None:
    for name in INSIDE:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert function in [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)], name
