"""A transcript keeps what a continuation needs, in bounded memory, and notices what none could follow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.resume.request import CHAT, COMPLETIONS, Reason
from gateway.resume.transcript import LIMIT, Transcript
from tests.unit.gateway.resume.toy import PROMPT, Toy, tokens_of

BODY = {"model": "m", "prompt": "hi", "max_tokens": 100_000, "return_token_ids": True}


def chat(delta: dict[str, Any], **rest: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "token_ids": [5]} | rest
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_long_stream_is_kept_as_ids_and_text(path: str):
    """Whatever was condensed on the way."""
    text = "Hello, 你好 🎉! " * 300
    ids = tokens_of(text, [3, 1])
    said = Transcript(hide_ids=True)
    for event in Toy(ids).stream(path, BODY)[:-2]:
        said.pass_on(event)
    said.understand()
    assert (list(said.tokens), said.text, said.prompt) == (ids, text, PROMPT)
    assert (said.finished, said.obstacle, said.told) == (False, None, True)


def test_what_is_forwarded_has_no_ids_unless_the_client_wants_them():
    """`hide_ids` is for those who did not ask."""
    event = Toy(tokens_of("a")).stream(COMPLETIONS, BODY)[0]
    assert b'"token_ids":[' in Transcript(hide_ids=False).pass_on(event)
    assert b'"token_ids":[' not in Transcript(hide_ids=True).pass_on(event)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (chat({"reasoning": "hm"}), Reason.REASONING),
        (chat({"tool_calls": [{"index": 0}]}), Reason.TOOLS),
        (chat({"content": "x"}, index=1), Reason.CHOICES),
        (chat({"content": "x"}, token_ids=[-1]), Reason.FIELD),
        (b"data: [1]\n\n", Reason.FIELD),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_cannot_be_followed_is_noticed(event: bytes, reason: Reason):
    """Also where the request did not announce it."""
    said = Transcript(hide_ids=True)
    said.pass_on(event)
    said.understand()
    assert said.obstacle is reason


def test_an_engine_without_ids_is_noticed():
    """Its text may still be continued as text."""
    said = Transcript(hide_ids=True)
    said.pass_on(chat({"content": "x"}, token_ids=None))
    said.understand()
    assert (said.told, said.text, said.obstacle) == (False, "x", None)


def test_an_answer_without_end_is_given_up():
    """Bounded memory: what was kept is dropped, and nothing more is kept."""
    said = Transcript(hide_ids=False)
    event = chat({"content": "x" * 5000})
    for _ in range(LIMIT // 5000 + 5):
        said.pass_on(event)
    assert (said.obstacle, said.text, len(said.tokens)) == (Reason.TOO_LONG, "", 0)
