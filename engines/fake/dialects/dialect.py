"""What a dialect of the fake worker is: pure functions from a job to an engine's bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engines.fake.job import Job, Refused


class Shape(Protocol):
    """One inference endpoint's answers. Every event is whole, framing included."""

    def opening(self, job: Job) -> list[bytes]:
        """The events before the first token."""

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        """The event of token `index` (from 0) of one choice; `finish` is set on a last one that is cut by length."""

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        """The events after the last token: the finish, the usage where asked, but not `[DONE]`."""

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        """The answer to a request that does not stream."""

    @property
    def done(self) -> bytes:
        """What ends a good stream; empty: nothing does."""


@dataclass(frozen=True, slots=True)
class Verbs:
    """The paths by which an engine is managed; empty: it has none."""

    load: str = ""
    unload: str = ""
    sleep: str = ""
    wake: str = ""


class Dialect(Protocol):
    """One engine's endpoints and the wording of its errors."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The inference paths."""

    def error(self, refused: Refused) -> dict[str, Any]:
        """The body of an error answer."""

    def breaking(self, job: Job, made: int) -> list[bytes]:
        """The events of an engine that breaks after `made` tokens of a stream, but not `[DONE]`."""

    def too_long(self, context: int, length: int) -> Refused:
        """How a prompt of `length` tokens is refused where only `context` are taken."""

    def unknown(self, model: str) -> Refused | None:
        """How a name that is neither the model's nor an adapter's is refused; None: it is taken for the model's."""

    def guards(self, path: str) -> bool:
        """Whether `path` needs the key, where the worker has one."""

    @property
    def verbs(self) -> Verbs: ...

    @property
    def health_takes(self) -> float:
        """Seconds of a good `GET /health`."""

    @property
    def sleeping_status(self) -> int:
        """Of `GET /health` while it sleeps."""

    def health(self, *, healthy: bool, sleeping: bool = False) -> bytes:
        """The body of `GET /health`."""

    def adapter_answer(self, status: int, message: str, kind: str, adapters: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of an adapter's loading or unloading; `adapters` are those there now, by name."""

    def models(self, served_name: str, adapters: Sequence[str], context: int, created: int) -> dict[str, Any]:
        """The body of `GET /v1/models`."""

    def metrics(self, served_name: str, figures: Mapping[str, float]) -> str:
        """The text of `GET /metrics`; `figures` are `Counts`, and `cache_usage` in 0…1."""
