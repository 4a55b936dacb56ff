"""The repository's own sources, parsed: what `tests/test_architecture.py` asks its questions of."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("registry", "gateway", "engines", "cli")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def name(self) -> str:
        """As it is imported: `gateway.pool.house`; a package by its own name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.place)

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def names(self) -> Iterator[str]:
        """Of the classes, functions and the file itself."""
        yield self.path.stem
        yield from (node.name for node in ast.walk(self.tree) if isinstance(node, (ast.ClassDef, *Function.__args__)))

    def imports(self, *, nested: bool = True) -> Iterator[tuple[str, int]]:
        """Every `module` or `module.attribute` that it imports, with its line; `nested=False`: at its top only."""
        nodes = ast.walk(self.tree) if nested else iter(self.tree.body)
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from ((each.name, node.lineno) for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((f"{node.module}.{each.name}", node.lineno) for each in node.names)

    def calls(self) -> Iterator[tuple[str, int]]:
        """Every dotted name that is called, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node.lineno


def modules(*folders: str) -> list[Module]:
    """Every Python file under `folders`, in order."""
    return [Module(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def arrows(ours: Mapping[str, Module]) -> dict[str, set[str]]:
    """Which of our modules imports which: the longest name of ours in each import."""
    return {
        name: {found for wanted, _ in module.imports() if (found := _longest(wanted, ours)) not in {None, name}}
        for name, module in ours.items()
    }


def reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """All that `start` imports, however many steps away."""
    found: set[str] = set()
    todo = [start]
    while todo:
        for each in graph[todo.pop()] - found:
            found.add(each)
            todo.append(each)
    return found


def cycles(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that reach themselves."""
    return sorted(name for name in graph if name in reached(name, graph))


def folded(graph: Mapping[str, set[str]], package: str) -> dict[str, set[str]]:
    """The same between the parts of `package`: its folders, each as one, and its single files; without itself."""
    found: dict[str, set[str]] = {}
    for name, others in graph.items():
        if name.startswith(f"{package}."):
            part = _part(name)
            inside = {_part(each) for each in others if each.startswith(f"{package}.")}
            found.setdefault(part, set()).update(inside - {part})
    return found


def _part(name: str) -> str:
    return ".".join(name.split(".")[:2])


def tracked() -> list[Path]:
    """The files that git knows, or would be told of by `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 (git is on the path)
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _longest(wanted: str, ours: Mapping[str, Module]) -> str | None:
    while wanted and wanted not in ours:
        wanted = wanted.rpartition(".")[0]
    return wanted or None
