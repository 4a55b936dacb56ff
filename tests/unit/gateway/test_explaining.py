"""What is said of a request: its times add up to the microsecond, and it says who ended it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.policy import Choice, Reason
from gateway.exchange import Attempt
from gateway.explaining import EndedBy, Phase, ended_by, explain, timeline
from gateway.reading import Usage
from tests.unit.gateway.builders import exchange

WHY = Choice("a", Reason.LONGEST_PREFIX, 3, 2, 5)
MOMENTS = st.none() | st.floats(99.0, 1e5, allow_nan=False)
TIMES = st.floats(99.0, 1e5, allow_nan=False)


def trial(worker="a", asked=100.0, leased=100.0, connected=0.0, **rest):
    return Attempt(worker, WHY, {"a": 1.0, "b": 2.5}, asked, leased, connected, **rest)


def record(*trials, **changed):
    known = {"operation": "chat", "stream": True, "status": 200, "trials": trials, "attempts": len(trials)}
    return exchange(**(known | changed))


TRIALS = st.lists(
    st.builds(
        trial,
        asked=TIMES,
        leased=TIMES,
        connected=st.floats(0.0, 50.0),
        first_token=MOMENTS,
        ended=MOMENTS,
        code=st.sampled_from(["", "worker_failed"]),
    ),
    max_size=4,
)


@given(TRIALS, st.booleans(), MOMENTS, MOMENTS, MOMENTS, st.floats(0.0, 50.0), TIMES)
def test_the_times_add_up_whatever_the_clocks_said(trials, stream, asked, first, answered, connected, ended):
    """No gap, no overlap, no negative time: the parts are the whole, to the microsecond."""
    one = record(*trials, stream=stream, asked=asked, first_token=first, answered=answered, connected=connected)
    line = timeline(one, ended)
    total = round((max(100.0, ended) - 100.0) * 1e6)
    assert [each.at for each in line] == [sum(each.length for each in line[:place]) for place in range(len(line))]
    assert all(each.length > 0 for each in line)
    sums = explain(msgspec.structs.replace(one, ended=ended), ended, 0.0, 1)["microseconds"]
    assert sums.pop("total") == total == sum(sums.values())


def phases(one, ended):
    return [(each.phase, each.attempt, each.length) for each in timeline(one, ended)]


def test_a_stream_queues_connects_waits_and_decodes():
    one = record(trial(asked=101, leased=102), asked=101, connected=0.5, first_token=104.0, answered=104.0)
    assert phases(one, 110.0) == [
        (Phase.RECEIVE, None, 1_000_000),
        (Phase.QUEUE, 1, 1_000_000),
        (Phase.CONNECT, 1, 500_000),
        (Phase.FIRST_TOKEN, 1, 1_500_000),
        (Phase.DECODE, 1, 6_000_000),
    ]


def test_a_whole_answer_comes_at_once():
    one = record(trial(), stream=False, asked=100.0, answered=103.0)
    assert phases(one, 104.0) == [(Phase.ANSWER, 1, 3_000_000), (Phase.REST, None, 1_000_000)]


def test_what_a_failed_worker_cost_is_told_apart():
    one = record(
        trial(code="worker_failed", ended=102.0), trial("b", asked=103, leased=103), asked=103.0, first_token=104.0
    )
    assert phases(one, 105.0) == [
        (Phase.FAILED, 1, 2_000_000),
        (Phase.REST, None, 1_000_000),
        (Phase.FIRST_TOKEN, 2, 1_000_000),
        (Phase.DECODE, 2, 1_000_000),
    ]


def test_a_resumed_stream_decodes_at_two_workers():
    first = trial(code="worker_failed", ended=103.0)
    second = trial("b", asked=103.0, leased=104.0, first_token=105.0)
    one = record(first, second, asked=103.0, first_token=101.0, answered=101.0, resumes=1)
    assert [each[:2] for each in phases(one, 106.0)] == [
        (Phase.FIRST_TOKEN, 1),
        (Phase.DECODE, 1),
        (Phase.QUEUE, 2),
        (Phase.FIRST_TOKEN, 2),
        (Phase.DECODE, 2),
    ]
    told = explain(one, 106.0, 0.0, 1)
    assert (told["retries"], told["resumes"], [each["continues"] for each in told["attempts"]]) == (0, 1, [False, True])


def test_who_waited_in_vain_waited_in_the_queue():
    """No worker ever had it: there is no attempt, and still its time has a name."""
    assert phases(record(asked=101.0), 104.0) == [(Phase.RECEIVE, None, 1_000_000), (Phase.QUEUE, None, 3_000_000)]


FAILED = trial(code="worker_failed", ended=101.0)


@pytest.mark.parametrize(
    ("one", "by"),
    [
        (record(trial()), EndedBy.COMPLETE),
        (record(FAILED, trial("b")), EndedBy.COMPLETE),
        (record(trial(), code="client_gone", status=499), EndedBy.CLIENT),
        (record(FAILED, code="worker_failed", status=502), EndedBy.WORKER),
        (record(trial(code="invalid_request_error"), code="invalid_request_error", status=400), EndedBy.WORKER),
        (record(trial(code="idle_timeout"), code="idle_timeout"), EndedBy.GATEWAY),
        (record(code="queue_full", status=429), EndedBy.GATEWAY),
        (record(code="model_not_found", status=404), EndedBy.GATEWAY),
        (record(trial(), code="shutting_down"), EndedBy.DRAIN),
    ],
)
def test_it_says_who_ended_it(one, by):
    assert ended_by(one) is by


def test_it_says_where_the_request_went_and_why():
    one = record(trial(), requested="default", model="m", served_name="llm", engine="vllm", usage=Usage(3, 2))
    told = explain(one, 101.0, 1e9 + 1, 1)
    assert told["target"] == {"requested": "default", "model": "m", "served_name": "llm", "engine": "vllm"}
    assert told["usage"] == {"prompt": 3, "completion": 2}
    assert (told["began"], told["ended_by"]) == (1e9, None)
    (attempt,) = told["attempts"]
    assert (attempt["reason"], attempt["among"]) == (Reason.LONGEST_PREFIX.value, 3)
    assert attempt["cached_blocks"] == "2 of 5"
    assert attempt["candidates"] == [{"worker": "a", "load": 1.0}, {"worker": "b", "load": 2.5}]
