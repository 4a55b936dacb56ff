"""The two endpoints of vLLM whose events are named: OpenAI's responses and Anthropic's messages."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engines.fake.job import Job

_encode: Final = msgspec.json.Encoder().encode
_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}


def _named(payload: dict[str, Any]) -> bytes:
    return f"event: {payload['type']}\n".encode() + b"data: " + _encode(payload) + b"\n\n"


class Responses:
    """`/v1/responses`: events are numbered; the last one carries the whole answer. One choice only."""

    done: Final = b""

    def opening(self, job: Job) -> list[bytes]:
        begun = self._response(job, "in_progress", [])
        item = {"id": f"msg_{job.id}", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        where = {"item_id": item["id"], "output_index": 0}
        payloads: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", "content_index": 0, "part": part} | where,
        ]
        return [_named(payload | {"sequence_number": number}) for number, payload in enumerate(payloads)]

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        where = {"item_id": f"msg_{job.id}", "output_index": 0, "content_index": 0, "logprobs": []}
        payload = {"type": "response.output_text.delta", "delta": job.words[index], "sequence_number": 4 + index}
        return _named(payload | where)

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        text = "".join(job.words[:made])
        where = {"item_id": f"msg_{job.id}", "output_index": 0}
        whole = self.whole(job, finish)
        payloads: list[dict[str, Any]] = [
            {"type": "response.output_text.done", "content_index": 0, "text": text, "logprobs": []} | where,
            {"type": "response.content_part.done", "content_index": 0, "part": self._part(text)} | where,
            {"type": "response.output_item.done", "output_index": 0, "item": self._item(job, text)},
            {"type": "response.completed", "response": whole},
        ]
        return [_named(payload | {"sequence_number": 4 + made + at}) for at, payload in enumerate(payloads)]

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        status = "completed" if finish == "stop" else "incomplete"
        made = len(job.words)
        prompt = len(job.prompt_ids)
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + made,
        }
        return self._response(job, status, [self._item(job, "".join(job.words))]) | {"usage": usage}

    def _response(self, job: Job, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"resp_{job.id}",
            "object": "response",
            "created_at": job.created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": job.model,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": {},
        }

    def _item(self, job: Job, text: str) -> dict[str, Any]:
        head = {"id": f"msg_{job.id}", "type": "message", "status": "completed", "role": "assistant"}
        return head | {"content": [self._part(text)]}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": None}


class Messages:
    """`/v1/messages`: Anthropic's events; `message_stop` ends a stream, there is no `[DONE]`. One choice only."""

    done: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def opening(self, job: Job) -> list[bytes]:
        message = self._message(job, [], None, 0)
        block = {"type": "text", "text": ""}
        return [
            _named({"type": "message_start", "message": message}),
            _named({"type": "content_block_start", "index": 0, "content_block": block}),
        ]

    def token(self, job: Job, choice: int, index: int, finish: str | None) -> bytes:
        delta = {"type": "text_delta", "text": job.words[index]}
        return _named({"type": "content_block_delta", "index": 0, "delta": delta})

    def closing(self, job: Job, finish: str, made: int) -> list[bytes]:
        usage = {"input_tokens": len(job.prompt_ids), "output_tokens": made}
        delta = {"stop_reason": _STOP_REASONS.get(finish, finish)}
        return [
            _named({"type": "content_block_stop", "index": 0}),
            _named({"type": "message_delta", "delta": delta, "usage": usage}),
        ]

    def whole(self, job: Job, finish: str) -> dict[str, Any]:
        blocks = [{"type": "text", "text": "".join(job.words)}]
        return self._message(job, blocks, _STOP_REASONS.get(finish, finish), len(job.words))

    def _message(self, job: Job, blocks: list[dict[str, str]], stop: str | None, made: int) -> dict[str, Any]:
        return {
            "id": f"msg_{job.id}",
            "type": "message",
            "role": "assistant",
            "content": blocks,
            "model": job.model,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": len(job.prompt_ids), "output_tokens": made},
        }


RESPONSES: Final = Responses()
MESSAGES: Final = Messages()
