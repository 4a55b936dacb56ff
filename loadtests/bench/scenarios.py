"""What is measured: one literal table. Called by `gateway_bench` and `measure`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from loadtests.bench.native import Load


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load on one contestant; CPU is counted while `load` runs."""

    name: str
    title: str
    load: Load
    storm: Load | None = None
    """Runs after a first `load` and before the measured one: what does it leave behind?"""
    beside: Load | None = None
    """Runs at the same time, from before `load` to after it."""
    models: int = 1
    aliases: int = 0
    """More than one name: only for the contestant that can be told so (ours)."""
    main: bool = False
    """Whether slow contestants take part too (in the first round)."""


_JSON: Final = Load(connections=64, ms=1000)
_STREAMS: Final = Load(connections=256, ms=8000, requests=512, ramp_ms=1000, stream=True)
_STORM: Final = Load(connections=256, ms=3000, requests=256, stream=True, drop=True)
_SLOW_READERS: Final = Load(connections=32, ms=3500, stream=True, events=100_000, gap_ms=0, read_rate=100_000)

SCENARIOS: Final = (
    Scenario("json_16", "JSON, 16 connections", replace(_JSON, connections=16)),
    Scenario("json_64", "JSON, 64 connections", _JSON, main=True),
    Scenario("json_256", "JSON, 256 connections", replace(_JSON, connections=256)),
    Scenario("streams_64", "64 streams of 100 chunks, 20 ms apart", replace(_STREAMS, connections=64, requests=128)),
    Scenario("streams_256", "256 streams of 100 chunks, 20 ms apart", _STREAMS, main=True),
    Scenario("flood", "flood: a connection per request, 256 at once", replace(_JSON, connections=256, fresh=True)),
    Scenario("prompt_8k", "prompts of 8 kB, 64 connections", replace(_JSON, body_bytes=8192)),
    Scenario("prompt_128k", "prompts of 128 kB, 64 connections", replace(_JSON, body_bytes=131_072)),
    Scenario("names_11000", "1,000 models and 10,000 more names", _JSON, models=1000, aliases=10_000),
    Scenario("storm", "256 streams dropped at once, then JSON", _JSON, storm=_STORM),
    Scenario(
        "slow_readers", "JSON beside 32 streams read at 100 kB/s", replace(_JSON, connections=16), beside=_SLOW_READERS
    ),
)


def hurried(scenario: Scenario) -> Scenario:
    """A shorter run of the same: for a look, not for a figure."""
    load = scenario.load
    shorter = replace(load, requests=load.requests // 2) if load.requests else replace(load, ms=400)
    return replace(scenario, load=shorter)
