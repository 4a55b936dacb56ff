"""Flags of a command line as the engines' parsers read them, out of the registry's options. Pure.

Called by the dialects' `launch` and `capacity`. All three engines parse with argparse; they differ in how a flag is
switched off, which each dialect says with `Spelling`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from engines.engine import LaunchRefused


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one engine spells flags. Invariant: a value that begins with a dash stays a value."""

    engine: str
    """For messages: the key of `options`."""
    negates: Callable[[str], bool]
    """Whether `--no-x` exists for the flag `x`; where it does not, leaving `x` out says false."""

    def argv(self, flags: Mapping[str, object]) -> list[str]:
        """The words of all flags, in their order. Raises `LaunchRefused` for a list that cannot be said."""
        return [word for name, value in flags.items() for word in self._words(name, value)]

    def _words(self, name: str, value: object) -> list[str]:
        """The words of one flag. `--flag=value` keeps a value that begins with a dash a value."""
        if value is True:
            return [f"--{name}"]
        if value is False:
            return [f"--no-{name}"] if self.negates(name) else []
        if isinstance(value, (list, tuple)):
            return self._list_words(name, [_text(item) for item in value])
        return [f"--{name}={_text(value)}"]

    def _list_words(self, name: str, items: list[str]) -> list[str]:
        if len(items) == 1:
            return [f"--{name}={items[0]}"]
        for item in items:
            # argparse has no spelling for this: the item would be taken for the next flag.
            if item.startswith("-"):
                raise LaunchRefused(f"options.{self.engine}.{name}: {item!r} in a list begins with a dash")
        return [f"--{name}", *items]


def spelled(options: Mapping[str, object]) -> dict[str, object]:
    """Flags as the engines print them: dashes in the name; what follows a dot is a key of its own."""
    found = {}
    for option, value in options.items():
        name, dot, rest = option.partition(".")
        found[name.replace("_", "-") + dot + rest] = value
    return found


def requests(option: object, usual: int) -> int:
    """How many requests an option says; `usual` where it says no number above zero, which the engine will refuse."""
    text = str(option)
    return int(text) if re.fullmatch(r"0*[1-9][0-9]{0,8}", text) else usual


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, Mapping) else str(value)
