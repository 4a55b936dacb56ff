"""One placement that is several, by turns."""

from __future__ import annotations

from engines.ledger.picture import Evict, Held, Holder, Load, Picture, Reason, Residency, Wish
from loadtests.adapters.others import affine, in_turn
from loadtests.adapters.placements import OURS, Switch, choose, decided, placements

NOW = 100.0


def full(worker: str, *adapters: str) -> Holder:
    """A worker all of whose slots are taken by what is idle."""
    held = tuple(Held(each, Residency.RESIDENT, 0.0, 0.0) for each in adapters)
    return Holder(worker, len(adapters) or 2, held)


def test_a_switch_decides_as_it_is_told_and_counts(tmp_path):
    """What is measured is what was decided."""
    switch = Switch(tmp_path)
    picture = Picture(NOW, (full("v", "a", "b"), full("w")), (Wish("c", NOW),))
    for name in placements():
        choose(tmp_path, name)
        switch(picture)
    loads, evictions = decided(tmp_path)
    assert loads + evictions == len(placements())


def test_ours_is_first():
    """And what a house begins with."""
    assert next(iter(placements())) == OURS


def test_in_turn_each_adapter_goes_to_the_next_worker():
    """And stays with it for as long as it is waited for."""
    decide = in_turn()
    picture = Picture(NOW, (full("v"), full("w")), (Wish("a", NOW), Wish("b", NOW + 1)))
    assert decide(picture) == decide(picture) == (Load("v", "a", Reason.WANTED), Load("w", "b", Reason.WANTED))


def test_with_affinity_alone_an_adapter_waits_for_its_own_worker():
    """Although the other one has slots free."""
    both = (full("v"), full("w"))
    (home,) = (move.worker for move in affine(Picture(NOW, both, (Wish("a", NOW),))))
    crowded = tuple(full(each.worker, "b", "c") if each.worker == home else each for each in both)
    (move,) = affine(Picture(NOW, crowded, (Wish("a", NOW),)))
    assert (type(move), move.worker) == (Evict, home)
