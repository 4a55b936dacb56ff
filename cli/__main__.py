"""The `enginehouse` command: the list of its verbs, and how it ends."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cli.adapter_verbs import (
    adapters_add,
    adapters_history,
    adapters_list,
    adapters_pin,
    adapters_promote,
    adapters_remove,
    adapters_rollback,
    adapters_split,
)
from cli.adapters import doctor
from cli.check import check
from cli.engines import engines_install, engines_list
from cli.explain import explain
from cli.mistake import Mistake
from cli.models import models
from cli.plan import plan
from cli.pull import pull
from cli.quantize import quantize
from cli.reload import reload
from cli.serve import INTERRUPTED, serve
from cli.status import status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code; nothing a person did is a traceback."""
    try:
        build()(arguments, prog_name="enginehouse")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Mistake as mistake:
        sys.stderr.write(f"enginehouse: {mistake}\n")
        return mistake.exit_code
    else:
        code = 0
    if code == INTERRUPTED:
        sys.stderr.write("\ninterrupted; run again to resume\n")
    return code


def build() -> typer.Typer:
    """The command with all its verbs."""
    app = typer.Typer(name="enginehouse", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    for verb in (serve, check, plan, reload, status, models, pull, quantize, explain):
        app.command()(verb)
    engines = typer.Typer(no_args_is_help=True, help="Engines' environments: list and install them.")
    engines.command("list")(engines_list)
    engines.command("install")(engines_install)
    app.add_typer(engines, name="engines")
    adapters = typer.Typer(no_args_is_help=True, help="LoRA adapters: examine, add, promote, remove them.")
    for name, does in (
        ("doctor", doctor),
        ("list", adapters_list),
        ("add", adapters_add),
        ("promote", adapters_promote),
        ("rollback", adapters_rollback),
        ("remove", adapters_remove),
        ("pin", adapters_pin),
        ("split", adapters_split),
        ("history", adapters_history),
    ):
        adapters.command(name)(does)
    app.add_typer(adapters, name="adapters")
    return app


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"enginehouse {importlib.metadata.version('enginehouse')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """One OpenAI-compatible address in front of a house full of engines."""


if __name__ == "__main__":
    raise SystemExit(main())
