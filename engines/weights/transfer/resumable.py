"""One file over HTTP, taken up where it was cut, believed only when its sum is right. Called by `download`.

A server may lie: about the length, the range, the sum. `placed` decides what an answer is worth, purely.
Source: RFC 9110, 13.1.5 (If-Range), 14.4 (Content-Range).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from engines.weights.failures import ChecksumMismatch, FetchFailed
from engines.weights.transfer.listing import File
from engines.weights.transfer.part import Checksums, Part
from engines.weights.transfer.patience import Wait, persevere
from engines.weights.transfer.refusals import Broken
from engines.weights.transfer.web import Web, shown

_FLUSH: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the bytes of an answer belong: behind what is here (`resumed`), or in its place; `total`: in the end."""

    resumed: bool
    total: int | None
    etag: str


class Untrue(Exception):
    """The answer does not continue what is here: that has to be thrown away."""


def placed(status: int, headers: Mapping[str, str], have: int, validator: str, file: File) -> Placed:
    """What to do with an answer. Raises `Untrue`, or `FetchFailed` where another try would bring the same."""
    where = shown(file.url)
    if headers.get("content-encoding", "identity") != "identity":
        raise FetchFailed(f"{where} was sent packed ({headers['content-encoding']}), although we asked for it plain")
    etag = headers.get("etag", "")
    strong = "" if etag.startswith("W/") or not etag.isascii() else etag  # what is not ASCII cannot be sent back
    if status == 416:
        raise Untrue(f"{where}: the server has no bytes behind {have}")
    if status == 200:
        total = int(headers["content-length"]) if headers.get("content-length", "").isdigit() else None
        if total is None and file.size is None and "chunked" not in headers.get("transfer-encoding", ""):
            raise FetchFailed(f"{where}: the server does not say how long it is, so a cut would not be seen")
        return _sized(Placed(False, total, strong), file)
    found = _RANGE.fullmatch(headers.get("content-range", ""))
    if found is None or not _continues(have, int(found[1]), int(found[2]), found[3]):
        raise Untrue(f"{where}: asked for the bytes from {have} on, the server sent others")
    if found[3] == "*" and file.size is None:
        raise Untrue(f"{where}: the server does not say how long it is, so a cut would not be seen")
    if validator and strong and strong != validator:
        raise Untrue(f"{where} was changed meanwhile")
    total = int(found[3]) if found[3] != "*" else None
    return _sized(Placed(True, total, strong or validator), file)


def _continues(have: int, begin: int, end: int, total: str) -> bool:
    return begin == have <= end and (total == "*" or end < int(total))


def _sized(place: Placed, file: File) -> Placed:
    if file.size is not None and place.total not in {None, file.size}:
        raise FetchFailed(
            f"{shown(file.url)}: the list says {file.size} bytes, the server {place.total}: it holds another revision, "
            "or something between cuts it. Try again later, or another mirror"
        )
    return place if place.total is not None else Placed(place.resumed, file.size, place.etag)


class Resumable:
    """One file's way here. Invariant: `whole` returns only for bytes that have every sum that is known."""

    def __init__(
        self, file: File, part: Part, web: Web, wait: Wait, heard: Callable[[int], None], room: Callable[[int], None]
    ) -> None:
        self._file: Final = file
        self._part: Final = part
        self._web: Final = web
        self._wait: Final = wait
        self._heard: Final = heard
        self._room: Final = room
        """Raises `NoSpace` unless so many more bytes fit."""
        self._pieces = 0

    async def whole(self) -> Checksums:
        """Fetch what is missing. Raises `WeightsFailed`; what is here is kept unless it is wrong."""
        self._pieces = 1 if self._part.size else 0
        sums, fault = await self._once()
        if fault and self._pieces > 1:
            # It was put together from pieces, one of which may be of another time: once more, from the start.
            sums, fault = await self._once()
        if fault:
            raise ChecksumMismatch(fault)
        return sums

    async def _once(self) -> tuple[Checksums, str]:
        await persevere(self._attempt, lambda: self._part.size, self._wait)
        sums = await asyncio.to_thread(self._part.sums)
        fault = mismatch(self._file, sums)
        if fault:
            self._part.forget()
        return sums, fault

    async def _attempt(self) -> None:
        part, size = self._part, self._file.size
        have = part.size
        if size is not None and have > size:
            part.forget()
            have = 0
        if size is not None and have == size and part.path.exists():
            return
        self._pieces += 1
        validator = part.validator
        asked = {"Accept-Encoding": "identity"}
        # Without a validator only a known sum can tell that the pieces fit.
        if have and (validator or self._file.sha256 or self._file.git):
            asked |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
        async with self._web.get(self._file.url, asked) as answer:
            try:
                place = placed(answer.status_code, answer.headers, have, validator, self._file)
            except Untrue as fault:
                part.forget()
                raise Broken(str(fault)) from fault
            if not (place.resumed and have):
                part.begin(place.etag)
            if size is None and place.total is not None:
                self._room(place.total - part.size)
            await self._receive(answer.aiter_raw(), place.total)

    async def _receive(self, chunks: AsyncIterator[bytes], total: int | None) -> None:
        """Whatever ends it, what came is kept; and whatever comes, no more than was announced."""
        part, waiting = self._part, bytearray()
        here = part.size
        try:
            async for chunk in chunks:
                here += len(chunk)
                if total is not None and here > total:
                    waiting.clear()
                    part.forget()
                    raise FetchFailed(f"{shown(self._file.url)}: the server sends more than the {total} bytes it has")
                waiting += chunk
                if len(waiting) >= _FLUSH:
                    octets = bytes(waiting)
                    waiting.clear()
                    await asyncio.to_thread(part.append, octets, total)
                    self._heard(here)
        finally:
            part.append(waiting, total)
            self._heard(part.size)
        if total is not None and here < total:
            raise Broken(f"{shown(self._file.url)} was cut at {here} of {total} bytes")


def mismatch(file: File, sums: Checksums) -> str:
    """What is wrong with a whole file; empty where nothing is."""
    for kind, found, wanted in (("SHA-256", sums.sha256, file.sha256), ("git hash", sums.git, file.git)):
        if wanted is not None and found != wanted:
            return (
                f"{shown(file.url)}: the {kind} is {found}, but it should be {wanted}. The server, or something "
                "between, holds other bytes: nothing of it is kept. Try another mirror, or correct `sha256` if the "
                "registry names it"
            )
    return ""
