"""What the tests of the dialects are built from: one job, and its answer taken apart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from engines.fake.dialects.dialect import Shape
from engines.fake.job import Job
from engines.fake.words import Vocabulary, word

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
WORDS = [word(1), word(2)]
IDS = Vocabulary().encode("".join(WORDS))
JOB = Job(id="7", created=1, model="small", path=CHAT, prompt_ids=[1, 2, 3], words=WORDS, ids=IDS, finish="stop")


def job(path: str = CHAT, **changes: Any) -> Job:
    return replace(JOB, path=path, **changes)


def streamed(shape: Shape, asked: Job, finish: str = "stop") -> list[bytes]:
    """All events of a stream, as `engines.fake.generate` puts them together."""
    last = len(asked.words) - 1
    tokens = [
        shape.token(asked, 0, index, "length" if (index, finish) == (last, "length") else None)
        for index in range(len(asked.words))
    ]
    return [*shape.opening(asked), *tokens, *shape.closing(asked, finish, len(tokens)), shape.done]


def parsed(events: list[bytes]) -> list[Any]:
    """The objects of all events but `[DONE]`."""
    return [json.loads(event.removeprefix(b"data: ")) for event in events if event != b"data: [DONE]\n\n"]


def reasons(events: list[Any]) -> list[str | None]:
    """The `finish_reason` of each chunk that has a choice; `absent` where it has no such field."""
    return [event["choices"][0].get("finish_reason", "absent") for event in events if event["choices"]]
