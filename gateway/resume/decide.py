"""Whether an interrupted stream goes on with another worker, and by which call. Pure; called by `relay`.

Everything rests on token ids: the prompt's and the answer's so far are the continuation's prompt, so that the second
worker is in the very state in which the first one was. Where the text ends inside a token (half a character, or text
that the engine still holds back for the sake of a stop string) the continuation begins some tokens earlier.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engines.engine import Engine, HttpCall, Interrupted
from gateway.resume.request import CHAT, Asked, Reason
from gateway.resume.transcript import Mark, Transcript
from registry.snapshot import WorkerView


@dataclass(frozen=True, slots=True)
class Continuation:
    """The second worker's call, and what is needed to join its stream to the first one's."""

    call: HttpCall
    mark: Mark
    """Where it begins."""
    made: int
    """Characters that the tokens before it have made."""
    prompt_tokens: int | None
    """Of the client's own prompt; None: unknown, so no usage can be told."""
    repeats: str = ""
    """What the client has seen of the tokens that come again: the new text must begin with it."""
    repeated_ids: tuple[int, ...] = ()
    """Likewise of token ids, where the client asked for them."""


def twins(first: WorkerView, second: WorkerView) -> bool:
    """Whether both workers make the same tokens of the same prompt, as far as anybody can know."""
    return bool(first.fingerprint) and first.fingerprint == second.fingerprint


def decide(
    engine: Engine, path: str, body: bytes, served_name: str, asked: Asked, said: Transcript, context: int | None
) -> Continuation | Reason:
    """The continuation of what `said` holds, or why there is none. `context` is the worker's, in tokens."""
    said.understand()
    if said.obstacle is not None:
        return said.obstacle
    if said.finished:
        return Reason.FINISHED
    if said.told and said.prompt:
        return _by_ids(engine, Interrupted(path, body, served_name), asked, said, context)
    return _by_text(engine, Interrupted(path, body, served_name), asked, said)


def _by_ids(
    engine: Engine, interrupted: Interrupted, asked: Asked, said: Transcript, context: int | None
) -> Continuation | Reason:
    mark = _cut(asked, said)
    if isinstance(mark, Reason):
        return mark
    left = _left(asked, len(said.prompt), mark.tokens, context)
    if isinstance(left, Reason):
        return left
    ids = (*said.prompt, *said.tokens[: mark.tokens])
    call = engine.continuation(
        replace(interrupted, prompt=ids, max_tokens=left, min_tokens=max(0, asked.least - mark.tokens))
    )
    if call is None:
        return Reason.NO_TOKEN_IDS
    again = (*said.tokens[mark.tokens :], *said.ahead) if asked.ids else ()
    made = _made(mark, asked)
    return Continuation(call, mark, made, len(said.prompt), said.text[made:], again)


def _made(mark: Mark, asked: Asked) -> int:
    """Characters that the tokens before `mark` have made: those shown, and those that the engine held back then."""
    return mark.shown + asked.lag if mark.tokens else 0


def _cut(asked: Asked, said: Transcript) -> Mark | Reason:
    """The latest place at which no text is lost. What is made anew after it must be the same, or never shown."""
    marks = [mark for mark in said.marks if _made(mark, asked) <= said.shown]
    if not marks:
        return Reason.STOP
    mark = marks[-1]
    seen = _made(mark, asked) < said.shown or (asked.ids and mark.tokens < len(said.tokens) + len(said.ahead))
    if seen and not asked.greedy:
        return Reason.STOP if asked.lag else Reason.IDS_SHOWN
    before = said.text[: _made(mark, asked)]
    return Reason.STOP if _begins_a_stop(before, asked.stops) else mark


def _begins_a_stop(text: str, stops: tuple[str, ...]) -> bool:
    """Whether `text` ends with a beginning of a stop string: the second worker, which sees only what it makes, would
    not find the whole of it.
    """
    return any(text.endswith(stop[:length]) for stop in stops for length in range(1, len(stop)))


def _left(asked: Asked, prompt: int, emitted: int, context: int | None) -> int | Reason:
    """Tokens that the answer may still have."""
    room = None if context is None else context - prompt - emitted
    limits = [limit for limit in (room, None if asked.limit is None else asked.limit - emitted) if limit is not None]
    if not limits:
        return Reason.USED_UP
    return min(limits) if min(limits) > 0 else Reason.USED_UP


def _by_text(engine: Engine, interrupted: Interrupted, asked: Asked, said: Transcript) -> Continuation | Reason:
    """The chat again, with the partial answer as its last message: for engines that tell no token ids."""
    made = said.counted[1] if said.counted else None
    bounded = asked.limit is not None or asked.least > 0
    if interrupted.path != CHAT or asked.ids or (bounded and made is None):
        return Reason.NO_TOKEN_IDS
    if asked.lag or _begins_a_stop(said.text, asked.stops):
        return Reason.STOP
    left = None if asked.limit is None else asked.limit - (made or 0)
    if left is not None and left <= 0:
        return Reason.USED_UP
    least = max(0, asked.least - (made or 0))
    call = engine.continuation(replace(interrupted, text=said.text, max_tokens=left, min_tokens=least))
    if call is None:
        return Reason.NO_TOKEN_IDS
    prompt = said.counted[0] if said.counted else None
    return Continuation(call, Mark(said.shown, made or 0), said.shown, prompt)
