"""What a model asks for as weights. Made by the supervisor and the CLI, read by `prepare` and `shelf`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engines.quantize.layout import NONE, Layout
from engines.weights.failures import SourceRefused
from engines.weights.hubs.hub import Wish
from engines.weights.source import Address
from engines.weights.verify import sha256
from registry.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class WeightsRequest:
    """What a model of the registry asks for."""

    name: str
    """The model's, for progress and messages."""
    source: str
    layout: Layout = NONE
    sha256: str | None = None
    folder: Path = field(default_factory=Path)
    """Where a relative path in `source` starts: the registry file's folder."""
    token: str | None = field(default=None, repr=False)
    allow_pickle: bool = False
    trust_remote_code: bool = False
    calibration: Path | None = None
    """The text that tuned layouts are tuned on; None: ours."""
    refresh: bool = False
    """Whether to ask the hub again although the cache has what the source was once found to be."""


def requested(name: str, spec: ModelSpec, layout: Layout, folder: Path) -> WeightsRequest:
    """What `spec`, whose quantization means `layout`, asks for."""
    return WeightsRequest(
        name,
        spec.source or "",
        layout,
        spec.sha256,
        folder,
        spec.token,
        spec.allow_pickle,
        spec.trust_remote_code,
        Path(spec.calibration) if spec.calibration else None,
    )


def calibration_of(request: WeightsRequest) -> str:
    """The digest of the text that the quantizer will read; empty for none, and for ours. Raises `SourceRefused`."""
    if request.calibration is None or request.layout.tuning is None:
        return ""
    try:
        return sha256(request.calibration)
    except OSError as fault:
        raise SourceRefused(f"the calibration text cannot be read: {fault}") from fault


def wish_of(request: WeightsRequest, address: Address) -> Wish:
    """The same, as a hub is asked for it."""
    return Wish(address, request.sha256, request.token, request.allow_pickle, request.trust_remote_code)
