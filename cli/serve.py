"""`enginehouse serve`: runs the supervisor, and shows what it announces and how far it is."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Final

import typer
from rich.console import Console

from cli.folders import REGISTRY, STATE, CacheOption, RegistryOption, StateOption, cache_folder
from cli.keyfiles import with_keys
from cli.mistake import Mistake
from cli.news import News
from cli.registry import impossible, read_registry, refusal
from cli.show import plainly, showing
from engines.supervisor.main import Parts
from engines.supervisor.main import serve as supervise
from engines.supervisor.settings import ServeRefused, ServeSettings
from registry.faults import RegistryRefused

INTERRUPTED: Final = 130
"""What a shell expects of a program that Ctrl-C ended before its work was done."""


def serve(
    registry: RegistryOption = REGISTRY,
    host: Annotated[str, typer.Option(help="The address to listen on; others than loopback need keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
    state: StateOption = STATE,
    cache: CacheOption = None,
    drain: Annotated[float, typer.Option(help="Seconds that open requests have to end when stopping.", min=0)] = 30.0,
    processes: Annotated[
        int,
        typer.Option(help="How many gateway processes share the port; each answers /metrics for all.", min=1, max=64),
    ] = 1,
) -> None:
    """Serve the models of a registry file, setting up their engines and weights first."""
    settings = ServeSettings(
        registry_path=registry,
        host=host,
        port=port,
        state=state,
        cache=cache_folder(cache, os.environ),
        drain_s=drain,
        gateways=processes,
        env=with_keys(os.environ),
    )
    read_registry(registry, settings.env)  # refused here with all that is impossible, before anything starts
    raise typer.Exit(run(settings, Console()))


def run(settings: ServeSettings, console: Console) -> int:
    """Supervise until stopped. 0: an orderly end; 130: interrupted before any model was ready. Raises `Mistake`."""
    keyed = bool(settings.env.get("ENGINEHOUSE_API_KEY", "").strip())
    news = News(plainly(console), keyed=keyed)
    try:
        with showing(console) as report:
            code = asyncio.run(
                supervise(settings, announce=news.announce, report=report, parts=Parts(judge=impossible))
            )
    except RegistryRefused as refused:
        raise refusal(refused) from None
    except ServeRefused as refused:
        raise Mistake(str(refused)) from None
    return code if news.was_ready else code or INTERRUPTED
