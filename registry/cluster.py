"""The shape of a model's `ray`: which cluster its workers run on, and what they need there. Pure. Part of `spec`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from registry.strict import Strict

PlacementName = Literal["spread", "pack"]

_RAY_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_RESOURCE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_LARGEST_PORT: Final = 65535


def _ray_address(address: str) -> str:
    match = _RAY_ADDRESS.fullmatch(address)
    if address != "auto" and not (match and 0 < int(match[1]) <= _LARGEST_PORT):
        raise ValueError("must be auto, or host:port of the cluster's head")
    return address


def _resource(name: str) -> str:
    if not _RESOURCE.fullmatch(name) or name.upper() in {"CPU", "GPU", "MEMORY", "OBJECT_STORE_MEMORY"}:
        raise ValueError("must be that of a resource of your own: CPUs and GPUs have fields")
    return name


def _gpus(count: float) -> float:
    if count > 1 and count != int(count):
        raise ValueError("must be whole, or a part of one GPU: Ray gives no 1.5 GPUs")
    return count


RayAddress = Annotated[
    str, AfterValidator(_ray_address), Field(json_schema_extra={"pattern": f"^(auto|{_RAY_ADDRESS.pattern})$"})
]
ResourceName = Annotated[str, AfterValidator(_resource), Field(json_schema_extra={"pattern": f"^{_RESOURCE.pattern}$"})]
ResourceAmount = Annotated[float, Field(gt=0, le=1_000_000)]
GpuShare = Annotated[float, Field(ge=0, le=1024), AfterValidator(_gpus)]


class RaySpec(Strict):
    """Which Ray cluster the workers run on, and what Ray sets aside there for each of them."""

    address: RayAddress = "auto"
    """The cluster: auto (the one that this machine belongs to), or host:port of its head."""
    cpus: float = Field(default=1.0, ge=0, le=100_000)
    """CPUs for each worker."""
    gpus: GpuShare | None = None
    """GPUs for each worker, a part of one if below 1. Left out: as many as the engine's options spread it over."""
    resources: Mapping[ResourceName, ResourceAmount] = {}
    """Resources of your own, as nodes declare them with `ray start --resources`: where workers may go."""
    placement: PlacementName = "spread"
    """Over as many nodes as there are (spread), or on as few as will do (pack)."""
