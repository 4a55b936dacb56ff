"""What an operator may do to a running house, on the real engine: nobody who is streaming loses a word.

One model is loaded by its first request, changes its weights under streams, leaves when nobody asks for it, and
comes again. It stands beside the shared house's model, so that an engine is started only where that is the point.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import openai
import pytest

from registry.snapshot import ModelView, Swap, SwapState, WorkerState, WorkerView
from tests.real.house import QUESTION, SMALL, House, made
from tests.stories.house import alive
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

NAME: Final = "turns"
TOKENS: Final = 64
"""Of each stream: some seconds of work, so that every moment of a swap falls into one."""
PATIENCE: Final = 900.0
"""Seconds for an engine to come up beside one that works, on any machine."""
ON_DEMAND: Final = SMALL | {"replicas": {"min": 0, "idle_after": "3s"}}
GPTQ: Final = ON_DEMAND | {"quantization": "gptq"}
W8A8: Final = {name: value for name, value in ON_DEMAND.items() if name != "adapters"} | {"quantization": "w8a8"}
"""It does not start with adapters here."""


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


@contextmanager
def unchanged(house: House) -> Iterator[str]:
    """The registry's text, which it is again afterwards, when the model is gone."""
    text = house.registry.read_text()
    try:
        yield text
    finally:
        house.registry.write_text(text)
        until(lambda: not house.up or view(house) is None, within=PATIENCE, what="the end of the model")


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


def registered(text: str, spec: dict[str, Any]) -> str:
    """The registry's text with the model in it."""
    return f"{text}\n  {NAME}: {json.dumps(spec)}\n"


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


def test_a_model_comes_changes_under_streams_goes_and_comes_again(house: House, client: openai.OpenAI):
    """GPTQ at the first request, W8A8 under streams: none fails or is cut, by the engine's count of tokens."""
    assert [made(layout)["layout"] for layout in ("gptq", "w8a8")] == ["gptq", "w8a8"]
    with unchanged(house) as text:
        house.registry.write_text(registered(text, GPTQ))
        until(lambda: view(house), what="the model on demand")
        assert (view(house).workers, view(house).loading) == ((), None)
        assert paris(client), "a cold stream waits, and is answered whole"
        with reading(client) as reader:
            worker = swapped(house, registered(text, W8A8))
            behind = reader.whole
            until(lambda: reader.whole > behind + 1 or reader.wrong, within=PATIENCE, what="streams after the swap")
        assert (reader.wrong, swap(house).state) == ([], SwapState.DONE)
        assert "token agreement" in swap(house).parity
        assert json.loads((house.state / f"parity/{NAME}.json").read_text())["report"]["compared"]
        until(lambda: not view(house).workers, within=PATIENCE, every=0.2, what="the idle model to be unloaded")
        until(lambda: not alive(worker.pid), what="the end of its worker")
        assert paris(client), "it is loaded again"
        assert ready(house).id != worker.id
