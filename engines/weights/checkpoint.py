"""Whether a checkpoint folder can be what it says it is, from headers and configuration alone; no tensor is read.

Called by `remote` for what was fetched and by `original` for local folders. Source: the safetensors format, 8 bytes of
little-endian length, that much JSON, then the tensors without gaps (safetensors/src/tensor.rs, `validate`).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

from engines.weights.failures import Damaged

_PREFIX: Final = 8
_LARGEST_HEADER: Final = 100_000_000
"""Bytes; safetensors refuses more too."""
_INDEX: Final = "model.safetensors.index.json"


def examine(what: str, folder: Path) -> None:
    """Raises `Damaged` with the file and what is wrong with it; `what` is the source, as the message names it."""
    config = _object(what, folder / "config.json")
    named = config.get("architectures", [])
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise Damaged(f"{what}: config.json: 'architectures' must be a list of names")
    if not named and not isinstance(config.get("model_type"), str):
        raise Damaged(
            f"{what}: config.json names no architecture ('architectures', 'model_type'), so no engine can tell how to "
            "load it: this is not a language model's checkpoint"
        )
    for path in sorted(folder.glob("*.safetensors")):
        fault = header_fault(path)
        if fault:
            raise Damaged(f"{what}: {path.name} is damaged: {fault}. Fetch it again, or take another revision")
    if (folder / _INDEX).is_file():
        _complete(what, folder)


def header_fault(path: Path) -> str:
    """What is wrong with the safetensors file `path`; empty where nothing is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(_PREFIX)
        if len(prefix) < _PREFIX:
            return f"only {size} bytes long"
        length = struct.unpack("<Q", prefix)[0]
        if length > min(_LARGEST_HEADER, size - _PREFIX):
            return f"its header claims {length} bytes in a file of {size}"
        header = file.read(length)
    try:
        tensors = json.loads(header)
        ends = sorted(tuple(each["data_offsets"]) for name, each in tensors.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its header is not a list of tensors"
    return _gap(ends, size - _PREFIX - length)


def _gap(spans: list[tuple[object, ...]], room: int) -> str:
    """Tensors lie one behind the other, from the first byte to the last."""
    end = 0
    for span in spans:
        if len(span) != 2 or not all(isinstance(each, int) for each in span) or span[0] != end:
            return "its tensors overlap or leave gaps"
        last = span[1]
        if not isinstance(last, int) or last < end:
            return "its tensors overlap or leave gaps"
        end = last
    return "" if end == room else f"its tensors take {end} bytes, and the file holds {room}"


def _complete(what: str, folder: Path) -> None:
    shards = _object(what, folder / _INDEX).get("weight_map", {})
    names = set(shards.values()) if isinstance(shards, dict) else set()
    missing = sorted(str(name) for name in names if "/" in str(name) or not (folder / str(name)).is_file())
    if missing:
        raise Damaged(f"{what}: {_INDEX} names {missing[0]}, which is not there: the checkpoint is not whole")


def _object(what: str, path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise Damaged(f"{what}: {path.name} is not JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise Damaged(f"{what}: {path.name} is not a JSON object")
    return found
