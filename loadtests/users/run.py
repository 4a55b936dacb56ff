"""What all users of one Locust process share, and how a run begins, reports and is judged. Inside Locust's environment.

Called by `loadtests/locustfile.py`, whose users find the `Run` as `environment.enginehouse`.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import Any, Final

import gevent
from locust.env import Environment
from locust.event import EventHook
from locust.exception import CatchResponseError
from locust.runners import WorkerRunner

from loadtests.users.asking import Outcome
from loadtests.users.models import choose_model
from loadtests.users.settings import Mistaken, Settings, read_settings
from loadtests.users.tally import Tally
from loadtests.users.verdict import Figures, broken

_EVERY: Final = 5.0
"""Seconds between two lines about how far a run is, where Locust prints its tables only at the end."""
_MISTAKEN: Final = 2
_USERS: Final = 1_000_000
"""More than one process may have users: their numbers, which seed their questions, must not meet."""


def prepare(environment: Environment, **_: object) -> None:
    """Locust's `init`: read the settings; headless, find out at once whether there is something to test."""
    gevent.get_hub().loop.update_now()  # gevent's timers count from its last look, which was before all imports
    try:
        run = environment.enginehouse = Run(environment, read_settings(os.environ))
        if run.headless:
            run.model = choose_model(environment.host or "", run.settings)
    except Mistaken as mistaken:
        sys.stderr.write(f"loadtest: {mistaken}\n")
        sys.exit(_MISTAKEN)
    heard = environment.events
    heard.test_start.add_listener(run.begin)
    heard.report_to_master.add_listener(run.send_tally)
    heard.worker_report.add_listener(run.receive_tally)
    heard.quitting.add_listener(run.judge)
    heard.quit.add_listener(run.conclude)


class Run:
    """What all users of one process share. Invariant: before users start, `model` is what the server was asked for."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self.settings: Final = settings
        self.model = settings.model
        self.tally: Final = Tally()
        self.timing: Final = EventHook()
        """Fired with `kind`, `name`, `value` for every TTFT, ITL (ms) and TOK/S: for listeners of your own."""
        self._verdict: Final[list[str]] = []
        self._environment: Final = environment
        self._numbers: Final = itertools.count()
        self.timing.add_listener(self._to_tables)

    def next_user(self) -> int:
        """A number that no other user of this run has."""
        process = max(0, getattr(self._environment.runner, "worker_index", 0))
        return process * _USERS + next(self._numbers)

    def tell(self, name: str, outcome: Outcome, began: float, url: str) -> None:
        """Give one outcome to Locust. `began` in seconds of wall-clock time, as Locust's listeners expect."""
        self.tally.count(outcome)
        self._environment.events.request.fire(
            request_type="POST",
            name=name,
            response_time=outcome.took,
            response_length=outcome.tokens,  # as Locust's own OpenAI user has it: more telling than bytes
            exception=CatchResponseError(outcome.failure) if outcome.failure else None,
            context={},
            start_time=began,
            url=url,
        )
        if outcome.first is not None:
            self.timing.fire(kind="TTFT", name=name, value=outcome.first)
        for gap in outcome.gaps:
            self.timing.fire(kind="ITL", name=name, value=gap)
        if outcome.rate is not None:
            self.timing.fire(kind="TOK/S", name=name, value=outcome.rate)

    def figures(self) -> Figures:
        """What Locust and the tally have counted so far."""
        stats = self._environment.stats
        first = stats.entries.get(("stream", "TTFT"))
        return Figures(
            requests=stats.total.num_requests,
            failures=stats.total.num_failures,
            ttft_p95=first.get_response_time_percentile(0.95) if first else None,
            p95=stats.total.get_response_time_percentile(0.95) if stats.total.num_requests else None,
            tokens_per_second=self.tally.completion / self.seconds if self.seconds else 0.0,
        )

    def begin(self, **_: object) -> None:
        """Locust's `test_start`. Where Locust's page or a master names the host, the model is asked for only now."""
        self.tally.taken()
        if not self.headless:
            try:
                self.model = choose_model(self._environment.host or "", self.settings)
            except Mistaken as mistaken:  # every request will fail, and the page will show it
                sys.stderr.write(f"loadtest: {mistaken}\n")
        elif self._environment.parsed_options.only_summary:
            gevent.spawn(self._tell_progress)

    def judge(self, **_: object) -> None:
        """Locust's `quitting`: the exit code, by the limits."""
        if self.is_worker:
            return
        faults = broken(self.figures(), self.settings.limits)
        self._verdict += [self.tally.sentence(self.seconds), *(f"limit broken: {fault}" for fault in faults)]
        self._environment.process_exit_code = 1 if faults else 0

    def conclude(self, **_: object) -> None:
        """Locust's `quit`: the verdict, below the tables."""
        sys.stdout.writelines(f"loadtest: {line}\n" for line in self._verdict)
        sys.stdout.flush()

    def send_tally(self, data: dict[str, Any], **_: object) -> None:
        """Locust's `report_to_master`: a worker process's tokens go where its other figures go."""
        data["tokens"] = self.tally.taken()

    def receive_tally(self, data: dict[str, Any], **_: object) -> None:
        """Locust's `worker_report`."""
        self.tally.add(data.get("tokens", {}))

    @property
    def is_worker(self) -> bool:
        """Whether another process has the tables."""
        return isinstance(self._environment.runner, WorkerRunner)

    @property
    def headless(self) -> bool:
        """Whether this process has the tables and nobody looks at a page."""
        return bool(self._environment.parsed_options.headless) and not self.is_worker

    @property
    def seconds(self) -> float:
        """From the first user to the last answer."""
        total = self._environment.stats.total
        return max(0.0, (total.last_request_timestamp or total.start_time) - total.start_time)

    def _to_tables(self, kind: str, name: str, value: float) -> None:
        # Not through `events.request`: a gap between two tokens is no request, and would drown the totals and charts.
        self._environment.stats.get(name, kind).log(value, 0)

    def _tell_progress(self) -> None:
        began = time.monotonic()
        while True:
            gevent.sleep(_EVERY)
            total, users = self._environment.stats.total, self._environment.runner.user_count
            counted = f"{total.num_requests} requests, {total.num_failures} failed, {self.tally.completion} tokens"
            print(f"loadtest: {time.monotonic() - began:4.0f} s, {users} users: {counted}", flush=True)
