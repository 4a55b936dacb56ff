"""Chats over two real workers: they stay where their prompts are cached, and go on when that worker is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import processes
from tests.processes import FakeWorker, Gateway, model

SYSTEM = "You answer in one short sentence, and never say more than you were asked for. " * 20


@pytest.fixture
def pair() -> Iterator[list[FakeWorker]]:
    with processes.fake_worker() as one, processes.fake_worker() as other:
        yield [one, other]


@pytest.fixture
def routing(pair: list[FakeWorker]) -> Iterator[Gateway]:
    with processes.short_folder() as folder, processes.gateway(folder) as started:
        named = [worker.view(id=f"w{number}") for number, worker in enumerate(pair)]
        started.publish(model(*named, balance="prefix_affinity"))
        yield started


def turns(gateway: Gateway, messages: list[dict[str, str]], count: int) -> None:
    """Go on with a chat, in place."""
    for _ in range(count):
        messages.append({"role": "user", "content": "And then? " * 30})
        answer = gateway.client.post("/v1/chat/completions", json={"model": "small", "messages": messages})
        messages.append(answer.json()["choices"][0]["message"])


def served(pair: list[FakeWorker]) -> list[int]:
    return [worker.counts()["requests"] for worker in pair]


def test_a_chat_stays_where_it_is_cached_and_goes_on_when_that_worker_is_gone(routing, pair):
    """Every turn is answered; before the worker's end all went to it, and after it all to the other."""
    chat = [{"role": "system", "content": SYSTEM}]
    turns(routing, chat, 6)
    first = served(pair)
    assert sorted(first) == [0, 6]
    at = first.index(6)
    pair[at].kill()
    routing.publish(model(pair[1 - at].view(id=f"w{1 - at}"), balance="prefix_affinity"))
    turns(routing, chat, 4)
    assert (pair[1 - at].counts()["requests"], len(chat)) == (4, 21)


def test_chats_with_different_beginnings_use_both_workers(routing, pair):
    """The workers' names are fixed, and so is where each beginning belongs."""
    for number in range(12):
        turns(routing, [{"role": "system", "content": f"{number} {SYSTEM}"}], 2)
    assert min(served(pair)) >= 4
    assert all(count % 2 == 0 for count in served(pair))
