"""Requests, tokens and first tokens by adapter and revision. Filled by `telemetry`, for requests that name an adapter.

How many adapters there are is the users' affair, and each series costs Prometheus memory: the first `MOST` revisions
have labels of their own, the others share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from gateway.exchange import Exchange
from gateway.histogram import SECONDS, Histogram

MOST: Final = 200
OTHER: Final = "other"

Labels = tuple[str, str, str]
"""Model, adapter, revision."""


class _Slot:
    __slots__ = ("completion", "outcomes", "prompt", "ttft")

    def __init__(self) -> None:
        self.outcomes: Final[Counter[str]] = Counter()
        self.prompt = 0
        self.completion = 0
        self.ttft: Final = Histogram(SECONDS)


class ByAdapter:
    """Invariant: at most `MOST` revisions have labels of their own, for as long as the process lives."""

    def __init__(self) -> None:
        self._slots: Final[dict[Labels, _Slot]] = {}

    def settle(self, exchange: Exchange) -> None:
        """Count one request that is over."""
        slot = self._slot(exchange.model, exchange.adapter, exchange.revision)
        slot.outcomes[outcome(exchange)] += 1
        if exchange.first_token is not None:
            slot.ttft.observe(exchange.first_token - exchange.started)
        if exchange.usage is not None:
            slot.prompt += exchange.usage.prompt
            slot.completion += exchange.usage.completion

    def _slot(self, model: str, adapter: str, revision: str) -> _Slot:
        labels = (model, adapter, revision)
        if labels not in self._slots and len(self._slots) >= MOST:
            labels = (OTHER, OTHER, OTHER)
        return self._slots.setdefault(labels, _Slot())

    def families(self) -> Iterator[Metric]:
        """All of it, in Prometheus' words."""
        names = ("model", "adapter", "revision")
        requests = CounterMetricFamily(
            "enginehouse_adapter_requests", "Requests by adapter and outcome", labels=(*names, "outcome")
        )
        ttft = HistogramMetricFamily(
            "enginehouse_adapter_ttft_seconds", "From receipt of the request to its first token", labels=names
        )
        sums: Counter[tuple[str, str, str]] = Counter()
        for labels, slot in self._slots.items():
            model, adapter, _ = labels
            sums[model, adapter, "prompt"] += slot.prompt
            sums[model, adapter, "completion"] += slot.completion
            ttft.add_metric(labels, *slot.ttft.buckets())
            for result, count in slot.outcomes.items():
                requests.add_metric((*labels, result), count)
        tokens = CounterMetricFamily(
            "enginehouse_adapter_tokens", "Tokens by the workers' own counts", labels=("model", "adapter", "kind")
        )
        for kinds, total in sums.items():
            tokens.add_metric(kinds, total)
        yield from (requests, ttft, tokens)


def outcome(exchange: Exchange) -> str:
    """`ok`, `refused` (the client's own affair: a 4xx, or it left), or `error`."""
    if not exchange.code:
        return "ok"
    # An error in the middle of a stream comes after a 200.
    return "refused" if 400 <= exchange.status < 500 else "error"
