"""The verifying reader: what became of the numbered, checksummed words of the fake engine on their way here.

Pure. `engines.fake.words` writes the words; `inspect` reads a received text back and says which words were
lost, doubled, out of order or damaged. Used with the transcripts of `tests.faults.client` and with the text that
an official client put together.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from engines.fake.words import word

_NUMBER: Final = re.compile(r"(?:[^\s/]+/)?w(\d{4,})-")


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a text. All empty: every word came once, whole and in its place."""

    lost: tuple[int, ...] = ()
    """Numbers of words that should have come and did not."""
    duplicated: tuple[int, ...] = ()
    reordered: tuple[int, ...] = ()
    """Words that came after one that follows them."""
    corrupt: tuple[str, ...] = ()
    """Pieces of text that are no word of this request: damaged, or strayed from another one."""
    surplus: tuple[int, ...] = ()
    """Words beyond the last one that was asked for."""

    @property
    def clean(self) -> bool:
        return not any(getattr(self, each.name) for each in fields(self))


def inspect(text: str, expected: int, *, key: int = 0, voice: str = "", first: int = 1) -> Findings:
    """Compare `text` with the words `first` … of an answer of `expected` words; `key` is the request's seed."""
    right, corrupt = _sort(text, key, voice)
    counted = Counter(right)
    wanted = range(first, first + expected)
    return Findings(
        lost=tuple(number for number in wanted if number not in counted),
        duplicated=tuple(number for number, times in sorted(counted.items()) if times > 1),
        reordered=tuple(_late(right)),
        corrupt=tuple(corrupt),
        surplus=tuple(number for number in sorted(counted) if number not in wanted),
    )


def inspect_part(text: str, *, key: int = 0, voice: str = "", first: int = 1) -> Findings:
    """As `inspect`, for an answer that broke off: nothing is missing at its end, only before."""
    right, _ = _sort(text, key, voice)
    return inspect(text, max(right, default=first - 1) - first + 1, key=key, voice=voice, first=first)


def text_of(events: Iterable[str]) -> str:
    """The text of the first choice in the data of streamed events: chat, completions, responses or messages."""
    return "".join(_delta(json.loads(data)) for data in events if data != "[DONE]")


def _delta(event: dict) -> str:
    if event.get("type") == "response.output_text.delta":
        return event["delta"]
    if event.get("type") == "content_block_delta":
        return event["delta"].get("text", "")
    if not event.get("choices") or event["choices"][0]["index"] != 0:
        return ""
    choice = event["choices"][0]
    return choice.get("text") or choice.get("delta", {}).get("content") or ""


def _sort(text: str, key: int, voice: str) -> tuple[list[int], list[str]]:
    """The numbers of the good words, as they came, and everything else."""
    right: list[int] = []
    corrupt: list[str] = []
    for piece in text.split():
        found = _NUMBER.match(piece)
        if found and piece == word(int(found[1]), key, voice).rstrip():
            right.append(int(found[1]))
        else:
            corrupt.append(piece)
    return right, corrupt


def _late(numbers: Iterable[int]) -> Iterable[int]:
    highest = 0
    seen: set[int] = set()
    for number in numbers:
        if number < highest and number not in seen:
            yield number
        highest = max(highest, number)
        seen.add(number)
