"""What all gateways of the host have counted. Fed and asked by `control`, for the one gateway that is scraped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from registry.figures import Count, Counted, Family, Summed, lasting, not_below, total

_WITHIN: Final = 1.0
"""Seconds for all gateways to answer; a scraper waits ten, as a rule."""


@dataclass(slots=True)
class _Gateway:
    say: Callable[[Count], None]
    number: int = 0
    """Of the newest question that it has answered."""
    families: tuple[Family, ...] = ()


class Sums:
    """Invariant: nothing that only grows is ever said to be less than before, whichever gateway ends, and however."""

    def __init__(self, within: float = _WITHIN) -> None:
        self._within: Final = within
        self._gateways: Final[dict[object, _Gateway]] = {}
        self._ended: tuple[Family, ...] = ()
        """What gateways that are no more have counted, as far as they said it."""
        self._said: tuple[Family, ...] = ()
        self._number = 0
        self._news = asyncio.Event()

    def joined(self, gateway: object, say: Callable[[Count], None]) -> None:
        """A gateway has connected; `say` sends it a question."""
        self._gateways.setdefault(gateway, _Gateway(say))

    def counted(self, gateway: object, counted: Counted) -> None:
        """A gateway's answer, or its last word."""
        if known := self._gateways.get(gateway):
            known.number = max(known.number, counted.number)
            known.families = counted.families
            self._tell()

    def ended(self, gateway: object) -> None:
        """A connection has ended; if it was a gateway's, its counts stay."""
        if known := self._gateways.pop(gateway, None):
            self._ended = total((self._ended, lasting(known.families)))
            self._tell()

    async def ask(self) -> Summed:
        """The sum as of now. Who does not answer in time is in it with what he said last."""
        self._number += 1
        number, asked = self._number, dict(self._gateways)
        for gateway in asked.values():
            gateway.say(Count(number))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._within):
                while any(each.number < number and self._gateways.get(who) is each for who, each in asked.items()):
                    await self._news.wait()
        return self._sum(number)

    def _sum(self, number: int) -> Summed:
        present = tuple(self._gateways.values())
        families = total((self._ended, *(each.families for each in present)))
        self._said = not_below(families, self._said)
        now = sum(each.number >= number for each in present)
        return Summed(self._said, now, sum(each.number > 0 for each in present) - now)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
