"""What a supervisor announces, in words for the person who started it. Called by `cli.serve`."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Final

from cli.greeting import greeting
from cli.show import duration, now_of_day
from engines.ledger.events import AdapterDeclined, AdaptersApart, AdaptersTogether, AdapterTaken
from engines.supervisor.events import (
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


@singledispatch
def sentence(event: Announcement) -> str:
    """An announcement in words; several lines where a log's end belongs to it. One function for each kind."""
    raise NotImplementedError(type(event).__name__)


@sentence.register
def _(event: Listening) -> str:
    return f"listening on {event.url}; until a model is ready, requests are answered 503"


@sentence.register
def _(event: GatewayStarted) -> str:
    return f"gateway started again (pid {event.pid}, restart {event.restarts})"


@sentence.register
def _(event: GatewayLost) -> str:
    return f"gateway lost: {event.reason}; log: {event.log}"


@sentence.register
def _(event: ModelReady) -> str:
    return f"{event.model} is ready after {duration(event.seconds)}"


@sentence.register
def _(event: ModelFailed) -> str:
    again = "" if event.retry_in is None else f"\n  trying again in {duration(event.retry_in)}"
    return f"{event.model}: {event.reason}{again}"


@sentence.register
def _(event: WorkerLost) -> str:
    held = "the next request starts another" if event.slept else "it is held down"
    again = held if event.retry_in is None else f"starting again in {duration(event.retry_in)}"
    tail = "".join(f"\n  | {line}" for line in event.tail)
    return (
        f"{event.model}: worker {event.worker} ended ({event.cause}): {event.reason}; {again}{tail}\n  log: {event.log}"
    )


@sentence.register
def _(event: Scaled) -> str:
    return f"{event.model}: {event.before} → {event.size} workers, as its requests need"


@sentence.register
def _(event: Reloaded) -> str:
    return f"registry reloaded: {', '.join(map(str, event.steps)) or 'nothing has changed'}"


@sentence.register
def _(event: ReloadRefused) -> str:
    listed = "".join(f"\n  {fault}" for fault in event.faults)
    return f"the registry file is refused, everything stays as it is:{listed}"


@sentence.register
def _(event: Swapping) -> str:
    return f"{event.model}: changed; its new workers come up beside the old ones"


@sentence.register
def _(event: Swapped) -> str:
    after = duration(event.seconds)
    return f"{event.model}: swapped after {after}; the old workers end what they have; {event.parity}"


@sentence.register
def _(event: RolledBack) -> str:
    return f"{event.model}: the change is rolled back, the old workers go on: {event.reason}"


@sentence.register
def _(event: CutShort) -> str:
    return f"{event.model}: stopped old workers that still had requests after {duration(event.seconds)}"


@sentence.register
def _(event: AdapterTaken) -> str:
    return f"{event.model}:{event.adapter} stands for {event.digest[:16]} now"


@sentence.register
def _(event: AdapterDeclined) -> str:
    return f"{event.model}:{event.adapter} is refused, everything stays as it is: {event.reason}"


@sentence.register
def _(event: AdaptersApart) -> str:
    return f"adapters shared with other hosts: {event.reason}"


@sentence.register
def _(_event: AdaptersTogether) -> str:
    return "adapters shared with other hosts: in step again"


@sentence.register
def _(event: Draining) -> str:
    return f"stopping: open requests have {duration(event.seconds)}; Ctrl-C again stops at once"


@sentence.register
def _(_event: Stopped) -> str:
    return "stopped; nothing is left running"
