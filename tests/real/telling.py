"""An adapter's life on any engine: of vLLM's CPU build in `test_adapters`, of engines on GPUs too.

The adapters each say one word and nothing else (`loadtests.words`), so that an answer shows who gave it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest

from loadtests.words import WORDS, said, say
from tests.real.house import COMMAND, QUESTION, House


def adapters(house: House, *words: str) -> Any:
    """What `enginehouse adapters …` says, as data. It may have to wait for another worker."""
    command = [COMMAND, "adapters", *words, "--state", str(house.state), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def told(client: openai.OpenAI, model: str) -> set[str]:
    """Which of the adapters' words are in an answer, and in a streamed one."""
    whole = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=6)
    stream = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=6, stream=True)
    parts = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    return {*said(whole.choices[0].message.content), *said("".join(parts))}


def listed(client: openai.OpenAI) -> dict[str, Any]:
    return {model.id: model.model_dump() for model in client.models.list()}


def tellers(house: House, model: str, folder: Path) -> dict[str, str]:
    """Word → a folder with an adapter that says it, and nothing else, on the weights that the model's workers load.

    The model must be SmolLM2, in any layout.
    """
    argv = [COMMAND, "models", "--registry", str(house.registry), "--json"]
    rows = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    checkpoint = next(Path(row["path"]) for row in rows if row["name"] == model)
    return {word: str(say(word, folder / word, checkpoint)) for word in list(WORDS)[:2]}


def called_changed_and_taken_back(house: House, client: openai.OpenAI, model: str, words: dict[str, str]) -> None:
    """The model's adapter `teller`, which says the first word, becomes another revision, and the first one again."""
    first, second = words
    name = f"{model}:teller"
    assert (told(client, name), told(client, "teller"), told(client, model)) == ({first}, {first}, set())
    before = listed(client)[name]
    assert before["parent"] == model
    adapters(house, "add", model, "teller", words[second], "--promote")
    assert (told(client, name), told(client, before["root"])) == ({second}, {first})
    assert listed(client)[name]["root"] != before["root"]
    adapters(house, "rollback", name)
    assert (told(client, name), listed(client)[name]["root"]) == ({first}, before["root"])


def added_and_gone(house: House, client: openai.OpenAI, model: str, words: dict[str, str]) -> None:
    """A removed adapter is 404 at once, and nothing of the base answers for it."""
    word = next(iter(words))
    adapters(house, "add", model, "brief", words[word])
    assert told(client, "brief") == {word}
    adapters(house, "remove", f"{model}:brief")
    with pytest.raises(openai.NotFoundError) as refused:
        told(client, "brief")
    assert refused.value.code == "model_not_found"
    assert "brief" not in str(listed(client))
