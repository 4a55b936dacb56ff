"""Who is right where two hosts say different things, for all that they can say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engines.store.dossier import Dossier
from engines.store.merging import MOVES, Step, equal, ground, laid, mine, offered, step, told_again
from engines.store.records import Move, Revision, Why

DIGESTS = tuple(each * 64 for each in "abcd")


def revision(digest: str, *, pinned: bool = False) -> Revision:
    return Revision("m", "a", digest, "x", "ann", float(DIGESTS.index(digest)), 1, "", 1, pinned=pinned)


def dossier(digests: frozenset[str], at: int, version: int, *, pinned: bool = False) -> Dossier:
    listed = sorted(digests)
    known = tuple(revision(each, pinned=pinned) for each in listed)
    moves = (Move(0.0, "ann", Why.PROMOTE, None, listed[0]),) if listed else ()
    found = Dossier("m", "a", known, moves, version=version, stamp=f"{version}" if version else "")
    return found.promoted(listed[at % len(listed)], "ann", 1.0) if listed else found


DOSSIERS = st.builds(
    dossier, st.frozensets(st.sampled_from(DIGESTS)), st.integers(0, 3), st.integers(0, 3), pinned=st.booleans()
)


def digests(of: Dossier) -> set[str]:
    return {each.digest for each in of.revisions}


@given(rows=DOSSIERS, taken=st.none() | DOSSIERS, theirs=DOSSIERS)
def test_no_revision_is_missing_from_what_a_change_begins_from(rows, taken, theirs):
    """And the later one says what the name stands for; what all had and it has no longer was collected."""
    known = mine(rows, taken)
    found = ground(known, theirs)
    kept = known.own if theirs.version >= known.version else digests(known)
    assert digests(found) == kept | digests(theirs)
    later = theirs if theirs.version >= known.version else known
    assert (found.at, found.moves) == (later.at, later.moves)


@given(rows=DOSSIERS, taken=st.none() | DOSSIERS, coming=DOSSIERS, lacking=st.frozensets(st.sampled_from(DIGESTS)))
def test_what_is_taken_is_there_and_a_hosts_own_stays(rows, taken, coming, lacking):
    """Without what has no files; what others had and have no longer goes."""
    to = laid(rows, taken, coming, lacking - coming.needed)
    own = digests(rows) - (digests(taken) if taken else set())
    assert digests(to) == (digests(coming) - (lacking - coming.needed)) | (own - digests(coming))
    assert (to.at, to.moves[-len(coming.moves) :] if coming.moves else ()) == (coming.at, coming.moves)
    assert set(rows.moves) <= set(to.moves)


def test_who_is_behind_takes_and_who_knows_better_gives():
    first, second = dossier(frozenset(DIGESTS[:1]), 0, 1), dossier(frozenset(DIGESTS[:2]), 1, 2)
    other = replace(second, stamp="other")
    assert [step(first, second), step(second, first), step(second, other)] == [Step.TAKE, Step.GIVE, Step.TAKE]
    assert [step(first, first), step(first, None)] == [Step.KEEP, Step.GIVE]
    assert step(Dossier("m", "a", (revision(DIGESTS[0]),)), None) is Step.KEEP  # not published yet


def test_what_was_forgotten_is_told_again_as_it_was():
    """Else it would be later than what a third host knows better."""
    first, second = dossier(frozenset(DIGESTS[:1]), 0, 1), dossier(frozenset(DIGESTS[:2]), 1, 2)
    assert told_again(offered(second), second, None)
    assert told_again(offered(second), second, first)
    assert not told_again(offered(second.removed("ann", 2.0)), second, None)
    assert not told_again(offered(first), first, second)


def test_a_host_tells_of_its_own_revisions_what_is_needed():
    """When it shares an adapter for the first time, all of it; of the history the end."""
    known = replace(dossier(frozenset(DIGESTS[:3]), 0, 2), own=frozenset(DIGESTS[:3]))
    assert digests(offered(known)) == {DIGESTS[0]}
    assert digests(offered(known, [DIGESTS[1]])) == set(DIGESTS[:2])
    assert digests(offered(replace(known, version=0))) == set(DIGESTS[:3])
    long = replace(known, moves=tuple(Move(float(at), "ann", Why.SPLIT, None, None) for at in range(MOVES + 9)))
    assert (len(offered(long).moves), offered(long).moves[-1]) == (MOVES, long.moves[-1])


def test_the_same_is_the_same_whoever_said_it():
    known = dossier(frozenset(DIGESTS[:1]), 0, 1)
    assert equal(known, replace(known, version=7, stamp="x", own=frozenset(DIGESTS)))
    assert not equal(known, known.removed("ann", 2.0))
