"""The import graph has no cycle, not even for type checking; import-linter checks the layers (`make check`).

docs/architecture.md names every module of the package, and nothing that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import grimp

from tests.conftest import LONG

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "proxy" / "mralab"
DOCUMENTS: Final = ("docs/architecture.md", "CONTRIBUTING.md")


def cycles() -> list[list[str]]:
    """Return groups of modules that import each other, directly or not (Tarjan's strongly connected components)."""
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


def test_no_module_imports_itself_indirectly() -> None:
    assert cycles() == []


def mapped() -> Iterator[str]:
    """Yield the modules that the map names, as ``core/http/framing``; a name may end with ``*``."""
    tree = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    tree = re.sub(r"\([^()]*\)", "", re.sub(r"\n {20,}", " ", tree.partition("proxy/mralab/\n")[2]))
    folders: list[str] = []
    for line in tree.splitlines():
        name, _, text = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        del folders[max(0, depth - 1) :]
        if not name.endswith("/"):
            yield from ("/".join((*folders, file[:-3])) for file in re.findall(r"\w+\.py\b", line))
            continue
        folders.append(name[:-1])
        if "one module for each" in text:
            yield "/".join((*folders, "*"))
        for part in re.split("[,;]", text):
            item = re.split("[:.] ", part)[-1].strip()
            if item.endswith("/"):
                yield "/".join((*folders, item, "*"))
            elif re.fullmatch(r"[a-z_]+\*?", item):
                yield "/".join((*folders, item))


def test_the_map_names_every_module_and_no_other() -> None:
    modules = {
        str(file.relative_to(PACKAGE).with_suffix(""))
        for file in PACKAGE.rglob("*.py")
        if file.name not in ("__init__.py", "__main__.py")
    }
    names = [name.replace("//", "/") for name in mapped()]
    assert [module for module in sorted(modules) if not any(fnmatch(module, name) for name in names)] == []
    assert [name for name in names if not any(fnmatch(module, name) for module in modules)] == []


def test_the_documents_name_files_that_exist() -> None:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        paths = re.findall(r"`((?:core|net|tls|diagnose|mocks|lab|control|web|show|cli|config)/[\w/.]*)`", text)
        paths += re.findall(r"\b((?:tests|docs|benchmarks|config)/[\w/]*\w(?:\.\w+)?)", text)
        for path in paths:
            places = (ROOT / path, PACKAGE / path, PACKAGE / f"{path}.py")
            assert any(place.exists() for place in places), f"{document}: {path} does not exist"


def test_each_long_file_of_the_test_order_is_one_file() -> None:
    files = [file.as_posix() for file in (ROOT / "tests").rglob("test_*.py")]
    assert len(set(LONG)) == len(LONG)
    for name in LONG:
        assert sum(file.endswith(f"/{name}") for file in files) == 1, name
