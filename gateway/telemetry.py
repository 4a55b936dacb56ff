"""The gateway's figures: plain slots on the request path, Prometheus' words only at scrape time.

`settle` is called once a request, by the access log; `Collector` turns the slots and the pools' present state into
metric families when `/metrics` is asked. Seconds, totals and histograms; never averages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.by_adapter import ByAdapter
from gateway.exchange import Exchange
from gateway.histogram import SECONDS, Histogram

_PER_TOKEN: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
_FINE: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)

_REQUEST_LABELS: Final = ("gen_ai_request_model", "gen_ai_operation_name", "engine", "error_type")


class _Slot:
    """All figures of one combination of labels, so that a request costs one look-up."""

    __slots__ = ("completion_tokens", "duration", "per_token", "prompt_tokens", "queue", "requests", "ttft")

    def __init__(self) -> None:
        self.requests: Final[dict[int, int]] = {}
        """By HTTP status."""
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.ttft: Final = Histogram(SECONDS)
        self.per_token: Final = Histogram(_PER_TOKEN)
        self.duration: Final = Histogram(SECONDS)
        self.queue: Final = Histogram(SECONDS)


class Telemetry:
    """Invariant: labels come from the registry and from our own tables, never from a client's text."""

    def __init__(self, adapted: Callable[[Exchange], None] = lambda _: None) -> None:
        self._adapted: Final = adapted
        """Told of each request for an adapter that is over."""
        self.overhead: Final = Histogram(_FINE)
        self.lag: Final = Histogram(_FINE)
        self.abort: Final = Histogram(_FINE)
        self._slots: Final[dict[tuple[str, str, str, str], _Slot]] = {}
        self._retries: Final[dict[tuple[str, ...], int]] = {}
        self._resumes: Final[dict[tuple[str, ...], int]] = {}
        self._by_adapter: Final = ByAdapter()
        self.inflight: Final[Counter[str]] = Counter()
        """Open requests by model. Whoever adds one takes it away in the same function."""

    def retried(self, model: str, reason: str) -> None:
        """One request of `model` goes to another worker; `reason` is an error's code."""
        self._retries[model, reason] = self._retries.get((model, reason), 0) + 1

    def resumed(self, model: str, outcome: str) -> None:
        """One stream of `model` lost its worker; `outcome` is what became of it (`gateway.resuming`)."""
        self._resumes[model, outcome] = self._resumes.get((model, outcome), 0) + 1

    def settle(self, exchange: Exchange, ended: float) -> None:
        """Count one request that is over; `ended` is in seconds of the clock that made its other times."""
        if not exchange.operation:
            return
        labels = (exchange.model, exchange.operation, exchange.engine, exchange.code)
        slot = self._slots.get(labels)
        if slot is None:
            slot = self._slots[labels] = _Slot()
        slot.requests[exchange.status] = slot.requests.get(exchange.status, 0) + 1
        slot.duration.observe(ended - exchange.started)
        if exchange.first_token is not None:
            slot.ttft.observe(exchange.first_token - exchange.started)
        if exchange.usage is not None:
            completion = exchange.usage.completion
            slot.prompt_tokens += exchange.usage.prompt
            slot.completion_tokens += completion
            if exchange.first_token is not None and completion > 1:
                slot.per_token.observe((ended - exchange.first_token) / (completion - 1))
        if exchange.left is not None:
            self.abort.observe(ended - exchange.left)
        if exchange.adapter:
            self._by_adapter.settle(exchange)
            self._adapted(exchange)
        self._settle_overhead(slot, exchange)

    def _settle_overhead(self, slot: _Slot, exchange: Exchange) -> None:
        """What the gateway itself cost: from receipt to sending, and from the worker's first word to ours."""
        if exchange.sent is None:
            return
        slot.queue.observe(exchange.queued)
        before = exchange.sent - exchange.started - exchange.queued
        spoke = exchange.first_token if exchange.stream else exchange.first_byte
        after = 0.0 if exchange.answered is None or spoke is None else exchange.answered - spoke
        self.overhead.observe(max(0.0, before + after))

    def families(self) -> Iterator[Metric]:
        """All slots as metric families."""
        yield from self._histograms()
        yield from self._by_adapter.families()
        requests, tokens = self._sums()
        yield _counter("enginehouse_requests", "Requests by outcome", ("model", "operation", "code"), requests)
        yield _counter("enginehouse_tokens", "Tokens by the workers' own counts", ("model", "kind"), tokens)
        yield _counter("enginehouse_retries", "Requests sent to another worker", ("model", "reason"), self._retries)
        yield _counter(
            "enginehouse_resumes", "Streams that lost their worker in the middle", ("model", "outcome"), self._resumes
        )
        inflight = GaugeMetricFamily("enginehouse_inflight_requests", "Open requests", labels=("model",))
        for model, count in self.inflight.items():
            inflight.add_metric((model,), count)
        yield inflight
        for name, text, histogram in (
            ("enginehouse_overhead_seconds", "The gateway's own time in a request", self.overhead),
            ("enginehouse_abort_seconds", "From a client's leaving to its worker's being free", self.abort),
            ("enginehouse_event_loop_lag_seconds", "How late the event loop runs what is due", self.lag),
        ):
            family = HistogramMetricFamily(name, text)
            family.add_metric((), *histogram.buckets())
            yield family

    def _sums(self) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
        """Requests by model, operation and status, and tokens by model and kind, over all slots."""
        requests: Counter[tuple[str, ...]] = Counter()
        tokens: Counter[tuple[str, ...]] = Counter()
        for (model, operation, _, _), slot in self._slots.items():
            for status, count in slot.requests.items():
                requests[model, operation, str(status)] += count
            tokens[model, "prompt"] += slot.prompt_tokens
            tokens[model, "completion"] += slot.completion_tokens
        return requests, tokens

    def _histograms(self) -> Iterator[Metric]:
        for name, text, pick in _REQUEST_HISTOGRAMS:
            family = HistogramMetricFamily(name, text, labels=_REQUEST_LABELS)
            for labels, slot in self._slots.items():
                family.add_metric(labels, *pick(slot).buckets())
            yield family


_REQUEST_HISTOGRAMS: Final[tuple[tuple[str, str, Callable[[_Slot], Histogram]], ...]] = (
    (
        "gen_ai_server_time_to_first_token_seconds",
        "From receipt of the request to the first event with content",
        lambda slot: slot.ttft,
    ),
    (
        "gen_ai_server_time_per_output_token_seconds",
        "Between tokens after the first, a stream's mean",
        lambda slot: slot.per_token,
    ),
    (
        "gen_ai_server_request_duration_seconds",
        "From receipt of the request to the end of the answer",
        lambda slot: slot.duration,
    ),
    ("enginehouse_queue_seconds", "Spent waiting for a worker", lambda slot: slot.queue),
)


def _counter(name: str, text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


class Collector:
    """prometheus_client's collector: asks each source anew at every scrape."""

    def __init__(self, *sources: Callable[[], Iterable[Metric]]) -> None:
        self._sources: Final = sources

    def collect(self) -> Iterator[Metric]:
        """All families, in order."""
        for source in self._sources:
            yield from source()
