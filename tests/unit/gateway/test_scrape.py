"""What `/metrics` answers with one gateway process, with several, and when the supervisor is silent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import Unavailable
from gateway.reading import Usage
from gateway.scrape import Scrape, shown, taken
from gateway.telemetry import Collector, Telemetry
from registry.figures import Summed, total
from tests.unit.gateway.builders import exchange


def telemetry() -> Telemetry:
    """Of one process that has seen a request, and has another one open."""
    made = Telemetry()
    usage = Usage(prompt_tokens=7, completion_tokens=5)
    made.settle(
        exchange(operation="chat", model='m"é', engine="vllm", status=200, usage=usage, first_token=102.0), 110.0
    )
    made.retried("m", "worker_failed")
    made.inflight["m"] += 1
    return made


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def told() -> tuple[GaugeMetricFamily]:
    return (GaugeMetricFamily("workers", "As the snapshot says", value=3),)


def scrape(gateways: int | None, summed: Summed | None = None) -> Scrape:
    async def ask() -> Summed:
        if summed is None:
            raise Unavailable("silent", retry_after=1.0)
        return summed

    return Scrape(telemetry().families, told, lambda: gateways, ask)


def answered(now: int, earlier: int, missing: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    counts = {"now": now, "earlier": earlier, "missing": missing}
    return {("enginehouse_metrics_gateways", (("figures", name),)): count for name, count in counts.items()}


def test_a_family_that_crosses_the_socket_reads_as_before():
    registry, crossed = CollectorRegistry(), CollectorRegistry()
    registry.register(Collector(telemetry().families))
    crossed.register(Collector(lambda: [shown(taken(each)) for each in telemetry().families()]))
    assert generate_latest(crossed) == generate_latest(registry)


async def test_one_gateway_answers_for_itself_and_asks_nobody():
    found = samples(await scrape(1).text())
    assert found["enginehouse_retries_total", (("model", "m"), ("reason", "worker_failed"))] == 1
    assert found.items() >= answered(1, 0, 0).items()


async def test_several_answer_with_the_sum():
    """What each counts is added, what the snapshot says to all is not."""
    part = scrape(2).counted()
    found = samples(await scrape(2, Summed(total([part, part, part]), now=2)).text())
    assert found["enginehouse_retries_total", (("model", "m"), ("reason", "worker_failed"))] == 3
    assert found["enginehouse_inflight_requests", (("model", "m"),)] == 3
    assert found["gen_ai_server_time_to_first_token_seconds_count", LABELS] == 3
    assert found["gen_ai_server_time_to_first_token_seconds_bucket", (*LABELS, ("le", "2.5"))] == 3
    assert found["workers", ()] == 3
    assert found.items() >= answered(2, 0, 0).items()


LABELS = (("engine", "vllm"), ("error_type", ""), ("gen_ai_operation_name", "chat"), ("gen_ai_request_model", 'm"é'))


async def test_it_says_whose_figures_are_old_and_whose_are_missing():
    found = samples(await scrape(4, Summed(now=1, earlier=2)).text())
    assert found.items() >= answered(1, 2, 1).items()


async def test_a_silent_supervisor_leaves_a_gap_and_no_fall():
    """Our own counts alone are less than the last sum, which Prometheus would take for a new start."""
    assert samples(await scrape(2).text()) == {("workers", ()): 3} | answered(0, 0, 2)


async def test_before_the_first_snapshot_nobody_knows_whether_there_are_others():
    assert samples(await scrape(None).text()) == {("workers", ()): 3} | answered(0, 0, 1)
