"""A model as gateways first see it. Called by `reconcile` for each new pool and each amendment. Pure."""

from __future__ import annotations

from registry.snapshot import Loading, ModelView, OnDemand
from registry.spec import ModelSpec


def view(name: str, spec: ModelSpec, created: int, loads_in: float) -> ModelView:
    """No worker yet. It takes `loads_in` seconds to load, once it is to be loaded; `created` is Unix time."""
    return ModelView(
        name=name,
        engine=spec.engine,
        served_name=name,
        aliases=tuple(spec.aliases),
        context=spec.context,
        created=created,
        timeouts=spec.timeouts.limits(),
        queue=spec.queue.limits(),
        balance=spec.balance,
        allow=spec.allow,
        adapter_slots=spec.adapters.slots,
        loading=Loading("waiting to be prepared", eta=loads_in) if spec.least else None,
        on_demand=OnDemand(0.0 if spec.least else terms.wait, loads_in) if (terms := spec.on_demand) else None,
    )
