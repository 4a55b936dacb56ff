"""Tokens of a run, counted where users are and added up where the tables are. Wired by `loadtests/locustfile.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadtests.users.asking import Outcome

_FIELDS: Final = ("prompt", "completion", "uncounted")


class Tally:
    """Invariant: every token is in exactly one tally; `taken` moves them out, `add` moves them in."""

    def __init__(self) -> None:
        self.prompt = 0
        self.completion = 0
        self.uncounted = 0
        """Good answers whose server did not say how many tokens they had; a stream's chunks were counted instead."""

    def count(self, outcome: Outcome) -> None:
        """One more outcome; broken answers count what had come."""
        self.prompt += outcome.usage.prompt if outcome.usage else 0
        self.completion += outcome.tokens
        self.uncounted += outcome.usage is None and not outcome.failure

    def taken(self) -> dict[str, int]:
        """What was counted since the last time, for another process to add."""
        found = {name: int(getattr(self, name)) for name in _FIELDS}
        self.prompt = self.completion = self.uncounted = 0
        return found

    def add(self, more: Mapping[str, int]) -> None:
        """What another process counted."""
        self.prompt += more.get("prompt", 0)
        self.completion += more.get("completion", 0)
        self.uncounted += more.get("uncounted", 0)

    def sentence(self, seconds: float) -> str:
        """For people, after so many seconds."""
        rate = self.completion / seconds if seconds else 0.0
        said = f"{self.prompt:,} prompt and {self.completion:,} completion tokens, {rate:,.1f} completion tokens/s"
        missing = f"; {self.uncounted:,} answers had no usage" if self.uncounted else ""
        return f"{said} over {seconds:.1f} s{missing}"
