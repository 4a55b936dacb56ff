"""`enginehouse reload`: has a running house read its registry file now, and says what comes of it."""

from __future__ import annotations

import json

import typer

from cli.asking import steps_of
from cli.folders import STATE, JsonOption, StateOption
from cli.mistake import Mistake
from registry.orders import Reload


def reload(state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Read the registry file now, trying again what was rolled back; exit 1 with all faults if it has any."""
    came = steps_of(state, Reload())
    if as_json:
        shown = {"ok": not came.faults, "steps": [step.shown() for step in came.steps], "faults": came.faults}
        typer.echo(json.dumps(shown, indent=2))
    elif not came.faults:
        typer.echo("\n".join(map(str, came.steps)) or "nothing has changed")
    if came.faults:
        raise typer.Exit(1) if as_json else Mistake(refusal(came.faults), exit_code=1)


def refusal(faults: tuple[str, ...]) -> str:
    """A line for each fault, below what they mean."""
    return "\n".join(["the registry is refused, everything stays as it is", *faults])
