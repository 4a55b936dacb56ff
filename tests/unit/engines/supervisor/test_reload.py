"""A registry file that is read again: obeyed whole, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.supervisor.board import Board
from engines.supervisor.events import Reloaded, ReloadRefused
from engines.supervisor.reload import Reload
from registry.changes import RetirePool, StartPool, Step, Verb
from registry.faults import Fault, RegistryRefused
from registry.orders import Steps
from registry.spec import ModelSpec, Registry

SPEC = ModelSpec(source="pypi://a@1/b", engine="vllm")
FAULT = Fault(Path("r.yaml"), 3, "wrong")


class Desk:
    """A `Reload` over a file that a test writes as a value: a registry, or the faults that it has."""

    def __init__(self) -> None:
        self.file: Registry | tuple[Fault, ...] | None = Registry(models={"m": SPEC})
        self.adopted: list[tuple[Registry, bool]] = []
        self.announced: list[object] = []
        self.board = Board(lambda _: None)
        self.reload = Reload(
            self._read, self._adopt, lambda _: (RetirePool("m"),), self.board, self.announced.append, lambda: 7.0
        )

    def _read(self, _: Path | None) -> Registry:
        if isinstance(self.file, tuple):
            raise RegistryRefused(self.file)
        if self.file is None:
            raise ZeroDivisionError
        return self.file

    def _adopt(self, registry: Registry, *, again: bool) -> tuple[StartPool, ...]:
        self.adopted.append((registry, again))
        return (StartPool("m", SPEC),)


@asynccontextmanager
async def desk():
    async with asyncio.TaskGroup() as group:
        made = Desk()
        running = group.create_task(made.reload.run())
        yield made
        running.cancel()


async def test_a_good_file_is_obeyed_and_said() -> None:
    async with desk() as made:
        answer = await made.reload.ask()
    assert answer == Steps(steps=(Step(Verb.START, "m"),))
    assert (made.adopted, made.announced) == ([(made.file, True)], [Reloaded(answer.steps)])
    assert (made.board.snapshot.reload_error, made.board.snapshot.reloaded) == ("", 7.0)


async def test_a_bad_file_changes_nothing_and_is_said() -> None:
    async with desk() as made:
        made.file = (FAULT, FAULT)
        answer = await made.reload.ask()
    assert answer == Steps(faults=("r.yaml:3: wrong",) * 2)
    assert (made.adopted, made.announced) == ([], [ReloadRefused(answer.faults)])
    assert made.board.snapshot.reload_error == "r.yaml:3: wrong\nr.yaml:3: wrong"


async def test_a_later_good_file_makes_good() -> None:
    async with desk() as made:
        good, made.file = made.file, (FAULT,)
        await made.reload.ask()
        made.file = good
        await made.reload.ask()
    assert (made.board.snapshot.reload_error, len(made.adopted)) == ("", 1)


async def test_only_who_asks_has_failures_tried_again() -> None:
    """A file that was touched is no reason to try what did not come up."""
    async with desk() as made:
        made.reload.soon()
        await made.reload.ask()
    assert [again for _, again in made.adopted] == [False, True]


async def test_who_gave_up_waiting_disturbs_nobody() -> None:
    async with desk() as made:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await made.reload.ask()
        assert (await made.reload.ask()).faults == ()


async def test_a_plan_is_said_and_nothing_is_done() -> None:
    """Nor is it an event that the next file might be refused."""
    async with desk() as made:
        planned = await made.reload.ask("other.yaml")
        made.file = (FAULT,)
        refused = await made.reload.ask("other.yaml")
    assert (planned, refused.faults) == (Steps(steps=(Step(Verb.RETIRE, "m"),)), ("r.yaml:3: wrong",))
    assert (made.adopted, made.announced, made.board.snapshot.reloaded) == ([], [], 0.0)


async def test_a_file_that_we_stumble_over_changes_nothing() -> None:
    """Our own bug is told as a fault of the file is; it must not end the house and all that it serves."""
    async with desk() as made:
        good, made.file = made.file, None
        stumbled, planned = await made.reload.ask(), await made.reload.ask("r.yaml")
        made.file = good
        assert (await made.reload.ask()).faults == ()
    said = ("the registry could not be read, by a bug of ours: ZeroDivisionError()",)
    assert stumbled.faults == planned.faults == said
    assert [each for each, _ in made.adopted] == [good]
    assert made.announced[0] == ReloadRefused(stumbled.faults)
