"""Which fields of a request steer the engine, and whether its model's registry entry allows them. Pure.

Refused rather than stripped: an answer that silently ignores what was asked for is a lie.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from gateway.api.shape import Fields
from gateway.errors import InvalidRequest
from registry.steering import CODE, STEERING

KNOWN: Final = STEERING | CODE
"""Fields that steer, allowed somewhere or nowhere."""
_KWARGS: Final = "chat_template_kwargs"
_HARMLESS: Final = frozenset(
    {
        "clear_thinking",
        "enable_thinking",
        "preserve_thinking",
        "reasoning_effort",
        "thinking",
        "thinking_budget",
        "thinking_mode",
    }
)
"""Of the `chat_template_kwargs`: switches that models document for their users."""
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def steering(fields: Fields) -> tuple[str, ...]:
    """The fields that steer; `null` asks for nothing."""
    if KNOWN.isdisjoint(fields):
        return ()
    return tuple(name for name, raw in fields.items() if name in KNOWN and not _asks_nothing(name, bytes(raw)))


def refuse(steering: Collection[str], allowed: Collection[str], model: str) -> None:
    """Raises `InvalidRequest` for the first field of `steering` that is not among those `allowed` for `model`."""
    for name in steering:
        if name in CODE:
            raise InvalidRequest(f"'{name}' is code, which is taken from no request.", param=name)
        if name not in allowed:
            raise InvalidRequest(_sentence(name, model), param=name)


def _asks_nothing(name: str, value: bytes) -> bool:
    if name != _KWARGS or not value.startswith(b"{"):
        return value == b"null"
    return _OBJECT.decode(value).keys() <= _HARMLESS


def _sentence(name: str, model: str) -> str:
    rest = f"besides {', '.join(sorted(_HARMLESS))} " if name == _KWARGS else ""
    return f"'{name}' {rest}steers the engine, and the registry does not allow it for the model '{model}'."
