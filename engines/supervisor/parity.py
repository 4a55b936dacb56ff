"""Asks two pools the same questions around a swap, and keeps the report in `STATE/parity/`. Called by `succession`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic
from engines.engine import Engine, HttpCall
from engines.parity import QUESTIONS, Answer, Question, Report, compare, read
from engines.probe import Prober
from registry.snapshot import ModelView, WorkerState, WorkerView

_EACH: Final = 30.0
"""Seconds for one answer: the old pool has other work too."""


class Parity:
    """Invariant: keeps nothing but the files; a swap is never held up for longer than both pools' time."""

    def __init__(self, prober: Prober, folder: Path, wall: Callable[[], float], within: float) -> None:
        self._prober: Final = prober
        self._folder: Final = folder
        self._wall: Final = wall
        self._within: Final = within
        """Seconds for all answers of one pool; what has come by then is compared."""

    async def answers(self, engine: Engine, model: ModelView) -> Mapping[str, Answer]:
        """What a ready worker of a pool says to each question; without what it did not answer."""
        found: dict[str, Answer] = {}
        worker = next((each for each in model.workers if each.state is WorkerState.READY), None)
        if worker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._within):
                    for question in QUESTIONS:
                        if (answer := await self._answer(engine, model, worker, question)) is not None:
                            found[question.name] = answer
        return found

    def report(self, model: str, before: Mapping[str, Answer], after: Mapping[str, Answer]) -> Report:
        """The comparison; it is also kept, as the last one of `model`."""
        report = compare(before, after)
        kept = {"model": model, "at": self._wall(), "report": report, "before": before, "after": after}
        with contextlib.suppress(OSError):  # what cannot be kept has been said
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{model.replace('/', '-')}.json"
            atomic.write(path, msgspec.json.format(msgspec.json.encode(kept)), durable=False)
        return report

    async def _answer(self, engine: Engine, model: ModelView, worker: WorkerView, question: Question) -> Answer | None:
        if question.path not in engine.capabilities.paths:
            return None
        body = question.body(model.served_name)
        wants_ids = question.path in engine.capabilities.token_ids
        body = engine.prepare(body, served_name=None, want_usage=False, want_ids=wants_ids)
        call = HttpCall("POST", question.path, body)
        answer = await self._prober.answer(worker.url, worker.key, call, within=_EACH)
        return read(question, answer) if answer is not None else None
