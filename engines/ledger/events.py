"""What is told of adapters that nobody asked for, as values; some of what `supervisor.events` lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdapterTaken:
    """What the registry declares, or what was put into a watched folder, is what the name stands for now."""

    model: str
    adapter: str
    digest: str


@dataclass(frozen=True, slots=True)
class AdapterDeclined:
    """The same, but it cannot be; nothing has changed."""

    model: str
    adapter: str
    reason: str


@dataclass(frozen=True, slots=True)
class AdaptersApart:
    """What several hosts share of their adapters cannot be reached, or not all of it can be taken over."""

    reason: str


@dataclass(frozen=True, slots=True)
class AdaptersTogether:
    """It is reached again, and all of it was taken over."""
