"""What the supervisor lets in, and what it remembers of what workers took."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.launchers.launcher import Prepared
from engines.memory.habits import GIB
from engines.memory.machine import Gpu, Machine
from engines.supervisor.memory import Memory, NotAdmitted, Senses, read
from engines.vllm import VLLM
from registry.spec import ModelSpec
from tests.unit.engines.memory.models import write

SPEC = ModelSpec(engine="vllm", source="./w", context=2048, options={"vllm": {"max_num_seqs": 16}})


class World:
    """A machine with so much left, whose workers take so much."""

    def __init__(self, folder, available=16 * GIB, taken=4 * GIB):
        self.available, self.taken, self.path = available, taken, folder / "memory.json"
        self.prepared = Prepared(Path("/py"), write(folder / "w", a=("BF16", [50_000_000], 100_000_000)), "none")
        self.memory = self.anew()

    def anew(self):
        senses = Senses(lambda: Machine(24 * GIB, self.available), lambda _pid, _device: self.taken)
        return Memory(self.path, senses)

    async def admit(self, name="m", spec=SPEC):
        return await self.memory.admit(name, spec, VLLM, self.prepared)


async def test_a_worker_is_started_with_the_planned_cache(tmp_path):
    assert (await World(tmp_path).admit()).kv_cache == GIB


async def test_each_worker_on_gpus_is_given_its_own_beside_what_was_promised_before(tmp_path):
    """By the driver's numbers, and of those alone that the operator leaves to us."""
    world = World(tmp_path)
    gpus = tuple(Gpu(80 * GIB, 80 * GIB, index) for index in range(4))
    senses = Senses(lambda: Machine(GIB, GIB, gpus), env={"CUDA_VISIBLE_DEVICES": "1,3"})
    memory, prepared = Memory(world.path, senses), replace(world.prepared, device="cuda")
    halves = SPEC.model_copy(update={"replicas": 3, "options": {"vllm": {"gpu_memory_utilization": 0.45}}})
    assert (await memory.admit("first", halves, VLLM, prepared)).gpus == ((1,), (3,), (1,))
    assert (await memory.admit("second", halves.model_copy(update={"replicas": 1}), VLLM, prepared)).gpus == ((3,),)
    with pytest.raises(NotAdmitted, match=r"the GPUs have 8.0 GiB, 8.0 GiB"):
        await memory.admit("third", halves, VLLM, prepared)


async def test_what_does_not_fit_is_not_let_in(tmp_path):
    with pytest.raises(NotAdmitted, match=r"not enough memory: it needs at least .* and there are 1.0 GiB") as refused:
        await World(tmp_path, available=GIB).admit()
    assert await World(tmp_path, available=GIB + refused.value.missing).admit()


async def test_what_a_pool_holds_is_known_until_it_ends(tmp_path):
    world = World(tmp_path)
    await world.admit()
    assert world.memory.holds("m") > GIB
    world.memory.release("m")
    assert world.memory.holds("m") == 0


async def test_weights_that_nothing_is_known_about_are_let_in(tmp_path):
    world = World(tmp_path, available=0)
    (world.prepared.weights / "config.json").unlink()
    assert await world.admit() == world.prepared


async def test_a_damaged_checkpoint_is_not_let_in(tmp_path):
    """Its engine would crash, and crash again."""
    world = World(tmp_path)
    (world.prepared.weights / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(NotAdmitted, match="header claims") as refused:
        await world.admit()
    assert refused.value.missing is None


async def test_what_was_promised_to_a_loading_model_is_not_given_to_another(tmp_path):
    """Its memory is not yet taken, and still it is not free; once measured it shows by itself."""
    world = World(tmp_path, available=4 * GIB)
    await world.admit("first")
    with pytest.raises(NotAdmitted):
        await world.admit("second")
    await world.memory.settled("first", 0, 1)
    assert await world.admit("second")


async def test_a_worker_that_is_held_down_needs_no_promise(tmp_path):
    world = World(tmp_path, available=4 * GIB)
    await world.admit("first")
    for name in ("first", "first", "unplanned"):
        world.memory.spare(name, 0)
    assert await world.admit("second")


async def test_a_worker_cannot_spare_the_promise_of_another(tmp_path):
    """It proves itself, crashes, proves itself again, and is held down at last; its neighbour still loads."""
    world = World(tmp_path, available=7 * GIB)
    await world.admit("first", SPEC.model_copy(update={"replicas": 2}))
    for _ in range(2):
        await world.memory.settled("first", 0, 1)
    world.memory.spare("first", 0)
    world.available = 4 * GIB
    with pytest.raises(NotAdmitted):
        await world.admit("second")
    await world.memory.settled("first", 1, 2)
    assert await world.admit("second")


async def test_a_pool_grows_by_what_is_left_and_gives_back_what_leaves(tmp_path):
    """Beside its own workers that still load; each seat is measured by itself."""
    world = World(tmp_path, available=7 * GIB)
    await world.admit("m")
    alone = world.memory.holds("m")
    assert await world.memory.admit("m", SPEC, VLLM, world.prepared, seats=[1])
    with pytest.raises(NotAdmitted):
        await world.memory.admit("m", SPEC, VLLM, world.prepared, seats=[2])
    assert world.memory.holds("m") == 2 * alone
    world.memory.leave("m", 1)
    assert world.memory.holds("m") == alone
    assert await world.memory.admit("m", SPEC, VLLM, world.prepared, seats=[1])


async def test_a_worker_that_starts_again_is_promised_its_memory_again(tmp_path):
    """What it had is free until it has loaded, and must not be given away meanwhile; told twice it counts once."""
    world = World(tmp_path, available=7 * GIB)
    await world.admit("first")
    await world.memory.settled("first", 0, 1)
    world.available = 4 * GIB
    for _ in range(2):
        world.memory.owe("first", 0)
    world.memory.owe("unplanned", 0)
    with pytest.raises(NotAdmitted):
        await world.admit("second")
    world.memory.spare("first", 0)
    assert await world.admit("second")


async def test_a_pool_that_has_ended_needs_no_promise(tmp_path):
    world = World(tmp_path, available=4 * GIB)
    await world.admit("first")
    world.memory.release("first")
    assert await world.admit("second")


async def test_a_measurement_outlives_the_supervisor_and_corrects_the_next_plan(tmp_path):
    world = World(tmp_path, taken=4 * GIB)
    await world.admit()
    await world.memory.settled("m", 0, 1)
    (kept,) = read(world.path).values()
    assert kept.measured == 4 * GIB
    world.memory, world.available = world.anew(), 3 * GIB - 1
    with pytest.raises(NotAdmitted):
        await world.admit()


@pytest.mark.parametrize("pid", [None, 7])
async def test_what_was_never_planned_is_not_measured(tmp_path, pid):
    """Workers of somebody else, and those whose weights nothing is known about."""
    world = World(tmp_path)
    await world.memory.settled("m", 0, pid)
    assert not world.path.exists()


def test_a_damaged_file_is_an_empty_one(tmp_path):
    path = tmp_path / "memory.json"
    path.write_text('{"m": 5}')
    assert read(path) == {}


async def test_it_is_told_whose_end_would_make_room(tmp_path):
    """A pool that is replaced may go first; one that is too large in any case goes on serving."""
    world = World(tmp_path, available=8 * GIB)
    await world.admit("old")
    await world.memory.settled("old", 0, 1)
    world.available = GIB
    with pytest.raises(NotAdmitted) as refused:
        await world.admit("new")
    world.available = -16 * GIB
    with pytest.raises(NotAdmitted) as hopeless:
        await world.admit("new")
    assert (refused.value.fits_without("old"), refused.value.fits_without("other")) == (True, False)
    assert not hopeless.value.fits_without("old")


async def test_a_sleeping_worker_gives_its_gpu_back_and_takes_it_again_if_it_is_free(tmp_path):
    """But for what its engine keeps; on its own device alone."""
    world, free = World(tmp_path), [80, 80]
    senses = Senses(lambda: Machine(GIB, GIB, tuple(Gpu(80 * GIB, each * GIB, at) for at, each in enumerate(free))))
    memory, prepared = Memory(world.path, senses), replace(world.prepared, device="cuda")
    await memory.admit("m", SPEC, VLLM, prepared)
    memory.spare("m", 0)
    whole = memory.holds("m")
    memory.doze("m")
    assert 0 < memory.holds("m") < whole // 10
    free[0] = 20
    with pytest.raises(NotAdmitted, match=r"not enough memory to wake its worker: 5\d\.\d GiB are missing") as refused:
        await memory.rouse("m")
    assert refused.value.missing > 40 * GIB
    free[0] = 78
    await memory.rouse("m")
    assert memory.holds("m") == whole


async def test_on_cpu_a_sleeping_worker_gives_nothing_back(tmp_path):
    world = World(tmp_path)
    await world.admit()
    whole = world.memory.holds("m")
    world.memory.doze("m")
    assert world.memory.holds("m") == whole
    world.available = 0
    await world.memory.rouse("m")
    world.memory.release("m")
    await world.memory.rouse("m")
    assert world.memory.holds("m") == 0
