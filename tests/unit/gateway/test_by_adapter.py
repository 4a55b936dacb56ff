"""What is counted by adapter and revision, and how many of them have labels of their own."""

from __future__ import annotations

import pytest

from gateway.by_adapter import MOST, OTHER, ByAdapter, outcome
from gateway.reading import Usage
from tests.unit.gateway.builders import exchange


def samples(counted, name):
    return {
        tuple(sample.labels.values()): sample.value
        for family in counted.families()
        for sample in family.samples
        if sample.name == name
    }


def asked(adapter="cat", **changed):
    return exchange(model="m", adapter=adapter, revision="0" * 16, status=200, usage=Usage(3, 2), **changed)


def test_requests_and_tokens_are_counted_by_adapter():
    counted = ByAdapter()
    counted.settle(asked(first_token=100.5))
    counted.settle(asked(code="idle_timeout"))
    assert samples(counted, "enginehouse_adapter_requests_total") == {
        ("m", "cat", "0" * 16, "ok"): 1,
        ("m", "cat", "0" * 16, "error"): 1,
    }
    assert samples(counted, "enginehouse_adapter_tokens_total") == {
        ("m", "cat", "prompt"): 6,
        ("m", "cat", "completion"): 4,
    }
    assert samples(counted, "enginehouse_adapter_ttft_seconds_sum") == {("m", "cat", "0" * 16): 0.5}


def test_ten_thousand_adapters_are_not_ten_thousand_series():
    counted = ByAdapter()
    for number in range(10_000):
        counted.settle(asked(f"a{number}"))
    counts = samples(counted, "enginehouse_adapter_requests_total")
    assert (len(counts), counts[OTHER, OTHER, OTHER, "ok"]) == (MOST + 1, 10_000 - MOST)


OUTCOMES = [
    (200, "", "ok"),
    (200, "worker_failed", "error"),
    (503, "no_worker", "error"),
    (404, "x", "refused"),
    (499, "client_gone", "refused"),
]


@pytest.mark.parametrize(("status", "code", "result"), OUTCOMES)
def test_what_is_the_clients_own_affair_is_no_error(status, code, result):
    assert outcome(exchange(status=status, code=code)) == result
