"""vLLM's own `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`, for tools that know them: the whole pool does it.

The words are those of vllm/entrypoints/serve/lora. Loading is adding and promoting, so it is examined, proved and kept.
"""

from __future__ import annotations

from typing import Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from gateway.api.adapters import Ask, OrderRefused, done, fetched, named, understood, who, whole
from gateway.errors import InvalidRequest
from gateway.pool.house import House
from registry.adapter_orders import RemoveAdapter
from registry.names import AdapterName

LOAD: Final = "/v1/load_lora_adapter"
UNLOAD: Final = "/v1/unload_lora_adapter"


class _Load(msgspec.Struct, frozen=True):
    lora_name: str
    lora_path: str
    load_inplace: bool = False
    base_model_name: str | None = None


class _Unload(msgspec.Struct, frozen=True):
    lora_name: str
    base_model_name: str | None = None


def lora(house: House, ask: Ask) -> APIRouter:
    """The two routes; `middleware.auth` has already asked for the admin key."""
    router = APIRouter(tags=["adapters"])

    @router.post(LOAD, summary="As in vLLM: add an adapter, on every worker", response_class=PlainTextResponse)
    async def load(request: Request) -> str:
        order = await understood(request, _Load)
        asked = _asked(house, order.lora_name, order.base_model_name)
        base = None if order.load_inplace else ""  # what the name stands for must be nothing
        said = fetched(asked.base or "", asked.adapter, order.lora_path, who(request), base, promote=True)
        try:
            await done(ask, said)
        except OrderRefused as refused:
            if refused.answered_status != 409:
                raise
            message = f"The lora adapter '{order.lora_name}' has already been loaded. Set load_inplace to replace it."
            raise InvalidRequest(message, param="lora_name") from None
        return f"Success: LoRA adapter '{order.lora_name}' added successfully."

    @router.post(UNLOAD, summary="As in vLLM: remove an adapter, everywhere", response_class=PlainTextResponse)
    async def unload(request: Request) -> str:
        order = await understood(request, _Unload)
        asked = _asked(house, order.lora_name, order.base_model_name)
        await done(ask, RemoveAdapter(asked.base or "", asked.adapter, who(request)))
        return f"Success: LoRA adapter '{order.lora_name}' removed successfully."

    return router


def _asked(house: House, name: str, base: str | None) -> AdapterName:
    """VLLM's names have no model: it may be named beside, and need not be where only one takes adapters."""
    if ":" in name:
        return whole(name)
    if base is None:
        able = [model.name for model in house.names.snapshot.models if model.adapter_slots]
        if len(able) != 1:
            raise InvalidRequest("Say which model: base:adapter, or base_model_name.", param="lora_name")
        base = able[0]
    return named(base, name)
