"""Several models on one machine."""

from dataclasses import replace

from engines.memory.budget import Asked, share
from engines.memory.habits import GIB
from engines.memory.plan import Place, smallest
from tests.unit.engines.memory.models import FACTS, WISH

BIG = replace(WISH, context=8192, sequences=256)
LEAST = smallest(FACTS, BIG, 1_780_000_000)


def shared(room, *wishes):
    asked = [Asked(f"m{number}", FACTS, wish) for number, wish in enumerate(wishes)]
    return share(asked, Place(room, 4 * room), {})


def test_all_get_what_they_like_where_there_is_room():
    plans, total = shared(24 * GIB, WISH, WISH)
    assert ([each.estimate.cache for each in plans], total.reason) == ([GIB, GIB], "")


def test_the_first_model_leaves_the_others_what_they_need_at_least():
    """The cache of the first one shrinks before the second one is refused."""
    room = 2 * LEAST + GIB
    plans, total = shared(room, BIG, BIG)
    assert [each.fits for each in plans] == [True, True]
    assert total.total <= room
    assert plans[0].estimate.cache > plans[1].estimate.cache


def test_models_that_fit_only_alone_are_refused_together():
    plans, total = shared(2 * LEAST - GIB, WISH, BIG)
    assert [each.fits for each in plans] == [True, True]
    assert "together the models need at least" in total.reason


def test_models_on_demand_need_not_fit_beside_each_other():
    """Only beside those that always run: they make room for one another."""
    always = Asked("always", FACTS, WISH)
    others = [Asked(name, FACTS, BIG, comes_and_goes=True) for name in ("one", "other")]
    for room, fits in ((2 * LEAST + GIB, True), (LEAST + GIB, False)):
        plans, total = share([others[0], always, others[1]], Place(room, 4 * room), {})
        assert [each.fits for each in plans] == [fits, True, fits]
        assert (total.reason, total.total) == ("", plans[1].total)


def test_one_model_that_does_not_fit_speaks_for_itself():
    plans, total = shared(GIB, WISH)
    assert (plans[0].fits, total.reason) == (False, "")
