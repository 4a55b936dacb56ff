"""A swap under streams, on any engine: of vLLM's CPU build in `test_changes`, of engines on GPUs too."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import openai

from registry.snapshot import ModelView, Swap, SwapState, WorkerState, WorkerView
from tests.real.house import QUESTION, House
from tests.stories.house import alive
from tests.waiting import until

NAME: Final = "turns"
TOKENS: Final = 64
"""Of each stream: some seconds of work, so that every moment of a swap falls into one."""
PATIENCE: Final = 900.0
"""Seconds for an engine to come up beside one that works, on any machine."""


def swapped_under_streams(house: House, client: openai.OpenAI, text: str) -> WorkerView:
    """Writes another registry while two clients stream: none of their answers fails or is cut, by the engine's count
    of tokens, and the swap has a parity report. Returns the new worker.
    """
    with reading(client) as reader:
        worker = swapped(house, text)
        behind = reader.whole
        until(lambda: reader.whole > behind + 1 or reader.wrong, within=PATIENCE, what="streams after the swap")
    assert (reader.wrong, swap(house).state) == ([], SwapState.DONE)
    assert "token agreement" in swap(house).parity
    assert json.loads((house.state / f"parity/{NAME}.json").read_text())["report"]["compared"]
    return worker


def swapped(house: House, text: str) -> WorkerView:
    """Writes another registry, and waits until its worker serves and the old one is gone. Returns the new one."""
    old = ready(house)
    assert old.pid is not None
    house.registry.write_text(text)

    def look() -> bool:
        snapshot, worker = house.snapshot(), house.worker(NAME)
        now = [each for each in snapshot.swaps if each.model == NAME]
        assert not any(each.state is SwapState.ROLLED_BACK for each in now), f"{now}; {house.tail()}"
        return bool(worker) and worker.id != old.id and not snapshot.leaving

    until(look, within=PATIENCE, every=0.2, what=f"the swap; {house.tail()}")
    until(lambda: not alive(old.pid), what="the end of the old worker")
    return ready(house)


def paris(client: openai.OpenAI) -> bool:
    asked = {"model": NAME, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
    chunks = client.chat.completions.create(**asked, stream=True)
    return "Paris" in "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


class Reader:
    """Streams one answer after the other. `wrong` holds each that failed or was not exactly as long as asked for."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client
        self._on = True
        self.whole = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while self._on:
            try:
                said = self._once()
            except openai.OpenAIError as fault:
                said = repr(fault)
            if said == f"length {TOKENS}":
                self.whole += 1
            else:
                self.wrong.append(said)

    def stop(self) -> None:
        self._on = False

    def _once(self) -> str:
        finish, usage = None, None
        asked: dict[str, Any] = {"messages": QUESTION, "max_tokens": TOKENS, "extra_body": {"ignore_eos": True}}
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        with self._client.chat.completions.create(model=NAME, **asked, **streamed) as stream:
            for chunk in stream:
                finish = chunk.choices[0].finish_reason or finish if chunk.choices else finish
                usage = chunk.usage or usage
        return f"{finish} {usage.completion_tokens if usage else None}"


@contextmanager
def reading(client: openai.OpenAI) -> Iterator[Reader]:
    """Two clients that never stop asking."""
    reader = Reader(client)
    threads = [threading.Thread(target=reader.run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        for thread in threads:
            thread.join()


def view(house: House) -> ModelView | None:
    return next((each for each in house.snapshot().models if each.name == NAME), None)


def swap(house: House) -> Swap | None:
    return next((each for each in house.snapshot().swaps if each.model == NAME), None)


def ready(house: House) -> WorkerView:
    """The worker, once it is ready."""

    def look() -> WorkerView | None:
        worker = house.worker(NAME)
        return worker if worker and worker.state is WorkerState.READY else None

    return until(look, within=PATIENCE, every=0.2, what=f"a ready worker; {house.tail()}")
