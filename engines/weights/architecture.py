"""Whether an engine knows the architecture that a checkpoint names: read off its own lists, without running it.

Called by `supervisor.preparation` once environment and weights are there: otherwise the engine says so itself, after a
minute, in a traceback. Sources: vllm/model_executor/models/registry.py (which falls back to Transformers' classes),
sglang/srt/models/*.py (`EntryClass`), lmdeploy/pytorch/models/module_map.py, lmdeploy/turbomind/supported_models.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from engines import plainfile

_TRANSFORMERS: Final = "transformers/models/auto/modeling_auto.py"
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "vllm": ("vllm/model_executor/models/registry.py", _TRANSFORMERS),
    "sglang": ("sglang/srt/models/*.py", _TRANSFORMERS),
    "lmdeploy": ("lmdeploy/pytorch/models/module_map.py", "lmdeploy/turbomind/supported_models.py"),
}
"""By engine: files of its environment's site-packages that name every architecture it has."""


def unknown(checkpoint: Path, engine: str, environment: Path, *, trust_remote_code: bool) -> str:
    """Why `engine`, in the environment at this root, cannot load it; empty where it can, or where nothing is known."""
    named = named_in(checkpoint, trust_remote_code=trust_remote_code)
    lists = list(_read(environment, _LISTS.get(engine, ())))
    if not named or not lists or any(_stands(name, text) for name in named for text in lists):
        return ""
    return (
        f"config.json names the architecture {', '.join(named)}, which {engine} in {environment.name} does not know. "
        "Take a model that it knows or a newer environment; if it brings its own code and you have read that, "
        "set `trust_remote_code: true`"
    )


def named_in(checkpoint: Path, *, trust_remote_code: bool) -> tuple[str, ...]:
    """The architectures that an engine would have to have; none where the checkpoint brings its own, trusted code."""
    try:
        config = json.loads(plainfile.content(checkpoint / "config.json"))
        named, brings = config.get("architectures"), bool(config.get("auto_map"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ()
    named = named if isinstance(named, list) else []
    return () if brings and trust_remote_code else tuple(name for name in named if isinstance(name, str))


def _read(environment: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    for site in environment.glob("lib/python3*/site-packages"):
        for pattern in patterns:
            for path in site.glob(pattern):
                yield path.read_text(encoding="utf-8", errors="replace")


def _stands(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
