"""`enginehouse explain`: what became of a recent request, asked of the gateway that had it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import httpx
import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.folders import STATE, JsonOption, StateOption
from cli.keyfiles import with_keys
from cli.mistake import Mistake
from cli.status import snapshots
from engines.supervisor.address import locate
from registry.snapshot import Snapshot

WIDTH: Final = 40
"""Characters of the whole request in the waterfall."""
COLOURS: Final = {
    "receive": "dim",
    "queue": "yellow",
    "connect": "magenta",
    "first_token": "cyan",
    "decode": "green",
    "answer": "green",
    "failed": "red",
    "rest": "dim",
}
_ENDS: Final = {
    None: "still running",
    "complete": "complete",
    "client": "ended by the client, who left",
    "worker": "ended by the worker",
    "gateway": "ended by the gateway",
    "drain": "ended by the gateway's stopping",
}
_TRIES: Final = 16
"""Connections for each gateway process that there is, where there are several: which of them takes one is chance."""

_LINES: Final = 5
"""Of one log that are shown, at most: many ids may begin alike."""


def explain(
    request_id: Annotated[str, typer.Argument(help="The x-request-id of an answer, or its beginning.")],
    state: StateOption = STATE,
    url: Annotated[str | None, typer.Option(help="The gateway. Default: the house of the state folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a recent request: where it went and why, where its time went, and who ended it."""
    where = url or locate(state)
    if where is None:
        raise Mistake(f"not running: no house serves from the state folder {state}; or name one by --url", exit_code=1)
    connections = _TRIES if url else tries(next(snapshots(state), None))
    answer = ask(where.rstrip("/"), request_id, with_keys(os.environ), tries=connections)
    if answer.status_code != httpx.codes.OK:
        raise Mistake("\n".join([_refusal(answer), *found_in(logs_of(state, url), request_id)]), exit_code=1)
    if as_json:
        typer.echo(answer.text)
    else:
        Console().print(view(answer.json()))


def tries(house: Snapshot | None) -> int:
    """Connections after which each gateway of `house` has very likely been asked; None: it is just ending."""
    return _TRIES * house.gateways if house and house.gateways > 1 else 1


def ask(url: str, request_id: str, env: Mapping[str, str], *, tries: int) -> httpx.Response:
    """What a gateway at `url` says of it; a gateway that does not know it may have siblings, so it is tried again."""
    key = env.get("ENGINEHOUSE_ADMIN_KEY", "").partition(",")[0].strip()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        for _ in range(tries):
            with httpx.Client(trust_env=False, timeout=10, headers=headers) as client:
                answer = client.get(f"{url}/admin/requests/{quote(request_id, safe='')}")
            if answer.status_code != httpx.codes.NOT_FOUND:
                break
    except (httpx.TransportError, httpx.InvalidURL) as fault:
        raise Mistake(f"not running: nothing answers at {url}: {fault}", exit_code=1) from None
    return answer


def _refusal(answer: httpx.Response) -> str:
    try:
        said = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {answer.status_code}: it is no gateway of Enginehouse"
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"{said} Set ENGINEHOUSE_ADMIN_KEY to the admin key."
    return str(said)


def logs_of(state: Path, url: str | None) -> list[Path]:
    """The logs of the house of a state folder; none of a gateway at `url`, which may be anybody's."""
    return [] if url else sorted((state / "logs").glob("gateway-*.log"))


def found_in(logs: list[Path], request_id: str) -> Iterator[str]:
    """The request's line in the gateways' logs, which remember longer than a gateway does."""
    wanted = f" id={request_id}"
    for log in logs:
        newest: deque[str] = deque(maxlen=_LINES)
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if wanted in line and " model=" in line:
                    newest.append(f"{log.name}: {line.strip()}")
        yield from newest


def view(told: Mapping[str, Any]) -> Group:
    """A request for people: what it was, the waterfall of its time, and each worker that had it."""
    return Group(_facts(told), "", _waterfall(told), "", _attempts(told) if told["attempts"] else "")


def _facts(told: Mapping[str, Any]) -> Table:
    target, usage = told["target"], told["usage"]
    kind = f"{told['operation']}{', streamed' if told['stream'] else ''}"
    names = f"{target['requested']!r} → {target['model']}" if target["model"] else f"{target['requested']!r}: unknown"
    end = [_ENDS[told["ended_by"]], *(str(told[each]) for each in ("status", "error") if told[each])]
    began = datetime.fromtimestamp(told["began"]).astimezone().isoformat(" ", "milliseconds")
    rows = {
        "request": f"{told['request_id']} ({kind})",
        "began": f"{began}, from {told['client'] or 'a local socket'}",
        "target": f"{names} (served as {target['served_name']}, {target['engine']})" if target["model"] else names,
        "end": ", ".join(end),
        "retries": f"{told['retries']}; resumed {told['resumes']} times" if told["resumes"] else str(told["retries"]),
    }
    if usage:
        rows["tokens"] = f"{usage['prompt']} + {usage['completion']}"
    if told["same_id"] > 1:
        rows["note"] = f"{told['same_id']} requests had this id; this is the newest"
    drawn = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        drawn.add_row(Text(name, style="bold"), Text(value))
    return drawn


def _waterfall(told: Mapping[str, Any]) -> Table:
    """One row a stretch of time; a bar each, where it lies in the whole."""
    total = told["microseconds"]["total"]
    drawn = Table(box=None, pad_edge=False, show_footer=True)
    drawn.add_column("PHASE", "total", no_wrap=True)
    drawn.add_column("ATTEMPT", justify="right", no_wrap=True)
    drawn.add_column("TIME", milliseconds(total), justify="right", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    for each in told["timeline"]:
        colour = COLOURS.get(each["phase"], "")
        drawn.add_row(
            Text(each["phase"], style=colour),
            str(each["attempt"] or ""),
            milliseconds(each["length"]),
            Text(bar(each["at"], each["length"], total), style=colour),
        )
    return drawn


def bar(at: int, length: int, total: int) -> str:
    """A stretch of `total` as blocks, at its place; at least one, so that it can be seen."""
    begin = min(WIDTH - 1, at * WIDTH // max(1, total))
    return " " * begin + "█" * max(1, min(WIDTH - begin, round(length * WIDTH / max(1, total))))


def milliseconds(microseconds: int) -> str:
    """For people: 12.3 ms."""
    return f"{microseconds / 1000:,.1f} ms"


def _attempts(told: Mapping[str, Any]) -> Table:
    drawn = Table(box=None, pad_edge=False)
    for heading in ("ATTEMPT", "WORKER", "CHOSEN AS", "OF (LOAD)", "END"):
        drawn.add_column(heading, no_wrap=heading in {"ATTEMPT", "WORKER"})
    for each in told["attempts"]:
        cached = f" ({each['cached_blocks']} blocks cached)" if each["cached_blocks"] else ""
        drawn.add_row(
            str(each["attempt"]),
            Text(each["worker"]),
            Text(f"{each['reason']}{cached}{', to continue' if each['continues'] else ''}"),
            Text(_candidates(each)),
            Text(f"{each['error']}: {each['message']}" if each["error"] else "", style="red"),
        )
    return drawn


def _candidates(attempt: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{each['worker']} ({each['load']:g})" for each in attempt["candidates"])
    more = attempt["among"] - len(attempt["candidates"])
    return f"{shown} and {more} more" if shown and more > 0 else shown
