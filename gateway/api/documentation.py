"""The relayed paths in FastAPI's `/docs`: one example each, because their bodies pass through untouched.

FastAPI cannot see the pure ASGI endpoint, so its OpenAPI document is completed here. Called once, by `app`.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from gateway.operations import OPERATIONS, Operation

_CHAT: Final = [{"role": "user", "content": "What is the capital of France?"}]

EXAMPLES: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "/v1/chat/completions": {
        "chat": {"model": "default", "messages": _CHAT},
        "stream": {"model": "default", "messages": _CHAT, "stream": True, "stream_options": {"include_usage": True}},
        "JSON schema": {
            "model": "default",
            "messages": _CHAT,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                },
            },
        },
    },
    "/v1/completions": {"completion": {"model": "default", "prompt": "The capital of France is", "max_tokens": 8}},
    "/v1/responses": {"response": {"model": "default", "input": "What is the capital of France?"}},
    "/v1/messages": {"message": {"model": "default", "max_tokens": 64, "messages": _CHAT}},
    "/v1/messages/count_tokens": {"count": {"model": "default", "messages": _CHAT}},
    "/v1/embeddings": {"embedding": {"model": "an-embedding-model", "input": "hello"}},
    "/v1/rerank": {"rerank": {"model": "a-reranker", "query": "capital", "documents": ["Paris", "a pear"]}},
    "/v1/score": {"score": {"model": "a-reranker", "text_1": "capital", "text_2": "Paris"}},
    "/tokenize": {"tokenize": {"model": "default", "prompt": "Hello"}},
    "/detokenize": {"detokenize": {"model": "default", "tokens": [1, 2, 3]}},
}

_ENVELOPE: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

_REFUSALS: Final = {
    "400": "The request is not valid, or the engine refused it",
    "401": "No key, or a wrong one",
    "403": "The caller may not do this, or comes from elsewhere where no key is set",
    "404": "The model does not exist; the message lists what does",
    "413": "The body is too long",
    "415": "The body is compressed, or no JSON",
    "429": "The model's queue is full; see Retry-After",
    "431": "The headers are too long",
    "501": "The model's engine does not serve this path",
    "502": "The worker failed and nobody else could answer",
    "503": "The model is loading, or no worker can serve; see Retry-After",
    "504": "The worker took too long",
}


def document(api: FastAPI) -> None:
    """Add every operation to the OpenAPI document of `api`."""
    generated = api.openapi

    def complete() -> dict[str, Any]:
        schema = generated()
        for operation in OPERATIONS:
            schema["paths"][operation.path] = {"post": _described(operation)}
        return schema

    api.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _described(operation: Operation) -> dict[str, Any]:
    examples = {name: {"value": value} for name, value in EXAMPLES[operation.path].items()}
    error = {"application/json": {"schema": _ENVELOPE}}
    return {
        "tags": ["inference"],
        "summary": operation.summary,
        "description": "Relayed to the model's pool; every field that the engine knows passes through untouched.",
        "operationId": operation.name,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["model"],
                        "properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}},
                        "additionalProperties": True,
                    },
                    "examples": examples,
                }
            },
        },
        "responses": {
            "200": {"description": "The engine's answer", "content": {"application/json": {}, "text/event-stream": {}}},
            **{status: {"description": text, "content": error} for status, text in _REFUSALS.items()},
        },
    }
