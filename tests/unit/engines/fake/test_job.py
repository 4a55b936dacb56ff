"""The fake worker continues what another one began, as a real engine does: by token ids."""

from __future__ import annotations

from typing import Any

import pytest

from engines.fake.behaviour import Behaviour
from engines.fake.dialects import DIALECTS
from engines.fake.job import Job, Refused, Worker, plan
from engines.fake.words import Vocabulary, verify

CHAT = {"model": "small", "messages": [{"role": "user", "content": "tell me"}], "seed": 5}


def planned(path: str, body: dict[str, Any], script: Behaviour) -> Job:
    """By a worker that has seen nothing before."""
    worker = Worker("small", 2048, Vocabulary(), DIALECTS["vllm"].too_long)
    return plan(path, body, worker=worker, script=script, job_id="1", created=1)


@pytest.mark.parametrize("script", [Behaviour(tokens=8), Behaviour(tokens=8, halves=True, voice="你🎉")], ids=str)
def test_a_second_worker_says_the_rest(script: Behaviour):
    """Whatever part of the answer the first one's tokens are: half words too."""
    whole = planned("/v1/chat/completions", CHAT, script)
    assert verify("".join(whole.words), key=5, voice=script.voice) == (4 if script.halves else 8)
    for cut in range(9):
        prompt = [*whole.prompt_ids, *whole.ids[:cut]]
        rest = planned("/v1/completions", {"model": "small", "prompt": prompt, "seed": 5}, script)
        assert (rest.words, rest.ids) == (whole.words[cut:], whole.ids[cut:])
        assert len(rest.prompt_ids) == len(whole.prompt_ids) + cut


@pytest.mark.parametrize("field", ["messages", "seed", "temperature", "stop", "tools", "user", "stream_options"])
def test_a_field_of_another_type_is_refused_as_engines_do(field: str):
    """With the engine's own 400: a 500 would be the worker's fault, and is retried."""
    with pytest.raises(Refused) as refused:
        planned("/v1/chat/completions", CHAT | {field: [{"": {}}, []]}, Behaviour())
    assert refused.value.status == 400
    assert field in refused.value.message
