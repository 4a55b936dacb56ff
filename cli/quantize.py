"""`enginehouse quantize`: a quantized checkpoint of one model, with a report of what it cost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.folders import REGISTRY, CacheOption, JsonOption, RegistryOption, cache_folder, octets
from cli.mistake import Mistake
from cli.models import agreement, loss
from cli.registry import environment_of, matrices, read_registry
from cli.show import duration, showing, size
from engines.environments.hardware import detect, environment_for
from engines.progress import Report
from engines.quantize.layout import Layout
from engines.quantize.rules import LayoutRefused, divide, engine_of, environments, loads, resolve, written
from engines.weights.failures import WeightsFailed
from engines.weights.prepare import Checkpoint, WeightsRequest, prepare, requested
from engines.weights.uses import Uses
from engines.weights.workshop import Workshop
from registry.spec import ModelSpec


class Word(StrEnum):
    """What can be asked for."""

    GPTQ = "gptq"
    AWQ = "awq"
    FP8 = "fp8"
    W8A8 = "w8a8"
    W4A16 = "w4a16"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which model, for whom, and where to; `spec` is None for a path."""

    name: str
    spec: ModelSpec | None
    engine: str
    environment: str
    adapters: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What came out. `note`: why what was asked for does not load where the model runs; empty where it does."""

    name: str
    checkpoint: Checkpoint
    layout: Layout
    octets: int
    seconds: float
    note: str = ""


def quantize(
    model: Annotated[str, typer.Argument(help="A model of the registry, or the path of a checkpoint or GGUF file.")],
    to: Annotated[Word, typer.Option("--to", help="The layout.")],
    out: Annotated[Path | None, typer.Option("--out", help="Copy the checkpoint here; it must not exist.")] = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Text to tune on: .txt or .jsonl. Default: what is shipped.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option("--for", metavar="ENVIRONMENT", help="What will load it: vllm, vllm-cpu, sglang, lmdeploy."),
    ] = None,
    registry: RegistryOption = REGISTRY,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Quantize a model and report what it cost: perplexity, agreement and divergence on held-out text."""
    folder = cache_folder(cache, os.environ)
    if out is not None and out.exists():
        raise Mistake(f"--out: {out} exists already; name a folder that does not")
    if calibration is not None and not calibration.is_file():
        raise Mistake(f"--calibration: there is no file {calibration}")
    wanted = found(model, registry, environment, os.environ)
    request, note = ordered(wanted, to, registry, calibration, strict=environment is not None)
    with showing(Console(stderr=as_json)) as report:
        made = asyncio.run(make(request, note, folder, report))
    if out is not None:
        made = kept(made, out, folder)
    typer.echo(json.dumps(for_json(made), indent=2) if as_json else as_text(made))


def found(model: str, registry: Path, environment: str | None, env: Mapping[str, str]) -> Wanted:
    """The model of the registry that is called so, or else the path; for the environment that was named, if one was."""
    spec = _of_registry(model, registry, env)
    if spec is None and not Path(model).exists():
        raise Mistake(f"{model} is neither a model of {registry} nor a file or folder")
    if spec is not None and spec.source is None:
        raise Mistake(f"{model} has no weights here: its workers are started by somebody else")
    engine = engine_of(environment) if environment else None
    if environment and not engine:
        raise Mistake(f"--for: nothing is known about weights for {environment}; known: {', '.join(environments())}")
    if engine and environment:
        return Wanted(model, spec, engine, environment)
    if spec is None:
        return Wanted(model, None, "vllm", environment_for("vllm", detect()))
    return Wanted(model, spec, spec.engine, environment_of(spec), adapters=spec.adapters.slots > 0)


def _of_registry(model: str, registry: Path, env: Mapping[str, str]) -> ModelSpec | None:
    if not registry.exists() and Path(model).exists():
        return None
    models = read_registry(registry, env).models
    return next((spec for name, spec in models.items() if model in {name, *spec.aliases}), None)


def ordered(
    wanted: Wanted, to: Word, registry: Path, calibration: Path | None, *, strict: bool
) -> tuple[WeightsRequest, str]:
    """What to make, and why it will not load where the model runs now, if so; `strict`: that is a mistake."""
    note = ""
    try:
        layout = resolve(to.value, wanted.engine, wanted.environment, adapters=wanted.adapters)
    except LayoutRefused as refused:
        if strict:
            raise Mistake(str(refused)) from None
        layout, note = written(to.value), str(refused)
    source = (wanted.spec.source if wanted.spec else None) or str(Path(wanted.name).absolute())
    try:
        divide(layout, matrices(source), wanted.engine, wanted.environment, adapters=wanted.adapters)
    except LayoutRefused as refused:
        raise Mistake(str(refused)) from None
    if wanted.spec is None:
        request = WeightsRequest(Path(source).name, source, layout)
    else:
        request = requested(wanted.name, wanted.spec, layout, registry.absolute().parent)
    return (replace(request, calibration=calibration) if calibration else request), note


async def make(
    request: WeightsRequest, note: str, cache: Path, report: Report, workshop: Workshop | None = None
) -> Made:
    """Make it, or find it in the cache."""
    begun = time.monotonic()
    try:
        checkpoint = await prepare(request, cache, report, workshop=workshop)
    except (WeightsFailed, OSError) as failed:
        raise Mistake(str(failed), exit_code=1) from None
    return Made(request.name, checkpoint, request.layout, octets(checkpoint.path), time.monotonic() - begun, note)


def kept(made: Made, out: Path, cache: Path) -> Made:
    """The same, copied to `out`: whole or not at all."""
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with Uses(cache) as uses:
            uses.take(made.checkpoint.path)
            shutil.copytree(made.checkpoint.path, draft)
        draft.rename(out)
    except OSError as fault:
        raise Mistake(f"--out: {fault}", exit_code=1) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return replace(made, checkpoint=replace(made.checkpoint, path=out))


def as_text(made: Made) -> str:
    """For people."""
    quality, layout = made.checkpoint.quality, made.layout
    if quality is None:
        return f"{made.name} is quantized already, as {made.checkpoint.layout}: {made.checkpoint.path}"
    top1, divergence = agreement(quality)
    lines = [
        f"{made.name} as {layout.name}: {layout.sentence}; {size(made.octets)}, {duration(made.seconds)}",
        f"  algorithm   {quality.algorithm}",
        f"  perplexity  {loss(quality)}, on {quality.tokens} held-out tokens",
        f"  top-1       {top1} as the source says",
        f"  KL          {divergence} nats from the source",
        f"  in          {made.checkpoint.path}",
        f"  loads in    {', '.join(loads(layout))}",
        *([f"note: {made.note}"] if made.note else []),
    ]
    return "\n".join(lines)


def for_json(made: Made) -> dict[str, Any]:
    """The same for programs; `quality` is null where the source was quantized already."""
    quality = made.checkpoint.quality
    return {
        "name": made.name,
        "layout": made.checkpoint.layout,
        "bits": made.layout.bits,
        "group_size": made.layout.group_size,
        "symmetric": made.layout.symmetric,
        "path": str(made.checkpoint.path),
        "bytes": made.octets,
        "seconds": round(made.seconds, 1),
        "loads_in": list(loads(made.layout)),
        "note": made.note or None,
        "quality": quality
        and {
            "algorithm": quality.algorithm,
            "source_perplexity": quality.source_perplexity,
            "perplexity": quality.perplexity,
            "ratio": quality.ratio,
            "top1": quality.top1,
            "kl": quality.kl,
            "tokens": quality.tokens,
        },
    }
