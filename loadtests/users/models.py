"""Which model the users ask, and whether there is a server to ask at all. Called before a test begins."""

from __future__ import annotations

import json
from typing import Any, Final

from loadtests.users.answers import Bad, code, refused
from loadtests.users.connection import Connection, api_url
from loadtests.users.settings import Mistaken, Settings

_PATIENCE: Final = 10.0
"""Seconds that the server may take for the list of its models: a test that cannot begin should say so at once."""
_SHOWN: Final = 5


def choose_model(host: str, settings: Settings) -> str:
    """The model to test at `host`. Raises `Mistaken` where there is no server, no such model, or the key is refused."""
    try:
        connection = Connection(api_url(host), settings.key, _PATIENCE)
    except ValueError as wrong:
        raise Mistaken(f"HOST: {wrong}") from None
    try:
        with connection.exchange("GET", "/models") as response:
            status, body = response.status, response.read()
    except Bad as bad:
        raise Mistaken(f"no server to test at {host}: {bad}") from None
    finally:
        connection.close()
    if status in {401, 403}:
        raise Mistaken(f"{host} refuses the key ({refused(status, body)}): set OPENAI_API_KEY")
    names = listed(body) if status == 200 else None
    if settings.model:
        if names is not None and settings.model not in names:
            _try_out(host, settings, names)
        return settings.model
    if names is None:
        what = "without a list of models" if status == 200 else f"with {refused(status, body)}"
        raise Mistaken(f"{host} answers /v1/models {what}: name the model with MODEL=…")
    if not names:
        raise Mistaken(f"{host} serves no model yet")
    return names[0]


def listed(body: bytes) -> list[str] | None:
    """The names in an answer of `/v1/models`; None where it is no such answer."""
    try:
        answer: Any = json.loads(body)
        return [str(each["id"]) for each in answer["data"]]
    except (ValueError, KeyError, TypeError):
        return None


def _try_out(host: str, settings: Settings, names: list[str]) -> None:
    """A name that is not listed may still be served, an alias for one: only the server's refusal is believed."""
    connection = Connection(api_url(host), settings.key, settings.timeout)
    body = {"model": settings.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    sent = {"Content-Type": "application/json"}
    try:
        with connection.exchange("POST", "/chat/completions", json.dumps(body).encode(), sent) as response:
            status, answer = response.status, response.read()
    except Bad:
        return  # whatever that is, it is for the test to count
    finally:
        connection.close()
    if status == 404:
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") or "none"
        raise Mistaken(f"{host} has no model {settings.model!r} ({_words(answer)}); it lists: {shown}")


def _words(answer: bytes) -> str:
    try:
        return code(json.loads(answer))
    except (ValueError, KeyError, TypeError):
        return "404"
