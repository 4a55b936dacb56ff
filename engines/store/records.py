"""The store's rows: what is stored, what it is called, who moved a name. SQL only; no files, no clock.

Called inside a transaction of `Database`, by `adapters`, the books (`book`, `shared`) and `rewriting`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from engines.store.failures import StoreRefused


class Why(StrEnum):
    """What moved an alias."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    REMOVE = "remove"
    SPLIT = "split"
    """It did not move: several revisions stand behind it from then on, or no longer."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of an adapter: its content never changes."""

    model: str
    adapter: str
    digest: str
    """SHA-256 of its files' sums."""
    source: str
    who: str
    added: float
    """Seconds since 1970, as all times here."""
    octets: int
    base_model: str
    rank: int
    pinned: bool = False
    current: bool = False
    """Whether the alias stands for it."""


@dataclass(frozen=True, slots=True)
class Move:
    """One line of an alias's history."""

    at: float
    who: str
    why: Why
    was: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An adapter that the doctor has refused, and where it lies to be looked at, as long as it does."""

    at: float
    who: str
    model: str
    adapter: str
    source: str
    place: str
    findings: tuple[str, ...]


_REFUSALS: Final = 1000
_REVISION: Final = """
SELECT r.model, r.adapter, r.digest, r.source, r.who, r.added, c.octets, c.base_model, c.rank, r.pinned,
       a.digest IS r.digest AS current
FROM revisions r JOIN contents c USING (digest) LEFT JOIN aliases a ON a.model = r.model AND a.adapter = r.adapter
"""


def keep(connection: sqlite3.Connection, revision: Revision) -> None:
    """Note a revision whose files lie in place; one that is known stays as it is."""
    connection.execute(
        "INSERT INTO contents VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (revision.digest, revision.octets, revision.base_model, revision.rank, revision.added),
    )
    connection.execute(
        "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
        (revision.model, revision.adapter, revision.digest, revision.source, revision.who, revision.added),
    )


def amend(connection: sqlite3.Connection, revision: Revision) -> None:
    """Who added it first, when, from where: other hosts know better."""
    connection.execute(
        "UPDATE revisions SET source = ?, who = ?, added = ? WHERE model = ? AND adapter = ? AND digest = ?",
        (revision.source, revision.who, revision.added, revision.model, revision.adapter, revision.digest),
    )


def revisions(connection: sqlite3.Connection, model: str = "", adapter: str = "") -> tuple[Revision, ...]:
    """All, or those of one model or adapter, the oldest first."""
    found = connection.execute(
        _REVISION + "WHERE (? = '' OR r.model = ?) AND (? = '' OR r.adapter = ?) ORDER BY r.added, r.rowid",
        (model, model, adapter, adapter),
    )
    return tuple(Revision(**{**row, "pinned": bool(row["pinned"]), "current": bool(row["current"])}) for row in found)


def find(connection: sqlite3.Connection, model: str, adapter: str, digest: str = "") -> Revision:
    """The revision whose digest begins so; without one, that of the alias. Raises `StoreRefused`."""
    return the_one(revisions(connection, model, adapter), f"{model}:{adapter}", digest)


def the_one(known: tuple[Revision, ...], name: str, digest: str) -> Revision:
    """Of an adapter's revisions, as `find`. Pure."""
    found = [each for each in known if (each.digest.startswith(digest) if digest else each.current)]
    if len(found) == 1:
        return found[0]
    called = name + (f"@{digest}" if digest else "")
    if found:
        raise StoreRefused(f"{called} can be {len(found)} revisions: write more of the digest")
    listed = ", ".join(each.digest[:12] for each in known) or "none"
    raise StoreRefused(f"there is no {called}; stored revisions: {listed}")


def stand(connection: sqlite3.Connection, model: str, adapter: str, digest: str | None, since: float) -> None:
    """The alias stands for this revision from now on; None: for nothing."""
    if digest is None:
        connection.execute("DELETE FROM aliases WHERE model = ? AND adapter = ?", (model, adapter))
        return
    connection.execute(
        "INSERT INTO aliases VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET digest = excluded.digest, "
        "since = excluded.since",
        (model, adapter, digest, since),
    )


def history(connection: sqlite3.Connection, model: str, adapter: str) -> tuple[Move, ...]:
    """Of one alias, the oldest move first."""
    found = connection.execute(
        "SELECT at, who, why, was, now FROM history WHERE model = ? AND adapter = ? ORDER BY number", (model, adapter)
    )
    return tuple(Move(row["at"], row["who"], Why(row["why"]), row["was"], row["now"]) for row in found)


def pin(connection: sqlite3.Connection, revision: Revision, *, pinned: bool) -> None:
    """A pinned revision is never collected."""
    connection.execute(
        "UPDATE revisions SET pinned = ? WHERE model = ? AND adapter = ? AND digest = ?",
        (int(pinned), revision.model, revision.adapter, revision.digest),
    )


def forget(connection: sqlite3.Connection, gone: tuple[Revision, ...]) -> tuple[str, ...]:
    """Take the rows out; returns the digests that nothing stands for any more."""
    for each in gone:
        connection.execute(
            "DELETE FROM revisions WHERE model = ? AND adapter = ? AND digest = ?",
            (each.model, each.adapter, each.digest),
        )
    free = connection.execute("SELECT digest FROM contents WHERE digest NOT IN (SELECT digest FROM revisions)")
    digests = tuple(str(row["digest"]) for row in free.fetchall())
    connection.executemany("DELETE FROM contents WHERE digest = ?", [(digest,) for digest in digests])
    return digests


def digests(connection: sqlite3.Connection) -> frozenset[str]:
    """Of everything that is stored."""
    return frozenset(str(row["digest"]) for row in connection.execute("SELECT digest FROM contents"))


def set_aside(connection: sqlite3.Connection, refusal: Refusal) -> None:
    """Note what was refused. Only the newest `_REFUSALS` are kept: anybody may try."""
    said = msgspec.json.encode(refusal.findings).decode()
    connection.execute(
        "INSERT INTO quarantine (at, who, model, adapter, source, place, findings) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (refusal.at, refusal.who, refusal.model, refusal.adapter, refusal.source, refusal.place, said),
    )
    connection.execute("DELETE FROM quarantine WHERE number <= (SELECT max(number) FROM quarantine) - ?", (_REFUSALS,))


def refusals(connection: sqlite3.Connection) -> tuple[Refusal, ...]:
    """The oldest first."""
    found = connection.execute(
        "SELECT at, who, model, adapter, source, place, findings FROM quarantine ORDER BY number"
    )
    return tuple(
        Refusal(**{**row, "findings": msgspec.json.decode(row["findings"], type=tuple[str, ...])}) for row in found
    )


def tell(connection: sqlite3.Connection, model: str, adapter: str, moves: tuple[Move, ...]) -> None:
    """Further lines of an alias's history."""
    connection.executemany(
        "INSERT INTO history (at, who, why, model, adapter, was, now) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(each.at, each.who, str(each.why), model, adapter, each.was, each.now) for each in moves],
    )


def untell(connection: sqlite3.Connection, model: str, adapter: str) -> None:
    """Its history is told anew."""
    connection.execute("DELETE FROM history WHERE model = ? AND adapter = ?", (model, adapter))
