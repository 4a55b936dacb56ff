"""Adapters as both planes know them: which names stand for which revisions, and what engines call those. Pure.

The supervisor writes the catalogue into the snapshot as it is, already encoded; gateways decode it only when its bytes
have changed. So ten thousand adapters cost neither a request nor a worker's change of state anything to speak of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from registry.names import NameRefused, is_digest, parse_adapter

DIGITS: Final = 16
"""Of a revision's digest, in names: enough that no two revisions of one adapter ever share them."""


MOST_WEIGHT: Final = 1_000_000
"""And requests before a revision is judged."""


class Share(msgspec.Struct, frozen=True, array_like=True):
    """A part of an adapter's requests."""

    digest: str
    weight: int


class Canary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Several revisions behind one name, and when that is to end by itself."""

    split: tuple[Share, ...]
    """Which revisions answer, in parts of the sum of the weights; a user's requests stay with one of them."""
    shadow: Share | None = None
    """A revision that is asked too, for `weight` of a hundred requests; its answers are compared and thrown away."""
    max_error_rate: float = 1.0
    """More errors than this share, of one revision's requests, and the name goes back to `AdapterView.current`."""
    max_ttft_ratio: float | None = None
    """The same for the median first token, against that of `current`."""
    min_requests: int = 50
    """Of one revision, before it is judged."""

    @property
    def digests(self) -> frozenset[str]:
        """Of all that it names, the one that is only compared too."""
        return frozenset(share.digest for share in (*self.split, *([self.shadow] if self.shadow else [])))


def canary(
    split: Mapping[str, int],
    shadow: Mapping[str, int],
    max_error_rate: float = 1.0,
    max_ttft_ratio: float | None = None,
    min_requests: int = 50,
) -> Canary:
    """What somebody has asked for, digests to weights. Raises `ValueError`, which states the rule."""
    if any(not is_digest(digest) for digest in (*split, *shadow)):
        raise ValueError("names each revision by 8 to 64 hexadecimal digits in lower case")
    if any(not 0 <= weight <= MOST_WEIGHT for weight in split.values()) or (split and not any(split.values())):
        raise ValueError(f"has weights of 0 to {MOST_WEIGHT}, and at least one above 0")
    if len(shadow) > 1 or any(not 0 < percent <= 100 for percent in shadow.values()):
        raise ValueError("has one shadow at most, for 1 to 100 of a hundred requests")
    slower = max_ttft_ratio is None or max_ttft_ratio > 0
    if not 0 <= max_error_rate <= 1 or not 0 < min_requests <= MOST_WEIGHT or not slower:
        raise ValueError(f"ends by an error rate of 0 to 1, a ratio above 0, after 1 to {MOST_WEIGHT} requests")
    shares = tuple(Share(digest, weight) for digest, weight in split.items())
    mirrored = next((Share(digest, percent) for digest, percent in shadow.items()), None)
    return Canary(shares, mirrored, max_error_rate, max_ttft_ratio, min_requests)


class AdapterView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One adapter of one model, as gateways need it."""

    model: str
    name: str
    current: str
    """The digest that the name stands for; empty: only revisions can be asked for."""
    revisions: tuple[str, ...]
    """Digests that can be asked for by name@digest."""
    created: int = 0
    """Unix time, seconds, of the current revision."""
    canary: Canary | None = None


class Resident(msgspec.Struct, frozen=True):
    """An adapter that is to leave a worker: no new request there; `hold` is `Free`d when the last one has ended."""

    worker: str
    adapter: str
    hold: str
    """New for every departure."""


class Unloadable(msgspec.Struct, frozen=True):
    """An adapter that no worker can be given at present, though there is one that serves."""

    adapter: str
    """As engines call it."""
    reason: str
    """For clients: no path is in it."""


def served_as(model: str, adapter: str, digest: str) -> str:
    """What engines call a revision. A changed adapter is called otherwise, and so shares no KV cache with the one
    before it.
    """
    return f"{model}:{adapter}@{digest[:DIGITS]}"


class Catalogue:
    """All adapters of one snapshot. Look-ups cost the same for one adapter and for ten thousand."""

    def __init__(self, raw: bytes = b"[]") -> None:
        self.raw: Final = raw
        self.adapters: Final = decode(raw)
        self._by_model: Final[dict[tuple[str, str], AdapterView]] = {}
        self._alone: Final[dict[str, list[AdapterView]]] = {}
        self._of: Final[dict[str, list[AdapterView]]] = {}
        for each in self.adapters:
            self._by_model[each.model, each.name] = each
            self._of.setdefault(each.model, []).append(each)
            self._alone.setdefault(each.name, []).append(each)

    def of(self, model: str) -> Sequence[AdapterView]:
        """All of one model."""
        return self._of.get(model, ())

    def find(self, name: str, models: Mapping[str, str]) -> tuple[AdapterView, str] | None:
        """The adapter and digest that `name` stands for; `models` gives the model of each name and alias.

        None where it stands for nothing, or, without its model's name, for adapters of several models. Adapters of a
        model that is gone stand for nothing, also where its name is another one's alias now.
        """
        if not self.adapters:
            return None
        try:
            asked = parse_adapter(name)
        except NameRefused:
            return None
        if asked.base is None:
            alone = [each for each in self._alone.get(asked.adapter, ()) if models.get(each.model) == each.model]
            found = alone[0] if len(alone) == 1 else None
        else:
            found = self._by_model.get((models.get(asked.base, ""), asked.adapter))
        if found is None:
            return None
        if asked.digest is None:
            return (found, found.current) if found.current else None
        wanted = [each for each in found.revisions if each.startswith(asked.digest)]
        return (found, wanted[0]) if len(wanted) == 1 else None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(tuple[AdapterView, ...])


def encode(adapters: Iterable[AdapterView]) -> bytes:
    """As the snapshot carries them."""
    return _ENCODER.encode(list(adapters))


def decode(raw: bytes) -> tuple[AdapterView, ...]:
    """Raises `msgspec.DecodeError`."""
    return _DECODER.decode(raw)
