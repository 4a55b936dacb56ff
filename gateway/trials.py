"""Adapters with several revisions behind one name: who gets which, and what the supervisor is told of how they do.

`api.inference` asks for each request that names such an adapter, `telemetry` tells how each ended. What is decided is
in `balance.split`; when a split ends by itself the supervisor decides, by what all gateways tell it. Run by `app`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.asgi import Scope, headers_of
from gateway.balance.split import chosen
from gateway.by_adapter import outcome
from gateway.exchange import Exchange
from registry.adapter_orders import Seen, Tried
from registry.adapters import DIGITS, AdapterView
from registry.snapshot import Target

_LONGEST_KEY: Final = 256
_SOON: Final = 0.05
"""Seconds between two reports at least, however many requests end."""


class _Sticky(msgspec.Struct):
    user: Any = None
    safety_identifier: Any = None


_STICKY: Final = msgspec.json.Decoder(_Sticky)


@dataclass(slots=True)
class _Seen:
    """One revision's requests since the last report."""

    requests: int = 0
    errors: int = 0
    first_tokens: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Trial:
    view: AdapterView
    seen: dict[str, _Seen] = field(default_factory=dict)
    """By the beginning of a digest, as exchanges have it."""


class Trials:
    """Invariant: what is counted is of the split that the newest snapshot shows, and is in one report at most."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance: Final = chance
        self._trials: Final[dict[tuple[str, str], _Trial]] = {}
        self._news: Final = asyncio.Event()

    async def run(self, tell: Callable[[Tried], None]) -> None:
        """Report until cancelled, when there is something to say."""
        while True:
            await self._news.wait()
            await asyncio.sleep(_SOON)
            self._news.clear()
            for tried in self.reports():
                tell(tried)

    def allot(self, target: Target, body: bytes, scope: Scope) -> Target:
        """`target`, or another revision of its adapter. A request that names its revision gets that one."""
        trial = self._trial(target)
        if trial is None or trial.view.canary is None or "@" in target.requested:
            return target
        digest = chosen(trial.view.canary.split, self._key(body, scope))
        return target.at(digest) if digest in trial.view.revisions else target

    def shadow(self, target: Target) -> Target | None:
        """The revision that this request is mirrored to, by chance; None: it is not."""
        trial = self._trials.get((target.model.name, target.adapter.name)) if target.adapter else None
        share = trial.view.canary.shadow if trial and trial.view.canary else None
        if trial is None or share is None or self._chance() * 100 >= share.weight or "@" in target.requested:
            return None
        return target.at(share.digest) if share.digest in trial.view.revisions else None

    def settle(self, exchange: Exchange) -> None:
        """One request for an adapter is over."""
        trial = self._trials.get((exchange.model, exchange.adapter))
        if trial is None or (result := outcome(exchange)) == "refused":
            return
        seen = trial.seen.setdefault(exchange.revision, _Seen())
        seen.requests += 1
        seen.errors += result == "error"
        if exchange.first_token is not None:
            seen.first_tokens.append(exchange.first_token - exchange.started)
        self._news.set()

    def reports(self) -> Iterator[Tried]:
        """What was seen since this was last asked."""
        for (model, adapter), trial in self._trials.items():
            if trial.seen and trial.view.canary is not None:
                digests = {digest[:DIGITS]: digest for digest in trial.view.revisions}
                revisions = {
                    digests.get(short, short): Seen(each.requests, each.errors, tuple(each.first_tokens))
                    for short, each in trial.seen.items()
                }
                trial.seen.clear()
                yield Tried(model, adapter, trial.view.canary, revisions)

    def _trial(self, target: Target) -> _Trial | None:
        """What is known of the adapter's present split; None where there is none."""
        view = target.adapter
        if view is None:
            return None
        place = (view.model, view.name)
        trial = self._trials.get(place)
        if view.canary is None:
            if trial is not None:
                del self._trials[place]
            return None
        if trial is None or (trial.view.canary, trial.view.current) != (view.canary, view.current):
            trial = self._trials[place] = _Trial(view)
        trial.view = view
        return trial

    def _key(self, body: bytes, scope: Scope) -> bytes:
        """What keeps a user's requests with one revision: the request's own word for the user, or for the session."""
        said = _STICKY.decode(body)
        for named in (said.user, said.safety_identifier):
            if isinstance(named, str) and named:
                return named[:_LONGEST_KEY].encode("utf-8", "surrogatepass")
        session = headers_of(scope).get(b"x-session-id", b"")[:_LONGEST_KEY]
        return session or repr(self._chance()).encode()
