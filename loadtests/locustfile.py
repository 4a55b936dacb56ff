"""Locust's users for any OpenAI-compatible server, and the rows that they add to Locust's tables.

`make loadtest` runs it headless; `locust -f loadtests/locustfile.py --host URL`, from the repository's folder, with
Locust's web page. Every kind of answer has a row POST, of whole requests. Beside it are rows that are no requests and
count for no total: TTFT (ms to a stream's first token), ITL (ms between its tokens) and TOK/S (tokens a second that one
user got, in the columns where other rows have milliseconds). docs/load-testing.md says how to read them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import gevent
from locust import User, constant, events, task

from loadtests.users.asking import Outcome, ask, listen
from loadtests.users.connection import Connection, api_url
from loadtests.users.prompts import Asker
from loadtests.users.run import Run, prepare

_REST: Final = 0.1
"""Seconds that a user waits after he found no server: refusals cost nothing, and would drown all else in the tables."""

events.init.add_listener(prepare)


class ModelUser(User):
    """A user that asks, reads, and asks again at once: USERS is how many requests are under way."""

    abstract = True
    wait_time = constant(0)
    name = ""
    path = ""

    def on_start(self) -> None:
        """Take a number, which seeds the questions, and prepare a connection."""
        self.shared: Run = self.environment.enginehouse
        base = api_url(self.host or "")
        self._url = base + self.path
        self._asker = Asker(self.shared.settings.seed, self.shared.next_user())
        self._connection = Connection(base, self.shared.settings.key, self.shared.settings.timeout)

    def on_stop(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def body(self, prompt: str) -> dict[str, Any]:
        """The request for `prompt`."""
        return {"messages": [{"role": "user", "content": prompt}]}

    def go(self, way: Callable[[Connection, str, Mapping[str, Any], Callable[[], float]], Outcome]) -> None:
        """One request in the `way` of this user, told to Locust."""
        settings = self.shared.settings
        fields = {"model": self.shared.model, "max_tokens": settings.max_tokens}
        body = fields | self.body(self._asker.prompt()) | dict(settings.extra)
        began = time.time()  # noqa: TID251 (Locust's listeners want the time of day)
        outcome = way(self._connection, self.path, body, time.perf_counter)
        self.shared.tell(self.name, outcome, began, self._url)
        if outcome.unreachable:
            gevent.sleep(_REST)


class ChatUser(ModelUser):
    """Asks for a chat answer in one piece."""

    name = "chat"
    path = "/chat/completions"

    @task
    def chat(self) -> None:
        """One answer."""
        self.go(ask)


class StreamUser(ModelUser):
    """Asks for a streamed chat answer: what most people do, so most users are of this kind."""

    weight = 2
    name = "stream"
    path = "/chat/completions"

    def body(self, prompt: str) -> dict[str, Any]:
        """The same as a chat's, streamed and with usage."""
        return super().body(prompt) | {"stream": True, "stream_options": {"include_usage": True}}

    @task
    def stream(self) -> None:
        """One answer."""
        self.go(listen)


class CompletionUser(ModelUser):
    """Asks for a plain completion."""

    name = "completions"
    path = "/completions"

    def body(self, prompt: str) -> dict[str, Any]:
        """A prompt without roles."""
        return {"prompt": prompt}

    @task
    def complete(self) -> None:
        """One answer."""
        self.go(ask)
