"""The record of a request: how much of it there can be."""

from __future__ import annotations

from gateway.balance.policy import Choice, Reason
from tests.unit.gateway.builders import exchange

WHY = Choice("w", Reason.LEAST_LOADED, 1)


def test_an_attempt_is_counted_and_queued_for():
    one = exchange()
    one.attempt("a", WHY, {}, 100.0, 100.5)
    one.attempt("b", WHY, {}, 101.0, 101.25)
    assert (one.worker, one.attempts, one.queued) == ("b", 2, 0.75)
    assert [each.worker for each in one.trials] == ["a", "b"]


def test_of_many_candidates_some_are_kept_and_the_chosen_one():
    """A pool of a thousand workers must not make a record of a thousand lines."""
    one = exchange()
    one.attempt("w999", WHY, {f"w{number}": 1.0 for number in range(1000)}, 100.0, 100.0)
    assert len(one.trials[0].loads) == 8
    assert "w999" in one.trials[0].loads


def test_of_many_attempts_the_first_ones_and_the_last_are_kept():
    """A long stream may outlive any number of workers."""
    one = exchange()
    for number in range(100):
        one.attempt(f"w{number}", WHY, {}, 100.0, 100.0)
    assert (len(one.trials), one.trials[0].worker, one.trials[-1].worker) == (32, "w0", "w99")
    assert one.attempts == 100


def test_the_first_failure_of_an_attempt_stands():
    one = exchange()
    one.failed("nobody", "Nobody has it.", 100.0)
    one.attempt("a", WHY, {}, 100.0, 100.0)
    one.failed("worker_failed", "It died.", 101.0)
    one.failed("idle_timeout", "It was silent.", 102.0)
    assert (one.trials[0].code, one.trials[0].ended) == ("worker_failed", 101.0)
