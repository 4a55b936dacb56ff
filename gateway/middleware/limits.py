"""Refuses what is too large or not JSON by its own headers, before a byte of the body is read."""

from __future__ import annotations

from typing import Final

from gateway.asgi import Scope, headers_of
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedMedia

_UPLOADS: Final = "/admin/adapters"
_DIGITS: Final = 18
"""Of a believable length; Python refuses to read thousands of them."""


class Limits:
    """What has no content-length is measured while it is read (`api.body`)."""

    def __init__(self, max_body: int, max_upload: int = 0) -> None:
        self._max_body: Final = max_body
        self._max_upload: Final = max_upload

    def check(self, scope: Scope) -> None:
        """Raises `InvalidRequest`, `BodyTooLarge`, `UnsupportedMedia`."""
        if scope["method"] != "POST":
            return
        headers = headers_of(scope)
        length = headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                raise InvalidRequest("The Content-Length header is not a number.")
            if len(length) > _DIGITS or int(length) > self._max_body:
                most = self._max_upload if _is_upload(scope) else self._max_body
                if len(length) > _DIGITS or int(length) > most:
                    raise BodyTooLarge(f"The request's body is longer than {most} bytes.")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMedia("Compressed request bodies are not accepted.")
        media = headers.get(b"content-type")
        if media is not None and media != b"application/json" and not _is_json(media) and not _is_upload(scope):
            raise UnsupportedMedia("The Content-Type must be application/json.")


def _is_json(media: bytes) -> bool:
    kind = media.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _is_upload(scope: Scope) -> bool:
    """Files come to one path only."""
    media = headers_of(scope).get(b"content-type", b"")
    return scope["path"] == _UPLOADS and media.partition(b";")[0].strip().lower() == b"multipart/form-data"
