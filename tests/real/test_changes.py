"""What an operator may do to a running house, on the real engine: nobody who is streaming loses a word.

One model is loaded by its first request, changes its weights under streams, leaves when nobody asks for it, and
comes again. It stands beside the shared house's model, so that an engine is started only where that is the point.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import openai
import pytest

from tests.real.house import SMALL, House, made
from tests.real.turning import NAME, PATIENCE, paris, ready, swapped_under_streams, view
from tests.stories.house import alive
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

ON_DEMAND: Final = SMALL | {"replicas": {"min": 0, "idle_after": "10s"}}
GPTQ: Final = ON_DEMAND | {"quantization": "gptq"}
W8A8: Final = {name: value for name, value in ON_DEMAND.items() if name != "adapters"} | {"quantization": "w8a8"}
"""It does not start with adapters here."""


@contextmanager
def unchanged(house: House) -> Iterator[str]:
    """The registry's text, which it is again afterwards, when the model is gone."""
    text = house.registry.read_text()
    try:
        yield text
    finally:
        house.registry.write_text(text)
        until(lambda: not house.up or view(house) is None, within=PATIENCE, what="the end of the model")


def registered(text: str, spec: dict[str, Any]) -> str:
    """The registry's text with the model in it."""
    return f"{text}\n  {NAME}: {json.dumps(spec)}\n"


def test_a_model_comes_changes_under_streams_goes_and_comes_again(house: House, client: openai.OpenAI):
    """GPTQ at the first request, W8A8 under streams: none fails or is cut, by the engine's count of tokens."""
    assert [made(layout)["layout"] for layout in ("gptq", "w8a8")] == ["gptq", "w8a8"]
    with unchanged(house) as text:
        house.registry.write_text(registered(text, GPTQ))
        until(lambda: view(house), what="the model on demand")
        assert (view(house).workers, view(house).loading) == ((), None)
        assert paris(client), "a cold stream waits, and is answered whole"
        worker = swapped_under_streams(house, client, registered(text, W8A8))
        until(lambda: not view(house).workers, within=PATIENCE, every=0.2, what="the idle model to be unloaded")
        until(lambda: not alive(worker.pid), what="the end of its worker")
        assert paris(client), "it is loaded again"
        assert ready(house).id != worker.id
