"""Command lines as a registry can make them, and one run of an engine's own parser over all of them."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engines.engine import Engine, LaunchPlan
from engines.parsers.ask import Verdict, ask


def judged(engine: Engine, python: Path, plans: Mapping[str, LaunchPlan]) -> dict[str, Verdict]:
    """What the parser said to the command line of each plan: one process, for its import takes seconds."""
    lines = [engine.launch(plan).arguments for plan in plans.values()]
    return dict(zip(plans, asyncio.run(ask(engine.name, python, lines, os.environ)), strict=True))


def drawn(plan: LaunchPlan, options: Mapping[str, tuple[object, ...]], seed: int) -> LaunchPlan:
    """A worker as a registry could ask for it: every field within its bounds, some options, drawn by `seed`."""
    chance = random.Random(seed)
    chosen = chance.sample(sorted(options), chance.randint(1, min(10, len(options))))
    slots = chance.choice((0, 0, 1, 4, 64))
    names = chance.sample(("base:pirate@ab12", "base:judge@cd34", "base:a-b.c@00"), chance.randint(0, min(slots, 3)))
    return replace(
        plan,
        served_name=chance.choice(("small", "Qwen/Qwen3-0.6B", "a.b_c-d")),
        port=chance.randint(1, 65535),
        layout=chance.choice(("none", "awq", "gptq")),
        device=chance.choice(("cpu", "cuda")),
        context=chance.choice((None, 1, 2048, 100_000_000)),
        adapter_slots=slots,
        sleeps=chance.choice((False, False, True)),
        adapter_max_rank=chance.choice((1, 12, 16, 512)),
        adapters={name: Path("/adapters") / name for name in names},
        options={name: chance.choice(options[name]) for name in chosen},
    )
