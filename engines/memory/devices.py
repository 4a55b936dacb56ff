"""Which GPUs each worker gets: by shares of their memory, so that several workers may be on one. Pure.

Called by `plan`, `machine` and `launchers.local`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_ORDER: Final = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""As `nvidia-smi` counts; CUDA itself begins with the fastest."""


class Numbered(Protocol):
    """A GPU as the driver names it."""

    @property
    def index(self) -> int: ...

    @property
    def uuid(self) -> str: ...


G = TypeVar("G", bound=Numbered)


def assigned(free: Sequence[int], share: int, parallel: int, workers: int) -> tuple[tuple[int, ...], ...] | None:
    """For each worker `parallel` positions in `free`, where it takes `share` bytes of each; None: there is no room.

    The emptiest are taken first: of equal shares that need different devices, that way as many fit as can.
    """
    left = list(free)
    found: list[tuple[int, ...]] = []
    for _ in range(workers):
        emptiest = sorted(range(len(left)), key=lambda device: (-left[device], device))[:parallel]
        if len(emptiest) < parallel or any(left[device] < share for device in emptiest):
            return None
        for device in emptiest:
            left[device] -= share
        found.append(tuple(sorted(emptiest)))
    return tuple(found)


def visible(gpus: Sequence[G], env: Mapping[str, str]) -> tuple[G, ...]:
    """The GPUs that the operator leaves to us, by index or by the beginning of a UUID, in the order that he names."""
    wish = env.get(VISIBLE)
    if wish is None:
        return tuple(gpus)
    found: list[G] = []
    for word in (each.strip() for each in wish.split(",")):
        named = [gpu for gpu in gpus if word == str(gpu.index) or (word[4:] and gpu.uuid.startswith(word))]
        if not named:
            break  # CUDA too: what stands behind a name that it does not know is not visible
        found += named[:1]
    return tuple(found)


def variables(indices: Sequence[int]) -> dict[str, str]:
    """What makes a process see these GPUs alone; nothing where none were chosen."""
    return {VISIBLE: ",".join(map(str, indices)), **_ORDER} if indices else {}
