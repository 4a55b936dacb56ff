"""Parts of the house are killed while it works: what clients see, what goes on, and what is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest

from registry.snapshot import WorkerState
from tests.processes import offspring
from tests.real.house import House, endless
from tests.stories.house import alive
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


@contextmanager
def whole_answer(house: House) -> Iterator[Any]:
    """A request whose answer is not streamed, under way in a thread; yields its future."""
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(house.chat, **endless(stream=False))
        until(lambda: house.engine("vllm:num_requests_running") == 2, what="two running requests")
        yield asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_a_worker_that_ends_is_an_error_to_its_clients_and_is_replaced(
    house: House, client: openai.OpenAI, number: signal.Signals
):
    """VLLM ends its streams with `finish_reason: abort` on SIGTERM, and cuts them on SIGKILL: both are failures."""
    worker = house.ready()
    before = house.metric("enginehouse_requests_total", code="200")
    stream = client.chat.completions.create(**endless(stream=True, extra_body={"ignore_eos": True}, ignore_eos=None))
    chunks = [next(stream) for _ in range(5)]
    with whole_answer(house) as asked:
        os.kill(worker.pid, number)
        with pytest.raises(openai.APIError):
            chunks.extend(stream)
        assert (asked.result().status_code, asked.result().json()["error"]["code"]) == (502, "worker_failed")
    assert not [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    refused = house.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_worker")
    assert int(refused.headers["retry-after"]) > 0
    again = house.ready(not_id=worker.id)
    assert again.restarts == worker.restarts + 1
    assert "Paris" in house.chat().text
    assert before
