"""Options held against the engines' own parsers, for `enginehouse check`: each refusal with its line in the file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cli.registry import environment_of
from engines import ENGINES
from engines.engine import LaunchPlan, LaunchRefused
from engines.environments.hardware import device_of
from engines.parsers.ask import ENVIRONMENTS, Verdict, ask, installed
from engines.quantize.rules import resolve
from engines.tool import ToolFailed
from registry.load import Fault, reread
from registry.options import spelled
from registry.spec import ModelSpec, Registry

_LONGEST: Final = 400
"""Characters of a parser's sentence: some list hundreds of choices."""


@dataclass(frozen=True, slots=True)
class Question:
    """One command line of a model: the whole, or with one option alone, so that each wrong one is found."""

    model: str
    option: str | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong with a model's options. `option` None: with all of them together."""

    model: str
    engine: str
    option: str | None
    sentence: str


def misread(
    registry: Registry, path: Path, env: Mapping[str, str], cache: Path
) -> tuple[tuple[Fault, ...], tuple[str, ...]]:
    """What the installed parsers refuse of the file at `path`, and a note for each engine that could not be asked."""
    refusals: list[Refusal] = []
    notes: list[str] = []
    engines = dict.fromkeys(spec.engine for spec in registry.models.values() if spec.source is not None)
    for engine in engines:
        models = {name: spec for name, spec in registry.models.items() if spec.engine == engine and spec.source}
        python = installed(engine, cache)
        if python is None:
            notes.append(
                f"{engine}'s options were not checked: `enginehouse engines install {ENVIRONMENTS[engine][0]}`"
            )
            continue
        try:
            refusals += _refused(engine, models, python, env)
        except ToolFailed as failed:
            notes.append(f"{engine}'s options were not checked: {failed}")
    return placed(refusals, path, env), tuple(notes)


def _refused(engine: str, models: Mapping[str, ModelSpec], python: Path, env: Mapping[str, str]) -> list[Refusal]:
    """All models of one engine in one run of its parser."""
    found: list[Refusal] = []
    asked: list[Question] = []
    for name, spec in models.items():
        try:
            asked += questions(name, spec)
        except LaunchRefused as refused:
            found.append(Refusal(name, engine, None, str(refused)))
    verdicts = asyncio.run(ask(engine, python, [each.words for each in asked], env)) if asked else ()
    return found + refusals(engine, asked, verdicts)


def questions(name: str, spec: ModelSpec) -> list[Question]:
    """What to ask about a model. Raises `LaunchRefused` for options that have no spelling."""
    environment, adapters = environment_of(spec), spec.adapters.slots > 0
    plan = LaunchPlan(
        python=Path("python"),
        weights=Path("/weights"),
        served_name=name,
        host="127.0.0.1",
        port=1,
        key="",
        layout=resolve(spec.quantization, spec.engine, environment, adapters=adapters).name,
        device=device_of(environment),
        context=spec.context,
        adapter_slots=spec.adapters.slots,
        adapter_max_rank=spec.adapters.max_rank,
        sleeps=spec.sleeps,
        options=spec.engine_options,
    )
    engine = ENGINES[spec.engine]
    alone = [(option, replace(plan, options={option: value})) for option, value in spec.engine_options.items()]
    return [Question(name, option, engine.launch(each).arguments) for option, each in [*alone, (None, plan)]]


def refusals(engine: str, asked: list[Question], verdicts: tuple[Verdict, ...]) -> list[Refusal]:
    """What the verdicts say against the registry; about the whole only where no single option is to blame."""
    found: list[Refusal] = []
    for question, verdict in zip(asked, verdicts, strict=True):
        blamed = any(each.model == question.model for each in found)
        if verdict.error and (question.option or not blamed):
            sentence = verdict.error if len(verdict.error) <= _LONGEST else verdict.error[:_LONGEST] + "…"
            found.append(Refusal(question.model, engine, question.option, sentence))
    return found


def placed(found: list[Refusal], path: Path, env: Mapping[str, str]) -> tuple[Fault, ...]:
    """Each refusal with the line of its option in the file at `path`."""
    if not found:
        return ()
    document = reread(path, env)
    faults = []
    for refusal in found:
        place = ("models", refusal.model, "options", refusal.engine)
        key = refusal.option
        if key is not None:
            # The file may spell it with dashes.
            keys = (each[-1] for each in document.lines if each[:-1] == place)
            key = next((str(each) for each in keys if spelled(str(each)) == refusal.option), key)
        dotted = ".".join((*place, *([key] if key else [])))
        line = document.line((*place, *([key] if key else [])))
        faults.append(Fault(path, line, f"{dotted}: {refusal.engine}'s own parser says: {refusal.sentence}"))
    return tuple(sorted(faults, key=lambda fault: fault.line))
