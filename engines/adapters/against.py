"""What an adapter is held against: a model, or only the engines. Pure. Made by the CLI and, later, the supervisor."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from engines.adapters.modules import Modules
from engines.adapters.support import SUPPORT

_FORMAT: Final = re.compile(
    r"[-_.](?:gguf|gptq|awq|bnb|fp8|fp16|bf16|f16|f32|int[48]|[48]bit|unsloth|dynamic|w4a16|w8a8|hf|q[0-9](?:_[0-9a-z]+)*)$"
)
"""What people append to a model's name when they have packed it otherwise."""


@dataclass(frozen=True, slots=True)
class Against:
    """The model below. Everything that is not known is not held against the adapter, and said."""

    engines: tuple[str, ...] = tuple(SUPPORT)
    """Those that may serve it; one of them is enough."""
    model: str = ""
    """As people call it."""
    certain_names: frozenset[str] = frozenset()
    """What the model's makers call it, as `plain_name` has it: another name is another model."""
    other_names: frozenset[str] = frozenset()
    """What else it is called here: the same name confirms it, another one says nothing."""
    modules: Modules | None = None
    why_unknown: str = ""
    """Why its modules are not known."""
    max_rank: int | None = None
    slots: int | None = field(default=None)
    """How many adapters a worker holds; 0: adapters are off."""


def plain_name(text: str) -> str:
    """`org/Some-Model-AWQ` → `some-model`: a name without who published it and how it is packed."""
    name = text.rstrip("/").rpartition("/")[2].lower().removesuffix(".gguf")
    while (shorter := _FORMAT.sub("", name)) != name:
        name = shorter
    return name


def plain_names(texts: Iterable[str]) -> frozenset[str]:
    """Of all that are not empty."""
    return frozenset(name for text in texts if (name := plain_name(text)))


def is_published(name: str) -> bool:
    """Whether `base_model_name_or_path` is a hub's `org/name`, and not a place on the trainer's disk."""
    org, slash, rest = name.partition("/")
    return bool(org and slash and rest) and "/" not in rest and not name.startswith((".", "~"))
