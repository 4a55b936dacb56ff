"""When a model on demand comes and goes, and who makes room: decisions only."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.supervisor.demand import Act, Holder, Room, Standing, decide, make_room, yields
from engines.thrift import Thrift

THRIFT = Thrift(idle=1.0, busy=4.0, forgets=60.0)
DORMANT = Standing(
    idle_after=900.0,
    load_time=30.0,
    dormant=True,
    admitted=False,
    ready_since=None,
    used=0.0,
    busy=False,
    wanted=False,
)
PENDING = replace(DORMANT, dormant=False)
ASLEEP = replace(DORMANT, admitted=True)
LOADED = replace(PENDING, admitted=True, ready_since=0.0)


@pytest.mark.parametrize(
    ("standing", "now", "act"),
    [
        (DORMANT, 1e6, Act.KEEP),
        (replace(DORMANT, wanted=True), 0.0, Act.LOAD),
        (LOADED, 899.0, Act.KEEP),
        (LOADED, 900.0, Act.UNLOAD),
        (replace(LOADED, busy=True), 1e6, Act.KEEP),
        (replace(LOADED, used=500.0), 1399.0, Act.KEEP),
        (replace(LOADED, idle_after=1.0), 29.0, Act.KEEP),
        (replace(LOADED, idle_after=1.0), 30.0, Act.UNLOAD),
        (replace(LOADED, ready_since=None), 900.0, Act.UNLOAD),
        (PENDING, 59.0, Act.KEEP),
        (PENDING, 60.0, Act.UNLOAD),
        (replace(PENDING, busy=True), 1e6, Act.KEEP),
        (ASLEEP, 1e6, Act.KEEP),
        (replace(ASLEEP, wanted=True), 0.0, Act.LOAD),
        (replace(PENDING, busy=True, spent=True), 0.0, Act.UNLOAD),
    ],
)
def test_a_model_comes_with_a_wish_and_goes_when_idle(standing, now, act):
    """Not before it has served as long as it took to load; one that waits for memory in vain is given up sooner."""
    assert decide(standing, now, THRIFT) is act


@pytest.mark.parametrize(
    ("standing", "now", "expected"),
    [
        (LOADED, 29.0, False),
        (LOADED, 30.0, True),
        (replace(LOADED, busy=True), 119.0, False),
        (replace(LOADED, busy=True), 120.0, True),
        (replace(LOADED, ready_since=None), 1e6, False),
        (DORMANT, 1e6, False),
        (ASLEEP, 0.0, True),
    ],
)
def test_it_leaves_for_another_once_its_loading_has_paid(standing, now, expected):
    """Also one that is never idle: nobody waits for ever. Not one that is still being loaded."""
    assert yields(standing, now, THRIFT) is expected


OLD, MIDDLE, YOUNG = (
    Holder(name, 10, replace(LOADED, used=used)) for name, used in (("old", 1.0), ("middle", 2.0), ("young", 3.0))
)
BUSY = Holder("busy", 10, replace(LOADED, used=0.0, busy=True))
NEW = Holder("new", 10, replace(LOADED, ready_since=990.0))


@pytest.mark.parametrize(
    ("missing", "holders", "room"),
    [
        (5, (YOUNG, OLD, MIDDLE), Room(("old",), possible=True)),
        (15, (YOUNG, OLD, MIDDLE), Room(("old", "middle"), possible=True)),
        (5, (BUSY, YOUNG), Room(("young",), possible=True)),
        (5, (BUSY,), Room(("busy",), possible=True)),
        (15, (OLD, NEW), Room((), possible=True)),
        (25, (OLD, MIDDLE), Room((), possible=False)),
        (0, (OLD,), Room((), possible=True)),
        (12, (OLD, replace(YOUNG, size=20)), Room(("young",), possible=True)),
    ],
)
def test_the_least_recently_used_make_room_and_nobody_in_vain(missing, holders, room):
    """Idle ones before busy ones; a large one may spare the small ones; all or nobody."""
    assert make_room(missing, holders, 1000.0, THRIFT) == room


@given(
    st.lists(st.tuples(st.floats(0.1, 50.0), st.booleans(), st.booleans()), max_size=300),
    st.floats(0.1, 20.0),
    st.floats(1.0, 60.0),
)
def test_no_trace_makes_a_model_thrash(trace, idle_after, load_time):
    """Whatever is asked for, and however often others want its memory: between two loads lie the loading and as long
    again.
    """
    now, loads, ready = 0.0, [], None
    model = replace(DORMANT, idle_after=idle_after, load_time=load_time)
    for step, asked, wanted_by_others in trace:
        now += step
        if ready is not None and now >= ready and not model.dormant:
            model = replace(model, ready_since=ready)
        model = replace(model, busy=asked and not model.dormant, wanted=asked, used=now if asked else model.used)
        act = decide(model, now, THRIFT)
        if act is Act.LOAD:
            loads.append(now)
            ready, model = now + load_time, replace(model, dormant=False, admitted=True)
        elif act is Act.UNLOAD or (wanted_by_others and yields(model, now, THRIFT)):
            ready, model = None, replace(model, dormant=True, admitted=False, ready_since=None)
    assert all(after - before >= load_time * (1 + THRIFT.idle) - 1e-6 for before, after in pairwise(loads))
