"""How long each wait of one request may be."""

from __future__ import annotations

import pytest

from gateway.errors import AnswerTimeout, FirstTokenTimeout, IdleTimeout, TotalTimeout
from gateway.patience import Patience
from registry.snapshot import Timeouts
from tests.unit.gateway.builders import Clock

LIMITS = Timeouts(connect=2.0, first_token=120.0, idle=30.0, answer=600.0)


def waits(patience):
    return patience.connect, patience.first, patience.idle, patience.left


def test_a_stream_has_a_limit_for_each_wait():
    assert waits(Patience(LIMITS, Clock(), stream=True)) == (2.0, 120.0, 30.0, None)


def test_a_json_answer_has_one_limit_for_all_of_it():
    """An engine sends nothing before the end."""
    clock = Clock()
    patience = Patience(LIMITS, clock, stream=False)
    clock.now += 599.0
    assert waits(patience) == (1.0, 1.0, 1.0, 1.0)


def test_no_wait_ends_after_the_total():
    clock = Clock()
    patience = Patience(Timeouts(total=100.0), clock, stream=True)
    clock.now += 80.0
    assert waits(patience) == (2.0, 20.0, 20.0, 20.0)
    clock.now += 80.0
    assert waits(patience) == (0.0, 0.0, 0.0, 0.0)


def test_what_is_off_is_without_end():
    off = Timeouts(first_token=None, idle=None, answer=None)
    assert [waits(Patience(off, Clock(), stream=stream)) for stream in (True, False)] == [(2.0, None, None, None)] * 2


@pytest.mark.parametrize(
    ("stream", "first", "later", "expected"),
    [
        (True, True, 0.0, FirstTokenTimeout),
        (True, False, 0.0, IdleTimeout),
        (True, False, 1000.0, TotalTimeout),
        (False, True, 0.0, AnswerTimeout),
    ],
)
def test_the_verdict_names_the_limit_that_passed(stream, first, later, expected):
    clock = Clock()
    patience = Patience(Timeouts(total=1000.0), clock, stream=stream)
    clock.now += later
    assert type(patience.verdict(first=first)) is expected
