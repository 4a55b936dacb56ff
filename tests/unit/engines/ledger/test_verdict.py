"""The rule that ends a split: stated by its author, and never before enough is known."""

from __future__ import annotations

from engines.ledger.verdict import Performance, verdict
from registry.adapter_orders import Seen
from registry.adapters import Canary, Share

A, B = "a" * 64, "b" * 64
RULE = Canary((Share(A, 95), Share(B, 5)), max_error_rate=0.1, max_ttft_ratio=2.0, min_requests=10)


def seen(requests, errors=0, first_token=None):
    figures = Performance()
    figures.add(Seen(requests, errors, () if first_token is None else (first_token,) * requests))
    return figures


def test_more_errors_than_allowed_end_it():
    why = verdict(RULE, A, {A: seen(500), B: seen(10, errors=2)})
    assert why == f"2 of 10 requests failed on {'b' * 16}"


def test_as_many_as_allowed_do_not():
    assert verdict(RULE, A, {A: seen(500), B: seen(10, errors=1)}) == ""


def test_few_requests_say_nothing():
    assert verdict(RULE, A, {B: seen(9, errors=9)}) == ""
    assert verdict(RULE, A, {}) == ""


def test_what_the_name_goes_back_to_is_not_judged():
    assert verdict(RULE, A, {A: seen(100, errors=100)}) == ""


def test_a_slow_first_token_ends_it():
    """By the medians, and only where both are known."""
    why = verdict(RULE, A, {A: seen(50, first_token=0.1), B: seen(10, first_token=0.3)})
    assert why == f"{'b' * 16} takes 0.300 s to its first token in the median, the present revision 0.100 s"
    assert verdict(RULE, A, {A: seen(50, first_token=0.1), B: seen(10, first_token=0.2)}) == ""
    assert verdict(RULE, A, {A: seen(50), B: seen(10, first_token=9.0)}) == ""


def test_without_a_rule_it_goes_on():
    assert verdict(Canary(RULE.split), A, {A: seen(100), B: seen(100, errors=100, first_token=99.0)}) == ""
