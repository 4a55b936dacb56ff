"""One adapter's rows as a value, and what may be done to it. Pure. Used by `adapters`, carried out by a `book`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engines.store.failures import AliasMoved, StoreRefused
from engines.store.keeping import before
from engines.store.records import Move, Revision, Why, the_one
from registry.adapters import Canary


@dataclass(frozen=True, slots=True)
class Dossier:
    """Invariant: at most one revision is current, and the last move says which."""

    model: str
    adapter: str
    revisions: tuple[Revision, ...] = ()
    """The oldest first."""
    moves: tuple[Move, ...] = ()
    """The same."""
    split: Canary | None = None
    """Several revisions behind the name."""
    version: int = 0
    """Grows by one with each change that all hosts share; 0: none does."""
    stamp: str = ""
    """Of that change: no two have the same one."""
    own: frozenset[str] = frozenset()
    """Digests of the revisions that only this host knows."""

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.model}:{self.adapter}"

    @property
    def at(self) -> str | None:
        """The digest that the name stands for."""
        return next((each.digest for each in self.revisions if each.current), None)

    @property
    def needed(self) -> frozenset[str]:
        """Digests of those that requests for the name may be sent to, and that stay loaded."""
        found = {each.digest for each in self.revisions if each.current or each.pinned}
        if self.split is not None:
            found.update(self.split.digests)
        return frozenset(found)

    def find(self, digest: str = "") -> Revision:
        """The revision whose digest begins so; without one, the current one. Raises `StoreRefused`."""
        return the_one(self.revisions, self.name, digest)

    def admitted(self, digest: str, who: str, at: float, expected: str | None, *, promote: bool) -> Dossier:
        """With a revision that was proved. The first of a name, or with `promote`, is what the name stands for.

        Raises `AliasMoved` unless the name stood for `expected` (empty: nothing), where that is given.
        """
        self._stood_for(expected)
        return self.promoted(digest, who, at) if promote or self.at is None else self

    def promoted(self, digest: str, who: str, at: float, expected: str | None = None) -> Dossier:
        """The name stands for the revision whose digest begins so. Raises `AliasMoved`, `StoreRefused`."""
        to = self.find(digest)
        self._stood_for(expected)
        if self.at != to.digest:
            return self._moved(to.digest, who, Why.PROMOTE, at)
        return self.noted(who, at, None)

    def rolled_back(self, who: str, at: float) -> Dossier:
        """The name stands again for what it stood for before. Raises `StoreRefused`."""
        back = before(self.moves)
        if back is None:
            raise StoreRefused(f"{self.name} has not stood for anything before: there is no way back")
        return self._moved(self.find(back).digest, who, Why.ROLLBACK, at)

    def removed(self, who: str, at: float) -> Dossier:
        """The name stands for nothing, and nothing is pinned. Raises `StoreRefused`."""
        if self.at is None and not self.revisions:
            raise StoreRefused(f"there is no {self.name}")
        moved = self._moved(None, who, Why.REMOVE, at)
        return replace(moved, revisions=tuple(replace(each, pinned=False) for each in moved.revisions))

    def pinned(self, digest: str, *, pinned: bool) -> Dossier:
        """The revision is never collected, or may be. Raises `StoreRefused`."""
        found = self.find(digest)
        listed = tuple(replace(each, pinned=pinned) if each is found else each for each in self.revisions)
        return replace(self, revisions=listed)

    def noted(self, who: str, at: float, split: Canary | None, reason: str = "") -> Dossier:
        """From now on several revisions stand behind the name, or no longer; `reason`: why. Raises `StoreRefused`."""
        if split is None and self.split is None:
            return self
        for digest in split.digests if split else ():
            self.find(digest)  # it may have been collected since it was looked up
        move = Move(at, self._said(who, split, reason), Why.SPLIT, self.at, self.at)
        return replace(self, moves=(*self.moves, move), split=split)

    def without(self, gone: frozenset[str]) -> Dossier:
        """These revisions are no more."""
        return replace(self, revisions=tuple(each for each in self.revisions if each.digest not in gone))

    def _stood_for(self, expected: str | None) -> None:
        if expected is not None and (self.at or "") != expected:
            said = f"it is at {self.at or 'nothing'}, not at {expected or 'nothing'}"
            raise AliasMoved(f"{self.name} was moved meanwhile: {said}")

    def _moved(self, to: str | None, who: str, why: Why, at: float) -> Dossier:
        """A name that moves is not split any more."""
        listed = tuple(replace(each, current=each.digest == to) for each in self.revisions)
        move = Move(at, self._said(who, None, ""), why, self.at, to)
        return replace(self, revisions=listed, moves=(*self.moves, move), split=None)

    def _said(self, who: str, split: Canary | None, reason: str) -> str:
        """Who did it, and what else the line has to say; `why` has no word for it, for older hosts read it too."""
        ends = "the split ends" if self.split is not None and split is None else ""
        words = "; ".join(filter(None, (reason, ends)))
        return f"{who} ({words})" if words else who
