"""The import graph: no cycle, not even for type checking; the layers are import-linter's (`make check`)."""

from __future__ import annotations

import grimp


def cycles() -> list[list[str]]:
    """Groups of modules that import each other, directly or not (Tarjan's strongly connected components)."""
    graph = grimp.build_graph("mralab", exclude_type_checking_imports=False, cache_dir=None)
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in numbers:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], numbers[imported])
        if lowest[module] == numbers[module]:
            start = stack.index(module)
            group, stack[start:] = stack[start:], []
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph.modules):
        if module not in numbers:
            visit(module)
    return found


def test_no_module_imports_itself_by_a_detour() -> None:
    assert cycles() == []
