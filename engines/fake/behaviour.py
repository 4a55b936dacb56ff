"""What the fake worker should do wrong, and when: one flat value. The wire and the generator obey it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The script of one request. Counts are tokens of the first choice; `None` and zero mean: behave.

    Invariant: a `Behaviour()` is a healthy worker.
    """

    tokens: int = 16
    """How long an answer is where the request does not bound it."""
    voice: str = ""
    """Put before every word, as an adapter's name is: for texts that are not ASCII."""
    halves: bool = False
    """Every word is two tokens, the first of which ends inside a character, so that its event shows no text."""
    ttft: float = 0.0
    """Seconds before the first token."""
    itl: float = 0.0
    """Seconds between tokens."""
    jitter: float = 0.0
    """Each wait is stretched by a seeded random share of itself, up to this."""
    status: int = 0
    """Answer with this error status instead (500, 502, 503, 429, …)."""
    share: float = 1.0
    """The share of requests that `status` applies to, drawn from the seeded random numbers."""
    only: str = ""
    """The one model or adapter that `status` applies to; empty: all."""
    retry_after: str = ""
    """The `Retry-After` of such an answer."""
    silent: bool = False
    """Accept and never answer."""
    hang_at: int | None = None
    """Stop generating after so many tokens, while `/health` stays 200."""
    exit_at: int | None = None
    """`os._exit(1)` after so many tokens."""
    abort_at: int | None = None
    """End with `finish_reason: "abort"` after so many tokens, as vLLM does on SIGTERM."""
    error_at: int | None = None
    """An error event instead of this token, then `[DONE]`, as vLLM does when its engine breaks."""
    malformed_at: int | None = None
    """This token's event is cut JSON."""
    bad_utf8_at: int | None = None
    """This token's event has a byte that is no UTF-8, and a NUL."""
    big_at: int | None = None
    """This token's event is 1 MB."""
    truncate_at: int | None = None
    """Close the connection in the middle of this token's event."""
    cut_at: int | None = None
    """Close the connection after so many bytes of the answer, its head included."""
    reset: bool = False
    """Cuts are RST, not FIN."""
    no_done: bool = False
    """Leave out `[DONE]`."""
    no_final_newline: bool = False
    """The last event lacks its blank line."""
    crlf: bool = False
    """Lines of the stream end with CR LF."""
    comments: bool = False
    """A comment line before every event."""
    slice: int = 0
    """Write at most so many bytes at a time."""
    wrong_length: int = 0
    """Added to the Content-Length of a plain answer."""
    bad_chunk_at: int | None = None
    """This chunk of a stream has a header that is no number."""
    close: bool = False
    """Answer with `Connection: close`."""
    drop_keep_alive: bool = False
    """Close the connection after each answer without having said so."""
    ignore_disconnect: bool = False
    """Go on generating when the client has left, and count it."""
    unhealthy: bool = False
    """`/health` answers 503."""
    adapter_delay: float = 0.0
    """Seconds that an adapter takes to load."""
    adapter_status: int = 0
    """Refuse to load adapters with this status."""


FIELDS: Final = tuple(msgspec.structs.fields(Behaviour))


def changed(behaviour: Behaviour, overrides: Mapping[str, Any]) -> Behaviour:
    """`behaviour` with some fields replaced; values may be text. Raises `msgspec.ValidationError`."""
    merged = {**msgspec.structs.asdict(behaviour), **{key.replace("-", "_"): value for key, value in overrides.items()}}
    return msgspec.convert(merged, Behaviour, strict=False)


def header_overrides(headers: Mapping[str, str]) -> dict[str, str]:
    """What the `x-fake-*` headers of a request ask for."""
    return {name.removeprefix("x-fake-"): value for name, value in headers.items() if name.startswith("x-fake-")}


class Script:
    """The standing behaviour and the one-shot ones queued before it. Each request takes one, in order."""

    def __init__(self, standing: Behaviour, seed: int) -> None:
        self.standing = standing
        self._next: Final[deque[Behaviour]] = deque()
        self._random: Final = random.Random(seed)  # noqa: S311 (repeatable faults, no secrets)

    def rewrite(self, order: Mapping[str, Any]) -> None:
        """Applies `{"reset": true, "set": {…}, "next": [{…}, …]}`, in this order; every key is optional."""
        if order.get("reset"):
            self.standing = Behaviour()
            self._next.clear()
        self.standing = changed(self.standing, order.get("set", {}))
        self._next.extend(changed(self.standing, each) for each in order.get("next", ()))

    def take(self, overrides: Mapping[str, Any]) -> Behaviour:
        """The behaviour of the request that has just come."""
        return changed(self._next.popleft() if self._next else self.standing, overrides)

    def draw(self) -> float:
        """A repeatable random number in 0…1."""
        return self._random.random()
