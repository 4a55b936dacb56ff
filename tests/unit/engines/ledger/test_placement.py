"""What is loaded and what leaves, by the picture."""

from __future__ import annotations

from dataclasses import replace

from engines.ledger.picture import Evict, Holder, Load, Move, Picture, Reason, Wish
from engines.ledger.placement import moves
from tests.unit.engines.ledger.pictures import NOW, held, holder, loading


def decided(*holders: Holder, wishes: tuple[Wish, ...] = (), **words: object) -> tuple[Move, ...]:
    """The moves of a picture."""
    return moves(replace(Picture(NOW, holders, wishes), **words))


def wish(adapter: str, ago: float = 0.0, waiting: int = 1) -> Wish:
    """Waited for since so many seconds."""
    return Wish(adapter, NOW - ago, waiting)


def test_what_is_wanted_goes_to_a_free_slot():
    """Nothing leaves while there is room."""
    assert decided(holder("v", held("a")), wishes=(wish("b"),)) == (Load("v", "b", Reason.WANTED),)


def test_what_is_on_its_way_is_not_loaded_twice():
    """Single flight: also not on another worker."""
    assert decided(holder("v", loading("b")), holder("w"), wishes=(wish("b", 60),)) == ()


def test_the_longest_wait_gets_the_slot():
    """Whoever came first."""
    found = decided(holder("v", held("a")), wishes=(wish("c", 1), wish("b", 1.5)))
    assert found[0] == Load("v", "b", Reason.WANTED)


def test_the_least_recently_used_makes_room():
    """Of all workers' adapters, where nothing else tells them apart."""
    found = decided(
        holder("v", held("a", used=20), held("b", used=10)),
        holder("w", held("c", used=30), held("d", used=5)),
        wishes=(wish("e"),),
    )
    assert found == (Evict("w", "c", Reason.MAKES_ROOM),)


def test_what_is_asked_for_often_stays_though_another_was_used_later():
    """A scan over rare adapters leaves the hot ones alone."""
    there = holder("v", held("hot", used=9), held("rare", used=8))
    found = decided(there, wishes=(wish("e"),), rates={"hot": 2.0, "rare": 0.01})
    assert found == (Evict("v", "rare", Reason.MAKES_ROOM),)


def test_a_second_copy_makes_room_before_an_only_one():
    """It can be done without."""
    found = decided(
        holder("v", held("a", used=9), held("b", used=20)), holder("w", held("a"), held("c")), wishes=(wish("e"),)
    )
    assert found[0] == Evict("w", "a", Reason.MAKES_ROOM)


def test_what_is_pinned_never_leaves():
    """Whoever has waited, and for how long."""
    found = decided(
        holder("v", held("a", used=99), held("b", used=99)), wishes=(wish("e", 999),), pinned=frozenset("ab")
    )
    assert found == ()


def test_what_others_wait_for_stays():
    """Evicting it would only move the wait."""
    found = decided(holder("v", held("a", used=99), held("b")), wishes=(wish("a"), wish("e")))
    assert found == (Evict("v", "b", Reason.MAKES_ROOM),)


def test_what_has_just_been_loaded_stays():
    """Hysteresis: two that are wanted by turns do not chase each other."""
    assert decided(holder("v", held("a", there=0.4), held("b", there=0.4)), wishes=(wish("e"),)) == ()


def test_where_all_are_active_the_first_to_become_idle_is_waited_for():
    """Its requests end soon, and nobody is overdue."""
    assert decided(holder("v", held("a", active=1), held("b", active=1)), wishes=(wish("e", 1),)) == ()


def test_who_is_overdue_has_an_active_one_leave():
    """Nothing starves behind hot adapters that never become idle."""
    there = holder("v", held("a", active=9), held("b", active=1))
    found = decided(there, wishes=(wish("e", 5),), rates={"a": 9.0, "b": 1.0})
    assert found == (Evict("v", "b", Reason.OVERDUE),)


def test_one_that_leaves_is_enough_for_one_that_waits():
    """However long its streams take to end, within reason."""
    there = holder("v", held("a", active=1, leaving=True, there=5), held("b", active=1))
    assert decided(there, wishes=(wish("e", 9),)) == ()


def test_what_does_not_leave_for_long_is_not_waited_for():
    """A stream without end holds one slot, not the queue."""
    there = holder("v", held("a", active=1, leaving=True, there=20), held("b", active=1))
    assert decided(there, wishes=(wish("e", 22),)) == (Evict("v", "b", Reason.OVERDUE),)


def test_a_slot_that_comes_free_is_promised_once():
    """Two that wait need two."""
    there = holder("v", held("a", leaving=True), held("b"), held("c"), slots=3)
    found = decided(there, wishes=(wish("d", 1), wish("e")))
    assert [type(move) for move in found] == [Evict]


def test_what_is_leaving_comes_back_elsewhere_at_once():
    """A worker is rid of it before it may have it again."""
    found = decided(holder("v", held("a", leaving=True, active=1)), holder("w"), wishes=(wish("a"),))
    assert found == (Load("w", "a", Reason.WANTED),)


def test_a_worker_that_failed_to_load_it_is_passed_over():
    """Until its owner thinks that it may be tried again."""
    found = decided(holder("v", refuses=("a",)), holder("w", refuses=("a",)), holder("x"), wishes=(wish("a"),))
    assert found == (Load("x", "a", Reason.WANTED),)


def test_what_is_pinned_is_loaded_on_every_worker():
    """At once, whatever has to leave."""
    found = decided(holder("v"), holder("w", held("b", active=1), held("c", active=2)), pinned=frozenset("a"))
    assert found == (Load("v", "a", Reason.PINNED), Evict("w", "b", Reason.OVERDUE))


def test_what_is_hot_gets_a_copy_where_there_is_less_to_do():
    """Replication by load."""
    found = decided(holder("v", held("a", active=9), load=9), holder("w", load=1))
    assert found == (Load("w", "a", Reason.HOT),)


def test_a_copy_takes_no_slot_from_what_was_just_used():
    """It is useful, not needed."""
    used = holder("w", held("b", used=5), held("c", used=5))
    assert decided(holder("v", held("a", active=9), load=9), used) == ()


def test_a_copy_takes_the_slot_of_what_is_cold():
    """Nobody misses that."""
    cold = holder("w", held("b", used=5), held("c", used=90))
    found = decided(holder("v", held("a", active=9), load=9), cold)
    assert found == (Evict("w", "c", Reason.MAKES_ROOM),)


def test_a_copy_that_is_cold_leaves():
    """Its slot is free for the next one, without a wait."""
    found = decided(holder("v", held("a", used=99)), holder("w", held("a", used=50)))
    assert found == (Evict("v", "a", Reason.SURPLUS),)


def test_the_only_copy_stays_however_cold_it_is():
    """A slot that nobody wants costs nothing."""
    assert decided(holder("v", held("a", used=9999))) == ()


def test_what_is_expected_is_loaded_where_there_is_room():
    """Promoted, or in use before a restart: its first request does not wait."""
    assert decided(holder("v", held("a")), expected=("b", "c")) == (Load("v", "b", Reason.EXPECTED),)


def test_what_is_expected_never_takes_the_slot_of_its_like():
    """Else they would take turns for ever."""
    assert decided(holder("v", held("a", used=99), held("b", used=99)), expected=("a", "b", "c")) == ()


def test_a_worker_with_more_than_its_slots_lets_the_rest_go():
    """After an edit of the registry, or where somebody loaded by hand."""
    found = decided(holder("v", held("a", used=9), held("b", used=8), held("c", used=7)))
    assert found == (Evict("v", "a", Reason.EXCESS),)


def test_a_worker_that_restarts_is_given_what_it_had():
    """By its seat, not by its id: nothing else moves, and its adapters find what is cached of their prompts."""
    names = tuple("abcdefgh")
    before = decided(holder("v1", slots=8), holder("w1", slots=8), expected=names)
    after = decided(holder("v2", slots=8), holder("w2", slots=8), expected=names)
    where = [{(move.worker[0], move.adapter) for move in found} for found in (before, after)]
    assert where[0] == where[1]
    assert {worker for worker, _ in where[0]} == {"v", "w"}


def test_the_order_of_the_workers_changes_nothing():
    """The same picture, the same moves."""
    first, second = holder("v", held("a")), holder("w", held("b"))
    wishes = (wish("c"), wish("d"))
    assert set(decided(first, second, wishes=wishes)) == set(decided(second, first, wishes=wishes))
