"""The gateway's figures: what one request adds, and that Prometheus can read all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.histogram import Histogram
from gateway.reading import Usage
from gateway.telemetry import Collector, Telemetry
from tests.unit.gateway.builders import exchange


def samples(telemetry):
    """As Prometheus reads them: {(name, labels): value}."""
    registry = CollectorRegistry()
    registry.register(Collector(telemetry.families))
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def found(telemetry, name, **labels):
    """The values of the samples called `name` that have these labels."""
    return [
        value
        for (each, has), value in samples(telemetry).items()
        if each == name and labels.items() <= dict(has).items()
    ]


def settled(ended=110.0, **changed):
    telemetry = Telemetry()
    telemetry.settle(
        exchange(**({"operation": "chat", "model": "m", "engine": "vllm", "status": 200} | changed)), ended
    )
    return telemetry


@given(st.lists(st.floats(0, 1e4)), st.lists(st.floats(0.001, 1e3), min_size=1, unique=True).map(sorted))
def test_buckets_are_cumulative_and_complete(values, bounds):
    histogram = Histogram(tuple(bounds))
    for value in values:
        histogram.observe(value)
    buckets, total = histogram.buckets()
    assert [count for _, count in buckets] == [sum(value <= float(bound) for value in values) for bound, _ in buckets]
    assert (buckets[-1], total) == (("+Inf", len(values)), pytest.approx(sum(values)))


def test_a_fresh_gateway_is_readable():
    assert samples(Telemetry())["enginehouse_overhead_seconds_count", ()] == 0


def test_a_request_is_counted_by_model_operation_and_status():
    assert found(settled(), "enginehouse_requests_total", model="m", operation="chat", code="200") == [1]


def test_its_duration_carries_the_names_of_opentelemetry():
    labels = {"gen_ai_request_model": "m", "gen_ai_operation_name": "chat", "engine": "vllm", "error_type": ""}
    telemetry = settled()
    assert found(telemetry, "gen_ai_server_request_duration_seconds_sum", **labels) == [10.0]
    assert found(telemetry, "gen_ai_server_request_duration_seconds_bucket", le="10.0", **labels) == [1]


def test_the_first_token_counts_from_receipt():
    assert found(settled(first_token=103.0), "gen_ai_server_time_to_first_token_seconds_sum") == [3.0]


def test_without_a_first_token_there_is_no_time_to_it():
    assert found(settled(), "gen_ai_server_time_to_first_token_seconds_count") == [0]


def test_tokens_are_the_workers_own_count():
    telemetry = settled(usage=Usage(prompt_tokens=7, completion_tokens=5), first_token=102.0)
    assert found(telemetry, "enginehouse_tokens_total", kind="prompt") == [7]
    assert found(telemetry, "enginehouse_tokens_total", kind="completion") == [5]
    assert found(telemetry, "gen_ai_server_time_per_output_token_seconds_sum") == [pytest.approx(8.0 / 4)]


@pytest.mark.parametrize("completion", [0, 1])
def test_a_time_between_tokens_needs_two(completion):
    telemetry = settled(usage=Usage(prompt_tokens=1, completion_tokens=completion), first_token=102.0)
    assert found(telemetry, "gen_ai_server_time_per_output_token_seconds_count") == [0]


def test_overhead_is_what_neither_the_queue_nor_the_worker_took():
    """Receipt 100, queued 2 s, sent 102.5; the worker spoke at 105 and we at 105.25."""
    telemetry = settled(queued=2.0, sent=102.5, first_byte=105.0, answered=105.25)
    assert found(telemetry, "enginehouse_overhead_seconds_sum") == [pytest.approx(0.75)]


def test_what_is_not_relayed_is_not_settled():
    assert found(settled(operation=""), "enginehouse_requests_total") == []


def test_open_requests_are_shown():
    telemetry = Telemetry()
    telemetry.inflight["m"] += 2
    assert found(telemetry, "enginehouse_inflight_requests", model="m") == [2]


def test_retries_are_counted_by_reason():
    telemetry = Telemetry()
    for _ in range(2):
        telemetry.retried("m", "worker_failed")
    assert found(telemetry, "enginehouse_retries_total", model="m", reason="worker_failed") == [2]


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "line\nbreak", "é🏠"])
def test_a_models_name_never_breaks_the_format(name):
    assert found(settled(model=name), "enginehouse_requests_total", model=name) == [1]


def test_a_client_that_left_is_timed_until_its_worker_is_free():
    """`enginehouse_abort_seconds`: from the leaving to the end of the unwinding."""
    telemetry = Telemetry()
    telemetry.settle(exchange(operation="chat", left=3.0), 3.25)
    assert telemetry.abort.buckets()[1] == 0.25
