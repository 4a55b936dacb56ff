"""What the shapes of a registry file are built of: the strict mapping, and durations. Used by `spec` and `replicas`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from registry import durations

_DURATION_SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$"},
        {"type": "number", "exclusiveMinimum": 0},
    ]
}
_DURATION_OR_OFF_SCHEMA: Final = {"anyOf": [*_DURATION_SCHEMA["anyOf"], {"const": "off"}]}

Duration = Annotated[float, BeforeValidator(durations.bounded), WithJsonSchema(_DURATION_SCHEMA)]
DurationOrOff = Annotated[float | None, BeforeValidator(durations.parse), WithJsonSchema(_DURATION_OR_OFF_SCHEMA)]


class Strict(BaseModel):
    """Frozen, strict, and closed: a field that is not declared is refused, and no text is taken for a number."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)
