"""What the registry will understand and does not yet: words that are refused as "not supported yet".

One literal table. Whoever makes a feature work deletes its word here and adds the field to `registry.spec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

A_MAPPING: Final = "{…}"
"""Stands for any mapping given where one word is wanted now."""

LATER: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"access", "fallbacks", "limits", "watch"}),
    "models.*": frozenset(
        {
            "access",
            "fallbacks",
            "limits",
            "split",
            "watch",
        }
    ),
}
"""Words by the pattern of their place (`*`: any key or position). A word that ends in `://` is a scheme."""


def word(pattern: str, value: object) -> str | None:
    """The word of the table that `value`, found at a place like `pattern`, uses; None where it uses none."""
    words = LATER.get(pattern, frozenset())
    if isinstance(value, dict):
        return "a mapping" if A_MAPPING in words else None
    if not isinstance(value, str):
        return None
    scheme = value.partition("://")[0] + "://" if "://" in value else ""
    return next((known for known in (value, scheme) if known in words), None)
