"""`enginehouse plan`: what a registry file would change in the house that runs, and how. Nothing is done."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.asking import steps_of
from cli.check import show
from cli.folders import REGISTRY, STATE, CacheOption, JsonOption, StateOption, cache_folder
from cli.memory import Here, planned
from cli.mistake import Mistake
from cli.registry import judged, refusal
from cli.reload import refusal as unchanged
from engines.memory.machine import Machine, look
from engines.memory.plan import Plan, size
from engines.supervisor.memory import read as measures
from registry import orders
from registry.changes import EMPTY, Step, Verb, changes, steps
from registry.faults import RegistryRefused
from registry.spec import ModelSpec, Registry

_UNKNOWN: Final = "surge, or replace if memory does not hold both"


def plan(
    registry: Annotated[Path, typer.Option("--registry", help="The registry file.")] = REGISTRY,
    state: StateOption = STATE,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the file would change in the running house, and the memory plan; exit 1 if it has faults."""
    try:
        read = judged(registry, os.environ)
    except RegistryRefused as refused:
        if not as_json:
            raise Mistake(str(refusal(refused)), exit_code=1) from None
        typer.echo(json.dumps({"ok": False, "faults": [str(fault) for fault in refused.faults]}, indent=2))
        raise typer.Exit(1) from None
    found, runs = _steps(read, registry, state)
    here = Here(
        cache_folder(cache, os.environ), registry.absolute().parent, os.environ, measures(state / "memory.json")
    )
    memory = planned(read, here)
    plans = {line.name: line.plan for line in memory.lines}
    ways = [way(step, read.models.get(step.model), plans.get(step.model), look()) for step in found]
    if as_json:
        typer.echo(json.dumps({"ok": True, "running": runs, "steps": [each.shown() for each in ways]}, indent=2))
        return
    if not runs:
        typer.echo(f"note: no supervisor answers in the state folder {state}: everything would be started")
    typer.echo("\n".join(map(str, ways)) or "nothing would change")
    show(memory)


@dataclass(frozen=True, slots=True)
class Way:
    """One step, and how it would be gone. Bytes; None: not known, or nothing is asked for."""

    step: Step
    how: str = ""
    needs: int | None = None
    free: int | None = None

    def __str__(self) -> str:
        figures = (
            "" if self.needs is None or self.free is None else f" (needs {size(self.needs)}, {size(self.free)} free)"
        )
        return f"{self.step}{f': {self.how}' if self.how else ''}{figures}"

    def shown(self) -> dict[str, Any]:
        """For programs."""
        return self.step.shown() | {"strategy": self.how, "needs": self.needs, "free": self.free}


def way(step: Step, spec: ModelSpec | None, planned: Plan | None, machine: Machine) -> Way:
    """How `step` would be gone on this machine, as it is now."""
    if spec is None or step.verb not in {Verb.START, Verb.SWAP}:
        return Way(step)
    place = machine.now(planned.wish.device) if planned else None
    needs, free = planned.total if planned else None, place.room if place else None
    if step.verb is Verb.START:
        return Way(step, "", needs, free)
    if spec.strategy != "auto":
        return Way(step, spec.strategy, needs, free)
    if needs is None or free is None:
        return Way(step, "surge" if spec.launcher == "external" else _UNKNOWN)
    return Way(step, "surge" if needs <= free else "replace", needs, free)


def _steps(read: Registry, path: Path, state: Path) -> tuple[tuple[Step, ...], bool]:
    """What the supervisor says, and that it runs; without one, what a new one would do."""
    try:
        answer = steps_of(state, orders.Plan(str(path.absolute())))
    except Mistake:
        return steps(changes(EMPTY, read)), False
    if answer.faults:
        raise Mistake(unchanged(answer.faults), exit_code=1)
    return answer.steps, True
