"""`modelscope://`: ModelScope's hub, or a mirror that speaks like it (`MODELSCOPE_ENDPOINT`, `MODELSCOPE_DOMAIN`).

Source: modelscope/hub/api.py and file_download.py: `GET /api/v1/models/{repo}/repo/files?Revision=&Recursive=True`
lists, `GET /api/v1/models/{repo}/repo?Revision=&FilePath=` gives a file. A token travels as the session's cookie, and
as a bearer token, which newer hubs take.
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

_HOME: Final = "https://www.modelscope.cn"
_VARIABLE: Final = "MODELSCOPE_API_TOKEN"


class _Entry(msgspec.Struct, rename="pascal"):
    path: str
    type: str = "blob"
    size: int | None = None
    sha256: str | None = None


class _Content(msgspec.Struct, rename="pascal"):
    files: list[_Entry] | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    code: int = 0
    data: _Content | None = None
    message: str = ""


class ModelScope:
    """Invariant: what the hub knows no sum of is not taken for verified."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        domain = environ.get("MODELSCOPE_DOMAIN", "")
        home = environ.get("MODELSCOPE_ENDPOINT") or (f"https://{domain}" if domain else _HOME)
        self._home: Final = home.rstrip("/")
        self._environ: Final = environ

    def door(self, wish: Wish) -> Door:
        token = token_of(wish, self._environ, _VARIABLE)
        secrets = {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {}
        page = f"{shown(self._home)}/models/{wish.address.repository}"
        return Door(self._home, secrets, Refusal(wish.address.text, bool(token), _VARIABLE, page))

    async def listing(self, wish: Wish, web: Web) -> Listing:
        address = wish.address
        repository = f"{self._home}/api/v1/models/{address.repository}/repo"
        revision = quote(address.revision, safe="")
        url = f"{repository}/files?Revision={revision}&Recursive=True"
        try:
            answer = msgspec.convert(await web.json(url), _Answer)
        except msgspec.ValidationError as fault:
            raise FetchFailed(f"{shown(url)} is no list of files ({fault}): check MODELSCOPE_ENDPOINT") from fault
        if answer.data is None or answer.data.files is None:
            raise FetchFailed(
                f"{address.text}: {shown(url)} lists nothing (code {answer.code}). Check the spelling and the revision "
                f"in `source`; a private one is also hidden without a token (${_VARIABLE})"
            )
        files = [
            File(each.path, f"{repository}?Revision={revision}&FilePath={quote(each.path, safe='')}", each.size,
                 sha256=each.sha256.lower() if each.sha256 else None)
            for each in answer.data.files
            if each.type == "blob"
        ]  # fmt: skip
        return listing_of(wish, address.revision, files)
