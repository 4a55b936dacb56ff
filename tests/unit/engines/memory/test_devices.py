"""Which GPUs each worker gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.memory.devices import assigned, variables, visible
from engines.memory.machine import Gpu

GPUS = (Gpu(80, 80, 0, "GPU-aa"), Gpu(80, 80, 1, "GPU-ab"), Gpu(80, 80, 2, "GPU-b"))


@pytest.mark.parametrize(
    ("free", "share", "parallel", "workers", "expected"),
    [
        ((80,), 70, 1, 1, ((0,),)),
        ((80, 80), 70, 1, 2, ((0,), (1,))),
        ((80, 80), 35, 1, 4, ((0,), (1,), (0,), (1,))),
        ((30, 80), 35, 1, 2, ((1,), (1,))),
        ((80, 80), 70, 2, 1, ((0, 1),)),
        ((10, 80, 80), 70, 2, 1, ((1, 2),)),
        ((80, 80), 70, 1, 3, None),
        ((80,), 30, 2, 1, None),
        ((90, 20), 20, 2, 2, None),
        ((), 10, 1, 1, None),
    ],
)
def test_workers_are_put_where_there_is_room(free, share, parallel, workers, expected) -> None:
    """The emptiest first; several on one by their shares; the parts of one worker never on the same."""
    assert assigned(free, share, parallel, workers) == expected


@given(st.lists(st.integers(0, 10), max_size=5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 6))
def test_no_gpu_is_promised_more_than_it_has(free, share, parallel, workers) -> None:
    """And where single seats would not be enough, nothing is promised at all."""
    found = assigned(free, share, parallel, workers)
    for worker in found or ():
        assert len(set(worker)) == parallel
    for device, room in enumerate(free):
        assert sum(device in worker for worker in found or ()) * share <= room
    # By Hall's theorem, for equal parts: this many fit if and only if the devices' seats, capped, are enough.
    seats = sum(min(room // share, workers) for room in free)
    assert (found is not None) == (seats >= workers * parallel)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (None, [0, 1, 2]), ("", []), ("1", [1]), ("2,0", [2, 0]), ("GPU-b", [2]), ("GPU-ab, 0", [1, 0]),
        ("0,7,1", [0]), ("MIG-1", []), ("GPU-", []),
    ],
)  # fmt: skip
def test_the_operator_says_which_gpus_are_ours(wish, expected) -> None:
    """As CUDA reads that variable: by index or UUID, up to the first that it does not know."""
    env = {} if wish is None else {"CUDA_VISIBLE_DEVICES": wish}
    assert [gpu.index for gpu in visible(GPUS, env)] == expected


def test_a_worker_sees_its_gpus_alone_as_the_driver_counts_them() -> None:
    """CUDA's own order begins with the fastest, and would mean others."""
    assert variables((2, 0)) == {"CUDA_VISIBLE_DEVICES": "2,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert variables(()) == {}
