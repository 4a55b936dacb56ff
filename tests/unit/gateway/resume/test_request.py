"""Which requests may be continued on another worker, by what their bodies say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.continuing import CARRIED
from gateway.resume.request import CHAT, COMPLETIONS, FIELDS, Asked, Reason, understand

MESSAGES = [{"role": "user", "content": "hi"}]
IMAGE = [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "u"}}]}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
TOOL = {"type": "function", "function": {"name": "f"}}

REFUSED: list[tuple[dict[str, Any], Reason]] = [
    ({"n": 2}, Reason.CHOICES),
    ({"best_of": 2}, Reason.CHOICES),
    ({"use_beam_search": True}, Reason.CHOICES),
    ({"tools": [TOOL]}, Reason.TOOLS),
    ({"tools": [TOOL], "tool_choice": "none"}, Reason.TOOLS),
    ({"functions": [{}]}, Reason.TOOLS),
    ({"response_format": {"type": "json_object"}}, Reason.CONSTRAINED),
    ({"structured_outputs": {"choice": ["a"]}}, Reason.CONSTRAINED),
    ({"guided_regex": "a*"}, Reason.CONSTRAINED),
    ({"logprobs": True}, Reason.LOGPROBS),
    ({"logprobs": 0}, Reason.LOGPROBS),
    ({"top_logprobs": 2}, Reason.LOGPROBS),
    ({"echo": True}, Reason.ECHO),
    ({"presence_penalty": 0.1}, Reason.PENALTIES),
    ({"frequency_penalty": -0.1}, Reason.PENALTIES),
    ({"repetition_penalty": 1.1}, Reason.PENALTIES),
    ({"seed": 1}, Reason.SEEDED),
    ({"seed": 1, "temperature": 0.5}, Reason.SEEDED),
    ({"bad_words": ["x y"]}, Reason.FIELD),
    ({"truncate_prompt_tokens": 5}, Reason.FIELD),
    ({"vllm_xargs": {"a": 1}}, Reason.FIELD),
    ({"tomorrows_field": 1}, Reason.FIELD),
    ({"max_tokens": "many"}, Reason.FIELD),
    ({"messages": IMAGE}, Reason.MEDIA),
]


def asked(path: str = CHAT, **fields: Any) -> Asked | Reason:
    prompt = {"messages": MESSAGES} if path == CHAT else {"prompt": "hi"}
    return understand(path, msgspec.json.encode({"model": "m", "stream": True, **prompt, **fields}))


@pytest.mark.parametrize(("fields", "reason"), REFUSED, ids=lambda each: str(each)[:40])
def test_what_cannot_be_right_is_refused_with_its_reason(fields: dict[str, Any], reason: Reason):
    """DESIGN §4; a field that is not known might mean anything."""
    assert asked(**fields) is reason


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "tools": [], "presence_penalty": 0, "repetition_penalty": 1},
        {"seed": 7, "temperature": 0},
        {"response_format": {"type": "text"}, "stop": None, "echo": False},
        {"messages": PARTS, "user": "u", "metadata": {"a": "b"}, "chat_template_kwargs": {"x": 1}},
    ],
    ids=str,
)
def test_what_changes_nothing_is_no_obstacle(fields: dict[str, Any]):
    """Fields with their defaults, and those that shaped the prompt only."""
    assert isinstance(asked(**fields), Asked)


def test_only_chats_and_completions_are_continued():
    """The other operations have no stream, or one of another shape."""
    assert understand("/v1/responses", b'{"model":"m","input":"x"}') is Reason.OPERATION


@pytest.mark.parametrize(
    ("prompt", "fine"),
    [("hi", True), ([1, 2], True), (["hi"], True), ([[1, 2]], True), (["a", "b"], False), ([[1], [2]], False)],
    ids=str,
)
def test_many_prompts_have_many_answers(prompt: Any, *, fine: bool):
    """Text or ids, bare or as a list of one."""
    assert (asked(COMPLETIONS, prompt=prompt) is not Reason.PROMPTS) is fine


def test_each_path_has_its_own_limit():
    """A completion has 16 tokens where it says nothing, a chat fills the context; a chat's newer field wins."""
    assert asked(COMPLETIONS).limit == 16
    assert asked(CHAT).limit is None
    assert asked(CHAT, max_tokens=5, max_completion_tokens=9).limit == 9


def test_what_is_no_json_object_is_refused():
    """The engine will say so itself."""
    for body in (b"", b"[]", b"{", b'{"model":"\xff"}', b"[" * 5000):
        assert understand(CHAT, body) is Reason.FIELD


def test_what_shapes_a_token_goes_with_the_continuation():
    """No field may be accepted here and forgotten there."""
    elsewhere = {"model", "messages", "prompt", "stream", "stream_options", "return_token_ids"}
    bounds = {"max_tokens", "max_completion_tokens", "min_tokens"}
    only_default = {"n", "best_of", "use_beam_search", "logprobs", "top_logprobs", "prompt_logprobs", "echo", "suffix"}
    only_default |= {"tools", "functions", "response_format", "structured_outputs", "bad_words"}
    only_default |= {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "truncate_prompt_tokens"}
    prompt = {"add_special_tokens", "add_generation_prompt", "continue_final_message", "chat_template"}
    prompt |= {"chat_template_kwargs", "documents", "reasoning_effort", "tool_choice", "parallel_tool_calls"}
    nothing = {"metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
    assert elsewhere | bounds | only_default | prompt | nothing | CARRIED == FIELDS
