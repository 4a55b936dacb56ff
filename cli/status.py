"""`enginehouse status`: what the supervisor's snapshots say, as a table that stays current."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.folders import STATE, JsonOption, StateOption
from cli.mistake import Mistake
from cli.show import duration, sentence
from engines.progress import Progress
from engines.supervisor.control import locate
from registry.snapshot import Loading, ModelView, Snapshot, Swap, SwapState, WorkerState, WorkerView, decode, encode

COLOURS: Final = {
    WorkerState.READY: "green",
    WorkerState.STARTING: "yellow",
    WorkerState.BACKOFF: "yellow",
    WorkerState.DRAINING: "yellow",
    WorkerState.UNHEALTHY: "red",
    WorkerState.CRASH_LOOP: "red",
    WorkerState.STOPPED: "dim",
    WorkerState.SLEEPING: "blue",
}
_SHOWN: Final = 4
"""Adapters that are shown of one worker."""
_SAID: Final = {
    SwapState.STARTING: "began",
    SwapState.DRAINING: "began (the old workers end first, as both do not fit)",
    SwapState.DONE: "done",
    SwapState.ROLLED_BACK: "rolled back",
}


def status(
    state: StateOption = STATE,
    once: Annotated[bool, typer.Option("--once", help="Print what is now, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show models and workers, live on a terminal. With --json: one snapshot a line."""
    try:
        if once or as_json or not sys.stdout.isatty():
            _print(snapshots(state), once=once or not as_json, as_json=as_json)
        else:
            _live(snapshots(state))
    except KeyboardInterrupt:
        return


def snapshots(state: Path) -> Iterator[Snapshot]:
    """The newest snapshot at once, then each later one, until the supervisor ends. Raises `Mistake`: not running."""
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(str(locate(state)))
        except OSError as error:
            raise Mistake(f"not running: no supervisor answers in the state folder {state}", exit_code=1) from error
        with channel.makefile("rb") as lines:
            for line in lines:
                try:
                    yield decode(line)
                except msgspec.DecodeError:
                    raise Mistake("the supervisor is of another version: restart it", exit_code=1) from None


def _print(stream: Iterator[Snapshot], *, once: bool, as_json: bool) -> None:
    console = Console()
    for snapshot in stream:
        if as_json:
            sys.stdout.write(without_keys(snapshot))
            sys.stdout.flush()
        else:
            console.print(view(snapshot, _now()))
        if once:
            return


def without_keys(snapshot: Snapshot) -> str:
    """`snapshot` as a line of JSON, less the workers' keys: output ends up in logs and tickets."""
    models = tuple(msgspec.structs.replace(model, workers=_keyless(model.workers)) for model in snapshot.models)
    return encode(msgspec.structs.replace(snapshot, models=models, leaving=_keyless(snapshot.leaving))).decode()


def _keyless(workers: Iterable[WorkerView]) -> tuple[WorkerView, ...]:
    return tuple(msgspec.structs.replace(worker, key="") for worker in workers)


def _live(stream: Iterator[Snapshot]) -> None:
    newest = next(stream, Snapshot(0))
    with Live(get_renderable=lambda: view(newest, _now()), refresh_per_second=2, screen=False):
        for snapshot in stream:
            newest = snapshot
    typer.echo("the supervisor has ended")


def _now() -> float:
    """`since` is wall-clock time, from another process."""
    return datetime.now(UTC).timestamp()


def view(snapshot: Snapshot, now: float) -> Group:
    """The table, and below it what a person must know besides. `now`: Unix time, seconds."""
    at = f" {duration(now - snapshot.reloaded)} ago" if snapshot.reloaded else ""
    refused = Text(f"the last edit of the registry was refused{at}: {snapshot.reload_error}", style="red")
    swaps = [_swap(swap, now) for swap in snapshot.swaps] + [*_remarks(snapshot)]
    amiss = [Text(f"{model.name}: {model.trouble}", style="yellow") for model in snapshot.models if model.trouble]
    if snapshot.store_trouble:
        amiss.append(Text(f"adapters shared with other hosts: {snapshot.store_trouble}", style="yellow"))
    return Group(_table(snapshot, now), *amiss, *swaps, *([refused] if snapshot.reload_error else []))


def _remarks(snapshot: Snapshot) -> Iterator[Text]:
    """What is not as it should be with the workers' adapters, and which of them are on their way out."""
    for model in snapshot.models:
        for worker in model.workers:
            for remark in worker.remarks:
                yield Text(f"{worker.id}: {remark}", style="yellow")
    for each in snapshot.evicted:
        yield Text(f"{each.worker}: {each.adapter} leaves when its requests have ended", style="dim")


def _held(worker: WorkerView) -> str:
    """The adapters that it holds, less their model's name."""
    names = [each.rpartition(":")[2] for each in worker.resident]
    more = f" +{len(names) - _SHOWN}" if len(names) > _SHOWN else ""
    return " ".join(names[:_SHOWN]) + more


def _swap(swap: Swap, now: float) -> Text:
    """How the last change of a model's workers went, or goes."""
    doing = f": {sentence(Progress(swap.model, *_progress(swap.loading)))}" if swap.loading else ""
    why = "".join(f": {each}" for each in (swap.reason, swap.parity) if each)
    said = f"{swap.model}: swap {_SAID[swap.state]} {duration(now - swap.since)} ago{doing}{why}"
    return Text(said, style="red" if swap.state is SwapState.ROLLED_BACK else "dim")


def _progress(loading: Loading) -> tuple[str, float | None, float | None]:
    return loading.step, loading.fraction, loading.eta


def _table(snapshot: Snapshot, now: float) -> Table:
    """One row a worker; a model without workers has a row of its own."""
    drawn = Table(box=None, pad_edge=False)
    for heading in ("MODEL", "WORKER", "STATE", "FOR", "RESTARTS", "PID", "ADDRESS", ""):
        drawn.add_column(heading, no_wrap=bool(heading))  # the last one is prose
    for model in snapshot.models:
        for worker in model.workers:
            drawn.add_row(*_row(model, worker, now))
        if not model.workers:
            drawn.add_row(model.name, "", _nobody(model), "", "", "", "", Text(_loading(model)))
    for worker in snapshot.leaving:
        drawn.add_row(*_row(None, worker, now))
    return drawn


def _nobody(model: ModelView) -> Text:
    """Why there is no worker."""
    if model.loading is None and model.on_demand is not None:
        return Text("on demand", style="dim")
    return Text("preparing" if model.loading else "no workers", style="yellow")


def _row(model: ModelView | None, worker: WorkerView, now: float) -> tuple[str | Text, ...]:
    return (
        model.name if model else "leaving",
        worker.id,
        Text(worker.state, style=COLOURS[worker.state]),
        duration(now - worker.since) if worker.since else "",
        str(worker.restarts) if worker.restarts else "",
        str(worker.pid) if worker.pid else "",
        worker.url.removeprefix("http://"),
        Text(_why(worker) or (_held(worker) if worker.state is WorkerState.READY or not model else _loading(model))),
    )


def _why(worker: WorkerView) -> str:
    """Why it is not ready; where that is an end, its cause first: a word that programs and people look for."""
    ended = worker.cause is not None and worker.state in {WorkerState.BACKOFF, WorkerState.CRASH_LOOP}
    return f"{worker.cause}: {worker.reason}" if ended else worker.reason


def _loading(model: ModelView) -> str:
    if model.loading is None:
        return ""
    said = sentence(Progress(model.name, model.loading.step, model.loading.fraction, model.loading.eta))
    return f"{said}: {model.loading.reason}" if model.loading.reason else said
