"""`enginehouse adapters list|add|promote|rollback|remove|pin|split|history`: the adapters of a running house."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from cli.asking import ask, who
from cli.folders import STATE, JsonOption, StateOption
from cli.mistake import Mistake
from cli.show import showing, size
from engines.progress import Progress
from registry import sources
from registry.adapter_orders import (
    Adapted,
    AddAdapter,
    ListAdapters,
    Listed,
    PinAdapter,
    PromoteAdapter,
    RemoveAdapter,
    RevisionState,
    RollbackAdapter,
    SplitAdapter,
    SplitState,
    Told,
)
from registry.adapters import DIGITS, canary
from registry.names import AdapterName, NameRefused, parse_adapter

NameArgument = Annotated[str, typer.Argument(metavar="BASE:NAME", help="The adapter, as requests name it.")]
RevisionArgument = Annotated[str, typer.Argument(metavar="BASE:NAME@DIGEST", help="8 digits or more of a revision.")]
ChangeOrder = AddAdapter | PromoteAdapter | RollbackAdapter | RemoveAdapter | PinAdapter | SplitAdapter
_NEVER: Final = "never"


def adapters_list(
    name: Annotated[str, typer.Argument(metavar="[BASE[:NAME]]", help="Of one model, or one adapter.")] = "",
    state: StateOption = STATE,
    as_json: JsonOption = False,
) -> None:
    """List adapters and their revisions: which is current, where each is loaded, what was refused."""
    base, _, adapter = name.partition(":")
    found = _listed(state, base, adapter)
    if as_json:
        shown = {"adapters": found.revisions, "refused": found.refused, "splits": found.splits}
        typer.echo(json.dumps(msgspec.to_builtins(shown), indent=2))
        return
    console = Console()
    console.print(table(found) if found.revisions else "no adapters")
    for each in found.refused:
        reasons = "; ".join(each.findings)
        console.print(
            f"refused {_at(each.at)}: {each.model}:{each.adapter} from {each.source}: {reasons}", markup=False
        )


def adapters_add(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The model that it was trained on.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: BASE:NAME in requests.")],
    source: Annotated[str, typer.Argument(help="A folder, a tar or zip, or hf://, modelscope://, s3://, https://.")],
    promote: Annotated[bool, typer.Option("--promote", help="Have the name stand for it at once.")] = False,
    state: StateOption = STATE,
    as_json: JsonOption = False,
) -> None:
    """Add an adapter, or another revision: examined, stored, loaded, proved by one token. The first one is current."""
    model, adapter = _split(f"{base}:{name}", wants_digest=False)
    if sources.is_path(source):
        if not Path(source).exists():
            raise Mistake(f"{source}: there is no such file or folder")
        source = str(Path(source).absolute())
    _change(state, AddAdapter(model, adapter.adapter, source, who(), promote), as_json=as_json)


def adapters_promote(name: RevisionArgument, state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Have the name stand for a revision, which is loaded and proved first."""
    model, asked = _split(name, wants_digest=True)
    _change(state, PromoteAdapter(model, asked.adapter, asked.digest or "", who()), as_json=as_json)


def adapters_rollback(name: NameArgument, state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Have the name stand for what it stood for before."""
    model, asked = _split(name, wants_digest=False)
    _change(state, RollbackAdapter(model, asked.adapter, who()), as_json=as_json)


def adapters_remove(name: NameArgument, state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Take an adapter away, with all its revisions. Requests under way end on what they have."""
    model, asked = _split(name, wants_digest=False)
    _change(state, RemoveAdapter(model, asked.adapter, who()), as_json=as_json)


def adapters_pin(
    name: Annotated[str, typer.Argument(metavar="BASE:NAME[@DIGEST]", help="Without a digest: the current one.")],
    off: Annotated[bool, typer.Option("--off", help="Not pinned any more.")] = False,
    state: StateOption = STATE,
    as_json: JsonOption = False,
) -> None:
    """Keep a revision loaded on every worker, whatever else is asked for."""
    model, asked = _split(name, wants_digest=None)
    _change(state, PinAdapter(model, asked.adapter, asked.digest or "", who(), pinned=not off), as_json=as_json)


def adapters_split(
    name: NameArgument,
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="DIGEST=PART…", help="Which revisions, and how much.")
    ] = None,
    shadow: Annotated[str, typer.Option(metavar="DIGEST=PERCENT", help="Mirror a share to it, to compare.")] = "",
    max_error_rate: Annotated[float, typer.Option(help="More errors than this share, and the split ends.")] = 1.0,
    max_ttft_ratio: Annotated[
        float | None, typer.Option(help="The same for the median first token, against the current revision's.")
    ] = None,
    min_requests: Annotated[int, typer.Option(help="Requests of a revision before it is judged.")] = 50,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    state: StateOption = STATE,
    as_json: JsonOption = False,
) -> None:
    """Have several revisions answer for a name, each user's requests the same one, until that is ended or promoted."""
    model, asked = _split(name, wants_digest=False)
    if bool(shares or shadow) is off:
        raise Mistake("say which revisions answer, DIGEST=95 DIGEST=5, or --off")
    wanted = None
    try:
        if not off:
            parts = dict(map(_share, shares or ()))
            mirrored = dict([_share(shadow)]) if shadow else {}
            wanted = canary(parts, mirrored, max_error_rate, max_ttft_ratio, min_requests)
    except ValueError as refused:
        raise Mistake(f"the split {refused}") from None
    _change(state, SplitAdapter(model, asked.adapter, who(), wanted), as_json=as_json)


def _share(text: str) -> tuple[str, int]:
    digest, _, weight = text.partition("=")
    if not (weight.isascii() and weight.isdigit() and len(weight) < 9):
        raise ValueError("is written DIGEST=95 DIGEST=5, in whole numbers")
    return digest, int(weight)


def adapters_history(name: NameArgument, state: StateOption = STATE, as_json: JsonOption = False) -> None:
    """Who had the name stand for what, and when; the oldest first."""
    model, asked = _split(name, wants_digest=False)
    moves = _listed(state, model, asked.adapter).history
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(moves), indent=2))
        return
    for move in moves:
        was, now = ((each or "nothing")[:DIGITS] for each in (move.was, move.now))
        typer.echo(f"{_at(move.at)}  {was:>{DIGITS}} → {now:<{DIGITS}}  {move.why}, by {move.who}")
    if not moves:
        typer.echo(f"nothing is known of {name}")


def _listed(state: Path, model: str, adapter: str) -> Listed:
    found = ask(state, ListAdapters(model, adapter))
    return found if isinstance(found, Listed) else Listed()


def _split(name: str, *, wants_digest: bool | None) -> tuple[str, AdapterName]:
    """The model and the parts of an adapter's name. Raises `Mistake` where it is none, or has a digest or lacks one."""
    try:
        asked = parse_adapter(name)
    except NameRefused as refused:
        raise Mistake(f"this is not an adapter's name: it {refused}") from None
    if asked.base is None:
        raise Mistake(f"name the model too: BASE:{asked.adapter}")
    if wants_digest is not None and wants_digest is (asked.digest is None):
        raise Mistake("name one revision: BASE:NAME@DIGEST" if wants_digest else "name the adapter without '@DIGEST'")
    return asked.base, asked


def _change(state: Path, order: ChangeOrder, *, as_json: bool) -> None:
    """Have it done and say what came of it; exit 1 where nothing did."""
    with showing(Console(stderr=True)) as report:
        task = f"{order.model}:{order.adapter}"

        def told(step: Told) -> None:
            report(Progress(task, step.step, step.fraction))

        done = ask(state, order, told)
    if not isinstance(done, Adapted):
        return
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(done), indent=2))
    else:
        typer.echo(sentence(done, task))
    for worker, why in () if as_json else done.faults.items():
        sys.stderr.write(f"not yet on {worker}, and tried again: {why}\n")


def sentence(done: Adapted, name: str) -> str:
    """What is so now."""
    revision = done.revision
    if revision is None:
        return f"{name} stands for nothing any more"
    where = f"loaded on {', '.join(revision.workers)}" if revision.workers else "loaded nowhere yet"
    means = f"{name} now stands for it" if revision.current else f"promote it to have {name} stand for it"
    pinned = ", pinned" if revision.pinned else ""
    return f"{name}@{revision.digest[:DIGITS]}{pinned}: {where}; {means}"


def table(found: Listed) -> Table:
    """One row a revision."""
    drawn = Table(box=None, pad_edge=False)
    for heading in ("ADAPTER", "REVISION", "", "RANK", "SIZE", "ADDED", "BY", "LOADED ON", "SOURCE"):
        drawn.add_column(heading, no_wrap=heading not in {"LOADED ON", "SOURCE"})
    splits = {(each.model, each.adapter): each for each in found.splits}
    for each in found.revisions:
        drawn.add_row(*_row(each, splits.get((each.model, each.adapter))))
    return drawn


def _row(revision: RevisionState, split: SplitState | None) -> tuple[str, ...]:
    marks = [mark for mark, is_so in (("current", revision.current), ("pinned", revision.pinned)) if is_so]
    if split and revision.digest in split.shares:
        share = 100 * split.shares[revision.digest] / sum(split.shares.values())
        marks.append(f"split {share:.3g} %")
    if split and revision.digest in split.shadow:
        marks.append(f"shadow {split.shadow[revision.digest]} %")
    return (
        f"{revision.model}:{revision.adapter}",
        revision.digest[:DIGITS],
        " ".join(marks),
        str(revision.rank or ""),
        size(revision.octets),
        _at(revision.added),
        revision.who,
        ", ".join(revision.workers),
        revision.source,
    )


def _at(moment: float) -> str:
    """Unix time as people read it, here."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else _NEVER
