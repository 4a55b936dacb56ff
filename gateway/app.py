"""The composition root of a gateway: every part is built here, once, and given what it needs.

                   ┌ Shortcut ────────────────────┐
connection ────────┤      Door: id, auth, limits  ├→ Inference → Relay → Pool → Worker
                   └ AsgiDoor → Front ────────────┘
                                      └→ FastAPI: models, health, admin, docs
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, FastAPI
from prometheus_client.core import Metric

from engines.engine import Engine
from gateway.api.adapters import adapters
from gateway.api.admin import admin
from gateway.api.documentation import document
from gateway.api.health import health
from gateway.api.inference import Inference
from gateway.api.lora import lora
from gateway.api.models import models
from gateway.api.refusals import install
from gateway.api.requests import requests
from gateway.api.uploads import Spool
from gateway.asgi import App, Receive, Scope, Send
from gateway.control import Control
from gateway.errands import Errands
from gateway.errors import MethodNotAllowed
from gateway.middleware.access_log import AccessLog
from gateway.middleware.auth import Auth
from gateway.middleware.door import AsgiDoor, Door
from gateway.middleware.limits import Limits
from gateway.middleware.request_id import RequestIds
from gateway.operations import BY_PATH
from gateway.passages import Passages
from gateway.pool.gauges import gauges, queues
from gateway.pool.house import House
from gateway.relay import Relay
from gateway.scrape import Scrape
from gateway.settings import Settings
from gateway.shadowing import Shadows
from gateway.shortcut import Shortcut
from gateway.telemetry import Telemetry
from gateway.trials import Trials
from gateway.usage import Reporter
from registry.figures import Summed

_Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_Work = Callable[[], Coroutine[Any, Any, None]]

_FIRST_SNAPSHOT: Final = 1.0
"""Seconds that the first snapshot may keep a gateway from serving."""
_LAG_INTERVAL: Final = 0.25
"""Seconds between two looks at the event loop's lag."""


class Front:
    """One dictionary look-up: a relayed path goes to `Inference`, everything else to FastAPI."""

    def __init__(self, inference: Inference, rest: App) -> None:
        self._inference: Final = inference
        self._rest: Final = rest
        self._operations: Final = BY_PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["path"]) if scope["type"] == "http" else None
        if operation is None:
            await self._rest(scope, receive, send)
            return
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{operation.path} takes POST, not {scope['method']}.", allow="POST")
        await self._inference(operation, scope, receive, send)


class Gateway(NamedTuple):
    """What a server needs: the application, and the short way past ASGI that it may offer."""

    app: App
    shortcut: Shortcut


def build(
    settings: Settings,
    control_path: Path,
    engines: Mapping[str, Engine],
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    stopping: Callable[[], bool],
    abandoned: Callable[[], None],
    log: Callable[[object], None],
) -> Gateway:
    """A gateway that follows the supervisor at `control_path`; `abandoned` is called when that channel ends.

    `log` takes the access log's lines; `wall_clock` is for people to read.
    """
    reporter = Reporter(clock)
    control = Control(control_path)
    house = House(clock, control.free, reporter.asked, control.lack)
    errands = Errands(control_path, house.publish)
    trials, shadows = Trials(), Shadows(clock)
    telemetry, passages = Telemetry(trials.settle), Passages()
    scrape = _scrape(telemetry, house, shadows, errands.summed)
    relay = Relay(clock=clock, suspect=control.suspect, retried=telemetry.retried, resumed=telemetry.resumed)
    inference = Inference(house, relay, telemetry, engines, settings.max_body, clock, trials, shadows)
    follow = partial(_follow, partial(control.run, house.publish, scrape.counted), abandoned)
    works = (partial(reporter.run, house, control.tell), partial(trials.run, control.tell), shadows.run)
    api = _api(
        _lifespan(control.informed, follow, partial(_measure_lag, telemetry, clock), *works),
        models(house),
        health(house, scrape.text, version("enginehouse"), stopping),
        admin(house, errands.reload),
        *_administering(house, errands, settings),
        requests(passages, clock, wall_clock),
    )

    checks = (Auth(settings).check, Limits(settings.max_body, settings.max_upload).check)
    door = Door(RequestIds(clock), checks, AccessLog(telemetry, clock, log), passages)
    return Gateway(AsgiDoor(Front(inference, api), door), Shortcut(door, inference))


def _scrape(telemetry: Telemetry, house: House, shadows: Shadows, summed: Callable[[], Awaitable[Summed]]) -> Scrape:
    """What is counted here adds up over the host's gateways; what the snapshot says is the same in all."""

    def own() -> Iterable[Metric]:
        return chain(telemetry.families(), queues(house), shadows.families())

    return Scrape(own, lambda: gauges(house), lambda: house.gateways, summed)


def _administering(house: House, errands: Errands, settings: Settings) -> tuple[APIRouter, ...]:
    """Adapters, in our words and in vLLM's."""
    spool = Spool(settings.uploads, settings.max_upload)
    return adapters(errands.administer, spool), lora(house, errands.administer)


def _api(lifespan: _Lifespan, *routers: APIRouter) -> FastAPI:
    api = FastAPI(title="Enginehouse", version=version("enginehouse"), lifespan=lifespan)
    install(api)
    for router in routers:
        api.include_router(router)
    document(api)
    return api


def _lifespan(informed: asyncio.Event, *works: _Work) -> _Lifespan:
    """What runs beside the requests for as long as the gateway does; they begin when it is `informed`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work()) for work in works]
            # Requests wait in the socket's backlog meanwhile: after a restart nobody is told that nothing is known.
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_SNAPSHOT):
                    await informed.wait()
            yield
            for each in running:
                each.cancel()

    return lifespan


async def _follow(following: _Work, abandoned: Callable[[], None]) -> None:
    try:
        await following()
    finally:
        abandoned()


async def _measure_lag(telemetry: Telemetry, clock: Callable[[], float]) -> None:
    while True:
        due = clock() + _LAG_INTERVAL
        await asyncio.sleep(_LAG_INTERVAL)
        telemetry.lag.observe(max(0.0, clock() - due))
