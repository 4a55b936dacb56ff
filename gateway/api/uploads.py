"""Adapters that are uploaded: streamed to the state folder, bounded, and gone again whatever happens.

Called by `adapters`. What is complete is handed to the supervisor, which removes it when it is done with it.
"""

from __future__ import annotations

import asyncio
import errno
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from gateway.api.multipart import Multipart, Part, boundary_of
from gateway.asgi import Receive
from gateway.errors import BodyTooLarge, ClientGone, GatewayError, InvalidRequest, NotImplementedHere

_FIELD_LIMIT: Final = 4096
"""Bytes of one text field."""
_FORGOTTEN: Final = 3600.0
"""Seconds after which what nobody writes to is of a gateway that is no more."""
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ARCHIVE: Final = ".archive"
_LOOSE: Final = frozenset({"adapter_config.json", "adapter_model.safetensors"})
"""What is uploaded as it lies in an adapter's folder; everything else is an archive."""


class DiskFull(GatewayError):
    """The state folder's disk has no room for it."""

    status = 507
    code = "disk_full"


@dataclass(slots=True)
class Upload:
    """What has come so far."""

    folder: Path
    fields: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    handed_over: bool = False
    """Whether the supervisor has it, and removes it."""

    def hand_over(self) -> Path:
        """The archive, moved out of its folder, or the folder with the loose files: the supervisor's from here on.

        Raises `InvalidRequest`.
        """
        if not self.files:
            raise InvalidRequest("The body has no file: send the adapter as a tar or zip.", param="file")
        if len(self.files) == 1 and self.files[0] not in _LOOSE:
            source = (self.folder / self.files[0]).rename(self.folder.with_suffix(_ARCHIVE))
            self.folder.rmdir()
            self.handed_over = True
            return source
        if not _LOOSE.issuperset(self.files):
            only = " and ".join(sorted(_LOOSE))
            raise InvalidRequest(f"Several files can only be {only}; pack everything else.", param="file")
        self.handed_over = True
        return self.folder


class Spool:
    """Invariant: outside of `receiving`, nothing lies there but what was handed over."""

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._folder: Final = folder
        self._limit: Final = limit

    @asynccontextmanager
    async def receiving(self, receive: Receive, media: bytes) -> AsyncIterator[Upload]:
        """A whole upload. Raises `BodyTooLarge`, `InvalidRequest`, `DiskFull`, `ClientGone`."""
        if self._folder is None:
            raise NotImplementedHere("This gateway was given no folder for uploads.")
        upload = Upload(self._folder / secrets.token_hex(8))
        keep = False
        try:
            try:
                await asyncio.to_thread(_prepare, upload.folder)
                await self._read(receive, Multipart(boundary_of(media)), upload)
            except OSError as fault:
                raise _storing(fault) from None
            yield upload
        except asyncio.CancelledError:
            keep = upload.handed_over  # the supervisor is at it, and removes it
            raise
        finally:
            if not keep:
                await asyncio.to_thread(_clear, upload.folder)

    async def _read(self, receive: Receive, body: Multipart, upload: Upload) -> None:
        total, more = 0, True
        writing = Writing(upload)
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone("The client left while it was sending.")
                arrived = message.get("body", b"")
                total += len(arrived)
                if total > self._limit:
                    raise BodyTooLarge(f"The upload is longer than {self._limit} bytes.")
                for each in body.feed(arrived):
                    await writing.take(each)
                more = message.get("more_body", False)
        finally:
            await writing.close()
        if not body.complete:
            raise InvalidRequest("The body ends before its last boundary: the upload is not complete.")


class Writing:
    """Invariant: at most one file is open; fields are short."""

    def __init__(self, upload: Upload) -> None:
        self._upload: Final = upload
        self._file: BinaryIO | None = None
        self._field = ""

    async def take(self, each: Part | bytes) -> None:
        """The next part, or a piece of the present one."""
        if isinstance(each, Part):
            await self.close()
            await self._begin(each)
        elif self._file is not None:
            await asyncio.to_thread(self._file.write, each)
        else:
            text = self._upload.fields[self._field] + each.decode("utf-8", "replace")
            if len(text) > _FIELD_LIMIT:
                raise InvalidRequest("This field is too long.", param=self._field)
            self._upload.fields[self._field] = text

    async def _begin(self, part: Part) -> None:
        if not part.filename:
            self._field = part.name[:64]
            self._upload.fields[self._field] = ""
            return
        if not _FILE.fullmatch(part.filename) or part.filename in self._upload.files:
            raise InvalidRequest(
                "A file's name must be plain: letters, digits, '.', '_', '-'; each once.", param="file"
            )
        self._upload.files.append(part.filename)
        self._file = await asyncio.to_thread((self._upload.folder / part.filename).open, "xb")

    async def close(self) -> None:
        """The file that is open is complete."""
        opened, self._file = self._file, None
        if opened is not None:
            await asyncio.to_thread(opened.close)


def _prepare(folder: Path) -> None:
    """A folder for one upload; what gateways that are no more have left goes."""
    folder.mkdir(mode=0o700, parents=True)
    now = folder.stat().st_mtime  # the file system's own clock, if that is another machine's
    for each in folder.parent.iterdir():
        if each != folder and now - _touched(each) > _FORGOTTEN:
            _clear(each)


def _touched(place: Path) -> float:
    try:
        times = [each.stat().st_mtime for each in (place, *(place.iterdir() if place.is_dir() else ()))]
        return float(max(times))
    except OSError:
        return float("inf")  # somebody else removes it


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for place in (folder, folder.with_suffix(_ARCHIVE)):
        if place.is_file():
            place.unlink(missing_ok=True)


def _storing(fault: OSError) -> GatewayError:
    if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull("The disk is full: the upload was removed again.")
    return GatewayError("The upload could not be stored.")
