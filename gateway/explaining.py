"""What became of a request, in words and numbers: where it went and why, where its time went, and who ended it.

Pure: an `Exchange` in, values for JSON out. Used by `api.requests`. No text of the request or the answer is in an
`Exchange`, so none can be here.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gateway.exchange import Attempt, Exchange

_MILLION: Final = 1_000_000


class Phase(StrEnum):
    """What a stretch of a request's time was spent on."""

    RECEIVE = "receive"
    """Reading and understanding the request."""
    QUEUE = "queue"
    """Waiting for a worker, and choosing it."""
    CONNECT = "connect"
    """Opening a connection to the worker."""
    FIRST_TOKEN = "first_token"  # noqa: S105 - no secret
    """A stream, from sending to the first event with content."""
    DECODE = "decode"
    """A stream, from there to its end at the client."""
    ANSWER = "answer"
    """A whole answer, from sending until it has come."""
    FAILED = "failed"
    """At a worker that gave nothing in the end."""
    REST = "rest"
    """Everything else of the gateway's: waiting for leave to try again, the last writes."""


class EndedBy(StrEnum):
    """Who ended a request."""

    COMPLETE = "complete"
    """Nobody: it was answered."""
    CLIENT = "client"
    """It left."""
    WORKER = "worker"
    """It failed, or refused."""
    GATEWAY = "gateway"
    """It refused, or a limit of the model's was reached."""
    DRAIN = "drain"
    """The gateway was stopping, and its time was over."""


class Stretch(NamedTuple):
    """A part of a request's time, in whole microseconds from its receipt."""

    phase: Phase
    attempt: int | None
    """Which one it belongs to, from 1."""
    at: int
    length: int


def ended_by(exchange: Exchange) -> EndedBy:
    """Who ended `exchange`, which is over."""
    code = exchange.code
    if not code:
        return EndedBy.COMPLETE
    if code == "client_gone":
        return EndedBy.CLIENT
    if code == "shutting_down":
        return EndedBy.DRAIN
    failed = bool(exchange.trials) and bool(exchange.trials[-1].code)
    return EndedBy.WORKER if failed and not code.endswith("_timeout") else EndedBy.GATEWAY


class _Line:
    """A time line in the making. Invariant: its stretches follow on each other without a gap, from 0."""

    def __init__(self, started: float, ended: float) -> None:
        self._started: Final = started
        self._ended: Final = max(started, ended)
        self._at = 0
        self.stretches: Final[list[Stretch]] = []

    def until(self, moment: float | None, phase: Phase, attempt: int | None = None) -> None:
        """What came next was `phase`, until `moment` (None: the end)."""
        moment = self._ended if moment is None else min(moment, self._ended)
        at = round((moment - self._started) * _MILLION)
        if at > self._at:
            self.stretches.append(Stretch(phase, attempt, self._at, at - self._at))
            self._at = at


def timeline(exchange: Exchange, ended: float) -> list[Stretch]:
    """All of the request's time until `ended`: its stretches add up to the whole, to the microsecond."""
    line = _Line(exchange.started, ended)
    trials = exchange.trials
    for number, trial in enumerate(trials, 1):
        following = trials[number] if number < len(trials) else None
        line.until(trial.asked, Phase.RECEIVE if number == 1 else Phase.REST)
        line.until(trial.leased, Phase.QUEUE, number)
        connected = (exchange if following is None else following).connected - trial.connected
        line.until(trial.leased + connected, Phase.CONNECT, number)
        _at_worker(line, exchange, trial, number)
    if exchange.asked is not None and (not trials or exchange.asked > trials[-1].leased):
        line.until(exchange.asked, Phase.REST if trials else Phase.RECEIVE)
        line.until(None, Phase.QUEUE)
    line.until(None, Phase.REST if trials else Phase.RECEIVE)
    return line.stretches


def _at_worker(line: _Line, exchange: Exchange, trial: Attempt, number: int) -> None:
    """What the time between a worker's having the request and its end, or the answer's, was spent on."""
    first = _first_token(exchange, trial)
    if first is not None:
        line.until(first, Phase.FIRST_TOKEN, number)
        line.until(trial.ended, Phase.DECODE, number)
    elif trial.code:
        line.until(trial.ended, Phase.FAILED, number)
    elif exchange.stream:
        line.until(trial.ended, Phase.FIRST_TOKEN, number)
    else:
        line.until(trial.ended or exchange.answered, Phase.ANSWER, number)


def _first_token(exchange: Exchange, trial: Attempt) -> float | None:
    """When the first token of this attempt came."""
    if trial.first_token is not None or exchange.first_token is None:
        return trial.first_token
    mine = trial.leased <= exchange.first_token and (trial.ended is None or exchange.first_token <= trial.ended)
    return exchange.first_token if mine else None


def _continues(exchange: Exchange, trial: Attempt) -> bool:
    """Whether it was to take a stream up in the middle."""
    return exchange.first_token is not None and trial.asked > exchange.first_token


def explain(exchange: Exchange, now: float, wall: float, same_id: int) -> dict[str, Any]:
    """Everything there is to say. `now` is of the clock of the exchange's times, `wall` is Unix time, seconds.

    `same_id`: how many requests had its id. Times are whole microseconds, so that they add up exactly.
    """
    ended = now if exchange.ended is None else exchange.ended
    line = timeline(exchange, ended)
    usage = exchange.usage
    return {
        "request_id": exchange.request_id,
        "same_id": same_id,
        "began": round(wall - (now - exchange.started), 3),
        "client": exchange.client,
        "operation": exchange.operation,
        "stream": exchange.stream,
        "target": {
            "requested": exchange.requested,
            "model": exchange.model if exchange.served_name else None,
            "served_name": exchange.served_name or None,
            "engine": exchange.engine or None,
        },
        "status": exchange.status or None,
        "error": exchange.code or None,
        "ended_by": None if exchange.ended is None else ended_by(exchange),
        "retries": max(0, sum(not _continues(exchange, trial) for trial in exchange.trials) - 1),
        "resumes": exchange.resumes,
        "usage": None if usage is None else {"prompt": usage.prompt, "completion": usage.completion},
        "microseconds": _sums(line),
        "timeline": [each._asdict() for each in line],
        "attempts": [_attempt(exchange, number, line) for number in range(1, len(exchange.trials) + 1)],
    }


def _sums(line: list[Stretch]) -> dict[str, int]:
    """By phase, and the whole."""
    sums: Counter[Phase] = Counter()
    for stretch in line:
        sums[stretch.phase] += stretch.length
    return {phase.value: sums[phase] for phase in Phase} | {"total": sums.total()}


def _attempt(exchange: Exchange, number: int, line: list[Stretch]) -> dict[str, Any]:
    trial = exchange.trials[number - 1]
    why = trial.why
    return {
        "attempt": number,
        "worker": trial.worker,
        "continues": _continues(exchange, trial),
        "reason": str(why.reason.value),
        "cached_blocks": f"{why.matched} of {why.blocks}" if why.blocks else None,
        "among": why.among,
        "candidates": [{"worker": worker, "load": round(load, 2)} for worker, load in trial.loads.items()],
        "error": trial.code or None,
        "message": trial.fault or None,
        "microseconds": _sums([each for each in line if each.attempt == number]),
    }
