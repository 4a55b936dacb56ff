"""The registry for verbs that need a right one. `check` is the verb for the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cli.mistake import Mistake
from registry.load import RegistryRefused, load
from registry.spec import Registry


def read_registry(path: Path, env: Mapping[str, str]) -> Registry:
    """The registry in the file at `path`. Raises `Mistake` with every fault."""
    try:
        return load(path, env)
    except RegistryRefused as refused:
        raise refusal(refused) from None


def refusal(refused: RegistryRefused) -> Mistake:
    """All faults, a line each."""
    return Mistake(f"the registry is refused\n{refused}")
