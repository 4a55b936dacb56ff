"""Whether a healthy worker works off what it has, as far as its engine tells. Asked by `worker`; `watchdog` decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

from engines.launchers.launcher import Placed, Seat
from engines.probe import Prober, Verdict
from engines.supervisor import watchdog
from engines.supervisor.pacing import Pacing
from engines.supervisor.watchdog import Stall


class Token(Protocol):
    """Asks the worker for a real one, in so many seconds."""

    def __call__(self, placed: Placed, *, within: float) -> Awaitable[Verdict]: ...


class Advance:
    """Invariant: what it has seen is of one process since its last proof."""

    def __init__(self, seat: Seat, prober: Prober, clock: Callable[[], float], pacing: Pacing) -> None:
        self._seat: Final = seat
        self._prober: Final = prober
        self._clock: Final = clock
        self._pacing: Final = pacing
        self.begin()

    def begin(self) -> None:
        """The worker has just been proved."""
        self._stall = Stall()
        self.doubted = False
        """Whether somebody has seen it fail since it last made a token for us."""

    @property
    def stalls(self) -> bool:
        """Whether it had work at the last look and did none: it may hang."""
        return self._stall.lasted > 0

    async def verdict(self, placed: Placed, token: Token) -> Verdict:
        """Good unless it hangs. Without progress, before it is called dead, it is asked for a token: figures may be
        stale.
        """
        patience, within = watchdog.patience(self._seat.spec.timeouts.idle), self._pacing.probe_within
        if patience is None:
            return Verdict(good=True)
        text = await self._prober.metrics(placed.url, placed.key, within=within)
        read = watchdog.reading(text, self._seat.engine.metrics)
        if read is not None and read.running <= 0 and await self._owes_a_token(placed, token):
            read = replace(read, running=1.0)
        longest_step = 2 * self._pacing.probe_every
        self._stall = watchdog.observe(self._stall, read, self._clock(), longest_step=longest_step)
        if self._stall.lasted < patience or (await token(placed, within=within)).good:
            return Verdict(good=True)
        return Verdict(good=False, reason=f"it hangs: no progress for {self._stall.lasted:.0f} s", dead=True)

    async def _owes_a_token(self, placed: Placed, token: Token) -> bool:
        """Whether it says that it has nothing to do, but somebody saw it fail, and we get nothing from it either.

        An engine that hangs in its first step has not yet counted the request that it hangs in.
        """
        if self.doubted:
            self.doubted = not (await token(placed, within=self._pacing.probe_within)).good
        return self.doubted
