"""What a supervisor announces, in words for the person who started it. Called by `cli.serve`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cli.greeting import greeting
from cli.show import duration, now_of_day
from engines.supervisor.events import (
    AdapterDeclined,
    AdaptersApart,
    AdaptersTogether,
    AdapterTaken,
    Announcement,
    CutShort,
    Draining,
    GatewayLost,
    GatewayStarted,
    Listening,
    ModelFailed,
    ModelReady,
    Reloaded,
    ReloadRefused,
    RolledBack,
    Scaled,
    Stopped,
    Swapped,
    Swapping,
    WorkerLost,
)


class News:
    """Turns announcements into lines. Remembers whether some model has been ready: the first is greeted at length."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        keyed: bool = False,
        stamp: Callable[[], str] = now_of_day,
    ) -> None:
        self._write: Final = write
        self._stamp: Final = stamp
        self._keyed: Final = keyed
        self._url = ""
        self.was_ready = False

    def announce(self, event: Announcement) -> None:
        """Say what has happened, if a person wants to know."""
        match event:
            case GatewayStarted(_, 0):
                return
            case Listening(url):
                self._url = url
        self._write(f"{self._stamp()} {sentence(event)}")
        match event:
            case ModelReady(model, _) if not self.was_ready:
                self._write(f"\n{greeting(self._url, model, keyed=self._keyed)}")
                self.was_ready = True


def sentence(event: Announcement) -> str:  # noqa: C901, PLR0911, PLR0912 - one for each kind
    """An announcement in words; several lines where a log's end belongs to it."""
    match event:
        case GatewayStarted(pid, restarts):
            return f"gateway started again (pid {pid}, restart {restarts})"
        case GatewayLost(reason, log):
            return f"gateway lost: {reason}; log: {log}"
        case ModelFailed(model, reason, float(retry_in)):
            return f"{model}: {reason}\n  trying again in {duration(retry_in)}"
        case ModelFailed(model, reason, _):
            return f"{model}: {reason}"
        case WorkerLost():
            return _lost(event)
        case Scaled(model, before, size):
            return f"{model}: {before} → {size} workers, as its requests need"
        case Reloaded(steps):
            return f"registry reloaded: {', '.join(map(str, steps)) or 'nothing has changed'}"
        case ReloadRefused(faults):
            listed = "".join(f"\n  {fault}" for fault in faults)
            return f"the registry file is refused, everything stays as it is:{listed}"
        case AdapterTaken() | AdapterDeclined() | AdaptersApart() | AdaptersTogether():
            return _of_adapters(event)
        case Swapping(model):
            return f"{model}: changed; its new workers come up beside the old ones"
        case Swapped(model, seconds, parity):
            return f"{model}: swapped after {duration(seconds)}; the old workers end what they have; {parity}"
        case RolledBack(model, reason):
            return f"{model}: the change is rolled back, the old workers go on: {reason}"
        case CutShort(model, seconds):
            return f"{model}: stopped old workers that still had requests after {duration(seconds)}"
        case Draining(seconds):
            return f"stopping: open requests have {duration(seconds)}; Ctrl-C again stops at once"
        case Stopped():
            return "stopped; nothing is left running"
        case Listening(url):
            return f"listening on {url}; until a model is ready, requests are answered 503"
        case ModelReady(model, seconds):
            return f"{model} is ready after {duration(seconds)}"


def _of_adapters(event: AdapterTaken | AdapterDeclined | AdaptersApart | AdaptersTogether) -> str:
    match event:
        case AdapterTaken(model, adapter, digest):
            return f"{model}:{adapter} stands for {digest[:16]} now"
        case AdapterDeclined(model, adapter, reason):
            return f"{model}:{adapter} is refused, everything stays as it is: {reason}"
        case AdaptersApart(reason):
            return f"adapters shared with other hosts: {reason}"
        case AdaptersTogether():
            return "adapters shared with other hosts: in step again"


def _lost(event: WorkerLost) -> str:
    held = "the next request starts another" if event.slept else "it is held down"
    again = held if event.retry_in is None else f"starting again in {duration(event.retry_in)}"
    tail = "".join(f"\n  | {line}" for line in event.tail)
    return f"{event.model}: worker {event.worker} ended: {event.reason}; {again}{tail}\n  log: {event.log}"
