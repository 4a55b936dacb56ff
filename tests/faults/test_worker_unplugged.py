"""A worker's host that is gone without a FIN, over a real network: row 8 of the fault matrix."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from registry.snapshot import Timeouts
from tests.faults.client import ask, calling
from tests.faults.far_host import FarHost, far_host, reason_against
from tests.faults.stage import Measure, Pair, broken_off, descriptors, refused, request, timed, whole
from tests.processes import model
from tests.waiting import eventually

SHORT = Timeouts(connect=2.0, first_token=2.0, idle=2.0, answer=4.0)

_AGAINST = reason_against()
pytestmark = pytest.mark.skipif(bool(_AGAINST), reason=_AGAINST)


@pytest.fixture
def far() -> Iterator[FarHost]:
    with far_host() as host:
        yield host


async def test_a_stream_from_a_host_that_is_gone_is_told_and_costs_no_socket(
    pair: Pair, far: FarHost, measured: Measure
):
    """Row 8, as row 6: one error event at the idle limit, and our side of the connection is closed."""
    pair.gateway.publish(model(far.view(), timeouts=SHORT))
    base = descriptors(pair.gateway)
    async with calling(pair.port, request(itl=0.02, tokens=1000)) as stream:
        await stream.hear(events=3)
        began = time.perf_counter()
        far.unplug()
        assert broken_off(await stream.hear(), "idle_timeout")
    await eventually(lambda: descriptors(pair.gateway) <= base, what="no socket more than before")
    measured("8", "a host unplugged: error event, socket freed (limit 2 s)", time.perf_counter() - began)


async def test_who_comes_while_a_host_is_gone_is_answered_by_another(pair: Pair, far: FarHost, measured: Measure):
    """Row 8: kept connections to it and new ones both lead nowhere; the other worker answers every request."""
    pair.gateway.publish(model(far.view(), pair.first, timeouts=SHORT))
    for _ in range(4):
        assert whole(await ask(pair.port, request()))
    far.unplug()
    with timed(measured, "8", "10 requests after a host was unplugged (limits 2 s)"):
        assert all([whole(await ask(pair.port, request())) for _ in range(10)])


async def test_a_host_that_is_gone_and_the_only_one_is_a_503(pair: Pair, far: FarHost):
    """It cannot be reached: 503 with Retry-After, no hanging."""
    pair.gateway.publish(model(far.view(), timeouts=SHORT))
    far.unplug()
    assert refused(await ask(pair.port, request()), 503, "no_worker")
