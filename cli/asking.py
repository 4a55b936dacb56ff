"""Asks a running supervisor over its control socket, and shows how far it is. Used by verbs that change something."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from cli.mistake import Mistake
from engines.supervisor.control import locate
from registry.adapter_orders import Adapted, AdapterOrder, AdapterRefusal, Listed, Told
from registry.orders import Answer, Order, Plan, Reload, Steps, answer, encode

_PATIENCE: Final = 60.0
"""Seconds for a registry file; reading one takes parts of one."""
_ENDED: Final = "the supervisor ended before it answered"


def ask(state: Path, order: AdapterOrder, told: Callable[[Told], None] = lambda _: None) -> Adapted | Listed:
    """What comes of `order`; `told` hears how far it is. Raises `Mistake`: refused, or nobody runs there.

    There is no limit on its time: a large adapter is fetched for minutes. Whoever interrupts this stops nothing.
    """
    for found in _answers(state, order, None):
        match found:
            case Told() as step:
                told(step)
            case AdapterRefusal() as refused:
                raise Mistake(said(refused), exit_code=1)
            case Adapted() | Listed() as done:
                return done
    raise Mistake(_ENDED, exit_code=1)


def steps_of(state: Path, order: Reload | Plan) -> Steps:
    """What `order` changes, or would. Raises `Mistake`: nobody runs there, or does not answer in time."""
    for found in _answers(state, order, _PATIENCE):
        if isinstance(found, Steps):
            return found
    raise Mistake(_ENDED, exit_code=1)


def _answers(state: Path, order: Order, patience: float | None) -> Iterator[Answer]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(patience)
        try:
            channel.connect(str(locate(state)))
            channel.sendall(encode(order))
            with channel.makefile("rb") as lines:
                yield from filter(None, map(answer, lines))
        except TimeoutError:
            raise Mistake(f"the supervisor did not answer within {patience:g} s", exit_code=1) from None
        except msgspec.DecodeError:
            raise Mistake("the supervisor is of another version: restart it", exit_code=1) from None
        except OSError as error:
            raise Mistake(f"not running: no supervisor answers in the state folder {state}", exit_code=1) from error


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
