"""What was sent where: bounded whatever is sent, and never about a worker that is gone."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.balance.prefix_table import CAP, EXPIRES, HOLDERS, PrefixTable


def workers(table, block, now=0.0):
    return [worker for worker, _ in table.holders(block, now)]


def test_a_block_is_held_by_whom_it_was_sent_to_the_last_first():
    table = PrefixTable()
    table.sent((1, 2), "a", 0.0)
    table.sent((1, 3), "b", 5.0)
    table.sent((1,), "a", 7.0)
    assert (table.holders(1, 8.0), workers(table, 2), workers(table, 3)) == ([("a", 1.0), ("b", 3.0)], ["a"], ["b"])


def test_unique_prompts_without_end_stay_within_the_cap():
    """The real cap, passed three times over; what was used on the way is kept."""
    table = PrefixTable()
    for number in range(3 * CAP // 8):
        table.sent((-1, *range(8 * number, 8 * number + 8)), "a", 0.0)
    assert (len(table), workers(table, -1), workers(table, 0)) == (CAP, ["a"], [])


def test_the_end_of_a_prompt_is_forgotten_before_its_beginning():
    """A beginning without its end is of use, an end without its beginning is not."""
    table = PrefixTable(cap=4)
    table.sent((1, 2, 3), "a", 0.0)
    table.sent((4, 5, 6), "a", 0.0)
    assert [block for block in range(1, 7) if workers(table, block)] == [1, 4, 5, 6]


def test_no_block_remembers_more_than_a_few_workers():
    table = PrefixTable()
    for number in range(50):
        table.sent((1,), str(number), 0.0)
    assert workers(table, 1) == ["49", "48", "47", "46"][:HOLDERS]


def test_what_is_old_expires():
    table = PrefixTable()
    table.sent((1,), "a", 0.0)
    assert (workers(table, 1, EXPIRES - 1), workers(table, 1, EXPIRES)) == (["a"], [])


def test_a_worker_that_comes_back_by_the_same_name_holds_nothing():
    table = PrefixTable()
    table.sent((1,), "a", 0.0)
    table.gone("a")
    table.sent((2,), "a", 0.0)
    assert (workers(table, 1), workers(table, 2)) == ([], ["a"])


class Comings(RuleBasedStateMachine):
    """Workers come and go while prompts are sent."""

    def __init__(self):
        super().__init__()
        self.table, self.held = PrefixTable(cap=16), {}

    @rule(blocks=st.lists(st.integers(0, 40), min_size=1, max_size=10, unique=True), worker=st.sampled_from("abcdef"))
    def sent(self, blocks, worker):
        self.table.sent(tuple(blocks), worker, 0.0)
        self.held.setdefault(worker, set()).update(blocks)

    @rule(worker=st.sampled_from("abcdef"))
    def gone(self, worker):
        self.table.gone(worker)
        self.held.pop(worker, None)

    @invariant()
    def it_is_bounded_and_says_only_what_is_so(self):
        assert len(self.table) <= 16
        for block in range(41):
            for worker in workers(self.table, block):
                assert block in self.held[worker]


TestComings = Comings.TestCase
TestComings.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
