"""What was sent where: blocks of prompts and the workers that read them. Pure; owned by `prefix_affinity`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

CAP: Final = 32_768
"""Blocks that are remembered, at most: about 7 MB. The block that went unused for longest is forgotten first."""
HOLDERS: Final = 4
"""Workers that are remembered of one block, at most: the last ones. What more workers hold needs no favourite."""
EXPIRES: Final = 1800.0
"""Seconds after which a worker is not thought to hold a block any more."""

_Holders = tuple[tuple[int, float], ...]
"""The numbers of workers and when each got the block, the last first."""


class PrefixTable:
    """Invariant: at most `cap` blocks of at most `HOLDERS` workers each, and the blocks of a prompt leave last first.

    A worker is known here by a number that is never given again: who is gone is forgotten at once, and what is
    remembered of it makes room for others like everything else that nobody uses.
    """

    def __init__(self, cap: int = CAP) -> None:
        self._cap: Final = cap
        self._blocks: Final[OrderedDict[int, _Holders]] = OrderedDict()
        self._numbers: Final[dict[str, int]] = {}
        self._names: Final[dict[int, str]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def holders(self, block: int, now: float) -> list[tuple[str, float]]:
        """Workers that are there and were sent the block, each with the seconds since then."""
        held = self._blocks.get(block)
        if held is None:
            return []
        names = self._names
        return [(names[number], now - then) for number, then in held if number in names and now - then < EXPIRES]

    def sent(self, blocks: tuple[int, ...], worker: str, now: float) -> None:
        """The worker reads all of `blocks`, the first ones of a prompt."""
        number = self._numbers.get(worker) or self._introduced(worker)
        entry = (number, now)
        before: _Holders | None = None
        after: _Holders = (entry,)
        remembered = self._blocks
        for block in reversed(blocks):  # the prompt's beginning last: it is of use for longer than its end
            held = remembered.get(block, ())
            if held is not before:  # neighbours mostly share theirs: one object for all of them
                before, after = held, (entry, *self._others(held, number))
            remembered[block] = after
            remembered.move_to_end(block)
        while len(self._blocks) > self._cap:
            self._blocks.popitem(last=False)

    def gone(self, worker: str) -> None:
        """Forget what it holds; a worker of the same name that comes later is another."""
        number = self._numbers.pop(worker, None)
        if number is not None:
            del self._names[number]

    def _introduced(self, worker: str) -> int:
        self._last += 1
        self._numbers[worker] = self._last
        self._names[self._last] = worker
        return self._last

    def _others(self, held: _Holders, number: int) -> Iterator[tuple[int, float]]:
        room = HOLDERS - 1
        for entry in held:
            if room and entry[0] != number and entry[0] in self._names:
                room -= 1
                yield entry
