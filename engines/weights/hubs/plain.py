"""`https://`: one file, or a folder whose `SHA256SUMS` says what is in it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from engines.weights.failures import FetchFailed
from engines.weights.hubs.hub import Door, Wish, listing_of
from engines.weights.transfer.listing import File, Listing, sums
from engines.weights.transfer.refusals import Refusal
from engines.weights.transfer.web import Web, shown

SUMS = "SHA256SUMS"


class Plain:
    """Any web server. Invariant: a folder is taken only with the sums that it publishes."""

    def door(self, wish: Wish) -> Door:
        address = wish.address
        secrets = {"Authorization": f"Bearer {wish.token}"} if wish.token else {}
        return Door(address.url, secrets, Refusal(address.text, token_sent=bool(secrets)))

    async def listing(self, wish: Wish, web: Web) -> Listing:
        address = wish.address
        if address.member:
            file = File(address.member, address.url, sha256=wish.sha256)
            return listing_of(wish, "", [file])
        try:
            named = sums(await web.text(f"{address.url}{SUMS}"))
        except ValueError as fault:
            raise FetchFailed(
                f"{shown(address.url)}{SUMS} is not what `sha256sum *` prints: make it again, in that folder"
            ) from fault
        files = [File(name, address.url + quote(name), sha256=digest) for name, digest in named.items()]
        listing = listing_of(wish, "", files)
        return replace(listing, what=address.text)
