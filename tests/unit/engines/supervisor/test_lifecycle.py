"""The worker's state machine, transition by transition."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.supervisor.lifecycle import Event, Life, hopeless, step
from registry.snapshot import WorkerState

E, S = Event, WorkerState


def live(*events: Event, every: float = 1.0) -> Life:
    """A life after these events, one each `every` seconds."""
    return reduce(lambda life, numbered: step(life, numbered[1], numbered[0] * every, "why"), enumerate(events), Life())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), S.BACKOFF),
        ((E.STARTED,), S.STARTING),
        ((E.STARTED, E.PROVED), S.READY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE), S.READY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE), S.UNHEALTHY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.GOOD_PROBE, E.BAD_PROBE), S.READY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE, E.GOOD_PROBE), S.UNHEALTHY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE, E.GOOD_PROBE, E.GOOD_PROBE), S.READY),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE, E.GOOD_PROBE, E.BAD_PROBE, E.GOOD_PROBE), S.UNHEALTHY),
        ((E.STARTED, E.EXITED), S.BACKOFF),
        ((E.STARTED, E.PROVED, E.EXITED), S.BACKOFF),
        ((E.STARTED, E.PROVED, E.EXITED, E.STARTED), S.STARTING),
        ((E.STARTED, E.ASKED), S.DRAINING),
        ((E.STARTED, E.ASKED, E.EXITED), S.DRAINING),
        ((E.STARTED, E.ASKED, E.GONE), S.STOPPED),
        ((E.STARTED, E.ASKED, E.GONE, E.ASKED), S.STOPPED),
        ((E.STARTED, E.GONE), S.STARTING),
        ((E.STARTED, E.LULLED), S.STARTING),
        ((E.STARTED, E.PROVED, E.LULLED), S.SLEEPING),
        ((E.STARTED, E.PROVED, E.LULLED, E.BAD_PROBE, E.BAD_PROBE, E.GOOD_PROBE, E.PROVED), S.SLEEPING),
        ((E.STARTED, E.PROVED, E.LULLED, E.CALLED), S.STARTING),
        ((E.STARTED, E.PROVED, E.LULLED, E.CALLED, E.PROVED), S.READY),
        ((E.STARTED, E.PROVED, E.LULLED, E.CALLED, E.EXITED), S.BACKOFF),
        ((E.STARTED, E.PROVED, E.LULLED, E.EXITED), S.STOPPED),
        ((E.STARTED, E.PROVED, E.LULLED, E.ASKED), S.DRAINING),
        ((E.STARTED, E.PROVED, E.CALLED), S.READY),
    ],
)
def test_each_transition_of_the_table(events: tuple[Event, ...], expected: WorkerState) -> None:
    assert live(*events).state is expected


def test_backoff_doubles_with_each_crash() -> None:
    """From 1 s, doubled, counted over the crashes of the last ten minutes."""
    waits, life = [], Life()
    for now in (0.0, 10.0, 20.0, 30.0):
        life = step(step(life, E.STARTED, now), E.EXITED, now, "crash")
        waits.append((life.retry_at or 0) - now)
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_the_fifth_crash_in_ten_minutes_holds_a_worker_down() -> None:
    life = live(*(E.STARTED, E.EXITED) * 5)
    assert (life.state, life.retry_at) == (S.CRASH_LOOP, None)
    assert "5 crashes in 10 minutes; the last: why" in life.reason


def test_old_crashes_are_forgotten() -> None:
    """A crash a day is not a loop, and is answered after a second each time."""
    life = live(*(E.STARTED, E.EXITED) * 20, every=3600.0)
    assert (life.state, len(life.crashes)) == (S.BACKOFF, 1)


def test_nothing_starts_a_worker_that_is_held_down() -> None:
    assert live(*(E.STARTED, E.EXITED) * 5, E.STARTED, E.PROVED).state is S.CRASH_LOOP


def test_restarts_are_the_starts_after_the_first() -> None:
    assert live(E.STARTED, E.EXITED, E.STARTED, E.EXITED, E.STARTED).restarts == 2


def test_a_ready_worker_has_no_reason() -> None:
    assert live(E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE).reason == "why"
    assert live(E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE, E.GOOD_PROBE, E.GOOD_PROBE).reason == ""


@pytest.mark.parametrize(
    ("events", "dead", "unhealthy_for", "expected"),
    [
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE), True, 0.0, True),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE), False, 59.0, False),
        ((E.STARTED, E.PROVED, E.BAD_PROBE, E.BAD_PROBE), False, 61.0, True),
        ((E.STARTED, E.PROVED, E.BAD_PROBE), True, 99.0, False),
        ((E.STARTED,), True, 99.0, False),
    ],
)
def test_only_who_is_dead_or_unhealthy_for_long_is_hopeless(
    events: tuple[Event, ...], *, dead: bool, unhealthy_for: float, expected: bool
) -> None:
    """One that starts refuses connections for minutes; one bad probe proves nothing."""
    assert hopeless(live(*events), dead=dead, unhealthy_for=unhealthy_for, hung_after=60.0) is expected


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_a_next_start_is_due_exactly_in_backoff(events: list[Event]) -> None:
    """Whatever happens in whatever order."""
    life = live(*events)
    assert (life.retry_at is not None) == (life.state is S.BACKOFF)


@given(st.lists(st.sampled_from(Event), max_size=30))
def test_nothing_brings_back_a_worker_that_was_asked_to_go(events: list[Event]) -> None:
    life = reduce(lambda life, event: step(life, event, 1.0), events, live(E.ASKED))
    assert life.state in {S.DRAINING, S.STOPPED}


def test_a_sleep_is_no_start() -> None:
    """Neither counted as a restart nor as a crash."""
    life = live(E.STARTED, E.PROVED, E.LULLED, E.CALLED, E.PROVED, E.LULLED)
    assert (life.starts, life.naps, life.restarts, life.crashes) == (1, 2, 0, ())
