"""The ring: how many are kept, what an id stands for, and that nothing else is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.passages import Ambiguous, Passages
from tests.unit.gateway.builders import exchange


def over(passages, name, started=100.0, operation="chat"):
    one = exchange(request_id=name, started=started, operation=operation)
    passages.begin(one)
    passages.end(one)
    return one


def test_a_request_is_found_while_it_runs_and_when_it_is_over():
    """A request that hangs is the one that people ask about."""
    passages, one = Passages(), exchange(request_id="r", operation="chat")
    passages.begin(one)
    assert passages.find("r") == (one, 1)
    passages.end(one)
    assert passages.find("r") == (one, 1)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.integers(1, 9))
def test_no_more_than_the_limit_are_kept_and_each_id_is_its_newest(names, limit):
    """Constant memory, whatever ids clients send."""
    passages, newest = Passages(limit), {}
    for number, name in enumerate(names):
        newest[name] = over(passages, name, started=float(number))
    kept = set(names[-limit:]) if names else set()
    assert len(passages) == min(limit, len(names))
    assert {name for name in "abcdefgh" if passages.find(name)} == kept
    assert all(passages.find(name)[0] is newest[name] for name in kept)


def test_an_id_that_came_several_times_says_so():
    """The newest wins: it is the one that was just seen."""
    passages = Passages()
    over(passages, "r", 1.0)
    newest = over(passages, "r", 2.0)
    assert passages.find("r") == (newest, 2)


def test_a_newer_one_that_runs_wins_over_one_that_is_over():
    passages, running = Passages(), exchange(request_id="r", started=9.0, operation="chat")
    over(passages, "r", 1.0)
    passages.begin(running)
    found, count = passages.find("r")
    assert found is running
    assert count == 2


def test_what_was_never_relayed_pushes_nobody_out():
    """Probes come every few seconds, and strangers without a key as often as they like."""
    passages = Passages(1)
    over(passages, "mine")
    over(passages, "probe", operation="")
    assert passages.find("mine") is not None
    assert passages.find("probe") is None


def test_the_beginning_of_an_id_is_enough():
    passages = Passages()
    one = over(passages, "req_abcdef")
    assert passages.find("req_abc") == (one, 1)
    assert passages.find("req") is None
    assert passages.find("req_x") is None


def test_a_beginning_of_several_ids_names_the_newest():
    """Nobody is told of a request that he did not ask for."""
    passages = Passages()
    for number in range(8):
        over(passages, f"req_{number}")
    with pytest.raises(Ambiguous) as told:
        passages.find("req_")
    assert (told.value.count, told.value.ids) == (8, ["req_7", "req_6", "req_5", "req_4", "req_3"])


def test_an_id_that_is_also_a_beginning_is_itself():
    passages = Passages()
    one = over(passages, "abcd")
    over(passages, "abcde")
    assert passages.find("abcd") == (one, 1)
