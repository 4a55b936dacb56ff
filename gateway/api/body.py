"""A request's body: read once, decoded once, and only the fields that the gateway acts on."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.asgi import Receive
from gateway.errors import BodyTooLarge, ClientGone, InvalidRequest


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Wanted(msgspec.Struct):
    """The fields of an inference request that decide its way. Everything else passes through as bytes."""

    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None

    @property
    def usage_asked(self) -> bool:
        """Whether the client wants the usage event of its stream."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


_DECODER: Final = msgspec.json.Decoder(Wanted)


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
    try:
        if not body.isascii():
            body.decode("utf-8")  # msgspec skips over fields that it does not read, invalid bytes and all
        wanted = _DECODER.decode(body)
    except UnicodeDecodeError as fault:
        raise InvalidRequest("The request's body is not valid UTF-8.") from fault
    except msgspec.ValidationError as fault:
        raise _wrong_type(str(fault)) from fault
    except msgspec.DecodeError as fault:
        raise InvalidRequest(f"The request's body is not valid JSON: {fault}.") from fault
    except RecursionError as fault:
        raise InvalidRequest("The request's body is nested too deeply.") from fault
    if not wanted.model:
        raise InvalidRequest("You must name a model: the 'model' parameter is missing or empty.", param="model")
    return wanted


def _wrong_type(fault: str) -> InvalidRequest:
    """Msgspec says: Expected `str`, got `int` - at `$.model`."""
    sentence, _, place = fault.partition(" - at `$")
    param = place.strip("`").lstrip(".")
    if not param:
        return InvalidRequest("The request's body must be a JSON object.")
    return InvalidRequest(f"Wrong type for '{param}': {sentence.lower().replace('`', '')}.", param=param)
