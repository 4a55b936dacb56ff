"""The fake worker itself: its routes, its key, its adapters and its counts. Built by `__main__` and by tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from engines.fake.behaviour import Behaviour, Script, header_overrides
from engines.fake.counts import Counts
from engines.fake.dialects import DIALECTS
from engines.fake.generate import Generation
from engines.fake.job import Job, Refused, Worker, plan, prompt_ids
from engines.fake.management import Management
from engines.fake.pace import Pace
from engines.fake.wire import Call, Exchange, Gone
from engines.fake.words import Vocabulary

_encode: Final = msgspec.json.Encoder().encode
_TEXT: Final = {"content-type": "text/plain; charset=utf-8"}

Route = Callable[[Call, Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """What does not change while a fake worker runs."""

    served_name: str = "fake"
    dialect: str = "vllm"
    key: str = ""
    context: int = 2048
    max_num_seqs: int = 256
    seed: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Loaded from the start: where each lies."""


class App:
    """One fake worker. Invariant: `counts.running` never exceeds `max_num_seqs`."""

    def __init__(self, settings: FakeSettings) -> None:
        self.settings: Final = settings
        self.counts: Final = Counts()
        self.pace: Final = Pace()
        self.script: Final = Script(settings.behaviour, settings.seed)
        self.ready: Final = asyncio.Event()
        self._dialect: Final = DIALECTS[settings.dialect]
        self._worker: Final = Worker(settings.served_name, settings.context, Vocabulary(), self._dialect.too_long)
        self._slots: Final = asyncio.Semaphore(settings.max_num_seqs)
        self._management: Final = Management(self._dialect, self.script, self.pace, self.counts, settings.adapters)
        self._created: Final = int(time.time())  # noqa: TID251 (shown to people)
        self._last: dict[str, Any] = {}
        served: dict[tuple[str, str], Route] = {("POST", path): self._generate for path in self._dialect.shapes}
        self._routes: Final[Mapping[tuple[str, str], Route]] = (
            served
            | dict(self._management.routes())
            | {
                ("GET", "/health"): self._health,
                ("GET", "/metrics"): self._metrics,
                ("GET", "/version"): self._version,
                ("GET", "/v1/models"): self._models,
                ("POST", "/tokenize"): self._tokenize,
                ("POST", "/detokenize"): self._detokenize,
                ("POST", "/v1/messages/count_tokens"): self._count_tokens,
                ("GET", "/fake/counts"): self._counts,
                ("GET", "/fake/last"): self._show_last,
                ("POST", "/fake/script"): self._rewrite,
            }
        )

    async def answer(self, call: Call, exchange: Exchange) -> None:
        """One request. What is refused becomes the engine's own error; a bug of ours becomes a 500."""
        try:
            self._admit(call)
            route = self._routes.get((call.method, call.path)) or self._unknown
            await route(call, exchange)
        except Refused as refused:
            await self._refuse(exchange, refused)
        except Gone:
            raise
        except Exception as bug:  # noqa: BLE001 (the outermost loop of a connection)
            if exchange.begun:
                exchange.cut()
            await self._refuse(exchange, Refused(500, f"the fake worker broke: {bug!r}", "InternalServerError"))

    def _admit(self, call: Call) -> None:
        given = call.headers.get("authorization", "")
        ours = call.path.startswith("/fake/")
        guarded = self.settings.key and not ours and self._dialect.guards(call.path)
        if guarded and given != f"Bearer {self.settings.key}":
            self.counts.unauthorized += 1
            raise Refused(401, "Unauthorized", "Unauthorized")
        if not self.ready.is_set() and not ours:
            raise Refused(503, "the fake worker is still starting", "ServiceUnavailable")

    async def _refuse(self, exchange: Exchange, refused: Refused, headers: Mapping[str, str] | None = None) -> None:
        await exchange.plain(refused.status, _encode(self._dialect.error(refused)), headers)

    async def _unknown(self, call: Call, exchange: Exchange) -> None:
        known = any(path == call.path for _, path in self._routes)
        status, message = (405, "Method Not Allowed") if known else (404, "Not Found")
        await self._refuse(exchange, Refused(status, message, message))

    async def _generate(self, call: Call, exchange: Exchange) -> None:
        body = _object(call.body)
        if self._management.sleeping:
            raise Refused(503, "Engine is sleeping", "ServiceUnavailable")
        self.counts.requests += 1
        self._last = _shown(call)
        behaviour = self.script.take(header_overrides(call.headers) | body.pop("x_fake", {}))
        exchange.obey(behaviour)
        meant = behaviour.only in {"", body.get("model")}
        if behaviour.status and meant and (behaviour.share >= 1 or self.script.draw() < behaviour.share):
            headers = {"retry-after": behaviour.retry_after} if behaviour.retry_after else None
            await self._refuse(exchange, Refused(behaviour.status, "scripted", "scripted"), headers)
            return
        if behaviour.silent:
            await self.pace.wait(None)
        self._check_model(body.get("model"))
        await self._run(self._job(call.path, body, behaviour), behaviour, exchange)

    def _job(self, path: str, body: Mapping[str, Any], behaviour: Behaviour) -> Job:
        job_id = f"{self.counts.requests:08x}"
        now = int(time.time())  # noqa: TID251 (shown to people)
        return plan(path, body, worker=self._worker, script=behaviour, job_id=job_id, created=now)

    async def _run(self, job: Job, behaviour: Behaviour, exchange: Exchange) -> None:
        """Holds a slot for the generation; what ends it early counts as aborted."""
        shape = self._dialect.shapes[job.path]
        parts = (job, shape, self._dialect, behaviour, exchange, self.pace, self.counts, self.script.draw)
        try:
            with self.counts.gauge("waiting"):
                await self._slots.acquire()
            try:
                with self.counts.gauge("running"):
                    await Generation(*parts).answer()
            finally:
                self._slots.release()
        except asyncio.CancelledError:
            self.counts.aborted += 1
            raise
        self.counts.finished += 1

    def _check_model(self, model: str | None) -> None:
        if model not in {None, "", self.settings.served_name, *self._management.adapters}:
            refused = self._dialect.unknown(model or "")
            if refused is not None:
                raise refused

    async def _health(self, call: Call, exchange: Exchange) -> None:
        await self._management.health(exchange)

    async def _metrics(self, call: Call, exchange: Exchange) -> None:
        # While a prompt is read, chunk by chunk, the engine takes one block after the other.
        usage = time.monotonic() % 100 / 100 if self.counts.prefilling else 0.0
        figures = msgspec.structs.asdict(self.counts) | {"cache_usage": usage}
        text = self._dialect.metrics(self.settings.served_name, figures)
        await exchange.plain(200, text.encode(), _TEXT)

    async def _version(self, call: Call, exchange: Exchange) -> None:
        note = "a scripted worker for tests: its answers mean nothing"
        await exchange.plain(200, _encode({"version": f"fake-{self.settings.dialect}", "note": note}))

    async def _models(self, call: Call, exchange: Exchange) -> None:
        settings = self.settings
        cards = self._dialect.models(
            settings.served_name, list(self._management.adapters), settings.context, self._created
        )
        await exchange.plain(200, _encode(cards))

    async def _tokenize(self, call: Call, exchange: Exchange) -> None:
        body = _object(call.body)
        self._last = _shown(call)
        self._check_model(body.get("model"))
        ids = prompt_ids(body, self._worker.vocabulary)
        answer = {"count": len(ids), "max_model_len": self.settings.context, "tokens": ids, "token_strs": None}
        await exchange.plain(200, _encode(answer))

    async def _detokenize(self, call: Call, exchange: Exchange) -> None:
        body = _object(call.body)
        self._check_model(body.get("model"))
        await exchange.plain(200, _encode({"prompt": self._worker.vocabulary.decode(body["tokens"])}))

    async def _count_tokens(self, call: Call, exchange: Exchange) -> None:
        ids = prompt_ids(_object(call.body), self._worker.vocabulary)
        await exchange.plain(200, _encode({"input_tokens": len(ids)}))

    async def _counts(self, call: Call, exchange: Exchange) -> None:
        await exchange.plain(200, _encode(self.counts))

    async def _show_last(self, call: Call, exchange: Exchange) -> None:
        await exchange.plain(200, _encode(self._last))

    async def _rewrite(self, call: Call, exchange: Exchange) -> None:
        try:
            self.script.rewrite(_object(call.body))
        except msgspec.ValidationError as wrong:
            raise Refused(400, str(wrong), "BadScript") from wrong
        await exchange.plain(200, _encode(self.script.standing))


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as wrong:
        raise Refused(400, f"JSON decode error: {wrong}", "Bad Request") from wrong


def _shown(call: Call) -> dict[str, Any]:
    body = call.body.decode("utf-8", "replace")
    return {"method": call.method, "path": call.path, "headers": dict(call.headers), "body": body}
