"""When a new pool counts as up, and when as failed."""

from __future__ import annotations

from engines.supervisor.ordeal import Ordeal, Outcome


async def test_it_is_up_when_every_seat_has_been_proved() -> None:
    ordeal = Ordeal(2, tries=3)
    ordeal.proved(0)
    ordeal.failed("a crash")
    ordeal.proved(1)
    assert await ordeal.outcome() is Outcome.UP


async def test_who_comes_later_is_waited_for_and_who_goes_is_not() -> None:
    """One that goes before anybody was proved proves nothing."""
    ordeal = Ordeal(0, tries=3)
    for seat in range(3):
        ordeal.expects(seat)
    for seat in range(3):
        ordeal.excused(seat)
    ordeal.expects(3)
    ordeal.no_room("none yet")
    assert await ordeal.outcome() is Outcome.NO_ROOM
    ordeal.go_on()
    ordeal.proved(3)
    assert await ordeal.outcome() is Outcome.UP


async def test_it_has_failed_after_so_many_tries() -> None:
    ordeal = Ordeal(1, tries=2)
    ordeal.failed("first")
    ordeal.failed("second")
    assert (await ordeal.outcome(), ordeal.reason) == (Outcome.FAILED, "second")


async def test_the_first_outcome_is_the_outcome() -> None:
    """A worker that crashes after it has been proved is an ordinary crash."""
    ordeal = Ordeal(1, tries=1)
    ordeal.proved(0)
    ordeal.failed("later")
    ordeal.no_room("later")
    assert (await ordeal.outcome(), ordeal.reason) == (Outcome.UP, "")


async def test_no_room_is_told_apart() -> None:
    """There may be room once the old pool has gone."""
    ordeal = Ordeal(1, tries=3)
    ordeal.no_room("it needs 4 GiB")
    assert (await ordeal.outcome(), ordeal.reason) == (Outcome.NO_ROOM, "it needs 4 GiB")
