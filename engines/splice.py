"""Changes fields of a JSON object's bytes and leaves every other byte as the client sent it. Pure; the hot path.

Called by the dialects' `prepare`. Re-serialising would change numbers, escapes and key order, and cost more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = b"null"
_IDS: Final = b'"return_token_ids":true'
_USAGE: Final = b'"include_usage":true'
_OPTIONS: Final = b'"stream_options":{' + _USAGE + b"}"


def with_fields(body: bytes, *, model: str | None, include_usage: bool, token_ids: bool = False) -> bytes:
    """`body` with another `model` (None: its own) and, where asked, `stream_options.include_usage` true and
    `return_token_ids` true.

    Fields keep their order and bytes; of doubled fields the last counts, as for every JSON parser in use. Raises
    `msgspec.DecodeError` if `body` is no JSON object.
    """
    if model is None and b"\\" not in body:
        added = [_IDS] * token_ids + [_OPTIONS] * include_usage
        if added and not ((token_ids and b"return_token_ids" in body) or (include_usage and b"stream_options" in body)):
            return _with_first(body, b",".join(added))
    fields = _FIELDS.decode(body)
    if model is not None:
        fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    if include_usage:
        fields["stream_options"] = _with_usage(fields.get("stream_options"))
    if token_ids:
        fields["return_token_ids"] = msgspec.Raw(b"true")
    return _joined(fields)


def _with_first(body: bytes, field: bytes) -> bytes:
    """`field` before all others. Only for a field that `body` does not have: found without parsing it."""
    start = body.index(b"{") + 1
    rest = body[start:]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return body[:start] + field + comma + rest


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """The client's own options, if it gave an object, and `include_usage`; what is no object the engine refuses."""
    given = bytes(options).strip() if options is not None else _NULL
    if given == _NULL:
        return msgspec.Raw(b"{" + _USAGE + b"}")
    if not given.startswith(b"{"):
        return msgspec.Raw(given)
    return msgspec.Raw(_joined(_FIELDS.decode(given) | {"include_usage": msgspec.Raw(b"true")}))


def _joined(fields: dict[str, msgspec.Raw]) -> bytes:
    pairs = (msgspec.json.encode(name) + b":" + bytes(value) for name, value in fields.items())
    return b"{" + b",".join(pairs) + b"}"


def renamed(body: bytes, names: Mapping[str, str]) -> bytes:
    """`body` with its fields called as `names` says, unless the new name is there already; it counts then.

    `body` itself where none is there, found without parsing it. Raises `msgspec.DecodeError` if one may be there and
    `body` is no JSON object.
    """
    if not any(name.encode() in body for name in names):
        return body
    given = _FIELDS.decode(body)
    if not names.keys() & given.keys():
        return body
    return _joined({names.get(name, name): value for name, value in given.items() if names.get(name) not in given})
