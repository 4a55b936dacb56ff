"""What measuring teaches the next prediction."""

from dataclasses import replace

from engines.memory.calibration import corrected, key, learned
from engines.memory.estimate import estimate
from engines.memory.habits import GIB
from tests.unit.engines.memory.models import FACTS, WISH

FORETOLD = estimate(FACTS, WISH, GIB, 1_780_000_000)
PLACE = key("m", WISH)


def test_once_measured_the_prediction_is_what_was_measured():
    known = {PLACE: corrected(None, FORETOLD, WISH, 4 * GIB)}
    assert estimate(FACTS, WISH, GIB, learned(known, "m", WISH, 0)).total == 4 * GIB


def test_a_correction_holds_for_another_cache_and_more_slots_too():
    """What is computed stays computed; only the overhead is learned."""
    known = {PLACE: corrected(None, FORETOLD, WISH, 4 * GIB)}
    more = replace(WISH, slots=8)
    grown = estimate(FACTS, more, 2 * GIB, learned(known, "m", more, 0)).total
    assert grown == 5 * GIB + FORETOLD.lora


def test_a_model_that_was_never_loaded_learns_from_the_engines_others():
    known = {PLACE: corrected(None, FORETOLD, WISH, 4 * GIB)}
    assert learned(known, "n", WISH, 0) == known[PLACE].overhead
    assert learned(known, "n", replace(WISH, device="cuda"), 7) == 7


def test_loads_are_averaged():
    first = corrected(None, FORETOLD, WISH, 4 * GIB)
    second = corrected(first, FORETOLD, WISH, 2 * GIB + FORETOLD.model)
    assert second.overhead == (first.overhead + GIB) // 2
    assert (second.predicted, second.measured) == (FORETOLD.total, 2 * GIB + FORETOLD.model)


def test_no_overhead_is_less_than_nothing():
    assert corrected(None, FORETOLD, WISH, 1).overhead == 0
