"""From a model of the registry to what its workers are started from: the environment and the weights.

The one place where `environments` and `weights` meet the supervisor; their errors become `PreparationFailed`.
"""

from __future__ import annotations

from engines.launchers.launcher import Prepared
from engines.progress import Report
from engines.supervisor.pool import PreparationFailed, Prepare
from engines.supervisor.settings import ServeSettings
from registry.spec import ModelSpec


def preparing(settings: ServeSettings) -> Prepare:
    """A `Prepare` that works in the cache of these settings."""

    async def prepare(name: str, spec: ModelSpec, report: Report) -> Prepared:  # noqa: ARG001 (to be filled in)
        raise PreparationFailed(f"weights cannot be prepared yet (cache: {settings.cache})")

    return prepare
