"""Tokens of a run."""

from __future__ import annotations

from loadtests.users.answers import Usage
from loadtests.users.asking import Outcome
from loadtests.users.tally import Tally


def test_tokens_move_from_one_process_to_another_once():
    here, there = Tally(), Tally()
    here.count(Outcome(10.0, usage=Usage(prompt=7, completion=3)))
    there.add(here.taken())
    there.add(here.taken())
    assert (there.prompt, there.completion, here.completion) == (7, 3, 0)


def test_without_usage_the_chunks_are_counted_and_said():
    tally = Tally()
    tally.count(Outcome(10.0, chunks=5))
    assert tally.sentence(2.0).endswith(
        "5 completion tokens, 2.5 completion tokens/s over 2.0 s; 1 answers had no usage"
    )
