"""Keys from files, as container engines and systemd hand secrets over. Called by the verbs that need keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cli.mistake import Mistake
from engines.supervisor.address import KEYS


def with_keys(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with each `NAME_FILE` of a key replaced by `NAME`: the file's lines, or its comma-separated list.

    Raises `Mistake` where a file cannot be read or holds no key, or where both variables are set.
    """
    known = dict(env)
    for name in KEYS:
        path = known.pop(f"{name}_FILE", "")
        if path and known.get(name):
            raise Mistake(f"both {name} and {name}_FILE are set; which of the two is meant?")
        if path:
            known[name] = _read(name, Path(path))
    return known


def _read(name: str, path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as fault:
        raise Mistake(f"{name}_FILE: {path} cannot be read: {fault}") from None
    if not found:
        raise Mistake(f"{name}_FILE: {path} holds no key")
    return ",".join(found)
