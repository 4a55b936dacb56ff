"""What only the gateway asked for is taken out of a stream, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resume.hiding import hide
from gateway.resume.request import CHAT, COMPLETIONS
from tests.unit.gateway.resume.toy import Toy, tokens_of

NASTY = '","token_ids":[1,2],"prompt_token_ids":[3],"delta":{},"logprobs":null,"finish_reason":null'


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@given(text=st.text(max_size=9) | st.just(NASTY), size=st.integers(1, 3), batch=st.integers(1, 4))
def test_a_stream_without_its_ids_is_the_stream_that_was_asked_for(path: str, text: str, size: int, batch: int):
    """Byte for byte, also with events that vLLM sends for their ids only, and with a text that looks like a field."""
    toy = Toy(tokens_of(text, [size]))
    body = {"model": "m", "prompt": "hi", "max_tokens": 99}
    events = toy.stream(path, {**body, "return_token_ids": True})
    hidden = b"".join(hide(b"".join(events[at : at + batch])) for at in range(0, len(events), batch))
    assert hidden == b"".join(toy.stream(path, body))


@given(ids=st.lists(st.integers(0, 200_000)), text=st.text())
def test_an_event_of_many_tokens_is_hidden_too(ids: list[int], text: str):
    """`stream_interval`, speculative decoding: one event may hold several tokens, or none."""
    choice = {"index": 0, "text": text, "prompt_token_ids": None, "token_ids": ids}
    event = b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"
    assert msgspec.json.decode(hide(event)[6:])["choices"][0] == choice | {"token_ids": None}


def test_what_has_no_ids_stays_as_it_is():
    """Comments, usage, `[DONE]`, another framing."""
    for event in (b": waiting\n\n", b"data: [DONE]\n\n", b'data: {"choices":[],"usage":{}}\r\n\r\n', b""):
        assert hide(event) == event
