"""What `serve` says when a model can answer: one line, and two calls to paste. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Final

QUESTION: Final = "What is the capital of France?"


def greeting(url: str, model: str, *, keyed: bool) -> str:
    """The ready line for `model` at `url` (no slash at the end), a `curl` and an `openai` call.

    `keyed`: the gateway asks for a key, which the calls take from $ENGINEHOUSE_API_KEY.
    """
    return f"ready: {model} at {url}/v1\n\n{curl(url, model, keyed=keyed)}\n\n{openai(url, model, keyed=keyed)}\n"


def curl(url: str, model: str, *, keyed: bool) -> str:
    """A chat in a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}]})
    key = ' \\\n  -H "authorization: Bearer $ENGINEHOUSE_API_KEY"' if keyed else ""
    return (
        f"curl {shlex.quote(f'{url}/v1/chat/completions')} -H 'content-type: application/json'{key} \\\n"
        f"  -d {shlex.quote(body)}"
    )


def openai(url: str, model: str, *, keyed: bool) -> str:
    """The same with OpenAI's client."""
    key = 'os.environ["ENGINEHOUSE_API_KEY"]' if keyed else '"none"'
    lines = [
        "from openai import OpenAI",
        f"client = OpenAI(base_url={json.dumps(url + '/v1')}, api_key={key})",
        f"answer = client.chat.completions.create(model={json.dumps(model)},",
        f'    messages=[{{"role": "user", "content": {json.dumps(QUESTION)}}}])',
        "print(answer.choices[0].message.content)",
    ]
    return "\n".join(["import os", *lines] if keyed else lines)
