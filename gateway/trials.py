"""Adapters with several revisions behind one name: who gets which, and when that ends by itself.

`api.inference` asks for each request that names such an adapter, `telemetry` tells how each ended. What is decided is
in `balance.split` and `balance.verdict`; a split is ended by the supervisor, for all gateways.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.asgi import Scope, headers_of
from gateway.balance.split import chosen
from gateway.balance.verdict import Figures, verdict
from gateway.by_adapter import outcome
from gateway.exchange import Exchange
from registry.adapter_orders import SplitAdapter
from registry.adapters import DIGITS, AdapterView, Canary
from registry.snapshot import Target

_LONGEST_KEY: Final = 256


class _Sticky(msgspec.Struct):
    user: Any = None
    safety_identifier: Any = None


_STICKY: Final = msgspec.json.Decoder(_Sticky)


@dataclass(slots=True)
class _Trial:
    view: AdapterView
    figures: dict[str, Figures] = field(default_factory=dict)
    """By the beginning of a digest, as exchanges have it."""
    over: bool = False


class Trials:
    """Invariant: what is counted is of the split that the newest snapshot shows; each is ended once."""

    def __init__(self, end: Callable[[SplitAdapter], None], chance: Callable[[], float] = random.random) -> None:
        self._end: Final = end
        self._chance: Final = chance
        self._trials: Final[dict[tuple[str, str], _Trial]] = {}

    def allot(self, target: Target, body: bytes, scope: Scope) -> Target:
        """`target`, or another revision of its adapter. A request that names its revision gets that one."""
        trial = self._trial(target)
        if trial is None or trial.over or trial.view.canary is None or "@" in target.requested:
            return target
        digest = chosen(trial.view.canary.split, self._key(body, scope))
        return target.at(digest) if digest in trial.view.revisions else target

    def shadow(self, target: Target) -> Target | None:
        """The revision that this request is mirrored to, by chance; None: it is not."""
        trial = self._trials.get((target.model.name, target.adapter.name)) if target.adapter else None
        share = trial.view.canary.shadow if trial and not trial.over and trial.view.canary else None
        if trial is None or share is None or self._chance() * 100 >= share.weight or "@" in target.requested:
            return None
        return target.at(share.digest) if share.digest in trial.view.revisions else None

    def settle(self, exchange: Exchange) -> None:
        """One request for an adapter is over."""
        trial = self._trials.get((exchange.model, exchange.adapter))
        if trial is None or trial.over or (result := outcome(exchange)) == "refused":
            return
        first = None if exchange.first_token is None else exchange.first_token - exchange.started
        trial.figures.setdefault(exchange.revision, Figures()).add(failed=result == "error", first_token=first)
        canary = trial.view.canary
        if canary is not None and (why := _judged(trial, canary)):
            trial.over = True
            self._end(SplitAdapter(exchange.model, exchange.adapter, "gateway", None, why))

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


def _judged(trial: _Trial, canary: Canary) -> str:
    digests = {digest[:DIGITS]: digest for digest in trial.view.revisions}
    figures = {digests.get(short, short): seen for short, seen in trial.figures.items()}
    return verdict(canary, trial.view.current, figures)
