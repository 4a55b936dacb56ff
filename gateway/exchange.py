"""The record of one request's passage: filled in on the way, read at its end by the access log and the metrics.

Made by `middleware.request_id`, carried in the ASGI scope, settled once in `middleware.access_log`, kept a while in
`passages` for `explaining`. That is why it holds no text of a request or an answer, and no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import islice
from typing import Final, Protocol

import msgspec

from gateway.reading import Usage

_CANDIDATES: Final = 8
"""Workers that an attempt remembers having been chosen among, at most."""
_ATTEMPTS: Final = 32
"""Attempts that are remembered, at most: the first ones, and the last."""


class Why(Protocol):
    """What a policy says of its choice (`balance.policy.Choice`)."""

    @property
    def reason(self) -> Enum: ...
    @property
    def among(self) -> int: ...
    @property
    def matched(self) -> int: ...
    @property
    def blocks(self) -> int: ...


class Attempt(msgspec.Struct, gc=False):
    """One worker's turn at a request. Only references are kept: whoever asks has it put in words (`explaining`)."""

    worker: str
    why: Why
    loads: Mapping[str, float]
    """Open requests by worker, of those it was chosen among; empty: there was no choice."""
    asked: float
    """When a worker was asked for."""
    leased: float
    """When this one was given."""
    connected: float
    """The exchange's `connected` before this attempt."""
    first_token: float | None = None
    """Of a worker that took a stream up in the middle; the exchange knows when the stream's own came."""
    ended: float | None = None
    """When the worker failed; None: it did not, or the request ended with it."""
    code: str = ""
    """Of its failure."""
    fault: str = ""
    """The same in a sentence of ours."""


class Exchange(msgspec.Struct, gc=False):
    """One request. Times are in seconds of the one monotonic clock; None: that moment never came."""

    request_id: str
    started: float
    method: str
    path: str
    client: str
    status: int = 0
    """Of the response that has begun; 0: none has."""
    code: str = ""
    """The error's code or type; empty: it went well."""
    requested: str = ""
    """The model's name as the client said it, cut."""
    served_name: str = ""
    operation: str = ""
    """Set for relayed requests only; they are the ones with metrics of their own."""
    model: str = "other"
    engine: str = ""
    adapter: str = ""
    """Its plain name; empty: the model itself was asked for."""
    revision: str = ""
    """The beginning of its digest, as in names."""
    worker: str = ""
    attempts: int = 0
    resumes: int = 0
    """How often another worker took the stream up in the middle."""
    stream: bool = False
    queued: float = 0.0
    """Seconds spent waiting for a worker."""
    connected: float = 0.0
    """Seconds spent on connecting to workers."""
    sent: float | None = None
    first_byte: float | None = None
    first_token: float | None = None
    answered: float | None = None
    """When the answer's first byte went to the client."""
    usage: Usage | None = None
    left: float | None = None
    """When the client went away before its answer was complete."""
    asked: float | None = None
    """When a worker was last asked for."""
    trials: tuple[Attempt, ...] = ()
    ended: float | None = None
    namesakes: int = 0
    """Earlier requests that had the same id: clients may choose it."""

    def attempt(self, worker: str, why: Why, loads: Mapping[str, float], asked: float, leased: float) -> None:
        """Another worker takes it on; it was asked for and given at these moments."""
        if len(loads) > _CANDIDATES:  # a gateway keeps thousands of these
            loads = dict(islice(loads.items(), _CANDIDATES - 1)) | {worker: loads[worker]}
        trial = Attempt(worker, why, loads, asked, leased, self.connected)
        self.trials = (*self.trials[: _ATTEMPTS - 1], trial) if self.trials else (trial,)
        self.worker = worker
        self.attempts += 1
        self.queued += leased - asked

    def failed(self, code: str, fault: str, now: float) -> None:
        """The worker that has it now did not serve it to its end."""
        if self.trials and self.trials[-1].ended is None:
            trial = self.trials[-1]
            trial.code, trial.fault, trial.ended = code, fault, now
