"""An adapter that leaves a worker is given up by this gateway when its last request on it there has ended."""

from __future__ import annotations

from gateway.pool.house import House
from registry.adapters import Resident
from registry.snapshot import Snapshot
from tests.unit.gateway.builders import model_view, worker_view

CAT = "m:cat@0123456789abcdef"
LEAVES = Resident("a", CAT, "hold-1")


def housed(told):
    house = House(lambda: 0.0, told.append)
    show(house, CAT, revision=1)
    return house


def show(house, *resident, revision, evicted=()):
    house.publish(Snapshot(revision, (model_view(worker_view("a", resident=resident)),), evicted=evicted))


def test_without_requests_it_is_given_up_at_once_and_told_once():
    told = []
    house = housed(told)
    show(house, revision=2, evicted=(LEAVES,))
    show(house, revision=3, evicted=(LEAVES,))
    assert told == ["hold-1"]


async def test_with_requests_it_is_given_up_after_the_last_of_them():
    """Requests without an adapter on the same worker do not count."""
    told = []
    house = housed(told)
    pool = house.resolve("m")[1]
    leases = [await pool.lease(needs=needs) for needs in (CAT, CAT, "")]
    show(house, revision=2, evicted=(LEAVES,))
    leases[0].release()
    before = list(told)
    leases[1].release()
    assert (before, told) == ([], ["hold-1"])


async def test_one_that_stays_after_all_is_not_told_of():
    """And its next departure has a hold of its own."""
    told = []
    house = housed(told)
    lease = await house.resolve("m")[1].lease(needs=CAT)
    show(house, revision=2, evicted=(LEAVES,))
    show(house, CAT, revision=3)
    lease.release()
    show(house, revision=4, evicted=(Resident("a", CAT, "hold-2"),))
    assert told == ["hold-2"]


async def test_a_request_outlives_its_model():
    told = []
    house = housed(told)
    lease = await house.resolve("m")[1].lease(needs=CAT)
    house.publish(Snapshot(2, (), evicted=(LEAVES,)))
    lease.release()
    assert told == ["hold-1"]
