"""`enginehouse adapters doctor`: whether an adapter can be served, and all that keeps it from being served."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.below import against
from cli.folders import REGISTRY, CacheOption, JsonOption, RegistryOption, cache_folder
from cli.mistake import Mistake
from cli.show import size
from engines.adapters.against import Against
from engines.adapters.doctor import LIMITS, Diagnosis, examine
from engines.adapters.findings import Finding, shortened
from engines.adapters.folder import NotThere
from engines.adapters.unpack import unpack

_MOST: Final = 3
"""Findings of one kind that are shown one by one."""

BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="MODEL|CHECKPOINT", help="A model of the registry, or a checkpoint's folder."),
]


def doctor(
    path: Annotated[Path, typer.Argument(help="The adapter's folder, as PEFT has saved it, or a tar or zip of it.")],
    model: BaseOption = None,
    registry: RegistryOption = REGISTRY,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a LoRA adapter can be served, and if not, everything that is wrong; exit 1 if it cannot."""
    held = against(model, registry, cache_folder(cache, os.environ), os.environ)
    if not path.exists():
        raise Mistake(f"{path}: there is no such file or folder")
    try:
        diagnosis = _examined(path.resolve(), held)
    except OSError as fault:
        raise Mistake(f"{path} cannot be read: {fault.strerror}") from None
    typer.echo(json.dumps(for_json(path, diagnosis), indent=2) if as_json else as_text(path, diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _examined(path: Path, held: Against) -> Diagnosis:
    """An archive is unpacked where nobody else looks, and only for as long as it takes."""
    if path.is_dir():
        return examine(path, held)
    with tempfile.TemporaryDirectory(prefix="enginehouse-adapter-") as folder:
        try:
            unpack(path, Path(folder), LIMITS)
        except NotThere as refused:
            return Diagnosis(held, (refused.finding,))
        return examine(Path(folder), held)


def as_text(path: Path, diagnosis: Diagnosis) -> str:
    """For people: what it is, what is wrong, and who would serve it."""
    facts, lines = diagnosis.facts, []
    if facts.modules:
        lines.append(
            f"rank {facts.rank}, alpha {facts.alpha:g}, {facts.modules} modules ({', '.join(facts.targets)}), "
            f"{' '.join(facts.dtypes)}, {size(facts.octets)}"
        )
    lines += [_line(finding) for finding in shortened(diagnosis.findings, _MOST)]
    lines += [f"note: {note}" for note in diagnosis.notes]
    return "\n".join([*lines, f"{path}: {_verdict(diagnosis)}"])


def _line(finding: Finding) -> str:
    return f"  {finding}"


def _verdict(diagnosis: Diagnosis) -> str:
    whom = diagnosis.against.model or "any model"
    if not diagnosis.healthy:
        count = len(diagnosis.findings)
        return f"refused for {whom}: {count} finding{'s' if count != 1 else ''}"
    return f"can be served by {', '.join(diagnosis.engines)}" + (f" on {whom}" if diagnosis.against.model else "")


def for_json(path: Path, diagnosis: Diagnosis) -> dict[str, Any]:
    """For programs; `reason` is stable, `message` is not."""
    facts = diagnosis.facts
    return {
        "ok": diagnosis.healthy,
        "path": str(path),
        "base": diagnosis.against.model or None,
        "engines": list(diagnosis.engines),
        "findings": [
            {
                "reason": str(finding.reason),
                "where": finding.where,
                "engine": finding.engine or None,
                "message": finding.message,
            }
            for finding in diagnosis.findings
        ],
        "notes": list(diagnosis.notes),
        "adapter": {
            "base_model": facts.base_model or None,
            "rank": facts.rank,
            "alpha": facts.alpha,
            "targets": list(facts.targets),
            "modules": facts.modules,
            "dtypes": list(facts.dtypes),
            "bytes": facts.octets,
        },
    }
