"""`python -m loadtests.adapters.serve REGISTRY PORT FOLDER [--fake]`: a house whose placement is switched by a
file in FOLDER, where its state and the path of its weights are too. Everything else is the product; with --fake but for
the engines, which generate no real tokens. Started by `house`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cli.folders import cache_folder
from engines.fake.engine import FakeEngine
from engines.launchers.launcher import Prepared
from engines.progress import Report
from engines.supervisor.main import Parts, serve
from engines.supervisor.preparation import preparing
from engines.supervisor.settings import ServeSettings
from engines.supervisor.shared import Prepare
from loadtests.adapters.placements import Switch
from registry.spec import ModelSpec


def main(registry: str, port: str, folder: str, fake: str = "") -> int:
    """Until SIGTERM."""
    place = Path(folder)
    settings = ServeSettings(
        Path(registry), port=int(port), state=place / "state", cache=cache_folder(None, os.environ), drain_s=2.0
    )
    switch = Switch(place)
    if fake:
        parts = Parts(engines={"vllm": FakeEngine()}, prepare=_nothing, placement=switch, attended=lambda: False)
    else:
        parts = Parts(prepare=lambda asked: _noted(preparing(asked), place), placement=switch, attended=lambda: False)
    return asyncio.run(serve(settings, parts=parts))


def _nothing(_: ServeSettings) -> Prepare:
    async def prepare(_: str, spec: ModelSpec, __: Report) -> Prepared:
        return Prepared(Path(sys.executable), Path(str(spec.source)), "none")

    return prepare


def _noted(prepare: Prepare, folder: Path) -> Prepare:
    async def noting(name: str, spec: ModelSpec, report: Report) -> Prepared:
        prepared = await prepare(name, spec, report)
        (folder / "weights").write_text(str(prepared.weights))
        return prepared

    return noting


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
