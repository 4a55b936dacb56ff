"""What is said of files to whoever is not at this machine: their names, not the folders that they lie in. Pure text.

Called by `gateway.api.adapters` for all that the supervisor answers, and by `engines.ledger` for what clients read.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final

_PLACE: Final = re.compile(r"(?<![\w:/.~-])/[^\s/:;,'\"()<>|]+(?:/[^\s/:;,'\"()<>|]+)+/?")
"""A path of this machine that names a folder; in an address, slashes follow a letter, a colon or each other."""

_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?<![\w.:-])[\w.:-]*\w):\d{2,5}\b")
"""A host with its port, as Redis' client spells one."""


def discreet(text: str) -> str:
    """`text` with the names of files in place of their paths; addresses stay."""
    path, colon, rest = text.partition(": ")
    if path.startswith("/"):  # as the system begins what it says of a file: it may have blanks
        return f"{PurePosixPath(path).name}{colon}{discreet(rest)}"
    return _PLACE.sub(lambda found: PurePosixPath(found.group()).name, text)


def unaddressed(text: str) -> str:
    """`text` without the names and ports of servers inside; as `discreet`, without folders."""
    return _SERVER.sub("its server", discreet(text))


def discreetly(value: Any) -> Any:
    """The same in all texts of a value that is made of what JSON knows."""
    if isinstance(value, str):
        return discreet(value)
    if isinstance(value, dict):
        return {key: discreetly(each) for key, each in value.items()}
    return [discreetly(each) for each in value] if isinstance(value, list | tuple) else value
