"""A worker that leaves is given up by this gateway when its last request here has ended, not before."""

from __future__ import annotations

from gateway.pool.house import House
from registry.snapshot import Snapshot
from tests.unit.gateway.builders import model_view, worker_view

OLD, NEW = worker_view("old"), worker_view("new")


def swapped(house: House, revision: int = 2) -> None:
    house.publish(Snapshot(revision, (model_view(NEW),), leaving=(OLD,)))


def housed(told: list[str]) -> House:
    house = House(lambda: 0.0, told.append)
    house.publish(Snapshot(1, (model_view(OLD),)))
    return house


async def test_a_worker_without_requests_is_given_up_at_once():
    told = []
    swapped(housed(told))
    assert told == ["old"]


async def test_a_worker_with_requests_is_given_up_after_the_last_of_them():
    told = []
    house = housed(told)
    _, pool = house.resolve("m")
    leases = [await pool.lease() for _ in range(2)]
    swapped(house)
    leases[0].release()
    before = list(told)
    leases[1].release()
    assert (before, told) == ([], ["old"])


async def test_it_is_told_once():
    told = []
    house = housed(told)
    swapped(house, 2)
    swapped(house, 3)
    assert told == ["old"]


async def test_the_workers_of_a_removed_model_are_given_up_too():
    """Running streams finish, new requests find no such model."""
    told = []
    house = housed(told)
    _, pool = house.resolve("m")
    lease = await pool.lease()
    house.publish(Snapshot(2, (), leaving=(OLD,)))
    before = list(told)
    lease.release()
    assert (before, told) == ([], ["old"])


async def test_a_worker_that_only_crashed_is_nobody_elses_affair():
    told = []
    house = housed(told)
    house.publish(Snapshot(2, (model_view(NEW),)))
    assert told == []
