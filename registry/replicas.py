"""The field `replicas`: a number, or a range within which workers come with the requests. Part of `spec`."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PlainValidator, TypeAdapter, model_validator

from registry.strict import Duration, Strict


class ReplicasSpec(Strict):
    """Workers that come with the requests and go without them. Invariant: 0 <= min <= max."""

    min: int = Field(default=0, ge=0, le=1024)
    """How many run always. 0: none; the first request for the model starts one."""
    max: int = Field(default=1, ge=1, le=1024)
    """How many run at most; fewer where memory holds no more."""
    target: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests, at work and waiting, for each worker: more, for some seconds, and there will be more workers.
    Left out: three quarters of what a worker runs at once."""
    idle_after: Duration = 900.0
    """Workers beyond min are stopped once fewer would have done for so long, the last one once the model has had no
    request for so long. Cannot be off."""
    wait: Duration = 600.0
    """Longest wait of a request for the model to be loaded; a client may ask for less. Cannot be off."""
    when_idle: Literal["stop", "sleep"] = "stop"
    """What becomes of the worker then: it is stopped, or it keeps its process and gives the GPU's memory back (sleep),
    so that the next request wakes it in seconds. sleep needs min: 0, max: 1 and a GPU."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"must have a min of at most its max, which is {self.max}")
        if self.when_idle == "sleep" and (self.min, self.max) != (0, 1):
            raise ValueError("must have min: 0 and max: 1 with when_idle: sleep, which is for a model's only worker")
        return self


Count = Annotated[int, Field(ge=1, le=1024, strict=True)]
_COUNT: Final = TypeAdapter[int](Count)


def _number_or_range(value: object) -> int | ReplicasSpec:
    """Of a union pydantic would tell both shapes' faults; this tells those of the shape that was meant."""
    if isinstance(value, dict):
        return ReplicasSpec.model_validate(value)
    return value if isinstance(value, ReplicasSpec) else _COUNT.validate_python(value)


Replicas = Annotated[int | ReplicasSpec, PlainValidator(_number_or_range, json_schema_input_type=Count | ReplicasSpec)]
