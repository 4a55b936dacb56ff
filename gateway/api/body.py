"""A request's body: read once, decoded once, held to its bounds, and only the fields that the gateway acts on."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.api import bounds, shape
from gateway.api.steering import KNOWN, steering
from gateway.asgi import Receive
from gateway.errors import BodyTooLarge, ClientGone, InvalidRequest


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Wanted(msgspec.Struct, frozen=True):
    """The fields of an inference request that decide its way. Everything else passes through as bytes."""

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    steering: tuple[str, ...] = ()
    """Fields that steer the engine: only where the model's registry entry allows them."""

    @property
    def usage_asked(self) -> bool:
        """Whether the client wants the usage event of its stream."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


_REMARKABLE: Final = bounds.BOUNDED | KNOWN
"""Fields that also a short body is looked at more closely for."""

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODEL: Final = msgspec.json.Decoder(str | None)
_STREAM: Final = msgspec.json.Decoder(bool | None)
_NULL: Final = msgspec.Raw(b"null")
_STREAM_OPTIONS: Final = msgspec.json.Decoder(_StreamOptions | None)

_HALF: Final = re.compile("surrogate|hex escape|truncated")
"""What msgspec says, among other things, of an escape that is half a character."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises `BodyTooLarge` past `limit` bytes, `ClientGone` if the client leaves meanwhile."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge(f"The request's body is longer than {limit} bytes.")
        return body
    parts = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone("The client left while it was sending.")
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise BodyTooLarge(f"The request's body is longer than {limit} bytes.")
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()


def decode(body: bytes) -> Wanted:
    """What the gateway must know of an inference request. Raises `InvalidRequest`, naming the parameter."""
    if len(body) > shape.ROOMY:
        _check_excess(body)
    fields = _parsed(body)
    if len(fields) > shape.WIDEST:
        raise InvalidRequest(f"The request's body has more than {shape.WIDEST} fields.")
    values = b"".join(fields.values())
    if shape.doubled(body, fields, values):
        raise _twice(shape.twice(body, fields))
    model, stream, options = _decided(fields)
    if not model:
        raise InvalidRequest("You must name a model: the 'model' parameter is missing or empty.", param="model")
    if len(body) <= shape.ROOMY and shape.too_deep(body, fields):
        raise _too_deep()
    bounds.check_numbers(fields)
    if len(values) <= bounds.SHORT and _REMARKABLE.isdisjoint(fields):
        return Wanted(model, stream, options)
    bounds.check(fields)
    return Wanted(model, stream, options, steering(fields))


def _check_excess(body: bytes) -> None:
    match shape.excess(body):
        case shape.Excess.VALUES:
            raise _too_many()
        case shape.Excess.LEVELS:
            raise _too_deep()


def _parsed(body: bytes) -> shape.Fields:
    try:
        if not body.isascii():
            body.decode("utf-8")  # msgspec skips over fields that it does not read, invalid bytes and all
        return _FIELDS.decode(body)
    except UnicodeDecodeError as fault:
        raise InvalidRequest("The request's body is not valid UTF-8.") from fault
    except msgspec.ValidationError as fault:
        raise InvalidRequest("The request's body must be a JSON object.") from fault
    except msgspec.DecodeError as fault:
        raise InvalidRequest(f"The request's body is not valid JSON: {_reason(body, fault)}.") from fault
    except RecursionError as fault:
        raise _too_deep() from fault


def _reason(body: bytes, fault: msgspec.DecodeError) -> str:
    near = body[-12:] if "truncated" in str(fault) else b"\\ud"
    if _HALF.search(str(fault)) and b"\\ud" in near.lower():
        return f"an escape from \\ud800 to \\udfff is half a character and needs its other half ({fault})"
    return str(fault)


def _twice(name: str | None) -> InvalidRequest:
    if name is None:
        return InvalidRequest("The request's body has a field twice, or one with a quotation mark in its name.")
    return InvalidRequest(f"The request's body has '{name}' twice.", param=name)


def _too_many() -> InvalidRequest:
    return InvalidRequest(
        f"The request's body holds too much at once: more than {shape.VALUES} values, {shape.CONTAINERS} of them arrays"
        f" and objects, or {shape.STRINGS} strings."
    )


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The request's body is nested too deeply: more than {shape.DEEPEST} levels.")


def _decided(fields: shape.Fields) -> tuple[str | None, bool | None, _StreamOptions | None]:
    name = "model"
    try:
        model = _MODEL.decode(fields.get(name, _NULL))
        name = "stream"
        stream = _STREAM.decode(fields.get(name, _NULL))
        name = "stream_options"
        return model, stream, _STREAM_OPTIONS.decode(fields[name]) if name in fields else None
    except msgspec.ValidationError as fault:
        raise bounds.wrong_type(fault, name) from fault
