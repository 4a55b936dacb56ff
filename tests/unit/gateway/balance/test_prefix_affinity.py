"""Where a prompt goes: to its cache, unless that costs more than it is worth."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from gateway.balance.policies import POLICIES
from gateway.balance.policy import Reason
from gateway.balance.prefix import BOUNDS, NO_PREFIX, Prefix
from gateway.balance.prefix_affinity import HALF_LIFE, MOST_SLACK, PROPORTION, slack
from gateway.balance.prefix_table import CAP, EXPIRES

IDLE = {"a": 1.0, "b": 1.0}


def affinity():
    return POLICIES["prefix_affinity"](lambda: 0.0)


def prompt(text, served="m"):
    return Prefix(served, json.dumps({"prompt": text}).encode())


def other(worker):
    return "b" if worker == "a" else "a"


def busy(worker, load):
    return {"a": 1.0, "b": 1.0, worker: load}


def test_a_prompt_follows_the_one_that_it_begins_with():
    policy = affinity()
    first = policy.choose(IDLE, prompt("x" * 3000), 0.0)
    second = policy.choose(busy(first.worker, 3.0), prompt("x" * 3000 + "y" * 500), 1.0)
    assert (first.reason, second.worker, second.reason) == (Reason.NEW_PREFIX, first.worker, Reason.LONGEST_PREFIX)
    assert (second.matched, second.blocks, second.among) == (9, 10, 2)


def test_a_favourite_with_too_much_to_do_is_passed_over_and_the_next_prompt_has_two():
    policy = affinity()
    first = policy.choose(IDLE, prompt("x" * 3000), 0.0).worker
    passed = policy.choose(busy(first, 20.0), prompt("x" * 3000), 0.0)
    back = policy.choose(busy(other(first), 2.0), prompt("x" * 3000), 0.0)
    assert (passed.worker, passed.reason) == (other(first), Reason.FAVOURITE_OVERLOADED)
    assert (back.worker, back.reason) == (first, Reason.LONGEST_PREFIX)


def test_a_favourite_that_was_passed_over_is_not_taken_after_all():
    """A short match is worth little waiting, but more load than that would still make an owner of a new prompt."""
    policy = affinity()
    first = policy.choose(IDLE, prompt("x" * 270), 0.0).worker
    passed = policy.choose(busy(first, 4.0), prompt("x" * 270), 0.0)
    assert (passed.worker, passed.reason) == (other(first), Reason.FAVOURITE_OVERLOADED)


def test_a_favourite_that_cannot_take_it_is_named_as_the_reason():
    policy = affinity()
    first = policy.choose(IDLE, prompt("x" * 3000), 0.0).worker
    assert policy.choose({other(first): 1.0}, prompt("x" * 3000), 0.0).reason is Reason.FAVOURITE_AWAY


def test_a_short_common_opening_decides_nothing():
    """Else everybody whose prompts begin alike would be sent to the one worker that saw the first of them."""
    policy, went = affinity(), Counter()
    for number in range(40):
        went[policy.choose(IDLE, prompt("x" * 600 + f"{number}" * 5000), 0.0).worker] += 1
    assert min(went.values()) > 10


def test_a_longer_match_may_wait_longer_and_an_old_one_less():
    fresh = [slack(depth, 0.0) for depth in range(len(BOUNDS))]
    assert (fresh, max(fresh), slack(32, HALF_LIFE)) == (sorted(fresh), MOST_SLACK, MOST_SLACK / 2)


def test_what_is_too_old_draws_nobody():
    policy = affinity()
    policy.choose(IDLE, prompt("x" * 3000), 0.0)
    assert policy.choose(IDLE, prompt("x" * 3000), EXPIRES).reason is Reason.NEW_PREFIX


def test_adapters_on_one_pool_have_prefixes_of_their_own():
    policy = affinity()
    policy.choose(IDLE, prompt("x" * 3000, "m:pirate@1"), 0.0)
    assert policy.choose(IDLE, prompt("x" * 3000, "m:poet@1"), 0.0).reason is Reason.NEW_PREFIX


@pytest.mark.parametrize("prefix", [NO_PREFIX, prompt("short")])
def test_a_request_without_a_prefix_goes_to_the_least_loaded(prefix):
    choice = affinity().choose({"a": 2.0, "b": 1.0}, prefix, 0.0)
    assert (choice.worker, choice.reason) == ("b", Reason.LEAST_LOADED)


def test_gateways_that_never_talk_agree_on_prompts_that_none_has_seen():
    loads = {f"w{number}": 1.0 for number in range(7)}
    where = [[affinity().choose(loads, prompt(f"{text}" * 2000), 0.0).worker for text in range(200)] for _ in range(2)]
    assert (where[0] == where[1], min(Counter(where[0]).values()) >= 10) == (True, True)


def test_new_prompts_are_spread_over_all_caches():
    """Hashing alone would give one of two workers five of eight prompts, and its cache would hold them no more."""
    policy, went = affinity(), Counter()
    for number in range(8):
        went[policy.choose(IDLE, prompt(f"{number}" * 3000), 0.0).worker] += 1
    assert went == {"a": 4, "b": 4}


def test_a_newcomer_is_given_new_prompts_until_it_has_as_many():
    policy = affinity()
    for number in range(20):
        policy.choose(IDLE, prompt(f"{number} " * 1000), 0.0)
    went = [policy.choose(IDLE | {"c": 1.0}, prompt(f"{number} " * 1000), 0.0).worker for number in range(20, 30)]
    assert went.count("c") >= 9


def test_most_prompts_stay_where_they_belong_when_a_worker_leaves():
    loads = {f"w{number}": 1.0 for number in range(4)}
    fewer = {name: load for name, load in loads.items() if name != "w0"}
    prompts = [prompt(f"{text}" * 2000) for text in range(100)]
    before = [affinity().choose(loads, each, 0.0).worker for each in prompts]
    after = [affinity().choose(fewer, each, 0.0).worker for each in prompts]
    assert all(now == then for now, then in zip(after, before, strict=True) if then != "w0")


def test_workers_appear_and_vanish_during_a_chat():
    """Every turn goes to a worker that is there; a turn after its worker's end starts anew and then stays again."""
    policy, text, worker, reasons = affinity(), "x" * 1000, "w0", []
    for turn in range(30):
        if turn % 10 == 9:
            policy.gone(worker)
        alive = {f"w{turn // 10 + (turn % 10 == 9)}": 1.0, f"n{turn // 10}": 1.0}
        choice = policy.choose(alive, prompt(text), float(turn))
        worker, text = choice.worker, text + f"turn {turn} " * 50
        assert worker in alive
        reasons.append(choice.reason)
    assert reasons.count(Reason.LONGEST_PREFIX) >= 20


def test_nobody_starves_behind_a_prefix_that_everyone_shares():
    """One prompt for all: its one holder is not given more than its slack before others share the work."""
    policy, loads = affinity(), {f"w{number}": 1.0 for number in range(4)}
    for _ in range(100):
        loads[policy.choose(loads, prompt("x" * 9000), 0.0).worker] += 1
    assert max(loads.values()) <= min(loads.values()) * PROPORTION + MOST_SLACK + 1


def test_adversarial_prompts_cost_bounded_memory():
    """Unique prompts by the thousand, which differ in the first byte or only after a shared beginning."""
    policy = affinity()
    for number in range(1 + CAP // 16):
        policy.choose(IDLE, prompt(f"{number} " + "x" * 9000), 0.0)
        policy.choose(IDLE, prompt("x" * 9000 + f"{number}" * 400), 0.0)
    assert len(policy._table) == CAP
