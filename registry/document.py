"""Nodes → plain values, with the line of every key and item, and `${env:NAME}` filled in. Called by `registry.load`.

Values that came from variables are never shown: `Document.shown` gives what the file says instead.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from registry import syntax
from registry.faults import Flaw, Place, quoted

_NULL: Final = re.compile(r"~|null|Null|NULL|")
_TRUE: Final = re.compile(r"true|True|TRUE")
_FALSE: Final = re.compile(r"false|False|FALSE")
# Longer integers stay text: Python itself refuses to print very long ones.
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?", re.ASCII)
_LONGEST_FLOAT: Final = 40
_VARIABLE: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_ALMOST: Final = re.compile(r"\$\{(env:[^}]*\}?|[A-Za-z_][A-Za-z0-9_]*\})")


@dataclass(frozen=True, slots=True)
class Document:
    """One file as values. Every place that exists in `root` has a line; `flaws` may stand beside usable values."""

    root: object
    lines: Mapping[Place, int]
    originals: Mapping[Place, str]
    """What the file says where a variable was filled in."""
    flaws: tuple[Flaw, ...]
    unusable: frozenset[Place]
    """Values that have a flaw already: whatever else is wrong with them follows from it."""

    def line(self, place: Place) -> int:
        """The line of the nearest thing around `place` that exists in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def shown(self, place: Place, value: object) -> str:
        """`value` as a message may show it: as the file says it, short; empty for what is not one word."""
        if place in self.originals:
            return quoted(self.originals[place])
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value)
        return str(value) if isinstance(value, int | float) else ""


def read_document(text: str, env: Mapping[str, str]) -> Document:
    """The values in `text`. Raises `syntax.Unreadable` where nothing can be made of it."""
    node = syntax.compose(text)
    if node is None:
        raise syntax.Unreadable(1, "the file is empty: it needs 'models:'")
    reading = _Reading(env)
    root = reading.value(node, ())
    return Document(root, reading.lines, reading.originals, tuple(reading.flaws), frozenset(reading.unusable))


class _Reading:
    """One walk over the nodes; collects flaws and goes on."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.lines: Final[dict[Place, int]] = {(): 1}
        self.originals: Final[dict[Place, str]] = {}
        self.flaws: Final[list[Flaw]] = []
        self.unusable: Final[set[Place]] = set()
        self._env: Final = env
        self._count = 0

    def value(self, node: yaml.Node, place: Place) -> object:
        self._count += 1
        line = syntax.line_of(node)
        if self._count > syntax.LARGEST:
            raise syntax.Unreadable(line, f"more than {syntax.LARGEST} values once aliases are expanded")
        if len(place) > syntax.DEEPEST:
            raise syntax.Unreadable(line, f"nested deeper than {syntax.DEEPEST} levels once aliases are expanded")
        if isinstance(node, yaml.MappingNode) and node.tag == syntax.MAPPING:
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == syntax.SEQUENCE:
            return self._sequence(node, place)
        if isinstance(node, yaml.ScalarNode) and node.tag in {syntax.PLAIN, syntax.QUOTED}:
            return self._scalar(node, place)
        self._spoil(place, line, f"YAML tags such as {quoted(_tag(node.tag))} are not allowed")
        return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key is None:
                continue
            line = syntax.line_of(key_node)
            if key in found:
                what = "the model" if place == ("models",) else "the field"
                first = self.lines[*place, key]
                self._flaw(place, line, f"duplicate: {what} {quoted(key)} is on line {first} already")
                continue
            self.lines[*place, key] = line
            found[key] = self.value(value_node, (*place, key))
        return found

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        line = syntax.line_of(node)
        if not isinstance(node, yaml.ScalarNode):
            self._flaw(place, line, "a key must be text, not a list or mapping")
        elif node.tag == syntax.PLAIN and node.value == "<<":
            self._flaw(place, line, "'<<' (merging) is not supported: write the fields out")
        elif node.tag not in {syntax.PLAIN, syntax.QUOTED}:
            self._flaw(place, line, f"YAML tags such as {quoted(_tag(node.tag))} are not allowed")
        elif not isinstance(_typed(node), str):
            self._flaw(place, line, f"the key {quoted(node.value)} must be text: put it between quotes")
        elif not node.value.isprintable():
            self._flaw(place, line, f"the key {quoted(node.value)} holds a control character")
        else:
            return str(node.value)
        return None

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[object]:
        found: list[object] = []
        for position, item in enumerate(node.value):
            self.lines[*place, position] = syntax.line_of(item)
            found.append(self.value(item, (*place, position)))
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> object:
        value = _typed(node)
        line = self.lines.get(place, syntax.line_of(node))
        if value is None and place:
            self._spoil(place, line, f"{dotted(place)} has no value: write one or remove the line")
        if not isinstance(value, str):
            return value
        if "${" in value:
            value = self._filled(value, place, line)
        if not _clean(value):
            self._spoil(place, line, f"{dotted(place)} holds a control character")
        return value

    def _filled(self, text: str, place: Place, line: int) -> str:
        self.originals[place] = text
        for name in sorted(set(_VARIABLE.findall(text)) - self._env.keys()):
            self._spoil(place, line, f"{dotted(place)}: the environment variable {name} is not set")
        if almost := _ALMOST.search(_VARIABLE.sub("", text)):
            self._spoil(place, line, f"{dotted(place)}: {quoted(almost[0])} is not filled in; write ${{env:NAME}}")
        return _VARIABLE.sub(lambda match: self._env.get(match[1], ""), text)

    def _spoil(self, place: Place, line: int, message: str) -> None:
        self.unusable.add(place)
        self._flaw(place, line, message)

    def _flaw(self, place: Place, line: int, message: str) -> None:
        self.flaws.append(Flaw(place, line, message))


def dotted(place: Place) -> str:
    """`place` as people write it: `models.m.aliases[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the file"


def _typed(node: yaml.ScalarNode) -> object:
    """The value of a scalar by the core rules of YAML 1.2."""
    text = str(node.value)
    if node.tag == syntax.QUOTED:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    if _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= _LONGEST_FLOAT and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _clean(text: str) -> bool:
    # Cc: control characters; Cs: half a character, which cannot be written out again.
    return all(character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cs"} for character in text)


def _tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
