"""The field `adapters`: room for LoRA adapters, and which of them a model has by its file. Part of `spec`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from registry import names, sources
from registry.strict import Strict

_NAME: Final = re.compile(names.ADAPTER_PATTERN)
FREE: Final = ("pinned", "declared", "watch")
"""Fields whose change asks for no other workers."""


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 of a-z, 0-9, '.', '_', '-', starting with a letter or digit")
    return name


def _source(source: str) -> str:
    if rule := sources.flaw(source):
        raise ValueError(rule)
    if sources.scheme(source) == "pypi":
        raise ValueError("must be a path, hf://, modelscope://, s3:// or https://host/folder/")
    return source


def _folder(path: str) -> str:
    if not path or not sources.is_path(path):
        raise ValueError("must be the path of a folder on this machine")
    return path


AdapterName = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{names.ADAPTER_PATTERN}$"})]
AdapterSource = Annotated[str, AfterValidator(_source)]
Folder = Annotated[str, AfterValidator(_folder)]


class AdaptersSpec(Strict):
    """Room for LoRA adapters on each worker, and which ones there always are."""

    slots: int = Field(default=0, ge=0, le=4096)
    """How many adapters stay loaded at once. 0: adapters are off, which saves memory."""
    max_rank: int = Field(default=16, ge=1, le=512)
    """The largest rank that an adapter may have; memory is set aside for it."""
    pinned: Annotated[tuple[AdapterName, ...], Field(strict=False)] = ()
    """Adapters of which every worker always holds the current revision."""
    declared: Mapping[AdapterName, AdapterSource] = {}
    """Adapters that there are by this file: name and source, a path (relative to this file) or a hub's address.
    Another source is another revision, and the one that the name stands for."""
    watch: Folder | None = None
    """A folder (relative to this file): an adapter that is put there whole, as a folder or an archive, is added under
    its name, and promoted."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        for field in FREE:
            if getattr(self, field) and not self.slots:
                raise ValueError(f"{field} needs room: set slots to 1 or more")
        if len(set(self.pinned)) > self.slots:
            raise ValueError(f"pinned has {len(set(self.pinned))} adapters, and slots is {self.slots}")
        return self
