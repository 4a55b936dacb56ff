"""A stream that breaks off anywhere and is taken up by another worker reads as if nothing had happened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.vllm import VLLM
from gateway.resume.decide import Continuation, decide
from gateway.resume.joint import Diverged, Joint
from gateway.resume.request import CHAT, COMPLETIONS, Asked, Reason, understand
from gateway.resume.transcript import Transcript
from tests.unit.gateway.resume.toy import PROMPT, Toy, tokens_of

CONTEXT = 10_000
TEXTS = st.text(st.sampled_from('aStop \n"{}é你好🎉👩\u200d🚀'), min_size=1, max_size=24)
SIZES = st.lists(st.integers(1, 3), min_size=1, max_size=4)
STOPS = st.sampled_from([None, "\n", "St", ["p S", "好"], "aa"])


def asking(path: str, **rest: Any) -> dict[str, Any]:
    prompt = {"messages": [{"role": "user", "content": "hi"}]} if path == CHAT else {"prompt": "hi"}
    return {"model": "m", **prompt, "stream": True, **{key: value for key, value in rest.items() if value is not None}}


def ids_too(body: dict[str, Any]) -> dict[str, Any]:
    """The body as the gateway sends it."""
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    return {**body, "stream_options": options, "return_token_ids": True}


def shown(events: bytes) -> dict[str, Any]:
    """All that a client can see of a stream."""
    datas = [each.removeprefix(b"data: ") for each in events.split(b"\n\n") if each]
    parsed = [msgspec.json.decode(each) for each in datas if each != b"[DONE]"]
    choices = [choice for each in parsed for choice in each["choices"]]
    return {
        "heads": {(each["id"], each["object"], each["created"], each["model"]) for each in parsed},
        "text": "".join(each.get("text") or (each.get("delta") or {}).get("content") or "" for each in choices),
        "ids": [token for each in choices for token in each.get("token_ids") or ()],
        "roles": sum("role" in (each.get("delta") or {}) for each in choices),
        "finish": [each["finish_reason"] for each in choices if each["finish_reason"]],
        "usage": [each["usage"] for each in parsed if not each["choices"]],
        "done": datas.count(b"[DONE]"),
        "last": datas[-1],
    }


def broken_and_joined(toy: Toy, path: str, body: dict[str, Any], cuts: list[int]) -> bytes | Reason:
    """What the client gets when the workers die after so many events each."""
    wire = msgspec.json.encode(body)
    asked = understand(path, wire)
    assert isinstance(asked, Asked), asked
    said = Transcript(hide_ids=not asked.ids)
    events = _without_usage(toy.stream(path, ids_too(body)), asked)
    told = b"".join(said.pass_on(event) for event in events[: cuts[0]])
    for cut in (*cuts[1:], None):
        going = decide(VLLM, path, wire, "m", asked, said, CONTEXT)
        if isinstance(going, Reason):
            return going
        joint = Joint(path, asked, said, going)
        again = toy.stream(going.call.path, msgspec.json.decode(going.call.body), created=8)
        told += joint.pass_on(b"".join(again[:cut]))
        if cut is not None and said.finished:
            return Reason.FINISHED
    return told


def _without_usage(events: list[bytes], asked: Asked) -> list[bytes]:
    return events if asked.usage else [each for each in events if b'"choices":[]' not in each]


@given(
    path=st.sampled_from([CHAT, COMPLETIONS]),
    text=TEXTS,
    sizes=SIZES,
    stop=STOPS,
    stream_options=st.sampled_from(
        [None, {"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}]
    ),
    return_token_ids=st.sampled_from([None, True]),
    cuts=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    limit=st.sampled_from([5, 11, 1000]),
    temperature=st.sampled_from([0, None]),
)
def test_a_stream_that_is_cut_anywhere_is_whole(
    path: str, text: str, sizes: list[int], cuts: list[int], limit: int, temperature: int | None, **rest: Any
):
    """Text, ids, usage, finish and terminal event are those of the unbroken stream, however often it breaks.

    Refused is only what had its finish, and where a stop string or (not greedy) token ids would not line up.
    """
    toy = Toy(tokens_of(text, sizes))
    body = asking(path, temperature=temperature, max_tokens=limit, **rest)
    cuts[0] += 1 + (path == CHAT)  # what breaks off before the first token is retried, not resumed
    joined = broken_and_joined(toy, path, body, cuts)
    if isinstance(joined, Reason):
        drawn = {Reason.STOP, Reason.IDS_SHOWN} if temperature is None else {Reason.STOP} if rest["stop"] else set()
        assert joined in drawn | {Reason.FINISHED}
        return
    assert shown(joined) == shown(b"".join(toy.stream(path, body)))


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("ids", [None, True])
def test_no_place_in_a_plain_answer_is_refused(path: str, ids: object):
    """Emoji and CJK included, whose tokens are parts of characters."""
    toy = Toy(tokens_of("Hi 你好, 🎉 done.", [1, 2]))
    body = asking(path, return_token_ids=ids, temperature=0, max_tokens=100)
    whole = shown(b"".join(toy.stream(path, body)))
    for cut in range(1 + (path == CHAT), len(toy.stream(path, ids_too(body))) - 2):
        assert shown(broken_and_joined(toy, path, body, [cut])) == whole


def test_an_event_of_ascii_is_the_same_byte_for_byte():
    """But for the worker's fingerprint, a client cannot tell that there were two."""
    toy = Toy(tokens_of("Hello, you.", [3]))
    body = asking(CHAT, max_tokens=100, stream_options={"include_usage": True})
    whole = b"".join(toy.stream(CHAT, body))
    assert [broken_and_joined(toy, CHAT, body, [cut]) for cut in (2, 3, 4)] == [whole] * 3


def test_a_worker_that_goes_on_differently_is_found_out():
    """Where the client has seen what must come again, anything else ends the stream."""
    body = asking(COMPLETIONS, stop="zz", temperature=0)
    said = Transcript(hide_ids=True)
    for event in Toy(tokens_of("abcdefgh", [3])).stream(COMPLETIONS, ids_too(body))[:2]:
        said.pass_on(event)
    going = decide(VLLM, COMPLETIONS, msgspec.json.encode(body), "m", Asked(16, stops=("zz",), greedy=True), said, 99)
    assert isinstance(going, Continuation)
    assert going.repeats == "de"
    joint = Joint(COMPLETIONS, Asked(16), said, going)
    again = Toy(tokens_of("abcXYZ", [3])).stream(COMPLETIONS, msgspec.json.decode(going.call.body))
    with pytest.raises(Diverged):
        joint.pass_on(b"".join(again))


def test_the_continuation_says_what_is_left():
    """Fewer tokens to make, fewer to make at least; the prompt is ids; sampling fields as the client spelled them."""
    body = b'{"model":"alias","prompt":"hi","max_tokens":9,"min_tokens":5,"top_p":0.90,"stream":true,"echo":false}'
    said = Transcript(hide_ids=True)
    answer = tokens_of("abc")
    for event in Toy(answer).stream(COMPLETIONS, ids_too(msgspec.json.decode(body)))[:3]:
        said.pass_on(event)
    going = decide(VLLM, COMPLETIONS, body, "served", understand(COMPLETIONS, body), said, 99)
    sent = msgspec.json.decode(going.call.body)
    assert b'"top_p":0.90' in going.call.body
    assert (sent["model"], sent["prompt"], sent["max_tokens"]) == ("served", [*PROMPT, *answer], 6)
    assert (sent["min_tokens"], "echo" in sent) == (2, False)
