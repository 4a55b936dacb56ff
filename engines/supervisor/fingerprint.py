"""Which workers make the same tokens: a digest of all that a worker's tokens depend on. Pure; called by `worker`."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from engines.launchers.launcher import Seat

_LENGTH: Final = 16


def fingerprint(seat: Seat) -> str:
    """Equal for workers whose streams may be continued by each other; empty for one that has no such twin.

    External workers are what the registry says they are: whoever lists several for one model says that they are alike.
    """
    spec, prepared = seat.spec, seat.prepared
    if not seat.engine.continues(spec.engine_options):
        return ""
    weights = [str(spec.source), spec.sha256, spec.quantization, str(spec.trust_remote_code)]
    if prepared is not None:
        environment = prepared.python.parent.parent.name
        weights += [prepared.weights.name, prepared.layout, prepared.device, environment]
    facts = [seat.model, seat.engine.name, weights, spec.context, dict(spec.engine_options)]
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:_LENGTH]
