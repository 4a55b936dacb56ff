"""Whether a checkpoint folder can be what it says it is, from headers and configuration alone; no tensor is read.

Called by `remote` for what was fetched and by `original` for local folders.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from engines import plainfile
from engines.safetensors import LONGEST, HeaderRefused, read
from engines.weights.failures import Damaged

_INDEX: Final = "model.safetensors.index.json"


def examine(what: str, folder: Path) -> None:
    """Raises `Damaged` with the file and what is wrong with it; `what` is the source, as the message names it."""
    examine_config(what, folder)
    examine_weights(what, folder)


def examine_config(what: str, folder: Path) -> None:
    """The half of it that reads config.json alone. Raises `Damaged`, and `OSError` where it cannot be read."""
    config = _object(what, folder / "config.json")
    named = config.get("architectures", [])
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise Damaged(f"{what}: config.json: 'architectures' must be a list of names")
    if not named and not isinstance(config.get("model_type"), str):
        raise Damaged(
            f"{what}: config.json names no architecture ('architectures', 'model_type'), so no engine can tell how to "
            "load it: this is not a language model's checkpoint"
        )


def examine_weights(what: str, folder: Path) -> None:
    """The other half: the headers of its weights, and whether all are there. Raises `Damaged`."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            read(path)
        except HeaderRefused as fault:
            raise Damaged(
                f"{what}: {path.name} is damaged: {fault}. Fetch it again, or take another revision"
            ) from None
    if (folder / _INDEX).is_file():
        _complete(what, folder)


def _complete(what: str, folder: Path) -> None:
    """The index has all tensors' names, as the headers have: those of experts come to tens of megabytes."""
    shards = _object(what, folder / _INDEX, LONGEST).get("weight_map", {})
    names = set(shards.values()) if isinstance(shards, dict) else set()
    missing = sorted(str(name) for name in names if "/" in str(name) or not (folder / str(name)).is_file())
    if missing:
        raise Damaged(f"{what}: {_INDEX} names {missing[0]}, which is not there: the checkpoint is not whole")


def _object(what: str, path: Path, longest: int = plainfile.LONGEST) -> dict[str, object]:
    try:
        found = json.loads(plainfile.content(path, longest))
    except plainfile.NotPlain as fault:
        raise Damaged(f"{what}: {fault}") from None
    except (ValueError, RecursionError) as fault:
        raise Damaged(f"{what}: {path.name} is not JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise Damaged(f"{what}: {path.name} is not a JSON object")
    return found
