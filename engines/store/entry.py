"""A dossier as hosts tell it each other: JSON by a schema. Pure. Used by `shared`.

What comes from elsewhere is believed as little as a request: a digest becomes a folder's name.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engines.store.dossier import Dossier
from engines.store.failures import StoreDamaged
from engines.store.records import Move, Revision, Why
from registry import names
from registry.adapters import Canary

FORMAT: Final = 1
"""Of an entry. A newer one is refused: whoever changes it reads the one before."""
_SHA256: Final = re.compile(names.SHA256_PATTERN)
_ADAPTER: Final = re.compile(names.ADAPTER_PATTERN)

Digest = Annotated[str, Meta(pattern=rf"^{names.SHA256_PATTERN}\Z")]
Count = Annotated[int, Meta(ge=0)]


class _Revision(msgspec.Struct, frozen=True):
    digest: Digest
    source: str
    who: str
    added: float
    octets: Count
    base_model: str
    rank: Count
    pinned: bool = False


class _Move(msgspec.Struct, frozen=True):
    at: float
    who: str
    why: Why
    was: Digest | None = None
    now: Digest | None = None


class _Entry(msgspec.Struct, frozen=True):
    version: Annotated[int, Meta(ge=1)]
    stamp: Annotated[str, Meta(min_length=1, max_length=64)]
    revisions: tuple[_Revision, ...] = ()
    current: Digest | None = None
    moves: tuple[_Move, ...] = ()
    split: Canary | None = None
    format: int = FORMAT


_DECODER: Final = msgspec.json.Decoder(_Entry)
_ENCODER: Final = msgspec.json.Encoder()


def encode(dossier: Dossier) -> bytes:
    """The entry of a dossier that has a version."""
    revisions = tuple(
        _Revision(r.digest, r.source, r.who, r.added, r.octets, r.base_model, r.rank, r.pinned)
        for r in dossier.revisions
    )
    moves = tuple(_Move(m.at, m.who, m.why, m.was, m.now) for m in dossier.moves)
    return _ENCODER.encode(_Entry(dossier.version, dossier.stamp, revisions, dossier.at, moves, dossier.split))


def decode(name: str, raw: bytes) -> Dossier:
    """The dossier of `name`, model and adapter. Raises `StoreDamaged`."""
    model, adapter = named(name)
    advice = f"take it out (HDEL '{{enginehouse}}:adapters' '{name}'), and a host that has the adapter gives it again"
    try:
        entry = _DECODER.decode(raw)
    except msgspec.DecodeError as fault:
        raise StoreDamaged(f"what Redis holds of {name} is damaged, or not ours ({fault}): {advice}") from None
    if entry.format != FORMAT:
        raise StoreDamaged(
            f"what Redis holds of {name} is of format {entry.format}, and this Enginehouse reads {FORMAT}"
        )
    listed = frozenset(each.digest for each in entry.revisions)
    if entry.current is not None and entry.current not in listed:
        raise StoreDamaged(f"what Redis holds of {name} stands for a revision that it does not list: {advice}")
    revisions = tuple(
        Revision(
            model, adapter, r.digest, r.source, r.who, r.added, r.octets, r.base_model, r.rank,
            pinned=r.pinned, current=r.digest == entry.current,
        )
        for r in entry.revisions
    )  # fmt: skip
    moves = tuple(Move(m.at, m.who, m.why, m.was, m.now) for m in entry.moves)
    return Dossier(model, adapter, revisions, moves, _split(entry.split, listed), entry.version, entry.stamp)


def _split(canary: Canary | None, listed: frozenset[str]) -> Canary | None:
    """One between revisions that are not listed, or in parts that mean nothing, has ended, as a damaged row's has.

    Older hosts can write the former; were it refused, no order could ever put it right.
    """
    if canary is None or not canary.digests <= listed:
        return None
    weights = [share.weight for share in canary.split]
    return canary if any(weights) and min(weights) >= 0 else None


def digests(raw: bytes) -> frozenset[str]:
    """Of all that an entry seems to name, whether or not it can be believed."""
    return frozenset(_SHA256.findall(raw.decode("utf-8", "replace")))


def named(name: str) -> tuple[str, str]:
    """The model and the adapter. Raises `StoreDamaged` where `name` can be nobody's."""
    model, _, adapter = name.rpartition(":")
    try:
        names.check_model(model)
    except names.NameRefused:
        model = ""
    if not model or not _ADAPTER.fullmatch(adapter):
        raise StoreDamaged(f"Redis holds something under {name[:100]!r}, which is no adapter's name")
    return model, adapter
