"""What follows where this host and the others say different things of one adapter. Pure. Used by `shared`.

All changes of an adapter are in one order, that of their versions; who has the later one is right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from engines.store.dossier import Dossier
from engines.store.records import Revision

MOVES: Final = 200
"""Of an adapter's history, that hosts share."""


class Step(Enum):
    """What to do about one adapter."""

    KEEP = auto()
    """Both say the same."""
    TAKE = auto()
    """This host is behind."""
    GIVE = auto()
    """The others are: their memory was lost, or set back."""


def step(mine: Dossier, theirs: Dossier | None) -> Step:
    """`theirs` None: it is not known there. What was never published here is nobody else's business."""
    if theirs is None:
        return Step.GIVE if mine.moves else Step.KEEP
    if theirs.stamp == mine.stamp:
        return Step.KEEP
    return Step.TAKE if theirs.version >= mine.version else Step.GIVE


def ground(mine: Dossier, theirs: Dossier | None) -> Dossier:
    """What a change begins from: the later one, and no revision that either of them has is missing."""
    if theirs is None:
        return mine
    known = {each.digest for each in theirs.revisions}
    if theirs.version >= mine.version:
        own = [replace(each, current=False) for each in mine.revisions if each.digest in mine.own - known]
        return replace(theirs, revisions=_listed(theirs.revisions, own), own=mine.own - known)
    listed = {each.digest for each in mine.revisions}
    lost = [replace(each, current=False) for each in theirs.revisions if each.digest not in listed]
    return replace(mine, revisions=_listed(mine.revisions, lost), own=mine.own - known)


def offered(dossier: Dossier, sharing: Collection[str] = ()) -> Dossier:
    """What others are to know: of this host's own revisions those that are needed, and those in `sharing`.

    A host that shares an adapter for the first time shares all of it.
    """
    kept = dossier.own - dossier.needed - frozenset(sharing) if dossier.version else frozenset()
    return replace(dossier.without(frozenset(kept)), moves=dossier.moves[-MOVES:], own=frozenset())


def equal(one: Dossier, other: Dossier) -> bool:
    """Whether both say the same, whoever said it first."""
    return replace(one, version=0, stamp="", own=frozenset()) == replace(other, version=0, stamp="", own=frozenset())


def told_again(offer: Dossier, mine: Dossier, theirs: Dossier | None) -> bool:
    """Whether `offer` is no change, but what the others have forgotten: it keeps its version, or it would be later than
    what a third host knows better.
    """
    forgotten = mine.version > (theirs.version if theirs else 0)
    return forgotten and equal(offer, offered(mine))


def mine(rows: Dossier, taken: Dossier | None) -> Dossier:
    """What this host knows: what it took last from the others, and beside it its own revisions."""
    if taken is None:
        return replace(rows, own=frozenset(each.digest for each in rows.revisions))
    known = {each.digest for each in taken.revisions}
    own = [each for each in rows.revisions if each.digest not in known]
    return replace(taken, revisions=_listed(taken.revisions, own), own=frozenset(each.digest for each in own))


def laid(rows: Dossier, taken: Dossier | None, coming: Dossier, lacking: Collection[str]) -> Dossier:
    """The rows of a host once it has taken `coming`, but for revisions whose files are `lacking`.

    Its own revisions stay; what it took once and is no longer there goes. Of the history nothing goes.
    """
    before = frozenset(each.digest for each in taken.revisions) if taken else frozenset()
    now = {each.digest for each in coming.revisions}
    own = [replace(each, current=False) for each in rows.revisions if each.digest not in before | now]
    come = [each for each in coming.revisions if each.digest not in lacking]
    told = set(coming.moves)
    old = tuple(move for move in rows.moves if move not in told)
    return replace(coming, revisions=_listed(come, own), moves=(*old, *coming.moves))


def _listed(*parts: Iterable[Revision]) -> tuple[Revision, ...]:
    return tuple(sorted((each for part in parts for each in part), key=lambda each: (each.added, each.digest)))
