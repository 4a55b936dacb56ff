"""The registry file is edited under the real engine while the official client streams: nothing is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from registry.snapshot import Swap
from tests.real.house import DEFAULT, MODEL, QUESTION, House, serving
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

TOKENS = 160
"""Of each stream: some seconds of work, so that every moment of a swap falls into one."""
LONG = 600.0


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """The default registry, to be edited."""
    return Path(shutil.copy(DEFAULT, tmp_path))


@pytest.fixture
def house(registry: Path) -> Iterator[House]:
    """One of its own: others want the default registry as it is."""
    with serving(registry) as started:
        started.ready()
        yield started


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
        asked = {"model": MODEL, "messages": QUESTION, "max_tokens": TOKENS, "extra_body": {"ignore_eos": True}}
        with self._client.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        ) as stream:
            for chunk in stream:
                finish = chunk.choices[0].finish_reason or finish if chunk.choices else finish
                usage = chunk.usage or usage
        return f"{finish} {usage.completion_tokens if usage else None}"


@contextmanager
def reading(client: openai.OpenAI) -> Iterator[Reader]:
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


def swap(house: House) -> Swap | None:
    return next(iter(house.snapshot().swaps), None)


def edited(house: House, registry: Path, before: str, after: str) -> None:
    """Edits one word, and waits until workers of the new kind serve and the old ones are gone."""
    old = house.worker()
    text = registry.read_text()
    assert before in text
    registry.write_text(text.replace(before, after))

    def look() -> bool:
        snapshot, worker = house.snapshot(), house.worker()
        assert not any(each.state == "rolled_back" for each in snapshot.swaps), f"{snapshot.swaps}; {house.tail()}"
        return bool(worker) and worker.id != old.id and not snapshot.leaving

    until(look, within=LONG, every=0.5, what=f"a swap to {after}; {house.tail()}")


def test_int4_and_bf16_change_places_under_streams(house: House, registry: Path, client: openai.OpenAI):
    """Two engines at once for some seconds; every stream is whole, by the engine's own count of its tokens."""
    with reading(client) as reader:
        until(lambda: reader.whole or reader.wrong, within=LONG, what="a first stream")
        edited(house, registry, "quantization: int4", "quantization: none")
        of_bf16 = house.worker()
        edited(house, registry, "quantization: none", "quantization: int4")
        behind = reader.whole
        until(lambda: reader.whole > behind or reader.wrong, within=LONG, what="a last stream")
    assert reader.wrong == []
    assert (swap(house).state, of_bf16.id != house.worker().id) == ("done", True)
    assert "Paris" in house.chat().text
