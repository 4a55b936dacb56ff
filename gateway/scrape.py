"""What `/metrics` answers: this gateway's own figures, or, where several share the host, the sum over all of them.

What a gateway counts itself is summed by the supervisor; what it merely passes on from the snapshot is the same in all.
Built by `app`, asked by `api.health` and, for this process's part, by `control`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.errors import Unavailable
from gateway.telemetry import Collector
from registry.figures import GAUGE, Family, Series, Summed

HISTOGRAM: Final = "histogram"


class Scrape:
    """Invariant: with several gateways, nothing that only grows is shown unless the supervisor has summed it.

    What one process knows alone is less than the sum that another one has shown: Prometheus would take the difference
    for a new start, and count everything again with the next sum. A gap does no such harm.
    """

    def __init__(
        self,
        own: Callable[[], Iterable[Metric]],
        told: Callable[[], Iterable[Metric]],
        gateways: Callable[[], int | None],
        summed: Callable[[], Awaitable[Summed]],
    ) -> None:
        self._own: Final = own
        self._told: Final = told
        self._gateways: Final = gateways
        """How many processes share the host; None: not yet known."""
        self._summed: Final = summed

    def counted(self) -> tuple[Family, ...]:
        """What is this process's part of the sum."""
        return tuple(taken(family) for family in self._own())

    async def text(self) -> bytes:
        """All families in Prometheus' words."""
        own, answered = await self._counts()
        registry = CollectorRegistry()
        registry.register(Collector(lambda: own, self._told, lambda: (answered,)))
        return generate_latest(registry)

    async def _counts(self) -> tuple[Iterable[Metric], Metric]:
        gateways = self._gateways()
        if gateways == 1:
            return self._own(), _answered(1, 0, 0)
        try:
            summed = await self._summed()
        except Unavailable:
            return (), _answered(0, 0, gateways or 1)
        missing = max(0, (gateways or 1) - summed.now - summed.earlier)
        return map(shown, summed.families), _answered(summed.now, summed.earlier, missing)


def _answered(now: int, earlier: int, missing: int) -> Metric:
    family = GaugeMetricFamily(
        "enginehouse_metrics_gateways", "Gateways by how new their part of these figures is", labels=("figures",)
    )
    for figures, count in (("now", now), ("earlier", earlier), ("missing", missing)):
        family.add_metric((figures,), count)
    return family


def taken(metric: Metric) -> Family:
    """One of Prometheus' families as a value that adds up."""
    kind = metric.type
    bounds: dict[str, None] = {}
    series: dict[tuple[str, ...], tuple[float, ...]] = {}
    names: tuple[str, ...] = ()
    for sample in metric.samples:
        if sample.name.endswith("_count") and kind == HISTOGRAM:
            continue  # it is that of the last bucket
        labels = {name: value for name, value in sample.labels.items() if kind != HISTOGRAM or name != "le"}
        if len(labels) != len(sample.labels):
            bounds[sample.labels["le"]] = None
        names, values = tuple(labels), tuple(labels.values())
        series[values] = (*series.get(values, ()), sample.value)
    found = (Series(labels, values) for labels, values in series.items())
    return Family(metric.name, metric.documentation, kind, names, tuple(bounds), tuple(found))


def shown(family: Family) -> Metric:
    """The reverse of `taken`."""
    if family.kind == HISTOGRAM:
        return _histogram(family)
    of = GaugeMetricFamily if family.kind == GAUGE else CounterMetricFamily
    metric = of(family.name, family.text, labels=family.labels)
    for series in family.series:
        metric.add_metric(series.labels, series.values[0])
    return metric


def _histogram(family: Family) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for series in family.series:
        *counts, total = series.values
        metric.add_metric(series.labels, list(zip(family.bounds, counts, strict=True)), total)
    return metric
