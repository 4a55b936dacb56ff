"""How a registry's values behave, all of them. The one class that `spec` and its parts are built on. Pure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, strict, and closed: a field that is not declared is refused, and no text is taken for a number."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)
