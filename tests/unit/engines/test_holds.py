"""A worker that leaves is stopped only once no gateway can have a request on it."""

from __future__ import annotations

from engines.holds import Holds


def test_without_gateways_everything_is_free() -> None:
    assert Holds().free(["w"])


def test_a_worker_is_free_once_every_gateway_has_said_so() -> None:
    holds = Holds()
    holds.joined(1)
    holds.joined(2)
    holds.freed(1, "w")
    before = holds.free(["w"])
    holds.freed(2, "w")
    assert (before, holds.free(["w"]), holds.free(["w", "v"])) == (False, True, False)


def test_a_gateway_that_died_holds_nothing() -> None:
    holds = Holds()
    holds.joined(1)
    holds.ended(1)
    holds.ended("somebody who only looked on")
    assert holds.free(["w"])


def test_who_is_no_gateway_frees_nothing() -> None:
    holds = Holds()
    holds.joined(1)
    holds.freed("stranger", "w")
    assert not holds.free(["w"])


def test_a_forgotten_worker_takes_no_room() -> None:
    holds = Holds()
    holds.joined(1)
    holds.freed(1, "w")
    holds.forget(["w"])
    assert not holds.free(["w"])


async def test_who_waits_is_told() -> None:
    holds = Holds()
    holds.joined(1)
    holds.freed(1, "w")
    await holds.until_free(["w"])
