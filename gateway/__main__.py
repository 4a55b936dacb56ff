"""One gateway process: `python -m gateway --fd N --control PATH`, started by the supervisor.

Serves on the listening socket that it inherits as file descriptor N, so that a gateway that dies refuses nobody:
connections wait in the socket's backlog for its successor.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import uvloop

from engines import ENGINES
from gateway.app import build
from gateway.lines import Lines
from gateway.server import Server, configure, ears
from gateway.settings import Settings


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop, or until the supervisor is gone."""
    options = _options(argv)
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    settings = Settings.of(os.environ, drain=options.drain, uploads=options.uploads)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, settings))
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket, inherited")
    parser.add_argument("--control", type=Path, required=True, help="the supervisor's Unix socket")
    parser.add_argument("--drain", type=float, default=30.0, help="seconds for open requests at the end")
    parser.add_argument("--uploads", type=Path, help="a folder for adapters that are uploaded")
    parser.add_argument("--portable", action="store_true", help="answer over ASGI alone: slower, for any uvicorn")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace, settings: Settings) -> None:
    wall_clock = time.time  # noqa: TID251 - people read it
    lines = Lines(sys.stderr.fileno(), wall_clock)
    # The routes ask the server whether it stops, and the server serves the routes: one of the two comes second.
    app, shortcut = build(
        settings,
        options.control,
        ENGINES,
        clock=time.monotonic,
        wall_clock=wall_clock,
        stopping=lambda: server.stopping(),  # noqa: PLW0108 - bound late
        abandoned=lambda: server.stop(),  # noqa: PLW0108 - bound late
        log=lines.write,
    )
    _calm_the_collector()
    server = Server(configure(app, None if options.portable else shortcut, settings.drain))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    try:
        await server.serve(sockets=ears(socket.socket(fileno=options.fd)))
    finally:
        lines.flush()


def _calm_the_collector() -> None:
    """What is built lives as long as the process: the collector need not look at it again and again.

    Requests leave few cycles, so it may also look less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


if __name__ == "__main__":
    sys.exit(main())
