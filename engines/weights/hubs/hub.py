"""What a hub is: it says who to ask, and lists what a source consists of. One file each kind; `registry` names them.

Called by `engines.weights.remote`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engines.weights.failures import FetchFailed
from engines.weights.source import Address
from engines.weights.transfer.listing import File, Listing, checked, exactly, needed, one
from engines.weights.transfer.refusals import Refusal
from engines.weights.transfer.web import Web
from registry import sources


@dataclass(frozen=True, slots=True)
class Wish:
    """What a model of the registry, or the adapter store, asks a hub for."""

    address: Address
    sha256: str | None = None
    token: str | None = field(default=None, repr=False)
    allow_pickle: bool = False
    trust_remote_code: bool = False
    parts: tuple[str, ...] = ()
    """Exactly these files, and no checkpoint; empty: all that a checkpoint needs."""
    largest: int | None = None
    """Bytes of one of `parts`, where the hub says how large it is."""

    @property
    def key(self) -> str:
        """Under which the cache notes what it got: all that decides which files those are."""
        if self.parts:
            return f"{self.address.text} {' '.join(self.parts)}"
        chosen = "" if self.address.member else f" pickle={self.allow_pickle} code={self.trust_remote_code}"
        return f"{self.address.text}{chosen}"


@dataclass(frozen=True, slots=True)
class Door:
    """Where a hub is asked, with what secrets, and how its refusals are explained."""

    home: str
    secrets: Mapping[str, str] = field(repr=False)
    refusal: Refusal


class Hub(Protocol):
    """One kind of server."""

    def door(self, wish: Wish) -> Door:
        """Who is asked. Raises `FetchFailed` where its settings make no sense."""

    async def listing(self, wish: Wish, web: Web) -> Listing:
        """Exactly what to fetch. Raises `WeightsFailed`, or `Broken` where another try may help."""


def token_of(wish: Wish, environ: Mapping[str, str], variable: str) -> str:
    """The registry's token, else that of `variable`; empty: none. Raises `FetchFailed`, which does not show it."""
    token = wish.token or environ.get(variable, "").strip()
    if token and not sources.is_token(token):
        raise FetchFailed(
            f"{wish.address.text}: ${variable} does not hold a token, which is printable ASCII without spaces: set it "
            "again, or unset it"
        )
    return token


def listing_of(wish: Wish, revision: str, files: list[File]) -> Listing:
    """The part of a repository that `wish` needs. Raises `WeightsFailed`."""
    what = f"{wish.address.repository}@{revision[:12]}" if revision else wish.address.text
    if wish.address.member:
        return Listing(what, revision, checked(what, one(what, files, wish.address.member)))
    if wish.parts:
        return Listing(what, revision, checked(what, exactly(what, files, wish.parts, wish.largest)))
    taken = needed(what, files, allow_pickle=wish.allow_pickle, trust_remote_code=wish.trust_remote_code)
    return Listing(what, revision, checked(what, taken))
