"""The memory plan of a registry: what each model will need here, and whether it fits. Part of `enginehouse check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from cli.models import Row, rows
from cli.registry import environment_of
from engines import ENGINES
from engines.environments.hardware import device_of
from engines.memory.budget import Asked, Sum, share
from engines.memory.calibration import Measure
from engines.memory.checkpoint import Damaged, Facts, FactsUnknown, facts
from engines.memory.machine import Machine, look
from engines.memory.plan import Plan, size
from engines.memory.wish import wish
from engines.quantize.rules import resolve
from engines.weights.failures import WeightsFailed
from engines.weights.shelf import Shelved
from registry.spec import ModelSpec, Registry

UNKNOWN: Final = "not known before it is fetched"
ELSEWHERE: Final = "not planned: its workers are somebody else's"
ON_RAY: Final = "not planned: Ray finds room for its workers"


@dataclass(frozen=True, slots=True)
class Line:
    """One model: its plan, or why there is none."""

    name: str
    plan: Plan | None = None
    why_not: str = ""
    damage: str = ""
    """Why its source, which is on this machine, is no weights, or damaged ones."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A registry's models in its order, and the sum on each device."""

    lines: tuple[Line, ...]
    sums: tuple[Sum, ...] = ()

    def refusals(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """What cannot be: where in the file, and why."""
        models = [(line.name, line.plan) for line in self.lines if line.plan and not line.plan.fits]
        short = [(("models", name), f"models.{name}: not enough memory: {plan.reason}") for name, plan in models]
        files = ((line.name, line.damage) for line in self.lines if line.damage)
        damaged = ((("models", name, "source"), f"models.{name}.source: {damage}") for name, damage in files)
        return (*damaged, *short, *((("models",), f"models: {each.reason}") for each in self.sums if each.reason))


@dataclass(frozen=True, slots=True)
class Here:
    """What a plan depends on beside the registry."""

    cache: Path
    folder: Path
    """Where relative sources start."""
    env: Mapping[str, str]
    measures: Mapping[str, Measure] = field(default_factory=dict)
    machine: Callable[[], Machine] = look


def planned(registry: Registry, here: Here) -> MemoryPlan:
    """The plan for `registry` on this machine if nothing else ran on it. Nothing is fetched or started."""
    asked = {name: _asked(name, spec, here) for name, spec in registry.models.items()}
    machine = here.machine().seen_by(here.env)
    plans: dict[str, Plan] = {}
    sums: list[Sum] = []
    for device in ("cpu", "cuda"):
        place = machine.empty(device)
        on_it = [each for each in asked.values() if isinstance(each, Asked) and each.wish.device == device]
        if place is not None and on_it:
            given, total = share(on_it, place, here.measures)
            plans |= {each.name: plan for each, plan in zip(on_it, given, strict=True)}
            sums.append(total)
    return MemoryPlan(tuple(_line(name, each, plans.get(name)) for name, each in asked.items()), tuple(sums))


def as_table(plan: MemoryPlan) -> Table:
    """For people."""
    drawn = Table(box=None, pad_edge=False)
    for heading in ("MODEL", "WEIGHTS", "KV CACHE", "LORA", "ACTIVATIONS", "ENGINE", "TOTAL", "DEVICE", "FITS"):
        drawn.add_column(heading, no_wrap=heading != "FITS")
    known = [(line.name, line.plan) for line in plan.lines if line.plan]
    for name, each in known:
        drawn.add_row(name, *_cells(each))
    for total in plan.sums if len(known) > 1 else ():
        drawn.add_row("together", "", "", "", "", "", size(total.total), total.device, _of(total))
    return drawn


def as_notes(plan: MemoryPlan, *, refused: bool = True) -> tuple[str, ...]:
    """A sentence for each model that there is no row of; without those that are refused, if that is told already."""
    lines = (line for line in plan.lines if line.plan is None and (refused or not line.damage))
    return tuple(f"models.{line.name}: memory {line.why_not}" for line in lines)


def for_json(plan: MemoryPlan) -> list[dict[str, Any]]:
    """The same for programs: bytes of one worker on one device, `total` of all of them."""
    return [{"model": line.name} | _figures(line) for line in plan.lines]


def _asked(name: str, spec: ModelSpec, here: Here) -> Asked | Line:
    """The model in numbers; or why they are not to be had."""
    if spec.source is None:
        return Line(name, why_not=ELSEWHERE)
    try:
        (row,) = rows(Registry(models={name: spec}), here.folder, here.cache, here.env)
        found = _facts(row)
    except (WeightsFailed, OSError) as refused:
        found = Line(name, why_not=f"not known: {refused}")
    if spec.launcher == "ray":  # its weights are prepared here all the same
        return Line(name, why_not=ON_RAY, damage=found.damage if isinstance(found, Line) else "")
    if isinstance(found, Line):
        return found
    device, layout = device_of(environment_of(spec)), row.layout or "none"
    asked = wish(spec, ENGINES[spec.engine], found, layout=layout, device=device, env=here.env)
    return Asked(name, found, asked, comes_and_goes=not spec.least)


def _facts(row: Row) -> Facts | Line:
    """From the checkpoint itself, or from what it will be made of."""
    found = row.found
    if found is not None and found.state is Shelved.UNUSABLE:
        return Line(row.name, why_not=f"not known: {found.reason}", damage=found.reason if found.path else "")
    if found is None or found.path is None or found.state is Shelved.MISSING:
        return Line(row.name, why_not=UNKNOWN)
    try:
        if found.state is Shelved.READY:
            return facts(found.path)
        packing = resolve(row.spec.quantization, row.spec.engine, environment_of(row.spec))
        return facts(found.path, packing.bits, packing.group_size)
    except Damaged as damaged:
        return Line(row.name, why_not="not known: its files are damaged", damage=str(damaged))
    except FactsUnknown as unknown:
        return Line(row.name, why_not=f"not known: {unknown}")


def _line(name: str, asked: Asked | Line, plan: Plan | None) -> Line:
    if isinstance(asked, Line):
        return asked
    return Line(name, plan, "" if plan else f"not planned: there is no {asked.wish.device} device here")


def _cells(plan: Plan) -> Sequence[str]:
    each, wish = plan.estimate, plan.wish
    count = f" x {wish.replicas * wish.parallel}" if wish.replicas * wish.parallel > 1 else ""
    parts = (each.weights, each.cache, each.lora, each.activations, each.overhead)
    fits = "; ".join(("yes" if plan.fits else "no", *plan.notes))
    return (*map(size, parts), f"{size(each.total)}{count}", wish.device, fits)


def _of(each: Sum) -> str:
    return f"{'no' if each.reason else 'yes'}, of {size(each.room)}"


def _figures(line: Line) -> dict[str, Any]:
    if line.plan is None:
        return {"known": False, "reason": line.why_not}
    each, wish = line.plan.estimate, line.plan.wish
    return {
        "known": True,
        "fits": line.plan.fits,
        "reason": line.plan.reason,
        "device": wish.device,
        "workers": wish.replicas,
        "devices_each": wish.parallel,
        "weights": each.weights,
        "kv_cache": each.cache,
        "kv_cache_tokens": each.tokens,
        "lora": each.lora,
        "activations": each.activations,
        "engine": each.overhead,
        "each": each.total,
        "total": line.plan.total,
        "notes": list(line.plan.notes),
    }
