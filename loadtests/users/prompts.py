"""What users ask: many different questions, of different lengths, the same ones for the same seed."""

from __future__ import annotations

import random
from typing import Final

_TASKS: Final = (
    "Explain {} to a child.",
    "Write a short story about {}.",
    "List five facts about {}.",
    "What would change if there were no {}?",
    "Compare {} with {}.",
    "Give me advice about {}.",
    "Write a letter that mentions {} and {}.",
    "What is the history of {}?",
)
_THINGS: Final = (
    "lighthouses", "bread", "the tides", "chess", "railways", "honey", "glaciers", "libraries", "kites", "clocks",
    "volcanoes", "markets", "whales", "bridges", "tea", "maps", "windmills", "comets", "forests", "bicycles",
    "lanterns", "deserts", "violins", "harbours", "salt", "snow", "gardens", "paper", "ravens", "telescopes",
)  # fmt: skip
_NOTES: Final = 6
"""Sentences of background that a question may have: prompts are of some twenty to a hundred tokens."""


class Asker:
    """One user's questions. Two users of a run, and the same user of two seeds, ask different ones."""

    def __init__(self, seed: int, user: int) -> None:
        self._chance: Final = random.Random(f"{seed}/{user}")

    def prompt(self) -> str:
        """The next question."""
        notes = [self._note() for _ in range(self._chance.randrange(_NOTES + 1))]
        task = self._chance.choice(_TASKS)
        return " ".join([*notes, task.format(*self._things(task.count("{}")))])

    def _note(self) -> str:
        one, other = self._things(2)
        return f"Last {self._chance.choice(('week', 'spring', 'night', 'year'))} I read about {one} and {other}."

    def _things(self, count: int) -> list[str]:
        return self._chance.sample(_THINGS, count)
