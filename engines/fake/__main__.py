"""`python -m engines.fake --port N [scripted options]`: runs one fake worker until SIGTERM.

A scripted stand-in for tests and load tests: it has no model, and says so in `/version`. Every field of
`behaviour.Behaviour` is an option (`--ttft 0.1`, `--exit-at 3`, `--crlf`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from engines.fake.app import App, FakeSettings
from engines.fake.behaviour import FIELDS, Behaviour, changed
from engines.fake.dialects import DIALECTS
from engines.fake.wire import Connection

_BACKLOG: Final = 4096
_CORE: Final = ("sleep", "3600")
_ABORT_GRACE: Final = 2.0
"""Seconds that SIGTERM leaves for the aborted answers to go out."""


def main(argv: Sequence[str], key: str) -> int:
    """Parses, starts late or crashes as told, and serves. Returns the exit status."""
    options = _parser().parse_args(argv)
    sys.stdout.write(f"fake {options.dialect} worker, pid {os.getpid()}: scripted answers, no model\n")
    sys.stdout.flush()
    if options.crash_at_start is not None:
        sys.stderr.write(f"loading the weights\n{options.last_words}\n")
        return int(options.crash_at_start)
    overrides = {field.name: getattr(options, field.name) for field in FIELDS}
    behaviour = changed(Behaviour(), {name: value for name, value in overrides.items() if value is not None})
    if options.adapter and behaviour.adapter_status:
        sys.stderr.write(f"RuntimeError: no LoRA adapter can be loaded ({options.adapter[0]})\n")
        return 1
    settings = FakeSettings(
        served_name=options.served_name,
        dialect=options.dialect,
        key=key,
        context=options.context,
        max_num_seqs=options.max_num_seqs,
        seed=options.seed,
        behaviour=behaviour,
        adapters=dict(each.split("=", 1) for each in options.adapter),
    )
    app = App(settings)
    if options.core:
        subprocess.Popen(_CORE, stdin=subprocess.DEVNULL)
    asyncio.run(serve(app, options.host, options.port, ready_after=options.ready_after, lingers=options.lingers))
    return 0


async def serve(app: App, host: str, port: int, *, ready_after: float, lingers: bool) -> None:
    """Listens until SIGTERM; then every running answer ends with `abort`, as vLLM's do, unless it `lingers`."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    census: set[Connection] = set()
    async with asyncio.TaskGroup() as group:
        alarm = loop.call_later(ready_after, app.ready.set)

        def connected() -> Connection:
            app.counts.connections_total += 1
            return Connection(group, app.answer, census, app.counts)

        server = await loop.create_server(connected, host, port, backlog=_BACKLOG)
        await stopping.wait()
        alarm.cancel()
        server.close()
        if lingers:
            app.pace.freeze()
            await asyncio.Event().wait()
        app.pace.abort()
        loop.call_later(_ABORT_GRACE, os._exit, 0)
    for connection in list(census):
        connection.drop(reset=False)
    await asyncio.sleep(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines.fake", description="a scripted worker for tests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="vllm")
    parser.add_argument("--served-name", default="fake", help="the model's name")
    parser.add_argument("--context", type=int, default=2048, help="tokens that a prompt may have")
    parser.add_argument("--max-num-seqs", type=int, default=256, help="how many generations run at once")
    parser.add_argument("--seed", type=int, default=0, help="of scripted chance")
    parser.add_argument("--ready-after", type=float, default=0.0, help="seconds of 503 before it is ready")
    parser.add_argument("--crash-at-start", type=int, metavar="STATUS", help="print an error and exit")
    parser.add_argument("--last-words", default="RuntimeError: the scripted crash at start", help="what it prints then")
    lingers = "on SIGTERM stop listening, keep open answers silent and never end: a race that vLLM has"
    parser.add_argument("--lingers", action="store_true", help=lingers)
    parser.add_argument(
        "--core", action="store_true", help="start a process that outlives it, as vLLM's engine core may"
    )
    parser.add_argument("--adapter", action="append", default=[], metavar="NAME=PATH", help="loaded from the start")
    for field in FIELDS:
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, action="store_const", const=True)
        else:
            parser.add_argument(name)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("VLLM_API_KEY", "")))
