"""The difference between two registries is the least that must happen to the workers."""

from __future__ import annotations

import pytest

from registry.changes import EMPTY, AmendPool, ResizePool, RetirePool, StartPool, changes, same_workers, steps
from registry.replicas import ReplicasSpec
from registry.room import AdaptersSpec
from registry.spec import ModelSpec, QueueSpec, Registry, TimeoutsSpec

SPEC = ModelSpec(source="pypi://a@1/b", engine="vllm")


def _registry(**models):
    return Registry(models=models)


def test_the_first_registry_starts_its_pools_in_order():
    assert changes(EMPTY, _registry(b=SPEC, a=SPEC)) == (StartPool("b", SPEC), StartPool("a", SPEC))


def test_the_same_registry_changes_nothing():
    """A default that is written out is the same as one that is left out."""
    written = ModelSpec(source="pypi://a@1/b", engine="vllm", replicas=1, timeouts=TimeoutsSpec())
    assert changes(_registry(a=SPEC), _registry(a=written)) == ()


def test_a_removed_model_is_retired():
    assert changes(_registry(a=SPEC, b=SPEC), _registry(b=SPEC)) == (RetirePool("a"),)


def test_other_weights_start_a_pool_before_the_old_one_retires():
    """A swap: the new pool comes up beside the old one, so that no request fails."""
    other = SPEC.model_copy(update={"quantization": "int4"})
    assert changes(_registry(a=SPEC), _registry(a=other)) == (StartPool("a", other), RetirePool("a"))


def test_when_a_model_on_demand_goes_is_no_affair_of_its_workers():
    brief, patient = (
        SPEC.model_copy(update={"replicas": ReplicasSpec(idle_after=seconds)}) for seconds in (60.0, 900.0)
    )
    assert changes(_registry(a=brief), _registry(a=patient)) == (AmendPool("a", patient),)


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        (1, 3, "1 → 3 replicas, no restart"),
        (3, 1, "3 → 1 replicas, no restart"),
        (1, ReplicasSpec(), "1 → 0 to 1 replicas, no restart"),
    ],
)
def test_more_or_fewer_workers_leave_alone_those_that_stay(before, after, how):
    """Whatever else changes that asks nothing of them goes along."""
    old, new = (SPEC.model_copy(update={"replicas": replicas}) for replicas in (before, after))
    found = changes(_registry(a=old), _registry(a=new))
    assert (found, str(*steps(found))) == ((ResizePool("a", new, how),), f"resize a: {how}")


def test_another_list_of_addresses_is_no_swap():
    one, two = (
        ModelSpec(engine="vllm", launcher="external", urls=[f"http://h:{port}" for port in range(1, last)])
        for last in (2, 3)
    )
    assert str(*steps(changes(_registry(a=one), _registry(a=two)))) == "resize a: 1 → 2 addresses, no restart"


def test_names_and_limits_of_requests_leave_the_workers_alone():
    """Only gateways read them; restarting an engine for an alias would cost a minute."""
    other = SPEC.model_copy(
        update={
            "aliases": ("x",),
            "timeouts": TimeoutsSpec(connect="1s"),
            "queue": QueueSpec(limit=1),
            "allow": ("rid",),
        }
    )
    assert changes(_registry(a=SPEC), _registry(a=other)) == (AmendPool("a", other),)


def test_the_order_of_models_alone_changes_nothing():
    assert changes(_registry(a=SPEC, b=SPEC), _registry(b=SPEC, a=SPEC)) == ()


def test_a_model_that_is_started_and_retired_is_swapped():
    """In a person's words, and in the order of the file."""
    amended = SPEC.model_copy(update={"aliases": ("x",)})
    swapped = SPEC.model_copy(update={"context": 1})
    found = changes(_registry(a=SPEC, b=SPEC, c=SPEC), _registry(d=SPEC, b=amended, a=swapped))
    assert [str(step) for step in steps(found)] == ["start d", "amend b", "swap a", "retire c"]


def test_what_adapters_there_are_leaves_the_workers_alone_but_not_how_many_fit():
    """Their room is set aside when they start; what lies in it comes and goes."""
    old, free, room = (
        SPEC.model_copy(update={"adapters": AdaptersSpec(**fields)})
        for fields in (
            {"slots": 2},
            {"slots": 2, "pinned": ["a"], "declared": {"a": "./a"}, "watch": "."},
            {"slots": 3},
        )
    )
    assert changes(_registry(a=old), _registry(a=free)) == (AmendPool("a", free),)
    assert [step.verb for step in steps(changes(_registry(a=old), _registry(a=room)))] == ["swap"]


def test_whether_a_worker_can_sleep_is_decided_when_it_starts() -> None:
    stop, sleep = (SPEC.model_copy(update={"replicas": ReplicasSpec(when_idle=how)}) for how in ("stop", "sleep"))
    assert not same_workers(stop, sleep)
    assert same_workers(sleep, SPEC.model_copy(update={"replicas": ReplicasSpec(when_idle="sleep", idle_after=5.0)}))
