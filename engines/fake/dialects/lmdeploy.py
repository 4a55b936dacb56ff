"""LMDeploy 0.18 on the wire, as read in its wheel under lmdeploy/serve; nothing of it was run.

Chat: openai/chat_completions/serving.py, fanout.py (several choices), core/chat_runner.py. Completions:
openai/endpoints/completions.py. Fields and their order: openai/protocol.py. Errors: openai/errors.py,
core/exceptions.py. How answers end: core/async_engine.py. Keys: utils/server_utils.py. Health:
endpoints/management.py, core/health.py. Metrics: metrics/loggers.py. What is particular to it:

- Chunks are spaced JSON without nulls, so a running choice has no `finish_reason` at all; asked for usage, each chunk
  has `"usage": null`, and a chat's usage chunk is compact JSON.
- There is no role-only first chunk: each delta has the role. The end is always a chunk of its own, without text.
- An error answer is flat, `{"message", "type", "code", "param", "object": "error"}`; in a stream it is under `error`,
  then `[DONE]`. A cancelled request ends with `finish_reason: "abort"`.
- A completion's id is its session's number, -1 unless the request names one; it has no logprobs, no token ids and one
  choice, and a list of token ids would be read as many prompts.
- Everything but `/health` needs the key, `/metrics` too.
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
_OPEN: Final = ("/health", "/docs", "/redoc", "/nodes")
"""Paths (all that begin so) that need no key."""
_KINDS: Final = {401: "authentication_error", 404: "not_found_error", 500: "server_error", 503: "server_error"}
_FIXED: Final = {401: "Unauthorized.", 503: "The inference engine is unavailable."}


class Chat:
    """`/v1/chat/completions`."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        return []

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        body: dict[str, Any] = {"index": choice, "delta": {"role": "assistant"} | self._said(job, index)}
        if job.logprobs:
            body["logprobs"] = {"content": [_logprob(job.words[index])]}
        if job.token_ids:
            body["output_ids"] = _ids([job.words[index]])
        return self._chunk(job, body)

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        delta = {"role": "assistant", "content": ""}
        ends = [{"index": each, "delta": delta, "finish_reason": _reason(job, finish)} for each in range(job.choices)]
        events = [self._chunk(job, end | ({"output_ids": []} if job.token_ids else {})) for end in ends]
        return events + ([self._usage(job, made)] if job.usage else [])

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        choices = [self._choice(job, choice, finish) for choice in range(job.choices)]
        usage = _usage(job, len(job.words) * job.choices)
        return _frame(job, "chat.completion") | {"choices": choices, "usage": usage, "service_tier": None}

    def _choice(self, job: Job, choice: int, finish: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(job.words), "reasoning_content": None}
        call = {"id": f"chatcmpl-{job.id}", "type": "function", "function": {"name": job.tool, "arguments": "{}"}}
        message |= {"content": None, "tool_calls": [call]} if job.tool else {"tool_calls": None}
        return {
            "index": choice,
            "message": message,
            "logprobs": {"content": [_logprob(each) for each in job.words]} if job.logprobs else None,
            "output_token_logprobs": None,
            "finish_reason": _reason(job, finish),
            "output_ids": _ids(job.words) if job.token_ids else None,
            "routed_experts": None,
        }

    def _said(self, job: Job, index: int) -> dict[str, Any]:
        if not job.tool:
            return {"content": job.words[index]}
        call: dict[str, Any] = {"type": "function", "index": 0, "function": {"arguments": ""}}
        if index == 0:
            call = {"id": f"chatcmpl-{job.id}"} | call | {"function": {"name": job.tool, "arguments": "{}"}}
        return {"tool_calls": [call]}

    def _chunk(self, job: Job, choice: Mapping[str, Any]) -> bytes:
        asked = {"usage": None} if job.usage else {}
        return _event(_frame(job, "chat.completion.chunk") | {"choices": [choice]} | asked)

    def _usage(self, job: Job, made: int) -> bytes:
        """Compact and without nulls, but for several choices: they are put together again as spaced JSON."""
        chunk = _frame(job, "chat.completion.chunk") | {"choices": [], "usage": _usage(job, made)}
        if job.choices > 1:
            return _event(chunk)
        chunk["usage"] = {name: value for name, value in chunk["usage"].items() if value is not None}
        return b"data: " + _encode(chunk) + b"\n\n"


class Completion:
    """`/v1/completions`."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        return []

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        return self._chunk(job, {"index": choice, "text": job.words[index]})

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        ends = [{"index": choice, "text": "", "finish_reason": finish} for choice in range(job.choices)]
        events = [self._chunk(job, end) for end in ends]
        if job.usage:
            events.append(_event(self._frame(job) | {"choices": [], "usage": job.usage_of(made)}))
        return events

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        text = "".join(job.words)
        choices = [
            {"index": each, "text": text, "logprobs": None, "finish_reason": finish} for each in range(job.choices)
        ]
        none = {"prompt_tokens_details": None, "completion_tokens_details": None}
        return self._frame(job) | {"choices": choices, "usage": job.usage_of(len(job.words) * job.choices) | none}

    def _chunk(self, job: Job, choice: Mapping[str, Any]) -> bytes:
        return _event(self._frame(job) | {"choices": [choice]} | ({"usage": None} if job.usage else {}))

    def _frame(self, job: Job) -> dict[str, Any]:
        return _frame(job, "text_completion") | {"id": "-1"}


class LMDeployDialect:
    """The endpoints of LMDeploy that the fake worker has."""

    shapes: Final[Mapping[str, Shape]] = {"/v1/chat/completions": Chat(), "/v1/completions": Completion()}
    verbs: Final = Verbs(sleep="/sleep", wake="/wakeup")
    health_takes: Final = 0.0
    sleeping_status: Final = 200

    def error(self, refused: Refused) -> dict[str, Any]:
        message = _FIXED.get(refused.status, refused.message)
        kind = _KINDS.get(refused.status, "invalid_request_error")
        return {"message": message, "type": kind, "code": refused.status, "param": None, "object": "error"}

    def breaking(self, job: Job, made: int) -> list[bytes]:
        """A `RequestError` after the stream has begun."""
        return [_event({"error": self.error(Refused(500, "An internal server error occurred.", ""))})]

    def too_long(self, context: int, length: int) -> Refused:
        """The words of core/async_engine.py."""
        message = f"Input length ({length}) must be smaller than the model context length ({context})."
        return Refused(400, message, "invalid_request_error")

    def unknown(self, model: str) -> Refused | None:
        """The words of openai/endpoints/common.py."""
        return Refused(404, f"The model {model!r} does not exist.", "not_found_error")

    def guards(self, path: str) -> bool:
        return not path.startswith(_OPEN)

    def health(self, *, healthy: bool, sleeping: bool = False) -> bytes:
        """A sleeping engine's is 200 too: the body tells them apart."""
        well = ("sleeping", "Engine is sleeping.") if sleeping else ("healthy", "Engine is healthy.")
        status, message = well if healthy else ("unhealthy", "Backend reported unhealthy.")
        return _encode({"status": status, "message": message})

    def adapter_answer(self, status: int, message: str, kind: str, adapters: Mapping[str, str]) -> tuple[int, bytes]:
        """Never asked: it has no path for it."""
        return status, message.encode()

    def models(self, served_name: str, adapters: Sequence[str], context: int, created: int) -> dict[str, Any]:
        return {"object": "list", "data": [_card(name, created) for name in (served_name, *adapters)]}

    def metrics(self, served_name: str, figures: Mapping[str, float]) -> str:
        label = f'{{engine="0",model_name="{served_name}"}}'
        lines = [
            f"lmdeploy:num_requests_running{label} {figures['running']}",
            f"lmdeploy:num_requests_waiting{label} {figures['waiting']}",
            f"lmdeploy:prompt_tokens_total{label} {figures['prompt_tokens']}",
            f"lmdeploy:generation_tokens_total{label} {figures['generation_tokens']}",
        ]
        return "\n".join(lines) + "\n"


def _event(payload: object) -> bytes:
    """As Python writes JSON: a space after each comma and colon, and nothing but ASCII."""
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _frame(job: Job, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{job.id}", "object": kind, "created": job.created, "model": job.model}


def _card(name: str, created: int) -> dict[str, Any]:
    head = {"id": name, "object": "model", "created": created, "owned_by": "lmdeploy", "root": name, "parent": None}
    grants = ("create_engine", "sampling", "logprobs", "search_indices", "view", "fine_tuning")
    refused = {"create_engine", "search_indices", "fine_tuning"}
    permission = {"id": "modelperm-fake", "object": "model_permission", "created": created}
    permission |= {f"allow_{each}": each not in refused for each in grants}
    permission |= {"organization": "*", "group": None, "is_blocking": False}
    return head | {"permission": [permission]}


def _usage(job: Job, made: int) -> dict[str, Any]:
    return job.usage_of(made) | {
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": None,
    }


def _reason(job: Job, finish: str) -> str:
    return "tool_calls" if job.tool and finish == "stop" else finish


def _ids(words: Sequence[str]) -> list[int]:
    return Vocabulary().encode("".join(words))


def _logprob(word: str) -> dict[str, Any]:
    return {"token": word, "bytes": list(word.encode()), "logprob": -0.1, "top_logprobs": []}


LMDEPLOY: Final = LMDeployDialect()
