"""vLLM 0.32 on the wire, as it was seen running (ENGINES.md) and read in vllm/entrypoints/openai, …/anthropic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from engines.fake.dialects.dialect import Shape, Verbs
from engines.fake.dialects.vllm_typed import MESSAGES, RESPONSES
from engines.fake.job import Job, Refused

_encode: Final = msgspec.json.Encoder().encode


def _event(payload: object) -> bytes:
    return b"data: " + _encode(payload) + b"\n\n"


class Chat:
    """`/v1/chat/completions`."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        delta = {"role": "assistant", "content": ""}
        extra = {"prompt_token_ids": list(job.prompt_ids)} if job.token_ids else {}
        return [_event(self._chunk(job, choice, delta, None) | extra) for choice in range(job.choices)]

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        chunk = self._chunk(job, choice, self._delta(job, index), finish, index=index)
        if job.continuous_usage:
            chunk["usage"] = job.usage_of(index + 1)
        return _event(chunk)

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        events = [] if finish == "length" else [self._last(job, choice, finish) for choice in range(job.choices)]
        if job.usage:
            events.append(_event(self._frame(job) | {"choices": [], "usage": job.usage_of(made)}))
        return events

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        choices = [self._choice(job, choice, finish) for choice in range(job.choices)]
        return self._frame(job, "chat.completion") | {
            "choices": choices,
            "usage": job.usage_of(len(job.words) * job.choices),
            "prompt_token_ids": list(job.prompt_ids) if job.token_ids else None,
        }

    def _choice(self, job: Job, choice: int, finish: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(job.words), "tool_calls": []}
        if job.tool:
            call = {"id": f"call-{job.id}", "type": "function", "function": {"name": job.tool, "arguments": "{}"}}
            message |= {"content": None, "tool_calls": [call]}
        return {
            "index": choice,
            "message": message,
            "logprobs": {"content": [_chat_logprob(each) for each in job.words]} if job.logprobs else None,
            "finish_reason": finish,
            "stop_reason": None,
            "token_ids": list(job.ids) if job.token_ids else None,
        }

    def _delta(self, job: Job, index: int) -> dict[str, Any]:
        if not job.tool:
            return {"content": job.words[index]}
        if index:
            return {"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}
        function = {"name": job.tool, "arguments": "{}"}
        return {"tool_calls": [{"id": f"call-{job.id}", "type": "function", "index": 0, "function": function}]}

    def _last(self, job: Job, choice: int, finish: str) -> bytes:
        return _event(self._chunk(job, choice, {"content": ""}, finish))

    def _chunk(
        self, job: Job, choice: int, delta: Mapping[str, Any], finish: str | None, *, index: int | None = None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}
        if index is not None and job.logprobs:
            body["logprobs"] = {"content": [_chat_logprob(job.words[index])]}
        if job.token_ids:
            body["token_ids"] = [] if index is None else [job.ids[index]]
        return self._frame(job) | {"choices": [body]}

    def _frame(self, job: Job, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        return {"id": f"chatcmpl-{job.id}", "object": kind, "created": job.created, "model": job.model}


class Completion:
    """`/v1/completions`."""

    done: Final = b"data: [DONE]\n\n"

    def opening(self, job: Job) -> list[bytes]:
        return []

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        return _event(self._frame(job) | {"choices": [self._choice(job, choice, slice(index, index + 1), finish)]})

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        last = (
            []
            if finish == "length"
            else [self._choice(job, choice, slice(len(job.words), None), finish) for choice in range(job.choices)]
        )
        events = [_event(self._frame(job) | {"choices": [each]}) for each in last]
        if job.usage:
            events.append(_event(self._frame(job) | {"choices": [], "usage": job.usage_of(made)}))
        return events

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        choices = [self._choice(job, choice, slice(None), finish) for choice in range(job.choices)]
        return self._frame(job) | {"choices": choices, "usage": job.usage_of(len(job.words) * job.choices)}

    def _choice(self, job: Job, choice: int, part: slice, finish: str | None) -> dict[str, Any]:
        words = job.words[part]
        logprobs = {
            "text_offset": [0] * len(words),
            "token_logprobs": [-0.1] * len(words),
            "tokens": list(words),
            "top_logprobs": [{each: -0.1} for each in words],
        }
        return {
            "index": choice,
            "text": "".join(words),
            "logprobs": logprobs if job.logprobs else None,
            "finish_reason": finish,
            "stop_reason": None,
            "prompt_token_ids": list(job.prompt_ids) if job.token_ids and not part.start else None,
            "token_ids": list(job.ids[part]) if job.token_ids else None,
        }

    def _frame(self, job: Job) -> dict[str, Any]:
        return {"id": f"cmpl-{job.id}", "object": "text_completion", "created": job.created, "model": job.model}


class VLLMDialect:
    """All of vLLM's endpoints that the fake worker has."""

    verbs: Final = Verbs("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/sleep", "/wake_up")
    health_takes: Final = 0.0
    sleeping_status: Final = 200
    shapes: Final[Mapping[str, Shape]] = {
        "/v1/chat/completions": Chat(),
        "/v1/completions": Completion(),
        "/v1/responses": RESPONSES,
        "/v1/messages": MESSAGES,
    }

    def error(self, refused: Refused) -> dict[str, Any]:
        """The engine's `code` is the status, a number (ENGINES.md)."""
        fields = {"message": refused.message, "type": refused.kind, "param": refused.param, "code": refused.status}
        return {"error": fields}

    def breaking(self, job: Job, made: int) -> list[bytes]:
        return [_event(self.error(Refused(500, "EngineCore encountered an issue.", "InternalServerError")))]

    def too_long(self, context: int, length: int) -> Refused:
        """The words of vllm/renderers/params.py, 0.32."""
        return Refused(
            400,
            f"This model's maximum context length is {context} tokens. However, your prompt contains {length} input "
            "tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input "
            f"prompt. (parameter=input_tokens, value={length})",
            "BadRequestError",
            "input_tokens",
        )

    def unknown(self, model: str) -> Refused | None:
        return Refused(404, f"The model `{model}` does not exist.", "NotFoundError", "model")

    def guards(self, path: str) -> bool:
        return path.startswith("/v1")

    def health(self, *, healthy: bool, sleeping: bool = False) -> bytes:
        return b""

    def adapter_answer(self, status: int, message: str, kind: str, adapters: Mapping[str, str]) -> tuple[int, bytes]:
        """A text, or an error like any other (entrypoints/serve/lora/api_router.py)."""
        return status, _encode(self.error(Refused(status, message, kind))) if kind else message.encode()

    def models(self, served_name: str, adapters: Sequence[str], context: int, created: int) -> dict[str, Any]:
        card = {"object": "model", "created": created, "owned_by": "vllm"}
        own = card | {"id": served_name, "root": served_name, "parent": None, "max_model_len": context}
        added = [card | {"id": name, "root": name, "parent": served_name, "max_model_len": None} for name in adapters]
        return {"object": "list", "data": [own, *added]}

    def metrics(self, served_name: str, figures: Mapping[str, float]) -> str:
        label = f'{{engine="0",model_name="{served_name}"}}'
        lines = [
            f"vllm:num_requests_running{label} {figures['running']}",
            f"vllm:kv_cache_usage_perc{label} {figures.get('cache_usage', 0.0)}",
            f"vllm:num_requests_waiting{label} {figures['waiting']}",
            f"vllm:prompt_tokens_total{label} {figures['prompt_tokens']}",
            f"vllm:generation_tokens_total{label} {figures['generation_tokens']}",
        ]
        return "\n".join(lines) + "\n"


def _chat_logprob(word: str) -> dict[str, Any]:
    return {"token": word, "logprob": -0.1, "bytes": list(word.encode()), "top_logprobs": []}


VLLM: Final = VLLMDialect()
