"""Names: what a model or an alias may be called, and how a request spells an adapter. Pure text, no look-ups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

RESERVED_PREFIX: Final = "ft:"
LONGEST_NAME: Final = 128

MODEL_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*"
ADAPTER_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,63}"
DIGEST_PATTERN: Final = r"[0-9a-f]{8,64}"
"""The beginning of a digest, enough to find a revision by."""
SHA256_PATTERN: Final = r"[0-9a-f]{64}"
"""All of one."""

_MODEL: Final = re.compile(MODEL_PATTERN)
_ADAPTER: Final = re.compile(ADAPTER_PATTERN)
_DIGEST: Final = re.compile(DIGEST_PATTERN)


class NameRefused(ValueError):
    """A text that cannot be a name. The message states the rule and never repeats the text."""


@dataclass(frozen=True, slots=True)
class AdapterName:
    """A name in the syntax of adapters: `base:adapter@digest`, `base:adapter`, or the adapter's `own` name."""

    base: str | None
    """The model below; None where only the adapter was named."""
    adapter: str
    digest: str | None = None
    """One revision; None: whichever the alias stands for now."""


@dataclass(frozen=True, slots=True)
class Clash:
    """An alias that cannot stand: `position` in the list of `model`, and the rule."""

    model: str
    position: int
    message: str


def check_model(name: str) -> str:
    """`name`, where a model or an alias may be called so; else raises NameRefused."""
    if name.startswith(RESERVED_PREFIX):
        raise NameRefused("must not start with 'ft:', which is reserved for fine-tuned adapters")
    if ":" in name or "@" in name:
        raise NameRefused("must not contain ':' or '@', which separate adapters and revisions")
    if len(name) > LONGEST_NAME:
        raise NameRefused(f"must be at most {LONGEST_NAME} characters long")
    if not _MODEL.fullmatch(name):
        raise NameRefused(
            "must be made of letters, digits, '.', '_', '-' and single '/' between parts, "
            "each part starting with a letter or digit"
        )
    return name


def check_adapter(name: str) -> str:
    """`name`, where an adapter may be called so; else raises NameRefused."""
    if not _ADAPTER.fullmatch(name):
        raise NameRefused("must be 1 to 64 of a-z, 0-9, '.', '_', '-', and start with a letter or a digit")
    return name


def is_digest(text: str) -> bool:
    """Whether `text` can name a revision."""
    return _DIGEST.fullmatch(text) is not None


def parse_adapter(text: str) -> AdapterName:
    """The parts of an adapter's name. Raises NameRefused where `text` is not in that syntax."""
    if text.startswith(RESERVED_PREFIX):
        raise NameRefused("must not start with 'ft:', which is reserved for fine-tuned adapters")
    base, colon, rest = text.rpartition(":")
    adapter, at, digest = rest.partition("@")
    if colon:
        check_model(base)
    elif at:
        raise NameRefused("must name its model where it names a revision: base:adapter@digest")
    if not _ADAPTER.fullmatch(adapter):
        raise NameRefused(
            "must end in an adapter's name: 1 to 64 of a-z, 0-9, '.', '_', '-', starting with a letter or digit"
        )
    if at and not _DIGEST.fullmatch(digest):
        raise NameRefused("must have a revision of 8 to 64 hexadecimal digits in lower case after the '@'")
    return AdapterName(base if colon else None, adapter, digest if at else None)


def clashes(models: Mapping[str, Sequence[str]]) -> tuple[Clash, ...]:
    """Every alias that is already a model's name or another's alias; `models` gives the aliases of each model."""
    found: list[Clash] = []
    owners: dict[str, str] = {}
    for model, aliases in models.items():
        for position, alias in enumerate(aliases):
            if message := _taken(alias, model, models, owners):
                found.append(Clash(model, position, message))
            owners.setdefault(alias, model)
    return tuple(found)


def _taken(alias: str, model: str, models: Mapping[str, Sequence[str]], owners: Mapping[str, str]) -> str:
    if alias == model:
        return "an alias repeats the model's own name"
    if alias in models:
        return "an alias is the name of another model"
    if owners.get(alias) == model:
        return "an alias is listed twice"
    return f"the alias is already taken by the model {owners[alias]!r}" if alias in owners else ""
