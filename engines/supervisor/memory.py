"""Nothing is started that this machine's memory cannot hold. Called by `pool`; `engines.memory` decides.

What workers really took is kept in `STATE/memory.json`, so that the next prediction is better. Losing it loses no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic
from engines.engine import Engine
from engines.launchers.launcher import Prepared
from engines.memory import machine
from engines.memory.calibration import Measure, corrected, key, learned
from engines.memory.checkpoint import Damaged, FactsUnknown, facts
from engines.memory.machine import Machine
from engines.memory.plan import Claim, Plan, missing, plan, size
from engines.memory.wish import overhead, wish
from engines.supervisor import footprint
from registry.spec import ModelSpec


class NotAdmitted(Exception):
    """The workers of a model do not fit beside what runs now, or would not load; the message says why."""

    def __init__(self, message: str, fit_without: frozenset[str] = frozenset(), missing: int | None = None) -> None:
        super().__init__(message)
        self._fit_without: Final = fit_without
        self.missing: Final = missing
        """Bytes that would have to become free; None: memory is not what is missing."""

    def fits_without(self, pool: str | None) -> bool:
        """Whether they would if this pool were not there."""
        return pool in self._fit_without


@dataclass(frozen=True, slots=True)
class Senses:
    """How the world is looked at; tests bring their own."""

    machine: Callable[[], Machine] = machine.look
    taken: Callable[[int, str], int | None] = footprint.taken
    env: Mapping[str, str] = field(default_factory=dict)


class Memory:
    """Invariant: `_promised` holds the seats, by number, of workers that were let in and have no memory yet."""

    def __init__(self, path: Path, senses: Senses) -> None:
        self._path: Final = path
        self._senses: Final = senses
        self._measures = read(path)
        self._plans: Final[dict[str, dict[int, Plan]]] = {}
        """By pool and seat: what the worker was let in with."""
        self._models: Final[dict[str, str]] = {}
        """By pool, of those that have plans."""
        self._promised: Final[dict[str, set[int]]] = {}
        self._asleep: Final[dict[str, dict[int, Plan]]] = {}
        """By pool whose worker sleeps: the plans as they were."""

    async def admit(
        self,
        pool: str,
        spec: ModelSpec,
        engine: Engine,
        prepared: Prepared,
        model: str | None = None,
        seats: Sequence[int] | None = None,
    ) -> Prepared:
        """What to start the workers of `pool` in these seats with, once there is room. Raises `NotAdmitted`.

        `model` is its name where the pool has another one, being a later one of the same model. No `seats`: those that
        it has to begin with.

        Weights that nothing is known about are let in as they are: their engine will judge.
        """
        try:
            found = await asyncio.to_thread(facts, prepared.weights)
        except Damaged as damaged:
            raise NotAdmitted(str(damaged)) from None
        except FactsUnknown:
            return prepared
        seen = (await asyncio.to_thread(self._senses.machine)).seen_by(self._senses.env)
        place = seen.now(prepared.device)
        if place is None:
            return prepared
        asked = wish(spec, engine, found, layout=prepared.layout, device=prepared.device, env=self._senses.env)
        name, seats = model or pool, range(asked.replicas) if seats is None else seats
        asked = replace(asked, replicas=len(seats))
        own = learned(self._measures, name, asked, overhead(asked.engine, asked.device))
        place = place.without(self._claimed(asked.device))
        planned = plan(found, asked, place, own)
        if not planned.fits:
            freed = {other: place.without(self._given_back(other, asked.device)) for other in self._plans}
            enough = frozenset(other for other, larger in freed.items() if plan(found, asked, larger, own).fits)
            raise NotAdmitted(f"not enough memory: {planned.reason}", enough, missing(planned, place))
        self._promise(pool, name, seats, planned)
        if asked.device == "cpu":
            return replace(prepared, kv_cache=planned.estimate.cache)
        return replace(prepared, gpus=tuple(tuple(seen.gpus[at].index for at in each) for each in planned.gpus))

    def _promise(self, pool: str, model: str, seats: Sequence[int], planned: Plan) -> None:
        self._models[pool] = model
        self._plans.setdefault(pool, {}).update({seat: planned.of(at) for at, seat in enumerate(seats)})
        self._promised.setdefault(pool, set()).update(seats)

    async def settled(self, pool: str, seat: int, pid: int | None) -> None:
        """The worker in `seat` has just made its first token: what it takes is measured and remembered."""
        self.spare(pool, seat)
        planned, name = self._plans.get(pool, {}).get(seat), self._models.get(pool, "")
        if planned is None or pid is None:
            return
        measured = await asyncio.to_thread(self._senses.taken, pid, planned.wish.device)
        if measured is None:
            return
        place = key(name, planned.wish)
        known = corrected(self._measures.get(place), planned.estimate, planned.wish, measured)
        self._measures = {**self._measures, place: known}
        with suppress(OSError):  # what cannot be kept is measured again
            atomic.write(self._path, msgspec.json.format(msgspec.json.encode(self._measures)), durable=False)

    def owe(self, pool: str, seat: int) -> None:
        """The worker in `seat` is being started, or will be again: its memory is not taken, nor is it free."""
        if seat in self._plans.get(pool, {}):
            self._promised[pool].add(seat)

    def spare(self, pool: str, seat: int) -> None:
        """The worker in `seat` has all that it will take, or will not be started again."""
        self._promised.get(pool, set()).discard(seat)

    def holds(self, pool: str) -> int:
        """Bytes that the workers of a pool take, as planned; 0: it was not let in, or has ended."""
        return sum(each.total for each in self._plans.get(pool, {}).values())

    def doze(self, pool: str) -> None:
        """The workers of a pool sleep: they have given back what their engine gives back."""
        plans = self._plans.get(pool, {})
        self._asleep[pool] = dict(plans)
        plans.update({seat: each.asleep() for seat, each in plans.items()})

    async def rouse(self, pool: str) -> None:
        """The workers of a pool may take again what they gave back. Raises `NotAdmitted` where somebody else has it."""
        awake, asleep = self._asleep.get(pool, {}), self._plans.get(pool, {})
        seen = (await asyncio.to_thread(self._senses.machine)).seen_by(self._senses.env)
        for seat, each in awake.items():
            place, claim, kept = seen.now(each.wish.device), each.claim(0), asleep[seat].claim(0)
            place = place.without(self._claimed(each.wish.device)) if place else None
            lacking = [claim.octets - kept.octets - place.gpus[gpu] for gpu in claim.gpus] if place else []
            if short := sum(max(0, octets) for octets in lacking):
                raise NotAdmitted(f"not enough memory to wake its worker: {size(short)} are missing", missing=short)
        asleep.update(awake)
        self._promised.setdefault(pool, set()).update(awake)
        self._asleep.pop(pool, None)

    def leave(self, pool: str, seat: int) -> None:
        """The worker in `seat` has ended, and no other comes in its place."""
        self.spare(pool, seat)
        self._plans.get(pool, {}).pop(seat, None)

    def release(self, pool: str) -> None:
        """The pool has ended."""
        for known in (self._plans, self._promised, self._models, self._asleep):
            known.pop(pool, None)

    def _claimed(self, device: str) -> list[Claim]:
        """What workers will still take: they were let in and are loading."""
        loading = (self._plans[pool][seat] for pool, seats in self._promised.items() for seat in seats)
        return [each.claim(0) for each in loading if each.wish.device == device]

    def _given_back(self, pool: str, device: str) -> list[Claim]:
        """What is free again once all workers of a pool have ended: claims on less than nothing."""
        ended = (each for each in self._plans[pool].values() if each.wish.device == device)
        return [claim for each in ended for claim in each.given_back()]


def read(path: Path) -> dict[str, Measure]:
    """What the file at `path` knows; nothing where there is none, or where it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Measure])
    except (OSError, msgspec.DecodeError):
        return {}
