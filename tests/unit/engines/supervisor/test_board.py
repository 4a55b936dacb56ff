"""The board: every change that can be seen is one snapshot, and only such a change is."""

from __future__ import annotations

from engines.supervisor.board import Board, Row
from registry.causes import Cause
from registry.snapshot import Loading, ModelView, Snapshot, Swap, SwapState, WorkerState, WorkerView

MODEL = ModelView(name="m", engine="vllm", served_name="m")


def board() -> tuple[Board, Row, list[Snapshot]]:
    published: list[Snapshot] = []
    made = Board(published.append)
    row = made.row(MODEL)
    made.show(row)
    return made, row, published


def worker(name: str, state: WorkerState = WorkerState.READY) -> WorkerView:
    return WorkerView(name, "u", state)


def test_each_change_is_the_next_revision() -> None:
    _, row, published = board()
    row.loading(Loading("x"))
    assert [each.revision for each in published] == [1, 2, 3]


def test_each_snapshot_says_how_many_gateways_there_are() -> None:
    """Who asks them has to know how often to ask."""
    published: list[Snapshot] = []
    made = Board(published.append, gateways=3)
    made.show(made.row(MODEL))
    assert [each.gateways for each in published] == [3, 3]


def test_what_changes_nothing_is_not_published() -> None:
    _, row, published = board()
    row.loading(None)
    assert len(published) == 2


def test_a_worker_replaces_the_one_in_its_seat() -> None:
    made, row, _ = board()
    for number in (0, 1):
        row.worker(number, worker(f"m-{number}.1", WorkerState.STARTING))
    row.worker(0, worker("m-0.2"))
    assert [each.id for each in made.snapshot.models[0].workers] == ["m-0.2", "m-1.1"]


def test_a_worker_that_leaves_is_listed_until_it_is_forgotten() -> None:
    """From one snapshot to the next it is no worker of the model any more, and its seat may be taken anew later."""
    made, row, published = board()
    for number in (0, 1):
        row.worker(number, worker(f"m-{number}.1"))
    count = len(published)
    row.leave(0)
    row.leave(5)
    assert len(published) == count + 1
    row.worker(0, worker("m-0.1", WorkerState.STOPPED))
    seen = made.snapshot
    row.forget(0)
    row.worker(0, worker("m-0.2"))
    assert ([each.id for each in seen.models[0].workers], [each.state for each in seen.leaving]) == (
        ["m-1.1"],
        ["stopped"],
    )
    assert ([each.id for each in made.snapshot.models[0].workers], made.snapshot.leaving) == (["m-0.2", "m-1.1"], ())


def test_why_workers_ended_is_counted_at_once() -> None:
    """By model; a swap of its pool begins nothing anew, and nobody need wait for the next change."""
    made, _, published = board()
    for cause in (Cause.CRASHED, Cause.KILLED, Cause.CRASHED):
        made.lost("m", cause)
    made.show(made.row(MODEL))
    assert published[-2].losses == made.snapshot.losses == {"m": {Cause.CRASHED: 2, Cause.KILLED: 1}}


def test_a_changed_model_keeps_its_workers() -> None:
    made, row, _ = board()
    row.worker(0, worker("m-0.1"))
    row.served_as("other")
    row.put(ModelView(name="m", engine="vllm", served_name="m", aliases=("a",)))
    (model,) = made.snapshot.models
    assert (model.aliases, model.served_name, len(model.workers)) == (("a",), "other", 1)


def test_a_row_that_is_not_shown_is_not_published() -> None:
    """A pool that comes up beside the one that serves is nobody's business yet."""
    made, _, published = board()
    made.row(MODEL).worker(0, worker("m-g2-0.1"))
    assert len(published) == 2


def test_showing_a_successor_is_one_publication() -> None:
    """There is no snapshot in which both, or neither, are the model's workers."""
    made, row, published = board()
    row.worker(0, worker("m-0.1"))
    after = made.row(MODEL)
    after.worker(0, worker("m-g2-0.1"))
    count = len(published)
    made.show(after)
    assert len(published) == count + 1
    assert [each.id for each in made.snapshot.models[0].workers] == ["m-g2-0.1"]
    assert [each.id for each in made.snapshot.leaving] == ["m-0.1"]


def test_what_left_is_listed_until_it_is_forgotten() -> None:
    made, row, _ = board()
    row.worker(0, worker("m-0.1"))
    made.drop(row)
    row.worker(0, worker("m-0.1", WorkerState.DRAINING))
    seen = made.snapshot
    made.forget(row)
    assert (seen.models, [each.state for each in seen.leaving]) == ((), ["draining"])
    assert made.snapshot.leaving == ()


def test_a_swap_shows_how_far_the_new_pool_is() -> None:
    made, _, _ = board()
    rising = made.row(MODEL)
    made.swap(Swap("m", SwapState.STARTING), rising)
    rising.loading(Loading("quantizing"))
    assert made.snapshot.swaps == (Swap("m", SwapState.STARTING, loading=Loading("quantizing")),)


def test_models_are_shown_in_the_order_that_is_asked_for() -> None:
    made, _, _ = board()
    made.show(made.row(ModelView(name="a", engine="vllm", served_name="a")))
    made.order(["a", "unknown", "m"])
    assert [each.name for each in made.snapshot.models] == ["a", "m"]
