"""YAML text → nodes with their lines, within bounds. No value is made here and no tag is ever obeyed.

Called by `registry.document` only. Scalars are marked as plain or quoted instead of being typed by YAML 1.1,
where `off`, `1:30` and `012` are surprises.
"""

from __future__ import annotations

from typing import Any, Final

import yaml
from yaml.reader import ReaderError

PLAIN: Final = "plain"
QUOTED: Final = "quoted"
SEQUENCE: Final = "sequence"
MAPPING: Final = "mapping"

DEEPEST: Final = 32
"""Levels of nesting; a real registry has six."""
LARGEST: Final = 100_000
"""Keys and values: some seconds of parsing, and room for ten thousand models."""


class Unreadable(Exception):
    """The text is no YAML that we accept; nothing of it can be used. Holds the line, counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line: Final = line
        self.message: Final = message


class _Bounded(yaml.SafeLoader):
    """Composes at most `LARGEST` nodes, no deeper than `DEEPEST`: its time and its recursion are bounded."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._count += 1
        if self._depth > DEEPEST or self._count > LARGEST:
            event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs lack it
            too_deep = f"nested deeper than {DEEPEST} levels"
            too_many = f"more than {LARGEST} keys and values"
            raise Unreadable(_line(event.start_mark), too_deep if self._depth > DEEPEST else too_many)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool] | bool) -> str:  # noqa: ARG002, FBT001 - PyYAML's signature
        if kind is yaml.ScalarNode:
            return PLAIN if isinstance(implicit, tuple) and implicit[0] else QUOTED
        return SEQUENCE if kind is yaml.SequenceNode else MAPPING


def compose(text: str) -> yaml.Node | None:
    """The one document in `text`; None where there is none. Raises Unreadable.

    A node's tag is PLAIN, QUOTED, SEQUENCE or MAPPING; any other tag was written out in the text.
    """
    try:
        loader = _Bounded(text)
        return loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, f"not YAML: the character {chr(error.character)!r} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_line(error.problem_mark or error.context_mark), _reworded(error)) from None
    except (ValueError, OverflowError):
        # PyYAML lets these out for an escape beyond Unicode, such as "\UFFFFFFFF".
        raise Unreadable(1, "not YAML: an escape in quotes is not a character") from None


def line_of(node: yaml.Node) -> int:
    """The line that `node` starts on, counted from 1."""
    return _line(node.start_mark)


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 1


def _reworded(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return "not YAML: a tab cannot indent or separate; use spaces"
    if problem == "but found another document":
        return "a registry is one YAML document: remove the '---' in the middle"
    return f"not YAML: {error.context}: {problem}" if error.context else f"not YAML: {problem}"
