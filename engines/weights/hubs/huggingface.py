"""`hf://`: Hugging Face's hub, or a mirror that speaks like it (`HF_ENDPOINT`).

Source: the hub's OpenAPI, `GET /api/models/{repo}/revision/{revision}?blobs=true` and
`GET /{repo}/resolve/{commit}/{file}`, which redirects large files to a CDN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from engines.weights.failures import FetchFailed
from engines.weights.hubs.hub import Door, Wish, listing_of, token_of
from engines.weights.transfer.listing import File, Listing
from engines.weights.transfer.refusals import Refusal
from engines.weights.transfer.web import Web, shown

_HOME: Final = "https://huggingface.co"


class _Lfs(msgspec.Struct):
    sha256: str
    size: int


class _Sibling(msgspec.Struct):
    rfilename: str
    size: int | None = None
    blobId: str | None = None  # noqa: N815 (the hub's spelling)
    lfs: _Lfs | None = None


class _Repository(msgspec.Struct):
    sha: str
    siblings: list[_Sibling] = []


class HuggingFace:
    """Invariant: files are asked for by the commit that the list is of, so a branch that moves does not mix them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._home: Final = (environ.get("HF_ENDPOINT") or _HOME).rstrip("/")
        self._environ: Final = environ

    def door(self, wish: Wish) -> Door:
        token = token_of(wish, self._environ, "HF_TOKEN")
        secrets = {"Authorization": f"Bearer {token}"} if token else {}
        page = f"{shown(self._home)}/{wish.address.repository}"
        return Door(self._home, secrets, Refusal(wish.address.text, bool(token), "HF_TOKEN", page))

    async def listing(self, wish: Wish, web: Web) -> Listing:
        address = wish.address
        repository, revision = address.repository, quote(address.revision, safe="")
        url = f"{self._home}/api/models/{repository}/revision/{revision}?blobs=true"
        try:
            found = msgspec.convert(await web.json(url), _Repository)
        except msgspec.ValidationError as fault:
            raise FetchFailed(f"{shown(url)} is no list of files ({fault}): check HF_ENDPOINT") from fault
        resolve = f"{self._home}/{repository}/resolve/{quote(found.sha, safe='')}"
        return listing_of(wish, found.sha, [_file(each, resolve) for each in found.siblings])


def _file(each: _Sibling, resolve: str) -> File:
    url = f"{resolve}/{quote(each.rfilename)}"
    if each.lfs is not None:
        return File(each.rfilename, url, each.lfs.size, sha256=each.lfs.sha256)
    return File(each.rfilename, url, each.size, git=each.blobId)
