"""What a request's body says about continuing its answer on another worker. Pure.

The list of fields is closed: a field that is not known here may mean anything, so its request is never continued.
The names are OpenAI's and vLLM's (`vllm/entrypoints/openai/*/protocol.py`, 0.32).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
_ABSENT: Final = msgspec.Raw()
RESUMABLE: Final = frozenset({CHAT, COMPLETIONS})
_COMPLETION_LIMIT: Final = 16
"""`max_tokens` of a completion that gives none: OpenAI's default, and vLLM's. A chat may fill the context."""


class Reason(StrEnum):
    """Why an answer cannot be continued: stable words, they are a metric's label."""

    OPERATION = "operation"
    FIELD = "field"
    CHOICES = "choices"
    TOOLS = "tools"
    REASONING = "reasoning"
    CONSTRAINED = "constrained"
    LOGPROBS = "logprobs"
    ECHO = "echo"
    PROMPTS = "prompts"
    MEDIA = "media"
    PENALTIES = "penalties"
    SEEDED = "seeded"
    STOP = "stop"
    NO_TOKEN_IDS = "no_token_ids"  # noqa: S105 - no password
    IDS_SHOWN = "ids_shown"
    """The client has seen the ids of tokens that would have to be drawn again."""
    TOO_LONG = "too_long"
    FINISHED = "finished"
    USED_UP = "used_up"
    NO_TWIN = "no_twin"
    """No other worker has the same weights."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a continuation has to keep to. Tokens are counts."""

    limit: int | None
    """Tokens that the answer may have; None: as many as the context holds."""
    least: int = 0
    stops: tuple[str, ...] = ()
    shows_stop: bool = False
    greedy: bool = False
    """Whether the same tokens come again."""
    ids: bool = False
    """Whether the client itself asked for token ids."""
    usage: bool = False
    continuous_usage: bool = False

    @property
    def lag(self) -> int:
        """Characters that vLLM holds back, so that no stop string's beginning is shown (v1/engine/detokenizer.py)."""
        return 0 if self.shows_stop or not self.stops else max(map(len, self.stops)) - 1


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class _Format(msgspec.Struct):
    type: str


class _Part(msgspec.Struct):
    type: str = "text"


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """Every field with which an answer may be continued; those of type `Raw` say nothing about that."""

    model: msgspec.Raw = _ABSENT
    messages: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    return_token_ids: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool = False
    n: int | None = None
    best_of: int | None = None
    use_beam_search: bool = False
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logprobs: int | bool | None = None
    top_logprobs: int | None = None
    prompt_logprobs: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: _Format | None = None
    structured_outputs: Any = None
    guided_json: Any = None
    guided_regex: Any = None
    guided_choice: Any = None
    guided_grammar: Any = None
    bad_words: list[str] | None = None
    truncate_prompt_tokens: int | None = None
    # What follows goes with the continuation as it is.
    top_p: msgspec.Raw = _ABSENT
    top_k: msgspec.Raw = _ABSENT
    min_p: msgspec.Raw = _ABSENT
    logit_bias: msgspec.Raw = _ABSENT
    allowed_token_ids: msgspec.Raw = _ABSENT
    stop_token_ids: msgspec.Raw = _ABSENT
    ignore_eos: msgspec.Raw = _ABSENT
    skip_special_tokens: msgspec.Raw = _ABSENT
    spaces_between_special_tokens: msgspec.Raw = _ABSENT
    priority: msgspec.Raw = _ABSENT
    cache_salt: msgspec.Raw = _ABSENT
    user: msgspec.Raw = _ABSENT
    # What follows shaped the prompt, whose token ids are known, or shapes nothing.
    add_special_tokens: msgspec.Raw = _ABSENT
    add_generation_prompt: msgspec.Raw = _ABSENT
    continue_final_message: msgspec.Raw = _ABSENT
    chat_template: msgspec.Raw = _ABSENT
    chat_template_kwargs: msgspec.Raw = _ABSENT
    documents: msgspec.Raw = _ABSENT
    reasoning_effort: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    parallel_tool_calls: msgspec.Raw = _ABSENT
    metadata: msgspec.Raw = _ABSENT
    store: msgspec.Raw = _ABSENT
    service_tier: msgspec.Raw = _ABSENT
    safety_identifier: msgspec.Raw = _ABSENT
    prompt_cache_key: msgspec.Raw = _ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
FIELDS: Final = frozenset(_Body.__struct_fields__)


def understand(path: str, body: bytes) -> Asked | Reason:
    """What a continuation has to keep to, or why there can be none. `body` is the client's own."""
    if path not in RESUMABLE:
        return Reason.OPERATION
    try:
        given = _BODY.decode(body)
        obstacle = _sampling_obstacle(given) or _form_obstacle(given) or _prompt_obstacle(path, given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Reason.FIELD  # also what the engine itself will refuse
    return obstacle or _asked(path, given)


def _sampling_obstacle(given: _Body) -> Reason | None:
    """What makes the next token depend on more than the tokens before it."""
    if given.presence_penalty or given.frequency_penalty or given.repetition_penalty not in {None, 1.0}:
        return Reason.PENALTIES
    if given.seed is not None and given.temperature != 0:
        return Reason.SEEDED
    if given.response_format is not None and given.response_format.type != "text":
        return Reason.CONSTRAINED
    constraints = (given.structured_outputs, given.guided_json, given.guided_regex, given.guided_choice)
    if any(each is not None for each in (*constraints, given.guided_grammar)):
        return Reason.CONSTRAINED
    if given.bad_words or given.truncate_prompt_tokens is not None:
        return Reason.FIELD
    return None


def _form_obstacle(given: _Body) -> Reason | None:
    """What the answer consists of besides one text."""
    if given.n not in {None, 1} or given.best_of not in {None, 1} or given.use_beam_search:
        return Reason.CHOICES
    if given.tools or given.functions:
        return Reason.TOOLS
    if not (given.logprobs is None or given.logprobs is False) or given.top_logprobs or given.prompt_logprobs:
        return Reason.LOGPROBS
    if given.echo or given.suffix:
        return Reason.ECHO
    return None


def _prompt_obstacle(path: str, given: _Body) -> Reason | None:
    if path == COMPLETIONS:
        return _prompts_obstacle(bytes(given.prompt).lstrip())
    raw = bytes(given.messages)
    if not raw:
        return Reason.FIELD
    if b'"type"' not in raw and b"\\u" not in raw:
        return None  # parts name their types: there are none
    parts = (part for each in _MESSAGES.decode(raw) if isinstance(each.content, list) for part in each.content)
    return None if all(part.type == "text" for part in parts) else Reason.MEDIA


def _prompts_obstacle(prompt: bytes) -> Reason | None:
    if not prompt.startswith(b"["):
        return None
    prompts = msgspec.json.decode(prompt)
    return None if len(prompts) == 1 or all(isinstance(each, int) for each in prompts) else Reason.PROMPTS


def _asked(path: str, given: _Body) -> Asked:
    options = given.stream_options or _StreamOptions()
    stops = [given.stop] if isinstance(given.stop, str) else given.stop or []
    limit = given.max_tokens
    if path == COMPLETIONS:
        limit = _COMPLETION_LIMIT if limit is None else limit
    elif given.max_completion_tokens is not None:
        limit = given.max_completion_tokens
    return Asked(
        limit=limit,
        least=given.min_tokens or 0,
        stops=tuple(stop for stop in stops if stop),
        shows_stop=given.include_stop_str_in_output,
        greedy=given.temperature == 0,
        ids=bool(given.return_token_ids),
        usage=bool(options.include_usage),
        continuous_usage=bool(options.include_usage and options.continuous_usage_stats),
    )
