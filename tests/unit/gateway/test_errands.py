"""What the supervisor is asked, over a real Unix socket: one answer, and before it what it changed."""

from __future__ import annotations

import pytest

from gateway.errands import Errands
from gateway.errors import Unavailable
from registry import orders
from registry.adapter_orders import Adapted, RemoveAdapter, Told
from registry.figures import Family, Sum, Summed
from registry.orders import Steps
from registry.snapshot import encode
from tests.unit.gateway.builders import model_view, snapshot
from tests.unit.gateway.supervised import supervised

FIGURES = (Family("requests", "Requests", "counter"),)
FIRST, SECOND = (snapshot(model_view(name=f"m{revision}"), revision=revision) for revision in (1, 2))


async def test_what_an_order_changed_is_published_before_its_answer(tmp_path):
    """Who hears that an adapter is gone may ask for it at once."""

    async def handle(reader, writer):
        await reader.readline()
        writer.write(encode(FIRST) + orders.encode(Told("on its way")) + encode(SECOND) + orders.encode(Adapted()))

    async with supervised(tmp_path, handle, Errands) as (errands, published):
        assert await errands.administer(RemoveAdapter("m", "cat", "ann")) == Adapted()
        assert published == [SECOND]


async def test_the_sum_is_asked_of_the_supervisor(tmp_path):
    """The snapshot that comes first, as on every connection, is none of its news."""
    lines = []

    async def handle(reader, writer):
        lines.append(await reader.readline())
        writer.write(encode(FIRST) + orders.encode(Summed(FIGURES, 2, 1)))

    async with supervised(tmp_path, handle, Errands) as (errands, published):
        assert await errands.summed() == Summed(FIGURES, 2, 1)
    assert ([orders.decode(line) for line in lines], published) == ([Sum()], [])


@pytest.mark.parametrize("said", [b"", b"garbage\n", orders.encode(Steps(()))[:-5], orders.encode(Adapted())])
async def test_a_supervisor_without_an_answer_is_unavailable(tmp_path, said):
    """Also if it answers something else than was asked."""

    async def handle(reader, writer):
        await reader.readline()
        writer.write(encode(FIRST) + said)

    async with supervised(tmp_path, handle, Errands) as (errands, _):
        with pytest.raises(Unavailable, match="did not answer"):
            await errands.reload()


@pytest.mark.parametrize("said", [Steps(()), Told("on its way")])
async def test_an_answer_to_something_else_is_none(tmp_path, said):
    """Of an order that the supervisor takes for another one; being under way is none either."""

    async def handle(reader, writer):
        await reader.readline()
        writer.write(encode(FIRST) + orders.encode(said))

    for ask in (lambda errands: errands.summed(), lambda errands: errands.administer(RemoveAdapter("m", "cat", "ann"))):
        async with supervised(tmp_path, handle, Errands) as (errands, _):
            with pytest.raises(Unavailable, match="did not answer"):
                await ask(errands)
        (tmp_path / "control.sock").unlink(missing_ok=True)


async def test_without_a_supervisor_nobody_can_be_asked(tmp_path):
    with pytest.raises(Unavailable):
        await Errands(tmp_path / "nobody.sock", pytest.fail).reload()
