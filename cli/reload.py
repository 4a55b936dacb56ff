"""`enginehouse reload`: has a running house read its registry file now, and says what comes of it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Final

import msgspec
import typer

from cli.folders import STATE, JsonOption, StateOption
from cli.mistake import Mistake
from engines.supervisor.control import locate
from registry.orders import Order, Reload, Steps, answer, encode

_PATIENCE: Final = 60.0
"""Seconds; reading a file takes parts of one."""


def reload(state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Read the registry file now, trying again what was rolled back; exit 1 with all faults if it has any."""
    came = ask(state, Reload())
    if as_json:
        steps = [step.data() for step in came.steps]
        typer.echo(json.dumps({"ok": not came.faults, "steps": steps, "faults": came.faults}, indent=2))
    elif not came.faults:
        typer.echo("\n".join(map(str, came.steps)) or "nothing has changed")
    if came.faults:
        raise typer.Exit(1) if as_json else Mistake(refusal(came.faults), exit_code=1)


def refusal(faults: tuple[str, ...]) -> str:
    """A line for each fault, below what they mean."""
    return "\n".join(["the registry is refused, everything stays as it is", *faults])


def ask(state: Path, order: Order) -> Steps:
    """What the supervisor of a state folder answers to an order that has an answer. Raises `Mistake`: not running."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_PATIENCE)
        try:
            channel.connect(str(locate(state)))
            channel.sendall(encode(order))
            with channel.makefile("rb") as lines:
                for line in lines:
                    if isinstance(found := answer(line), Steps):
                        return found
        except TimeoutError:
            raise Mistake(f"the supervisor did not answer within {_PATIENCE:g} s", exit_code=1) from None
        except msgspec.DecodeError:
            raise Mistake("the supervisor is of another version: restart it", exit_code=1) from None
        except OSError as error:
            raise Mistake(f"not running: no supervisor answers in the state folder {state}", exit_code=1) from error
    raise Mistake("the supervisor ended before it answered", exit_code=1)
