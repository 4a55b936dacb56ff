"""Asks a running supervisor to do something about adapters, over its control socket, and shows how far it is."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from cli.mistake import Mistake
from engines.supervisor.control import locate
from registry.adapter_orders import Adapted, AdapterOrder, AdapterRefusal, Listed, Told
from registry.orders import answer, encode


def ask(state: Path, order: AdapterOrder, told: Callable[[Told], None] = lambda _: None) -> Adapted | Listed:
    """What comes of `order`; `told` hears how far it is. Raises `Mistake`: refused, or nobody runs there.

    There is no limit on its time: a large adapter is fetched for minutes. Whoever interrupts this stops nothing.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(str(locate(state)))
            channel.sendall(encode(order))
            with channel.makefile("rb") as lines:
                for line in lines:
                    match answer(line):
                        case Told() as step:
                            told(step)
                        case AdapterRefusal() as refused:
                            raise Mistake(said(refused), exit_code=1)
                        case Adapted() | Listed() as done:
                            return done
        except msgspec.DecodeError:
            raise Mistake("the supervisor is of another version: restart it", exit_code=1) from None
        except OSError as error:
            raise Mistake(f"not running: no supervisor answers in the state folder {state}", exit_code=1) from error
    raise Mistake("the supervisor ended before it answered", exit_code=1)


def said(refused: AdapterRefusal) -> str:
    """The refusal in words, each worker's below it."""
    lines = [f"{refused.code}: {refused.message}", *(f"  {worker}: {why}" for worker, why in refused.faults.items())]
    return "\n".join(lines)


def who() -> str:
    """Who gives the orders, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "cli"
