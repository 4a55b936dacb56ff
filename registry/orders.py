"""What clients of the control socket say to the supervisor, and what it answers: one JSON line each. Pure; both planes
import it.

Among its answers the supervisor sends snapshots, which have no `type`. What concerns adapters is told in
`registry.adapter_orders`, how metrics are summed in `registry.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from registry.adapter_orders import AdapterAnswer, AdapterOrder
from registry.changes import Step
from registry.figures import Count, Counted, Sum, Summed

LINE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one message, at most: a snapshot of ten thousand models is about ten million, a gateway's figures of ten
thousand series are about one.
"""


class Suspect(msgspec.Struct, tag="suspect", tag_field="type", frozen=True):
    """A gateway saw a worker fail: probe it now."""

    worker: str
    reason: str = ""


class Gateway(msgspec.Struct, tag="gateway", tag_field="type", frozen=True):
    """Who speaks is a gateway: workers and adapters that leave wait for its `Free`."""


class Free(msgspec.Struct, tag="free", tag_field="type", frozen=True):
    """What leaves (a worker by its id, an adapter by its `hold`) has no request of this gateway any more, and gets
    none.
    """

    worker: str


class Use(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model's use as one gateway sees it."""

    active: int = 0
    """Requests on its workers."""
    waiting: int = 0
    """Requests that wait for one."""
    asked: bool = False
    """Whether a request found no worker since the last report, be it that it did not wait."""
    quiet: float | None = None
    """Seconds since the last request ended; None: there was none."""


class Usage(msgspec.Struct, tag="usage", tag_field="type", frozen=True):
    """How much the models that are loaded on demand are used; it replaces what this gateway said before."""

    models: Mapping[str, Use]


class Reload(msgspec.Struct, tag="reload", tag_field="type", frozen=True):
    """Read the registry file now. Answered with `Steps`."""


class Plan(msgspec.Struct, tag="plan", tag_field="type", frozen=True):
    """Say what the registry file at `path` would change; do nothing. Answered like a `Reload`."""

    path: str


Order = Suspect | Gateway | Free | Usage | Reload | Plan | Sum | Counted | AdapterOrder


class Steps(msgspec.Struct, tag="reloaded", tag_field="type", frozen=True):
    """What comes of a registry file: what is done about it, or every fault and nothing done."""

    steps: tuple[Step, ...] = ()
    faults: tuple[str, ...] = ()
    """Each with its file and line."""


Answer = Steps | Count | Summed | AdapterAnswer
"""Or, as `Count`, a question."""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)


_ANSWERS: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)
_ANSWER: Final = b'{"type":"'


def encode(order: Order | Answer) -> bytes:
    """One line of JSON, newline included."""
    return _ENCODER.encode(order) + b"\n"


def decode(line: bytes) -> Order:
    """The order in one line. Raises `msgspec.DecodeError` on anything else."""
    return _DECODER.decode(line)


def answer(line: bytes) -> Answer | None:
    """The answer in one line of the supervisor's; None: it is a snapshot. Raises `msgspec.DecodeError`."""
    return _ANSWERS.decode(line) if line.startswith(_ANSWER) else None
