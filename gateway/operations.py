"""The inference paths that the gateway relays: one list, one row a path, no code per path.

A row says what a request's stream looks like on the wire: how it ends well and how a failure is told after
the first byte. `api.inference` mounts every row; `relay` and `reading` follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import GatewayError


def _openai_failure(failure: GatewayError) -> bytes:
    # The openai client raises on a `data:` line with `error`, and ends silently on a bare end of file.
    return b"data: " + failure.body() + b"\n\n"


def _responses_failure(failure: GatewayError) -> bytes:
    event = {"type": "error", "code": failure.code, "message": str(failure), "param": failure.param}
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _anthropic_failure(failure: GatewayError) -> bytes:
    event = {"type": "error", "error": {"type": "api_error", "message": str(failure)}}
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Operation:
    """One relayed path."""

    path: str
    name: str
    """`gen_ai_operation_name` in the metrics, after OpenTelemetry."""
    summary: str
    terminals: frozenset[str] = frozenset()
    """Event types that end a stream well; empty: the stream ends with `data: [DONE]`."""
    failure: Callable[[GatewayError], bytes] = _openai_failure
    """The one SSE event that tells a failure after the first byte."""
    usage_on_request: bool = False
    """Whether a stream carries usage only where `stream_options.include_usage` asks for it."""

    @property
    def streams(self) -> bool:
        """Whether `stream: true` means anything here; elsewhere engines pass over it."""
        return self.usage_on_request or bool(self.terminals)


OPERATIONS: Final = (
    Operation("/v1/chat/completions", "chat", "Answer a chat", usage_on_request=True),
    Operation("/v1/completions", "text_completion", "Continue a text", usage_on_request=True),
    Operation(
        "/v1/responses",
        "responses",
        "OpenAI's Responses API",
        terminals=frozenset({"response.completed", "response.incomplete"}),
        failure=_responses_failure,
    ),
    Operation(
        "/v1/messages",
        "messages",
        "Anthropic's Messages API",
        terminals=frozenset({"message_stop"}),
        failure=_anthropic_failure,
    ),
    Operation("/v1/messages/count_tokens", "count_tokens", "Count the tokens of an Anthropic message"),
    Operation("/v1/embeddings", "embeddings", "Embed texts (engines of generative models refuse it)"),
    Operation("/v1/rerank", "rerank", "Rank documents (engines of generative models refuse it)"),
    Operation("/v1/score", "score", "Score text pairs (engines of generative models refuse it)"),
    Operation("/tokenize", "tokenize", "Token ids of a text or a chat"),
    Operation("/detokenize", "detokenize", "Text of token ids"),
)

BY_PATH: Final = {operation.path: operation for operation in OPERATIONS}
