"""Whether a new pool comes up: what its workers do is counted until it is clear. Written by `pool`, awaited by
`succession`, which alone acts upon it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Outcome(Enum):
    """How an ordeal ended."""

    UP = auto()
    """Every seat's worker has generated a real token."""
    FAILED = auto()
    NO_ROOM = auto()
    """Its workers do not fit beside the pool before it, or shall not; they may once that one has gone."""


@dataclass(slots=True)
class Trial:
    """What became of one swap's new pool; no `outcome`: it was overtaken by a newer wish."""

    outcome: Outcome | None = None
    reason: str = ""
    """Why it failed where its ordeal does not say."""
    parity: str = ""


class Ordeal:
    """Invariant: the first outcome is the outcome; only `NO_ROOM` can be made good."""

    def __init__(self, seats: int, tries: int) -> None:
        """With so many seats to begin with; more may come to be expected until it is decided."""
        self._unproved: Final = set(range(seats))
        self._any = False
        """Whether anybody has been proved."""
        self._left = tries
        self._decided: Final = asyncio.Event()
        self._outcome = Outcome.UP
        self.reason = ""
        """Why it failed, for people."""

    async def outcome(self) -> Outcome:
        """Waits until it is clear."""
        await self._decided.wait()
        return self._outcome

    def expects(self, seat: int) -> None:
        """There is a worker in this seat, too."""
        self._unproved.add(seat)

    def proved(self, seat: int) -> None:
        """The worker in this seat is ready."""
        self._any = True
        self.excused(seat)

    def excused(self, seat: int) -> None:
        """The worker in this seat is not needed any more."""
        self._unproved.discard(seat)
        if self._any and not self._unproved:
            self._decide(Outcome.UP, "")

    def failed(self, reason: str) -> None:
        """A preparation failed, or a worker ended: a few times may be bad luck."""
        self._left -= 1
        if self._left <= 0:
            self._decide(Outcome.FAILED, reason)

    def hopeless(self, reason: str) -> None:
        """No further try will help."""
        self._decide(Outcome.FAILED, reason)

    def no_room(self, reason: str) -> None:
        """It waits until the pool before it has gone."""
        self._decide(Outcome.NO_ROOM, reason)

    def go_on(self) -> None:
        """The pool before it has gone."""
        if self._outcome is Outcome.NO_ROOM:
            self._decided.clear()
            self._outcome, self.reason = Outcome.UP, ""

    def _decide(self, outcome: Outcome, reason: str) -> None:
        if not self._decided.is_set():
            self._outcome, self.reason = outcome, reason
            self._decided.set()
