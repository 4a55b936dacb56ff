"""Metrics on their way between the gateways of a host and its supervisor, and how those of several processes add up.

Pure. A gateway that is asked for metrics says `Sum`; the supervisor says `Count` to every gateway, each answers
`Counted`, and `Summed` is what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

GAUGE: Final = "gauge"


class Series(NamedTuple):
    """The figures of one combination of labels."""

    labels: tuple[str, ...]
    """Values, in the order of the family's names."""
    values: tuple[float, ...]
    """A counter's or gauge's one; a histogram's counts up to each bound, then its sum."""


class Family(msgspec.Struct, array_like=True, frozen=True):
    """One metric with all its labels, as Prometheus knows it."""

    name: str
    """Without the suffixes `_total`, `_bucket`, `_sum`."""
    text: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...] = ()
    """Their names; unknown where there is no series."""
    bounds: tuple[str, ...] = ()
    """A histogram's, the last one is `+Inf`; unknown where there is no series."""
    series: tuple[Series, ...] = ()


class Sum(msgspec.Struct, tag="sum", tag_field="type", frozen=True):
    """A gateway was asked for the host's metrics. Answered with `Summed`."""


class Count(msgspec.Struct, tag="count", tag_field="type", frozen=True):
    """The supervisor asks a gateway for its figures as they are now. Answered with `Counted` of the same number."""

    number: int


class Counted(msgspec.Struct, tag="counted", tag_field="type", frozen=True):
    """What one gateway process has counted since its start."""

    number: int
    """That of the question; 0: unasked, the last word of a gateway that ends."""
    families: tuple[Family, ...] = ()


class Summed(msgspec.Struct, tag="summed", tag_field="type", frozen=True):
    """What all gateways of the host have counted since the supervisor's start, those that have ended included."""

    families: tuple[Family, ...] = ()
    now: int = 0
    """Gateways whose figures are as of this question."""
    earlier: int = 0
    """Gateways that did not answer in time: what they said last is in it."""


def total(parts: Iterable[Iterable[Family]]) -> tuple[Family, ...]:
    """The sum over processes; a series that only some of them have is in it too."""
    sums: dict[str, Family] = {}
    for part in parts:
        for family in part:
            before = sums.get(family.name)
            sums[family.name] = family if before is None else _added(before, family)
    return tuple(sums.values())


def lasting(families: Iterable[Family]) -> tuple[Family, ...]:
    """What stays true of a process that has ended: all that only grows."""
    return tuple(family for family in families if family.kind != GAUGE)


def not_below(families: Iterable[Family], before: Iterable[Family]) -> tuple[Family, ...]:
    """`families` with nothing that only grows below what it was `before`.

    Sums of the same floats in another order differ in their last bit, and to Prometheus any fall is a new start.
    """
    floors = {family.name: dict(family.series) for family in before}
    return tuple(
        family if family.kind == GAUGE else _raised(family, floors.get(family.name, {})) for family in families
    )


def _added(one: Family, other: Family) -> Family:
    values = dict(one.series)
    for series in other.series:
        present = values.get(series.labels)
        values[series.labels] = series.values if present is None else _each_added(present, series.values)
    return msgspec.structs.replace(
        one, labels=one.labels or other.labels, bounds=one.bounds or other.bounds, series=_series(values)
    )


def _each_added(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(first + second for first, second in zip(one, other, strict=True))


def _raised(family: Family, floors: dict[tuple[str, ...], tuple[float, ...]]) -> Family:
    values = {
        series.labels: tuple(map(max, series.values, floors.get(series.labels, series.values)))
        for series in family.series
    }
    return msgspec.structs.replace(family, series=_series(values))


def _series(values: dict[tuple[str, ...], tuple[float, ...]]) -> tuple[Series, ...]:
    return tuple(Series(labels, each) for labels, each in values.items())
