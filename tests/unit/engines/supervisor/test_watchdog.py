"""What is a hang and what only takes long, by a worker's own counters."""

from __future__ import annotations

import pytest

from engines.supervisor.watchdog import Mute, Reading, Stall, observe, patience, reading
from engines.vllm import VLLM

EXPOSED = """# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="m"} 10.0
vllm:prompt_tokens_created{engine="0",model_name="m"} 1.7e+09
vllm:generation_tokens_total 4.0
"""


IDLE = Reading(0.0, (1, 1))


def watched(*looks: tuple[float, tuple[float, ...] | Reading | None]) -> float:
    """How long nothing has moved after these looks: their times, and what a busy engine had counted, or was read."""
    stall = Stall()
    for now, seen in looks:
        read = Reading(1.0, seen) if isinstance(seen, tuple) else seen
        stall = observe(stall, read, now, longest_step=10.0)
    return stall.lasted


def test_figures_are_summed_over_their_series() -> None:
    """Data-parallel engines are several series of one name."""
    assert reading(EXPOSED, VLLM.metrics) == Reading(running=3.0, marks=(10.0, 4.0, 0.25))


@pytest.mark.parametrize("text", ["", "<html>", "vllm:num_requests_running 1.0\n"])
def test_a_worker_that_does_not_count_is_not_judged(text: str) -> None:
    """A worker that somebody else runs may be any server."""
    assert reading(text, VLLM.metrics) is None


def test_a_line_that_is_no_number_is_nothing() -> None:
    assert reading(EXPOSED + "vllm:generation_tokens_total{x} lots\n", VLLM.metrics) == reading(EXPOSED, VLLM.metrics)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_cannot_be_counted_with_is_nothing(value: str) -> None:
    """NaN differs from itself: a counter that stands on it would seem to move for ever."""
    text = EXPOSED + f'vllm:generation_tokens_total{{engine="1"}} {value}\n'
    assert reading(text, VLLM.metrics) == reading(EXPOSED, VLLM.metrics)


def test_a_stall_lasts_as_long_as_nothing_moves() -> None:
    assert watched((0, (1, 1)), (5, (1, 1)), (10, (1, 1))) == 10


def test_any_movement_ends_a_stall() -> None:
    """The tokens of a JSON answer, or the blocks that a long prompt takes."""
    assert watched((0, (1, 1)), (5, (1, 1)), (10, (1, 1.5))) == 0


def test_idleness_is_no_stall() -> None:
    """Counters stand still for hours; the time before the first request counts for nothing."""
    assert watched((0, (1, 1)), (5, IDLE), (3600, (1, 1)), (3605, (1, 1))) == 5


def test_a_failed_look_does_not_forget_a_stall() -> None:
    """An engine that hangs may not answer every time; the seconds up to that look are known by nobody, and dropped."""
    assert watched((0, (1, 1)), (8, (1, 1)), (13, None)) == 8
    assert watched((0, (1, 1)), (8, (1, 1)), (13, None), (18, (1, 1))) == 13
    assert watched((0, (1, 1)), (8, (1, 1)), (13, None), (18, (1, 2))) == 0
    assert watched((0, None), (5, None), (10, (1, 1)), (15, (1, 1))) == 5


def test_time_in_which_nobody_looked_is_not_held_against_the_engine() -> None:
    """A machine that was suspended, or a container that was frozen, wakes with all its counters unmoved."""
    assert watched((0, (1, 1)), (5000, (1, 1))) == 10


def test_patience_is_twice_the_limit_between_tokens() -> None:
    assert (patience(30.0), patience(None)) == (60.0, None)


def test_a_worker_that_calls_itself_healthy_has_some_chances_and_some_time():
    """Its first token may take long, and it may be busy once or twice."""
    mute = Mute().refused(0.0, "a").refused(1.0, "b")
    thrice = mute.refused(2.0, "c")
    assert [each.hopeless(at, 10.0) for each, at in ((mute, 99.0), (thrice, 9.0), (thrice, 11.0))] == [
        False,
        False,
        True,
    ]
    assert (thrice.reason, Mute().hopeless(99.0, 0.0)) == ("c", False)
