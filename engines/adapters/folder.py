"""An adapter's two files, opened so that nothing else can be read in their place. Called by `doctor` and the store.

No link is followed, and what is not a plain file (a pipe, a device) is not waited for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from engines.adapters.findings import Finding, Reason

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
PARTS: Final = (CONFIG, WEIGHTS)
"""All that engines read of an adapter; whatever else lies beside it is not taken along."""
_PICKLED: Final = ("adapter_model.bin", "adapter_model.pt", "adapter_model.pth", "adapter_model.pkl")
_RESIZED: Final = ("new_embeddings.safetensors", "additional_embeddings.safetensors")
UNWANTED: Final = (*_PICKLED, *_RESIZED)
"""Whose mere presence refuses the adapter."""


class NotThere(Exception):
    """The file cannot be taken; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding: Final = finding


@contextmanager
def opened(folder: Path, name: str, missing: Reason) -> Iterator[tuple[BinaryIO, int]]:
    """The plain file `name` directly in `folder`, and its bytes. Raises `NotThere`, `OSError` while it is read."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotThere(Finding(missing, name, f"is not there: {_SAVED}")) from None
    except OSError as fault:
        if (folder / name).is_symlink():
            said = "is a symbolic link, which is not followed: copy the adapter with `cp -rL` and name the copy"
            raise NotThere(Finding(Reason.NOT_A_FILE, name, said)) from None
        raise NotThere(Finding(missing, name, f"cannot be read: {fault.strerror}")) from None
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotThere(Finding(Reason.NOT_A_FILE, name, "is not a plain file: put the file itself there"))
        yield file, found.st_size


_SAVED: Final = "name the folder that `save_pretrained` of a PEFT model has written"


def unwanted(folder: Path) -> Iterator[Finding]:
    """Files that an engine might read in place of the weights."""
    for name in _PICKLED:
        if os.path.lexists(folder / name):
            yield Finding(
                Reason.PICKLED,
                name,
                "is a pickle, which runs code when it is read: save the adapter with safe_serialization=True "
                "(PEFT's default) and remove this file",
            )
    for name in _RESIZED:
        if os.path.lexists(folder / name):
            said = "brings embeddings for added tokens, which no engine takes: train without new tokens"
            yield Finding(Reason.EMBEDDING_RESIZED, name, said)
