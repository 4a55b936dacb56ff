"""What was done with adapters is counted as Prometheus counts: it only grows."""

from __future__ import annotations

from engines.ledger.figures import Figures
from registry.snapshot import LOAD_BOUNDS
from tests.unit.gateway.builders import Clock


def test_what_a_load_took_counts_up_to_each_bound():
    """In every bound that it kept, as histograms have it."""
    told = {}
    figures = Figures(Clock(), told.__setitem__)
    for seconds in (0.1, 0.3, 7.0, 100.0):
        figures.loaded("m", "m:cat@1", seconds)
    took = dict(zip(LOAD_BOUNDS, told["m"].took, strict=True))
    assert (took[0.1], took[0.25], took[0.5], took[5.0], took[10.0], took[60.0]) == (1, 1, 2, 2, 3, 3)
    assert (told["m"].loads, told["m"].seconds) == (4, 107.4)


def test_what_comes_back_within_a_minute_is_a_return():
    """Later it is no waste any more."""
    clock, told = Clock(), {}
    figures = Figures(clock, told.__setitem__)
    for away, returns in ((59.0, 1), (61.0, 1)):
        figures.evicted("m", "m:cat@1")
        clock.now += away
        figures.loaded("m", "m:cat@1", 1.0)
        assert told["m"].returns == returns
