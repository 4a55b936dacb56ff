"""One seat of a pool, kept taken: start, wait until it generates, watch, start again. The acts; `lifecycle` decides.

Run by `pool`, one task a seat, until cancelled; then the worker is stopped and nothing of it is left.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from engines.engine import HttpCall
from engines.launchers.launcher import Launcher, LaunchFailed, Placed, Seat
from engines.ledger.site import Lodge, Site
from engines.probe import Prober, Verdict
from engines.processes import logfile
from engines.supervisor import milestones
from engines.supervisor.advance import Advance
from engines.supervisor.events import WorkerLost
from engines.supervisor.fingerprint import fingerprint
from engines.supervisor.inquest import Inquest
from engines.supervisor.lifecycle import Event, Life, hopeless, step
from engines.supervisor.outlets import Clock, Outlets
from engines.supervisor.pacing import Pacing
from engines.supervisor.watchdog import Mute
from registry.causes import Cause
from registry.snapshot import WorkerState, WorkerView


class Worker:
    """Invariant: `_life` changes only by `lifecycle.step`, and every change is shown at once."""

    def __init__(
        self,
        seat: Seat,
        launcher: Launcher,
        prober: Prober,
        pacing: Pacing,
        outlets: Outlets,
        clock: Clock,
        expected_start: float,
        lodge: Lodge,
    ) -> None:
        self._seat = seat
        self._launcher: Final = launcher
        self._prober: Final = prober
        self._pacing: Final = pacing
        self._outlets: Final = outlets
        self._clock: Final = clock
        self._expected_start: Final = expected_start
        self._lodge: Final = lodge
        self._life = Life()
        self._placed: Placed | None = None
        self._name = seat.model
        """What the worker calls the model."""
        self._context = seat.spec.context
        self._fingerprint: Final = fingerprint(seat)
        self._since = clock.wall()
        self._changed = clock.now()
        """The same moment, for durations."""
        self._suspected: Final = asyncio.Event()
        self._called: Final = asyncio.Event()
        self._mute = Mute()
        self._advance: Final = Advance(seat, prober, clock.now, pacing)
        self._killed_because = ""
        self._inquest: Final = Inquest(on_device=bool(seat.prepared and seat.prepared.device != "cpu"))
        self._cause: Cause | None = None

    @property
    def id(self) -> str:
        """New for every start, and after every sleep: whatever was said of it before concerns another one."""
        return f"{self._seat.name}.{self._seat.starts + self._life.starts + self._life.naps}"

    def suspect(self, worker_id: str) -> None:
        """Somebody saw the worker of this id fail: it is probed now, and one bad probe is enough."""
        if worker_id == self.id:
            self._suspected.set()

    def leave(self) -> None:
        """It gets no new request: it goes on with what it has, and is not started again once it has ended."""
        self._happen(Event.ASKED)

    def rest(self) -> None:
        """Nobody needs it, and nobody holds anything there: it sleeps if it is ready."""
        self._called.clear()
        self._happen(Event.LULLED)
        self._suspected.set()

    def rise(self) -> None:
        """It is needed: it wakes if it sleeps."""
        self._called.set()

    async def run(self) -> None:
        """Until cancelled. A worker in CRASH_LOOP is held down until then."""
        try:
            while (due := self._life.retry_at) is not None:
                await asyncio.sleep(max(0.0, due - self._clock.now()))
                if self._life.retry_at is not None:  # it was not asked to leave meanwhile
                    await self._live_once()
            await asyncio.Event().wait()
        finally:
            # What was running has been stopped on the way here, by the block that it ran in.
            self._happen(Event.ASKED)
            self._happen(Event.GONE)

    async def _live_once(self) -> None:
        """From a start to its end."""
        self._happen(Event.STARTED)
        self._killed_because = ""
        try:
            self._seat = await self._lodge.packed(self._seat)
            async with self._launcher.place(self._seat) as placed:
                self._placed = placed
                self._inquest.open(placed.pid, placed.log)
                self._show()
                try:
                    reason = await self._attend(placed)
                except asyncio.CancelledError:
                    self._happen(Event.ASKED)
                    raise
                # Still inside: what the worker left behind is ended before the next start.
        except LaunchFailed as refused:
            reason = str(refused)
        await self._lose(reason)

    async def _attend(self, placed: Placed) -> str:
        """Probes until the worker ends; says how it ended."""
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(placed))
            how = await placed.ended()
            probing.cancel()
        return self._killed_because or how

    async def _probe(self, placed: Placed) -> None:
        self._outlets.started_in(await self._until_proved(placed, self._pacing.start_within))
        while True:
            async with self._lodge.lodging(self._site(placed)):
                self._happen(Event.PROVED)
                await self._outlets.settled(placed.pid)
                self._advance.begin()
                pause = self._pacing.probe_every
                while self._life.state is not WorkerState.SLEEPING:
                    pause = await self._watch(placed, pause)
            await self._slumber(placed)
            self._outlets.started_in(await self._until_proved(placed, self._pacing.wake_within))

    async def _until_proved(self, placed: Placed, within: float) -> float:
        """The seconds that it took; a worker of ours that takes more than `within` is ended."""
        begun = self._clock.now()
        self._mute = Mute()
        while not (await self._proved(placed)).good:
            if placed.log is not None:
                self._tell_progress(placed.log, begun)
                if self._clock.now() - begun > within:
                    self._kill(placed, f"not ready after {within:g} s")
                if self._mute.hopeless(self._clock.now(), self._pacing.mute_within):
                    self._kill(placed, f"healthy, but it makes no token: {self._mute.reason}")
            await asyncio.sleep(self._pacing.ready_every)
        return self._clock.now() - begun

    async def _slumber(self, placed: Placed) -> None:
        """Until it has been called. It is not probed meanwhile: not every engine says then that it is well."""
        await self._obey(placed, self._seat.engine.sleep(), self._pacing.sleep_within)
        self._outlets.asleep()
        await self._called.wait()
        self._called.clear()
        self._suspected.clear()
        self._happen(Event.CALLED)
        await self._obey(placed, self._seat.engine.wake(), self._pacing.wake_within)

    async def _obey(self, placed: Placed, call: HttpCall | None, within: float) -> None:
        """Has the engine do it; one that does not is ended, and this never returns."""
        if call is not None:
            verdict = await self._prober.order(placed.url, placed.key, call, within=within)
            if verdict.good:
                return
            self._kill(placed, f"asked to sleep or wake: {verdict.reason}")
        await asyncio.Event().wait()

    def _site(self, placed: Placed) -> Site:
        seat = self._seat
        return Site(
            self.id, seat.model, placed.url, placed.key, seat.engine, seat.spec.adapters.slots,
            lambda: self._life.state is WorkerState.READY, self._show,
            ours=placed.pid is not None,
            weights=seat.prepared.weights if seat.prepared else None, given=tuple(seat.adapters),
        )  # fmt: skip

    async def _proved(self, placed: Placed) -> Verdict:
        """Healthy, and one token generated."""
        verdict = await self._health(placed)
        if not verdict.good:
            self._mute = Mute()
            return verdict
        listed = await self._prober.listed(placed.url, placed.key, within=self._pacing.probe_within)
        self._name = self._launcher.served_name(self._seat, listed.names)
        self._context = listed.context
        verdict = await self._token(placed, within=self._pacing.warm_up_within)
        if verdict.good:
            self._inquest.proved()
            self._outlets.served_as(self._name)
        else:
            self._mute = self._mute.refused(self._clock.now(), verdict.reason)
        return verdict

    async def _token(self, placed: Placed, *, within: float) -> Verdict:
        """A real one, asked for in so many seconds."""
        return await self._prober.warm_up(placed.url, placed.key, self._seat.engine.warm_up(self._name), within=within)

    async def _health(self, placed: Placed) -> Verdict:
        engine, within = self._seat.engine, self._pacing.probe_within + self._seat.engine.health_takes
        call, dead, awake = engine.health(), engine.dead_statuses, engine.awake
        self._inquest.look()
        return await self._prober.health(placed.url, placed.key, call, within=within, dead=dead, awake=awake)

    async def _watch(self, placed: Placed, pause: float) -> float:
        """One probe, after `pause` seconds or when somebody suspects. Returns the pause before the next."""
        if placed.log is not None:
            await asyncio.to_thread(logfile.bound, placed.log)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._suspected.wait()
        if self._life.state is WorkerState.SLEEPING:
            return pause
        suspected = self._suspected.is_set()
        self._suspected.clear()
        self._advance.doubted |= suspected
        verdict = await self._health(placed)
        if verdict.good:
            verdict = await self._advance.verdict(placed, self._token)
        if verdict.good:
            self._happen(Event.GOOD_PROBE)
            if not self._advance.stalls:
                self._inquest.well()
            await self._lodge.look(self.id)
            return self._pacing.probe_every
        for _ in range(self._pacing.limits.bad_probes if suspected else 1):
            self._happen(Event.BAD_PROBE, verdict.reason)
        self._end_if_hopeless(placed, verdict)
        doubtful = verdict.dead and self._life.state is WorkerState.READY
        return self._pacing.probe_again if doubtful else self._pacing.probe_every

    def _end_if_hopeless(self, placed: Placed, verdict: Verdict) -> None:
        unhealthy_for, hung_after = self._clock.now() - self._changed, self._pacing.hung_after
        if hopeless(self._life, dead=verdict.dead, unhealthy_for=unhealthy_for, hung_after=hung_after):
            held = f"unhealthy for {unhealthy_for:.0f} s" if unhealthy_for > hung_after else "ended, as it was dead"
            self._kill(placed, f"{held}: {verdict.reason}")

    def _kill(self, placed: Placed, reason: str) -> None:
        # What is over has a reason of its own; else the first is the reason: a killed worker refuses connections too.
        self._killed_because = self._killed_because or ("" if placed.over else reason)
        placed.kill()

    def _tell_progress(self, log: Path, begun: float) -> None:
        text = "\n".join(logfile.tail(log, 200))
        self._outlets.loading(milestones.loading(text, self._clock.now() - begun, self._expected_start))

    async def _lose(self, how: str) -> None:
        log = self._placed.log if self._placed else None
        found = await asyncio.to_thread(self._inquest.find, how, ours=bool(self._killed_because))
        self._cause = found.cause
        self._happen(Event.EXITED, found.reason)
        retry_at = self._life.retry_at
        retry_in = None if retry_at is None else max(0.0, retry_at - self._clock.now())
        slept = self._life.state is WorkerState.STOPPED
        self._placed = None
        seat, why, told = self._seat, self._life.reason, str(log or "")
        lost = WorkerLost(seat.model, seat.name, why, told, found.tail, retry_in, slept, found.cause)
        self._outlets.announce(lost)

    def _happen(self, event: Event, reason: str = "") -> None:
        before = self._life
        self._life = step(before, event, self._clock.now(), reason, self._pacing.limits)
        if self._life.state is not before.state:
            self._since = self._clock.wall()
            self._changed = self._clock.now()
        if self._life != before:
            self._show()

    def _show(self) -> None:
        placed, life, seat = self._placed, self._life, self._seat
        view = WorkerView(
            id=self.id,
            url=placed.url if placed else "",
            state=life.state,
            key=placed.key if placed else "",
            capacity=seat.engine.capacity(seat.spec.engine_options),
            fingerprint=self._fingerprint,
            context=self._context,
            resident=self._lodge.resident(self.id),
            remarks=self._lodge.remarks(self.id),
            pid=placed.pid if placed else None,
            restarts=life.restarts,
            since=self._since,
            reason=life.reason,
            cause=self._cause,
            log=str(placed.log) if placed and placed.log else "",
        )
        self._outlets.show(view)
