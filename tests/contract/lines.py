"""Command lines as a registry can make them, and one run of an engine's own parser over all of them."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engines.engine import Engine, LaunchPlan
from engines.environments.hardware import device_of
from engines.launchers.launcher import Prepared, Seat
from engines.parsers.ask import Verdict, ask
from engines.quantize.rules import LayoutRefused, accept, engine_of, environments, resolve, works
from registry.adapters import served_as
from registry.load import parse

NAMES: Final = ("small", "Qwen/Qwen3-0.6B", "a.b_c-d")
AS_THEY_COME: Final = ("none", "gptq", "awq", "w4a16", "w8a8", "fp8", "mxfp4", "compressed-tensors")
"""Layouts that a source may have already, which `quantization: none` then leaves alone."""


def judged(engine: Engine, python: Path, plans: Mapping[str, LaunchPlan]) -> dict[str, Verdict]:
    """What the parser said to the command line of each plan: one process, for its import takes seconds."""
    lines = [engine.launch(plan).arguments for plan in plans.values()]
    return dict(zip(plans, asyncio.run(ask(engine.name, python, lines, os.environ)), strict=True))


def drawn(engine: Engine, options: Mapping[str, tuple[object, ...]], seed: int) -> LaunchPlan:
    """What a worker is started from, for a registry's entry drawn by `seed` from all that goes together: read as a file
    is read, its weights in the layout that they would have, planned as the supervisor plans it.
    """
    chance = random.Random(seed)
    environment = chance.choice([each for each in environments() if engine_of(each) == engine.name])
    slots = chance.choice((0, 0, 1, 4, 64))
    words = works(engine.name, environment, adapters=slots > 0)
    given = {
        "engine": engine.name,
        "source": "hf://org/name@main",
        "quantization": chance.choice((*words, "none")),
        "replicas": chance.choice((1, 2, {"min": 0}, {"min": 0, "max": 1, "when_idle": "sleep"})),
        "trust_remote_code": chance.choice((False, False, True)),
        "adapters": {"slots": slots, "max_rank": chance.choice((1, 12, 16, 512))},
        "options": {engine.name: _options(options, chance)},
        "environments": {engine.name: environment},
    }
    context = chance.choice((None, 1, 2048, 100_000_000))
    name = chance.choice(NAMES)
    registry = json.dumps({"models": {name: given | ({"context": context} if context else {})}})
    spec = parse(registry, Path("registry.yaml"), {}).models[name]
    layout = resolve(spec.quantization, engine.name, environment, adapters=slots > 0).name
    if layout == "none":
        layout = chance.choice([each for each in AS_THEY_COME if _loads(each, engine, environment, slots)])
    kv_cache = chance.choice((None, 2**28, 2**40))
    prepared = Prepared(Path("python"), Path("/weights"), layout, device_of(environment), kv_cache)
    adapters = chance.sample(("pirate", "judge", "a-b.c"), chance.randint(0, min(slots, 3)))
    paths = {served_as(name, each, 64 * "0c"): Path("/adapters") / each for each in adapters}
    return Seat(name, 0, spec, engine, prepared, adapters=paths).plan("127.0.0.1", chance.randint(1, 65535), key="")


def _options(options: Mapping[str, tuple[object, ...]], chance: random.Random) -> dict[str, Any]:
    """Some of them. A registry has no mapping there: it is written as JSON."""
    chosen = {name: chance.choice(options[name]) for name in chance.sample(sorted(options), chance.randint(1, 10))}
    return {name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in chosen.items()}


def _loads(packed: str, engine: Engine, environment: str, slots: int) -> bool:
    try:
        accept(packed, engine.name, environment, adapters=slots > 0)
    except LayoutRefused:
        return False
    return True
