"""Adapters on the real engine: added while it serves, called by name, changed, and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from loadtests.words import said
from tests.real.house import COMMAND, MODEL, QUESTION, House
from tests.real.telling import adapters, added_and_gone, called_changed_and_taken_back, listed, tellers, told
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

NAME = f"{MODEL}:teller"


@pytest.fixture
def words(house: House, tmp_path: Path) -> dict[str, str]:
    """Word → a folder with an adapter that says it, and nothing else, on the weights that the worker has loaded."""
    return tellers(house, MODEL, tmp_path)


@pytest.fixture
def teller(house: House, words: dict[str, str]) -> Iterator[str]:
    """An adapter that says the first word, under a name that is gone afterwards."""
    first, _ = words
    adapters(house, "add", MODEL, "teller", words[first])
    yield first
    house.ready()
    adapters(house, "remove", NAME)


def test_an_adapter_is_added_called_changed_and_taken_back(
    house: House, client: openai.OpenAI, teller: str, words: dict[str, str]
):
    """Prefix caching is on, and the question is the same each time: no answer is of an adapter before."""
    assert teller == next(iter(words))
    called_changed_and_taken_back(house, client, MODEL, words)


def test_an_adapter_survives_its_worker_and_its_supervisor(house: House, client: openai.OpenAI, teller: str):
    """Killed with -9, one after the other: it answers again by itself, with the same revision."""
    revision, worker = listed(client)[NAME]["root"], house.worker()
    os.kill(worker.pid, signal.SIGKILL)
    house.ready(not_id=worker.id)
    assert told(client, NAME) == {teller}
    house.kill()
    house.start()
    house.ready()
    assert (told(client, NAME), listed(client)[NAME]["root"]) == ({teller}, revision)


def test_what_is_gone_is_gone(house: House, client: openai.OpenAI, words: dict[str, str]):
    """A removed adapter is 404 at once, and nothing of the base answers for it."""
    added_and_gone(house, client, MODEL, words)


def test_a_stream_ends_on_the_revision_that_it_began_with(
    house: House, client: openai.OpenAI, teller: str, words: dict[str, str]
):
    """The name moves while it is under way."""
    second = next(word for word in words if word != teller)
    long = {"max_tokens": 60, "extra_body": {"ignore_eos": True}}
    with client.chat.completions.create(model=NAME, messages=QUESTION, stream=True, **long) as stream:
        heard = [next(stream).choices[0].delta.content or "" for _ in range(3)]
        adapters(house, "add", MODEL, "teller", words[second], "--promote")
        assert told(client, NAME) == {second}
        heard += [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert set(said("".join(heard))) == {teller}


def test_a_corrupt_adapter_changes_nothing(house: House, client: openai.OpenAI, teller: str, tmp_path: Path):
    """It is refused with its reason before any worker hears of it."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_text("{}")
    (broken / "adapter_model.safetensors").write_bytes(b"\0" * 64)
    words = [COMMAND, "adapters", "add", MODEL, "teller", str(broken), "--promote", "--state", str(house.state)]
    run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert (run.returncode, "config_incomplete" in run.stdout + run.stderr) == (1, True)
    until(lambda: told(client, NAME) == {teller}, what="the revision before")
