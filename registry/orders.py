"""What clients of the control socket may say to the supervisor: one JSON line each. Pure; both planes import it."""

from __future__ import annotations

from typing import Final

import msgspec


class Suspect(msgspec.Struct, tag="suspect", tag_field="type", frozen=True):
    """A gateway saw a worker fail: probe it now."""

    worker: str
    reason: str = ""


class Gateway(msgspec.Struct, tag="gateway", tag_field="type", frozen=True):
    """Who speaks is a gateway: workers that leave wait for its `Free`."""


class Free(msgspec.Struct, tag="free", tag_field="type", frozen=True):
    """A worker that leaves holds no request of this gateway any more, and gets none."""

    worker: str


Order = Suspect | Gateway | Free

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)


def encode(order: Order) -> bytes:
    """One line of JSON, newline included."""
    return _ENCODER.encode(order) + b"\n"


def decode(line: bytes) -> Order:
    """The order in one line. Raises `msgspec.DecodeError` on anything else."""
    return _DECODER.decode(line)
