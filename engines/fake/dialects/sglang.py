"""SGLang 0.5.23 on the wire, as read in its wheel under sglang/srt; nothing of it was run.

Chat streams: entrypoints/openai/serving_chat.py (`_generate_chat_stream`) and sse_utils.py. Completions:
serving_completions.py. Fields and their order: protocol.py, usage_processor.py. Errors: serving_base.py,
http_server.py. Keys: utils/auth.py. Metrics: observability/metrics_collector.py. What is particular to it:

- An error answer is flat, `{"object": "error", "message": …}`; in a stream it is under `error`, and the usage
  chunk and `[DONE]` still follow it. A wrong key is `{"error": "Unauthorized"}`.
- A graceful abort (`/abort_request`) is a good-looking stream whose last `finish_reason` is `abort`; an abort with a
  status is the error event.
- A chat's deltas always have `reasoning_content`; its last chunk says how the stream ended apart from the last token.
- The model's name is not checked. `/health` makes the engine generate a token, so the real one takes a second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from engines.fake.dialects.dialect import Shape, Verbs
from engines.fake.job import Job, Refused
from engines.fake.words import Vocabulary

_encode: Final = msgspec.json.Encoder().encode
_OPEN: Final = ("/health", "/ready", "/metrics")
"""Paths (all that begin so) that need no key."""


class Chat:
    """`/v1/chat/completions`."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        delta = {"reasoning_content": None, "role": "assistant", "content": ""}
        return [_event(self._chunk(job, choice, delta)) for choice in range(job.choices)]

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        chunk = self._chunk(job, choice, self._delta(job, index))
        if job.logprobs:
            chunk["choices"][0]["logprobs"] = {"content": [_logprob(job.words[index])]}
        if job.continuous_usage:
            chunk["usage"] = _usage(job, index + 1)
        return _event(chunk)

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        reason = _reason(job, finish)
        events = [
            _event(self._chunk(job, choice, {"reasoning_content": None}, reason)) for choice in range(job.choices)
        ]
        return events + self.usage(job, made)

    def usage(self, job: Job, made: int) -> list[bytes]:
        """The usage chunk, where it was asked for."""
        chunk = _frame(job, "chat.completion.chunk") | {"choices": [], "usage": _usage(job, made)}
        return [_event(chunk)] if job.usage else []

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        choices = [self._choice(job, choice, finish) for choice in range(job.choices)]
        usage = _usage(job, len(job.words) * job.choices)
        return _frame(job, "chat.completion") | {"choices": choices, "usage": usage, "metadata": _METADATA}

    def _choice(self, job: Job, choice: int, finish: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(job.words), "reasoning_content": None}
        if job.tool:
            message |= {"content": "", "tool_calls": [_call(job)]}
        body = {
            "index": choice,
            "message": message,
            "logprobs": {"content": [_logprob(each) for each in job.words]} if job.logprobs else None,
            "finish_reason": _reason(job, finish),
            "matched_stop": _matched(finish),
        }
        ids = {"prompt_token_ids": list(job.prompt_ids), "response_token_ids": _ids(job.words)}
        return body | (ids if job.token_ids else {})

    def _delta(self, job: Job, index: int) -> dict[str, Any]:
        if not job.tool:
            return {"reasoning_content": None, "content": job.words[index]}
        call = {"id": None, "index": 0, "type": "function", "function": {"name": None, "arguments": ""}}
        calls = [call if index else _call(job)]
        return {"role": None, "content": None, "reasoning_content": None, "tool_calls": calls}

    def _chunk(self, job: Job, choice: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        body = {
            "index": choice,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
            "matched_stop": _matched(finish),
        }
        return _frame(job, "chat.completion.chunk") | {"choices": [body]}


class Completion:
    """`/v1/completions`: a stop comes in a chunk of its own (its token has no text), a length with the last word."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        return []

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        words = job.words[index : index + 1]
        usage = _usage(job, index + 1) if job.continuous_usage else None
        return _event(self._chunk(job, self._choice(job, choice, words, finish, first=index == 0), usage))

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        choices = [] if finish == "length" else range(job.choices)
        events = [_event(self._chunk(job, self._choice(job, choice, [], finish), None)) for choice in choices]
        return events + self.usage(job, made)

    def usage(self, job: Job, made: int) -> list[bytes]:
        """The usage chunk, where it was asked for; alone among the chunks it has no nulls."""
        usage = {name: value for name, value in _usage(job, made).items() if value is not None}
        return [_event(_frame(job, "text_completion") | {"choices": [], "usage": usage})] if job.usage else []

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        choices = [self._choice(job, choice, job.words, finish, first=True) for choice in range(job.choices)]
        usage = _usage(job, len(job.words) * job.choices)
        return _frame(job, "text_completion") | {"choices": choices, "usage": usage, "metadata": _METADATA}

    def _choice(
        self, job: Job, choice: int, words: Sequence[str], finish: str | None, *, first: bool = False
    ) -> dict[str, Any]:
        logprobs = {
            "text_offset": [-1] * len(words),
            "token_logprobs": [-0.1] * len(words),
            "tokens": list(words),
            "top_logprobs": [{each: -0.1} for each in words],
        }
        body = {
            "index": choice,
            "text": "".join(words),
            "logprobs": logprobs if job.logprobs and words else None,
            "finish_reason": finish,
            "matched_stop": _matched(finish),
        }
        if job.token_ids:
            body["token_ids"] = _ids(words)
        if job.token_ids and first:
            body["prompt_token_ids"] = list(job.prompt_ids)
        return body

    def _chunk(self, job: Job, choice: Mapping[str, Any], usage: Mapping[str, Any] | None) -> dict[str, Any]:
        return _frame(job, "text_completion") | {"choices": [choice], "usage": usage}


_METADATA: Final = {"weight_version": "default"}
_STREAMED: Final[Mapping[str, Chat | Completion]] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completion(),
}


class SGLangDialect:
    """The endpoints of SGLang that the fake worker has."""

    shapes: Final[Mapping[str, Shape]] = _STREAMED
    verbs: Final = Verbs(
        "/load_lora_adapter", "/unload_lora_adapter", "/release_memory_occupation", "/resume_memory_occupation"
    )
    health_takes: Final = 1.0
    """http_server.py `health_generate`: it looks once a second whether the token came."""
    sleeping_status: Final = 503
    """No token comes without memory; that it is this status is a guess."""

    def error(self, refused: Refused) -> dict[str, Any]:
        if refused.status == 401:
            return {"error": refused.message}
        return _error(refused.message, refused.kind, refused.status, refused.param)

    def breaking(self, job: Job, made: int) -> list[bytes]:
        """`create_streaming_error_response`: spaced JSON, because it is Python's own."""
        body = {"error": _error("Generation aborted.", "INTERNAL_SERVER_ERROR", 500)}
        return [b"data: " + json.dumps(body).encode() + b"\n\n", *_STREAMED[job.path].usage(job, made)]

    def too_long(self, context: int, length: int) -> Refused:
        """The words of managers/tokenizer_manager.py."""
        message = f"The input ({length} tokens) is longer than the model's context length ({context} tokens)."
        return Refused(400, message, "BadRequestError")

    def unknown(self, model: str) -> None:
        """Every name is answered, under that name; only what follows a colon is looked up, as an adapter."""

    def guards(self, path: str) -> bool:
        return not path.startswith(_OPEN)

    def health(self, *, healthy: bool, sleeping: bool = False) -> bytes:
        return b""

    def adapter_answer(self, status: int, message: str, kind: str, adapters: Mapping[str, str]) -> tuple[int, bytes]:
        """`LoRAUpdateOutput` (managers/io_struct.py); whatever goes wrong is 400 (http_server.py)."""
        told = {"rid": None, "success": not kind, "error_message": message if kind else "", "loaded_adapters": adapters}
        return 400 if kind else status, _encode(told)

    def models(self, served_name: str, adapters: Sequence[str], context: int, created: int) -> dict[str, Any]:
        own = _card(served_name, created) | {"parent": None, "max_model_len": context}
        added = [_card(name, created) | {"parent": served_name, "max_model_len": None} for name in adapters]
        return {"object": "list", "data": [own, *added]}

    def metrics(self, served_name: str, figures: Mapping[str, float]) -> str:
        gauge = f'{{engine_type="unified",model_name="{served_name}",moe_ep_rank="0",pp_rank="0",tp_rank="0"}}'
        counter = f'{{engine_type="unified",is_streaming="true",model_name="{served_name}"}}'
        lines = [
            f"sglang:num_running_reqs{gauge} {figures['running']}",
            f"sglang:num_queue_reqs{gauge} {figures['waiting']}",
            f"sglang:prompt_tokens_total{counter} {figures['prompt_tokens']}",
            f"sglang:generation_tokens_total{counter} {figures['generation_tokens']}",
        ]
        return "\n".join(lines) + "\n"


def _event(payload: object) -> bytes:
    return b"data: " + _encode(payload) + b"\n\n"


def _frame(job: Job, kind: str) -> dict[str, Any]:
    return {"id": job.id, "object": kind, "created": job.created, "model": job.model}


def _card(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "sglang", "root": name}


def _error(message: str, kind: str, status: int, param: str | None = None) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": param, "code": status}


def _usage(job: Job, made: int) -> dict[str, Any]:
    none = {"prompt_tokens_details": None, "reasoning_tokens": 0, "completion_tokens_details": None}
    return job.usage_of(made) | none


def _reason(job: Job, finish: str) -> str:
    return "tool_calls" if job.tool and finish == "stop" else finish


def _matched(finish: str | None) -> int | None:
    """The token that ended the answer."""
    return 2 if finish in {"stop", "tool_calls"} else None


def _call(job: Job) -> dict[str, Any]:
    function = {"name": job.tool, "arguments": "{}"}
    return {"id": f"call_{job.id}", "index": 0, "type": "function", "function": function}


def _ids(words: Sequence[str]) -> list[int]:
    return Vocabulary().encode("".join(words))


def _logprob(word: str) -> dict[str, Any]:
    return {"token": word, "bytes": list(word.encode()), "logprob": -0.1, "top_logprobs": []}


SGLANG: Final = SGLangDialect()
