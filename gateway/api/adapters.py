"""`/admin/adapters…`: what the command `enginehouse adapters` does, over HTTP. The supervisor does it; this only asks.

No path of this machine is ever taken from a request: what is local is uploaded, or added by the command line. Nor is
one ever shown: files are called by their names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Request

from gateway.api.body import read_body
from gateway.api.uploads import Spool
from gateway.asgi import headers_of
from gateway.errors import GatewayError, InvalidRequest, PermissionRefused
from registry import sources
from registry.adapter_orders import (
    Adapted,
    AdapterOrder,
    AdapterRefusal,
    AddAdapter,
    ListAdapters,
    Listed,
    PinAdapter,
    PromoteAdapter,
    RemoveAdapter,
    RollbackAdapter,
    SplitAdapter,
)
from registry.adapters import Canary, canary
from registry.discretion import discreet, discreetly
from registry.names import AdapterName, NameRefused, is_digest, parse_adapter

Ask = Callable[[AdapterOrder], Awaitable[Adapted | Listed | AdapterRefusal]]
T = TypeVar("T")

_BODY: Final = 64 * 1024
"""Bytes of an order, at most."""
_SAID: Final = frozenset({"1", "true", "yes", "on"})


class OrderRefused(GatewayError):
    """The supervisor's refusal, passed on: nothing was changed."""

    def __init__(self, refusal: AdapterRefusal) -> None:
        param = refusal.reasons[0] if refusal.reasons else None
        super().__init__(discreet(refusal.message), param=param, retry_after=2.0 if refusal.status == 503 else None)
        self._refusal: Final = refusal

    @property
    def answered_status(self) -> int:
        return self._refusal.status

    def body(self) -> bytes:
        refusal = self._refusal
        kind = "invalid_request_error" if refusal.status < 500 else "server_error"
        error: dict[str, object] = {"message": str(self), "type": kind, "param": self.param, "code": refusal.code}
        if refusal.reasons:
            error["reasons"] = refusal.reasons
        if refusal.faults:
            error["faults"] = discreetly(refusal.faults)
        return msgspec.json.encode({"error": error})


class _Add(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    adapter: str
    source: str
    promote: bool = False
    base: str | None = None


class _Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str = ""
    base: str | None = None


class _Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of `registry.adapters.Canary`, as people write them."""

    split: dict[str, int] = {}
    """Digest to weight."""
    shadow: dict[str, int] = {}
    """One digest to a share of a hundred."""
    max_error_rate: float = 1.0
    max_ttft_ratio: float | None = None
    min_requests: int = 50


class _Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str = ""
    pinned: bool = True


def adapters(ask: Ask, spool: Spool) -> APIRouter:
    """The routes; `ask` gives an order to the supervisor, `middleware.auth` has already asked for the admin key."""
    router = APIRouter(prefix="/admin/adapters", tags=["adapters"])

    @router.get("", summary="Every adapter: revisions, where each is loaded, what was refused")
    async def list_adapters(model: str = "") -> Any:
        return _shown(await done(ask, ListAdapters(model)))

    @router.post("", summary="Add an adapter: JSON with a source, or multipart/form-data with an archive")
    async def add(request: Request) -> Any:
        media = headers_of(request.scope).get(b"content-type", b"")
        if not media.lower().startswith(b"multipart/form-data"):
            order = await understood(request, _Add)
            named(order.model, order.adapter)
            said = fetched(order.model, order.adapter, order.source, who(request), order.base, promote=order.promote)
            return _shown(await done(ask, said))
        async with spool.receiving(request.receive, media) as upload:
            fields = upload.fields
            asked = named(fields.get("model", ""), fields.get("adapter", ""))
            promote = fields.get("promote", "").lower() in _SAID
            source, base = str(upload.hand_over()), fields.get("base")
            said = AddAdapter(asked.base or "", asked.adapter, source, who(request), promote, base, consumed=True)
            return _shown(await done(ask, said))

    @router.get("/{name:path}", summary="One adapter: its revisions, and who had it stand for what")
    async def one_adapter(name: str) -> Any:
        asked = parsed(name)
        return _shown(_of(asked, await done(ask, ListAdapters(asked.base or "", asked.adapter))))

    _change(router, ask)
    return router


def _change(router: APIRouter, ask: Ask) -> None:
    """The routes that change what a name stands for; their paths end in what they do."""

    @router.post("/{name:path}/promote", summary="Have the name stand for a revision")
    async def promote(name: str, request: Request) -> Any:
        asked, order = parsed(name), await understood(request, _Promote)
        digest = _revision(asked.digest or order.digest)
        said = PromoteAdapter(asked.base or "", asked.adapter, digest, who(request), order.base)
        return _shown(await done(ask, said))

    @router.post("/{name:path}/rollback", summary="Have the name stand for what it stood for before")
    async def roll_back(name: str, request: Request) -> Any:
        asked = whole(name)
        return _shown(await done(ask, RollbackAdapter(asked.base or "", asked.adapter, who(request))))

    @router.post("/{name:path}/pin", summary="Keep a revision loaded on every worker, or no more")
    async def pin(name: str, request: Request) -> Any:
        asked, order = parsed(name), await understood(request, _Pin)
        digest = asked.digest or (_revision(order.digest) if order.digest else "")
        said = PinAdapter(asked.base or "", asked.adapter, digest, who(request), order.pinned)
        return _shown(await done(ask, said))

    @router.post("/{name:path}/split", summary="Have several revisions answer for the name, or no more: an empty body")
    async def split(name: str, request: Request) -> Any:
        asked, order = whole(name), await understood(request, _Split)
        said = SplitAdapter(asked.base or "", asked.adapter, who(request), _canary(order))
        return _shown(await done(ask, said))

    @router.delete("/{name:path}", summary="Take an adapter away; requests under way end on what they have")
    async def remove(name: str, request: Request) -> Any:
        asked = whole(name)
        return _shown(await done(ask, RemoveAdapter(asked.base or "", asked.adapter, who(request))))


def _canary(order: _Split) -> Canary | None:
    """None: the split ends. Raises `InvalidRequest`."""
    if not order.split and not order.shadow:
        return None
    try:
        return canary(order.split, order.shadow, order.max_error_rate, order.max_ttft_ratio, order.min_requests)
    except ValueError as refused:
        raise InvalidRequest(f"The split {refused}.", param="split") from None


def _of(asked: AdapterName, found: Adapted | Listed) -> Adapted | Listed:
    """What is asked for of all that is known of its adapter. Raises `OrderRefused` where there is nothing."""
    if isinstance(found, Listed) and asked.digest:
        mine = tuple(each for each in found.revisions if each.digest.startswith(asked.digest))
        found = msgspec.structs.replace(found, revisions=mine) if mine else Listed()
    if found == Listed():
        raise OrderRefused(AdapterRefusal(404, "adapter_not_found", f"there is no {asked.base}:{asked.adapter}"))
    return found


def _shown(answer: Adapted | Listed) -> Any:
    return discreetly(msgspec.to_builtins(answer))


async def done(ask: Ask, order: AdapterOrder) -> Adapted | Listed:
    """What came of `order`. Raises `OrderRefused`."""
    answer = await ask(order)
    if isinstance(answer, AdapterRefusal):
        raise OrderRefused(answer)
    return answer


async def understood(request: Request, kind: type[T]) -> T:
    """The request's body as a value; an empty one is `{}`. Raises `InvalidRequest`, `BodyTooLarge`."""
    body = await read_body(request.receive, _BODY)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        why = str(fault) if isinstance(fault, msgspec.ValidationError) else "it is not JSON"
        raise InvalidRequest(f"The body cannot be understood: {why}.") from None


def parsed(name: str) -> AdapterName:
    """The parts of `base:adapter`. Raises `InvalidRequest` for anything else."""
    try:
        asked = parse_adapter(name)
    except NameRefused as refused:
        raise InvalidRequest(f"The adapter's name {refused}.", param="adapter") from None
    if asked.base is None:
        raise InvalidRequest("The adapter's name must begin with its model's: base:adapter.", param="adapter")
    return asked


def whole(name: str) -> AdapterName:
    """As `parsed`, for what is done to all revisions: who names one means that one. Raises `InvalidRequest`."""
    asked = parsed(name)
    if asked.digest is not None:
        raise InvalidRequest("This is done to an adapter with all its revisions: name none of them.", param="adapter")
    return asked


def _revision(digest: str) -> str:
    if not is_digest(digest):
        raise InvalidRequest("A revision is named by 8 to 64 hexadecimal digits in lower case.", param="digest")
    return digest


def named(model: str, adapter: str) -> AdapterName:
    """The same of two fields."""
    if ":" in adapter or "@" in adapter or ":" in model:
        raise InvalidRequest("'model' and 'adapter' are two plain names.", param="adapter")
    return parsed(f"{model}:{adapter}")


def fetched(model: str, adapter: str, source: str, who: str, base: str | None, *, promote: bool) -> AddAdapter:
    """The order to add what is fetched from elsewhere. Raises `PermissionRefused`, `InvalidRequest`."""
    return AddAdapter(model, adapter, remote(source), who, promote, base, outside=True)


def remote(source: str) -> str:
    """`source`, where it is fetched from elsewhere. Raises `PermissionRefused` for a path of this machine."""
    if sources.is_path(source):
        raise PermissionRefused(
            "No path of this machine is taken from a request: upload the adapter as multipart/form-data, name a source "
            "like hf://org/name@revision, or use the command 'enginehouse adapters add'."
        )
    if flaw := sources.flaw(source):
        raise InvalidRequest(f"The source {flaw}.", param="source")
    return source


def who(request: Request) -> str:
    """Who orders it, for the audit."""
    return f"api:{request.client.host}" if request.client else "api"
