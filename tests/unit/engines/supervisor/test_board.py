"""The board: every change is one snapshot, and only a change is."""

from __future__ import annotations

from engines.supervisor.board import Board
from registry.snapshot import Loading, ModelView, Snapshot, WorkerState, WorkerView

MODEL = ModelView(name="m", engine="vllm", served_name="m")


def board() -> tuple[Board, list[Snapshot]]:
    published: list[Snapshot] = []
    made = Board(published.append)
    made.put(MODEL)
    return made, published


def test_each_change_is_the_next_revision() -> None:
    made, published = board()
    made.loading("m", Loading("x"))
    assert [each.revision for each in published] == [1, 2, 3]


def test_each_snapshot_says_how_many_gateways_there_are() -> None:
    """Who asks them has to know how often to ask."""
    published: list[Snapshot] = []
    Board(published.append, gateways=3).put(MODEL)
    assert [each.gateways for each in published] == [3, 3]


def test_what_changes_nothing_is_not_published() -> None:
    made, published = board()
    made.loading("m", None)
    made.loading("unknown", Loading("x"))
    assert len(published) == 2


def test_a_worker_replaces_the_one_in_its_seat() -> None:
    made, _ = board()
    for number in (0, 1):
        made.worker("m", number, WorkerView(f"m-{number}.1", "u", WorkerState.STARTING))
    made.worker("m", 0, WorkerView("m-0.2", "u", WorkerState.READY))
    assert [each.id for each in made.snapshot.models[0].workers] == ["m-0.2", "m-1.1"]


def test_a_changed_model_keeps_its_workers() -> None:
    made, _ = board()
    made.worker("m", 0, WorkerView("m-0.1", "u", WorkerState.READY))
    made.served_as("m", "other")
    made.put(ModelView(name="m", engine="vllm", served_name="m", aliases=("a",)))
    (model,) = made.snapshot.models
    assert (model.aliases, model.served_name, len(model.workers)) == (("a",), "other", 1)


def test_a_dropped_model_is_gone() -> None:
    made, _ = board()
    made.drop("m")
    made.worker("m", 0, WorkerView("m-0.1", "u", WorkerState.STOPPED))
    assert made.snapshot.models == ()
