"""Who sits where in a pool: which seats are to be taken, and whose worker may leave. Pure; `crew` does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Sitting:
    """A worker that is to stay, as far as is known."""

    number: int
    """Of its seat."""
    address: str
    """Empty where workers have none before they are started: they are all alike then."""
    ready: bool


def vacancies(present: Sequence[Sitting], wanted: Sequence[str]) -> tuple[str, ...]:
    """Addresses of which there is no worker, or too few."""
    return tuple((Counter(wanted) - _addresses(present)).elements())


def dismissed(present: Sequence[Sitting], wanted: Sequence[str]) -> tuple[int, ...]:
    """Seats whose workers leave now: those that are not ready first, then the last ones.

    A ready worker stays until one of those that stay for good is ready, so that somebody serves at all times.
    """
    surplus, leaving = _addresses(present) - Counter(wanted), set[Sitting]()
    for each in sorted(present, key=lambda each: (each.ready, -each.number)):
        if surplus[each.address] > 0:
            surplus[each.address] -= 1
            leaving.add(each)
    served = any(each.ready for each in present if each not in leaving)
    return tuple(sorted(each.number for each in leaving if served or not each.ready))


def first_free(taken: Container[int]) -> int:
    """The lowest number of a seat that is not taken."""
    return next(number for number in count() if number not in taken)


def _addresses(present: Sequence[Sitting]) -> Counter[str]:
    return Counter(each.address for each in present)
