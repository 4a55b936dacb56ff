"""Which adapters a worker is started with whose engine loads none while it runs. Pure; asked by `wardrobe`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engines.thrift import Thrift


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the workers of a model are started with from now on."""

    names: frozenset[str] = frozenset()
    """As engines call them."""
    hold: bool = False
    """Whether workers that have something else stay for now although another one is there: what they have is published
    until that other one is."""


def chosen(
    pinned: Collection[str], tried: Sequence[str], due: Sequence[str], refused: Collection[str], slots: int
) -> frozenset[str]:
    """As many as there are slots: what is pinned, what is to be proved now, and then what is `due`, in that order."""
    able = (name for name in (*sorted(pinned), *tried, *due) if name not in refused)
    return frozenset(tuple(dict.fromkeys(able))[:slots])


@dataclass(frozen=True, slots=True)
class Worn:
    """What all workers of a model were started with, and how that is used."""

    names: frozenset[str]
    since: float
    """When the last of them was ready."""
    takes: float
    """Seconds that another start takes."""
    used: frozenset[str] = frozenset()
    """That requests are on, or wait for."""


def invited(
    worn: Worn,
    wanted: Sequence[str],
    kept: Sequence[str],
    pinned: Collection[str],
    slots: int,
    now: float,
    thrift: Thrift,
) -> tuple[str, ...]:
    """What is started with instead, besides what is pinned, because requests wait for what is `wanted`, the longest
    wait first; empty: nothing yet. `kept`: in this order it stays where there is room.

    As models on demand stay loaded (`supervisor.demand`): a multiple of what a start takes, longer if it is in use. So
    two that are wanted by turns do not have workers started without end.
    """
    room = slots - len(pinned)
    fresh = [name for name in wanted if name not in worn.names][: max(0, room)]
    times = thrift.busy if worn.used & worn.names else thrift.idle
    if not fresh or now - worn.since < times * worn.takes:
        return ()
    staying = [name for name in kept if name in worn.names and name not in pinned]
    staying.sort(key=lambda name: name not in worn.used)
    return (*fresh, *staying)[:room]
