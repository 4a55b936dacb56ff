"""`s3://`: Amazon's S3 or a store that speaks like it (`AWS_ENDPOINT_URL`).

botocore, in an environment of its own, finds credentials, lists and signs; the bytes then come over plain HTTP like
everybody's, so that they are resumed and verified alike. S3 keeps no SHA-256 by itself: put a `SHA256SUMS` beside the
files, or `sha256` into the registry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from engines import tool
from engines.environments.environment import EnvironmentFailed, ensure
from engines.progress import Report
from engines.tool import Tool, ToolFailed
from engines.weights.convert import TOOLS
from engines.weights.failures import FetchFailed
from engines.weights.hubs.hub import Door, Wish, listing_of
from engines.weights.hubs.plain import SUMS
from engines.weights.source import Address
from engines.weights.transfer.listing import File, Listing, sums
from engines.weights.transfer.refusals import Refusal
from engines.weights.transfer.web import Web

_ENVIRONMENT: Final = "fetcher"
_ADVICE: Final = (
    "Check that the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, the machine's role) allow s3:ListBucket and "
    "s3:GetObject there, and AWS_REGION and AWS_ENDPOINT_URL if the store is not Amazon's"
)


class Stored(msgspec.Struct):
    """One object of a bucket, with a signed address."""

    key: str
    url: str
    size: int
    etag: str | None = None


Signed = Callable[[str, str], Awaitable[list[Stored]]]
"""The objects of a bucket whose keys begin with a prefix. Raises `FetchFailed`."""


class S3:
    """Invariant: no credential is ever in this process; what is signed opens one object for some hours."""

    def __init__(self, signed: Signed) -> None:
        self._signed: Final = signed

    def door(self, wish: Wish) -> Door:
        advice = f"{_ADVICE}; if this was a long download, run it again: its signatures may have expired"
        return Door("https://s3.amazonaws.com", {}, Refusal(wish.address.text, advice=advice))

    async def listing(self, wish: Wish, web: Web) -> Listing:
        address = wish.address
        prefix = _prefix(address)
        stored = await self._signed(address.repository, prefix + address.member)
        files = [
            File(each.key.removeprefix(prefix), each.url, each.size, etag=each.etag)
            for each in stored
            if not each.key.endswith("/")
        ]
        vouched = await _sums(files, web)
        files = [replace(file, sha256=vouched.get(file.name)) for file in files]
        if address.member:
            files = [replace(file, sha256=file.sha256 or wish.sha256) for file in files]
        return replace(listing_of(wish, "", files), what=address.text)


def _prefix(address: Address) -> str:
    return f"{address.folder}/" if address.folder else ""


async def _sums(files: list[File], web: Web) -> Mapping[str, str]:
    """What `SHA256SUMS` says, where there is one."""
    for file in files:
        if file.name == SUMS:
            try:
                return sums(await web.text(file.url))
            except ValueError as fault:
                raise FetchFailed(f"{SUMS} in that folder is not what `sha256sum *` prints: make it again") from fault
    return {}


def signing(cache: Path, environ: Mapping[str, str], report: Report) -> Signed:
    """By botocore in its environment, which is installed if it is not there."""

    async def signed(bucket: str, prefix: str) -> list[Stored]:
        where = f"s3://{bucket}/{prefix}"
        try:
            made = await ensure(_ENVIRONMENT, cache, report, environ=environ)
            arguments = [f"--bucket={bucket}", f"--prefix={prefix}"]
            result = await tool.run(Tool(made.python, TOOLS, "list_s3"), arguments, environ, lambda *_: None)
        except EnvironmentFailed as fault:
            raise FetchFailed(str(fault)) from fault
        except ToolFailed as fault:
            raise FetchFailed(f"{where}: {fault}") from fault
        if "refused" in result:
            raise FetchFailed(f"{where}: {result['refused']}. {_ADVICE}")
        return msgspec.json.decode(str(result["objects"]), type=list[Stored])

    return signed
