"""Each worker in turn."""

from __future__ import annotations

from gateway.balance.policies import POLICIES
from gateway.balance.prefix import NO_PREFIX


def turns(policy, workers, count):
    return "".join(policy.choose(dict.fromkeys(workers, 1.0), NO_PREFIX, 0.0).worker for _ in range(count))


def round_robin():
    return POLICIES["round_robin"](lambda: 0.0)


def test_workers_are_taken_in_the_pools_order():
    assert turns(round_robin(), "abc", 7) == "abcabca"


def test_who_cannot_take_a_request_does_not_lose_its_turn():
    policy = round_robin()
    assert (turns(policy, "bc", 2), turns(policy, "abc", 3)) == ("bc", "abc")


def test_a_worker_that_is_gone_is_forgotten():
    policy = round_robin()
    turns(policy, "abc", 3)
    policy.gone("a")
    assert (len(policy._turns), turns(policy, "bc", 2)) == (2, "bc")
